//! Damage to segments and trees files: rows 1 to 6 and 33.

use schemas::{Hash, Link, Place, SegmentFile, Seq};

use super::{CHAIN_0, CHAIN_1, assert_broken, chain_0, chain_1, check_zero, has};
use crate::testing::{Record, event, segment_of};
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

/// Row 2.
#[test]
fn a_record_that_was_deleted_inserted_doubled_or_swapped_is_found() {
    type Damage = fn(&mut Vec<Record>);
    let whole = (0, 299);
    let cases: [(Damage, Check, (u64, u64)); 6] = [
        (|records| drop(records.remove(150)), Check::SegmentPlace, whole),
        (|records| records.insert(150, records[150].clone()), Check::SegmentPlace, whole),
        (
            |records| {
                records.remove(150);
                records.push(records[298].clone());
            },
            Check::SegmentForm,
            (150, 299),
        ),
        (|records| records.swap(150, 151), Check::SegmentForm, (150, 299)),
        (
            |records| {
                records.swap(150, 151);
                (records[150].link.seq, records[151].link.seq) = (Seq(150), Seq(151));
            },
            Check::Prev,
            (150, 150),
        ),
        (|records| records[150].event = event(9), Check::LinkHash, (150, 150)),
    ];
    for (damage, check, seqs) in cases {
        let mut zero = chain_0();
        let mut records = zero.records_of(0).to_vec();
        damage(&mut records);
        zero.lay_segment(0, &records);
        assert_broken(&check_zero(&zero), check, &zero.segment_key(0), seqs);
    }
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

/// Row 3.
#[test]
fn a_segment_in_anothers_place_is_found() {
    let (zero, one) = (chain_0(), chain_1());
    let first = zero.objects[&zero.segment_key(0)].clone();
    let second = zero.objects[&zero.segment_key(1)].clone();
    let foreign = one.objects[&one.segment_key(0)].clone();

    let mut swapped = chain_0();
    swapped.lay_segment_file(0, second);
    swapped.lay_segment_file(1, first.clone());
    let report = check_zero(&swapped);
    assert_broken(&report, Check::SegmentPlace, &zero.segment_key(0), (0, 299));
    assert!(has(&report, Check::SegmentPlace, &zero.segment_key(1)));
    assert!(!report.findings.iter().any(|finding| finding.key == Some(zero.segment_key(2))));

    for other in [first, foreign] {
        let mut replayed = chain_0();
        replayed.lay_segment_file(1, other);
        assert_broken(&check_zero(&replayed), Check::SegmentPlace, &zero.segment_key(1), (300, 304));
    }
}

/// Row 3.
#[test]
fn a_segment_under_another_name_is_found() {
    let mut zero = chain_0();
    let (key, sealed_at) = (zero.segment_key(1), zero.records_of(1)[0].link.sealed_at);
    let file = zero.objects.remove(&key).unwrap();
    let renamed = zero.key(&Place::segment(sealed_at, Seq(301)));
    zero.objects.insert(renamed.clone(), file.clone());
    let report = check_zero(&zero);
    assert_broken(&report, Check::SegmentMissing, &key, (300, 304));
    assert!(has(&report, Check::SegmentPlace, &renamed));

    let mut zero = chain_0();
    zero.objects.remove(&key);
    let moved = zero.key(&Place::segment(zero.clock, Seq(300)));
    zero.objects.insert(moved.clone(), file.clone());
    zero.change_trees(1, |trees| trees.segment_key = moved.strip_prefix(CHAIN_0).unwrap()[1..].to_owned());
    assert_broken(&check_zero(&zero), Check::SegmentPlace, &moved, (300, 304));

    let mut zero = chain_0();
    zero.objects.insert(moved.clone(), file);
    assert_broken(&check_zero(&zero), Check::SegmentDouble, &moved, (300, 304));
}

/// Row 4.
#[test]
fn a_file_that_was_cut_or_goes_on_is_found() {
    let zero = chain_0();
    let (key, file) = (zero.segment_key(0), zero.objects[&zero.segment_key(0)].clone());
    let boundary = {
        let mut blocks = SegmentFile::parse(&file).unwrap().blocks();
        let mut plain = Vec::new();
        blocks.next_into(&mut plain).unwrap();
        blocks.next_into(&mut plain).unwrap().unwrap().at
    };
    let longer = [file.as_slice(), b"more"].concat();
    for (file, seqs) in [(&file[..file.len() - 40], (256, 299)), (&file[..boundary], (256, 299))] {
        let mut zero = chain_0();
        zero.lay_segment_file(0, file.to_vec());
        assert_broken(&check_zero(&zero), Check::SegmentForm, &key, seqs);
    }
    let mut zero = chain_0();
    zero.lay_segment_file(0, longer);
    assert_eq!(check_zero(&zero).verdict, Verdict::Broken);
    assert!(has(&check_zero(&zero), Check::SegmentForm, &key));
}

/// Row 5.
#[test]
fn trees_and_segment_that_disagree_are_found() {
    let mut zero = chain_0();
    zero.change_trees(0, |trees| trees.partial[0][43].0[0] ^= 1);
    assert_broken(&check_zero(&zero), Check::TreesTiles, &zero.trees_key(0), (299, 299));

    let mut zero = chain_0();
    zero.change_trees(0, |trees| trees.completed[0].hashes[17].0[0] ^= 1);
    assert_broken(&check_zero(&zero), Check::TreesTiles, &zero.trees_key(0), (17, 17));

    // The hash of a whole tile, one level up.
    let mut zero = chain_0();
    zero.change_trees(1, |trees| trees.partial[1][0].0[0] ^= 1);
    assert!(has(&check_zero(&zero), Check::TreesTiles, &zero.trees_key(1)));

    let mut zero = chain_0();
    zero.change_trees(1, |trees| trees.segment_key.push('x'));
    assert_broken(&check_zero(&zero), Check::TreesPlace, &zero.trees_key(1), (300, 304));
}

/// Row 6.
#[test]
fn a_trees_file_that_is_short_or_long_is_found() {
    for change in
        [|file: &mut Vec<u8>| file.truncate(file.len() - 32), |file: &mut Vec<u8>| file.extend([0; 32])]
    {
        let mut zero = chain_0();
        let key = zero.trees_key(1);
        change(zero.objects.get_mut(&key).unwrap());
        assert_broken(&check_zero(&zero), Check::TreesForm, &key, (300, 304));
    }
}

/// Row 33.
#[test]
fn a_schema_changed_in_its_text_only_changes_every_hash_under_it() {
    let doc = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
    let before = doc(schemas::event::EVENT_SCHEMA);
    for (from, to) in [("What was done", "What was not done"), ("timestamp-micros", "timestamp-millis")] {
        let schema = before.replacen(from, to, 1).into_bytes();
        let mut zero = chain_0();
        let note = doc(&zero.note(305));
        let file = segment_of(CHAIN_0, &schema, zero.records_of(1), &note);
        zero.lay_segment_file(1, file);
        zero.objects.insert(zero.key(&Place::Schema(Hash::of(&[&schema]))), schema);
        assert_broken(&check_zero(&zero), Check::LinkHash, &zero.segment_key(1), (300, 304));
    }
}

/// The schema that segments name must be there, and be itself.
#[test]
fn a_schema_that_is_missing_or_another_is_found() {
    let mut zero = chain_0();
    let key = zero.key(&Place::Schema(schemas::event_schema_hash()));
    zero.objects.get_mut(&key).unwrap().push(b' ');
    assert_broken(&check_zero(&zero), Check::SchemaBytes, &key, (0, 299));
    zero.objects.remove(&key);
    assert_broken(&check_zero(&zero), Check::SchemaMissing, &key, (0, 299));
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
