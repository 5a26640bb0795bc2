//! Consistency of two RFC 6962 trees: that the larger one begins with all of the smaller one. Functions of hashes alone.

use schemas::{Hash, node_hash};

use crate::proof::{half, root_of};

/// The hashes that show it. None if `old` is larger than `new`. `node` is as for [`inclusion`](crate::proof::inclusion).
pub fn consistency<E>(
    old: u64,
    new: u64,
    node: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old > new {
        return Ok(None);
    }
    let (mut path, mut low, mut high) = (Vec::new(), 0, new);
    if old == 0 || old == new {
        return Ok(Some(path));
    }
    // Down to the place where the old tree ends.
    while high != old {
        let middle = low + half(high - low);
        if old <= middle {
            path.push(root_of(middle, high, node)?);
            high = middle;
        } else {
            path.push(root_of(low, middle, node)?);
            low = middle;
        }
    }
    // The old root stands for itself where the old tree is a whole subtree of the new one.
    if low > 0 {
        path.push(root_of(low, high, node)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// Whether these hashes show that a tree of size `new` begins with all of a tree of size `old`.
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return path.is_empty() && old_root == Hash::of(&[]);
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at % 2 == 1 {
        (at, last) = (at / 2, last / 2);
    }
    // A whole subtree begins with its own root, which the path leaves out.
    let (first, path) = match (at, path) {
        (0, path) => (old_root, path),
        (_, [first, path @ ..]) => (*first, path),
        (_, []) => return false,
    };
    let (mut in_old, mut in_new) = (first, first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        while at == last && at % 2 == 0 {
            (at, last) = (at / 2, last / 2);
        }
        if at % 2 == 1 {
            (in_old, in_new) = (node_hash(sibling, &in_old), node_hash(sibling, &in_new));
        } else {
            in_new = node_hash(&in_new, sibling);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && in_old == old_root && in_new == new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::{node, tree};

    fn path(old: u64, new: u64) -> Vec<Hash> {
        consistency(old, new, &mut node).unwrap().unwrap()
    }

    fn head(size: u64) -> (u64, Hash) {
        (size, tree(0..size).root())
    }

    #[test]
    fn each_tree_begins_with_each_smaller_one() {
        for new in 0..70 {
            for old in 0..=new {
                assert!(is_consistent(head(old), head(new), &path(old, new)), "{old} in {new}");
            }
            assert_eq!(consistency(new + 1, new, &mut node).unwrap(), None);
        }
    }

    #[test]
    fn nothing_else_is_shown_by_those_hashes() {
        let other = Hash([7; 32]);
        for new in 1..40 {
            for old in 0..new {
                let good = path(old, new);
                let heads = (head(old), head(new));
                assert!(!is_consistent((old, other), heads.1, &good), "another old root, {old} in {new}");
                if old > 0 {
                    assert!(!is_consistent(heads.0, (new, other), &good), "another new root, {old} in {new}");
                }
                assert!(!is_consistent(heads.1, heads.0, &good), "the other way round");
                let too_many = [good.as_slice(), &[other]].concat();
                assert!(!is_consistent(heads.0, heads.1, &too_many), "{old} in {new}");
                for nth in 0..good.len() {
                    let mut changed = good.clone();
                    changed[nth] = other;
                    assert!(!is_consistent(heads.0, heads.1, &changed), "{old} in {new}, hash {nth}");
                    assert!(!is_consistent(heads.0, heads.1, &good[..nth]), "{old} in {new}, too few");
                }
            }
        }
    }
}
