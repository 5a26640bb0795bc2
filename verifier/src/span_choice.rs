//! Where segment or trees file of a span have several versions: which of them are the evidence.

use std::sync::Arc;

use schemas::{Hash, Place, Trees};
use store::Entry;

use crate::Position;
use crate::noted::NoteRead;
use crate::plan::Span;
use crate::reading::{Unread, kept};
use crate::span_end::{TreesRead, is_of, max_trees_bytes};
use crate::span_read::{SegmentRead, SpanReader};

/// The versions of a trees file that give the signed root. They are large: of each only the digest that it has of the
/// segment is kept, and it is read once more where that is wanted.
#[derive(Default)]
struct AllTrees {
    digests: Vec<(Entry, Hash)>,
    /// Why one of them was not read.
    failed: Option<Unread>,
}

impl AllTrees {
    fn take(&mut self, unread: Unread) {
        // What is too large is none.
        if matches!(unread, Unread::Failed(_)) {
            self.failed.get_or_insert(unread);
        }
    }
}

impl SpanReader<'_> {
    /// Of several versions of segment and trees file those that fit the signed root and each other: nobody has signed
    /// the digest in a trees file, nor the key that it names, so a version laid over it can be right in all but those.
    pub(crate) fn choose(
        &self,
        span: &Span,
        key: &str,
        note: &NoteRead,
        trees: Arc<TreesRead>,
        start: Option<Position>,
    ) -> (Arc<TreesRead>, Result<SegmentRead, Unread>) {
        let root = note.signed.as_ref().map(|(signed, _)| signed.root);
        let (versions, mut unread) = match self.source.versions_now(key) {
            Ok(now) => now,
            Err(unread) => return (trees, Err(unread)),
        };
        let mut all_trees = self.all_trees(span, root);
        let mut best: Option<((bool, bool), Arc<TreesRead>, SegmentRead)> = None;
        for version in &versions {
            let object = match self.read_segment(key, Some(&version.version), version.size_bytes) {
                Ok(object) => object,
                // What is too large is not the one; what failed might be.
                Err(failed @ Unread::Failed(_)) => {
                    unread = Some(failed);
                    continue;
                }
                Err(too_large) => {
                    unread = unread.or(Some(too_large));
                    continue;
                }
            };
            let digest = Hash::of(&[&object.bytes]);
            let naming = all_trees.digests.iter().filter(|(_, named)| *named == digest);
            let mut matching: Vec<Option<Entry>> = naming.map(|(entry, _)| Some(entry.clone())).collect();
            if matching.is_empty() {
                matching.push(None);
            }
            for entry in matching {
                let trees = match entry.map(|entry| self.trees_as(span, &entry, root)) {
                    None => trees.clone(),
                    Some(Ok(Some(trees))) => Arc::new(trees),
                    Some(Ok(None)) => continue,
                    Some(Err(unread)) => {
                        all_trees.take(unread);
                        continue;
                    }
                };
                let read = self.check(span, key, &object, note, &trees, start.clone());
                let end = read.summary.end.as_ref().map(Position::root);
                let named =
                    trees.trees.as_ref().map(|trees| self.layout.root().to_owned() + &trees.segment_key);
                let fits = (
                    end.is_some() && (root.is_none() || end == root),
                    read.summary.findings.worst().is_none() && named.is_none_or(|named| named == key),
                );
                if best.as_ref().is_none_or(|(better, ..)| fits > *better) {
                    best = Some((fits, trees.clone(), read));
                }
                if fits == (true, true) {
                    break;
                }
            }
            if best.as_ref().is_some_and(|(fits, ..)| *fits == (true, true)) {
                break;
            }
        }
        match (best, unread) {
            (Some(((true, true), trees, read)), _) => (trees, Ok(read)),
            // What could not be read might be the one.
            (_, Some(unread @ Unread::Failed(_))) => (trees, Err(unread)),
            (Some((_, trees, read)), _) => match all_trees.failed {
                Some(failed) => self.without_trees(span, key, note, &read, failed),
                None => (trees, Ok(read)),
            },
            (None, Some(unread)) => (trees, Err(unread)),
            (None, None) => match all_trees.failed {
                Some(failed) => (trees, Err(failed)),
                None => (trees, Err(Unread::Failed(format!("{key}: a delete marker, and nothing below")))),
            },
        }
    }

    /// The trees file that could not be read might be the right one: the segment is held against the signed root alone.
    fn without_trees(
        &self,
        span: &Span,
        key: &str,
        note: &NoteRead,
        read: &SegmentRead,
        failed: Unread,
    ) -> (Arc<TreesRead>, Result<SegmentRead, Unread>) {
        let trees_key = self.layout.key(&Place::Trees(span.end));
        let findings = vec![failed.finding(&trees_key).seqs(span.first, span.end)];
        let trees = Arc::new(TreesRead { findings, ..TreesRead::default() });
        let segment = self
            .read_segment(key, Some(&read.kept.version), read.size_bytes)
            .map(|object| self.check(span, key, &object, note, &trees, read.start.clone()));
        (trees, segment)
    }

    fn all_trees(&self, span: &Span, root: Option<Hash>) -> AllTrees {
        let mut all = AllTrees::default();
        let entries = match self.source.versions_now(&self.layout.key(&Place::Trees(span.end))) {
            Ok((entries, left_out)) => {
                all.failed = left_out;
                entries
            }
            Err(unread) => {
                all.take(unread);
                Vec::new()
            }
        };
        for entry in entries {
            match self.trees_as(span, &entry, root) {
                Ok(read) => {
                    let digest = read.and_then(|read| read.trees).map(|trees| trees.segment_sha256);
                    all.digests.extend(digest.map(|digest| (entry, digest)));
                }
                Err(unread) => all.take(unread),
            }
        }
        all
    }

    /// One version of the trees file; None if it is not about this span or does not give the signed root.
    fn trees_as(&self, span: &Span, entry: &Entry, root: Option<Hash>) -> Result<Option<TreesRead>, Unread> {
        let object = self.source.read_listed(entry, max_trees_bytes(span))?;
        let Some(trees) = Trees::parse(&object.bytes).ok().filter(|trees| is_of(span, trees)) else {
            return Ok(None);
        };
        let is_proven = root.is_none_or(|root| Position::proven(&trees, root).is_some());
        let read = TreesRead { kept: Some(kept(&object)), findings: Vec::new(), trees: Some(trees) };
        Ok(is_proven.then_some(read))
    }
}
