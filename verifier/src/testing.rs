//! Builds whole archives in memory, for suites that damage them and look at what is found. The bytes are those that
//! the pipeline writes; only the events are made up.

#[macro_use]
pub mod rows;

use std::collections::BTreeMap;

use schemas::event::EVENT_SCHEMA;
use schemas::own_act::{CHAIN_OPENED, OwnAct};
use schemas::tiles::Tiles;
use schemas::{
    AuditEvent, Checkpoint, Hash, KeyNote, Layout, Link, Micros, Place, SealedEvent, SegmentBuilder, Signing,
    Trees, Vkey, Walk, event_hash, first_prev,
};
use store::{Keep, Store};

/// An archive: bytes under keys.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// A sealed event with its link.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its link.
    pub link: Link,
    /// The hash that stands in its record.
    pub hash: Hash,
    /// event_bytes.
    pub event: Vec<u8>,
}

/// A chain that grows by whole segments.
pub struct ChainBuilder {
    origin: String,
    layout: Layout,
    signing: Signing,
    schema: Vec<u8>,
    walk: Walk,
    tiles: Tiles,
    /// When the next event is sealed. It goes on by a second an event.
    pub clock: Micros,
    /// Every event so far.
    pub records: Vec<Record>,
    /// The size at the end of each segment.
    pub cuts: Vec<u64>,
    /// What is in the archive.
    pub objects: Objects,
}

impl ChainBuilder {
    /// A chain at its genesis, with its key note, checkpoint 0 and hint. The key is made from `seed`.
    pub fn begin(origin: &str, seed: u8) -> ChainBuilder {
        let signing = Signing::from_seed(&[seed; 32]);
        let vkey = signing.vkey(origin);
        let mut chain = ChainBuilder {
            origin: origin.to_owned(),
            layout: Layout::of(origin),
            schema: EVENT_SCHEMA.to_vec(),
            walk: Walk::begin(first_prev(origin, &vkey.to_string())),
            tiles: Tiles::new(),
            clock: Micros(1_795_253_400_000_000),
            records: Vec::new(),
            cuts: Vec::new(),
            objects: Objects::new(),
            signing,
        };
        let note = KeyNote { first_size: 0, vkey }.sign(&chain.signing, None);
        chain.put(&Place::Key(0), note.into_bytes());
        let zero = chain.sign();
        chain.put(&Place::Checkpoint(0), zero.clone().into_bytes());
        chain.put(&Place::Hint, zero.into_bytes());
        chain
    }

    /// One more segment with these events.
    pub fn seal(&mut self, events: impl IntoIterator<Item = Vec<u8>>) -> &mut ChainBuilder {
        let records = self.records_for(events);
        self.seal_records(records)
    }

    fn records_for(&mut self, events: impl IntoIterator<Item = Vec<u8>>) -> Vec<Record> {
        let schema_hash = Hash::of(&[&self.schema]);
        let (mut walk, mut records) = (self.walk.clone(), Vec::new());
        for event in events {
            let (link, hash) = walk.extend(event_hash(&schema_hash, &event), self.clock);
            records.push(Record { link, hash, event });
            self.clock.0 += 1_000_000;
        }
        records
    }

    /// One more segment with these records as they are, whether they follow or not: what who holds the key can do.
    pub fn seal_records(&mut self, records: Vec<Record>) -> &mut ChainBuilder {
        let first = self.take(records);
        self.cut(first, self.sign())
    }

    /// One more segment with these events, under a signature of another root than that of its links.
    pub fn seal_under_root(
        &mut self,
        events: impl IntoIterator<Item = Vec<u8>>,
        root: Hash,
    ) -> &mut ChainBuilder {
        let records = self.records_for(events);
        let first = self.take(records);
        self.cut(first, self.sign_as(self.walk.tree().size(), root))
    }

    /// The index of the first of them.
    fn take(&mut self, records: Vec<Record>) -> usize {
        let (first, mut tree) = (self.records.len(), self.walk.tree().clone());
        for record in records {
            tree.push(record.hash);
            self.tiles.push(record.hash);
            self.walk = Walk::resume(tree.clone(), record.hash, record.link.sealed_at);
            self.records.push(record);
        }
        first
    }

    /// The record of `event` behind the last one, not sealed yet. `change` may spoil its link; its hash fits the link.
    pub fn record(&self, event: Vec<u8>, change: impl FnOnce(&mut Link)) -> Record {
        let schema_hash = Hash::of(&[&self.schema]);
        let (mut link, _) = self.walk.clone().extend(event_hash(&schema_hash, &event), self.clock);
        change(&mut link);
        Record { hash: link.hash(), link, event }
    }

    fn cut(&mut self, first: usize, note: String) -> &mut ChainBuilder {
        let size = self.walk.tree().size();
        let records = &self.records[first..];
        let segment = segment_of(&self.origin, &self.schema, records, &note);
        let place = Place::segment(records[0].link.sealed_at, records[0].link.seq);
        let trees = Trees {
            first_seq: records[0].link.seq,
            size,
            segment_key: place.path(),
            segment_sha256: Hash::of(&[&segment]),
            completed: self.tiles.take_completed(),
            partial: self.tiles.partial().to_vec(),
        };
        self.put(&Place::Schema(Hash::of(&[&self.schema])), self.schema.clone());
        self.put(&place, segment);
        self.put(&Place::Trees(size), trees.to_bytes());
        self.put(&Place::Checkpoint(size), note.clone().into_bytes());
        self.put(&Place::Hint, note.into_bytes());
        self.cuts.push(size);
        self
    }

