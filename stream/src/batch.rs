//! A batch: many records, one arena. Filling it again reuses the arena, so the hot road allocates nothing per record.

use crate::Lane;

/// Records in the order in which they were taken, or are to be committed. They may be on several lanes.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    records: Vec<Entry>,
    lanes: Vec<Lane>,
    /// What the records weigh. The arena may hold more: framing between records that were read in one piece.
    size_bytes: usize,
}

/// A lane's number within one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneId(u32);

impl LaneId {
    /// Where the lane stands among `Batch::lanes`.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a record's parts lie in the arena: headers from `start`, then the key, then the value up to `end`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    lane: LaneId,
    offset: u64,
    time_ms: i64,
    start: usize,
    key_at: usize,
    /// Where the key ends. Equal to `key_at` when there is no key or an empty one; `has_key` tells them apart.
    value_at: usize,
    end: usize,
    has_key: bool,
    has_value: bool,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The lane it was taken from, or goes to.
    pub lane: &'a Lane,
    /// The same within the batch.
    pub lane_id: LaneId,
    /// Its place in the lane; 0 until it has one.
    pub offset: u64,
    /// When it was written, as the stream says, in ms since 1970; 0 until it has been.
    pub time_ms: i64,
    /// The key, where it has one.
    pub key: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
    /// The value; None is a Kafka tombstone.
    pub value: Option<&'a [u8]>,
}

impl Batch {
    /// An empty one.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Forgets the records and keeps the memory, up to `keep_bytes` of it.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.arena.clear();
        self.arena.shrink_to(keep_bytes);
        self.records.clear();
        self.lanes.clear();
        self.size_bytes = 0;
    }

    /// The number of `lane` in this batch.
    pub fn lane(&mut self, lane: &Lane) -> LaneId {
        // The number first: a thousand partitions of one topic differ in nothing else.
        let known = self.lanes.iter().position(|l| l.partition == lane.partition && l.topic == lane.topic);
        LaneId(known.unwrap_or_else(|| {
            self.lanes.push(lane.clone());
            self.lanes.len() - 1
        }) as u32)
    }

    /// Adds a record that has no place yet, its value written straight into the arena.
    pub fn push_with(
        &mut self,
        lane: LaneId,
        key: Option<&[u8]>,
        headers: &[(&str, &[u8])],
        write_value: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.arena.len();
        for (name, value) in headers {
            put_header(&mut self.arena, name, Some(value));
        }
        let key_at = self.arena.len();
        self.arena.extend_from_slice(key.unwrap_or_default());
        let value_at = self.arena.len();
        write_value(&mut self.arena);
        let (end, has_key, has_value) = (self.arena.len(), key.is_some(), true);
        self.add(Entry { lane, offset: 0, time_ms: 0, start, key_at, value_at, end, has_key, has_value });
    }

    /// Adds a record that has no place yet.
    pub fn push(&mut self, lane: LaneId, key: Option<&[u8]>, headers: &[(&str, &[u8])], value: &[u8]) {
        self.push_with(lane, key, headers, |arena| arena.extend_from_slice(value));
    }

    /// Adds a record as it was taken from its lane. Headers come one by one: a Kafka header's value may be null.
    pub fn push_taken<'h>(
        &mut self,
        lane: LaneId,
        (offset, time_ms): (u64, i64),
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        value: Option<&[u8]>,
    ) {
        let start = self.arena.len();
        for (name, header) in headers {
            put_header(&mut self.arena, name, header);
        }
        let key_at = self.arena.len();
        self.arena.extend_from_slice(key.unwrap_or_default());
        let value_at = self.arena.len();
        self.arena.extend_from_slice(value.unwrap_or_default());
        let end = self.arena.len();
        let (has_key, has_value) = (key.is_some(), value.is_some());
        self.add(Entry { lane, offset, time_ms, start, key_at, value_at, end, has_key, has_value });
    }

    /// Adds a record of another batch as it is there, on the same lane. Nothing if there is none at `index`.
    pub fn push_from(&mut self, other: &Batch, index: usize) {
        let (Some(record), Some(packed)) = (other.get(index), other.packed(index)) else { return };
        let (lane, start) = (self.lane(record.lane), self.arena.len());
        self.arena.extend_from_slice(packed.body);
        self.adopt(lane, (record.offset, record.time_ms), start, packed.shape);
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What the records weigh, keys and headers included.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The record at `index`.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.records.get(index).map(|e| self.record(e))
    }

    /// The last record.
    pub fn last(&self) -> Option<Record<'_>> {
        self.records.last().map(|e| self.record(e))
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(|e| self.record(e))
    }

    /// The lanes that records of this batch are on, in the order of their numbers.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The record at `index` as one piece, for a stream that stores it as it lies here.
    pub(crate) fn packed(&self, index: usize) -> Option<Packed<'_>> {
        let e = self.records.get(index)?;
        Some(Packed {
            lane: e.lane,
            shape: Shape {
                headers_bytes: e.key_at - e.start,
                key_bytes: e.has_key.then_some(e.value_at - e.key_at),
                value_bytes: e.has_value.then_some(e.end - e.value_at),
            },
            body: &self.arena[e.start..e.end],
        })
    }

    /// The records of one lane, in order, each as one piece.
    pub(crate) fn packed_on(&self, lane: LaneId) -> impl Iterator<Item = Packed<'_>> {
        (0..self.len()).filter_map(|index| self.packed(index)).filter(move |packed| packed.lane == lane)
    }

    /// The numbers of the lanes, in order.
    pub(crate) fn lane_ids(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..self.lanes.len() as u32).map(LaneId)
    }

    /// Takes the arena out, for a stream that reads straight into it, behind what it holds. It must be put back.
    pub(crate) fn take_arena(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.arena)
    }

    /// Puts the arena back: the bytes that it held before, then those of the records adopted since.
    pub(crate) fn put_arena(&mut self, arena: Vec<u8>) {
        debug_assert!(self.records.last().is_none_or(|e| e.end <= arena.len()));
        self.arena = arena;
    }

    /// Makes a record of what was read into the arena at `start`: headers, key and value without gaps.
    pub(crate) fn adopt(&mut self, lane: LaneId, (offset, time_ms): (u64, i64), start: usize, shape: Shape) {
        let key_at = start + shape.headers_bytes;
        let value_at = key_at + shape.key_bytes.unwrap_or(0);
        let end = value_at + shape.value_bytes.unwrap_or(0);
        let (has_key, has_value) = (shape.key_bytes.is_some(), shape.value_bytes.is_some());
        self.add(Entry { lane, offset, time_ms, start, key_at, value_at, end, has_key, has_value });
    }

    fn add(&mut self, entry: Entry) {
        self.size_bytes += entry.end - entry.start;
        self.records.push(entry);
    }

    fn record(&self, e: &Entry) -> Record<'_> {
        Record {
            lane: &self.lanes[e.lane.index()],
            lane_id: e.lane,
            offset: e.offset,
            time_ms: e.time_ms,
            key: e.has_key.then(|| &self.arena[e.key_at..e.value_at]),
            headers: Headers(&self.arena[e.start..e.key_at]),
            value: e.has_value.then(|| &self.arena[e.value_at..e.end]),
        }
    }
}

