//! Rows 1 to 6 and 33: segments, trees files and schemas whose bytes are others.

use schemas::{Hash, Layout, Link, Place, SegmentFile, Seq, event_hash, event_schema_hash};

use super::history::behind_the_last;
use super::{CHAIN_0, Case, chain_0, chain_1};
use crate::Check;
use crate::testing::{ChainBuilder, Objects, Record, event, segment_of};

/// Every piece of the first segment, and every other kind of object.
pub fn row_01_one_bit_flipped() -> Vec<Case> {
    let zero = chain_0();
    let (segment, trees) = (zero.segment_key(0), zero.trees_key(0));
    let (note, hint) = (zero.key(&Place::Checkpoint(300)), zero.key(&Place::Hint));
    let (key, schema) = (zero.key(&Place::Key(0)), zero.key(&Place::Schema(event_schema_hash())));
    let whole = (0, 299);
    let flipped = |what: &str, key: &str, at: fn(usize) -> usize| {
        Case::after(what, |zero| {
            let bytes = zero.objects.entry(key.to_owned()).or_default();
            let at = at(bytes.len());
            bytes[at] ^= 1;
        })
    };
    vec![
        flipped("file header", &segment, |_| 0).broken(Check::SegmentForm, &segment, whole),
        flipped("metadata", &segment, |_| 200).broken(Check::SegmentForm, &segment, whole),
        flipped("sync marker", &segment, |len| len - 1).broken(Check::SegmentForm, &segment, (256, 299)),
        flipped("payload", &segment, |len| len - 1_000).by_any_check(),
        flipped("payload of the first block", &segment, |len| len / 2).by_any_check(),
        flipped("trees file, its first byte", &trees, |_| 0).broken(Check::TreesForm, &trees, whole),
        flipped("trees file, its last byte", &trees, |len| len - 1).broken(
            Check::TreesTiles,
            &trees,
            (0, 255),
        ),
        flipped("note", &note, |len| len - 9).broken(Check::CheckpointNote, &note, whole),
        flipped("checkpoint", &hint, |len| len - 9).broken(Check::Hint, &hint, None),
        flipped("key note", &key, |len| len - 9).broken(Check::KeyNote, &key, (0, 564)),
        flipped("schema", &schema, |len| len / 2).broken(Check::SchemaBytes, &schema, whole),
        Case::after("the segment's digest", |zero| {
            zero.change_trees(0, |trees| trees.segment_sha256.0[0] ^= 1)
        })
        .broken(Check::SegmentDigest, &segment, whole),
    ]
}

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

/// The container is valid again each time, and its digest fits.
pub fn row_02_records_deleted_inserted_doubled_swapped_or_changed() -> Vec<Case> {
    let key = chain_0().segment_key(0);
    let laid = |what: &str, damage: fn(&mut Vec<Record>)| {
        Case::after(what, |zero| {
            let mut records = zero.records_of(0).to_vec();
            damage(&mut records);
            zero.lay_segment(0, &records);
        })
    };
    let replaced = Case::after("replaced, with all links behind it made anew", |zero| {
        let mut records = zero.records_of(0).to_vec();
        records[150].event = event(9);
        records[150].link.event_hash = event_hash(&event_schema_hash(), &records[150].event);
        let records = relinked(records, zero.records[0].link.prev);
        zero.lay_segment(0, &records);
    });
    let sealed = Case::after("sealed under the hash of another event", |zero| {
        let mut record = zero.record(event(1), |_| {});
        record.event = event(2);
        zero.seal_records(vec![record]);
    });
    vec![
        laid("deleted", |records| drop(records.remove(150))).broken(Check::SegmentPlace, &key, (0, 299)),
        laid("doubled", |records| records.insert(150, records[150].clone())).broken(
            Check::SegmentPlace,
            &key,
            (0, 299),
        ),
        laid("deleted, and another inserted at the end", |records| {
            records.remove(150);
            records.push(records[298].clone());
        })
        .broken(Check::SegmentForm, &key, (150, 299)),
        laid("swapped", |records| records.swap(150, 151)).broken(Check::SegmentForm, &key, (150, 299)),
        laid("swapped, and their seqs put right", |records| {
            records.swap(150, 151);
            (records[150].link.seq, records[151].link.seq) = (Seq(150), Seq(151));
        })
        .broken(Check::Prev, &key, (150, 150))
        .and(&[Check::SealedAt]),
        laid("changed", |records| records[150].event = event(9)).broken(Check::LinkHash, &key, (150, 150)),
        replaced.broken(Check::TreesTiles, &key, (150, 299)).and(&[Check::Root]),
        sealed.broken(Check::LinkHash, &behind_the_last(), (565, 565)),
    ]
}

