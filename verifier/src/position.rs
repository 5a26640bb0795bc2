//! Where a chain stands before a segment: what its first link must follow, and the tree that its leaves go into.

use schemas::tiles::{TILE_WIDTH, Tiles};
use schemas::{Hash, Micros, Seq, Tree, Trees, Walk, node_hash};

use crate::leaves::leaf;

/// The end of what came before.
#[derive(Clone, Debug)]
pub struct Position {
    pub(crate) tree: Tree,
    pub(crate) tiles: Tiles,
    /// What the next prev must be; None where only the next link itself says it.
    pub(crate) last_hash: Option<Hash>,
}

impl Position {
    /// Before the first link. `first_prev`: what the genesis key gives, where that is known.
    pub fn begin(first_prev: Option<Hash>) -> Position {
        Position { tree: Tree::new(), tiles: Tiles::new(), last_hash: first_prev }
    }

    /// At the end of `trees`, if its tiles give the root that is signed for its size: then they are as good as the
    /// links themselves, whatever became of the segment.
    pub fn proven(trees: &Trees, signed_root: Hash) -> Option<Position> {
        let tiles = trees.tiles()?;
        let tree = tree_of(trees)?;
        if tree.root() != signed_root {
            return None;
        }
        let last_hash = proven_last_leaf(trees);
        Some(Position { tree, tiles, last_hash })
    }

    /// How many links came before.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// A walk from here. `own_prev` stands in where nothing else says what comes before. The time of the last link is
    /// left open: whoever joins segments compares it.
    pub(crate) fn walk(&self, own_prev: Hash) -> Walk {
        Walk::resume(self.tree.clone(), self.last_hash.unwrap_or(own_prev), Micros(-1))
    }
}

/// A walk that begins at `first_seq` without anything known of what is before: links can be followed, its root means
/// nothing.
pub(crate) fn walk_apart(first_seq: Seq, own_prev: Hash) -> Option<Walk> {
    let unknown_edge = vec![Hash::default(); first_seq.0.count_ones() as usize];
    Some(Walk::resume(Tree::from_edge(first_seq.0, unknown_edge)?, own_prev, Micros(-1)))
}

/// The tree at the end of a trees file: partial tiles hold its right edge.
fn tree_of(trees: &Trees) -> Option<Tree> {
    let mut edge = Vec::new();
    for tile in trees.partial.iter().rev() {
        let mut rest = tile.as_slice();
        for bit in (0..TILE_WIDTH.ilog2()).rev() {
            if tile.len() >> bit & 1 == 1 {
                let (full, behind) = rest.split_at(1 << bit);
                edge.push(root_of(full));
                rest = behind;
            }
        }
    }
    Tree::from_edge(trees.size, edge)
}

/// The root over a power of two of hashes.
fn root_of(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    level.first().copied().unwrap_or_default()
}

/// The last leaf, held against the partial tiles where it stands in a completed tile.
fn proven_last_leaf(trees: &Trees) -> Option<Hash> {
    let lowest = trees.partial.iter().position(|tile| !tile.is_empty())?;
    let mut above = *trees.partial[lowest].last()?;
    for level in (0..lowest).rev() {
        let last = trees.completed.iter().rev().find(|tile| usize::from(tile.level) == level)?;
        if root_of(&last.hashes) != above {
            return None;
        }
        above = *last.hashes.last()?;
    }
    (leaf(trees, Seq(trees.size - 1)) == Some(&above)).then_some(above)
}

#[cfg(test)]
mod tests {
    use schemas::Walk;

    use super::*;

    #[test]
    fn a_trees_file_alone_gives_the_position_at_its_end() {
        for (first, size) in
            [(0, 1), (3, 256), (0, 255), (200, 300), (256, 512), (0, 65_536), (65_530, 65_800)]
        {
            let (mut walk, mut tiles) = (Walk::begin(Hash::default()), Tiles::new());
            for n in 0..size {
                if n == first {
                    tiles.take_completed();
                }
                let (_, hash) = walk.extend(Hash([n as u8; 32]), Micros(0));
                tiles.push(hash);
            }
            let trees = Trees {
                first_seq: Seq(first),
                size,
                segment_key: String::new(),
                segment_sha256: Hash::default(),
                completed: tiles.take_completed(),
                partial: tiles.partial().to_vec(),
            };
            let root = walk.tree().root();
            let position = Position::proven(&trees, root).unwrap();
            assert_eq!((position.tree, position.last_hash), (walk.tree().clone(), Some(walk.last_hash())));
            assert!(
                Position::proven(&trees, Hash::default()).is_none(),
                "nothing is proven against another root"
            );
        }
    }
}