    /// The key made from `seed` signs from the next size on.
    pub fn rotate(&mut self, seed: u8) -> &mut ChainBuilder {
        let signing = Signing::from_seed(&[seed; 32]);
        let first_size = self.walk.tree().size() + 1;
        let note =
            KeyNote { first_size, vkey: signing.vkey(&self.origin) }.sign(&signing, Some(&self.signing));
        self.put(&Place::Key(first_size), note.into_bytes());
        self.signing = signing;
        self
    }

    /// The public key in force.
    pub fn vkey(&self) -> Vkey {
        self.signing.vkey(&self.origin)
    }

    /// Signs the chain as it stands.
    pub fn sign(&self) -> String {
        self.sign_as(self.walk.tree().size(), self.walk.tree().root())
    }

    /// Signs whatever is asked for, as who holds the key can.
    pub fn sign_as(&self, size: u64, root: Hash) -> String {
        Checkpoint { origin: self.origin.clone(), size, root }.sign(&self.signing)
    }

    /// The archived checkpoint of that size.
    pub fn note(&self, size: u64) -> Vec<u8> {
        self.objects.get(&self.key(&Place::Checkpoint(size))).cloned().unwrap_or_default()
    }

    /// The key of an object of this chain.
    pub fn key(&self, place: &Place) -> String {
        self.layout.key(place)
    }

    /// The records of the nth segment.
    pub fn records_of(&self, nth: usize) -> &[Record] {
        let first = if nth == 0 { 0 } else { self.cuts[nth - 1] };
        &self.records[first as usize..self.cuts[nth] as usize]
    }

    /// The key of the nth segment.
    pub fn segment_key(&self, nth: usize) -> String {
        let first = &self.records_of(nth)[0].link;
        self.key(&Place::segment(first.sealed_at, first.seq))
    }

    /// The key of the nth trees file.
    pub fn trees_key(&self, nth: usize) -> String {
        self.key(&Place::Trees(self.cuts[nth]))
    }

    /// Replaces the nth segment by one of these records, under the same checkpoint, and its digest with it: what who
    /// can write the archive, but holds no key, can do.
    pub fn lay_segment(&mut self, nth: usize, records: &[Record]) {
        let note = String::from_utf8(self.note(self.cuts[nth])).unwrap_or_default();
        let file = segment_of(&self.origin, &self.schema, records, &note);
        self.lay_segment_file(nth, file);
    }

    /// The same with any bytes.
    pub fn lay_segment_file(&mut self, nth: usize, file: Vec<u8>) {
        let (key, digest) = (self.segment_key(nth), Hash::of(&[&file]));
        self.objects.insert(key, file);
        self.change_trees(nth, |trees| trees.segment_sha256 = digest);
    }

    /// Changes the nth trees file and writes it anew.
    pub fn change_trees(&mut self, nth: usize, change: impl FnOnce(&mut Trees)) {
        let key = self.trees_key(nth);
        if let Some(Ok(mut trees)) = self.objects.get(&key).map(|bytes| Trees::parse(bytes)) {
            change(&mut trees);
            self.objects.insert(key, trees.to_bytes());
        }
    }

    fn put(&mut self, place: &Place, bytes: Vec<u8>) {
        self.objects.insert(self.layout.key(place), bytes);
    }
}

/// The segment file of these records.
pub fn segment_of(origin: &str, schema: &[u8], records: &[Record], checkpoint: &str) -> Vec<u8> {
    let mut builder = SegmentBuilder::new(origin, schema, records[0].link.seq, records[0].link.prev);
    let mut datum = Vec::new();
    for record in records {
        datum.clear();
        SealedEvent::splice(&mut datum, &record.link, &record.hash, &record.event);
        builder.push(&datum);
    }
    builder.finish(records[records.len() - 1].hash, checkpoint)
}

/// Stores an archive.
pub fn store_objects(objects: &Objects, store: &dyn Store) -> store::Result<()> {
    objects.iter().try_for_each(|(key, bytes)| store.put_new(key, bytes, Keep::Evidence).map(drop))
}

/// An event like those that services send.
pub fn event(n: u64) -> Vec<u8> {
    let (id, original) = (format!("e-{n}"), format!("{{\"action\":\"user.login\",\"n\":{n}}}"));
    let mut out = Vec::new();
    AuditEvent {
        id: &id,
        source: "web",
        action: "user.login",
        occurred_at: Some(Micros(1_795_253_400_000_000)),
        received_at: Micros(1_795_253_400_000_000),
        content_type: "application/json",
        original: original.as_bytes(),
        producer: "web",
        ..AuditEvent::default()
    }
    .encode(&mut out);
    out
}

/// The event with which chain 0 records that a chain was opened.
pub fn opening(origin: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let at = Micros(1_795_253_400_000_000);
    OwnAct { action: CHAIN_OPENED, id: origin, at, target: Some(origin), trouble: None, attributes: &[] }
        .encode(&mut out);
    out
}

/// A run of such events.
pub fn events(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(event)
}
