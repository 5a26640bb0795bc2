//! A trees file.

use schemas::{Hash, Trees, TreesParts};

use crate::golden;

pub(crate) fn trees(bytes: &[u8]) -> bool {
    let parts = TreesParts::parse(bytes);
    if let Ok(parts) = &parts {
        assert!(parts.partial().end >= parts.partial().start, "every place of a tile can be told");
        assert_eq!(parts.tile(0, u64::MAX), None);
    }
    let Ok(trees) = Trees::parse(bytes) else { return false };
    assert_parts(&trees, &parts.expect("the beginning of a trees file is one"), bytes);
    assert_eq!(trees.to_bytes(), bytes, "a trees file has one spelling");
    let mut tiles = trees.tiles().expect("the partial tiles are those of its size");
    let mut tree = tiles.tree();
    assert_eq!((tiles.size(), tree.size()), (trees.size, trees.size));
    // Both go on alike: what the next segment is held against.
    let leaf = Hash::of(&[b"leaf"]);
    tiles.push(leaf);
    tree.push(leaf);
    assert_eq!(tiles.tree(), tree);
    assert!(trees.last_hash().is_some() || trees.size % 256 == 0, "a tree that grew has a last leaf");
    true
}

/// Who reads ranges of the file sees what who reads all of it sees.
fn assert_parts(trees: &Trees, parts: &TreesParts, bytes: &[u8]) {
    let at = |range: std::ops::Range<u64>| &bytes[range.start as usize..range.end as usize];
    for tile in &trees.completed {
        let place = parts.tile(tile.level, tile.index).expect("a tile that was completed has a place");
        assert!(tile.hashes.iter().flat_map(|hash| hash.bytes()).eq(at(place)), "the tile stands there");
    }
    assert_eq!(parts.partial().end, bytes.len() as u64);
    assert_eq!(parts.partial_tiles(at(parts.partial())).as_ref(), Some(&trees.partial));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let golden = Trees::parse(golden::TREES).unwrap();
    let small = Trees {
        first_seq: schemas::Seq(65_535),
        size: 65_537,
        segment_key: "s".into(),
        completed: Vec::new(),
        partial: vec![vec![Hash::default()], vec![], vec![Hash::default()]],
        ..golden
    };
    // The tiles that 65,536 completed are missing: refused, and near to what is taken.
    vec![golden::TREES.to_vec(), small.to_bytes(), later().to_bytes()]
}

/// The tree of 65,538 leaves behind one of 65,537.
fn later() -> Trees {
    let partial = vec![vec![Hash::default(); 2], vec![], vec![Hash::default()]];
    let golden = Trees::parse(golden::TREES).unwrap();
    Trees { first_seq: schemas::Seq(65_537), size: 65_538, completed: Vec::new(), partial, ..golden }
}
