//! The contract. What every implementation promises, and `conformance` checks:
//!
//! 1. `put_new` and `replace_if` are atomic and durable when they answer: a reader sees all of the object or none of
//!    it, and what was acknowledged survives the death of any process.
//! 2. Of any number of racing `put_new` for a key exactly one succeeds; the others say `Exists`. Of racing
//!    `replace_if` with one tag exactly one succeeds; the others say `Changed`.
//! 3. `Away` says nothing about whether the object was written. Ask again: `Exists` may then be our own lost answer. A
//!    store that asks again by itself may say `Exists` or `Changed` of its own write at once.
//! 4. A list that answers is complete up to what it says, in the order of keys as bytes, and shows what was
//!    acknowledged before it was asked.
//! 5. There is no verb to delete.
//!
//! Keys are relative to the archive's root, with `/` between their parts.

use std::ops::Range;
use std::time::Duration;

use schemas::Micros;

use crate::Result;

/// Objects under keys. Blocking, and shared by threads.
pub trait Store: Send + Sync {
    /// Stores `body` under `key`, which must be free; `Exists` if it is not.
    fn put_new(&self, key: &str, body: &[u8], keep: Keep) -> Result<Version>;

    /// Stores `body` under `key`, if what is there carries `expected` (None: if nothing is there). `Changed` if not.
    fn replace_if(&self, key: &str, expected: Option<&Tag>, body: &[u8], keep: Keep) -> Result<Version>;

    /// The object's bytes, or `range` of them (cut at its end), with what is known of it. `version` None: the
    /// newest. `Missing` if there is none; `TooLarge` if more than `max_bytes` would come. An empty range asks for no
    /// byte: an object whose bytes are not to be had can often be looked at like this, and be laid over.
    fn get(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object>;

    /// What each piece of evidence is locked with when it is written. None: this store locks nothing by itself.
    fn retention(&self) -> Option<Retention>;

    /// The entries under `prefix` whose keys come after `after` (empty: from the start), in the order of keys.
    fn list(&self, prefix: &str, after: &str, listing: Listing) -> Result<Page>;
}

/// What a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The newest version of each key, up to so many.
    Newest(usize),
    /// Every version of every key, delete markers included. All versions of a key come on one page, which is bounded:
    /// of more objects than [`versions::MAX_VERSIONS`](crate::versions::MAX_VERSIONS) a store may show the newest half
    /// of so many and the oldest half, and of more markers the same. So a key that shows so many objects may have
    /// others, and nothing may be concluded from what it does not show.
    Versions(usize),
}

/// How long a store must refuse to give an object up, where it can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Evidence: for the whole retention period that the store was opened with.
    Evidence,
    /// A hint, replaced again and again: a day at most.
    Hint,
}

/// One stored state of a key. Empty where a store keeps one only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// What `replace_if` compares: equal tags, equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub String);

/// What holds an object in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Who can lift it.
    pub mode: Mode,
    /// Until when.
    pub until: Micros,
}

/// How long evidence cannot be deleted, and who can lift that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Of evidence. A hint is always locked in governance mode.
    pub mode: Mode,
    /// From the moment of writing, rounded up to a whole second.
    pub period: Duration,
}

/// S3's two modes of Object Lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody can lift it.
    Compliance,
    /// Whoever has the right to bypass can.
    Governance,
}

/// An object that was read.
#[derive(Clone, Debug)]
pub struct Object {
    /// The bytes asked for.
    pub bytes: Vec<u8>,
    /// The size of the whole object.
    pub size_bytes: u64,
    /// Which version it is.
    pub version: Version,
    /// What `replace_if` takes.
    pub tag: Tag,
    /// When the store says it was written.
    pub modified: Micros,
    /// Its lock, where the store knows locks and it has one.
    pub lock: Option<Lock>,
    /// Whether somebody has put a legal hold on it: until that is taken off, it stays whatever its lock says.
    pub is_held: bool,
    /// How it is encrypted otherwise than the store was opened to ask for. None: nothing was asked for, or it is so.
    pub encrypted_otherwise: Option<String>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// Which version it is. A store that cannot say so in a list of the newest leaves it empty, and takes an empty one
    /// for the newest.
    pub version: Version,
    /// Whether it is the one that `get` without a version returns.
    pub newest: bool,
    /// Whether it is a mark that hides what is below it, not an object.
    pub delete_marker: bool,
    /// When the store says it was written.
    pub modified: Micros,
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order of keys; of one key newest first.
    pub entries: Vec<Entry>,
    /// Whether more may follow: ask again after the last key.
    pub more: bool,
}
