//! The RFC 6962 Merkle tree, held by its right edge: the roots of its full subtrees, the largest first. One hash for
//! each bit that is set in the size, so 64 at most.

use crate::Hash;

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 65];
    node[1..33].copy_from_slice(left.bytes());
    node[33..].copy_from_slice(right.bytes());
    Hash::of(&[&node])
}

/// A tree that grows to the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    edge: Vec<Hash>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// The tree of that size with that edge. None unless the edge has one hash for each set bit of the size.
    pub fn from_edge(size: u64, edge: Vec<Hash>) -> Option<Tree> {
        (edge.len() == size.count_ones() as usize).then_some(Tree { size, edge })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The right edge.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.edge.pop().unwrap_or_default();
            root = node_hash(&left, &root);
        }
        self.edge.push(root);
        self.size += 1;
    }

    /// The root; of the empty tree SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let mut from_right = self.edge.iter().rev();
        let Some(last) = from_right.next() else { return Hash::of(&[]) };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hex, unhex};

    /// The leaves and roots that certificate-transparency implementations test against.
    #[test]
    fn roots_agree_with_the_published_vectors() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        assert_eq!(tree.root().to_string(), roots[0]);
        for (leaf, root) in leaves.iter().zip(&roots[1..]) {
            tree.push(Hash::of(&[&[0], &unhex(leaf).unwrap()]));
            assert_eq!(hex(tree.root().bytes()), *root, "size {}", tree.size());
        }
    }

    #[test]
    fn a_tree_goes_on_from_its_edge() {
        let mut whole = Tree::new();
        for n in 0..300u64 {
            let mut copy = Tree::from_edge(whole.size(), whole.edge().to_vec()).unwrap();
            whole.push(Hash::of(&[&n.to_be_bytes()]));
            copy.push(Hash::of(&[&n.to_be_bytes()]));
            assert_eq!(copy, whole);
        }
        assert_eq!(Tree::from_edge(3, vec![Hash::default()]), None);
    }
}
