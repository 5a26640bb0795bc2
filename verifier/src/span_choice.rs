//! Where segment or trees file of a span have several versions: which of them are the evidence.

use std::sync::Arc;

use schemas::{Hash, Place, Trees};
use store::Version;

use crate::Position;
use crate::noted::NoteRead;
use crate::plan::Span;
use crate::reading::{MAX_TREES_BYTES, Unread, kept};
use crate::span_read::{SegmentRead, SpanReader, TreesRead, is_of};

impl SpanReader<'_> {
    /// Of several versions of segment and trees file those that fit the signed root and each other: nobody has signed
    /// the digest in a trees file, so a version laid over it can be right in all but that.
    pub(crate) fn choose(
        &self,
        span: &Span,
        key: &str,
        note: &NoteRead,
        trees: Arc<TreesRead>,
        start: Option<Position>,
    ) -> (Arc<TreesRead>, Result<SegmentRead, Unread>) {
        let root = note.signed.as_ref().map(|(signed, _)| signed.root);
        let all_trees = self.all_trees(span, root);
        let mut best: Option<((bool, bool), Arc<TreesRead>, SegmentRead)> = None;
        let mut unread = None;
        for version in self.source.versions_now(key) {
            let object = match self.read_segment(span, key, Some(&version)) {
                Ok(object) => object,
                Err(error) => {
                    unread = unread.or(Some(error));
                    continue;
                }
            };
            let digest = Hash::of(&[&object.bytes]);
            let names_it =
                |one: &&Arc<TreesRead>| one.trees.as_ref().is_some_and(|t| t.segment_sha256 == digest);
            let matching: Vec<&Arc<TreesRead>> = all_trees.iter().filter(names_it).collect();
            for trees in if matching.is_empty() { vec![&trees] } else { matching } {
                let read = self.check(span, key, &object, note, trees, start.clone());
                let end = read.summary.end.as_ref().map(Position::root);
                let fits = (
                    end.is_some() && (root.is_none() || end == root),
                    read.summary.findings.worst().is_none(),
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
            // What could not be read might be the one.
            (Some((fits, ..)), Some(unread @ Unread::Failed(_))) if !fits.0 => (trees, Err(unread)),
            (Some((_, trees, read)), _) => (trees, Ok(read)),
            (None, unread) => {
                let hidden = || Unread::Failed(format!("{key}: a delete marker, and nothing below"));
                (trees, Err(unread.unwrap_or_else(hidden)))
            }
        }
    }

    /// Every version of the trees file that gives the signed root.
    fn all_trees(&self, span: &Span, root: Option<Hash>) -> Vec<Arc<TreesRead>> {
        let key = self.layout.key(&Place::Trees(span.end));
        let read = |version: Version| {
            let object = self.source.store.get(&key, Some(&version), None, MAX_TREES_BYTES).ok()?;
            let trees = Trees::parse(&object.bytes).ok().filter(|trees| is_of(span, trees))?;
            let is_proven = root.is_none_or(|root| Position::proven(&trees, root).is_some());
            let read = TreesRead { kept: Some(kept(&object)), findings: Vec::new(), trees: Some(trees) };
            is_proven.then(|| Arc::new(read))
        };
        self.source.versions_now(&key).into_iter().filter_map(read).collect()
    }
}
