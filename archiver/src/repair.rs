//! Putting an archive right in which somebody laid other versions or delete markers over evidence. What fits the signed
//! history is found out first, for all keys of a chain, and nothing is written before that. Then the very bytes that fit
//! are laid over what hides them. Nothing is deleted: what was laid over stays to be seen.
//!
//! Only keys are looked at of which there is more than one version: where there is but one, nothing could be put in its
//! place, and whether that one is right is the verifier's question. Beyond the newest Checkpoint nothing in the archive
//! says what is right: there the archiver puts what is due, if it is told to.

mod find;

use runtime::{Clock, Failure};
use schemas::Hash;
use store::{Keep, Kind, Object, Store, Version};

pub use self::find::plan;
use crate::writing::shortfall;

/// What is to be done in one chain's archive, and what cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The chain.
    pub chain: String,
    /// What will be laid over, in this order.
    pub steps: Vec<Step>,
    /// Keys with several versions of which none fits what is signed, or of which nothing is known. Nothing is changed
    /// there. Also notes that nobody can read between the ends of a segment that was looked at.
    pub lost: Vec<Lost>,
    /// Keys beyond the newest Checkpoint: nothing signed says what belongs there. A running archiver adopts what is
    /// right; if it halts, `sealog archiver --lay-over-junk` puts what is due.
    pub uncovered: Vec<String>,
}

/// One key that will be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub key: String,
    /// Where the right bytes are: a version of the same key, or for `checkpoint` of the newest note.
    pub from: (String, Version),
    /// Their SHA-256.
    pub sha256: Hash,
    /// How many.
    pub size_bytes: u64,
    /// What hides them now. None: a delete marker.
    pub over: Option<Version>,
    keep: Keep,
}

/// A key that cannot be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where.
    pub key: String,
    /// Why.
    pub why: String,
}

impl Plan {
    /// Whether nothing is hidden and nothing is lost.
    pub fn is_clean(&self) -> bool {
        self.steps.is_empty() && self.lost.is_empty()
    }
}

impl Step {
    /// What will be done, in a sentence.
    pub fn say(&self) -> String {
        let Step { key, from: (from, version), size_bytes, .. } = self;
        let over = match &self.over {
            Some(over) => format!("version {}, which does not fit", over.0),
            None => "a delete marker".to_owned(),
        };
        match from == key {
            true => format!("{key}: version {} ({size_bytes} bytes) is laid over {over}", version.0),
            false => format!("{key}: the note of {from} is laid over {over}"),
        }
    }
}

/// Why a step was not done.
enum Undone {
    Store(store::Error),
    Step(Failure),
}

/// Does what was planned, step by step, and tells `done` of each. Every step stands by itself: one that fails does not
/// keep those behind it from being done, unless the store is away. Err says what was not done and why: plan again.
pub fn carry_out(
    store: &dyn Store,
    clock: &dyn Clock,
    plan: &Plan,
    mut done: impl FnMut(&Step),
) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for step in &plan.steps {
        match lay_over(store, clock, step) {
            Ok(()) => done(step),
            Err(Undone::Step(failure)) => failed.push(failure),
            Err(Undone::Store(error)) => {
                let is_away = error.kind() == Kind::Away;
                failed.push(error.into());
                if is_away {
                    break;
                }
            }
        }
    }
    all_of(failed)
}

/// One failure that says them all.
fn all_of(mut failed: Vec<Failure>) -> Result<(), Failure> {
    if failed.len() < 2 {
        return failed.pop().map_or(Ok(()), Err);
    }
    let whys = failed.iter().map(|failure| match failure {
        Failure::Retry(why) | Failure::Lost(why) | Failure::Halt(why) => why.as_str(),
    });
    let what = format!("{} steps were not done. {}", failed.len(), whys.collect::<Vec<_>>().join("; "));
    match failed.iter().any(|failure| matches!(failure, Failure::Halt(_))) {
        true => Err(Failure::Halt(what)),
        false => Err(Failure::Retry(what)),
    }
}

fn lay_over(store: &dyn Store, clock: &dyn Clock, step: &Step) -> Result<(), Undone> {
    let key = &step.key;
    let halt = |why: String| Undone::Step(Failure::Halt(format!("{key}: {why}")));
    let (from, version) = &step.from;
    let right = store.get(from, Some(version), None, step.size_bytes)?;
    if Hash::of(&[&right.bytes]) != step.sha256 {
        return Err(halt(format!("version {} of {from} gives other bytes than before", version.0)));
    }
    if right.lock.is_some() && store.retention().is_none() {
        return Err(halt("the right version is locked, so what is laid over must be: say how".to_owned()));
    }
    // Without a byte of it: junk need not be readable to be laid over.
    let newest = match store.get(key, None, Some(0..0), 0) {
        Ok(object) => Some(object),
        Err(error) if error.kind() == Kind::Missing => None,
        Err(error) => return Err(error.into()),
    };
    if newest.as_ref().map(|object| &object.version) != step.over.as_ref() {
        let why = format!("{key} was written to since it was looked at: look again");
        return Err(Undone::Step(Failure::Retry(why)));
    }
    let asked_at = clock.wall();
    let tag = newest.map(|object| object.tag);
    // If we die here, or the answer is lost: the next plan has a step less, or the same one.
    let laid = store.replace_if(key, tag.as_ref(), &right.bytes, step.keep).map_err(|error| {
        match (error.kind(), &tag) {
            (Kind::Changed | Kind::Exists, None) => {
                halt("this store puts nothing over a delete marker: take the marker away".to_owned())
            }
            (Kind::Changed, Some(_)) => Undone::Step(Failure::Retry(error.to_string())),
            _ => error.into(),
        }
    })?;
    // The store may have dated the lock later, by a clock that was set right meanwhile.
    let asked_at = asked_at.min(clock.wall());
    check(store, step, asked_at, &store.get(key, Some(&laid), None, step.size_bytes)?).map_err(halt)
}

impl From<store::Error> for Undone {
    fn from(error: store::Error) -> Undone {
        Undone::Store(error)
    }
}

fn check(store: &dyn Store, step: &Step, asked_at: schemas::Micros, laid: &Object) -> Result<(), String> {
    if Hash::of(&[&laid.bytes]) != step.sha256 {
        return Err("what was laid over it is read back with other bytes".to_owned());
    }
    if let Some(otherwise) = &laid.encrypted_otherwise {
        return Err(format!("it was laid over, but {otherwise}: see `sealog doctor`"));
    }
    match shortfall(laid, store.retention(), asked_at).filter(|_| step.keep == Keep::Evidence) {
        Some(lacks) => Err(format!("it was laid over, but {lacks}: run `sealog locks --extend`")),
        None => Ok(()),
    }
}
