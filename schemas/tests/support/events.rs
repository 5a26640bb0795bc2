//! Random AuditEvents, and what their JSON should be, written down without the code that encodes them.

use proptest::prelude::*;
use proptest::sample::select;
use schemas::Micros;
use schemas::event::{
    Attribute, AttributeType, AuditEvent, Environment, Outcome, Party, Protected, ReceivedFrom, Transport,
};
use serde_json::{Value, json};

type Text = String;
type Who = (Text, Option<Text>, Option<Text>);

/// An event that owns its parts.
#[derive(Clone, Debug)]
pub struct RandomEvent {
    texts: [Text; 6],
    options: [Option<Text>; 12],
    source_seq: Option<i64>,
    times: (Option<i64>, i64, Option<i64>),
    who: (Option<Who>, Option<Who>, Vec<Who>),
    outcome: Outcome,
    place: (Transport, Option<i32>, Option<i64>, i32),
    key: Option<Vec<u8>>,
    headers: Vec<(Text, Option<Vec<u8>>)>,
    attributes: Vec<(Text, Text, AttributeType)>,
    marks: Vec<Text>,
    protected: Vec<(Text, Vec<u8>)>,
    original: Vec<u8>,
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![3 => "[a-z.]{0,12}", 1 => "\\PC{0,20}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn option<T: Strategy>(of: T) -> impl Strategy<Value = Option<T::Value>> {
    prop::option::of(of)
}

fn some<T: Strategy>(of: T) -> impl Strategy<Value = Vec<T::Value>> {
    prop::collection::vec(of, 0..4)
}

const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Unknown, "unknown"),
    (Outcome::Success, "success"),
    (Outcome::Failure, "failure"),
    (Outcome::Denied, "denied"),
];
const TRANSPORTS: [(Transport, &str); 3] =
    [(Transport::Internal, "internal"), (Transport::Http, "http"), (Transport::Kafka, "kafka")];
const TYPES: [(AttributeType, &str); 6] = [
    (AttributeType::String, "string"),
    (AttributeType::Number, "number"),
    (AttributeType::Boolean, "boolean"),
    (AttributeType::Null, "null"),
    (AttributeType::Array, "array"),
    (AttributeType::Object, "object"),
];

fn named<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(other, _)| *other == value).unwrap().1
}

/// Any event.
pub fn events() -> impl Strategy<Value = RandomEvent> {
    let who = || (text(), option(text()), option(text()));
    let time = || 0..=Micros::MAX.0;
    let first = (
        prop::array::uniform6(text()),
        prop::array::uniform12(option(text())),
        option(any::<i64>()),
        (option(time()), time(), option(time())),
        (option(who()), option(who()), some(who())),
        select(&OUTCOMES[..]),
    );
    let second = (
        (select(&TRANSPORTS[..]), option(any::<i32>()), option(any::<i64>()), any::<i32>()),
        option(bytes()),
        some((text(), option(bytes()))),
        some((text(), text(), select(&TYPES[..]).prop_map(|(kind, _)| kind))),
        some(text()),
        some((text(), bytes())),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    (first, second).prop_map(|((texts, options, source_seq, times, who, outcome), rest)| {
        let ((transport, partition, offset, part), key, headers, attributes, marks, protected, original) =
            rest;
        let place = (transport.0, partition, offset, part);
        let outcome = outcome.0;
        RandomEvent {
            texts,
            options,
            source_seq,
            times,
            who,
            outcome,
            place,
            key,
            headers,
            attributes,
            marks,
            protected,
            original,
        }
    })
}

fn party((id, kind, name): &Who) -> Party<'_> {
    Party { id, kind: kind.as_deref(), name: name.as_deref() }
}

fn party_json((id, kind, name): &Who) -> Value {
    json!({"id": id, "type": kind, "name": name})
}

fn bytes_json(bytes: &[u8]) -> Value {
    use base64::Engine;
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    }
}

