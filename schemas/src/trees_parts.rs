//! Where each part of a trees file stands, for readers that take ranges of it. The layout is that of `trees`.

use std::ops::Range;

use crate::avro::Input;
use crate::tiles::{TILE_WIDTH, tiles_of};
use crate::{Hash, Malformed, Seq};

const FORMAT: &str = "trees file";
const LEVELS: u8 = 8;
const HASH_BYTES: u64 = 32;
const TILE_BYTES: u64 = TILE_WIDTH as u64 * HASH_BYTES;
/// No segment has more: with it no place in the file is beyond 64 bits.
const MAX_EVENTS: u64 = 1 << 40;

/// What a trees file says before its first hash, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreesParts {
    /// The segment's first seq.
    pub first_seq: Seq,
    /// The tree's size at its end.
    pub size: u64,
    /// The segment's key, relative to the origin.
    pub segment_key: String,
    /// SHA-256 of the segment's bytes.
    pub segment_sha256: Hash,
    hashes_at: u64,
}

/// The longest beginning that says all of it.
pub const MAX_TREES_BEGINNING_BYTES: u64 = 4 + 8 + 8 + 2 + u16::MAX as u64 + 32;

impl TreesParts {
    /// Reads the beginning of a file, or all of it.
    pub fn parse(beginning: &[u8]) -> Result<TreesParts, Malformed> {
        let mut input = Input::new(FORMAT, beginning);
        if &input.array()? != b"SLT1" {
            return Err(Malformed::new(FORMAT, 0, "does not begin with SLT1"));
        }
        let first_seq = Seq(u64::from_be_bytes(input.array()?));
        let size = u64::from_be_bytes(input.array()?);
        if first_seq.0 >= size || size > i64::MAX as u64 || size - first_seq.0 > MAX_EVENTS {
            return Err(input.malformed("first seq and size do not fit together"));
        }
        let length = u16::from_be_bytes(input.array()?);
        let key = std::str::from_utf8(input.take(usize::from(length))?);
        let segment_key = key.map_err(|_| input.malformed("the segment's key is not UTF-8"))?.to_owned();
        let segment_sha256 = Hash(input.array()?);
        let hashes_at = input.at() as u64;
        Ok(TreesParts { first_seq, size, segment_key, segment_sha256, hashes_at })
    }

    /// Where a tile stands that the segment completed; None if it did not complete that one.
    pub fn tile(&self, level: u8, index: u64) -> Option<Range<u64>> {
        let completed = |level| tiles_of(self.first_seq.0, level).0..tiles_of(self.size, level).0;
        if level >= LEVELS || !completed(level).contains(&index) {
            return None;
        }
        let below: u64 = (0..level).map(|level| completed(level).end - completed(level).start).sum();
        let start = self.hashes_at + (below + index - completed(level).start) * TILE_BYTES;
        Some(start..start + TILE_BYTES)
    }

    /// Where the partial tiles stand: the last bytes of the file.
    pub fn partial(&self) -> Range<u64> {
        let tiles: u64 =
            (0..LEVELS).map(|l| tiles_of(self.size, l).0 - tiles_of(self.first_seq.0, l).0).sum();
        let start = self.hashes_at + tiles * TILE_BYTES;
        let hashes: u64 = (0..LEVELS).map(|level| tiles_of(self.size, level).1 as u64).sum();
        start..start + hashes * HASH_BYTES
    }

    /// The partial tiles, by level, in the bytes that stand at [`TreesParts::partial`]. None if there are more or fewer.
    pub fn partial_tiles(&self, bytes: &[u8]) -> Option<Vec<Vec<Hash>>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let mut hashes = hashes.iter().map(|hash| Hash(*hash));
        let mut tiles: Vec<Vec<Hash>> =
            (0..LEVELS).map(|level| hashes.by_ref().take(tiles_of(self.size, level).1).collect()).collect();
        let is_whole = (0u8..).zip(&tiles).all(|(level, tile)| tile.len() == tiles_of(self.size, level).1);
        while tiles.last().is_some_and(Vec::is_empty) {
            tiles.pop();
        }
        (is_whole && rest.is_empty() && hashes.next().is_none()).then_some(tiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tiles, Trees};

    #[test]
    fn each_part_is_where_the_whole_file_has_it() {
        for (first, size) in [(0, 1u64), (0, 256), (1, 257), (255, 256), (300, 301), (200, 66_000)] {
            let mut tiles = Tiles::new();
            for n in 0..size {
                if n == first {
                    tiles.take_completed();
                }
                tiles.push(Hash::of(&[&n.to_be_bytes()]));
            }
            let trees = Trees {
                first_seq: Seq(first),
                size,
                segment_key: "segments/x".into(),
                segment_sha256: Hash([1; 32]),
                completed: tiles.take_completed(),
                partial: tiles.partial().to_vec(),
            };
            let file = trees.to_bytes();
            let parts = TreesParts::parse(&file[..64]).unwrap();
            assert_eq!((parts.first_seq, parts.size), (trees.first_seq, trees.size));
            assert_eq!((parts.segment_key.as_str(), parts.segment_sha256), ("segments/x", Hash([1; 32])));
            let at = |range: Range<u64>| &file[range.start as usize..range.end as usize];
            for tile in &trees.completed {
                let bytes = at(parts.tile(tile.level, tile.index).unwrap());
                assert_eq!(bytes, tile.hashes.concat_bytes(), "{first} to {size}");
            }
            assert_eq!(parts.tile(0, size / 256), None, "it is not complete");
            assert_eq!(parts.tile(8, 0), None);
            assert_eq!(parts.partial().end, file.len() as u64);
            let partial = parts.partial_tiles(at(parts.partial())).unwrap();
            assert_eq!(Some(&partial), Trees::parse(&file).ok().as_ref().map(|trees| &trees.partial));
            assert_eq!(parts.partial_tiles(&[at(parts.partial()), &[0; 32]].concat()), None);
        }
    }

    trait ConcatBytes {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl ConcatBytes for Vec<Hash> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|hash| hash.0).collect()
        }
    }
}
