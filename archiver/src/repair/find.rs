//! What hides what, in one chain's archive.

use std::collections::{BTreeMap, BTreeSet};

use runtime::Failure;
use schemas::note::MAX_NOTE_BYTES;
use schemas::{Hash, KeyNote, Layout, Place};
use store::{Entry, Keep, Kind, Notes, Object, Store, versions};

use super::{Lost, Plan, Step};
use crate::cut::{Cut, Right, Signed};

const MAX_SCHEMA_BYTES: u64 = 1 << 20;

/// Finds out what hides the evidence of the chain `origin`, and what would put it right. Writes nothing.
pub fn plan(store: &dyn Store, origin: &str) -> Result<Plan, Failure> {
    let notes = Notes::read(store, origin)?;
    if notes.keys.is_empty() {
        return Err(Failure::Halt(format!("{origin}: the archive holds no chain of this name")));
    }
    let plan = Plan { chain: origin.to_owned(), ..Plan::default() };
    let (origin, layout) = (origin.to_owned(), Layout::of(origin));
    let mut finding = Finding { signed: Signed { store, origin, layout, notes, sizes: Vec::new() }, plan };
    let troubled = finding.walk()?;
    finding.look_at(troubled)?;
    finding.look_at_hint()?;
    Ok(finding.plan)
}

/// A plan in the making.
struct Finding<'a> {
    signed: Signed<'a>,
    plan: Plan,
}

/// A key with more than one version, or a delete marker.
struct Troubled {
    place: Place,
    versions: Vec<Entry>,
}

