//! Where to go on: the archive's notes and newest trees file say what is archived, and nothing else does.

use runtime::Failure;
use store::{Notes, NotesError, Store, Tail};
use tracing::warn;

use crate::assembly::Assembly;

/// The chain as the archive holds it. With `lay_over` an archive whose notes are none holds nothing yet: what is due is
/// laid over them.
pub fn resume(store: &dyn Store, origin: &str, lay_over: bool) -> Result<Assembly, Failure> {
    let notes = match Notes::read(store, origin) {
        Err(why @ NotesError::Malformed { .. }) if lay_over => {
            warn!("{why}: goes on as if nothing were archived");
            return Ok(Assembly::begin(origin));
        }
        other => other?,
    };
    for key in &notes.hidden {
        warn!("{key} is hidden below something else, or was never signed: run `sealog archive repair`");
    }
    Ok(match Tail::of(&notes, store, origin)? {
        None => Assembly::begin(origin),
        Some(tail) => Assembly::resume(origin, tail.vkey, tail.tiles, tail.last_hash),
    })
}
