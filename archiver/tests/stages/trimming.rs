//! What the trimmer lets go of, and what it keeps.

use std::sync::Arc;
use std::time::Duration;

use archiver::{GROUP, KeepEvents, Trimmer, TrimmerMetrics};
use prometheus::Registry;
use runtime::{Failure, ManualClock, Stop, SystemClock};
use schemas::{Checkpoint, Head, Layout, Micros, Place, Tree};
use store::Store;
use stream::{Batch, Limit, Log, topics};

use crate::rig::{ORIGIN, metric, signing};
use crate::{WatchedRig, a_rig, archive, archived, halts, position, seal, set_position};

const HOUR: Duration = Duration::from_secs(3_600);
const SIEM: &str = "siem";

/// A trimmer as `up` has it, and its metrics.
fn a_trimmer(rig: &WatchedRig) -> (Trimmer, Registry) {
    let registry = Registry::new();
    let trimmer = Trimmer {
        stream: rig.stream.clone(),
        store: Arc::new(rig.store.clone()),
        origin: ORIGIN.to_owned(),
        clock: rig.clock.clone(),
        chains: 1,
        trim_after: None,
        keep_events: None,
        wait_for: Vec::new(),
        keep_rejected: None,
        metrics: TrimmerMetrics::register(&registry).unwrap(),
    };
    (trimmer, registry)
}

/// Trims once.
fn trim(trimmer: &Trimmer) -> Result<(), Failure> {
    let stop = Stop::new();
    stop.set();
    trimmer.run(&stop)
}

/// A chain of 25 events and some, all archived, and more that is only sealed.
fn a_rig_with_archived_events() -> WatchedRig {
    let rig = a_rig(Arc::new(SystemClock));
    rig.append(0, 0..25);
    rig.run().unwrap();
    rig.append(0, 25..40);
    seal(&rig);
    rig
}

/// Where the Head stands that ends what is archived, and what it says.
fn archived_head(rig: &WatchedRig) -> (u64, Head) {
    let offset = position(rig, GROUP, &topics::sealed(0)).unwrap() - 1;
    let mut batch = Batch::new();
    let one = Limit { records: 1, bytes: 1 };
    rig.stream.read(&topics::sealed(0), offset, &mut batch, one, Duration::ZERO).unwrap();
    (offset, Head::parse(batch.get(0).unwrap().value.unwrap()).unwrap())
}

/// The first offsets that audit.sealed and audit.events hold.
fn starts(rig: &WatchedRig) -> (u64, u64) {
    (rig.stream.start_of(&topics::sealed(0)), rig.stream.start_of(&topics::events(0)))
}

#[test]
fn what_is_archived_goes_but_for_what_the_chain_is_opened_with() {
    let rig = a_rig_with_archived_events();
    let (offset, head) = archived_head(&rig);
    let (trimmer, registry) = a_trimmer(&rig);
    trim(&trimmer).unwrap();
    assert_eq!(starts(&rig), (offset, head.source_position - 1));
    let told = |topic| metric(&registry, "sealog_trimmer_trimmed_offset", Some(topic));
    assert_eq!(told(topics::SEALED), Some(offset as f64));
    assert_eq!(told(topics::EVENTS), Some((head.source_position - 1) as f64));
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size(), "what was not archived is still there");
    trim(&trimmer).unwrap();
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size(), "the chain is opened and gone on with");
}

#[test]
fn nothing_goes_that_the_archive_does_not_hold_whatever_the_position_says() {
    let rig = a_rig_with_archived_events();
    let (offset, head) = archived_head(&rig);
    let (mut trimmer, registry) = a_trimmer(&rig);
    let held = || metric(&registry, "sealog_trimmer_held", Some("the archive"));
    trimmer.store = Arc::new(store::memory::Memory::new(rig.clock.clone()));
    trim(&trimmer).unwrap();
    assert_eq!((starts(&rig), held()), ((0, 0), Some(1.0)), "another archive");

    trimmer.store = Arc::new(rig.store.clone());
    let key = Layout::of(&rig.chain()).key(&Place::Checkpoint(head.size()));
    let note = rig.store.get(&key, None, None, 1 << 20).unwrap().bytes;
    assert!(rig.store.remove(&key));
    trim(&trimmer).unwrap();
    assert_eq!((starts(&rig), held()), ((0, 0), Some(1.0)), "an archive that is behind");

    rig.store.lay_over(&key, &note);
    trim(&trimmer).unwrap();
    assert_eq!((starts(&rig), held()), ((offset, head.source_position - 1), Some(0.0)));
}

