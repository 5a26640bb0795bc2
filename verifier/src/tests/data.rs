//! Damage to segments: what is said of those behind it.

use schemas::{Hash, Link, Seq};

use super::{CHAIN_1, assert_broken, chain_0, check_zero, has};
use crate::testing::{Record, event};
use crate::{Check, Verdict};

/// Links made anew over these records, so that each follows the one before.
fn relinked(mut records: Vec<Record>, first_prev: Hash) -> Vec<Record> {
    let (first, mut prev) = (records[0].link.seq.0, first_prev);
    for (seq, record) in (first..).zip(&mut records) {
        record.link = Link { seq: Seq(seq), prev, ..record.link };
        record.hash = record.link.hash();
        prev = record.hash;
    }
    records
}

/// Row 2: with every link made anew only the tree tells.
#[test]
fn a_record_that_was_replaced_with_all_links_behind_it_is_found_by_the_tree() {
    let mut zero = chain_0();
    let mut records = zero.records_of(0).to_vec();
    records[150].event = event(9);
    records[150].link.event_hash = schemas::event_hash(&schemas::event_schema_hash(), &records[150].event);
    let records = relinked(records, zero.records[0].link.prev);
    zero.lay_segment(0, &records);
    let report = check_zero(&zero);
    assert_broken(&report, Check::TreesTiles, &zero.segment_key(0), (150, 299));
    assert!(has(&report, Check::Root, &zero.segment_key(0)));
    let others = report.findings.iter().filter(|finding| finding.first_seq >= Some(300)).count();
    assert_eq!(
        others, 0,
        "the segments behind it are checked against the signed tree and are whole: {report}"
    );
}

/// Two chains in one archive: damage to one says nothing of the other.
#[test]
fn a_broken_segment_does_not_hide_the_verdict_on_the_others() {
    let mut zero = chain_0();
    let key = zero.segment_key(1);
    zero.objects.insert(key.clone(), b"gone".to_vec());
    let report = check_zero(&zero);
    assert_broken(&report, Check::SegmentForm, &key, (300, 304));
    assert_eq!(report.findings.len(), 1, "the last segment was followed from the signed tree: {report}");
    assert_eq!(report.chains[0].events, 560);
    assert_eq!((report.chains[1].origin.as_str(), report.chains[1].verdict), (CHAIN_1, Verdict::Unanchored));

    let trees = zero.trees_key(1);
    zero.objects.remove(&trees);
    let mut records = zero.records_of(2).to_vec();
    records[100].event = event(9);
    zero.lay_segment(2, &records);
    let report = check_zero(&zero);
    assert!(has(&report, Check::TreesMissing, &trees), "{report}");
    let inner = report.findings.iter().find(|finding| finding.check == Check::LinkHash).unwrap();
    assert_eq!((inner.first_seq, inner.last_seq), (Some(405), Some(405)), "checked by itself");
    assert_eq!(report.notices[0].kind, "links-apart");
}
