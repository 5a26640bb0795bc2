//! What is found by its id where a chain cannot be read, or not to its end.

use clap::Parser;
use runtime::SystemClock;
use schemas::{Layout, Place as In};
use store::memory::Memory;
use tempfile::TempDir;
use verifier::testing::{ChainBuilder, event, events, store_objects};

use super::super::UNREAD;
use super::*;

const ORIGIN: &str = "acme.example/audit/0";

#[derive(Parser)]
struct Given {
    #[command(flatten)]
    prove: Prove,
}

/// Where the event with that id is found, or the exit code and why it is not.
fn find(memory: &Memory, index: &TempDir, id: &str) -> Result<(String, u64), (u8, String)> {
    let args = Given::parse_from(["prove", "here", id, "--index", index.path().to_str().unwrap()]).prove;
    let store: Arc<dyn Store> = Arc::new(memory.clone());
    let origins = verifier::origins(memory).unwrap();
    match by_id(&args, &Place::Folder("here".into()), &store, &origins, id) {
        Ok((chain, seq)) => Ok((chain.origin().to_owned(), seq.0)),
        Err(Ended(code, why)) => Err((code, format!("{why:#}"))),
    }
}

fn at(seq: u64) -> Result<(String, u64), (u8, String)> {
    Ok((ORIGIN.to_owned(), seq))
}

fn archive(chain: &ChainBuilder) -> Memory {
    let memory = Memory::new(Arc::new(SystemClock));
    store_objects(&chain.objects, &memory).unwrap();
    memory
}

#[test]
fn a_chain_that_cannot_be_read_hides_nothing_of_the_others() {
    let index = tempfile::tempdir().unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..300));
    let memory = archive(&chain);
    memory.lay_over(&Layout::of("aaa/0").key(&In::Key(0)), b"junk");
    assert_eq!(find(&memory, &index, "e-7"), at(7));
    let (code, why) = find(&memory, &index, "e-300").unwrap_err();
    assert_eq!(code, NO_PROOF);
    assert!(why.contains(&format!("no event has the id \"e-300\", in {ORIGIN}")), "{why}");
    assert!(why.contains("chain aaa/0 was not looked through: aaa/0/keys/"), "{why}");
    // That it may not be read says nothing about what is in it.
    memory.lay_over_unreadable(&Layout::of("bbb/0").key(&In::Key(0)));
    assert_eq!(find(&memory, &index, "e-7"), at(7));
    assert_eq!(find(&memory, &index, "e-300").unwrap_err().0, UNREAD);
}

#[test]
fn what_was_indexed_is_found_where_a_later_segment_does_not_fit() {
    let index = tempfile::tempdir().unwrap();
    let mut chain = ChainBuilder::begin(ORIGIN, 7);
    chain.seal(events(0..300)).seal(events(300..500));
    let mut records = chain.records_of(1).to_vec();
    records[5].event = event(9_000);
    chain.lay_segment(1, &records);
    let memory = archive(&chain);
    for _ in 0..2 {
        assert_eq!(find(&memory, &index, "e-7"), at(7));
        let (code, why) = find(&memory, &index, "e-400").unwrap_err();
        assert_eq!(code, NO_PROOF);
        assert!(why.contains("the first 300 events alone were looked through"), "{why}");
        assert!(why.contains(&chain.segment_key(1)) && !why.contains("no event has"), "{why}");
    }
    // Its own event is gone: that there is one is known.
    assert!(memory.remove(&chain.segment_key(0)));
    let (code, why) = find(&memory, &index, "e-7").unwrap_err();
    assert_eq!(code, NO_PROOF);
    assert!(
        why.contains("an event with that id stands in chain") && why.contains(&chain.segment_key(0)),
        "{why}"
    );
}
