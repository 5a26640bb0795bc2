//! Where to go on: the archive's notes and newest trees file say what is archived, and nothing else does.

use runtime::Failure;
use store::{Store, Tail};

use crate::assembly::Assembly;

/// The chain as the archive holds it.
pub fn resume(store: &dyn Store, origin: &str) -> Result<Assembly, Failure> {
    Ok(match Tail::read(store, origin)? {
        None => Assembly::begin(origin),
        Some(tail) => Assembly::resume(origin, tail.vkey, tail.tiles, tail.last_hash),
    })
}
