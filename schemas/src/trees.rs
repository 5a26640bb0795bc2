//! The trees file of a segment: the digest of its bytes, and the part of the Merkle tree that it added.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `SLT1` |
//! | 8 | first seq, big endian |
//! | 8 | size of the tree at its end |
//! | 2 | length of the key |
//! | n | the segment's key, relative to the origin |
//! | 32 | SHA-256 of the segment's bytes |
//! | 8192 each | the tiles that it completed, by level, then index |
//! | 32 each | the hashes of the partial tile of each level, level 0 first |

use crate::avro::Input;
use crate::tiles::{TILE_WIDTH, Tile, Tiles, tiles_of};
use crate::{Hash, Malformed, Seq};

const FORMAT: &str = "trees file";
const MAGIC: &[u8; 4] = b"SLT1";
const LEVELS: u8 = 8;

/// A trees file taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trees {
    /// The segment's first seq.
    pub first_seq: Seq,
    /// The tree's size at its end.
    pub size: u64,
    /// The segment's key, relative to the origin.
    pub segment_key: String,
    /// SHA-256 of the segment's bytes.
    pub segment_sha256: Hash,
    /// The tiles that it completed, by level, then index.
    pub completed: Vec<Tile>,
    /// The partial tile of each level, down to the last that has any.
    pub partial: Vec<Vec<Hash>>,
}

impl Trees {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(64 + self.segment_key.len() + self.completed.len() * TILE_WIDTH * 32);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.first_seq.0.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&(self.segment_key.len() as u16).to_be_bytes());
        out.extend_from_slice(self.segment_key.as_bytes());
        out.extend_from_slice(self.segment_sha256.bytes());
        let hashes = self.completed.iter().map(|tile| &tile.hashes).chain(&self.partial).flatten();
        hashes.for_each(|hash| out.extend_from_slice(hash.bytes()));
        out
    }

    /// Reads a whole file. How many hashes there must be follows from first seq and size.
    pub fn parse(file: &[u8]) -> Result<Trees, Malformed> {
        let mut input = Input::new(FORMAT, file);
        if &input.array()? != MAGIC {
            return Err(Malformed::new(FORMAT, 0, "does not begin with SLT1"));
        }
        let first = u64::from_be_bytes(input.array()?);
        let size = u64::from_be_bytes(input.array()?);
        if first >= size || size > i64::MAX as u64 {
            return Err(input.malformed("first seq and size do not fit together"));
        }
        let length = u16::from_be_bytes(input.array()?);
        let key = std::str::from_utf8(input.take(usize::from(length))?);
        let segment_key = key.map_err(|_| input.malformed("the segment's key is not UTF-8"))?.to_owned();
        let segment_sha256 = Hash(input.array()?);
        let mut hashes = |count: usize| -> Result<Vec<Hash>, Malformed> {
            let (parts, _) = input.take(count * 32)?.as_chunks::<32>();
            Ok(parts.iter().map(|part| Hash(*part)).collect())
        };
        let mut completed = Vec::new();
        for level in 0..LEVELS {
            for index in tiles_of(first, level).0..tiles_of(size, level).0 {
                completed.push(Tile { level, index, hashes: hashes(TILE_WIDTH)? });
            }
        }
        let mut partial =
            (0..LEVELS).map(|level| hashes(tiles_of(size, level).1)).collect::<Result<Vec<_>, _>>()?;
        while partial.last().is_some_and(Vec::is_empty) {
            partial.pop();
        }
        input.end()?;
        Ok(Trees { first_seq: Seq(first), size, segment_key, segment_sha256, completed, partial })
    }

    /// The hash of the last link that it covers: the last leaf.
    pub fn last_hash(&self) -> Option<Hash> {
        let leaves = self.completed.iter().rev().find(|tile| tile.level == 0).map(|tile| &tile.hashes);
        self.partial.first().and_then(|tile| tile.last()).or(leaves.and_then(|tile| tile.last())).copied()
    }

    /// The tiles at its end, to go on from.
    pub fn tiles(&self) -> Option<Tiles> {
        Tiles::from_partial(self.size, self.partial.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trees(first: u64, size: u64) -> Trees {
        let mut tiles = Tiles::new();
        for n in 0..size {
            if n == first {
                tiles.take_completed();
            }
            tiles.push(Hash::of(&[&n.to_be_bytes()]));
        }
        let completed = tiles.take_completed();
        let mut partial = tiles.partial().to_vec();
        while partial.last().is_some_and(Vec::is_empty) {
            partial.pop();
        }
        Trees {
            first_seq: Seq(first),
            size,
            segment_key: "segments/x".into(),
            segment_sha256: Hash([1; 32]),
            completed,
            partial,
        }
    }

    #[test]
    fn a_trees_file_is_read_back_at_every_kind_of_size() {
        for (first, size) in [(0, 1), (0, 256), (1, 257), (255, 256), (300, 301), (200, 66_000)] {
            let file = trees(first, size);
            assert_eq!(Trees::parse(&file.to_bytes()), Ok(file), "{first} to {size}");
        }
    }

    #[test]
    fn a_file_that_is_short_or_long_is_refused() {
        let bytes = trees(1, 257).to_bytes();
        for cut in 0..bytes.len() {
            assert!(Trees::parse(&bytes[..cut]).is_err());
        }
        assert!(Trees::parse(&[bytes, vec![0; 32]].concat()).is_err());
        let mut absurd = trees(0, 1).to_bytes();
        absurd[12] = 0x70;
        assert!(Trees::parse(&absurd).is_err(), "and nothing is allocated for a false size");
    }
}