#[test]
fn an_archive_of_another_history_halts_before_anything_goes() {
    let rig = a_rig_with_archived_events();
    let (_, head) = archived_head(&rig);
    let other = Checkpoint { origin: rig.chain(), size: head.size(), root: Tree::new().root() };
    let key = Layout::of(&rig.chain()).key(&Place::Checkpoint(head.size()));
    rig.store.lay_over(&key, other.sign(&signing()).as_bytes());
    halts(trim(&a_trimmer(&rig).0), "is not this chain's");
    assert_eq!(starts(&rig), (0, 0));
}

#[test]
fn an_archive_that_has_gone_on_since_is_asked_for_the_very_cut() {
    let rig = a_rig_with_archived_events();
    let (offset, _) = archived_head(&rig);
    archive(&rig).unwrap();
    // As if the archiver's last position had been lost.
    set_position(&rig, GROUP, &topics::sealed(0), offset + 1);
    trim(&a_trimmer(&rig).0).unwrap();
    assert_eq!(starts(&rig).0, offset);
}

#[test]
fn an_archive_that_is_away_is_asked_again() {
    let rig = a_rig_with_archived_events();
    let (trimmer, registry) = a_trimmer(&rig);
    rig.store.set_away(true);
    trim(&trimmer).unwrap();
    assert_eq!(starts(&rig), (0, 0));
    assert_eq!(metric(&registry, "sealog_trimmer_failures_total", None), Some(1.0));
    rig.store.set_away(false);
    trim(&trimmer).unwrap();
    assert_eq!(starts(&rig).0, archived_head(&rig).0);
}

#[test]
fn at_a_position_that_is_no_cut_nothing_is_trimmed() {
    let rig = a_rig_with_archived_events();
    let (offset, _) = archived_head(&rig);
    set_position(&rig, GROUP, &topics::sealed(0), offset - 1);
    trim(&a_trimmer(&rig).0).unwrap();
    assert_eq!(starts(&rig), (0, 0));
    set_position(&rig, GROUP, &topics::sealed(0), offset + 1);
    trim(&a_trimmer(&rig).0).unwrap();
    assert_ne!(starts(&rig), (0, 0), "it trims again once the archiver has archived");
}

#[test]
fn records_younger_than_the_window_stay() {
    let clock = Arc::new(ManualClock::at(Micros(1_795_262_400_000_000)));
    let rig = a_rig(clock.clone());
    for round in 0..8 {
        rig.append(0, round * 20..(round + 1) * 20);
        rig.run().unwrap();
        clock.pass(HOUR);
    }
    let (head_offset, head) = archived_head(&rig);
    let mut all = Batch::new();
    let everything = Limit { records: usize::MAX, bytes: usize::MAX };
    rig.stream.read(&topics::sealed(0), 0, &mut all, everything, Duration::ZERO).unwrap();
    let now_ms = rig.clock.wall().0 / 1_000;
    let mut kept = Vec::new();
    for window in [10 * HOUR, 8 * HOUR, 7 * HOUR + HOUR / 2, 3 * HOUR, 2 * HOUR - HOUR / 4, Duration::ZERO] {
        let (mut trimmer, _) = a_trimmer(&rig);
        trimmer.trim_after = Some(window);
        rig.stream.reads();
        trim(&trimmer).unwrap();
        let reads = rig.stream.reads();
        assert!(reads <= 3 + u64::from(usize::BITS - all.len().leading_zeros()), "{reads} reads");
        let (start, events_start) = starts(&rig);
        assert_eq!(events_start, head.source_position - 1, "audit.events has no window");
        assert!(start <= head_offset, "{window:?}: the Head that ends what is archived went");
        for record in all.iter().filter(|record| record.offset < head_offset) {
            let is_young = record.time_ms >= now_ms - window.as_millis() as i64;
            assert_eq!(record.offset >= start, is_young, "{window:?}: offset {}", record.offset);
        }
        kept.push(start);
    }
    assert!(kept[0] == 0 && kept.is_sorted() && *kept.last().unwrap() == head_offset, "{kept:?}");
    rig.append(0, 160..165);
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size());
}

/// Where audit.events begins once a trimmer that keeps this much of it has trimmed, and where it could begin.
fn kept(rig: &WatchedRig, keep: KeepEvents) -> (u64, u64) {
    let (mut trimmer, _) = a_trimmer(rig);
    trimmer.keep_events = Some(keep);
    trim(&trimmer).unwrap();
    (starts(rig).1, archived_head(rig).1.source_position - 1)
}

const UNLIMITED: KeepEvents = KeepEvents { time: HOUR, records: u64::MAX, bytes: None };

