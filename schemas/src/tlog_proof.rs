//! Proof of inclusion as a file (C2SP tlog-proof): what a Checkpoint says about one entry. Lines, each ended by a
//! newline, in this one spelling:
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64: what the application adds; here proof data. The line may be missing>
//! index <decimal: the entry's place, here its seq>
//! <base64: a hash of the path, from the leaf's sibling up; a line each>
//!
//! <the Checkpoint, verbatim>
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::avro::MAX_SCHEMA_BYTES;
use crate::checkpoint::{MAX_CHECKPOINT_BYTES, decimal};
use crate::event::MAX_EVENT_BYTES;
use crate::{Hash, Malformed};

/// The first line, which says what the file is.
pub const TLOG_PROOF: &str = "c2sp.org/tlog-proof@v1";
/// No path is longer: a size has 63 bits.
pub const MAX_PROOF_HASHES: usize = 63;
/// No proof is larger: the largest event with the largest schema, in base64, and room for the rest.
pub const MAX_PROOF_BYTES: usize = (MAX_EVENT_BYTES + MAX_SCHEMA_BYTES) / 3 * 4 + (16 << 10);

const FORMAT: &str = "tlog-proof";

/// A proof, whatever it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// What the application adds. Nothing in the file vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's place.
    pub index: u64,
    /// From its sibling up.
    pub hashes: Vec<Hash>,
    /// The Checkpoint's note.
    pub checkpoint: String,
}

impl TlogProof {
    /// The file.
    pub fn to_text(&self) -> String {
        let extra = self.extra.as_ref().map(|extra| format!("extra {}\n", STANDARD.encode(extra)));
        let (extra, index) = (extra.unwrap_or_default(), self.index);
        format!("{TLOG_PROOF}\n{extra}index {index}\n{}\n{}", hash_lines(&self.hashes), self.checkpoint)
    }

    /// Reads a file. Whether it proves anything is not asked yet: neither path nor signature is looked at.
    pub fn parse(file: &[u8]) -> Result<TlogProof, Malformed> {
        let mut lines = Lines::of(FORMAT, file, MAX_PROOF_BYTES)?;
        if lines.next()? != TLOG_PROOF {
            return Err(Malformed::new(FORMAT, 0, format!("the first line is not {TLOG_PROOF}")));
        }
        let mut line = lines.next()?;
        let mut extra = None;
        if let Some(text) = line.strip_prefix("extra ") {
            extra = Some(lines.base64(text)?);
            line = lines.next()?;
        }
        let index = line.strip_prefix("index ").and_then(decimal);
        let index = index.ok_or_else(|| lines.malformed("no line `index` with a plain decimal"))?;
        let hashes = lines.hashes(MAX_PROOF_HASHES)?;
        Ok(TlogProof { extra, index, hashes, checkpoint: lines.note()? })
    }
}

/// A line each.
pub(crate) fn hash_lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| STANDARD.encode(hash.bytes()) + "\n").collect()
}

