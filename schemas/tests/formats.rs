//! Every format that is parsed, made of random parts: read back as it was written, and any flip or cut an error or
//! something else, never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite: to fail is to panic")]

mod support;

use apache_avro::Schema;
use proptest::prelude::*;
use schemas::avro::{Input, Shape, to_json};
use schemas::event::{EVENT_SCHEMA, check_event, event_shape};
use schemas::sealed::wrapper_schema;
use schemas::{
    Checkpoint, Hash, Head, KeyNote, Link, Micros, OpenSegment, ProofData, SealedEvent, SegmentFile, Seq,
    Signing, Tiles, Tree, Trees, Vkey, event_hash, event_schema_hash,
};
use serde_json::Value;
use support::chain::{ORIGIN, Piece};
use support::events::events;

/// The bytes with one bit turned; `at` chooses it.
fn flipped(bytes: &[u8], at: f64) -> Vec<u8> {
    let bit = (at * (bytes.len() * 8) as f64) as usize;
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The bytes up to some place before their end.
fn cut(bytes: &[u8], at: f64) -> &[u8] {
    &bytes[..(at * bytes.len() as f64) as usize]
}

fn avro(schema: &[u8]) -> Schema {
    Schema::parse_str(std::str::from_utf8(schema).unwrap()).unwrap()
}

/// A tree of that size over hashes that follow from `seed`.
fn tree(seed: u64, size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|n| tree.push(Hash::of(&[&seed.to_be_bytes(), &n.to_be_bytes()])));
    tree
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn time() -> impl Strategy<Value = Micros> {
    (0..=Micros::MAX.0).prop_map(Micros)
}

fn origin() -> impl Strategy<Value = String> {
    "[a-z0-9_-][a-z0-9._-]{0,20}(/[a-z0-9][a-z0-9._-]{0,9}){0,3}"
}

fn heads() -> impl Strategy<Value = Head> {
    let numbers = (0u64..700, 0..=i64::MAX as u64, 0..=i64::MAX as u64, 0.0..=1.0f64);
    let notes = (prop::option::of("\\PC{0,80}"), prop::option::of("\\PC{0,80}"), "\\PC{0,60}");
    (numbers, [hash(), hash(), hash()], [time(), time()], notes, any::<bool>()).prop_map(
        |((size, source_position, bytes, open), hashes, times, (checkpoint, key_note, vkey), cut)| {
            let first_seq = if cut { size } else { (size as f64 * open) as u64 };
            Head {
                tree: tree(bytes, size),
                last_hash: hashes[0],
                last_sealed_at: times[0],
                source_position,
                source_hash: hashes[1],
                schema_hash: hashes[2],
                vkey,
                open: OpenSegment { first_seq: Seq(first_seq), first_sealed_at: times[1], bytes },
                cut,
                checkpoint,
                key_note,
            }
        },
    )
}

proptest! {
    #[test]
    fn an_event_is_what_went_in(event in events()) {
        let event_bytes = event.encode();
        check_event(&event_bytes).unwrap();
        let mut input = Input::new("AuditEvent", &event_bytes);
        let json = to_json(event_shape(), &mut input).unwrap();
        input.end().unwrap();
        prop_assert_eq!(json.to_string(), event.json().to_string(), "in the order of the schema");

        let schema = avro(EVENT_SCHEMA);
        let value = apache_avro::from_avro_datum(&schema, &mut &event_bytes[..], None).unwrap();
        prop_assert_eq!(apache_avro::to_avro_datum(&schema, value).unwrap(), event_bytes);
    }

    #[test]
    fn a_changed_event_is_refused_or_has_another_hash(event in events(), at in 0.0..1.0f64) {
        let event_bytes = event.encode();
        prop_assert!(check_event(cut(&event_bytes, at)).is_err());
        let flipped = flipped(&event_bytes, at);
        let _ = check_event(&flipped);
        let schema_hash = event_schema_hash();
        prop_assert_ne!(event_hash(&schema_hash, &flipped), event_hash(&schema_hash, &event_bytes));
    }

    /// One spelling: whatever is taken is what Avro would write again.
    #[test]
    fn bytes_that_pass_are_the_only_spelling(event in events(), at in 0.0..1.0f64) {
        let flipped = flipped(&event.encode(), at);
        if check_event(&flipped).is_ok() {
            let schema = avro(EVENT_SCHEMA);
            let value = apache_avro::from_avro_datum(&schema, &mut &flipped[..], None).unwrap();
            prop_assert_eq!(apache_avro::to_avro_datum(&schema, value).unwrap(), flipped);
        }
    }

    #[test]
    fn a_sealed_event_is_read_back_and_a_changed_one_makes_another_link(
        event in events(), seq in 0..i64::MAX as u64, sealed_at in time(), prev in hash(), at in 0.0..1.0f64,
    ) {
        let event_bytes = event.encode();
        let event_hash = event_hash(&event_schema_hash(), &event_bytes);
        let link = Link { seq: Seq(seq), sealed_at, prev, event_hash };
        let mut datum = Vec::new();
        SealedEvent::splice(&mut datum, &link, &link.hash(), &event_bytes);

        let sealed = SealedEvent::parse(&datum).unwrap();
        prop_assert_eq!(sealed.link(&event_schema_hash()), link);
        prop_assert_eq!((sealed.hash, sealed.event_bytes), (link.hash(), &event_bytes[..]));
        let schema = avro(&wrapper_schema(EVENT_SCHEMA));
        let value = apache_avro::from_avro_datum(&schema, &mut &datum[..], None).unwrap();
        prop_assert_eq!(apache_avro::to_avro_datum(&schema, value).unwrap(), datum.clone());

        let fits = |bytes: &[u8]| {
            SealedEvent::parse(bytes).is_ok_and(|other| other.link(&event_schema_hash()).hash() == other.hash)
        };
        prop_assert!(!fits(&flipped(&datum, at)));
        prop_assert!(!fits(cut(&datum, at)));
    }

    #[test]
    fn proof_data_is_read_back_and_never_changed(event in events(), schema in "\\PC{0,40}", at in 0.0..1.0f64) {
        let event_bytes = event.encode();
        let event_hash = event_hash(&Hash::of(&[schema.as_bytes()]), &event_bytes);
        let link = Link { seq: Seq(7), sealed_at: Micros(8), prev: Hash([9; 32]), event_hash };
        let bytes = ProofData { link, schema: schema.as_bytes(), event_bytes: &event_bytes }.to_bytes();
        prop_assert_eq!(ProofData::parse(&bytes).unwrap().to_bytes(), bytes.clone());
        prop_assert!(ProofData::parse(cut(&bytes, at)).is_err());
        let flipped = flipped(&bytes, at);
        prop_assert!(ProofData::parse(&flipped).map_or(true, |other| other.link.hash() != link.hash()));
    }

    #[test]
    fn a_head_is_read_back_and_a_changed_one_is_another(head in heads(), at in 0.0..1.0f64) {
        let mut datum = Vec::new();
        head.encode(&mut datum);
        prop_assert_eq!(&Head::parse(&datum).unwrap(), &head);
        prop_assert!(Head::parse(cut(&datum, at)).is_err());
        prop_assert_ne!(Head::parse(&flipped(&datum, at)), Ok(head));
    }

    #[test]
    fn a_checkpoint_is_read_back_and_never_changed(
        origin in origin(), size in 0..=i64::MAX as u64, root in hash(), seed: [u8; 32], at in 0.0..1.0f64,
    ) {
        let (checkpoint, signing) = (Checkpoint { origin, size, root }, Signing::from_seed(&seed));
        let vkey = signing.vkey(&checkpoint.origin);
        let note = checkpoint.sign(&signing).into_bytes();
        prop_assert_eq!(Checkpoint::open(&note, &vkey), Ok(checkpoint));
        prop_assert!(Checkpoint::open(&flipped(&note, at), &vkey).is_err());
        prop_assert!(Checkpoint::open(cut(&note, at), &vkey).is_err());
        prop_assert_eq!(Vkey::parse(&vkey.to_string()).unwrap(), vkey);
    }

    #[test]
    fn a_key_note_is_read_back_and_never_changed(
        origin in origin(), first_size in 1..=i64::MAX as u64, seeds: [[u8; 32]; 2], at in 0.0..1.0f64,
    ) {
        let [old, new] = seeds.map(|seed| Signing::from_seed(&seed));
        let (before, vkey) = (old.vkey(&origin), new.vkey(&origin));
        for (note, predecessor) in [
            (KeyNote { first_size: 0, vkey: vkey.clone() }.sign(&new, None), None),
            (KeyNote { first_size, vkey: vkey.clone() }.sign(&new, Some(&old)), Some(&before)),
        ] {
            prop_assert_eq!(KeyNote::open(note.as_bytes(), predecessor).unwrap().vkey, vkey.clone());
            prop_assert!(KeyNote::open(&flipped(note.as_bytes(), at), predecessor).is_err());
            prop_assert!(KeyNote::open(cut(note.as_bytes(), at), predecessor).is_err());
        }
    }

    #[test]
    fn a_changed_vkey_is_refused(origin in origin(), seed: [u8; 32], at in 0.0..1.0f64) {
        let vkey = Signing::from_seed(&seed).vkey(&origin).to_string();
        prop_assert!(Vkey::parse(cut(vkey.as_bytes(), at).utf8_chunks().next().map_or("", |c| c.valid())).is_err());
        if let Ok(text) = String::from_utf8(flipped(vkey.as_bytes(), at)) {
            prop_assert!(Vkey::parse(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn a_trees_file_is_read_back_and_a_changed_one_is_another(
        first in 0u64..3_000, count in 1u64..1_500, key in "[a-z0-9/=.-]{0,60}", digest in hash(), at in 0.0..1.0f64,
    ) {
        let mut tiles = Tiles::new();
        for n in 0..first + count {
            if n == first {
                tiles.take_completed();
            }
            tiles.push(Hash::of(&[&n.to_be_bytes()]));
        }
        let completed = tiles.take_completed();
        let mut partial = tiles.partial().to_vec();
        partial.truncate(partial.iter().rposition(|tile| !tile.is_empty()).map_or(0, |last| last + 1));
        let trees = Trees {
            first_seq: Seq(first), size: first + count, segment_key: key, segment_sha256: digest, completed, partial,
        };
        let bytes = trees.to_bytes();
        prop_assert_eq!(&Trees::parse(&bytes).unwrap(), &trees);
        prop_assert_eq!(trees.tiles().unwrap().size(), first + count);
        prop_assert!(Trees::parse(cut(&bytes, at)).is_err());
        prop_assert_ne!(Trees::parse(&flipped(&bytes, at)), Ok(trees));
    }

    #[test]
    fn a_segment_s_header_is_read_back(
        origin in origin(), first in 0u64..=1 << 62, count in 0u64..=1 << 61, hashes: [[u8; 32]; 2], checkpoint in "\\PC{0,90}",
    ) {
        let header = schemas::SegmentHeader {
            event_schema: EVENT_SCHEMA.to_vec(), origin, first_seq: Seq(first), last_seq: Seq(first + count),
            first_prev: Hash(hashes[0]), last_hash: Hash(hashes[1]), checkpoint,
        };
        let bytes = header.to_bytes();
        prop_assert_eq!(SegmentFile::parse(&bytes).unwrap().header, header);
        prop_assert!(SegmentFile::parse(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn noise_never_panics_any_parser(noise in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
        let _ = check_event(&noise);
        let _ = to_json(event_shape(), &mut Input::new("noise", &noise));
        for bytes in [&noise[..], text.as_bytes()] {
            prop_assert!(Head::parse(bytes).is_err());
            prop_assert!(Trees::parse(bytes).is_err());
            prop_assert!(SegmentFile::parse(bytes).is_err());
            prop_assert!(ProofData::parse(bytes).is_err());
            prop_assert!(Link::parse(bytes).is_err());
            prop_assert!(Checkpoint::parse(bytes).is_err());
            prop_assert!(KeyNote::open(bytes, None).is_err());
            let _ = SealedEvent::parse(bytes);
            let _ = Shape::parse(bytes);
        }
        prop_assert!(Vkey::parse(&text).is_err());
        let _ = schemas::Place::parse(&text);
        let _ = Micros::parse_rfc3339(&text);
    }
}

/// JSON made of the words of Avro schemas.
fn schema_like() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(
        &[
            "null",
            "boolean",
            "int",
            "long",
            "float",
            "double",
            "bytes",
            "string",
            "array",
            "map",
            "fixed",
            "enum",
            "record",
            "A",
            "n.A",
            "timestamp-micros",
            "",
        ][..],
    );
    let leaf = prop_oneof![6 => words.prop_map(Value::from), 1 => any::<i64>().prop_map(Value::from), 1 => Just(Value::Null)];
    let keys = prop::sample::select(
        &["type", "name", "namespace", "fields", "items", "symbols", "size", "logicalType", "default"][..],
    );
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let entry = (keys.clone(), inner.clone()).prop_map(|(key, value)| (key.to_owned(), value));
        prop_oneof![
            1 => prop::collection::vec(inner, 1..5).prop_map(Value::from),
            3 => prop::collection::vec(entry, 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Gives each named type a name of its own.
fn name_apart(schema: &mut Value, names: &mut usize) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| name_apart(item, names)),
        Value::Object(entries) => {
            if entries.contains_key("name") && entries["type"].is_string() {
                *names += 1;
                entries["name"] = format!("N{names}").into();
            }
            entries.values_mut().for_each(|value| name_apart(value, names));
        }
        _ => {}
    }
}

/// Schemas that hold together.
fn schema() -> impl Strategy<Value = Value> {
    const PRIMITIVES: [&str; 7] = ["boolean", "int", "long", "float", "double", "bytes", "string"];
    let leaf = prop_oneof![
        prop::sample::select(&PRIMITIVES[..]).prop_map(Value::from),
        Just(serde_json::json!({"type": "long", "logicalType": "timestamp-micros"})),
        (1u64..20)
            .prop_map(|size| serde_json::json!({"type": "fixed", "name": format!("F{size}"), "size": size})),
        Just(serde_json::json!({"type": "enum", "name": "E", "symbols": ["a", "b"]})),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| serde_json::json!({"type": "array", "items": items})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|mut branches| {
                branches.insert(0, "null".into());
                Value::from(branches)
            }),
            prop::collection::vec(inner, 1..5).prop_map(|types| {
                let field =
                    |(n, of): (usize, &Value)| serde_json::json!({"name": format!("f{n}"), "type": of});
                let fields: Vec<Value> = types.iter().enumerate().map(field).collect();
                serde_json::json!({"type": "record", "name": "R", "fields": fields})
            }),
        ]
    })
}

proptest! {
    #[test]
    fn json_that_is_like_a_schema_never_panics(json in schema_like(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(shape) = Shape::parse(json.to_string().as_bytes()) {
            let _ = shape.skip(&mut Input::new("noise", &noise));
            let _ = to_json(&shape, &mut Input::new("noise", &noise));
        }
    }

    #[test]
    fn what_is_skipped_is_what_is_read(mut json in schema(), noise in prop::collection::vec(0u8..12, 0..200)) {
        name_apart(&mut json, &mut 0);
        let shape = Shape::parse(json.to_string().as_bytes()).unwrap();
        let (mut skipped, mut read) = (Input::new("noise", &noise), Input::new("noise", &noise));
        if shape.skip(&mut skipped).is_ok() {
            to_json(&shape, &mut read).unwrap();
            prop_assert_eq!(skipped.at(), read.at());
        }
    }
}

#[test]
fn a_false_length_allocates_nothing() {
    let mut event = support::chain::event_of(1, 10);
    let at = event.len() - 11;
    let mut length = Vec::new();
    schemas::avro::put_long(&mut length, i64::MAX);
    event.splice(at..=at, length);
    assert!(check_event(&event).is_err());
    assert!(to_json(event_shape(), &mut Input::new("AuditEvent", &event)).is_err());
}

#[test]
fn a_segment_of_another_schema_is_walked_by_its_own() {
    let piece = Piece::of_sizes(0, &[10]);
    let file = piece.segment();
    let segment = SegmentFile::parse(&file).unwrap();
    let shape = Shape::parse(&segment.header.event_schema).unwrap();
    assert!(segment.walk(&shape, |_, _| true).is_ok());
    let other = Shape::parse(br#""string""#).unwrap();
    assert!(segment.walk(&other, |_, _| true).is_err());
    assert_eq!(segment.header.origin, ORIGIN);
}
