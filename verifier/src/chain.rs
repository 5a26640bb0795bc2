//! One chain from its keys to its newest checkpoint: reads what `plan` asks for, span by span, and joins what the
//! checks of single segments give.

use std::collections::BTreeMap;

use schemas::{Checkpoint, Hash, Layout, Micros, Place, SegmentFile, Seq, Vkey, first_prev};
use store::Store;

use crate::Options;
use crate::finding::Findings;
use crate::inventory::{Names, SegmentName};
use crate::keys::KeyRing;
use crate::known::pinned_for;
use crate::openings::{Opening, records_openings};
use crate::plan::Plan;
use crate::reading::{self, MAX_CHECKPOINT, MAX_KEY_NOTE, MAX_SCHEMA, MAX_SEGMENT_BYTES};
use crate::report::{ChainReport, KeyReport, KnownReport, Notice, Uncovered, Verdict};
use crate::{Check, Finding, Known, Position};

/// What the check of a chain gives.
pub(crate) struct Outcome {
    pub(crate) report: ChainReport,
    pub(crate) findings: Findings,
    pub(crate) notices: Vec<Notice>,
    pub(crate) openings: Vec<Opening>,
    pub(crate) segment_bytes: u64,
}

/// A chain being checked.
pub(crate) struct ChainCheck<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) origin: &'a str,
    pub(crate) layout: Layout,
    pub(crate) names: &'a Names,
    pub(crate) options: &'a Options,
    /// The size in the name of the newest checkpoint.
    pub(crate) size: u64,
    pub(crate) ring: KeyRing,
    pub(crate) findings: Findings,
    pub(crate) notices: Vec<Notice>,
    pub(crate) openings: Vec<Opening>,
    /// Where the chain stands before the next span; None where nothing proves it.
    pub(crate) position: Option<Position>,
    pub(crate) last_sealed_at: Option<Micros>,
    /// Sizes at which the root is wanted, and the roots as they become known.
    pub(crate) roots: BTreeMap<u64, Option<Hash>>,
    /// The schemas that segments name, and which seqs first.
    pub(crate) schemas_used: BTreeMap<Hash, (Seq, u64)>,
    /// The largest checkpoint that holds.
    pub(crate) newest: Option<Checkpoint>,
    /// Up to here the segments are gone and their trees bear them out.
    pub(crate) gone_before: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) segments: u64,
    pub(crate) events: u64,
    pub(crate) first_read: Option<Seq>,
    pub(crate) sealed: Option<(Micros, Micros)>,
}

/// Checks the chain of `origin`, and that it extends each of `known`.
pub(crate) fn check_chain<'a>(
    store: &'a dyn Store,
    origin: &'a str,
    names: &'a Names,
    options: &'a Options,
    known: &[&Known],
) -> Outcome {
    let pinned = pinned_for(&options.pinned, origin);
    let mut check = ChainCheck::begin(store, origin, names, options, &pinned);
    check.check_zero();
    let hint = check.read_hint();
    check.roots.extend(known.iter().map(|known| (known.checkpoint.size, None)));
    check.roots.extend(hint.iter().map(|hint| (hint.0.size, None)));
    check.roots.entry(0).and_modify(|root| *root = Some(Hash::of(&[])));

    let mut findings = std::mem::take(&mut check.findings);
    let plan = Plan::of(names, &check.layout, &mut findings, |name| check.begins_there(name));
    check.findings = findings;
    for span in &plan.spans {
        check.check_span(span);
    }
    check.check_key_places(&plan);
    check.check_hint(hint);
    let known = check.check_known(known);
    check.check_pinned(&pinned);
    check.check_schemas();
    check.outcome(&pinned, known, plan.uncovered)
}

