//! One chain from its keys to its newest checkpoint: what `plan` asks for is read ahead, span by span, and what the
//! checks of single segments give is joined in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::{Checkpoint, Hash, Layout, Micros, Place, Seq, Vkey, first_prev};
use store::Object;

use crate::Options;
use crate::custody::{Custody, Locks};
use crate::finding::Findings;
use crate::hint::Hint;
use crate::inventory::Names;
use crate::keys::KeyRing;
use crate::noted::{NoteRead, read_note};
use crate::openings::{Opening, records_openings};
use crate::plan::Plan;
use crate::reading::{MAX_KEY_NOTE, MAX_SCHEMA, Source, kept};
use crate::report::{ChainReport, KeyReport, KnownReport, Notice, Uncovered, Verdict};
use crate::revoked::revoked_for;
use crate::span_read::{Looked, SpanReader};
use crate::{Check, Finding, Known, Position};

/// What the check of a chain gives.
pub(crate) struct Outcome {
    pub(crate) report: ChainReport,
    pub(crate) findings: Findings,
    pub(crate) notices: Vec<Notice>,
    pub(crate) openings: Vec<Opening>,
    /// Events that were walked and are in the range that was asked for.
    pub(crate) in_range: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) locks: Locks,
}

/// A chain being checked.
pub(crate) struct ChainCheck<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) origin: &'a str,
    pub(crate) layout: Layout,
    pub(crate) names: &'a Names,
    pub(crate) options: &'a Options,
    /// The size in the name of the newest checkpoint.
    pub(crate) size: u64,
    pub(crate) ring: KeyRing,
    pub(crate) custody: Custody<'a>,
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
    /// The largest checkpoint that holds, and its note.
    pub(crate) newest: Option<Checkpoint>,
    newest_note: Option<String>,
    /// Up to here the segments are gone and their trees bear them out.
    pub(crate) gone_before: u64,
    /// Of what is gone only the names of its trees files were seen.
    pub(crate) gone_unread: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) segments: u64,
    pub(crate) events: u64,
    /// Of these, events in the range that was asked for.
    pub(crate) in_range: u64,
    pub(crate) first_read: Option<Seq>,
    pub(crate) sealed: Option<(Micros, Micros)>,
    /// When the first event of the last span that was walked was sealed.
    pub(crate) last_begins: Option<Micros>,
    /// Whether the span before was not walked.
    pub(crate) is_apart: bool,
    /// The last hash that the header before says, where only the header was read.
    pub(crate) last_hash_said: Option<Hash>,
    /// The signed roots at sizes in `roots`.
    pub(crate) signed_roots: BTreeMap<u64, Hash>,
    pub(crate) headers: u64,
    pub(crate) not_read: u64,
}

/// Checks the chain of `origin`, and that it extends each of `known`.
pub(crate) fn check_chain<'a>(
    source: &'a Source<'a>,
    origin: &'a str,
    names: &'a Names,
    options: &'a Options,
    known: &[&Known],
) -> Outcome {
    let pinned = Vkey::all_for(&options.pinned, origin);
    let mut check = ChainCheck::begin(source, origin, names, options, &pinned);
    check.check_zero();
    let hints: Vec<Hint> = check.read_hints();
    check.roots.extend(known.iter().map(|known| (known.checkpoint.size, None)));
    check.roots.extend(hints.iter().map(|hint| (hint.checkpoint.size, None)));
    check.roots.entry(0).and_modify(|root| *root = Some(Hash::of(&[])));

    let mut findings = std::mem::take(&mut check.findings);
    let plan = Plan::of(names, &check.layout, &mut findings, |name| check.begins_there(name));
    check.findings = findings;
    let looks = check.looks(&plan.spans);
    let reader = SpanReader::new(&check, &plan.spans, &looks);
    options.reading.ahead.in_order(
        plan.spans.len(),
        |nth| reader.bytes(nth),
        |nth| reader.look(nth),
        |nth, looked| {
            match looked {
                Looked::Walked(read) => check.join_span(&reader, nth, *read),
                Looked::Glanced(glance) => check.join_glance(&reader, nth, *glance),
            }
            ControlFlow::Continue(())
        },
    );
    check.check_range_is_held(&plan.spans, &looks);
    check.check_key_places(&plan);
    check.check_hints(hints);
    let known = check.check_known(known);
    check.check_pinned(&pinned);
    check.check_revoked(&known, &pinned);
    check.check_schemas();
    check.look_at_uncovered();
    check.custody.finish(&check.layout, &mut check.findings);
    check.outcome(&pinned, known, plan.uncovered)
}

