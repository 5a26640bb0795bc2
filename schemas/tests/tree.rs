//! The tree and its tiles against another implementation of the same specifications.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

use schemas::tiles::Tile;
use schemas::{Hash, Tiles, Tree, node_hash};
use tlog_tiles::{Hash as OtherHash, HashReader, Tile as OtherTile, TileHashReader, TileReader};

/// The other implementation's store of hashes.
#[derive(Default)]
struct Stored(Vec<OtherHash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<OtherHash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Stored {
    fn push(&mut self, n: u64, leaf: Hash) {
        let more = tlog_tiles::stored_hashes_for_record_hash(n, OtherHash(leaf.0), self).unwrap();
        self.0.extend(more);
    }

    fn root(&self, size: u64) -> Hash {
        Hash(tlog_tiles::tree_hash(size, self).unwrap().0)
    }
}

/// Our tiles, as a tile server would hand them out at one size.
struct Served {
    full: Vec<Tile>,
    partial: Vec<Vec<Hash>>,
}

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[OtherTile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let hashes = |tile: &OtherTile| {
            let is_it = |t: &&Tile| (t.level, t.index) == (tile.level(), tile.level_index());
            let hashes = match self.full.iter().find(is_it) {
                Some(full) => &full.hashes,
                None => &self.partial[usize::from(tile.level())],
            };
            hashes[..tile.width() as usize].iter().flat_map(|hash| hash.0).collect()
        };
        Ok(tiles.iter().map(hashes).collect())
    }

    fn save_tiles(&self, _: &[OtherTile], _: &[Vec<u8>]) {}
}

fn leaf(n: u64) -> Hash {
    Hash::of(&[b"leaf", &n.to_be_bytes()])
}

const SIZE: u64 = 70_000;
/// Around every width at which a tile or a level begins or ends.
const SIZES: [u64; 12] =
    [1_023, 1_024, 1_025, 4_096, 32_767, 32_768, 65_535, 65_536, 65_537, 65_792, 69_999, SIZE];

#[test]
fn roots_tiles_and_proofs_agree_with_another_implementation() {
    let (mut tree, mut tiles, mut other) = (Tree::new(), Tiles::new(), Stored::default());
    assert_eq!(tree.root(), other.root(0));
    let mut full = Vec::new();
    for n in 0..SIZE {
        tree.push(leaf(n));
        tiles.push(leaf(n));
        other.push(n, leaf(n));
        full.append(&mut tiles.take_completed());
        let size = n + 1;
        if size <= 1_000 || SIZES.contains(&size) {
            assert_eq!(tree.root(), other.root(size), "root at size {size}");
            let again = Tree::from_edge(size, tree.edge().to_vec()).unwrap();
            assert_eq!(again.root(), tree.root());
        }
        if SIZES.contains(&size) {
            tiles_are_the_other_implementation_s(&full, tiles.partial(), &other, size);
            proofs_hold(&Served { full: full.clone(), partial: tiles.partial().to_vec() }, size, tree.root());
        }
    }
    assert_eq!(full.len(), 273 + 1);
}

fn tiles_are_the_other_implementation_s(full: &[Tile], partial: &[Vec<Hash>], other: &Stored, size: u64) {
    let expected = OtherTile::new_tiles(8, 0, size);
    let partials = partial.iter().filter(|tile| !tile.is_empty()).count();
    assert_eq!(full.len() + partials, expected.len(), "tiles at size {size}");
    let served = Served { full: full.to_vec(), partial: partial.to_vec() };
    for tile in &expected {
        let data = served.read_tiles(std::slice::from_ref(tile)).unwrap();
        assert_eq!(data[0], tile.read_data(other).unwrap(), "tile {} at size {size}", tile.path());
    }
}

/// A stock client proves and checks inclusion, and consistency with an earlier size, from our tiles and root alone.
fn proofs_hold(served: &Served, size: u64, root: Hash) {
    let reader = TileHashReader::new(size, OtherHash(root.0), served);
    for n in [0, 1, 255, 256, size / 2, size - 1] {
        let proof = tlog_tiles::prove_record(size, n, &reader).unwrap();
        tlog_tiles::check_record(&proof, size, OtherHash(root.0), n, OtherHash(leaf(n).0)).unwrap();
        let another = OtherHash(leaf(n + 1).0);
        assert!(tlog_tiles::check_record(&proof, size, OtherHash(root.0), n, another).is_err());
    }
    let mut early = Tree::new();
    (0..300).for_each(|n| early.push(leaf(n)));
    let proof = tlog_tiles::prove_tree(size, 300, &reader).unwrap();
    tlog_tiles::check_tree(&proof, size, OtherHash(root.0), 300, OtherHash(early.root().0)).unwrap();
}

#[test]
fn an_inner_node_is_the_other_implementation_s() {
    let other = tlog_tiles::node_hash(OtherHash(leaf(1).0), OtherHash(leaf(2).0));
    assert_eq!(node_hash(&leaf(1), &leaf(2)).0, other.0);
}