/// Each digest in trees/ fits what now lies in the segment's place.
pub fn row_03_segments_swapped_renamed_replayed_foreign_or_doubled() -> Vec<Case> {
    let (zero, one) = (chain_0(), chain_1());
    let [first, second] = [0, 1].map(|nth| zero.objects[&zero.segment_key(nth)].clone());
    let foreign = one.objects[&one.segment_key(0)].clone();
    let (key, sealed_at) = (zero.segment_key(1), zero.records_of(1)[0].link.sealed_at);
    let renamed = zero.key(&Place::segment(sealed_at, Seq(301)));
    let moved = zero.key(&Place::segment(zero.clock, Seq(300)));
    let in_its_place = |what: &str, file: &[u8]| {
        Case::after(what, |zero| zero.lay_segment_file(1, file.to_vec())).broken(
            Check::SegmentPlace,
            &key,
            (300, 304),
        )
    };
    let swapped = Case::after("two swapped", |zero| {
        zero.lay_segment_file(0, second.clone());
        zero.lay_segment_file(1, first.clone());
    });
    let under_another_name = Case::after("renamed", |zero| {
        zero.objects.remove(&key);
        zero.objects.insert(renamed, second.clone());
    });
    let under_another_date = Case::after("under another date, which its trees file names", |zero| {
        zero.objects.remove(&key);
        zero.objects.insert(moved.clone(), second.clone());
        zero.change_trees(1, |trees| trees.segment_key = moved[CHAIN_0.len() + 1..].to_owned());
    });
    let doubled = Case::after("two with one first seq under different dates", |zero| {
        zero.objects.insert(moved.clone(), second.clone());
    });
    vec![
        swapped.broken(Check::SegmentPlace, &zero.segment_key(0), (0, 299)),
        in_its_place("an old one replayed", &first),
        in_its_place("one of another chain of the same key", &foreign),
        under_another_name.broken(Check::SegmentMissing, &key, (300, 304)).and(&[Check::SegmentPlace]),
        under_another_date.broken(Check::SegmentPlace, &moved, (300, 304)),
        doubled.broken(Check::SegmentDouble, &moved, (300, 304)),
    ]
}

/// Each digest in trees/ fits the file as it is.
pub fn row_04_a_file_cut_or_with_bytes_behind_its_end() -> Vec<Case> {
    let zero = chain_0();
    let (key, file) = (zero.segment_key(0), zero.objects[&zero.segment_key(0)].clone());
    let mut bounds = Vec::new();
    if let Ok(segment) = SegmentFile::parse(&file) {
        let (mut blocks, mut plain) = (segment.blocks(), Vec::new());
        while let Ok(Some(block)) = blocks.next_into(&mut plain) {
            bounds.push(block.at);
        }
    }
    let longer = [file.as_slice(), b"more"].concat();
    let laid = |what: &str, file: &[u8]| Case::after(what, |zero| zero.lay_segment_file(0, file.to_vec()));
    vec![
        laid("inside a record", &file[..file.len() - 40]).broken(Check::SegmentForm, &key, (256, 299)),
        laid("at a block's boundary", &file[..bounds[1]]).broken(Check::SegmentForm, &key, (256, 299)),
        laid("behind its header", &file[..bounds[0]]).broken(Check::SegmentForm, &key, (0, 299)),
        laid("to nothing", b"").broken(Check::SegmentForm, &key, (0, 299)),
        laid("with bytes behind its end", &longer).broken(Check::SegmentForm, &key, None),
    ]
}

