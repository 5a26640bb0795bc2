//! Spans as they are read ahead, on several threads: each by itself, from where the trees file before it proves that
//! the chain stands. Whoever joins them in order sees whether that was right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use schemas::{Hash, Layout, Place, Seq, Trees};
use store::custody::Kept;
use store::{Object, Version};

use crate::chain::ChainCheck;
use crate::inventory::Names;
use crate::keys::KeyRing;
use crate::noted::{NoteRead, read_note};
use crate::openings::records_openings;
use crate::plan::Span;
use crate::reading::{MAX_SEGMENT_BYTES, MAX_TREES_BYTES, Source, Unread, kept};
use crate::segment::{SegmentInput, SegmentSummary, check_segment};
use crate::{Check, Finding, Options, Position};

/// Reads the spans of a chain. Shared by threads.
pub(crate) struct SpanReader<'a> {
    pub(crate) source: &'a Source<'a>,
    origin: &'a str,
    pub(crate) layout: Layout,
    names: &'a Names,
    options: &'a Options,
    ring: KeyRing,
    spans: &'a [Span],
    genesis: Option<Position>,
    roots_at: Vec<u64>,
    /// Of the spans on the way: whoever needs one first reads it.
    ends: Mutex<BTreeMap<usize, Arc<OnceLock<End>>>>,
}

/// What is known of the end of a span: its checkpoint and its trees file.
struct End {
    note: NoteRead,
    trees: Arc<TreesRead>,
}

/// What reading a trees file gives.
#[derive(Debug, Default)]
pub(crate) struct TreesRead {
    pub(crate) kept: Option<Kept>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) trees: Option<Trees>,
}

/// A span that was read.
pub(crate) struct SpanRead {
    pub(crate) note: NoteRead,
    pub(crate) trees: Arc<TreesRead>,
    /// The keys of all segments with that first seq: the one to be read first.
    pub(crate) keys: Vec<String>,
    /// None: there is no segment.
    pub(crate) segment: Option<Result<SegmentRead, Unread>>,
}

/// A segment that was read and checked.
pub(crate) struct SegmentRead {
    pub(crate) kept: Kept,
    pub(crate) size_bytes: u64,
    /// From where it was followed.
    pub(crate) start: Option<Position>,
    pub(crate) summary: SegmentSummary,
}

/// A segment whose size no list says is taken for this large.
const UNKNOWN_SIZE_BYTES: u64 = 16 << 20;
/// What a trees file holds for an event, with the tiles above.
const TREES_BYTES_EACH: u64 = 33;

