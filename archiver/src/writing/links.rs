//! Whether two segments hold the same links, whatever their deflate spelling.

use schemas::SegmentFile;

/// Why the segment in the bytes `there` does not hold exactly the links of `ours`.
pub(super) fn same(there: &[u8], ours: &[u8]) -> Result<(), String> {
    let (theirs, our_file) = (SegmentFile::parse(there), SegmentFile::parse(ours));
    let (theirs, our_file) = (theirs.map_err(|e| e.to_string())?, our_file.map_err(|e| e.to_string())?);
    if theirs.header != our_file.header {
        return Err("its header is another".to_owned());
    }
    let (mut blocks, mut plain) = (theirs.blocks(), Vec::new());
    let (mut our_blocks, mut our_plain) = (our_file.blocks(), Vec::new());
    loop {
        let block = blocks.next_into(&mut plain).map_err(|e| e.to_string())?;
        let our_block = our_blocks.next_into(&mut our_plain).map_err(|e| e.to_string())?;
        match (block, our_block) {
            (None, None) => return Ok(()),
            (Some(block), Some(our_block)) if block.events == our_block.events && plain == our_plain => {}
            _ => return Err("its records are others".to_owned()),
        }
    }
}
