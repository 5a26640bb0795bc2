//! What an archive holds, read with the formats alone, and what the verifier says of it.

use schemas::avro::{Input, to_json};
use schemas::event::event_shape;
use schemas::{Layout, SegmentFile};
use store::{Store, keys_after};

/// The events of one chain in order, as JSON.
pub fn events(store: &dyn Store, origin: &str) -> Vec<serde_json::Value> {
    let mut segments = keys_after(store, &Layout::of(origin).segments(), "").unwrap();
    segments.sort_by_key(|key| key.rsplit('/').next().map(str::to_owned));
    let mut events = Vec::new();
    for key in segments {
        let bytes = store.get(&key, None, None, 1 << 30).unwrap().bytes;
        let file = SegmentFile::parse(&bytes).unwrap();
        file.walk(event_shape(), |sealed, _| {
            events.push(to_json(event_shape(), &mut Input::new("event", sealed.event_bytes)).unwrap());
            true
        })
        .unwrap();
    }
    events
}

/// The ids of those events that did not come from Sealog itself.
pub fn ids(store: &dyn Store, origin: &str) -> Vec<String> {
    let sent = |event: &&serde_json::Value| event["producer"] != "sealog";
    events(store, origin).iter().filter(sent).map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// How often each action of Sealog's own stands in a chain.
pub fn own_acts(store: &dyn Store, origin: &str, action: &str) -> usize {
    events(store, origin)
        .iter()
        .filter(|event| event["producer"] == "sealog" && event["action"] == action)
        .count()
}
