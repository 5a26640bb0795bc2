//! Hash tiles (C2SP tlog-tiles): the tree's hashes in groups of 256. Tile n of level 0 holds the leaf hashes from
//! 256·n on; a tile of level L+1 holds the roots of full tiles of level L.

use crate::tree::node_hash;
use crate::{Hash, Tree};

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;

/// A full tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its level; 0 holds leaves.
    pub level: u8,
    /// Its number in the level.
    pub index: u64,
    /// Its hashes.
    pub hashes: Vec<Hash>,
}

/// The tiles that are not full yet, and those that became full since they were last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    size: u64,
    partial: Vec<Vec<Hash>>,
    completed: Vec<Tile>,
}

/// How many hashes the partial tile of `level` has in a tree of `size`, and how many full tiles stand before it.
pub fn tiles_of(size: u64, level: u8) -> (u64, usize) {
    let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    (hashes / TILE_WIDTH as u64, (hashes % TILE_WIDTH as u64) as usize)
}

impl Tiles {
    /// The tiles of the empty tree.
    pub fn new() -> Tiles {
        Tiles::default()
    }

    /// Goes on from partial tiles, by level. None unless each has as many hashes as the size says.
    pub fn from_partial(size: u64, partial: Vec<Vec<Hash>>) -> Option<Tiles> {
        let fits = |level: usize| partial.get(level).map_or(0, Vec::len) == tiles_of(size, level as u8).1;
        let fits = partial.len() <= 8 && (0..8).all(fits);
        fits.then_some(Tiles { size, partial, completed: Vec::new() })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.partial.len() == level {
                self.partial.push(Vec::with_capacity(TILE_WIDTH));
            }
            let tile = &mut self.partial[level];
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return;
            }
            hash = root_of(tile);
            let hashes = std::mem::replace(tile, Vec::with_capacity(TILE_WIDTH));
            let index = tiles_of(self.size, level as u8).0 - 1;
            self.completed.push(Tile { level: level as u8, index, hashes });
        }
    }

    /// The partial tiles by level; empty ones included.
    pub fn partial(&self) -> &[Vec<Hash>] {
        &self.partial
    }

    /// The tree that these tiles hold.
    pub fn tree(&self) -> Tree {
        // The hashes of a level are full subtrees of one size, so a tree over them has the edge that they add.
        let mut edge = Vec::new();
        for tile in self.partial.iter().rev() {
            let mut level = Tree::new();
            tile.iter().for_each(|hash| level.push(*hash));
            edge.extend_from_slice(level.edge());
        }
        Tree::from_edge(self.size, edge).unwrap_or_default()
    }

    /// The tiles completed since they were last taken, by level, then index.
    pub fn take_completed(&mut self) -> Vec<Tile> {
        let mut tiles = std::mem::take(&mut self.completed);
        tiles.sort_by_key(|tile| (tile.level, tile.index));
        tiles
    }
}

/// The root over a full tile.
fn root_of(tile: &[Hash]) -> Hash {
    let mut level = tile.to_vec();
    while level.len() > 1 {
        level = level.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    level[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiles_hold_the_tree() {
        let (mut tiles, mut tree) = (Tiles::new(), Tree::new());
        let mut full = Vec::new();
        for n in 0..70_000u64 {
            let leaf = Hash::of(&[&n.to_be_bytes()]);
            tiles.push(leaf);
            tree.push(leaf);
            if n == 65_535 {
                assert_eq!(tiles.partial()[2], [tree.root()], "two full levels make the root");
            }
            full.append(&mut tiles.take_completed());
        }
        assert_eq!(full.iter().filter(|t| t.level == 0).count(), 273);
        assert_eq!(full.iter().filter(|t| t.level == 1).count(), 1);
        let widths: Vec<usize> = tiles.partial().iter().map(Vec::len).collect();
        assert_eq!(widths, [112, 17, 1]);
        let again = Tiles::from_partial(70_000, tiles.partial().to_vec()).unwrap();
        assert_eq!(again, tiles);
        assert_eq!(again.tree(), tree);
        assert_eq!(Tiles::from_partial(70_001, tiles.partial().to_vec()), None);
    }
}
