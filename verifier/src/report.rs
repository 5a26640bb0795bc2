//! The Report: what was checked, against what, and what was found. Its field names are stable; text is in `text`.

use serde::Serialize;
use store::Mode;

use crate::custody::Locks;
use crate::{Effect, Finding, Promise, Scope, ScopeReport};

/// What the whole comes to. When several hold, the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// The key was pinned, and a checkpoint kept outside the archive is extended.
    #[serde(rename = "intact")]
    Intact,
    /// All fits, but nothing outside vouches for the length or against a rewrite as a whole.
    #[serde(rename = "intact but unanchored")]
    Unanchored,
    /// The range that was asked for fits. Of the rest next to nothing was looked at.
    #[serde(rename = "range check: nothing wrong in what was looked at")]
    InRange,
    /// Names, notes, headers and a sample fit. Most events were not looked at.
    #[serde(rename = "quick check: nothing wrong in what was looked at")]
    InSample,
    /// The evidence is whole, its storage is not as promised.
    #[serde(rename = "custody at risk")]
    CustodyAtRisk,
    /// Something could not be read.
    #[serde(rename = "inconclusive")]
    Inconclusive,
    /// The evidence is not what was sealed.
    #[serde(rename = "broken")]
    Broken,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Intact => "intact",
            Verdict::Unanchored => "intact but unanchored",
            Verdict::InRange => "range check: nothing wrong in what was looked at",
            Verdict::InSample => "quick check: nothing wrong in what was looked at",
            Verdict::CustodyAtRisk => "custody at risk",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Broken => "broken",
        }
    }

    /// What the process exits with. `requires_anchor`: nothing but intact is enough.
    pub fn exit_code(self, requires_anchor: bool) -> u8 {
        match self {
            Verdict::Intact => 0,
            Verdict::Unanchored | Verdict::InRange | Verdict::InSample => {
                if requires_anchor {
                    3
                } else {
                    0
                }
            }
            Verdict::CustodyAtRisk | Verdict::Broken => 1,
            Verdict::Inconclusive => 3,
        }
    }

    /// What a finding of this effect makes of it.
    pub(crate) fn of(effect: Effect) -> Verdict {
        match effect {
            Effect::Broken => Verdict::Broken,
            Effect::Inconclusive => Verdict::Inconclusive,
            Effect::Custody => Verdict::CustodyAtRisk,
        }
    }

    /// What it comes to where nothing is wrong.
    pub(crate) fn of_nothing_wrong(scope: &Scope, is_anchored: bool) -> Verdict {
        match scope {
            Scope::Full if is_anchored => Verdict::Intact,
            Scope::Full => Verdict::Unanchored,
            Scope::Range { .. } => Verdict::InRange,
            Scope::Quick { .. } => Verdict::InSample,
        }
    }

    /// With the worst finding, if there is any.
    #[must_use]
    pub(crate) fn with(self, worst: Option<Effect>) -> Verdict {
        worst.map_or(self, |effect| self.max(Verdict::of(effect)))
    }
}

/// What a verifier says about an archive.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of these fields: 1.
    pub format: u32,
    /// What wrote it: `sealog` and its version.
    pub verifier: String,
    /// What the auditor calls the archive.
    pub archive: String,
    /// When it was checked, by the auditor's clock, RFC 3339.
    pub checked_at: String,
    /// How much was asked for.
    pub scope: ScopeReport,
    /// The whole in a word.
    pub verdict: Verdict,
    /// Where the trust in the keys comes from.
    pub trust: Trust,
    /// The keys that the auditor holds for revoked.
    pub revoked: Vec<RevokedReport>,
    /// The first bad place: of the findings that decide the verdict, the one with the smallest seq of the first chain.
    pub first: Option<Finding>,
    /// Each chain.
    pub chains: Vec<ChainReport>,
    /// Everything that is not as it should be, by chain, then seq.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_left_out: u64,
    /// What is worth knowing and changes no verdict.
    pub notices: Vec<Notice>,
    /// What a check like this one cannot show.
    pub not_shown: Vec<String>,
    /// How the evidence is locked, and who promised it. Null where the store locks nothing.
    pub custody: Option<CustodyReport>,
    /// Objects in the archive.
    pub objects: u64,
    /// Events that were read, of all chains.
    pub events: u64,
    /// Bytes of segments read.
    pub segment_bytes: u64,
}

/// Where the trust in the keys comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The auditor gave the key.
    Pinned,
    /// The keys stand in the archive and were taken as they are.
    Archive,
}