/// How the bytes of one record divide. None: no key, or a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub headers_bytes: usize,
    pub key_bytes: Option<usize>,
    pub value_bytes: Option<usize>,
}

impl Shape {
    /// What the record weighs.
    pub fn size_bytes(&self) -> usize {
        self.headers_bytes + self.key_bytes.unwrap_or(0) + self.value_bytes.unwrap_or(0)
    }
}

/// A record in one piece: headers, key and value as they lie in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    pub lane: LaneId,
    pub shape: Shape,
    pub body: &'a [u8],
}

/// Headers in the arena: u32 length of the name, the name, u32 length of the value (all ones: null), the value.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(&'a [u8]);

const NULL: u32 = u32::MAX;

fn put_header(arena: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    arena.extend_from_slice(&(name.len() as u32).to_le_bytes());
    arena.extend_from_slice(name.as_bytes());
    arena.extend_from_slice(&value.map_or(NULL, |v| v.len() as u32).to_le_bytes());
    arena.extend_from_slice(value.unwrap_or_default());
}

impl<'a> Headers<'a> {
    /// The value of the last header of that name: the last one wins, as in Kafka.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(n, _)| *n == name).last().and_then(|(_, value)| value)
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = std::str::from_utf8(take(&mut rest)??).ok()?;
            Some((name, take(&mut rest)?))
        })
    }
}

/// One length and its bytes; the outer None is the end.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let (part, tail) = if length == NULL {
        (None, tail)
    } else {
        tail.split_at_checked(length as usize).map(|(p, t)| (Some(p), t))?
    };
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut batch = Batch::new();
        let (a, b) = (batch.lane(&topics::events(0)), batch.lane(&topics::rejected(0)));
        batch.push(a, Some(b"k"), &[("sealog.schema", b"s"), ("x", b"")], b"value");
        batch.push_taken(b, (7, 99), None, [("n", None), ("n", Some(&b"2"[..]))], None);
        let first = batch.get(0).unwrap();
        assert_eq!((first.key, first.value), (Some(&b"k"[..]), Some(&b"value"[..])));
        assert_eq!(first.headers.get("x"), Some(&b""[..]));
        let second = batch.last().unwrap();
        assert_eq!((second.offset, second.time_ms, second.key, second.value), (7, 99, None, None));
        assert_eq!(second.headers.iter().collect::<Vec<_>>(), [("n", None), ("n", Some(&b"2"[..]))]);
        assert_eq!(second.lane, &topics::rejected(0));
        let mut other = Batch::new();
        other.push_from(&batch, 1);
        other.push_from(&batch, 0);
        other.push_from(&batch, 2);
        assert_eq!((other.len(), other.size_bytes()), (2, batch.size_bytes()));
        assert_eq!(other.get(1).unwrap().lane, &topics::events(0));
        assert_eq!(other.get(1).unwrap().headers.get("x"), Some(&b""[..]));
        assert_eq!(other.get(0).unwrap().offset, 7);
        batch.clear(1 << 20);
        assert!(batch.is_empty() && batch.lanes().is_empty());
    }
}
