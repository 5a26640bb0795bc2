//! The leaves that a trees file holds, and whether its tiles are the tree over them.

use schemas::tiles::{TILE_WIDTH, Tile};
use schemas::{Hash, Seq, Trees};

use crate::Position;

/// The leaf of a seq, where the file holds it.
pub(crate) fn leaf(trees: &Trees, seq: Seq) -> Option<&Hash> {
    let (tile, at) = (seq.0 / TILE_WIDTH as u64, (seq.0 % TILE_WIDTH as u64) as usize);
    // Completed tiles of level 0 come first, without a gap.
    let nth = tile.checked_sub(trees.first_seq.0 / TILE_WIDTH as u64)?;
    match trees.completed.get(usize::try_from(nth).ok()?) {
        Some(full) if full.level == 0 && full.index == tile => full.hashes.get(at),
        _ if tile == trees.size / TILE_WIDTH as u64 => trees.partial.first()?.get(at),
        _ => None,
    }
}

/// Which seqs a wrong hash of a tile is about: the first, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongHash {
    pub(crate) level: u8,
    pub(crate) seqs: (Seq, u64),
    pub(crate) expected: Hash,
    pub(crate) found: Hash,
}

/// The first hash in which the file's tile differs from `tile`.
pub(crate) fn compare_full(trees: &Trees, tile: &Tile) -> Option<WrongHash> {
    let place = |other: &Tile| (other.level, other.index);
    let at = trees.completed.binary_search_by_key(&place(tile), place).ok()?;
    compare(tile.level, tile.index, &tile.hashes, &trees.completed[at].hashes)
}

/// The first hash in which the file's partial tiles differ from `partial`.
pub(crate) fn compare_partial(trees: &Trees, partial: &[Vec<Hash>]) -> Option<WrongHash> {
    partial.iter().enumerate().find_map(|(level, hashes)| {
        let index = trees.size >> (8 * level) >> 8;
        compare(level as u8, index, hashes, trees.partial.get(level)?)
    })
}

fn compare(level: u8, index: u64, expected: &[Hash], found: &[Hash]) -> Option<WrongHash> {
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found)?;
    let hash_in_level = index * TILE_WIDTH as u64 + at as u64;
    let seqs = (Seq(hash_in_level << (8 * level)), (hash_in_level + 1) << (8 * level));
    Some(WrongHash { level, seqs, expected: expected[at], found: found[at] })
}

/// Goes from `start` to the end of `trees` by its leaves alone, without a segment. None if the file's tiles are not the
/// tree over its leaves, or it does not begin at `start`. With the roots at the sizes asked for.
pub(crate) fn follow_trees(
    start: &Position,
    trees: &Trees,
    roots_at: &[u64],
) -> Option<(Position, Vec<(u64, Hash)>)> {
    if start.size() != trees.first_seq.0 {
        return None;
    }
    let (mut end, mut roots) = (start.clone(), Vec::new());
    for seq in trees.first_seq.0..trees.size {
        let leaf = *leaf(trees, Seq(seq))?;
        end.tree.push(leaf);
        end.tiles.push(leaf);
        end.last_hash = Some(leaf);
        if roots_at.contains(&end.size()) {
            roots.push((end.size(), end.root()));
        }
        if end.tiles.take_completed().iter().any(|tile| compare_full(trees, tile).is_some()) {
            return None;
        }
    }
    compare_partial(trees, end.tiles.partial()).is_none().then_some((end, roots))
}
