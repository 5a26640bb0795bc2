//! What is in the archive, by name: a listing sorted into chains. It is kept as numbers, 50 bytes a segment; only of
//! keys that have several versions, or are hidden, the list itself is kept.

use std::collections::{BTreeMap, BTreeSet};

use schemas::note::check_name;
use schemas::{Hash, Micros, Place, Seq};
use store::{Entry, Listing, Store, Version};

use crate::finding::Findings;
use crate::{Check, Finding, Watch};

/// The names of one chain's objects, each kind in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) keys: Vec<u64>,
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) trees: Vec<u64>,
    pub(crate) segments: Vec<SegmentName>,
    pub(crate) schemas: Vec<Hash>,
    pub(crate) has_hint: bool,
    /// Versions of the hint.
    pub(crate) hints: u64,
}

/// What the path of a segment says, and its size where the list says that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) first_seq: Seq,
    /// Days since 1970.
    day: i32,
    pub(crate) size_bytes: u64,
}

impl SegmentName {
    /// The day in its path, since 1970.
    pub(crate) fn day(self) -> i64 {
        i64::from(self.day)
    }

    pub(crate) fn place(self) -> Place {
        Place::segment(Micros(i64::from(self.day) * 86_400_000_000), self.first_seq)
    }
}

/// The whole archive by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) chains: BTreeMap<String, Names>,
    /// Keys with more than one version, or with a delete marker: all of them, newest first.
    pub(crate) laid: BTreeMap<String, Vec<Entry>>,
    pub(crate) objects: u64,
    /// Whether the listing came to its end. If not, nothing can be said to be missing.
    pub(crate) is_whole: bool,
}

const PAGE: usize = 20_000;
/// A listing that is longer is not followed to its end: the names of so many objects take a gigabyte.
const MAX_OBJECTS: u64 = 20_000_000;
/// No archive has more: a chain is a partition of one topic.
const MAX_CHAINS: usize = 10_000;
/// Versions of keys that have several, as far as they are kept.
const MAX_LAID: usize = 200_000;
/// A hint is replaced once a minute, for years: of its versions the newest are looked at.
const MAX_HINTS: usize = 1_000;

impl Inventory {
    /// Lists everything. Within a chain keys come in the order checkpoints/, keys/, schemas/, segments/, trees/: so
    /// while the archive grows, whatever a listed checkpoint covers is listed after it, and found.
    pub(crate) fn list(store: &dyn Store, watch: Option<&dyn Watch>, findings: &mut Findings) -> Inventory {
        let mut inventory = Inventory::default();
        let mut after = String::new();
        let unread = |found: String| Finding::of(Check::Readable, "a whole listing of the archive", found);
        let mut laid = 0;
        loop {
            let page = match store.list("", &after, Listing::Versions(PAGE)) {
                Ok(page) => page,
                Err(error) => {
                    findings.add(unread(error.to_string()));
                    return inventory;
                }
            };
            // All versions of a key come on one page, the newest first.
            for versions in page.entries.chunk_by(|one, next| one.key == next.key) {
                let key = &versions[0].key;
                if *key < after {
                    findings.add(unread("a listing that does not go forward".to_owned()).at(key));
                    return inventory;
                }
                // Two names that are not UTF-8 may be spelled alike; both are junk.
                let (again, has_versions) = (*key == after, versions[0].version != Version::default());
                if again || (versions.len() > 1 && !has_versions) {
                    let alike = if again { versions } else { &versions[1..] };
                    alike.iter().for_each(|_| findings.add(unknown(key)));
                }
                if again {
                    continue;
                }
                after.clone_from(key);
                let kept = inventory.take(versions, findings);
                if has_versions && (versions.len() > 1 || versions[0].delete_marker) && kept > 0 {
                    let kept = versions.len().min(kept);
                    laid += kept;
                    if laid > MAX_LAID {
                        let many = format!("more than {MAX_LAID} versions that lie over others");
                        findings.add(unread(many).at(key));
                        return inventory;
                    }
                    inventory.laid.insert(key.clone(), versions[..kept].to_vec());
                }
            }
            if let Some(watch) = watch {
                watch.listed(inventory.objects);
            }
            if inventory.chains.len() > MAX_CHAINS {
                findings.add(unread(format!("more than {MAX_CHAINS} chains: is this one archive?")));
                return inventory;
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

    /// Takes a key with its versions. How many of them are worth keeping.
    fn take(&mut self, versions: &[Entry], findings: &mut Findings) -> usize {
        let (entry, object) = (&versions[0], versions.iter().find(|entry| !entry.delete_marker));
        self.objects += u64::from(object.is_some());
        match place_of(&entry.key) {
            None => {
                findings.add(unknown(&entry.key).of_version(&entry.version));
                0
            }
            Some((_, Place::Reserved)) => 0,
            Some((origin, place)) => {
                if !self.chains.contains_key(origin) {
                    self.chains.insert(origin.to_owned(), Names::default());
                }
                let is_hint = place == Place::Hint;
                if let (Some(names), Some(object)) = (self.chains.get_mut(origin), object) {
                    names.take(place, object.size_bytes);
                    if is_hint {
                        names.hints = versions.iter().filter(|entry| !entry.delete_marker).count() as u64;
                    }
                }
                if is_hint { MAX_HINTS } else { usize::MAX }
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
    fn take(&mut self, place: Place, size_bytes: u64) {
        match place {
            Place::Key(size) => self.keys.push(size),
            Place::Checkpoint(size) => self.checkpoints.push(size),
            Place::Trees(size) => self.trees.push(size),
            Place::Schema(hash) => self.schemas.push(hash),
            Place::Hint => self.has_hint = true,
            Place::Segment { date, first_seq } => {
                let day = Micros::parse_rfc3339(&date).map_or(0, Micros::day);
                self.segments.push(SegmentName { first_seq, day: day as i32, size_bytes });
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
pub fn place_of(key: &str) -> Option<(&str, Place)> {
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

/// Pages that [`origins`] asks for, and what is on each.
const ORIGIN_PAGES: usize = 2 * MAX_CHAINS;
const ORIGIN_PAGE: usize = 100;

/// The origins of the chains in an archive, without listing all of it: after a chain's first key the listing goes on
/// behind its last. `Refused` where that does not come to an end, for want of which anything could be missing.
pub fn origins(store: &dyn Store) -> store::Result<Vec<String>> {
    let mut origins: Vec<String> = Vec::new();
    let mut after = String::new();
    for _ in 0..ORIGIN_PAGES {
        let page = store.list("", &after, Listing::Newest(ORIGIN_PAGE))?;
        let before = after.clone();
        for entry in page.entries.iter().filter(|entry| entry.key > before) {
            if entry.key <= after {
                continue;
            }
            after = match place_of(&entry.key) {
                None | Some((_, Place::Reserved)) => entry.key.clone(),
                Some((origin, _)) => {
                    origins.push(origin.to_owned());
                    // `0` is the character behind `/`.
                    format!("{origin}0")
                }
            };
        }
        if !page.more {
            return Ok(origins);
        }
        if after == before || origins.len() > MAX_CHAINS {
            break;
        }
    }
    let what =
        "the listing does not come to an end: what lies there is no archive, or hides one. See what lists it";
    Err(store::Error::new(store::Kind::Refused, &after, what))
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
