//! One request's items, normalized: what the appender writes and what the answer says of each.

use runtime::random_bytes;
use schemas::event::{ReceivedFrom, Transport};
use schemas::{Hash, Micros};
use stream::Batch;

use super::recall::IDEMPOTENCY_KEY;
use super::window::{Seen, Sent};
use crate::record::{FallbackId, RawRecord, Reason};
use crate::{FreshIds, Lanes, Limits, Normalizer, UUID_CHARS, keyed_id, route};

/// The media type of every item, however its body held it.
const ITEM_TYPE: &str = "application/json";
/// What a request keeps of its memory for the next one.
const KEEP_BYTES: usize = 4 << 20;

/// Who sent a request, and how.
pub(super) struct Sender<'a> {
    pub producer: &'a str,
    pub peer: &'a str,
    pub idempotency_key: Option<&'a str>,
}

/// A request's items on their way to the stream and back.
pub(super) struct Prepared {
    normalizer: Normalizer,
    /// What is to be written: the records of each item, one behind the other.
    pub batch: Batch,
    pub items: Vec<Item>,
    /// The ids of all items, one behind the other.
    ids: String,
    pub original_bytes: usize,
}

/// What becomes of an item.
pub(super) struct Item {
    id_bytes: usize,
    /// How many records it has in the batch.
    pub records: usize,
    pub verdict: Verdict,
    /// Whether it was sent before. Only what is new is written.
    pub seen: Seen,
    /// What it is to its sender, if it came with an Idempotency-Key.
    pub sent: Option<Sent>,
}

/// The answer's word for an item, once the stream has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Durable,
    /// Why it cannot be taken: a word, a sentence.
    Rejected(Reason, String),
}

impl Prepared {
    pub fn new(limits: Limits) -> Prepared {
        let normalizer = Normalizer::new(limits);
        Prepared { normalizer, batch: Batch::new(), items: Vec::new(), ids: String::new(), original_bytes: 0 }
    }

    /// Empty again, with some of its memory.
    pub fn clear(&mut self) {
        self.batch.clear(KEEP_BYTES);
        self.items.clear();
        self.items.shrink_to(1_000);
        self.ids.clear();
        self.ids.shrink_to(64 << 10);
        self.original_bytes = 0;
    }

    /// What is durable is not held any longer; what the answer says of each item is.
    pub fn let_go_of_records(&mut self) {
        self.batch.clear(0);
    }

    /// What is held for the answer.
    pub fn kept_bytes(&self) -> usize {
        self.ids.len() + self.items.len() * size_of::<Item>()
    }

    /// Normalizes the items of one request. All of one producer's events go to one chain.
    pub fn fill(&mut self, items: &[&[u8]], sender: &Sender<'_>, received_at: Micros, chains: u32) {
        let lanes = Lanes::of(route(sender.producer, chains), &mut self.batch);
        let fresh = FreshIds::new(received_at, random_bytes());
        let key = sender.idempotency_key.map(|key| (IDEMPOTENCY_KEY, Some(key.as_bytes())));
        for (index, bytes) in items.iter().enumerate() {
            let mut uuid = [0; UUID_CHARS];
            let keyed = sender.idempotency_key.map(|key| keyed_id(sender.producer, key, index));
            let fallback_id = match &keyed {
                Some(id) => FallbackId::Given(id),
                None => FallbackId::Given(fresh.get(index, &mut uuid)),
            };
            let record = RawRecord {
                content_type: ITEM_TYPE,
                bytes,
                received_from: ReceivedFrom {
                    transport: Transport::Http,
                    headers: key.as_slice(),
                    peer: Some(sender.peer),
                    part: index as i32,
                    ..ReceivedFrom::default()
                },
                producer: sender.producer,
                fallback_id,
            };
            let before = self.batch.len();
            let verdict = match self.normalizer.take(&record, received_at, &mut self.batch, lanes) {
                Ok(()) => Verdict::Durable,
                Err(rejection) => Verdict::Rejected(rejection.reason, rejection.detail),
            };
            let id = self.normalizer.id();
            self.ids.push_str(id);
            self.items.push(Item {
                id_bytes: id.len(),
                records: self.batch.len() - before,
                verdict,
                seen: Seen::New,
                sent: keyed.map(|keyed| Sent::with_id(&keyed, &Hash::of(&[bytes]))),
            });
            self.original_bytes += bytes.len();
        }
    }

    /// Each item with its id, in the order of the request.
    pub fn answers(&self) -> impl Iterator<Item = (&str, &Item)> {
        let mut rest = self.ids.as_str();
        self.items.iter().map(move |item| {
            let (id, behind) = rest.split_at_checked(item.id_bytes).unwrap_or((rest, ""));
            rest = behind;
            (id, item)
        })
    }
}
