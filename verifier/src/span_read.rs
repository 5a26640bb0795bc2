//! Spans as they are read ahead, on several threads: each by itself, from where the trees file before it proves that
//! the chain stands. Whoever joins them in order sees whether that was right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use schemas::{Layout, Place};
use store::custody::Kept;
use store::{Object, Version};

use crate::chain::ChainCheck;
use crate::glance::{Glance, MAX_HEADER_BYTES};
use crate::inventory::Names;
use crate::keys::KeyRing;
use crate::large::Large;
use crate::noted::NoteRead;
use crate::openings::records_openings;
use crate::plan::Span;
use crate::reading::{MAX_SEGMENT_BYTES, Source, UNKNOWN_SIZE_BYTES, Unread, kept};
use crate::scope::Looks;
use crate::segment::{SegmentInput, SegmentSummary, check_segment};
use crate::span_end::{End, TreesRead, max_trees_bytes};
use crate::{Options, Position};

/// Reads the spans of a chain. Shared by threads.
pub(crate) struct SpanReader<'a> {
    pub(crate) source: &'a Source<'a>,
    origin: &'a str,
    pub(crate) layout: Layout,
    names: &'a Names,
    options: &'a Options,
    pub(crate) ring: KeyRing,
    pub(crate) spans: &'a [Span],
    looks: &'a Looks,
    genesis: Option<Position>,
    roots_at: Vec<u64>,
    /// Of the spans on the way: whoever needs one first reads it.
    pub(crate) ends: Mutex<BTreeMap<usize, Arc<OnceLock<End>>>>,
}

/// What was looked at of a span.
pub(crate) enum Looked {
    /// All of it.
    Walked(Box<SpanRead>),
    /// Less.
    Glanced(Box<Glance>),
}

/// A span that was read.
pub(crate) struct SpanRead {
    /// Where the chain stands before it, if what ends there proves it.
    pub(crate) start: Option<Position>,
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

/// What of a segment is read first for its header. Few are longer.
pub(crate) const HEADER_BYTES: u64 = 64 << 10;

impl<'a> SpanReader<'a> {
    pub(crate) fn new(check: &ChainCheck<'a>, spans: &'a [Span], looks: &'a Looks) -> SpanReader<'a> {
        SpanReader {
            source: check.source,
            origin: check.origin,
            layout: check.layout.clone(),
            names: check.names,
            options: check.options,
            ring: check.ring.clone(),
            spans,
            looks,
            genesis: check.position.clone(),
            roots_at: check.roots.keys().copied().collect(),
            ends: Mutex::default(),
        }
    }

    pub(crate) fn span(&self, nth: usize) -> &'a Span {
        &self.spans[nth]
    }

    /// About so many bytes a span holds while it is looked at.
    pub(crate) fn bytes(&self, nth: usize) -> u64 {
        let (span, look) = (&self.spans[nth], self.looks.of(nth));
        if !look.is_walked {
            let header_bytes = if look.header { MAX_HEADER_BYTES } else { 0 };
            return header_bytes + if look.trees { max_trees_bytes(span) } else { 0 };
        }
        self.segment_bytes(span).saturating_add(max_trees_bytes(span))
    }

    fn segment_bytes(&self, span: &Span) -> u64 {
        let sizes = self.names.segments[span.segments.clone()].iter().map(|name| match name.size_bytes {
            0 => UNKNOWN_SIZE_BYTES,
            known => known.min(MAX_SEGMENT_BYTES),
        });
        sizes.max().unwrap_or(0)
    }

    /// Looks at a span as is wanted.
    pub(crate) fn look(&self, nth: usize) -> Looked {
        let look = self.looks.of(nth);
        match look.is_walked {
            true => Looked::Walked(Box::new(self.read(nth))),
            false => Looked::Glanced(Box::new(self.glance(nth, look))),
        }
    }

    /// Reads a span and checks its segment.
    fn read(&self, nth: usize) -> SpanRead {
        let span = &self.spans[nth];
        let mut keys = self.keys_of(span);
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
            return SpanRead { start, note, trees, keys, segment: None };
        };
        let trees_key = self.layout.key(&Place::Trees(span.end));
        let has_versions = |key: &str| self.source.versions(key).is_some();
        if !has_versions(key) && !has_versions(&trees_key) {
            let read = early.unwrap_or_else(|| self.read_only(span, key));
            let segment = read.map(|object| self.check(span, key, &object, &note, &trees, start.clone()));
            match self.is_laid_over(&segment, key, &trees_key) {
                Ok(true) => {}
                Ok(false) => return SpanRead { start, note, trees, keys, segment: Some(segment) },
                Err(unread) => return SpanRead { start, note, trees, keys, segment: Some(Err(unread)) },
            }
        } else {
            // Of what is larger than it was set aside for, one at a time is held, and now others are read.
            drop(early);
        }
        let (trees, segment) = self.choose(span, key, &note, trees, start.clone());
        SpanRead { start, note, trees, keys, segment: Some(segment) }
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

    /// The keys of all segments with the span's first seq, as names have them.
    pub(crate) fn keys_of(&self, span: &Span) -> Vec<String> {
        let names = &self.names.segments[span.segments.clone()];
        names.iter().map(|name| self.layout.key(&name.place())).collect()
    }

    /// The segment of which the list shows one version.
    fn read_only(&self, span: &Span, key: &str) -> Result<Large<'a>, Unread> {
        let mut names = self.names.segments[span.segments.clone()].iter();
        let name = names.find(|name| self.layout.key(&name.place()) == key);
        self.read_segment(key, None, name.map_or(0, |name| name.size_bytes))
    }

    pub(crate) fn read_segment(
        &self,
        key: &str,
        version: Option<&Version>,
        listed_bytes: u64,
    ) -> Result<Large<'a>, Unread> {
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
            bounds: self.options.scope.bounds(),
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
