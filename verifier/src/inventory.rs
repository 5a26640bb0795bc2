//! What is in the archive, by name: a listing sorted into chains. It is kept as numbers, 40 bytes a segment.

use std::collections::{BTreeMap, BTreeSet};

use schemas::note::check_name;
use schemas::{Hash, Micros, Place, Seq};
use store::{Entry, Listing, Store};

use crate::finding::Findings;
use crate::{Check, Finding};

/// The names of one chain's objects, each kind in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) keys: Vec<u64>,
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) trees: Vec<u64>,
    pub(crate) segments: Vec<SegmentName>,
    pub(crate) schemas: Vec<Hash>,
    pub(crate) has_hint: bool,
}

/// What the path of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) first_seq: Seq,
    /// Days since 1970.
    day: i32,
}

impl SegmentName {
    pub(crate) fn place(self) -> Place {
        Place::segment(Micros(i64::from(self.day) * 86_400_000_000), self.first_seq)
    }
}

/// The whole archive by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) chains: BTreeMap<String, Names>,
    pub(crate) objects: u64,
    /// Whether the listing came to its end. If not, nothing can be said to be missing.
    pub(crate) is_whole: bool,
}

const PAGE: usize = 20_000;
/// A listing that is longer is not followed to its end.
const MAX_OBJECTS: u64 = 100_000_000;

impl Inventory {
    /// Lists everything. Within a chain keys come in the order checkpoints/, keys/, schemas/, segments/, trees/: so
    /// while the archive grows, whatever a listed checkpoint covers is listed after it, and found.
    pub(crate) fn list(store: &dyn Store, findings: &mut Findings) -> Inventory {
        let mut inventory = Inventory::default();
        let mut after = String::new();
        let unread = |found: String| Finding::of(Check::Readable, "a whole listing of the archive", found);
        loop {
            let page = match store.list("", &after, Listing::Newest(PAGE)) {
                Ok(page) => page,
                Err(error) => {
                    findings.add(unread(error.to_string()));
                    return inventory;
                }
            };
            for entry in &page.entries {
                // Two names that are not UTF-8 may be spelled alike; both are junk.
                if entry.key == after {
                    findings.add(unknown(&entry.key));
                    continue;
                }
                if entry.key < after {
                    findings.add(unread("a listing that does not go forward".to_owned()).at(&entry.key));
                    return inventory;
                }
                after.clone_from(&entry.key);
                inventory.take(entry, findings);
            }
            if !page.more {
                inventory.is_whole = true;
                return inventory.settled(findings);
            }
            if page.entries.is_empty() || inventory.objects > MAX_OBJECTS {
                findings.add(unread("a listing without an end".to_owned()));
                return inventory;
            }
        }
    }

    fn take(&mut self, entry: &Entry, findings: &mut Findings) {
        self.objects += 1;
        match place_of(&entry.key) {
            None => findings.add(unknown(&entry.key)),
            Some((_, Place::Reserved)) => {}
            Some((origin, place)) => {
                if !self.chains.contains_key(origin) {
                    self.chains.insert(origin.to_owned(), Names::default());
                }
                if let Some(names) = self.chains.get_mut(origin) {
                    names.take(place);
                }
            }
        }
    }

    /// Chains inside another's reserved folders are not chains; nor is what has neither keys nor links.
    fn settled(mut self, findings: &mut Findings) -> Inventory {
        let origins: BTreeSet<String> = self.chains.keys().cloned().collect();
        let is_reserved = |origin: &str| {
            ["/probe/", "/cosignatures/"]
                .iter()
                .any(|folder| origin.match_indices(folder).any(|(at, _)| origins.contains(&origin[..at])))
        };
        self.chains.retain(|origin, names| {
            if is_reserved(origin) {
                return false;
            }
            names.segments.sort_unstable();
            let is_chain = !names.has_nothing();
            if !is_chain {
                names.places().for_each(|place| findings.add(unknown(&format!("{origin}/{}", place.path()))));
            }
            is_chain
        });
        self
    }
}

fn unknown(key: &str) -> Finding {
    Finding::of(Check::Layout, "nothing", "an object that the layout does not know").at(key)
}

impl Names {
    fn take(&mut self, place: Place) {
        match place {
            Place::Key(size) => self.keys.push(size),
            Place::Checkpoint(size) => self.checkpoints.push(size),
            Place::Trees(size) => self.trees.push(size),
            Place::Schema(hash) => self.schemas.push(hash),
            Place::Hint => self.has_hint = true,
            Place::Segment { date, first_seq } => {
                let day = Micros::parse_rfc3339(&date).map_or(0, Micros::day);
                self.segments.push(SegmentName { first_seq, day: day as i32 });
            }
            Place::Reserved => {}
        }
    }

    fn has_nothing(&self) -> bool {
        self.keys.is_empty()
            && self.checkpoints.is_empty()
            && self.trees.is_empty()
            && self.segments.is_empty()
    }

    /// What is left of it where it has neither keys nor links.
    fn places(&self) -> impl Iterator<Item = Place> {
        let hint = self.has_hint.then_some(Place::Hint);
        self.schemas.iter().map(|hash| Place::Schema(*hash)).chain(hint)
    }
}

/// Which chain a key belongs to, and what it is there. A path of the layout says most by its end, so the longest
/// origin for which the rest is a place is taken; reserved folders hold anything.
fn place_of(key: &str) -> Option<(&str, Place)> {
    let split = |at: usize| {
        let (origin, path) = (&key[..at], &key[at + 1..]);
        let place = Place::parse(path)?;
        check_name(origin).ok().map(|()| (origin, place))
    };
    let mut reserved = None;
    for found in key.rmatch_indices('/').filter_map(|(at, _)| split(at)) {
        match found.1 {
            Place::Reserved => reserved = Some(found),
            _ => return Some(found),
        }
    }
    reserved
}

/// The origins of the chains in an archive, without listing all of it: after a chain's first key the listing goes on
/// behind its last.
pub fn origins(store: &dyn Store) -> store::Result<Vec<String>> {
    let mut origins: Vec<String> = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.list("", &after, Listing::Newest(1))?;
        let Some(entry) = page.entries.first() else { return Ok(origins) };
        after = match place_of(&entry.key) {
            None | Some((_, Place::Reserved)) => entry.key.clone(),
            Some((origin, _)) => {
                origins.push(origin.to_owned());
                // `0` is the character behind `/`.
                format!("{origin}0")
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_split_into_chain_and_place() {
        let place = |key| place_of(key).map(|(origin, place)| (origin.to_owned(), place));
        assert_eq!(place("a/0/checkpoint"), Some(("a/0".into(), Place::Hint)));
        assert_eq!(
            place("a/segments/segments/date=2026-11-21/00000000000000000007.avro"),
            Some(("a/segments".into(), Place::segment(Micros(1_795_253_400_000_000), Seq(7))))
        );
        assert_eq!(place("a/0/probe/x/y"), Some(("a/0".into(), Place::Reserved)));
        assert_eq!(place("probe/0/checkpoint"), Some(("probe/0".into(), Place::Hint)));
        for bad in ["checkpoint", "A/checkpoint", "a/0/other", "a/../checkpoint", "a/0/checkpoint/x"] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