impl Finding<'_> {
    /// Lists all that the layout knows, but for `checkpoint`, which has a version for every minute.
    fn walk(&mut self) -> Result<Vec<Troubled>, Failure> {
        let (layout, store) = (self.signed.layout.clone(), self.signed.store);
        let covered = self.signed.notes.newest.as_ref().map_or(0, |newest| newest.size);
        let mut troubled = Vec::new();
        for folder in
            [layout.keys(), layout.checkpoints(), layout.schemas(), layout.segments(), layout.trees()]
        {
            versions::by_key::<store::Error>(store, &folder, "", |key, versions| {
                let Some(place) = key.strip_prefix(layout.root()).and_then(Place::parse) else {
                    return Ok(());
                };
                let is_uncovered = match &place {
                    Place::Segment { first_seq, .. } => first_seq.0 >= covered,
                    Place::Trees(size) | Place::Checkpoint(size) => *size > covered,
                    _ => false,
                };
                if let (Place::Checkpoint(size), false) = (&place, is_uncovered) {
                    self.signed.sizes.push(*size);
                }
                if is_uncovered {
                    self.plan.uncovered.push(key.to_owned());
                } else if versions.len() > 1 || versions.iter().any(|entry| entry.delete_marker) {
                    troubled.push(Troubled { place, versions });
                }
                Ok(())
            })?;
        }
        Ok(troubled)
    }

    fn look_at(&mut self, troubled: Vec<Troubled>) -> Result<(), Failure> {
        // By its size each cut, with the keys that led to it.
        let mut cuts: BTreeMap<u64, Vec<&[Entry]>> = BTreeMap::new();
        for Troubled { place, versions } in &troubled {
            match place {
                Place::Key(first_size) => {
                    let nth = self.signed.notes.keys.iter().position(|note| note.first_size == *first_size);
                    let note = nth.map(|nth| self.signed.notes.keys[nth].clone());
                    let before = nth
                        .and_then(|nth| nth.checked_sub(1))
                        .map(|nth| self.signed.notes.keys[nth].vkey.clone());
                    let is_it = |object: &Object| {
                        note.is_some() && KeyNote::open(&object.bytes, before.as_ref()).ok() == note
                    };
                    self.one(versions, MAX_NOTE_BYTES as u64, is_it)?;
                }
                Place::Checkpoint(size) => {
                    let Signed { store, origin, notes, .. } = &self.signed;
                    let signed = notes.checkpoint_at(*store, origin, *size);
                    let Some(signed) = self.known_of(versions, signed)? else { continue };
                    let notes = self.signed.notes.clone();
                    let is_it =
                        |object: &Object| signed.is_some() && notes.open(*size, &object.bytes).ok() == signed;
                    self.one(versions, MAX_NOTE_BYTES as u64, is_it)?;
                }
                Place::Schema(hash) => {
                    self.one(versions, MAX_SCHEMA_BYTES, |object| Hash::of(&[&object.bytes]) == *hash)?;
                }
                Place::Trees(size) => cuts.entry(*size).or_default().push(versions),
                Place::Segment { first_seq, .. } => {
                    let after = self.signed.after(first_seq.0);
                    let Some(after) = self.known_of(versions, after)? else { continue };
                    match (after.size, after.unknown.first()) {
                        (Some(size), _) => cuts.entry(size).or_default().push(versions),
                        (None, Some((_, why))) => self.lose(versions, &why.to_string()),
                        (None, None) => self.lose(versions, "no Checkpoint that covers it is signed"),
                    }
                }
                Place::Hint | Place::Reserved => {}
            }
        }
        // A segment and its trees vouch for each other, so they are looked at together.
        let mut found = BTreeSet::new();
        for (size, of_cut) in cuts {
            let cut = match Cut::find(&self.signed, size, &|_| true) {
                Err(why) if leaves_open(&why) => {
                    of_cut.iter().for_each(|versions| self.lose(versions, &why.to_string()));
                    continue;
                }
                cut => cut?,
            };
            let Some(cut) = cut else { continue };
            cut.unknown.iter().for_each(|(size, why)| self.pass_over(*size, why));
            for (object, versions) in [(cut.trees, cut.trees_versions), (cut.segment, cut.segment_versions)] {
                found.insert(versions[0].key.clone());
                self.lay_over_if_hidden(&versions, object);
            }
        }
        for Troubled { place, versions } in &troubled {
            let is_of_cut = matches!(place, Place::Trees(_) | Place::Segment { .. });
            if is_of_cut && !found.contains(&versions[0].key) && !self.is_lost(&versions[0].key) {
                self.lose(
                    versions,
                    "no version of it fits its Checkpoint together with one of its segment or trees",
                );
            }
        }
        Ok(())
    }

    /// Looks at a key whose versions can be told apart by themselves.
    fn one(
        &mut self,
        versions: &[Entry],
        max_bytes: u64,
        is_it: impl Fn(&Object) -> bool,
    ) -> Result<(), Failure> {
        let fitting = versions::fitting_of(self.signed.store, versions, max_bytes, |object| {
            is_it(object).then_some(())
        });
        match self.known_of(versions, fitting)? {
            Some(Some((object, ()))) => self.lay_over_if_hidden(versions, Right::of(&object)),
            Some(None) => self.lose(versions, "no version of it is what was signed or named"),
            None => {}
        }
        Ok(())
    }

    /// What was found out of a key. None: it is left open, and said so; the other keys are gone on with.
    fn known_of<T>(&mut self, versions: &[Entry], found: store::Result<T>) -> Result<Option<T>, Failure> {
        match found {
            Err(why) if leaves_open(&why) => {
                self.lose(versions, &why.to_string());
                Ok(None)
            }
            found => Ok(Some(found?)),
        }
    }

    fn lay_over_if_hidden(&mut self, versions: &[Entry], right: Right) {
        let newest = &versions[0];
        if newest.version == right.version && !newest.delete_marker {
            return;
        }
        self.plan.steps.push(Step {
            key: newest.key.clone(),
            from: (newest.key.clone(), right.version),
            sha256: right.sha256,
            size_bytes: right.size_bytes,
            over: (!newest.delete_marker).then(|| newest.version.clone()),
            keep: Keep::Evidence,
        });
    }

    /// `checkpoint` is right if it is any Checkpoint of the chain. If nothing ever was there, nothing belongs there yet.
    fn look_at_hint(&mut self) -> Result<(), Failure> {
        let Some(newest) = self.signed.notes.newest.clone() else { return Ok(()) };
        let key = self.signed.layout.key(&Place::Hint);
        let over = match self.signed.store.get(&key, None, None, MAX_NOTE_BYTES as u64) {
            Ok(object) => {
                let size = schemas::Checkpoint::parse(&object.bytes).map(|(checkpoint, _)| checkpoint.size);
                if size.is_ok_and(|size| self.signed.notes.open(size, &object.bytes).is_ok()) {
                    return Ok(());
                }
                Some(object.version)
            }
            Err(error) if matches!(error.kind(), Kind::Missing | Kind::TooLarge | Kind::Refused) => {
                match versions::of_key(self.signed.store, &key)?.first() {
                    None => return Ok(()),
                    Some(newest) => (!newest.delete_marker).then(|| newest.version.clone()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        let from = self.signed.layout.key(&Place::Checkpoint(newest.size));
        let note = versions::fitting(self.signed.store, &from, MAX_NOTE_BYTES as u64, |object| {
            self.signed.notes.open(newest.size, &object.bytes).ok()
        })?;
        if let Some((note, _)) = note {
            let Right { version, sha256, size_bytes } = Right::of(&note);
            self.plan.steps.push(Step {
                key,
                from: (from, version),
                sha256,
                size_bytes,
                over,
                keep: Keep::Hint,
            });
        }
        Ok(())
    }

    /// What was found to fit fits whatever this note is: it is said, for whoever put it there meant to be in the way.
    fn pass_over(&mut self, size: u64, why: &store::Error) {
        let key = self.signed.layout.key(&Place::Checkpoint(size));
        if !self.is_lost(&key) {
            let why = format!("{why}. It was passed over as one that nobody signed");
            self.plan.lost.push(Lost { key, why });
        }
    }

    fn is_lost(&self, key: &str) -> bool {
        self.plan.lost.iter().any(|lost| lost.key == key)
    }

    fn lose(&mut self, versions: &[Entry], why: &str) {
        self.plan.lost.push(Lost { key: versions[0].key.clone(), why: why.to_owned() });
    }
}

/// Of a key whose right version may not be read, or may be among more than are looked into, nothing is known.
fn leaves_open(error: &store::Error) -> bool {
    matches!(error.kind(), Kind::Refused | Kind::Crowded)
}
