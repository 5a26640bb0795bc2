//! Topics that are trimmed, emptied, or deleted and made anew under their name, while nobody reads or under the reader's
//! hands.

use runtime::Failure;
use schemas::own_act::GAP;
use serde_json::{Value, json};
use stream::{Groups, Lane, Log};

use super::site::Site;

/// A topic with three records, read; the ingestor has ended.
fn read_up_to_3(site: &Site) -> String {
    let before = site.events().len();
    let raw = site.raw(&format!("topic-{before}"), 1);
    site.put(&raw, 0, &["a", "b", "c"]);
    site.run(&site.ingestor("one", &[&raw]), before + 3).unwrap();
    assert_eq!(position(site, &raw), Some(3));
    raw
}

fn position(site: &Site, raw: &str) -> Option<u64> {
    site.kafka.positions(ingestor::GROUP, &[Lane::new(raw, 0)]).unwrap()[0]
}

fn gap(events: &[Value]) -> Value {
    let gap = events.iter().find(|event| event["action"] == GAP).expect("a gap is said");
    gap["attributes"].as_array().unwrap().iter().map(|a| a["value"].clone()).collect()
}

/// Deletes the topic and makes another of its name.
fn make_anew(site: &Site, raw: &str, actions: &[&str]) {
    site.delete(raw);
    site.make(raw, 1, &[]);
    site.put(raw, 0, actions);
}

/// Runs the ingestor, which must halt without having taken anything, and answers why.
fn why_it_halts(site: &Site, raw: &str) -> String {
    let before = site.actions();
    let ended = site.run(&site.ingestor("one", &[raw]), usize::MAX);
    let Err(Failure::Halt(why)) = ended else { panic!("it goes on: {ended:?}") };
    assert_eq!(site.actions(), before, "something of the new topic was taken");
    assert!(why.contains(raw) && why.contains("name"), "{why}");
    why
}

/// Kafka forgets positions with their topic; that this one was read is known all the same. However often it is started.
#[test]
fn a_topic_that_was_made_anew_is_refused_whatever_it_holds() {
    let Some(site) = Site::new() else { return };
    for actions in [&["d", "e", "f", "g", "h"][..], &["a", "b", "c"], &["d"], &[]] {
        let raw = read_up_to_3(&site);
        make_anew(&site, &raw, actions);
        for _ in 0..2 {
            let why = why_it_halts(&site, &raw);
            assert!(why.contains("has read") && why.contains("made anew"), "{why}");
        }
        assert_eq!(position(&site, &raw), None);
    }
}

/// A position can outlive its topic: where it was brought over from another cluster, or where a broker that came back
/// with an older state has lost the records behind it. The record before it tells.
#[test]
fn a_position_that_has_outlived_its_topic_is_refused() {
    let Some(site) = Site::new() else { return };
    let grown = &["d", "e", "f", "g", "h"][..];
    // The same bytes at the same place are still another record: it was written at another time.
    let same = &["a", "b", "c", "d"][..];
    for (actions, said) in
        [(grown, "made anew"), (same, "made anew"), (&["d"], "was read up to 3"), (&[], "was read up to 3")]
    {
        let raw = read_up_to_3(&site);
        let position = site.position_with_mark(&raw);
        make_anew(&site, &raw, actions);
        site.put_position(&raw, (position.0, &position.1));
        for _ in 0..2 {
            let why = why_it_halts(&site, &raw);
            assert!(why.contains(said), "{actions:?}: {why}");
        }
    }
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_where_the_operator_says() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    make_anew(&site, &raw, &["d", "e", "f", "g"]);
    why_it_halts(&site, &raw);
    // As Kafka's own tool sets it.
    site.put_position(&raw, (1, ""));
    site.run(&site.ingestor("one", &[&raw]), 6).unwrap();
    assert_eq!(site.actions(), ["a", "b", "c", "e", "f", "g"]);
}

#[test]
fn a_topic_that_is_made_anew_under_the_readers_hands_is_not_read_on() {
    let Some(site) = Site::new() else { return };
    let raw = site.raw("topic", 1);
    site.put(&raw, 0, &["a", "b", "c"]);
    let mut replaced = false;
    let ended = site.run_until(&site.ingestor("one", &[&raw]), || {
        if !replaced && site.events().len() == 3 {
            replaced = true;
            site.delete(&raw);
            site.make(&raw, 1, &[]);
            site.put(&raw, 0, &["d", "e", "f", "g", "h"]);
        }
        site.events().len() > 3
    });
    assert!(matches!(ended, Err(Failure::Halt(_))), "it goes on: {ended:?}, with {:?}", site.actions());
    let ended = site.run(&site.ingestor("one", &[&raw]), usize::MAX);
    assert!(matches!(ended, Err(Failure::Halt(_))), "it goes on: {ended:?}");
    assert_eq!(site.actions(), ["a", "b", "c"]);
}

#[test]
fn records_that_retention_has_taken_unread_are_said_with_their_range() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.put(&raw, 0, &["d", "e", "f"]);
    site.kafka.trim(&Lane::new(&raw, 0), 5).unwrap();
    site.run(&site.ingestor("one", &[&raw]), 5).unwrap();
    assert_eq!(site.actions(), ["a", "b", "c", "f", GAP]);
    assert_eq!(gap(&site.events()), json!([raw, "0", "3", "5"]));
    assert_eq!(position(&site, &raw), Some(6));
}

#[test]
fn a_topic_that_retention_has_emptied_is_said_without_waiting_for_a_record() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.put(&raw, 0, &["d", "e"]);
    site.kafka.trim(&Lane::new(&raw, 0), 5).unwrap();
    site.run(&site.ingestor("one", &[&raw]), 4).unwrap();
    assert_eq!(gap(&site.events()), json!([raw, "0", "3", "5"]));
    assert_eq!(position(&site, &raw), Some(5));
    // Said once, and what comes later is read.
    site.put(&raw, 0, &["f"]);
    site.run(&site.ingestor("one", &[&raw]), 5).unwrap();
    assert_eq!(site.actions(), ["a", "b", "c", "f", GAP]);
}

#[test]
fn a_topic_that_was_trimmed_right_up_to_the_position_has_no_gap() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.kafka.trim(&Lane::new(&raw, 0), 3).unwrap();
    site.run_until(&site.ingestor("one", &[&raw]), || {
        // Only once it has begun: at an empty topic, and behind a record that cannot be looked at any more.
        if site.events().len() == 3 {
            site.put(&raw, 0, &["d"]);
        }
        site.events().len() > 3
    })
    .unwrap();
    assert!(!site.actions().contains(&GAP.to_owned()));
    assert_eq!(site.actions()[..4], ["a", "b", "c", "d"]);
}

/// Nobody has read here before: what is gone was never ours.
#[test]
fn what_was_deleted_before_the_first_start_is_no_gap() {
    let Some(site) = Site::new() else { return };
    let raw = site.raw("topic", 1);
    site.put(&raw, 0, &["a", "b"]);
    site.kafka.trim(&Lane::new(&raw, 0), 1).unwrap();
    site.run(&site.ingestor("one", &[&raw]), 1).unwrap();
    assert_eq!(site.actions(), ["b"]);
}
