//! Rows 23 to 27: how the evidence is kept, and what cannot be read. The evidence itself is whole.

use std::time::Duration;

use schemas::{Place, Trees, event_schema_hash};
use store::{Kind, Mode, Retention};

use super::{Act, CHAIN_0, Case, Locked, PROMISED, both, chain_0, chain_1};
use crate::testing::{ChainBuilder, event};
use crate::{Check, Promise};

/// The keys of one object of every kind.
fn every_kind(zero: &ChainBuilder) -> [String; 6] {
    let schema = Place::Schema(event_schema_hash());
    let [key, zero_note, note, schema] =
        [Place::Key(0), Place::Checkpoint(0), Place::Checkpoint(300), schema].map(|place| zero.key(&place));
    [key, zero_note, note, schema, zero.segment_key(1), zero.trees_key(1)]
}

/// Over every kind of object, over all of them, and over nothing.
pub fn row_23_delete_markers() -> Vec<Case> {
    let zero = chain_0();
    let mut cases: Vec<Case> = every_kind(&zero)
        .map(|key| {
            let what = format!("over {key}");
            Case::of(&what, &zero).at_risk(Check::Hidden, &key).in_bucket([Act::Hide(key)])
        })
        .into();
    let (all, nothing) = (zero.objects.keys().cloned().map(Act::Hide), format!("{CHAIN_0}7/trees/"));
    let nothing = nothing + &Place::Trees(5).path()["trees/".len()..];
    cases.extend([
        Case::of("over all of a chain", &zero).at_risk(Check::Hidden, "").in_bucket(all),
        Case::of("all that is left of a chain", &zero)
            .at_risk(Check::Hidden, &nothing)
            .in_bucket([Act::Hide(nothing.clone())]),
        Case::after("over a segment that is gone", |zero| drop(zero.objects.remove(&zero.segment_key(1))))
            .broken(Check::SegmentMissing, &zero.segment_key(1), (300, 304))
            .and(&[Check::Hidden])
            .in_bucket([Act::Hide(zero.segment_key(1))]),
    ]);
    cases
}

/// Junk, what fits in all but one place, and the evidence itself over junk.
pub fn row_24_newer_versions_laid_over() -> Vec<Case> {
    let zero = chain_0();
    let laid =
        |what: &str, acts: Vec<Act>| Case::of(what, &zero).at_risk(Check::LaidOver, "").in_bucket(acts);
    let mut cases = Vec::new();
    for key in every_kind(&zero) {
        for (what, bytes) in [("junk", b"junk".to_vec()), ("the same bytes", zero.objects[&key].clone())] {
            let acts = vec![Act::LayOver(key.clone(), bytes)];
            cases.push(laid(&format!("{what} over {key}"), acts).at_risk(Check::LaidOver, &key));
        }
    }
    let stranger = ChainBuilder::begin(CHAIN_0, 9).objects;
    let key_note = zero.key(&Place::Key(0));
    let changed = |change: fn(&mut Trees)| {
        let mut damaged = chain_0();
        damaged.change_trees(0, change);
        vec![Act::LayOver(zero.trees_key(0), damaged.objects[&zero.trees_key(0)].clone())]
    };
    let mut other = chain_0();
    let mut records = other.records_of(1).to_vec();
    records[1].event = event(99_999);
    other.lay_segment(1, &records);
    let both_of_it = [other.segment_key(1), other.trees_key(1)];
    let both_of_it = both_of_it.map(|key| Act::LayOver(key.clone(), other.objects[&key].clone()));
    let hint = zero.key(&Place::Hint);
    let mut below = chain_0();
    below.objects.insert(zero.segment_key(1), b"junk, before the archiver came".to_vec());
    let evidence = Act::LayOver(zero.segment_key(1), zero.objects[&zero.segment_key(1)].clone());
    cases.extend([
        laid(
            "another segment",
            vec![Act::LayOver(zero.segment_key(1), zero.objects[&zero.segment_key(2)].clone())],
        ),
        laid("a stranger's key note", vec![Act::LayOver(key_note.clone(), stranger[&key_note].clone())]),
        laid("a trees file with another digest", changed(|trees| trees.segment_sha256.0[0] ^= 1)),
        laid("a trees file with another segment's name", changed(|trees| trees.segment_key.push('x'))),
        laid("a trees file with another inner hash", changed(|trees| trees.completed[0].hashes[3].0[0] ^= 1)),
        laid("a segment with another event, and a trees file to match", both_of_it.into()),
        laid("junk over `checkpoint`", vec![Act::LayOver(hint, b"junk".to_vec())]),
        Case::of("the evidence over junk", &below).at_risk(Check::LaidOver, "").in_bucket([evidence]),
    ]);
    cases
}

