//! How a chain's objects are kept: their locks, what lies over them and what hides them. It says nothing of the
//! evidence, which is looked for among all versions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::{Layout, Micros, Place, Seq};
use serde::Serialize;
use store::custody::{Flaw, Kept, judge};
use store::{Entry, Keep, Kind, Lock, Mode, Version};

use crate::chain::ChainCheck;
use crate::finding::Findings;
use crate::inventory::place_of;
use crate::reading::{Unread, kept};
use crate::{Check, Finding, Promise};

/// How the objects of a chain, or of all of them, are locked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Locks {
    /// Pieces of evidence that were looked at.
    pub evidence: u64,
    /// Those that have a lock.
    pub locked: u64,
    /// The first of these locks ends then, RFC 3339.
    pub first_until: Option<String>,
    #[serde(skip)]
    pub(crate) first: Option<Micros>,
}

impl Locks {
    fn take(&mut self, lock: Option<Lock>) {
        self.evidence += 1;
        if let Some(lock) = lock {
            self.locked += 1;
            self.ends(lock.until);
        }
    }

    fn ends(&mut self, until: Micros) {
        self.first = Some(self.first.map_or(until, |first| first.min(until)));
        self.first_until = self.first.map(Micros::rfc3339);
    }

    pub(crate) fn add(&mut self, other: &Locks) {
        self.evidence += other.evidence;
        self.locked += other.locked;
        if let Some(first) = other.first {
            self.ends(first);
        }
    }
}

/// The custody of one chain while it is walked.
pub(crate) struct Custody<'a> {
    promise: Option<Promise>,
    now: Micros,
    laid: &'a BTreeMap<String, Vec<Entry>>,
    /// Of keys with several versions: which one is the evidence, and what it is about.
    chosen: BTreeMap<String, (Version, (Seq, u64))>,
    pub(crate) locks: Locks,
}

impl<'a> Custody<'a> {
    pub(crate) fn new(
        promise: Option<Promise>,
        now: Micros,
        laid: &'a BTreeMap<String, Vec<Entry>>,
    ) -> Custody<'a> {
        Custody { promise, now, laid, chosen: BTreeMap::new(), locks: Locks::default() }
    }

    /// Whether the store is a witness of when its objects were written.
    pub(crate) fn is_witness(&self) -> bool {
        self.promise.is_some()
    }

    /// A piece of evidence that was read, from one version.
    pub(crate) fn take(&mut self, key: &str, kept: &Kept, seqs: (Seq, u64), findings: &mut Findings) {
        if self.laid.contains_key(key) {
            self.chosen.insert(key.to_owned(), (kept.version.clone(), seqs));
        }
        let Some(promise) = self.promise.filter(|promise| *promise != Promise::Unseen) else { return };
        self.locks.take(kept.lock);
        let flaws = judge(std::slice::from_ref(kept), Keep::Evidence, promise.retention(), self.now);
        for (_, flaw) in flaws {
            if let Some(finding) = of_lock(flaw, kept, promise) {
                findings.add(finding.at(key).of_version(&kept.version).seqs(seqs.0, seqs.1));
            }
        }
    }

    /// What lies over the evidence and what hides it, of every key of the chain.
    pub(crate) fn finish(&self, layout: &Layout, findings: &mut Findings) {
        let hint = layout.key(&Place::Hint);
        let root = layout.root();
        let below = self.laid.range(root.to_owned()..).take_while(|(key, _)| key.starts_with(root));
        let is_ours = |key: &str| place_of(key).is_some_and(|(origin, _)| origin.len() + 1 == root.len());
        for (key, entries) in below.filter(|(key, _)| **key != hint && is_ours(key)) {
            let oldest =
                entries.iter().rfind(|entry| !entry.delete_marker).map(|entry| entry.version.clone());
            let chosen = self.chosen.get(key).cloned();
            let (chosen, seqs) = chosen.unwrap_or_else(|| (oldest.unwrap_or_default(), (Seq(0), 0)));
            let mut is_above = true;
            for (nth, entry) in entries.iter().enumerate() {
                let finding = if entry.delete_marker {
                    of_marker(entry, nth == 0)
                } else if entry.version == chosen {
                    is_above = false;
                    continue;
                } else {
                    of_version(entry, &chosen, is_above)
                };
                findings.add(finding.at(key).of_version(&entry.version).seqs(seqs.0, seqs.1));
            }
        }
    }
}

/// What is said of a delete marker.
pub(crate) fn of_marker(marker: &Entry, is_newest: bool) -> Finding {
    let when = marker.modified.rfc3339();
    let found = match is_newest {
        true => {
            format!("a delete marker of {when} hides it: who asks for the key is told that nothing is there")
        }
        false => format!("a delete marker of {when}, with something written over it"),
    };
    Finding::of(Check::Hidden, "no delete marker", found)
}

fn of_version(entry: &Entry, chosen: &Version, is_above: bool) -> Finding {
    let (bytes, when) = (entry.size_bytes, entry.modified.rfc3339());
    let over = if is_above { "over it" } else { "below it" };
    let found = format!("another version {over}, of {bytes} bytes, written at {when}");
    Finding::of(Check::LaidOver, format!("version {} alone", chosen.0), found)
}

impl ChainCheck<'_> {
    /// What no checkpoint covers yet is not checked, but it is locked already, or is not.
    pub(crate) fn look_at_uncovered(&mut self) {
        if !self.custody.is_witness() {
            return;
        }
        let of_segments = self.names.segments.iter().filter(|name| name.first_seq.0 >= self.size);
        let of_trees = self.names.trees.iter().filter(|size| **size > self.size);
        let places: Vec<Place> =
            of_segments.map(|name| name.place()).chain(of_trees.map(|size| Place::Trees(*size))).collect();
        let look = |nth: usize| {
            let key = self.layout.key(&places[nth]);
            // An empty range brings what is known and no bytes.
            let looked = self.source.store.get(&key, None, Some(0..0), 0);
            (key, looked)
        };
        let mut looked = Vec::new();
        self.options.reading.ahead.in_order(
            places.len(),
            |_| 0,
            look,
            |_, one| {
                looked.push(one);
                ControlFlow::Continue(())
            },
        );
        for (key, object) in looked {
            match object {
                Ok(object) => self.custody.take(&key, &kept(&object), (Seq(0), 0), &mut self.findings),
                // One that is hidden has its finding.
                Err(error) if error.kind() == Kind::Missing && self.source.laid.contains_key(&key) => {}
                Err(error) => self.findings.add(Unread::of(&error, 0).finding(&key)),
            }
        }
    }
}

fn of_lock(flaw: Flaw, kept: &Kept, promise: Promise) -> Option<Finding> {
    let until = kept.lock.map(|lock| format!("{} until {}", mode(lock.mode), lock.until.rfc3339()));
    let until = until.unwrap_or_else(|| "no lock".to_owned());
    let due = match promise.retention() {
        Some(due) => format!("a lock in {} mode", mode(due.mode)),
        None => "a lock that has not ended".to_owned(),
    };
    let (check, expected) = match flaw {
        Flaw::Unlocked | Flaw::Ended => (Check::LockMissing, due),
        Flaw::Liftable => (Check::LockMode, due),
        Flaw::Short(least) => (Check::LockShort, format!("a lock until {} at least", least.rfc3339())),
        Flaw::Hides | Flaw::Marker | Flaw::LaidOver => return None,
    };
    Some(Finding::of(check, expected, until))
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Compliance => "COMPLIANCE",
        Mode::Governance => "GOVERNANCE",
    }
}
