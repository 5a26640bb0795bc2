//! One span of a chain: its checkpoint, its trees file and its segment, and where the chain stands after it.

use schemas::{Checkpoint, Place, SegmentHeader, Seq, Trees};

use crate::chain::ChainCheck;
use crate::leaves::follow_trees;
use crate::openings::records_openings;
use crate::plan::Span;
use crate::reading::{MAX_SEGMENT_BYTES, MAX_TREES_BYTES};
use crate::segment::{SegmentInput, SegmentSummary, check_segment};
use crate::{Check, Finding, Position};

/// No archive has more chains, and no report more to say of one.
const MAX_OPENINGS: usize = 100_000;
const MAX_NOTICES: usize = 100;

/// A checkpoint whose signature holds, and its note.
type Signed = (Checkpoint, String);

impl ChainCheck<'_> {
    pub(crate) fn check_span(&mut self, span: &Span) {
        let (note, trees) = (self.span_note(span), self.span_trees(span));
        let Some(key) = self.segment_of(span, trees.as_ref()) else {
            self.go_on_without(span, trees.as_ref(), note);
            return;
        };
        if let Some(trees) = &trees
            && self.layout.root().to_owned() + &trees.segment_key != key
        {
            let finding = Finding::of(Check::TreesPlace, &key, &trees.segment_key);
            let trees_key = self.layout.key(&Place::Trees(span.end));
            self.findings.add(finding.at(trees_key).seqs(span.first, span.end));
        }
        let Some(bytes) = self.read(&key, MAX_SEGMENT_BYTES, (span.first, span.end)) else {
            self.position = stand_in(trees.as_ref(), note.as_ref());
            self.last_sealed_at = None;
            return;
        };
        let roots_at: Vec<u64> =
            self.roots.range(span.first.0 + 1..=span.end).map(|(size, _)| *size).collect();
        let summary = check_segment(&SegmentInput {
            origin: self.origin,
            key: &key,
            first_seq: span.first,
            end: span.end,
            bytes: &bytes,
            start: self.position.as_ref(),
            trees: trees.as_ref(),
            signed_root: note.as_ref().map(|(checkpoint, _)| checkpoint.root),
            roots_at: &roots_at,
            wants_openings: records_openings(self.origin),
            off: &self.options.off,
        });
        self.segment_bytes += bytes.len() as u64;
        drop(bytes);
        self.join(span, &key, summary, trees.as_ref(), note);
    }

    fn span_note(&mut self, span: &Span) -> Option<Signed> {
        if span.has_note {
            return self.read_checkpoint(span.end, (span.first, span.end));
        }
        let finding =
            Finding::of(Check::CheckpointMissing, format!("the checkpoint of size {}", span.end), "nothing");
        let key = self.layout.key(&Place::Checkpoint(span.end));
        self.findings.add(finding.at(key).seqs(span.first, span.end));
        None
    }

    fn span_trees(&mut self, span: &Span) -> Option<Trees> {
        let key = self.layout.key(&Place::Trees(span.end));
        let about = |finding: Finding| finding.at(key.as_str()).seqs(span.first, span.end);
        if !span.has_trees {
            self.findings.add(about(Finding::of(Check::TreesMissing, "a trees file", "nothing")));
            return None;
        }
        let bytes = self.read(&key, MAX_TREES_BYTES, (span.first, span.end))?;
        match Trees::parse(&bytes) {
            Ok(trees) if (trees.first_seq, trees.size) == (span.first, span.end) => Some(trees),
            Ok(trees) => {
                let say = |first: Seq, end: u64| format!("seqs {first} to {}", end.saturating_sub(1));
                let expected = say(span.first, span.end);
                let found = say(trees.first_seq, trees.size);
                self.findings.add(about(Finding::of(Check::TreesPlace, expected, found)));
                None
            }
            Err(malformed) => {
                let expected = "a trees file in its only spelling";
                self.findings.add(about(Finding::of(Check::TreesForm, expected, malformed.to_string())));
                None
            }
        }
    }

    /// The key of the segment to read. Of several with one first seq it is the one that the trees file names.
    fn segment_of(&mut self, span: &Span, trees: Option<&Trees>) -> Option<String> {
        let keys: Vec<String> = self.names.segments[span.segments.clone()]
            .iter()
            .map(|name| self.layout.key(&name.place()))
            .collect();
        let named = trees.map(|trees| self.layout.root().to_owned() + &trees.segment_key);
        let chosen = keys.iter().position(|key| Some(key) == named.as_ref()).unwrap_or(0);
        for (nth, key) in keys.iter().enumerate() {
            if nth != chosen {
                let finding =
                    Finding::of(Check::SegmentDouble, format!("{} alone", keys[chosen]), "a second segment");
                self.findings.add(finding.at(key).seqs(span.first, span.end));
            }
        }
        keys.into_iter().nth(chosen)
    }

    /// There is no segment. Old ones may be gone, if their trees bear out the signed root leaf by leaf.
    fn go_on_without(&mut self, span: &Span, trees: Option<&Trees>, note: Option<Signed>) {
        self.last_sealed_at = None;
        if let (true, Some(trees), Some((signed, _)), Some(start)) =
            (span.may_be_gone, trees, &note, &self.position)
        {
            let wanted: Vec<u64> = self.roots.keys().copied().collect();
            if let Some((end, roots)) =
                follow_trees(start, trees, &wanted).filter(|end| end.0.root() == signed.root)
            {
                self.roots.extend(roots.into_iter().map(|(size, root)| (size, Some(root))));
                self.gone_before = span.end;
                self.position = Some(end);
                return;
            }
        }
        let key = match trees {
            Some(trees) => self.layout.root().to_owned() + &trees.segment_key,
            None => format!("{}date=*/{:020}.avro", self.layout.segments(), span.first.0),
        };
        let expected = format!("the segment of seqs {} to {}", span.first, span.end - 1);
        let finding = Finding::of(Check::SegmentMissing, expected, "nothing");
        self.findings.add(finding.at(key).seqs(span.first, span.end));
        self.position = stand_in(trees, note.as_ref());
    }

    /// Holds what a segment gives against the signed checkpoint and against the segment before.
    fn join(
        &mut self,
        span: &Span,
        key: &str,
        summary: SegmentSummary,
        trees: Option<&Trees>,
        note: Option<Signed>,
    ) {
        let about = |finding: Finding| finding.at(key).seqs(span.first, span.end);
        self.segments += 1;
        self.events += summary.events;
        if summary.events > 0 {
            self.first_read = self.first_read.or(Some(span.first));
            let first = self.sealed.map_or(summary.first_sealed_at, |(first, _)| first);
            self.sealed = Some((first, summary.last_sealed_at));
            self.schemas_used.entry(summary.schema_hash).or_insert((span.first, span.end));
        }
        if let Some(last) =
            self.last_sealed_at.filter(|last| summary.events > 0 && summary.first_sealed_at <= *last)
        {
            let expected = format!("sealed_at after {}", last.rfc3339());
            let found = format!("sealed_at {}", summary.first_sealed_at.rfc3339());
            let finding = Finding::of(Check::SealedAt, expected, found);
            self.findings.add(finding.at(key).seqs(span.first, span.first.0 + 1));
        }
        let own = summary.header.as_ref().and_then(|header| self.own_checkpoint(span, key, header));
        if let (Some((noted, note)), Some((own, own_note))) = (&note, &own)
            && noted.root != own.root
        {
            let say = |root| format!("root {root} at size {}", span.end);
            let finding = Finding::of(Check::SplitView, say(noted.root), say(own.root));
            self.findings.add(about(finding).proved_by([note.clone(), own_note.clone()]));
        }
        if let (Some((noted, note)), Some((own, own_note))) = (&note, &own)
            && noted.root == own.root
            && note != own_note
        {
            let expected = format!("the bytes of the checkpoint of size {}", span.end);
            let finding = Finding::of(Check::SegmentHeader, expected, "another signature of the same");
            self.findings.add(about(finding));
        }
        let signed = note.or(own);
        self.findings.append(summary.findings);
        let room = MAX_OPENINGS.saturating_sub(self.openings.len());
        self.openings.extend(summary.openings.into_iter().take(room));
        let known_roots = summary.roots.into_iter().map(|(size, root)| (size, Some(root)));
        self.roots.extend(known_roots);
        self.last_sealed_at = summary.end.is_some().then_some(summary.last_sealed_at);
        let mut end = summary.end;
        if let (Some(computed), Some((signed, note))) = (&end, &signed)
            && computed.root() != signed.root
        {
            let finding = Finding::of(Check::Root, signed.root.to_string(), computed.root().to_string());
            let first = summary.first_wrong_leaf.unwrap_or(span.first);
            self.findings.add(finding.at(key).seqs(first, span.end).proved_by([note.clone()]));
            end = None;
        }
        self.position = end.or_else(|| stand_in(trees, signed.as_ref()));
        if self.position.is_none() && span.end < self.size && self.notices.len() < MAX_NOTICES {
            let text = format!(
                "nothing proves what stands before seq {}: the segment that begins there was checked by itself only",
                span.end
            );
            self.notice("links-apart", text);
        }
    }

    /// The checkpoint in a segment's header.
    fn own_checkpoint(&mut self, span: &Span, key: &str, header: &SegmentHeader) -> Option<Signed> {
        let vkey = self.ring.at(span.end)?;
        let found = match Checkpoint::open(header.checkpoint.as_bytes(), vkey) {
            Ok(checkpoint) if checkpoint.size == span.end => {
                self.accept(&checkpoint);
                return Some((checkpoint, header.checkpoint.clone()));
            }
            Ok(other) => format!("a checkpoint of size {}", other.size),
            Err(malformed) => malformed.to_string(),
        };
        let expected = format!("a checkpoint of size {} signed by {vkey} alone", span.end);
        let finding = Finding::of(Check::SegmentHeader, expected, found);
        self.findings.add(finding.at(key).seqs(span.first, span.end));
        None
    }
}

/// Where the chain stands after a span whose links could not be followed: its trees file says it, if the signed root
/// proves the file.
fn stand_in(trees: Option<&Trees>, signed: Option<&Signed>) -> Option<Position> {
    Position::proven(trees?, signed?.0.root)
}