/// A key that the auditor holds for revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokedReport {
    /// The key, as it was given.
    pub vkey: String,
    /// The size from which on what it signed counts by itself no more, of the chain that it is named for.
    pub size: u64,
}

/// How the evidence is locked, held against what was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustodyReport {
    /// Who says what the locks must be: `auditor`, `bucket` or `nobody`; then any lock will do that has not ended.
    /// `unseen`: locks could not be looked at.
    pub promised_by: &'static str,
    /// `compliance` or `governance`.
    pub mode: Option<&'static str>,
    /// For how long from the moment of writing.
    pub period_seconds: Option<u64>,
    /// What was found.
    #[serde(flatten)]
    pub locks: Locks,
}

impl CustodyReport {
    pub(crate) fn of(promise: Promise, locks: Locks) -> CustodyReport {
        let promised_by = match promise {
            Promise::Told(_) => "auditor",
            Promise::OfTheBucket(_) => "bucket",
            Promise::Nobody => "nobody",
            Promise::Unseen => "unseen",
        };
        let mode = promise.retention().map(|promised| match promised.mode {
            Mode::Compliance => "compliance",
            Mode::Governance => "governance",
        });
        let period_seconds = promise.retention().map(|promised| promised.period.as_secs());
        CustodyReport { promised_by, mode, period_seconds, locks }
    }
}

/// What was checked of one chain.
#[derive(Clone, Debug, Serialize)]
pub struct ChainReport {
    /// Its name.
    pub origin: String,
    /// What it comes to by itself.
    pub verdict: Verdict,
    /// The size of the newest checkpoint that holds: so far the archive speaks.
    pub size: Option<u64>,
    /// Its root, in hex.
    pub root: Option<String>,
    /// That checkpoint, as it is signed: what to keep.
    pub checkpoint: Option<String>,
    /// The first seq whose event is there.
    pub first_seq: Option<u64>,
    /// Events that were read.
    pub events: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Segments of which the header alone was read.
    pub headers: u64,
    /// Segments that were not looked at.
    pub not_read: u64,
    /// When the first of those events was sealed, RFC 3339.
    pub first_sealed_at: Option<String>,
    /// When the last of them was sealed.
    pub last_sealed_at: Option<String>,
    /// Its keys in the order in which they came into force.
    pub keys: Vec<KeyReport>,
    /// The kept checkpoints that it was held against.
    pub known: Vec<KnownReport>,
    /// What no checkpoint covers yet.
    pub not_covered: Option<Uncovered>,
}

/// A key of a chain.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport {
    /// The first size that it may sign.
    pub first_size: u64,
    /// The key; null where its note does not hold.
    pub vkey: Option<String>,
    /// Whether the auditor pinned it.
    pub pinned: bool,
    /// The size from which on what it signed counts by itself no more: the auditor revoked it, or a key that handed over
    /// to it. Null: it is not revoked.
    pub revoked_from: Option<u64>,
}

/// A kept checkpoint, and whether the chain extends it.
#[derive(Clone, Debug, Serialize)]
pub struct KnownReport {
    /// What the auditor calls it.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// Whether the chain extends it; null where damage kept the root at its size from being computed, or not every
    /// event up to the end was walked.
    pub extended: Option<bool>,
    /// What it was held against.
    pub compared: Compared,
}

/// What a kept checkpoint was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// The root over the chain's links.
    Links,
    /// The archive's own signed checkpoint of that size, and not the links.
    Checkpoint,
    /// Nothing: the root at its size is not known.
    Nothing,
}

/// Objects above the newest checkpoint: left by a crash, or an archive that was growing while it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    /// The first seq that no checkpoint covers.
    pub first_seq: u64,
    /// Segments from there on.
    pub segments: u64,
    /// Trees files from there on.
    pub trees: u64,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its name, one of [`Notice::KINDS`].
    pub kind: &'static str,
    /// The chain.
    pub chain: String,
    /// A sentence.
    pub text: String,
}

impl Notice {
    /// All that there are.
    pub const KINDS: [&str; 9] = [
        "not-covered",
        "old-segments-gone",
        "openings-gone",
        "ahead-of-clock",
        "not-compared",
        "links-apart",
        "hints-left-out",
        "beyond-the-end",
        "revoked-unknown",
    ];
}

impl Report {
    /// What the process exits with.
    pub fn exit_code(&self, requires_anchor: bool) -> u8 {
        self.verdict.exit_code(requires_anchor)
    }
}
