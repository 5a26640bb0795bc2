//! The golden proof: what is made of the golden archive of v1, today as on the day it was written. The file is never
//! written anew.

use std::path::Path;
use std::sync::Arc;

use runtime::SystemClock;
use schemas::{Layout, Place, Seq, Trees, Vkey};
use store::memory::Memory;
use tlog::Chain;

use crate::site::{ORIGIN, included};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/v1").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_golden_archive_gives_the_golden_proof_of_its_first_event() {
    let memory = Memory::new(Arc::new(SystemClock));
    let layout = Layout::of(ORIGIN);
    let put = |key: String, name: &str| drop(memory.lay_over(&key, &golden(name)));
    put(layout.key(&Place::Key(0)), "key-0.note");
    put(layout.key(&Place::Checkpoint(300)), "checkpoint.note");
    put(layout.key(&Place::Trees(300)), "trees.tiles");
    let segment = Trees::parse(&golden("trees.tiles")).unwrap().segment_key;
    put(format!("{}{segment}", layout.root()), "segment.avro");

    let chain = Chain::open(Arc::new(memory), ORIGIN).unwrap();
    let proof = chain.prove(Seq(0), &chain.newest_signed().unwrap()).unwrap();
    assert_eq!(proof, String::from_utf8(golden("event.tlog-proof")).unwrap());
    let vkey = String::from_utf8(golden("vkey.txt")).unwrap();
    let held = included(&golden("event.tlog-proof"), &Vkey::parse(vkey.trim_end()).unwrap());
    assert_eq!(held.event_bytes, golden("event.bin"));
    assert_eq!(held.link.to_bytes().as_slice(), golden("link.bin"));
}
