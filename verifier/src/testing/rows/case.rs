//! One damaged archive, who looks at it, and what must be said.

use schemas::Vkey;
use store::{Kind, Retention};

use super::{PROMISED, both, chain_0, chain_1};
use crate::testing::{ChainBuilder, Objects};
use crate::{Check, Promise, Verdict};

/// A damaged archive, and what must be said of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The damage in a few words.
    pub what: String,
    /// What is stored.
    pub objects: Objects,
    /// What was done after that, in this order. It needs a store that keeps versions.
    pub acts: Vec<Act>,
    /// How it is kept. None: in a folder, or anywhere.
    pub bucket: Option<Locked>,
    /// Keys that hold these words are listed, and to be read they fail like this.
    pub withheld: Option<(&'static str, Kind)>,
    /// The keys that the auditor pins.
    pub pinned: Vec<Vkey>,
    /// The keys that the auditor holds for revoked, and from which size on.
    pub revoked: Vec<(Vkey, u64)>,
    /// The checkpoints that the auditor kept.
    pub known: Vec<Vec<u8>>,
    /// What it comes to.
    pub verdict: Verdict,
    /// Which checks find something, no more and no less, by name. None: any.
    pub checks: Option<Vec<Check>>,
    /// The first bad place.
    pub first: Option<BadPlace>,
}

/// What somebody did to a bucket.
#[derive(Clone, Debug)]
pub enum Act {
    /// Laid a newer version over a key.
    LayOver(String, Vec<u8>),
    /// Hid a key under a delete marker.
    Hide(String),
}

/// How the objects of a bucket are locked, and what they are held to.
#[derive(Clone, Copy, Debug)]
pub struct Locked {
    /// None: not at all.
    pub with: Option<Retention>,
    /// Who promised what.
    pub promise: Promise,
}

/// Where the first finding must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlace {
    /// Of which check.
    pub check: Check,
    /// About which object.
    pub key: Option<String>,
    /// About which seqs, the last one included.
    pub seqs: Seqs,
}

/// Which seqs a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seqs {
    /// From the first to the last, both included.
    Run(u64, u64),
    /// None.
    None,
    /// Whichever.
    Any,
}

impl BadPlace {
    /// Whether a finding of this check is about it.
    pub fn is(&self, check: &str, key: Option<&str>, seqs: Option<(u64, u64)>) -> bool {
        let fits = match self.seqs {
            Seqs::Run(first, last) => seqs == Some((first, last)),
            Seqs::None => seqs.is_none(),
            Seqs::Any => true,
        };
        fits && check == self.check.name() && key == self.key.as_deref()
    }
}

impl Case {
    /// This archive alone, of which nothing is to be said.
    pub fn new(what: &str, objects: Objects) -> Case {
        Case {
            what: what.to_owned(),
            objects,
            acts: Vec::new(),
            bucket: None,
            withheld: None,
            pinned: Vec::new(),
            revoked: Vec::new(),
            known: Vec::new(),
            verdict: Verdict::Unanchored,
            checks: Some(Vec::new()),
            first: None,
        }
    }

    /// Chain 0 as it is now, beside a whole chain 1.
    pub fn of(what: &str, zero: &ChainBuilder) -> Case {
        Case::new(what, both(zero, &chain_1()))
    }

    /// Chain 0 after this damage.
    pub fn after(what: &str, damage: impl FnOnce(&mut ChainBuilder)) -> Case {
        let mut zero = chain_0();
        damage(&mut zero);
        Case::of(what, &zero)
    }

    fn said(mut self, verdict: Verdict, check: Check) -> Case {
        (self.verdict, self.checks) = (verdict, Some(vec![check]));
        self
    }

    /// It is broken, and this is the first bad place. No key: it is about none.
    #[must_use]
    pub fn broken(self, check: Check, key: &str, seqs: impl Into<Option<(u64, u64)>>) -> Case {
        let key = (!key.is_empty()).then(|| key.to_owned());
        let seqs = seqs.into().map_or(Seqs::None, |(first, last)| Seqs::Run(first, last));
        let first = Some(BadPlace { check, key, seqs });
        Case { first, ..self.said(Verdict::Broken, check) }
    }

    /// The evidence is whole, its storage is not as promised. This object is the first; no key: any.
    #[must_use]
    pub fn at_risk(self, check: Check, key: &str) -> Case {
        let key = (!key.is_empty()).then(|| key.to_owned());
        let first = key.is_some().then_some(BadPlace { check, key, seqs: Seqs::Any });
        Case { first, ..self.said(Verdict::CustodyAtRisk, check) }
    }

    /// Nothing can be said.
    #[must_use]
    pub fn inconclusive(self, check: Check) -> Case {
        self.said(Verdict::Inconclusive, check)
    }

    /// These checks find something too.
    #[must_use]
    pub fn and(mut self, checks: &[Check]) -> Case {
        self.checks.get_or_insert_default().extend_from_slice(checks);
        self
    }

    /// Whatever finds it.
    #[must_use]
    pub fn by_any_check(mut self) -> Case {
        (self.verdict, self.checks) = (Verdict::Broken, None);
        self
    }

    /// The auditor kept this checkpoint.
    #[must_use]
    pub fn known(mut self, note: Vec<u8>) -> Case {
        self.known.push(note);
        self
    }

    /// The auditor pins this key.
    #[must_use]
    pub fn pinned(mut self, vkey: Vkey) -> Case {
        self.pinned.push(vkey);
        self
    }

    /// The auditor holds this key for revoked, from this size on.
    #[must_use]
    pub fn revoked(mut self, vkey: Vkey, size: u64) -> Case {
        self.revoked.push((vkey, size));
        self
    }

    /// It lies in a bucket that keeps its promise, and then somebody came.
    #[must_use]
    pub fn in_bucket(mut self, acts: impl IntoIterator<Item = Act>) -> Case {
        self.bucket = Some(Locked { with: Some(PROMISED), promise: Promise::OfTheBucket(PROMISED) });
        self.acts.extend(acts);
        self
    }
}
