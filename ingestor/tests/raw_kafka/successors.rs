//! Topics that are trimmed, emptied, or deleted and made anew under their name, while nobody reads or under the reader's
//! hands.

use runtime::Failure;
use schemas::own_act::GAP;
use serde_json::{Value, json};
use stream::{Groups, Lane, Log};

use super::site::Site;

/// Three records on partition 0, read; the ingestor has ended.
fn read_up_to_3(site: &Site) -> String {
    let raw = site.raw("topic", 1);
    site.put(&raw, 0, &["a", "b", "c"]);
    site.run(&site.ingestor("one", &[&raw]), 3).unwrap();
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

#[test]
fn a_topic_that_was_made_anew_and_has_grown_past_the_position_is_refused() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.delete(&raw);
    site.make(&raw, 1, &[]);
    site.put(&raw, 0, &["d", "e", "f", "g", "h"]);
    for _ in 0..2 {
        let ended = site.run(&site.ingestor("one", &[&raw]), usize::MAX);
        let Err(Failure::Halt(why)) = ended else { panic!("it goes on: {ended:?}") };
        assert!(why.contains(&raw) && why.contains("made anew") && why.contains("another name"), "{why}");
    }
    assert_eq!(site.actions(), ["a", "b", "c"], "something of the new topic was taken");
    assert_eq!(position(&site, &raw), Some(3));
}

/// The same bytes at the same place are still another record: it was written at another time.
#[test]
fn a_successor_that_says_the_same_is_refused_all_the_same() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.delete(&raw);
    site.make(&raw, 1, &[]);
    site.put(&raw, 0, &["a", "b", "c", "d"]);
    let ended = site.run(&site.ingestor("one", &[&raw]), usize::MAX);
    assert!(matches!(ended, Err(Failure::Halt(_))), "{ended:?}");
    assert_eq!(site.actions(), ["a", "b", "c"]);
}

#[test]
fn a_topic_that_was_made_anew_and_is_shorter_than_the_position_is_refused() {
    let Some(site) = Site::new() else { return };
    let raw = read_up_to_3(&site);
    site.delete(&raw);
    site.make(&raw, 1, &[]);
    for _ in 0..2 {
        let ended = site.run(&site.ingestor("one", &[&raw]), usize::MAX);
        let Err(Failure::Halt(why)) = ended else { panic!("it goes on: {ended:?}") };
        assert!(why.contains("was read up to 3"), "{why}");
        site.put(&raw, 0, &["d"]);
    }
    assert_eq!(site.actions(), ["a", "b", "c"]);
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
