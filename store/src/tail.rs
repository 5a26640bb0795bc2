//! The end of a chain as its archive holds it: where whoever goes on from the archive begins. The newest note and its
//! trees file say it all, and must agree.

use runtime::Failure;
use schemas::{Checkpoint, Hash, Layout, Place, Tiles, Trees, Vkey, first_prev};

use crate::{Notes, Store};

/// No trees file is read that is larger: 16 million events in one segment.
const MAX_TREES_BYTES: u64 = 1 << 30;

/// The newest that is archived.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Its Checkpoint.
    pub checkpoint: Checkpoint,
    /// The key that signed it.
    pub vkey: Vkey,
    /// The tree at its size.
    pub tiles: Tiles,
    /// The hash of its last link, or what the first link's prev must be.
    pub last_hash: Hash,
    /// Of its last segment; None at size 0.
    pub trees: Option<Trees>,
}

impl Tail {
    /// None if the archive holds no Checkpoint of the chain.
    pub fn read(store: &dyn Store, origin: &str) -> Result<Option<Tail>, Failure> {
        let notes = Notes::read(store, origin)?;
        let Some(checkpoint) = notes.newest.clone() else { return Ok(None) };
        let halt =
            |why: String| Failure::Halt(format!("{origin}: {why}. Run `sealog verify` on the archive"));
        let (Some(first), Some(vkey)) = (notes.keys.first(), notes.key_at(checkpoint.size)) else {
            return Err(halt("the archive has a Checkpoint but no key note".to_owned()));
        };
        let (tiles, last_hash, trees) = if checkpoint.size == 0 {
            (Tiles::new(), first_prev(origin, &first.vkey.to_string()), None)
        } else {
            let (tiles, trees) = read_trees(store, origin, checkpoint.size)?;
            (tiles, trees.last_hash().unwrap_or_default(), Some(trees))
        };
        if tiles.tree().root() != checkpoint.root {
            let size = checkpoint.size;
            return Err(halt(format!("the trees at size {size} have another root than its Checkpoint")));
        }
        Ok(Some(Tail { checkpoint, vkey: vkey.clone(), tiles, last_hash, trees }))
    }
}

/// The trees file that ends at `size`, and the tree there.
pub fn read_trees(store: &dyn Store, origin: &str, size: u64) -> Result<(Tiles, Trees), Failure> {
    let halt = |why: String| Failure::Halt(format!("{origin}: {why}. Run `sealog verify` on the archive"));
    let key = Layout::of(origin).key(&Place::Trees(size));
    let bytes = store.get(&key, None, None, MAX_TREES_BYTES)?.bytes;
    let trees = Trees::parse(&bytes).map_err(|why| halt(format!("{key}: {why}")))?;
    match trees.tiles().filter(|tiles| tiles.size() == size) {
        Some(tiles) => Ok((tiles, trees)),
        None => Err(halt(format!("{key} is of size {}", trees.size))),
    }
}
