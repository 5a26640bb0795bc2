//! What the golden files of v1 are made of: every input is fixed, and the files belong together as one small chain.

use schemas::event::{
    Attribute, AttributeType, AuditEvent, EVENT_SCHEMA, Environment, Outcome, Party, Protected, ReceivedFrom,
    Transport,
};
use schemas::head::HEAD_SCHEMA;
use schemas::sealed::wrapper_schema;
use schemas::{
    Checkpoint, Hash, Head, KeyNote, Link, Micros, OpenSegment, Place, ProofData, SealedEvent,
    SegmentBuilder, Seq, Signing, Tiles, Trees, Vkey, Walk, derived_id, event_hash, event_schema_hash,
    first_prev,
};

/// The chain's name.
pub const ORIGIN: &str = "acme.example/audit/0";
/// How many events it has.
pub const EVENTS: u64 = 300;
/// 2026-11-21T09:30:00Z.
pub const START: Micros = Micros(1_795_253_400_000_000);

/// The key that signs from size 0 on.
pub fn first_key() -> Signing {
    Signing::from_seed(&[7; 32])
}

/// The key that signs from size 301 on.
pub fn second_key() -> Signing {
    Signing::from_seed(&[8; 32])
}

/// The first key's public half.
pub fn vkey() -> Vkey {
    first_key().vkey(ORIGIN)
}

/// event_bytes of the event with that seq. The first has something in every field.
pub fn event(seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let offset = 1_000 + seq as i64;
    let id = derived_id(&[b"app.audit", b"3", offset.to_string().as_bytes(), b"0"]);
    let user = format!("user-{}", seq % 7);
    let original = format!(r#"{{"action":"user.login","actor":"{user}","n":{seq}}}"#);
    let plain = AuditEvent {
        id: &id,
        source: "portal",
        dialect: "json/1",
        action: "user.login",
        received_at: Micros(START.0 + seq as i64 * 1_000),
        actor: Some(Party { id: &user, kind: None, name: None }),
        producer: "portal",
        content_type: "application/json",
        original: original.as_bytes(),
        ..AuditEvent::default()
    };
    let number = seq.to_string();
    let attribute = [Attribute { key: "n", value: &number, kind: AttributeType::Number }];
    match seq {
        0 => full(plain).encode(&mut out),
        _ => AuditEvent { attributes: &attribute, ..plain }.encode(&mut out),
    }
    out
}

fn full<'a>(plain: AuditEvent<'a>) -> AuditEvent<'a> {
    AuditEvent {
        source_seq: Some(-1),
        category: Some("authentication"),
        occurred_at: Some(Micros(START.0 - 2_500_000)),
        actor: Some(Party { id: "alice", kind: Some("user"), name: Some("Alice Ångström") }),
        on_behalf_of: Some(Party { id: "bob", kind: Some("user"), name: None }),
        source_address: Some("192.0.2.17"),
        targets: &[
            Party { id: "portal", kind: Some("application"), name: None },
            Party { id: "door", kind: None, name: Some("Front door") },
        ],
        outcome: Outcome::Denied,
        reason: Some("wrong password"),
        environment: Environment {
            service: Some("portal"),
            host: Some("web-1"),
            region: Some("eu-central-1"),
            deployment: Some("blue"),
            image: Some("portal:4.2"),
        },
        tenant: Some("acme"),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        claimed_producer: Some("portal-web"),
        received_from: ReceivedFrom {
            transport: Transport::Kafka,
            topic: Some("app.audit"),
            partition: Some(3),
            offset: Some(1_000),
            broker_time: Some(Micros(START.0 - 1_000)),
            key: Some(b"alice"),
            headers: &[("traceparent", Some(b"00")), ("empty", None), ("bytes", Some(b"\xff\x00"))],
            peer: Some("198.51.100.4:9092"),
            part: 0,
        },
        attributes: &[
            Attribute { key: "attempts", value: "3", kind: AttributeType::Number },
            Attribute { key: "device", value: r#"{"os":"linux"}"#, kind: AttributeType::Object },
        ],
        marks: &["skewed"],
        protected: &[Protected {
            path: "/actor/name",
            subject: "alice",
            key_id: "k1",
            ciphertext: b"\x01\x02\x03",
        }],
        ..plain
    }
}

/// Every golden file with its name.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let schema_hash = event_schema_hash();
    let mut walk = Walk::begin(first_prev(ORIGIN, &vkey().to_string()));
    let mut builder = SegmentBuilder::new(ORIGIN, EVENT_SCHEMA, Seq(0), walk.last_hash());
    let (mut tiles, mut first, mut bytes): (_, Option<(Link, Vec<u8>)>, _) = (Tiles::new(), None, 0);
    for seq in 0..EVENTS {
        let event_bytes = event(seq);
        let sealed_at = Micros(START.0 + 5_000 + seq as i64 * 1_000);
        let (link, hash) = walk.extend(event_hash(&schema_hash, &event_bytes), sealed_at);
        let mut datum = Vec::new();
        SealedEvent::splice(&mut datum, &link, &hash, &event_bytes);
        builder.push(&datum);
        tiles.push(hash);
        bytes += datum.len() as u64;
        first.get_or_insert((link, datum));
    }
    let (link, sealed) = first.unwrap();

    let at = |size, root| Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&first_key());
    let checkpoint = at(EVENTS, walk.tree().root());
    let segment = builder.finish(walk.last_hash(), &checkpoint);
    let trees = Trees {
        first_seq: Seq(0),
        size: EVENTS,
        segment_key: Place::segment(link.sealed_at, Seq(0)).path(),
        segment_sha256: Hash::of(&[&segment]),
        completed: tiles.take_completed(),
        partial: tiles.partial().to_vec(),
    };
    let mut head = Vec::new();
    Head {
        tree: walk.tree().clone(),
        last_hash: walk.last_hash(),
        last_sealed_at: walk.last_sealed_at(),
        source_position: EVENTS,
        source_hash: Hash::of(&[&event(EVENTS - 1)]),
        schema_hash,
        vkey: vkey().to_string(),
        open: OpenSegment { first_seq: Seq(0), first_sealed_at: link.sealed_at, bytes },
        cut: false,
        checkpoint: Some(at(0, Hash::of(&[]))),
        key_note: None,
    }
    .encode(&mut head);
    let event_bytes = event(0);
    let proof = ProofData { link, schema: EVENT_SCHEMA, event_bytes: &event_bytes }.to_bytes();
    let key_0 = KeyNote { first_size: 0, vkey: vkey() }.sign(&first_key(), None);
    let second = KeyNote { first_size: EVENTS + 1, vkey: second_key().vkey(ORIGIN) };
    let key_n = second.sign(&second_key(), Some(&first_key()));
    vec![
        ("AuditEvent.avsc", EVENT_SCHEMA.to_vec()),
        ("Head.avsc", HEAD_SCHEMA.to_vec()),
        ("wrapper.avsc", wrapper_schema(EVENT_SCHEMA)),
        ("vkey.txt", format!("{}\n", vkey()).into_bytes()),
        ("event.bin", event_bytes),
        ("link.bin", link.to_bytes().to_vec()),
        ("sealed.bin", sealed),
        ("head.bin", head),
        ("checkpoint.note", checkpoint.into_bytes()),
        ("key-0.note", key_0.into_bytes()),
        ("key-N.note", key_n.into_bytes()),
        ("segment.avro", segment),
        ("trees.tiles", trees.to_bytes()),
        ("proof.slp", proof),
    ]
}
