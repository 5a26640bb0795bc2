//! A batch: many records, one arena. Filling it again reuses the arena, so the hot road allocates nothing per record.

use crate::Lane;

/// Records in the order in which they were taken, or are to be committed. They may be on several lanes.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    records: Vec<Entry>,
    lanes: Vec<Lane>,
}

/// A lane's number within one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneId(u32);

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
    }

    /// The number of `lane` in this batch.
    pub fn lane(&mut self, lane: &Lane) -> LaneId {
        let known = self.lanes.iter().position(|l| l == lane);
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
        self.records.push(Entry { lane, offset: 0, time_ms: 0, start, key_at, value_at, end, has_key, has_value });
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
        self.records.push(Entry { lane, offset, time_ms, start, key_at, value_at, end, has_key, has_value });
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
        self.arena.len()
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

    fn record(&self, e: &Entry) -> Record<'_> {
        Record {
            lane: &self.lanes[e.lane.0 as usize],
            lane_id: e.lane,
            offset: e.offset,
            time_ms: e.time_ms,
            key: e.has_key.then(|| &self.arena[e.key_at..e.value_at]),
            headers: Headers(&self.arena[e.start..e.key_at]),
            value: e.has_value.then(|| &self.arena[e.value_at..e.end]),
        }
    }
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
    let (part, tail) = if length == NULL { (None, tail) } else { tail.split_at_checked(length as usize).map(|(p, t)| (Some(p), t))? };
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
        batch.clear(1 << 20);
        assert!(batch.is_empty() && batch.lanes().is_empty());
    }
}
