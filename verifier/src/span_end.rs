//! What stands at the end of a span: its checkpoint and its trees file.

use std::sync::{Arc, OnceLock, PoisonError};
use std::thread;

use schemas::{Hash, Place, Seq, Trees};
use store::Object;
use store::custody::Kept;

use crate::noted::{NoteRead, read_note};
use crate::plan::Span;
use crate::reading::{MAX_TREES_BYTES, Unread, kept};
use crate::span_read::SpanReader;
use crate::{Check, Finding, Position};

/// What is known of the end of a span: its checkpoint and its trees file.
pub(crate) struct End {
    pub(crate) note: NoteRead,
    pub(crate) trees: Arc<TreesRead>,
}

/// What reading a trees file gives.
#[derive(Debug, Default)]
pub(crate) struct TreesRead {
    pub(crate) kept: Option<Kept>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) trees: Option<Trees>,
}

/// What a trees file holds for an event, with the tiles above.
const TREES_BYTES_EACH: u64 = 33;
/// What it holds beside: its partial tiles, its head, and the tiles that events before began.
const TREES_BYTES_MORE: u64 = 160 << 10;
/// No trees file of a span is larger.
pub(crate) fn max_trees_bytes(span: &Span) -> u64 {
    let of_events = TREES_BYTES_EACH.saturating_mul(span.end.saturating_sub(span.first.0));
    of_events.saturating_add(TREES_BYTES_MORE).min(MAX_TREES_BYTES)
}

impl SpanReader<'_> {
    pub(crate) fn end(&self, nth: usize) -> Arc<OnceLock<End>> {
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

    pub(crate) fn read_note(&self, span: &Span) -> NoteRead {
        match span.has_note {
            true => read_note(self.source, &self.layout, &self.ring, span.end),
            false => NoteRead { findings: vec![self.missing_note(span)], ..NoteRead::default() },
        }
    }

    pub(crate) fn missing_note(&self, span: &Span) -> Finding {
        let expected = format!("the checkpoint of size {}", span.end);
        let key = self.layout.key(&Place::Checkpoint(span.end));
        Finding::of(Check::CheckpointMissing, expected, "nothing").at(key)
    }

    pub(crate) fn missing_trees(&self, span: &Span) -> Finding {
        let key = self.layout.key(&Place::Trees(span.end));
        Finding::of(Check::TreesMissing, "a trees file", "nothing").at(key).seqs(span.first, span.end)
    }

    /// Of several versions the one that gives `root` is taken.
    fn read_trees(&self, span: &Span, root: Option<Hash>) -> TreesRead {
        let key = self.layout.key(&Place::Trees(span.end));
        let of = |finding: Finding| vec![finding.at(key.as_str()).seqs(span.first, span.end)];
        if !span.has_trees {
            return TreesRead { findings: vec![self.missing_trees(span)], ..TreesRead::default() };
        }
        let has_versions = self.source.versions(&key).is_some();
        let fits = |object: &Object| {
            let trees = Trees::parse(&object.bytes).ok().filter(|trees| is_of(span, trees))?;
            let is_proven = root.is_none_or(|root| Position::proven(&trees, root).is_some());
            (is_proven || !has_versions).then_some(trees)
        };
        let (object, trees) = match self.source.fitting(&key, max_trees_bytes(span), fits) {
            Ok(read) => read,
            Err(unread) => {
                let finding = match unread {
                    // Its format allows more than is looked at.
                    Unread::TooLarge(MAX_TREES_BYTES) => unread.finding(&key),
                    unread => unread.finding_of_bounded(Check::TreesForm, &key),
                };
                return TreesRead { findings: of(finding), ..TreesRead::default() };
            }
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
}

/// Whether a trees file is about this span.
pub(crate) fn is_of(span: &Span, trees: &Trees) -> bool {
    (trees.first_seq, trees.size) == (span.first, span.end)
}
