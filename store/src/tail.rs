//! The end of a chain as its archive holds it: where whoever goes on from the archive begins. The newest note and its
//! trees file say it all, and must agree.

use std::collections::HashMap;

use runtime::Failure;
use schemas::tiles::TILE_WIDTH;
use schemas::{Checkpoint, Hash, Layout, Malformed, Place, Tiles, Tree, Trees, Vkey, first_prev};

use crate::versions::fitting;
use crate::{Error, Kind, Notes, Store};

/// No trees file is read that is larger: 16 million events in one segment.
pub const MAX_TREES_BYTES: u64 = 1 << 30;

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
        Tail::of(&Notes::read(store, origin)?, store, origin)
    }

    /// The end that these notes speak of. None if they have no Checkpoint.
    pub fn of(notes: &Notes, store: &dyn Store, origin: &str) -> Result<Option<Tail>, Failure> {
        notes.newest.clone().map(|newest| Tail::with(notes, store, origin, newest)).transpose()
    }

    /// The same at an earlier Checkpoint. None if the archive has none of that size.
    pub fn at(notes: &Notes, store: &dyn Store, origin: &str, size: u64) -> Result<Option<Tail>, Failure> {
        let checkpoint = notes.checkpoint_at(store, origin, size)?;
        checkpoint.map(|checkpoint| Tail::with(notes, store, origin, checkpoint)).transpose()
    }

    fn with(notes: &Notes, store: &dyn Store, origin: &str, checkpoint: Checkpoint) -> Result<Tail, Failure> {
        let (Some(first), Some(vkey)) = (notes.keys.first(), notes.key_at(checkpoint.size)) else {
            let what = "the archive has a Checkpoint but no key note. Run `sealog verify` on the archive";
            return Err(Failure::Halt(format!("{origin}: {what}")));
        };
        let (tiles, last_hash, trees) = if checkpoint.size == 0 {
            (Tiles::new(), first_prev(origin, &first.vkey.to_string()), None)
        } else {
            let (tiles, trees) = read_trees(store, &checkpoint)?;
            (tiles, trees.last_hash().unwrap_or_default(), Some(trees))
        };
        Ok(Tail { checkpoint, vkey: vkey.clone(), tiles, last_hash, trees })
    }
}

/// The trees file that ends with this Checkpoint, and the tree there. Whatever lies over it, it is known by the root.
pub fn read_trees(store: &dyn Store, checkpoint: &Checkpoint) -> Result<(Tiles, Trees), Failure> {
    let key = Layout::of(&checkpoint.origin).key(&Place::Trees(checkpoint.size));
    let mut misfit = None;
    let found = fitting(store, &key, MAX_TREES_BYTES, |object| match fits(&object.bytes, checkpoint) {
        Ok(fitting) => Some(fitting),
        Err(why) => {
            misfit.get_or_insert(why);
            None
        }
    })?;
    match (found, misfit) {
        (Some((_, fitting)), _) => Ok(fitting),
        (None, Some(why)) => {
            Err(Failure::Halt(format!("{key}: {}. Run `sealog verify` on the archive", why.what)))
        }
        (None, None) => Err(Error::new(Kind::Missing, &key, "there is no such object").into()),
    }
}

/// Reads a trees file that has the Checkpoint's size and root, each of its hashes bound to that root.
pub fn fits(file: &[u8], checkpoint: &Checkpoint) -> Result<(Tiles, Trees), Malformed> {
    let no = |why| Malformed::new("trees file", 0, why);
    let trees = Trees::parse(file)?;
    let tiles = trees.tiles().filter(|tiles| tiles.size() == checkpoint.size);
    let tiles = tiles.ok_or_else(|| no("it is of another size than its name says"))?;
    if tiles.tree().root() != checkpoint.root {
        return Err(no("it has another root than the Checkpoint of its size"));
    }
    // The root binds the partial tiles, they and the tiles above bind each completed one.
    let above: HashMap<(u8, u64), &[Hash]> =
        trees.completed.iter().map(|tile| ((tile.level, tile.index), tile.hashes.as_slice())).collect();
    for tile in &trees.completed {
        let (level, index) = (tile.level + 1, tile.index / TILE_WIDTH as u64);
        let partial = trees.partial.get(usize::from(level)).map(Vec::as_slice);
        let parent = above.get(&(level, index)).copied().or(partial).unwrap_or_default();
        let mut tree = Tree::new();
        tile.hashes.iter().for_each(|hash| tree.push(*hash));
        if parent.get((tile.index % TILE_WIDTH as u64) as usize) != Some(&tree.root()) {
            return Err(no("its tiles do not fit together"));
        }
    }
    Ok((tiles, trees))
}

#[cfg(test)]
mod tests;
