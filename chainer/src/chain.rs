//! The pure core: a chain from one Head to the next. No clock, no I/O; time comes in as an argument.

use schemas::event::Attribute;
use schemas::event::{MAX_EVENT_BYTES, check_event, event_schema_hash};
use schemas::framing::{Framing, SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use schemas::own_act::{OwnAct, REJECTED, Rejected};
use schemas::{
    Checkpoint, Hash, Head, Malformed, Micros, OpenSegment, SealedEvent, Vkey, Walk, derived_id, event_hash,
};
use stream::{Batch, LaneId, Record};

/// When a segment ends, and how large a commit may be.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A segment holds so many events at most.
    pub max_events: u64,
    /// A segment ends once it holds so many bytes of datums.
    pub max_bytes: u64,
    /// A segment ends when its first event is so old.
    pub max_age_us: i64,
    /// A segment ends when nothing has come for so long.
    pub max_idle_us: Option<i64>,
    /// A chain says that it is alive when nothing has come for so long.
    pub heartbeat_us: i64,
}

/// A commit holds so many events at most.
pub const COMMIT_EVENTS: usize = 10_000;
/// A commit is so large at most, but for a single event: events and their prefixes.
pub const COMMIT_BYTES: usize = 12 << 20;
/// How much of a record that is no event goes into the event that says so.
const KEEP_REJECTED_BYTES: usize = 1 << 20;

/// Where a chain stands, its open segment and its source.
#[derive(Clone, Debug)]
pub struct Chain {
    origin: String,
    vkey: Vkey,
    walk: Walk,
    source_position: u64,
    source_hash: Hash,
    schema_hash: Hash,
    open: OpenSegment,
}

/// What was taken from a batch in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// Records taken.
    pub taken: usize,
    /// How many of them were no events and were set aside as rejections.
    pub rejected: usize,
}

impl Chain {
    /// The chain as a Head leaves it.
    pub fn resume(origin: &str, vkey: Vkey, head: &Head) -> Chain {
        Chain {
            origin: origin.to_owned(),
            vkey,
            walk: Walk::resume(head.tree.clone(), head.last_hash, head.last_sealed_at),
            source_position: head.source_position,
            source_hash: head.source_hash,
            schema_hash: head.schema_hash,
            open: head.open,
        }
    }

    /// Its name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many links it has.
    pub fn size(&self) -> u64 {
        self.walk.tree().size()
    }

    /// When its last link was sealed.
    pub fn last_sealed_at(&self) -> Micros {
        self.walk.last_sealed_at()
    }

    /// The offset of audit.events to take next.
    pub fn source_position(&self) -> u64 {
        self.source_position
    }

    /// How many more events the open segment takes.
    pub fn room_events(&self, policy: &Policy) -> usize {
        let open = self.size() - self.open.first_seq.0;
        policy.max_events.saturating_sub(open).min(COMMIT_EVENTS as u64) as usize
    }

    /// How many more bytes it takes; at least 1, so that something always fits.
    pub fn room_bytes(&self, policy: &Policy) -> usize {
        policy.max_bytes.saturating_sub(self.open.bytes).clamp(1, COMMIT_BYTES as u64) as usize
    }