/// A proof's lines in turn.
pub(crate) struct Lines<'a> {
    format: &'static str,
    rest: &'a str,
    /// Bytes read so far, for errors.
    at: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(format: &'static str, file: &'a [u8], max_bytes: usize) -> Result<Lines<'a>, Malformed> {
        if file.len() > max_bytes {
            return Err(Malformed::new(format, 0, format!("longer than {max_bytes} bytes")));
        }
        let rest =
            std::str::from_utf8(file).map_err(|e| Malformed::new(format, e.valid_up_to(), "not UTF-8"))?;
        Ok(Lines { format, rest, at: 0 })
    }

    /// The next line, without its newline.
    pub(crate) fn next(&mut self) -> Result<&'a str, Malformed> {
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| self.malformed("it is cut off"))?;
        self.at += line.len() + 1;
        self.rest = rest;
        Ok(line)
    }

    /// Base64 in its one canonical spelling: padded, no bits to spare.
    pub(crate) fn base64(&self, text: &str) -> Result<Vec<u8>, Malformed> {
        STANDARD
            .decode(text)
            .map_err(|e| self.malformed(format!("the line before is not canonical base64: {e}")))
    }

    /// Hashes up to an empty line, which is read too.
    pub(crate) fn hashes(&mut self, most: usize) -> Result<Vec<Hash>, Malformed> {
        let mut hashes = Vec::new();
        loop {
            let line = self.next()?;
            if line.is_empty() {
                return Ok(hashes);
            }
            if hashes.len() == most {
                return Err(self.malformed(format!("more than {most} hashes")));
            }
            let hash = Hash::from_slice(&self.base64(line)?);
            hashes.push(hash.ok_or_else(|| self.malformed("the line before is no hash: not 32 bytes"))?);
        }
    }

    /// All that is left: a Checkpoint's note, which is not opened.
    pub(crate) fn note(self) -> Result<String, Malformed> {
        match self.rest.len() {
            0 => Err(self.malformed("it ends before the Checkpoint")),
            length if length > MAX_CHECKPOINT_BYTES => {
                Err(self.malformed("the Checkpoint is longer than 1 KiB"))
            }
            _ => Ok(self.rest.to_owned()),
        }
    }

    pub(crate) fn malformed(&self, what: impl Into<String>) -> Malformed {
        Malformed::new(self.format, self.at, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> TlogProof {
        let hashes = vec![Hash([1; 32]), Hash([2; 32])];
        TlogProof {
            extra: Some(b"more".to_vec()),
            index: 7,
            hashes,
            checkpoint: "a\n9\nroot\n\nline\n".into(),
        }
    }

    #[test]
    fn a_proof_is_written_as_the_specification_shows_it_and_read_back() {
        let one = STANDARD.encode([1; 32]);
        let two = STANDARD.encode([2; 32]);
        let text =
            format!("c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 7\n{one}\n{two}\n\na\n9\nroot\n\nline\n");
        assert_eq!(proof().to_text(), text);
        assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof()));
        let bare = TlogProof { extra: None, hashes: Vec::new(), index: 0, ..proof() };
        assert_eq!(bare.to_text(), "c2sp.org/tlog-proof@v1\nindex 0\n\na\n9\nroot\n\nline\n");
        assert_eq!(TlogProof::parse(bare.to_text().as_bytes()), Ok(bare));
    }

    #[test]
    fn row_19_other_spellings_are_refused() {
        let good = proof().to_text();
        for (part, other) in [
            ("@v1", "@v2"),
            ("extra ", "extra  "),
            ("extra ", "Extra "),
            ("bW9yZQ==", "bW9yZQ"),
            ("bW9yZQ==", "bW9yZR=="),
            ("index 7", "index 07"),
            ("index 7", "index +7"),
            ("index 7", "index 7 "),
            ("index 7", "index 9223372036854775808"),
            ("index 7\n", ""),
            ("\nindex 7", "\nindex 7\nindex 7"),
            ("\n\na", "\na"),
            ("\n", "\r\n"),
            ("AQEBAQEB", "AQEBAQE"),
        ] {
            assert!(good.contains(part));
            let bad = good.replacen(part, other, 1);
            assert!(TlogProof::parse(bad.as_bytes()).is_err(), "{part:?} as {other:?}");
        }
        let hashes = good.find("\n\n").unwrap();
        for cut in 0..hashes + 2 {
            assert!(TlogProof::parse(&good.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn nothing_in_it_is_longer_than_any_may_be() {
        let many = TlogProof { hashes: vec![Hash::default(); MAX_PROOF_HASHES + 1], ..proof() };
        assert!(TlogProof::parse(many.to_text().as_bytes()).is_err());
        let long = TlogProof { checkpoint: "x".repeat(MAX_CHECKPOINT_BYTES + 1), ..proof() };
        assert!(TlogProof::parse(long.to_text().as_bytes()).is_err());
        let huge = TlogProof { extra: Some(vec![0; MAX_PROOF_BYTES]), ..proof() };
        assert!(TlogProof::parse(huge.to_text().as_bytes()).is_err());
        let largest = vec![0; MAX_EVENT_BYTES + MAX_SCHEMA_BYTES + 92];
        let largest = TlogProof {
            extra: Some(largest),
            hashes: vec![Hash::default(); MAX_PROOF_HASHES],
            checkpoint: "x".repeat(MAX_CHECKPOINT_BYTES),
            ..proof()
        };
        assert_eq!(
            TlogProof::parse(largest.to_text().as_bytes()),
            Ok(largest),
            "the largest that is made fits"
        );
    }
}
