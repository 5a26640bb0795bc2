//! An archive that grows, ages or is hardly there: what is said of it beside the verdict.

use std::ops::Range;
use std::sync::Mutex;

use schemas::{Micros, Place, Seq};
use store::memory::{Between, Memory};
use store::{Listing, Object, Page, Store, Version};

use super::{CHAIN_0, CHAIN_1, both, chain_0, chain_1, check, check_zero, known, memory, options};
use crate::testing::{ChainBuilder, Objects, event, events};
use crate::{Options, Uncovered, Verdict, verify};

/// Row 30.
#[test]
fn a_segment_or_trees_file_beyond_the_newest_note_is_not_yet_covered() {
    let mut zero = chain_0();
    zero.objects.insert(zero.key(&Place::Hint), zero.note(0));
    zero.objects.remove(&zero.key(&Place::Checkpoint(565)));
    let report = check_zero(&zero);
    assert_eq!(report.verdict, Verdict::Unanchored, "{report}");
    assert_eq!(report.chains[0].size, Some(305));
    assert_eq!(report.chains[0].not_covered, Some(Uncovered { first_seq: 305, segments: 1, trees: 1 }));
    assert_eq!(report.notices[0].kind, "not-covered");
    zero.objects.remove(&zero.trees_key(2));
    assert_eq!(check_zero(&zero).chains[0].not_covered.as_ref().map(|rest| rest.trees), Some(0));
}

/// A store that grows by one object after every call, and shows two objects a page.
struct Growing {
    inner: Memory,
    to_come: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Growing {
    fn grow(&self) {
        if let Some((key, bytes)) = self.to_come.lock().unwrap().pop() {
            self.inner.lay_over(&key, &bytes);
        }
    }
}

impl Between for Growing {
    fn below(&self) -> &Memory {
        &self.inner
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        self.grow();
        self.inner.get(key, version, range, max_bytes)
    }

    fn list_between(&self, prefix: &str, after: &str, _: Listing) -> store::Result<Page> {
        self.grow();
        self.inner.list(prefix, after, Listing::Newest(2))
    }
}

/// Row 30.
#[test]
fn an_archive_is_intact_at_every_moment_while_it_is_written() {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    // Every object in the order in which the archiver writes it.
    let mut written: Vec<(String, Vec<u8>)> = chain.objects.clone().into_iter().collect();
    for nth in 0..6u64 {
        let before = chain.objects.clone();
        chain.seal(events(nth * 3..nth * 3 + 3));
        let size = chain.cuts[nth as usize];
        let schema = Place::Schema(schemas::event_schema_hash());
        let segment = Place::segment(chain.records_of(nth as usize)[0].link.sealed_at, Seq(size - 3));
        for place in [schema, segment, Place::Trees(size), Place::Checkpoint(size), Place::Hint] {
            let key = chain.key(&place);
            if before.get(&key) != chain.objects.get(&key) {
                written.push((key.clone(), chain.objects[&key].clone()));
            }
        }
    }
    let genesis = 3;
    for start in genesis..=written.len() {
        let there: Objects = written[..start].iter().cloned().collect();
        let to_come = written[start..].iter().rev().cloned().collect();
        let store = Growing { inner: memory(&there), to_come: Mutex::new(to_come) };
        let report = verify(&store, &options());
        assert_eq!(report.verdict, Verdict::Unanchored, "from object {start}: {report}");
        assert!(report.findings.is_empty());
    }
}

/// Row 31.
#[test]
fn of_old_segments_that_are_gone_it_is_said_from_where_on_the_chain_is_intact() {
    let mut zero = chain_0();
    zero.objects.remove(&zero.segment_key(0));
    zero.objects.remove(&zero.segment_key(1));
    let kept = vec![known("kept", &zero.note(300))];
    let report = verify(&memory(&zero.objects), &Options { known: kept, ..options() });
    // Chain 1 is not in this archive, and the opening that says so is gone with the segment that held it.
    assert_eq!(report.verdict, Verdict::Unanchored, "{report}");
    assert_eq!((report.chains[0].first_seq, report.chains[0].events), (Some(305), 260));
    let kinds: Vec<&str> = report.notices.iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, ["old-segments-gone", "openings-gone"]);
    let extended = report.chains[0].known[0].extended;
    assert_eq!(extended, Some(true), "their hashes still answer for old checkpoints");
}

/// Row 31: what may be gone, and no more.
#[test]
fn each_object_that_is_gone_is_missed_but_for_the_hint_and_the_oldest_segment() {
    let (zero, one) = (chain_0(), chain_1());
    let whole = both(&zero, &one);
    let may_be_gone =
        [zero.key(&Place::Hint), one.key(&Place::Hint), zero.segment_key(0), one.segment_key(0)];
    for key in whole.keys() {
        let mut objects = whole.clone();
        objects.remove(key);
        let report = check(&objects);
        let due = if may_be_gone.contains(key) { Verdict::Unanchored } else { Verdict::Broken };
        assert_eq!(report.verdict, due, "without {key}: {report}");
        let is_said = report.notices.iter().any(|notice| notice.kind == "old-segments-gone");
        assert_eq!(is_said, due == Verdict::Unanchored && key.contains("/segments/"), "{key}: {report}");
    }
}

/// Row 32.
#[test]
fn a_whole_chain_that_is_gone_is_named() {
    let (zero, one) = (chain_0(), chain_1());
    assert!(check(&zero.objects).first.unwrap().expected.contains(CHAIN_1));
    for options in [
        Options { pinned: vec![zero.vkey()], ..options() },
        Options { known: vec![known("kept", &zero.note(300))], ..options() },
    ] {
        let first = verify(&memory(&one.objects), &options).first.unwrap();
        assert_eq!(first.chain.as_deref(), Some(CHAIN_0));
    }
}

/// Row 32: only Sealog's own act opens a chain.
#[test]
fn an_event_that_merely_says_that_a_chain_was_opened_opens_none() {
    let mut zero = ChainBuilder::begin(CHAIN_0, 7);
    let mut claimed = Vec::new();
    schemas::AuditEvent {
        action: schemas::own_act::CHAIN_OPENED,
        producer: "web",
        targets: &[schemas::event::Party { id: "acme.example/audit/9", kind: None, name: None }],
        received_at: Micros(1),
        ..Default::default()
    }
    .encode(&mut claimed);
    zero.seal([claimed, event(1)]);
    assert_eq!(check(&zero.objects).verdict, Verdict::Unanchored);
}

/// Row 34.
#[test]
fn of_a_folder_above_the_root_or_below_it_it_is_said_where_the_root_is() {
    let genesis = ChainBuilder::begin(CHAIN_0, 7);
    let report = check(&genesis.objects);
    assert_eq!((report.chains[0].size, report.chains[0].events), (Some(0), 0), "{report}");

    let whole = both(&chain_0(), &chain_1());
    let moved =
        |rename: fn(&str) -> String| whole.iter().map(|(key, bytes)| (rename(key), bytes.clone())).collect();
    for (objects, root) in [
        (moved(|key| format!("archive/{key}")), "the folder archive/ in here"),
        (moved(|key| key.strip_prefix("acme.example/").unwrap().to_owned()), "this folder is acme.example/"),
    ] {
        let first = check(&objects).first.unwrap();
        assert!(first.found.contains(root), "{}", first.found);
    }
}