impl<'a> ChainCheck<'a> {
    fn begin(
        source: &'a Source<'a>,
        origin: &'a str,
        names: &'a Names,
        options: &'a Options,
        pinned: &[Vkey],
    ) -> ChainCheck<'a> {
        let (layout, mut findings) = (Layout::of(origin), Findings::without(&options.off));
        let size = names.checkpoints.last().copied().unwrap_or(0);
        let mut custody = Custody::new(options.custody, options.now, source.laid);
        let mut read_note = |first_size, findings: &mut Findings, holds: &dyn Fn(&[u8]) -> bool| {
            let key = layout.key(&Place::Key(first_size));
            let fits = |object: &Object| holds(&object.bytes).then_some(());
            match source.oldest_fitting(&key, MAX_KEY_NOTE, fits) {
                Ok((object, _)) => {
                    custody.take(&key, &kept(&object), (Seq(0), 0), findings);
                    Some(object.bytes)
                }
                Err(unread) => {
                    findings.add(unread.finding_of_bounded(Check::KeyNote, &key));
                    None
                }
            }
        };
        let mut ring =
            KeyRing::open(&layout, &names.keys, &mut read_note, pinned.first(), size, &mut findings);
        ring.revoke(&revoked_for(&options.revoked, origin));
        let genesis_prev = ring.genesis().map(|vkey| first_prev(origin, &vkey.to_string()));
        ChainCheck {
            source,
            origin,
            layout,
            names,
            options,
            size,
            ring,
            custody,
            findings,
            notices: Vec::new(),
            openings: Vec::new(),
            position: Some(Position::begin(genesis_prev)),
            last_sealed_at: None,
            roots: BTreeMap::new(),
            schemas_used: BTreeMap::new(),
            newest: None,
            newest_note: None,
            gone_before: 0,
            gone_unread: false,
            segment_bytes: 0,
            segments: 0,
            events: 0,
            in_range: 0,
            first_read: None,
            sealed: None,
            last_begins: None,
            is_apart: false,
            last_hash_said: None,
            signed_roots: BTreeMap::new(),
            headers: 0,
            not_read: 0,
        }
    }

    pub(crate) fn notice(&mut self, kind: &'static str, text: String) {
        self.notices.push(Notice { kind, chain: self.origin.to_owned(), text });
    }

    /// The checkpoint of size 0: the chain's beginning, signed.
    fn check_zero(&mut self) {
        let key = self.layout.key(&Place::Checkpoint(0));
        if self.names.checkpoints.first() == Some(&0) {
            let empty_root = Hash::of(&[]);
            let read = read_note(self.source, &self.layout, &self.ring, 0);
            if let Some((checkpoint, note)) = self.take_note(read, 0, (Seq(0), 0))
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

    /// Takes what was read of `checkpoints/<size>`, with its text. What is wrong with it touches those seqs.
    pub(crate) fn take_note(
        &mut self,
        read: NoteRead,
        size: u64,
        seqs: (Seq, u64),
    ) -> Option<(Checkpoint, String)> {
        let key = self.layout.key(&Place::Checkpoint(size));
        if let Some(kept) = &read.kept {
            self.custody.take(&key, kept, seqs, &mut self.findings);
        }
        read.findings.into_iter().for_each(|finding| self.findings.add(finding.seqs(seqs.0, seqs.1)));
        let (checkpoint, note) = read.signed?;
        self.accept(&checkpoint, &note);
        Some((checkpoint, note))
    }

    /// A checkpoint whose signature holds.
    pub(crate) fn accept(&mut self, checkpoint: &Checkpoint, note: &str) {
        self.ring.has_signed(checkpoint.size);
        if self.roots.contains_key(&checkpoint.size) {
            self.signed_roots.entry(checkpoint.size).or_insert(checkpoint.root);
        }
        if self.newest.as_ref().is_none_or(|newest| newest.size < checkpoint.size) {
            self.newest = Some(checkpoint.clone());
            self.newest_note = Some(note.to_owned());
        }
    }

    fn check_schemas(&mut self) {
        for hash in &self.names.schemas {
            let key = self.layout.key(&Place::Schema(*hash));
            let (first, end) = self.schemas_used.get(hash).copied().unwrap_or((Seq(0), 0));
            let is_it = |object: &Object| (Hash::of(&[&object.bytes]) == *hash).then_some(());
            let finding = match self.source.fitting(&key, MAX_SCHEMA, is_it) {
                Ok((object, is_it)) => {
                    self.custody.take(&key, &kept(&object), (first, end), &mut self.findings);
                    let found = || Hash::of(&[&object.bytes]).to_string();
                    let wrong = || Finding::of(Check::SchemaBytes, hash.to_string(), found());
                    is_it.is_none().then(|| wrong().at(key).of_version(&object.version))
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
            let seq = self.gone_before;
            let hashes = match self.gone_unread {
                true => "that trees files of their sizes remain was seen, not whether the hashes in them fit"
                    .to_owned(),
                false => format!("their hashes remain and fit: intact from seq {seq} on"),
            };
            let text = format!(
                "the events before seq {seq} are gone, {hashes}. Whether their retention had ended is not to be seen here"
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
            revoked_from: self.ring.revoked_from(first_size),
        };
        let report = ChainReport {
            origin: self.origin.to_owned(),
            verdict: Verdict::of_nothing_wrong(&self.options.scope, is_anchored).with(self.findings.worst()),
            size: self.newest.as_ref().map(|newest| newest.size),
            root: self.newest.as_ref().map(|newest| newest.root.to_string()),
            checkpoint: self.newest_note,
            first_seq: self.first_read.map(|seq| seq.0),
            events: self.events,
            segments: self.segments,
            headers: self.headers,
            not_read: self.not_read,
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
            in_range: self.in_range,
            segment_bytes: self.segment_bytes,
            locks: self.custody.locks,
        }
    }
}