/// In the archive. The exported view has its own.
pub fn row_05_trees_and_segment_disagree() -> Vec<Case> {
    let zero = chain_0();
    let changed = |what: &str, nth: usize, change: fn(&mut schemas::Trees)| {
        Case::after(what, |zero| zero.change_trees(nth, change))
    };
    let header = Case::after("a segment's header and its records", |zero| {
        let file = zero.objects[&zero.segment_key(1)].clone();
        if let Ok(parsed) = SegmentFile::parse(&file) {
            let (mut header, old) = (parsed.header.clone(), parsed.header.to_bytes().len());
            header.last_hash.0[0] ^= 1;
            zero.lay_segment_file(1, [&header.to_bytes(), &file[old..]].concat());
        }
    });
    vec![
        changed("a leaf of the last tile", 0, |trees| trees.partial[0][43].0[0] ^= 1).broken(
            Check::TreesTiles,
            &zero.trees_key(0),
            (299, 299),
        ),
        changed("a leaf of a full tile", 0, |trees| trees.completed[0].hashes[17].0[0] ^= 1).broken(
            Check::TreesTiles,
            &zero.trees_key(0),
            (17, 17),
        ),
        changed("the hash of a full tile, one level up", 1, |trees| trees.partial[1][0].0[0] ^= 1).broken(
            Check::TreesTiles,
            &zero.trees_key(1),
            (0, 255),
        ),
        changed("the segment's name", 1, |trees| trees.segment_key.push('x')).broken(
            Check::TreesPlace,
            &zero.trees_key(1),
            (300, 304),
        ),
        header.broken(Check::SegmentHeader, &zero.segment_key(1), (300, 304)),
    ]
}

/// By a hash each.
pub fn row_06_a_trees_file_short_long_or_gone() -> Vec<Case> {
    let key = chain_0().trees_key(1);
    let changed = |what: &str, change: fn(&mut Objects, &str)| {
        Case::after(what, |zero| {
            let key = zero.trees_key(1);
            change(&mut zero.objects, &key);
        })
    };
    vec![
        changed("short", |objects, key| {
            let file = objects.entry(key.to_owned()).or_default();
            file.truncate(file.len() - 32);
        })
        .broken(Check::TreesForm, &key, (300, 304)),
        changed("long", |objects, key| objects.entry(key.to_owned()).or_default().extend([0; 32])).broken(
            Check::TreesForm,
            &key,
            (300, 304),
        ),
        changed("gone", |objects, key| drop(objects.remove(key))).broken(
            Check::TreesMissing,
            &key,
            (300, 304),
        ),
    ]
}

/// In its text only: no value reads as another, but for what the logical type says.
pub fn row_33_another_schema() -> Vec<Case> {
    let key = chain_0().segment_key(1);
    let text = String::from_utf8_lossy(schemas::event::EVENT_SCHEMA).into_owned();
    let mut cases: Vec<Case> = [
        ("doc", "What was done", "What was not done"),
        ("logical type", "timestamp-micros", "timestamp-millis"),
        ("default", "\"name\": \"occurred_at\", ", "\"name\": \"occurred_at\", \"default\": null, "),
    ]
    .map(|(what, from, to)| {
        let schema = text.replacen(from, to, 1).into_bytes();
        Case::after(what, |zero| {
            let note = String::from_utf8_lossy(&zero.note(305)).into_owned();
            zero.lay_segment_file(1, segment_of(CHAIN_0, &schema, zero.records_of(1), &note));
            zero.objects.insert(zero.key(&Place::Schema(Hash::of(&[&schema]))), schema);
        })
        .broken(Check::LinkHash, &key, (300, 304))
    })
    .into();
    let schema = Layout::of(CHAIN_0).key(&Place::Schema(event_schema_hash()));
    cases.push(Case::after("gone", |zero: &mut ChainBuilder| drop(zero.objects.remove(&schema))).broken(
        Check::SchemaMissing,
        &schema,
        (0, 299),
    ));
    cases
}