impl RandomEvent {
    /// Its event_bytes.
    pub fn encode(&self) -> Vec<u8> {
        let [id, source, dialect, action, producer, content_type] = self.texts.each_ref().map(String::as_str);
        let options = self.options.each_ref().map(Option::as_deref);
        let [
            category,
            source_address,
            reason,
            service,
            host,
            region,
            deployment,
            image,
            tenant,
            trace_id,
            claimed,
            topic,
        ] = options;
        let targets: Vec<_> = self.who.2.iter().map(party).collect();
        let headers: Vec<_> = self.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        let attributes: Vec<_> =
            self.attributes.iter().map(|(key, value, kind)| Attribute { key, value, kind: *kind }).collect();
        let marks: Vec<_> = self.marks.iter().map(String::as_str).collect();
        let protected: Vec<_> = self
            .protected
            .iter()
            .map(|(path, ciphertext)| Protected { path, subject: id, key_id: source, ciphertext })
            .collect();
        let (transport, partition, offset, part) = self.place;
        let mut out = Vec::new();
        AuditEvent {
            id,
            source,
            source_seq: self.source_seq,
            dialect,
            action,
            category,
            occurred_at: self.times.0.map(Micros),
            received_at: Micros(self.times.1),
            actor: self.who.0.as_ref().map(party),
            on_behalf_of: self.who.1.as_ref().map(party),
            source_address,
            targets: &targets,
            outcome: self.outcome,
            reason,
            environment: Environment { service, host, region, deployment, image },
            tenant,
            trace_id,
            producer,
            claimed_producer: claimed,
            received_from: ReceivedFrom {
                transport,
                topic,
                partition,
                offset,
                broker_time: self.times.2.map(Micros),
                key: self.key.as_deref(),
                headers: &headers,
                peer: reason,
                part,
            },
            attributes: &attributes,
            marks: &marks,
            protected: &protected,
            content_type,
            original: &self.original,
        }
        .encode(&mut out);
        out
    }

    /// What a reader should see, field by field in the order of the schema.
    pub fn json(&self) -> Value {
        let [id, source, dialect, action, producer, content_type] = &self.texts;
        let [
            category,
            source_address,
            reason,
            service,
            host,
            region,
            deployment,
            image,
            tenant,
            trace_id,
            claimed,
            topic,
        ] = &self.options;
        let time = |at: i64| Micros(at).rfc3339();
        let (transport, partition, offset, part) = self.place;
        let headers =
            self.headers.iter().map(|(k, v)| json!({"key": k, "value": v.as_deref().map(bytes_json)}));
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(k, v, t)| json!({"key": k, "value": v, "type": named(&TYPES, *t)}));
        let protected = self.protected.iter().map(|(path, ciphertext)| {
            json!({"path": path, "subject": id, "key_id": source, "ciphertext": bytes_json(ciphertext)})
        });
        json!({
            "id": id, "source": source, "source_seq": self.source_seq, "dialect": dialect, "action": action,
            "category": category, "occurred_at": self.times.0.map(time), "received_at": time(self.times.1),
            "actor": self.who.0.as_ref().map(party_json), "on_behalf_of": self.who.1.as_ref().map(party_json),
            "source_address": source_address, "targets": self.who.2.iter().map(party_json).collect::<Vec<_>>(),
            "outcome": named(&OUTCOMES, self.outcome), "reason": reason,
            "environment": {
                "service": service, "host": host, "region": region, "deployment": deployment, "image": image,
            },
            "tenant": tenant, "trace_id": trace_id, "producer": producer, "claimed_producer": claimed,
            "received_from": {
                "transport": named(&TRANSPORTS, transport), "topic": topic, "partition": partition,
                "offset": offset, "broker_time": self.times.2.map(time),
                "key": self.key.as_deref().map(bytes_json), "headers": headers.collect::<Vec<_>>(),
                "peer": reason, "part": part,
            },
            "attributes": attributes.collect::<Vec<_>>(), "marks": self.marks,
            "protected": protected.collect::<Vec<_>>(),
            "original": {"content_type": content_type, "bytes": bytes_json(&self.original)},
        })
    }
}