impl<'a> ChainCheck<'a> {
    fn begin(
        store: &'a dyn Store,
        origin: &'a str,
        names: &'a Names,
        options: &'a Options,
        pinned: &[Vkey],
    ) -> ChainCheck<'a> {
        let (layout, mut findings) = (Layout::of(origin), Findings::without(&options.off));
        let size = names.checkpoints.last().copied().unwrap_or(0);
        let mut notes = Vec::new();
        for first_size in &names.keys {
            let key = layout.key(&Place::Key(*first_size));
            let read = reading::read(store, &key, MAX_KEY_NOTE)
                .map_err(|unread| findings.add(unread.finding_of_bounded(Check::KeyNote, &key)));
            notes.push((*first_size, read.ok()));
        }
        let ring = KeyRing::open(&layout, &notes, pinned.first(), size, &mut findings);
        let genesis_prev = ring.genesis().map(|vkey| first_prev(origin, &vkey.to_string()));
        ChainCheck {
            store,
            origin,
            layout,
            names,
            options,
            size,
            ring,
            findings,
            notices: Vec::new(),
            openings: Vec::new(),
            position: Some(Position::begin(genesis_prev)),
            last_sealed_at: None,
            roots: BTreeMap::new(),
            schemas_used: BTreeMap::new(),
            newest: None,
            gone_before: 0,
            segment_bytes: 0,
            segments: 0,
            events: 0,
            first_read: None,
            sealed: None,
        }
    }

    /// Reads an object; what cannot be read is a finding about those seqs.
    pub(crate) fn read(&mut self, key: &str, max_bytes: u64, seqs: (Seq, u64)) -> Option<Vec<u8>> {
        let read = reading::read(self.store, key, max_bytes);
        read.map_err(|unread| self.findings.add(unread.finding(key).seqs(seqs.0, seqs.1))).ok()
    }

    pub(crate) fn notice(&mut self, kind: &'static str, text: String) {
        self.notices.push(Notice { kind, chain: self.origin.to_owned(), text });
    }

    /// The checkpoint of size 0: the chain's beginning, signed.
    fn check_zero(&mut self) {
        let key = self.layout.key(&Place::Checkpoint(0));
        if self.names.checkpoints.first() == Some(&0) {
            let empty_root = Hash::of(&[]);
            if let Some((checkpoint, note)) = self.read_checkpoint(0, (Seq(0), 0))
                && checkpoint.root != empty_root
            {
                let finding = Finding::of(Check::Root, empty_root.to_string(), checkpoint.root.to_string());
                self.findings.add(finding.at(key).proved_by([note]));
            }
            return;
        }
        let has_only_keys = self.names.checkpoints.is_empty()
            && self.names.trees.is_empty()
            && self.names.segments.is_empty();
        let (check, expected) = match has_only_keys {
            true => (Check::NoCheckpoint, "a checkpoint: nothing is signed yet"),
            false => (Check::CheckpointMissing, "the checkpoint of size 0"),
        };
        self.findings.add(Finding::of(check, expected, "nothing").at(key));
    }

    /// Reads and opens `checkpoints/<size>`, with its text. What is wrong with it touches those seqs.
    pub(crate) fn read_checkpoint(&mut self, size: u64, seqs: (Seq, u64)) -> Option<(Checkpoint, String)> {
        let key = self.layout.key(&Place::Checkpoint(size));
        let note = match reading::read(self.store, &key, MAX_CHECKPOINT) {
            Ok(note) => note,
            Err(unread) => {
                let finding = unread.finding_of_bounded(Check::CheckpointNote, &key);
                self.findings.add(finding.seqs(seqs.0, seqs.1));
                return None;
            }
        };
        // Without a key nothing can be said of it, and the key note has its finding.
        let vkey = self.ring.at(size)?;
        let finding = match Checkpoint::open(&note, vkey) {
            Ok(checkpoint) if checkpoint.size == size => {
                self.accept(&checkpoint);
                return Some((checkpoint, String::from_utf8_lossy(&note).into_owned()));
            }
            Ok(other) => {
                let found = format!("a checkpoint of size {}", other.size);
                Finding::of(Check::CheckpointPlace, format!("a checkpoint of size {size}"), found)
            }
            Err(malformed) => {
                let expected = format!("a checkpoint signed by {vkey} alone");
                Finding::of(Check::CheckpointNote, expected, malformed.to_string())
            }
        };
        self.findings.add(finding.at(key).seqs(seqs.0, seqs.1));
        None
    }

    /// A checkpoint whose signature holds.
    pub(crate) fn accept(&mut self, checkpoint: &Checkpoint) {
        self.ring.has_signed(checkpoint.size);
        if self.newest.as_ref().is_none_or(|newest| newest.size < checkpoint.size) {
            self.newest = Some(checkpoint.clone());
        }
    }

    /// Whether a segment that nothing announces begins where its name says.
    fn begins_there(&self, name: SegmentName) -> bool {
        let read = reading::read(self.store, &self.layout.key(&name.place()), MAX_SEGMENT_BYTES);
        let header = read.ok().and_then(|bytes| Some(SegmentFile::parse(&bytes).ok()?.header));
        header.is_some_and(|header| header.first_seq == name.first_seq && header.origin == self.origin)
    }

    fn check_schemas(&mut self) {
        for hash in &self.names.schemas {
            let key = self.layout.key(&Place::Schema(*hash));
            let (first, end) = self.schemas_used.get(hash).copied().unwrap_or((Seq(0), 0));
            let finding = match reading::read(self.store, &key, MAX_SCHEMA) {
                Ok(bytes) => {
                    let found = Hash::of(&[&bytes]);
                    (found != *hash)
                        .then(|| Finding::of(Check::SchemaBytes, hash.to_string(), found.to_string()).at(key))
                }
                Err(unread) => Some(unread.finding_of_bounded(Check::SchemaBytes, &key)),
            };
            if let Some(finding) = finding {
                self.findings.add(finding.seqs(first, end));
            }
        }
        for (hash, (first, end)) in &self.schemas_used {
            if self.names.schemas.binary_search(hash).is_err() {
                let key = self.layout.key(&Place::Schema(*hash));
                let finding = Finding::of(Check::SchemaMissing, "the schema of these events", "nothing");
                self.findings.add(finding.at(key).seqs(*first, *end));
            }
        }
    }

    fn outcome(
        mut self,
        pinned: &[Vkey],
        known: Vec<KnownReport>,
        not_covered: Option<Uncovered>,
    ) -> Outcome {
        if let Some(rest) = &not_covered {
            let text = format!(
                "{} segments and {} trees files from seq {} on have no checkpoint yet: the archive was being written, \
                 or a crash left them. They were not checked",
                rest.segments, rest.trees, rest.first_seq
            );
            self.notice("not-covered", text);
        }
        if self.gone_before > 0 {
            let text = format!(
                "the events before seq {} are gone, their hashes remain and fit: intact from seq {} on. Whether their \
                 retention had ended is not to be seen here",
                self.gone_before, self.gone_before
            );
            self.notice("old-segments-gone", text);
            if records_openings(self.origin) {
                let text = format!(
                    "which other chains were opened before seq {} is not to be seen either: name them by --known",
                    self.gone_before
                );
                self.notice("openings-gone", text);
            }
        }
        if let Some((_, last)) = self.sealed.filter(|(_, last)| *last > self.options.now) {
            let text = format!(
                "the last event was sealed at {}, which is ahead of this machine's clock",
                last.rfc3339()
            );
            self.notice("ahead-of-clock", text);
        }
        let is_anchored =
            !pinned.is_empty() && !known.is_empty() && known.iter().all(|known| known.extended == Some(true));
        let key_report = |(first_size, vkey): (u64, Option<&Vkey>)| KeyReport {
            first_size,
            vkey: vkey.map(Vkey::to_string),
            pinned: vkey.is_some_and(|vkey| pinned.contains(vkey)),
        };
        let report = ChainReport {
            origin: self.origin.to_owned(),
            verdict: Verdict::of(self.findings.worst(), is_anchored),
            size: self.newest.as_ref().map(|newest| newest.size),
            root: self.newest.as_ref().map(|newest| newest.root.to_string()),
            first_seq: self.first_read.map(|seq| seq.0),
            events: self.events,
            segments: self.segments,
            first_sealed_at: self.sealed.map(|(first, _)| first.rfc3339()),
            last_sealed_at: self.sealed.map(|(_, last)| last.rfc3339()),
            keys: self.ring.keys().map(key_report).collect(),
            known,
            not_covered,
        };
        Outcome {
            report,
            findings: self.findings,
            notices: self.notices,
            openings: self.openings,
            segment_bytes: self.segment_bytes,
        }
    }
}