    /// The Checkpoint of its size, to be signed once that is committed.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.size(), root: self.walk.tree().root() }
    }

    /// Whether the segment must end before anything sealed at `now` may follow: another UTC day, or another schema.
    pub fn must_cut_before(&self, now: Micros) -> bool {
        let day = self.walk.seal_time(now).day();
        !self.is_cut() && (self.open.first_sealed_at.day() != day || self.schema_hash != event_schema_hash())
    }

    /// Whether the segment is full, or due at `now`. `idle_since`: when the last event came.
    pub fn cut_is_due(&self, now: Micros, idle_since: Micros, policy: &Policy) -> bool {
        let idle = policy.max_idle_us.is_some_and(|idle| now.0 - idle_since.0 >= idle);
        let old = now.0 - self.open.first_sealed_at.0 >= policy.max_age_us;
        !self.is_cut() && (self.is_full(policy) || idle || old)
    }

    /// Whether the segment must end with the commit that is being made.
    pub fn is_full(&self, policy: &Policy) -> bool {
        self.size() - self.open.first_seq.0 >= policy.max_events || self.open.bytes >= policy.max_bytes
    }

    /// Whether nothing has been sealed since the last cut.
    pub fn is_cut(&self) -> bool {
        self.open.first_seq.0 == self.size()
    }

    /// Links records from the front, in order, until the commit is full, the segment is full or the day ends. SealedEvents
    /// go to `out`. A schema that is not known is an error; a record that is no event is sealed as a rejection.
    pub fn link<'a>(
        &mut self,
        records: impl Iterator<Item = Record<'a>>,
        now: Micros,
        policy: &Policy,
        out: &mut Batch,
        lane: LaneId,
    ) -> Result<Linked, Malformed> {
        let (mut linked, mut last) = (Linked::default(), None);
        let day = self.walk.seal_time(now).day();
        for record in records {
            let schema_hash = schema_of(record.headers.get(SCHEMA_HEADER))?;
            if schema_hash != event_schema_hash() {
                let what = format!(
                    "offset {}: schema {schema_hash} is not known here: upgrade this stage",
                    record.offset
                );
                return Err(Malformed::new("record of audit.events", 0, what));
            }
            let full =
                linked.taken >= COMMIT_EVENTS || out.size_bytes() >= COMMIT_BYTES || self.is_full(policy);
            if full || self.walk.seal_time(now).day() != day {
                break;
            }
            let value = record.value.unwrap_or_default();
            let event_bytes = Framing::Bare.datum(value)?;
            let sound = if event_bytes.len() > MAX_EVENT_BYTES {
                Err(Malformed::new("AuditEvent", MAX_EVENT_BYTES, "larger than an event may be"))
            } else {
                check_event(event_bytes)
            };
            match sound {
                Ok(()) => self.seal(event_bytes, now, out, lane),
                Err(why) => {
                    linked.rejected += 1;
                    let rejection = self.rejection(&record, event_bytes, now, &why.to_string());
                    self.seal(&rejection, now, out, lane);
                }
            }
            linked.taken += 1;
            last = Some((record.offset, value));
        }
        if let Some((offset, value)) = last {
            self.source_position = offset + 1;
            self.source_hash = Hash::of(&[value]);
        }
        Ok(linked)
    }

    /// Links an act of the chainer itself. The source position stays where it is.
    pub fn link_own(
        &mut self,
        action: &str,
        attributes: &[Attribute<'_>],
        now: Micros,
        out: &mut Batch,
        lane: LaneId,
    ) {
        let id = derived_id(&[self.origin.as_bytes(), action.as_bytes(), self.size().to_string().as_bytes()]);
        let mut event_bytes = Vec::new();
        OwnAct { action, id: &id, at: now, target: Some(&self.origin), trouble: None, attributes }
            .encode(&mut event_bytes);
        self.seal(&event_bytes, now, out, lane);
    }

    /// The Head of all that is linked so far. With `cut` the segment ends here and a new one opens.
    pub fn head(&mut self, cut: bool, checkpoint: Option<String>) -> Head {
        if cut {
            self.open = OpenSegment { first_seq: self.walk.next_seq(), ..OpenSegment::default() };
        }
        Head {
            tree: self.walk.tree().clone(),
            last_hash: self.walk.last_hash(),
            last_sealed_at: self.walk.last_sealed_at(),
            source_position: self.source_position,
            source_hash: self.source_hash,
            schema_hash: self.schema_hash,
            vkey: self.vkey.to_string(),
            open: self.open,
            cut,
            checkpoint,
            key_note: None,
        }
    }

    fn seal(&mut self, event_bytes: &[u8], now: Micros, out: &mut Batch, lane: LaneId) {
        let schema_hash = event_schema_hash();
        let (link, hash) = self.walk.extend(event_hash(&schema_hash, event_bytes), now);
        if self.open.first_seq == link.seq {
            self.open.first_sealed_at = link.sealed_at;
        }
        let datum_bytes = &mut self.open.bytes;
        out.push_with(lane, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |value| {
            let before = value.len();
            SealedEvent::splice(value, &link, &hash, event_bytes);
            *datum_bytes += (value.len() - before) as u64;
        });
        self.schema_hash = schema_hash;
    }

    fn rejection(&self, record: &Record<'_>, bytes: &[u8], now: Micros, reason: &str) -> Vec<u8> {
        let offset = record.offset.to_string();
        let id = derived_id(&[self.origin.as_bytes(), REJECTED.as_bytes(), offset.as_bytes()]);
        let mut event_bytes = Vec::new();
        Rejected {
            id: &id,
            at: now,
            reason: "no_event",
            detail: reason,
            producer: "",
            received_from: schemas::event::ReceivedFrom {
                topic: Some(&record.lane.topic),
                partition: i32::try_from(record.lane.partition).ok(),
                offset: i64::try_from(record.offset).ok(),
                ..Default::default()
            },
            content_type: "application/octet-stream",
            sha256: &Hash::of(&[bytes]).to_string(),
            bytes,
            keep_bytes: KEEP_REJECTED_BYTES,
        }
        .encode(&mut event_bytes);
        event_bytes
    }
}

/// Adds a Head to a commit.
pub fn push_head(out: &mut Batch, lane: LaneId, head: &Head) {
    out.push_with(lane, None, &[(SCHEMA_HEADER, head_schema_hash().bytes())], |value| head.encode(value));
}
