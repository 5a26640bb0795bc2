//! Archives that somebody wrote to: what fits the signatures is found under what was laid over it, and what is damaged
//! is named.

use schemas::{Place, Seq, Trees};
use store::memory::Memory;
use tlog::{Chain, Error};
use verifier::testing::{ChainBuilder, events};

use crate::site::{ORIGIN, archive, cut_at, open, proved, segment_key, trees_key};

/// The objects that a proof of seq 300 at size 900 reads.
fn read_for_300(chain: &ChainBuilder) -> Vec<String> {
    vec![
        chain.key(&Place::Key(0)),
        chain.key(&Place::Checkpoint(900)),
        trees_key(chain, 600),
        trees_key(chain, 900),
        segment_key(chain, 300),
    ]
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn what_was_laid_over_the_evidence_or_hides_it_does_not_keep_it_from_being_found() {
    let chain = cut_at(&[200, 600, 900]);
    for key in read_for_300(&chain) {
        let right = &chain.objects[&key];
        let mut laid = vec![Vec::new(), b"junk".to_vec(), right[..right.len() - 1].to_vec()];
        laid.extend([0, 10, right.len() / 2, right.len() - 1].map(|at| changed(right, at)));
        laid.push([right.as_slice(), b"more"].concat());
        for bytes in laid {
            let memory = archive(&chain);
            memory.lay_over(&key, &bytes);
            let held = proved(&open(&memory), 300, 900, &chain.vkey());
            assert_eq!(held.event_bytes, chain.records[300].event, "{key}");
        }
        let memory = archive(&chain);
        memory.hide(&key);
        assert_eq!(proved(&open(&memory), 300, 900, &chain.vkey()).link.seq, Seq(300), "{key}, hidden");
    }
}

#[test]
fn a_false_name_between_the_trees_files_is_passed_over() {
    let mut chain = cut_at(&[200, 600, 900]);
    for (size, bytes) in [(301, b"junk".to_vec()), (599, chain.objects[&trees_key(&chain, 600)].clone())] {
        chain.objects.insert(trees_key(&chain, size), bytes);
    }
    let opened = open(&archive(&chain));
    proved(&opened, 300, 900, &chain.vkey());
    proved(&opened, 300, 600, &chain.vkey());
    assert_eq!(opened.first_covering(300).unwrap().checkpoint.size, 600);
}

fn misfit(memory: &Memory, what: &str) -> String {
    let prove = || {
        let chain = Chain::open(std::sync::Arc::new(memory.clone()), ORIGIN)?;
        chain.prove(Seq(300), &chain.signed(900)?)
    };
    match prove() {
        Err(Error::Misfit { key, .. }) => key,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn what_does_not_lead_to_the_signed_root_is_named() {
    let chain = cut_at(&[200, 600, 900]);
    // Of some the beginning, for not all of them is read.
    for (nth, key) in read_for_300(&chain).into_iter().enumerate() {
        let memory = archive(&chain);
        assert!(memory.damage(&key, |bytes| {
            let at = if nth < 2 || key == trees_key(&chain, 900) { bytes.len() - 1 } else { 10 };
            bytes[at] ^= 1;
        }));
        assert_eq!(misfit(&memory, &key), key);
    }
}

#[test]
fn a_tile_or_an_event_that_was_exchanged_is_named_even_where_all_the_rest_fits() {
    let mut chain = cut_at(&[200, 600, 900]);
    chain.change_trees(1, |trees: &mut Trees| trees.completed[1].hashes[44].0[0] ^= 1);
    assert_eq!(misfit(&archive(&chain), "a leaf"), trees_key(&chain, 600));

    let mut chain = cut_at(&[200, 600, 900]);
    let mut records = chain.records_of(1).to_vec();
    records[100] = ChainBuilder::record(&cut_at(&[200]), records[101].event.clone(), |link| {
        *link = records[100].link;
        link.event_hash = records[101].link.event_hash;
    });
    chain.lay_segment(1, &records);
    assert_eq!(misfit(&archive(&chain), "an event"), segment_key(&chain, 300));
}

#[test]
fn two_histories_that_one_key_signed_give_no_consistency_proof() {
    let (chain, mut other) = (cut_at(&[200, 600, 900]), cut_at(&[200]));
    other.seal(events(1_000..1_400));
    let opened = open(&archive(&chain));
    let kept = opened.open_note(&other.note(600)).unwrap();
    let new = opened.signed(900).unwrap();
    assert!(matches!(opened.prove_consistency(&kept, &new), Err(Error::Misfit { .. })));
    let kept = opened.open_note(&other.note(200)).unwrap();
    opened.prove_consistency(&kept, &new).unwrap();
    assert!(opened.open_note(&ChainBuilder::begin(ORIGIN, 9).sign().into_bytes()).is_err(), "another key's");
}
