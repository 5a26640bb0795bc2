//! Inclusion in an RFC 6962 tree: the path from a leaf to the root, and what root a path leads to. Functions of hashes
//! alone.

use schemas::{Hash, Tree, node_hash};

/// No path is longer: a size has 63 bits.
pub const MAX_PATH: usize = 63;

/// The path of the leaf at `index` in a tree of `size`, from its sibling up. None if there is no such leaf. `node` gives
/// the hash over the leaves from `index` · 2^`height` on, 2^`height` of them.
pub fn inclusion<E>(
    size: u64,
    index: u64,
    node: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut path, mut low, mut high) = (Vec::new(), 0, size);
    while high - low > 1 {
        let middle = low + half(high - low);
        if index < middle {
            path.push(root_of(middle, high, node)?);
            high = middle;
        } else {
            path.push(root_of(low, middle, node)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The root that a leaf at `index` in a tree of `size` has with this path. None if no leaf of that tree has a path of
/// that many hashes.
pub fn root_from(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    // A node that is the last of its level and has no sibling goes up as it is.
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        while at == last && at % 2 == 0 {
            (at, last) = (at / 2, last / 2);
        }
        hash = if at % 2 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(hash)
}

/// The largest power of two below `count`, which is more than one.
pub(crate) fn half(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over the leaves from `low` to `high`, where `low` is a multiple of a power of two that is no smaller than
/// their number.
pub(crate) fn root_of<E>(
    low: u64,
    high: u64,
    node: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let (count, mut edge, mut at) = (high - low, Vec::new(), low);
    for height in (0..64).rev().filter(|height| count >> height & 1 == 1) {
        edge.push(node(height as u8, at >> height)?);
        at += 1 << height;
    }
    Ok(Tree::from_edge(count, edge).unwrap_or_default().root())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use super::*;

    pub(crate) fn leaf(n: u64) -> Hash {
        Hash::of(&[&n.to_be_bytes()])
    }

    pub(crate) fn tree(leaves: std::ops::Range<u64>) -> Tree {
        let mut tree = Tree::new();
        leaves.for_each(|n| tree.push(leaf(n)));
        tree
    }

    pub(crate) fn node(height: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(tree(index << height..(index + 1) << height).root())
    }

    fn path(size: u64, index: u64) -> Vec<Hash> {
        inclusion(size, index, &mut node).unwrap().unwrap()
    }

    #[test]
    fn each_leaf_of_each_tree_has_a_path_to_its_root_and_to_no_other_place() {
        for size in 1..70 {
            let root = tree(0..size).root();
            for index in 0..size {
                let path = path(size, index);
                assert_eq!(root_from(leaf(index), index, size, &path), Some(root), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(root_from(leaf(index), other, size, &path), Some(root), "{index} as {other}");
                }
            }
            assert_eq!(inclusion(size, size, &mut node).unwrap(), None);
        }
    }

    #[test]
    fn row_17_a_hash_too_many_or_too_few_or_an_index_past_the_size_leads_to_no_root() {
        for size in 1..70 {
            for index in 0..size {
                let mut path = path(size, index);
                assert_eq!(root_from(leaf(index), size, size, &path), None);
                assert_eq!(root_from(leaf(index), u64::MAX, size, &path), None);
                assert_eq!(root_from(leaf(index), index, 0, &path), None);
                path.push(Hash([7; 32]));
                assert_eq!(root_from(leaf(index), index, size, &path), None, "{index} of {size}, too many");
                path.truncate(path.len().saturating_sub(2));
                if size > 1 {
                    assert_eq!(
                        root_from(leaf(index), index, size, &path),
                        None,
                        "{index} of {size}, too few"
                    );
                }
            }
        }
    }

    #[test]
    fn row_16_an_inner_node_is_no_leaf_of_the_same_tree() {
        let (size, root) = (8, tree(0..8).root());
        // The node over leaves 2 and 3 with what is left of the path of leaf 2.
        let (inner, rest) = (node(1, 1).unwrap(), &path(size, 2)[1..]);
        assert_eq!(root_from(inner, 1, 4, rest), Some(root), "in a tree of another size it would be one");
        for index in 0..size {
            assert_eq!(root_from(inner, index, size, rest), None);
        }
    }
}