#[test]
fn events_stay_for_a_time_after_they_were_archived() {
    let clock = Arc::new(ManualClock::at(Micros(1_795_262_400_000_000)));
    let rig = a_rig(clock.clone());
    for round in 0..4 {
        rig.append(0, round * 20..(round + 1) * 20);
        rig.run().unwrap();
        clock.pass(HOUR);
    }
    assert_eq!(kept(&rig, KeepEvents { time: 4 * HOUR, ..UNLIMITED }), (0, 79));
    assert_eq!(kept(&rig, KeepEvents { time: 5 * HOUR / 2, ..UNLIMITED }), (40, 79));
    assert_eq!(kept(&rig, KeepEvents { time: HOUR / 2, ..UNLIMITED }), (79, 79), "all are older");
    rig.append(0, 80..90);
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size());
}

#[test]
fn of_events_stays_no_more_than_so_many_and_so_much() {
    let rig = a_rig(Arc::new(SystemClock));
    rig.append(0, 0..2_000);
    rig.run().unwrap();
    assert_eq!(kept(&rig, UNLIMITED), (0, 1_999));
    assert_eq!(kept(&rig, KeepEvents { bytes: Some(1 << 40), ..UNLIMITED }), (0, 1_999));
    assert_eq!(kept(&rig, KeepEvents { records: 1_500, ..UNLIMITED }), (499, 1_999));
    // All of them are of about one size.
    let mut batch = Batch::new();
    rig.stream
        .read(&topics::events(0), 500, &mut batch, Limit { records: 1, bytes: 1 }, Duration::ZERO)
        .unwrap();
    let one = batch.get(0).unwrap().value.unwrap().len() as u64 + 100;
    let (start, until) = kept(&rig, KeepEvents { bytes: Some(500 * one), ..UNLIMITED });
    assert!((until - start).abs_diff(500) < 50, "{start} to {until}");
    assert_eq!(kept(&rig, KeepEvents { records: 10, bytes: Some(500 * one), ..UNLIMITED }), (1_989, 1_999));
    rig.append(0, 2_000..2_010);
    rig.run().unwrap();
    assert_eq!(archived(&rig), rig.size());
}

#[test]
fn an_archive_under_another_key_halts_before_anything_goes() {
    let rig = a_rig_with_archived_events();
    let (_, head) = archived_head(&rig);
    let store = store::memory::Memory::new(rig.clock.clone());
    let stranger = schemas::Signing::from_seed(&[8; 32]);
    let layout = Layout::of(&rig.chain());
    let note = schemas::KeyNote { first_size: 0, vkey: stranger.vkey(&rig.chain()) }.sign(&stranger, None);
    let end = Checkpoint { origin: rig.chain(), size: head.size(), root: head.tree.root() }.sign(&stranger);
    store.lay_over(&layout.key(&Place::Key(0)), note.as_bytes());
    store.lay_over(&layout.key(&Place::Checkpoint(head.size())), end.as_bytes());
    let (mut trimmer, _) = a_trimmer(&rig);
    trimmer.store = Arc::new(store);
    halts(trim(&trimmer), "the archive's key is not the log's");
    assert_eq!(starts(&rig), (0, 0));
}

#[test]
fn a_group_that_is_waited_for_keeps_what_it_has_not_read() {
    let rig = a_rig_with_archived_events();
    let (offset, head) = archived_head(&rig);
    let (mut trimmer, registry) = a_trimmer(&rig);
    trimmer.wait_for = vec![SIEM.to_owned(), "lake".to_owned()];
    let held = |group| metric(&registry, "sealog_trimmer_held", Some(group));
    set_position(&rig, "lake", &topics::sealed(0), 9);
    trim(&trimmer).unwrap();
    assert_eq!(starts(&rig), (0, head.source_position - 1), "a group without a position keeps audit.sealed");
    assert_eq!((held(SIEM), held("lake")), (Some(1.0), Some(1.0)));
    set_position(&rig, SIEM, &topics::sealed(0), 7);
    trim(&trimmer).unwrap();
    assert_eq!(starts(&rig).0, 7, "the slowest counts");
    set_position(&rig, SIEM, &topics::sealed(0), offset + 5);
    trim(&trimmer).unwrap();
    assert_eq!((starts(&rig).0, held(SIEM), held("lake")), (9, Some(0.0), Some(1.0)));
    set_position(&rig, "lake", &topics::sealed(0), offset + 1);
    trim(&trimmer).unwrap();
    assert_eq!(
        (starts(&rig).0, held("lake")),
        (offset, Some(0.0)),
        "no group makes more go than is archived"
    );
}

#[test]
fn who_may_not_trim_halts_and_says_how_to_switch_it_off() {
    let rig = a_rig_with_archived_events();
    rig.stream.refuse_trimming();
    halts(trim(&a_trimmer(&rig).0), "trimmer.enabled = false");
}
