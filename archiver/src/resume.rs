//! Where to go on: the archive's notes and newest trees file say what is archived, and nothing else does.

use runtime::Failure;
use schemas::{Layout, Place, Trees, first_prev};
use store::{Notes, Store};

use crate::assembly::Assembly;

/// No trees file is read that is larger: 16 million events in one segment.
const MAX_TREES_BYTES: u64 = 1 << 30;

/// The chain as the archive holds it.
pub fn resume(store: &dyn Store, origin: &str) -> Result<Assembly, Failure> {
    let notes = Notes::read(store, origin)?;
    let Some(newest) = &notes.newest else { return Ok(Assembly::begin(origin)) };
    let halt = |why: String| Failure::Halt(format!("{origin}: {why}. Run `sealog verify` on the archive"));
    let (Some(first), Some(vkey)) = (notes.keys.first(), notes.key_at(newest.size)) else {
        return Err(halt("the archive has a Checkpoint but no key note".to_owned()));
    };
    let (tiles, last_hash) = if newest.size == 0 {
        (schemas::Tiles::new(), first_prev(origin, &first.vkey.to_string()))
    } else {
        let key = Layout::of(origin).key(&Place::Trees(newest.size));
        let bytes = store.get(&key, None, None, MAX_TREES_BYTES)?.bytes;
        let trees = Trees::parse(&bytes).map_err(|why| halt(format!("{key}: {why}")))?;
        let tiles = trees.tiles().filter(|tiles| tiles.size() == newest.size);
        let tiles = tiles.ok_or_else(|| halt(format!("{key} is of size {}", trees.size)))?;
        (tiles, trees.last_hash().unwrap_or_default())
    };
    if tiles.tree().root() != newest.root {
        return Err(halt(format!("the trees at size {} have another root than its Checkpoint", newest.size)));
    }
    Ok(Assembly::resume(origin, vkey.clone(), tiles, last_hash))
}
