//! Chain 0 records the opening of every other chain, so that one which vanishes whole is missed.

use runtime::Failure;
use schemas::event::{Attribute, event_schema_hash};
use schemas::framing::SCHEMA_HEADER;
use schemas::note::MAX_NOTE_BYTES;
use schemas::own_act::{CHAIN_OPENED, OwnAct};
use schemas::{Layout, Micros, Place, derived_id};
use store::{Notes, Store, versions};
use stream::{Batch, Log, topics};

/// Appends the opening of the chain `name`, whose Checkpoint 0 this note is. The id is the same each time.
pub fn record(log: &dyn Log, name: &str, note: &str, now: Micros) -> Result<(), Failure> {
    let id = derived_id(&[name.as_bytes(), CHAIN_OPENED.as_bytes()]);
    let act = OwnAct {
        action: CHAIN_OPENED,
        id: &id,
        at: now,
        target: Some(name),
        trouble: None,
        attributes: &[Attribute::text("checkpoint", note)],
    };
    let mut opening = Batch::new();
    let lane = opening.lane(&topics::events(0));
    let schema = event_schema_hash();
    opening.push_with(lane, None, &[(SCHEMA_HEADER, schema.bytes())], |value| act.encode(value));
    Ok(log.append(&opening)?)
}

/// Records the opening of chain `chain` once more, if its Checkpoint 0 is archived: chain 0 was recovered, and the
/// record that it had may be lost.
pub fn announce_again(
    store: &dyn Store,
    log: &dyn Log,
    origin: &str,
    chain: u32,
    now: Micros,
) -> Result<(), Failure> {
    let name = format!("{origin}/{chain}");
    let key = Layout::of(&name).key(&Place::Checkpoint(0));
    let notes = Notes::read(store, &name)?;
    let note = versions::fitting(store, &key, MAX_NOTE_BYTES as u64, |object| {
        notes.open(0, &object.bytes).ok().and_then(|_| String::from_utf8(object.bytes.clone()).ok())
    })?;
    note.map_or(Ok(()), |(_, note)| record(log, &name, &note, now))
}
