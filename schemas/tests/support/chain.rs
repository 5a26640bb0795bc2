//! A piece of a chain for tests: events of chosen sizes, sealed, and the segment that holds them.

use schemas::event::{AuditEvent, EVENT_SCHEMA, Party};
use schemas::{
    Checkpoint, Hash, Micros, SealedEvent, SegmentBuilder, SegmentHeader, Seq, Signing, Tree, Walk,
    event_hash, event_schema_hash,
};

/// The chain's name.
pub const ORIGIN: &str = "acme.example/audit/0";

/// A run of sealed events.
pub struct Piece {
    /// Before the first of them.
    pub before: Walk,
    /// After the last.
    pub after: Walk,
    /// The SealedEvent datums in order.
    pub datums: Vec<Vec<u8>>,
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let block = |n: usize| Hash::of(&[&seed.to_be_bytes(), &n.to_be_bytes()]).0;
    (0..count.div_ceil(32)).flat_map(block).take(count).collect()
}

/// The event_bytes of an event whose original has that many bytes.
pub fn event_of(seed: u64, original_bytes: usize) -> Vec<u8> {
    let (id, original) = (format!("event-{seed}"), noise(seed, original_bytes));
    let mut out = Vec::new();
    AuditEvent {
        id: &id,
        source: "documents",
        dialect: "json/1",
        action: "document.read",
        received_at: Micros(1_795_253_400_000_000),
        targets: &[Party { id: "doc-1", ..Party::default() }, Party { id: "doc-2", ..Party::default() }],
        producer: "documents",
        content_type: "application/octet-stream",
        original: &original,
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

impl Piece {
    /// Seals these events in order; the first gets `first_seq`.
    pub fn sealing(first_seq: u64, events: impl IntoIterator<Item = Vec<u8>>) -> Piece {
        let mut tree = Tree::new();
        (0..first_seq).for_each(|n| tree.push(Hash::of(&[&n.to_be_bytes()])));
        let before = Walk::resume(tree, Hash([5; 32]), Micros(1_795_253_400_000_000));
        let (mut after, mut datums) = (before.clone(), Vec::new());
        for event_bytes in events {
            let event_hash = event_hash(&event_schema_hash(), &event_bytes);
            let (link, hash) = after.extend(event_hash, Micros(0));
            let mut datum = Vec::new();
            SealedEvent::splice(&mut datum, &link, &hash, &event_bytes);
            datums.push(datum);
        }
        Piece { before, after, datums }
    }

    /// Events with originals of these sizes.
    pub fn of_sizes(first_seq: u64, sizes: &[usize]) -> Piece {
        Piece::sealing(first_seq, sizes.iter().enumerate().map(|(n, size)| event_of(n as u64, *size)))
    }

    /// Its first seq.
    pub fn first_seq(&self) -> Seq {
        self.before.next_seq()
    }

    /// The signed Checkpoint at its end.
    pub fn checkpoint(&self) -> String {
        let (size, root) = (self.after.tree().size(), self.after.tree().root());
        Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&Signing::from_seed(&[7; 32]))
    }

    /// The header of its segment.
    pub fn header(&self) -> SegmentHeader {
        SegmentHeader {
            event_schema: EVENT_SCHEMA.to_vec(),
            origin: ORIGIN.to_owned(),
            first_seq: self.first_seq(),
            last_seq: Seq(self.after.tree().size() - 1),
            first_prev: self.before.last_hash(),
            last_hash: self.after.last_hash(),
            checkpoint: self.checkpoint(),
        }
    }

    /// Its segment, as the builder makes it.
    pub fn segment(&self) -> Vec<u8> {
        let mut builder =
            SegmentBuilder::new(ORIGIN, EVENT_SCHEMA, self.first_seq(), self.before.last_hash());
        self.datums.iter().for_each(|datum| builder.push(datum));
        builder.finish(self.after.last_hash(), &self.checkpoint())
    }
}