impl<'a> SpanReader<'a> {
    pub(crate) fn new(check: &ChainCheck<'a>, spans: &'a [Span]) -> SpanReader<'a> {
        SpanReader {
            source: check.source,
            origin: check.origin,
            layout: check.layout.clone(),
            names: check.names,
            options: check.options,
            ring: check.ring.clone(),
            spans,
            genesis: check.position.clone(),
            roots_at: check.roots.keys().copied().collect(),
            ends: Mutex::default(),
        }
    }

    pub(crate) fn span(&self, nth: usize) -> &'a Span {
        &self.spans[nth]
    }

    /// About so many bytes a span holds while it is read and checked.
    pub(crate) fn bytes(&self, nth: usize) -> u64 {
        let span = &self.spans[nth];
        let trees_bytes = TREES_BYTES_EACH.saturating_mul(span.end.saturating_sub(span.first.0));
        self.segment_bytes(span).saturating_add(trees_bytes.min(MAX_TREES_BYTES))
    }

    fn segment_bytes(&self, span: &Span) -> u64 {
        let sizes = self.names.segments[span.segments.clone()].iter().map(|name| match name.size_bytes {
            0 => UNKNOWN_SIZE_BYTES,
            known => known.min(MAX_SEGMENT_BYTES),
        });
        sizes.max().unwrap_or(0)
    }

    /// Reads a span and checks its segment.
    pub(crate) fn read(&self, nth: usize) -> SpanRead {
        let span = &self.spans[nth];
        let mut keys: Vec<String> = self.names.segments[span.segments.clone()]
            .iter()
            .map(|name| self.layout.key(&name.place()))
            .collect();
        let only = if let [only] = keys.as_slice() { Some(only.clone()) } else { None };
        // From afar everything is asked for at once, if it is known already what.
        let is_early = self.source.reading.is_remote;
        let early = only.filter(|key| is_early && self.source.versions(key).is_none());
        let (end, early) = thread::scope(|scope| {
            let early = early.as_deref().map(|key| scope.spawn(move || self.read_only(span, key)));
            let end = self.end(nth);
            (end, early.map(|early| early.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        });
        let start = self.start(nth);
        let (note, trees) = end.get().map(|end| (end.note.clone(), end.trees.clone())).unwrap_or_default();
        let named = trees.trees.as_ref().map(|trees| self.layout.root().to_owned() + &trees.segment_key);
        if let Some(chosen) = keys.iter().position(|key| Some(key) == named.as_ref()) {
            keys.swap(0, chosen);
        }
        let Some(key) = keys.first() else {
            return SpanRead { note, trees, keys, segment: None };
        };
        let trees_key = self.layout.key(&Place::Trees(span.end));
        let has_versions = |key: &str| self.source.versions(key).is_some();
        if !has_versions(key) && !has_versions(&trees_key) {
            let read = early.unwrap_or_else(|| self.read_only(span, key));
            let segment = read.map(|object| self.check(span, key, &object, &note, &trees, start.clone()));
            match self.is_laid_over(&segment, key, &trees_key) {
                Ok(true) => {}
                Ok(false) => return SpanRead { note, trees, keys, segment: Some(segment) },
                Err(unread) => return SpanRead { note, trees, keys, segment: Some(Err(unread)) },
            }
        }
        let (trees, segment) = self.choose(span, key, &note, trees, start);
        SpanRead { note, trees, keys, segment: Some(segment) }
    }

    /// Whether, since the list was read, another version may have been laid over a segment or its trees file: asked if
    /// the segment does not fit or did not come.
    fn is_laid_over(
        &self,
        segment: &Result<SegmentRead, Unread>,
        key: &str,
        trees_key: &str,
    ) -> Result<bool, Unread> {
        match segment {
            Ok(segment) if segment.summary.findings.worst().is_none() => Ok(false),
            Ok(segment) if segment.kept.version == Version::default() => Ok(false),
            Ok(_) => {
                let has_several = |key: &str| self.source.versions_now(key).map(|(now, _)| now.len() > 1);
                Ok(has_several(key)? || has_several(trees_key)?)
            }
            Err(unread) => {
                let (now, _) = self.source.versions_now(key).map_err(|_| unread.clone())?;
                Ok(now.len() > 1)
            }
        }
    }

    /// Reads the segment at `key` again, in the same version, and checks it from another start.
    pub(crate) fn check_from(
        &self,
        nth: usize,
        key: &str,
        before: &SegmentRead,
        start: Option<Position>,
        (note, trees): (&NoteRead, &TreesRead),
    ) -> Result<SegmentRead, Unread> {
        let span = &self.spans[nth];
        let object = self.read_segment(key, Some(&before.kept.version), before.size_bytes)?;
        Ok(self.check(span, key, &object, note, trees, start))
    }

    /// Nothing asks for the ends before `nth` any more.
    pub(crate) fn is_done_before(&self, nth: usize) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        *ends = ends.split_off(&nth);
    }

    /// Where the chain stands before a span, if what ends there proves it.
    fn start(&self, nth: usize) -> Option<Position> {
        let Some(before) = nth.checked_sub(1) else { return self.genesis.clone() };
        let end = self.end(before);
        let end = end.get()?;
        Position::proven(end.trees.trees.as_ref()?, end.note.signed.as_ref()?.0.root)
    }

    fn end(&self, nth: usize) -> Arc<OnceLock<End>> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ends.entry(nth).or_default().clone();
        drop(ends);
        end.get_or_init(|| self.read_end(&self.spans[nth]));
        end
    }

    fn read_end(&self, span: &Span) -> End {
        let has_versions = self.source.versions(&self.layout.key(&Place::Trees(span.end))).is_some();
        if has_versions || !self.source.reading.is_remote {
            let note = self.read_note(span);
            let root = note.signed.as_ref().map(|(signed, _)| signed.root);
            let trees = self.read_trees(span, root);
            return End { note, trees: Arc::new(trees) };
        }
        thread::scope(|scope| {
            let note = scope.spawn(|| self.read_note(span));
            let trees = Arc::new(self.read_trees(span, None));
            End { note: note.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), trees }
        })
    }

    fn read_note(&self, span: &Span) -> NoteRead {
        if span.has_note {
            return read_note(self.source, &self.layout, &self.ring, span.end);
        }
        let expected = format!("the checkpoint of size {}", span.end);
        let key = self.layout.key(&Place::Checkpoint(span.end));
        let finding = Finding::of(Check::CheckpointMissing, expected, "nothing").at(key);
        NoteRead { findings: vec![finding], ..NoteRead::default() }
    }

    /// Of several versions the one that gives `root` is taken.
    fn read_trees(&self, span: &Span, root: Option<Hash>) -> TreesRead {
        let key = self.layout.key(&Place::Trees(span.end));
        let of = |finding: Finding| vec![finding.at(key.as_str()).seqs(span.first, span.end)];
        if !span.has_trees {
            let findings = of(Finding::of(Check::TreesMissing, "a trees file", "nothing"));
            return TreesRead { findings, ..TreesRead::default() };
        }
        let has_versions = self.source.versions(&key).is_some();
        let fits = |object: &Object| {
            let trees = Trees::parse(&object.bytes).ok().filter(|trees| is_of(span, trees))?;
            let is_proven = root.is_none_or(|root| Position::proven(&trees, root).is_some());
            (is_proven || !has_versions).then_some(trees)
        };
        let (object, trees) = match self.source.fitting(&key, MAX_TREES_BYTES, fits) {
            Ok(read) => read,
            Err(unread) => return TreesRead { findings: of(unread.finding(&key)), ..TreesRead::default() },
        };
        let kept = Some(kept(&object));
        if trees.is_some() {
            return TreesRead { kept, findings: Vec::new(), trees };
        }
        let finding = match Trees::parse(&object.bytes) {
            Ok(trees) if is_of(span, &trees) => {
                return TreesRead { kept, findings: Vec::new(), trees: Some(trees) };
            }
            Ok(trees) => {
                let say = |first: Seq, end: u64| format!("seqs {first} to {}", end.saturating_sub(1));
                let expected = say(span.first, span.end);
                Finding::of(Check::TreesPlace, expected, say(trees.first_seq, trees.size))
            }
            Err(malformed) => {
                let expected = "a trees file in its only spelling";
                Finding::of(Check::TreesForm, expected, malformed.to_string())
            }
        };
        TreesRead { kept, findings: of(finding.of_version(&object.version)), trees: None }
    }

    /// The segment of which the list shows one version.
    fn read_only(&self, span: &Span, key: &str) -> Result<Object, Unread> {
        let mut names = self.names.segments[span.segments.clone()].iter();
        let name = names.find(|name| self.layout.key(&name.place()) == key);
        self.read_segment(key, None, name.map_or(0, |name| name.size_bytes))
    }

    pub(crate) fn read_segment(
        &self,
        key: &str,
        version: Option<&Version>,
        listed_bytes: u64,
    ) -> Result<Object, Unread> {
        self.source.read_large(key, version, listed_bytes, MAX_SEGMENT_BYTES)
    }

    pub(crate) fn check(
        &self,
        span: &Span,
        key: &str,
        object: &Object,
        note: &NoteRead,
        trees: &TreesRead,
        start: Option<Position>,
    ) -> SegmentRead {
        let first_root = self.roots_at.partition_point(|size| *size <= span.first.0);
        let end_root = self.roots_at.partition_point(|size| *size <= span.end);
        let mut summary = check_segment(&SegmentInput {
            origin: self.origin,
            key,
            first_seq: span.first,
            end: span.end,
            bytes: &object.bytes,
            start: start.as_ref(),
            trees: trees.trees.as_ref(),
            signed_root: note.signed.as_ref().map(|(checkpoint, _)| checkpoint.root),
            roots_at: &self.roots_at[first_root..end_root],
            wants_openings: records_openings(self.origin),
            off: &self.options.off,
        });
        let trees_key = self.layout.key(&Place::Trees(span.end));
        let of_trees = trees.kept.as_ref().map(|kept| (trees_key.as_str(), &kept.version));
        let versions: Vec<(&str, &Version)> = [(key, &object.version)].into_iter().chain(of_trees).collect();
        summary.findings.of_versions(&versions);
        SegmentRead { kept: kept(object), size_bytes: object.size_bytes, start, summary }
    }
}

/// Whether a trees file is about this span.
pub(crate) fn is_of(span: &Span, trees: &Trees) -> bool {
    (trees.first_seq, trees.size) == (span.first, span.end)
}