/// Every object is locked alike.
pub fn row_25_locks_missing_liftable_or_short() -> Vec<Case> {
    let (zero, day) = (chain_0(), Duration::from_secs(86_400));
    let short = Retention { period: day, ..PROMISED };
    let liftable = Retention { mode: Mode::Governance, ..PROMISED };
    let long = Retention { period: 1_000 * day, ..liftable };
    let kept = |what: &str, with: Option<Retention>, promise: Promise| {
        let mut case = Case::of(what, &zero);
        case.bucket = Some(Locked { with, promise });
        case
    };
    let told = Promise::Told(PROMISED);
    vec![
        kept("as was promised", Some(PROMISED), told),
        kept(
            "longer and harder than was promised",
            Some(PROMISED),
            Promise::Told(Retention { period: day, ..liftable }),
        ),
        kept("too short", Some(short), told).at_risk(Check::LockShort, ""),
        kept("liftable", Some(liftable), told).at_risk(Check::LockMode, ""),
        kept("both", Some(Retention { period: day, ..liftable }), told)
            .at_risk(Check::LockMode, "")
            .and(&[Check::LockShort]),
        kept("missing", None, told).at_risk(Check::LockMissing, ""),
        kept("missing, and nobody promised any", None, Promise::Nobody).at_risk(Check::LockMissing, ""),
        kept("ended, and nobody promised when", Some(PROMISED), Promise::Nobody)
            .at_risk(Check::LockMissing, ""),
        kept("any will do where nobody promised more", Some(long), Promise::Nobody),
        kept("not to be seen", Some(PROMISED), Promise::Unseen).inconclusive(Check::Readable),
    ]
}

/// Beside the archive and inside it.
pub fn row_26_objects_that_the_layout_does_not_know() -> Vec<Case> {
    let strange =
        ["README", "elsewhere/checkpoint", "acme.example/audit/0/trees/300.tiles"].map(str::to_owned);
    let backup = chain_0().segment_key(0) + ".bak";
    let schema = "acme.example/audit/0/schemas/none.avsc".to_owned();
    let mut cases = Vec::new();
    for key in strange.into_iter().chain([backup, schema]) {
        let with = || Case::after(&key, |zero| drop(zero.objects.insert(key.clone(), b"?".to_vec())));
        cases.push(with().at_risk(Check::Layout, &key));
        cases.push(with().at_risk(Check::Layout, &key).in_bucket([]));
    }
    cases.push(Case::after("folders that are kept free", |zero| {
        for key in ["acme.example/audit/0/probe/x/checkpoint", "acme.example/audit/0/cosignatures/w/1"] {
            zero.objects.insert(key.to_owned(), b"?".to_vec());
        }
    }));
    cases
}

/// Whatever is listed and does not come, however it fails.
pub fn row_27_what_cannot_be_read() -> Vec<Case> {
    let zero = chain_0();
    let whole = both(&zero, &chain_1());
    let mut cases = Vec::new();
    let parts =
        ["/0/segments/", "/0/trees/", "/0/checkpoints/", "/0/keys/", "/schemas/", "/0/checkpoint", "acme"];
    for part in parts {
        for kind in [Kind::Away, Kind::Missing, Kind::Refused] {
            let mut case =
                Case::new(&format!("{part} {kind:?}"), whole.clone()).inconclusive(Check::Readable);
            case.withheld = Some((part, kind));
            cases.push(case.clone());
            cases.push(case.pinned(zero.vkey()).known(zero.note(300)).known(zero.note(565)));
        }
    }
    // What is broken elsewhere counts for more.
    let mut broken = chain_0();
    broken.change_trees(0, |trees| trees.segment_sha256.0[0] ^= 1);
    let mut case = Case::of("one part away, another broken", &broken)
        .broken(Check::SegmentDigest, &zero.segment_key(0), (0, 299))
        .and(&[Check::Readable]);
    case.withheld = Some(("/1/segments/", Kind::Away));
    cases.push(case);
    // And that counts for more than custody.
    let mut case = Case::after("one part away, and a strange object", |zero| {
        zero.objects.insert("README".to_owned(), b"?".to_vec());
    })
    .inconclusive(Check::Readable)
    .and(&[Check::Layout]);
    case.withheld = Some(("/1/segments/", Kind::Away));
    cases.push(case);
    cases
}
