//! What must hold before a claimed chain may go on: the last committed record is a Head, it is not behind what was
//! signed or archived, and the source is the one that it was made from.

use std::time::Duration;

use runtime::Failure;
use schemas::framing::{Framing, SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use schemas::{Checkpoint, Hash, Head, Vkey};
use store::{Notes, Store};
use stream::{Batch, Claim, Kind, Lane, Limit, Log, Record, Stream};

use crate::guard::Guard;

/// How long a record that is there may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the chain's state. `claim` is new: nothing of a predecessor can be committed any more.
pub fn last_head(stream: &dyn Stream, lane: &Lane) -> Result<Head, Failure> {
    let last = stream.last(lane)?;
    let Some(record) = last.last() else {
        return Err(Failure::Halt(format!(
            "{lane} is empty: run `sealog init`. A chain is never begun by itself"
        )));
    };
    let halt =
        |why: String| Failure::Halt(format!("{lane}: the last record, at offset {}, {why}", record.offset));
    let schema = schema_of(record.headers.get(SCHEMA_HEADER)).map_err(|e| halt(e.to_string()))?;
    if schema != head_schema_hash() {
        return Err(halt(format!(
            "is no Head that this version knows (schema {schema}): upgrade this stage"
        )));
    }
    let datum = Framing::Bare.datum(record.value.unwrap_or_default()).map_err(|e| halt(e.to_string()))?;
    Head::parse(datum).map_err(|e| halt(e.to_string()))
}

/// Halts if the Head is of another key, shorter than what was signed or archived, or has another root at the same size.
pub fn check_history(head: &Head, own: &Vkey, guard: &Guard, archive: &dyn Store) -> Result<(), Failure> {
    let name = own.name();
    if head.vkey != own.to_string() {
        return Err(Failure::Halt(format!(
            "{name} is sealed by key {}, but the configured key is {own}: give the key in force (keys.chainer)",
            head.vkey
        )));
    }
    let signed = guard.load()?;
    let archived = Notes::read(archive, name)?.newest;
    for (where_from, known) in [("the guard", &signed), ("the archive", &archived)] {
        let Some(known) = known else { continue };
        let root = head.tree.root();
        if known.origin != name {
            return Err(Failure::Halt(format!("{where_from} is about {}, not about {name}", known.origin)));
        }
        if head.size() < known.size || (head.size() == known.size && root != known.root) {
            return Err(Failure::Halt(format!(
                "{name}: the log ends at size {} with root {root}, but {where_from} knows size {} with root {}. The \
                 log lost what was committed, or is another one. Nothing was touched",
                head.size(),
                known.size,
                known.root
            )));
        }
    }
    Ok(())
}

/// Whether the Head ends a segment whose Checkpoint no Head carries yet.
pub fn is_unsigned_cut(head: &Head) -> bool {
    let carries_its_own = |note: &String| {
        Checkpoint::parse(note.as_bytes()).is_ok_and(|(checkpoint, _)| checkpoint.size == head.size())
    };
    head.cut && !head.checkpoint.as_ref().is_some_and(carries_its_own)
}

/// Whether `source` holds, before the Head's position, the record that was sealed last from there. None: that cannot be
/// seen, for the record is gone or there was none.
pub fn source_fits(log: &dyn Log, source: &Lane, head: &Head) -> Result<Option<bool>, Failure> {
    let Some(at) = head.source_position.checked_sub(1).filter(|_| head.source_hash != Hash::default()) else {
        return Ok(None);
    };
    let mut before = Batch::new();
    match log.read(source, at, &mut before, Limit { records: 1, bytes: 1 }, PATIENCE) {
        Err(error) if matches!(error.kind(), Kind::OutOfRange { .. }) => return Ok(None),
        other => other?,
    }
    match before.get(0) {
        Some(record) => Ok(Some(is_the_one(&record, at, head))),
        None => Err(Failure::Retry(format!("{source}: offset {at} could not be read in time"))),
    }
}

fn is_the_one(record: &Record<'_>, at: u64, head: &Head) -> bool {
    record.offset == at && Hash::of(&[record.value.unwrap_or_default()]) == head.source_hash
}

/// Sets the claim to go on where the Head says, having seen that the record before is the one that it was made from.
pub fn check_source(claim: &mut dyn Claim, head: &Head) -> Result<(), Failure> {
    let source = claim.lanes()[0].clone();
    let position = head.source_position;
    if position > 0 && head.source_hash != Hash::default() {
        let mut before = Batch::new();
        claim.start_at(&source, position - 1)?;
        claim.take(&mut before, Limit { records: 1, bytes: 1 }, PATIENCE)?;
        let Some(record) = before.get(0) else {
            return Err(Failure::Retry(format!(
                "{source}: offset {} could not be read in time",
                position - 1
            )));
        };
        if !is_the_one(&record, position - 1, head) {
            return Err(Failure::Halt(format!(
                "{source}: offset {} does not hold the event that was sealed last from there. The topic is another \
                 one than before: nothing was sealed",
                position - 1
            )));
        }
    }
    claim.start_at(&source, position)?;
    Ok(())
}
