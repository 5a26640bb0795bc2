//! One span of a chain: its checkpoint, its trees file and its segment, and where the chain stands after it.

use schemas::{Checkpoint, Micros, Place, SegmentHeader, Seq, Trees};
use store::Version;

use crate::chain::ChainCheck;
use crate::leaves::follow_trees;
use crate::noted::Signed;
use crate::plan::Span;
use crate::span_read::{SegmentRead, SpanRead, SpanReader};
use crate::{Check, Finding, Position};

/// No archive has more chains, and no report more to say of one.
const MAX_OPENINGS: usize = 100_000;
const MAX_NOTICES: usize = 100;

/// By so much the sealing clock may be ahead of the store's.
const CLOCKS_DIFFER_US: i64 = 5 * 60 * 1_000_000;

impl ChainCheck<'_> {
    /// Takes what was read of the nth span.
    pub(crate) fn join_span(&mut self, reader: &SpanReader<'_>, nth: usize, read: SpanRead) {
        reader.is_done_before(nth);
        let span = reader.span(nth);
        let seqs = (span.first, span.end);
        if let Some(watch) = &self.options.watch {
            watch.walked(span.end - span.first.0);
        }
        if std::mem::take(&mut self.is_apart) {
            self.position.clone_from(&read.start);
            self.check_header_before(reader, nth);
        }
        self.last_begins = None;
        let note = self.take_note(read.note.clone(), span.end, seqs);
        let trees_key = self.layout.key(&Place::Trees(span.end));
        if let Some(kept) = &read.trees.kept {
            self.custody.take(&trees_key, kept, seqs, &mut self.findings);
        }
        read.trees.findings.iter().for_each(|finding| self.findings.add(finding.clone()));
        let trees = read.trees.trees.as_ref();
        let trees_version = read.trees.kept.as_ref().map(|kept| kept.version.clone()).unwrap_or_default();
        let (Some(key), Some(segment)) = (read.keys.first(), read.segment) else {
            self.go_on_without(span, trees, note);
            return;
        };
        self.report_doubles(span, &read.keys);
        if let Some(trees) = trees
            && self.layout.root().to_owned() + &trees.segment_key != *key
        {
            let finding = Finding::of(Check::TreesPlace, key, &trees.segment_key);
            self.findings.add(finding.at(trees_key).of_version(&trees_version).seqs(span.first, span.end));
        }
        // It was followed from where the trees file before it says that the chain stands. If that is not where it does
        // stand, because the file is wrong or was not there, it is followed once more.
        let segment = segment.and_then(|segment| match is_same(&segment.start, &self.position) {
            true => Ok(segment),
            false => reader.check_from(nth, key, &segment, self.position.clone(), (&read.note, &read.trees)),
        });
        match segment {
            Ok(segment) => self.join(span, key, segment, trees, note),
            Err(unread) => {
                self.findings.add(unread.finding(key).seqs(span.first, span.end));
                self.position = stand_in(trees, note.as_ref());
                self.last_sealed_at = None;
            }
        }
    }

    /// The header before a walk, which nobody walked to: it must end with the hash that is proven to be the last.
    fn check_header_before(&mut self, reader: &SpanReader<'_>, nth: usize) {
        let proven = self.position.as_ref().and_then(|position| position.last_hash);
        if let (Some(said), Some(proven)) = (self.last_hash_said, proven)
            && said != proven
            && let Some(before) = nth.checked_sub(1).map(|before| reader.span(before))
            && let Some(key) = reader.keys_of(before).first()
        {
            let say = |hash| format!("last_hash {hash}");
            let finding = Finding::of(Check::SegmentHeader, say(proven), say(said)).at(key);
            self.findings.add(finding.seqs(before.first, before.end));
        }
    }

    /// Segments beside the first of a span.
    pub(crate) fn report_doubles(&mut self, span: &Span, keys: &[String]) {
        let Some((key, others)) = keys.split_first() else { return };
        for other in others {
            let finding = Finding::of(Check::SegmentDouble, format!("{key} alone"), "a second segment");
            self.findings.add(finding.at(other).seqs(span.first, span.end));
        }
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
        self.report_missing_segment(span, trees);
        self.position = stand_in(trees, note.as_ref());
    }

    pub(crate) fn report_missing_segment(&mut self, span: &Span, trees: Option<&Trees>) {
        let key = match trees {
            Some(trees) => self.layout.root().to_owned() + &trees.segment_key,
            None => format!("{}date=*/{:020}.avro", self.layout.segments(), span.first.0),
        };
        let expected = format!("the segment of seqs {} to {}", span.first, span.end - 1);
        let finding = Finding::of(Check::SegmentMissing, expected, "nothing");
        self.findings.add(finding.at(key).seqs(span.first, span.end));
    }

    /// Holds what a segment gives against the signed checkpoint and against the segment before.
    fn join(
        &mut self,
        span: &Span,
        key: &str,
        segment: SegmentRead,
        trees: Option<&Trees>,
        note: Option<Signed>,
    ) {
        let SegmentRead { kept, size_bytes, summary, .. } = segment;
        let in_it = |finding: Finding| finding.at(key).of_version(&kept.version);
        self.custody.take(key, &kept, (span.first, span.end), &mut self.findings);
        self.segment_bytes += size_bytes;
        self.segments += 1;
        self.events += summary.events;
        self.in_range += summary.in_range;
        if summary.events > 0 {
            self.first_read = self.first_read.or(Some(span.first));
            let first = self.sealed.map_or(summary.first_sealed_at, |(first, _)| first);
            self.sealed = Some((first, summary.last_sealed_at));
            self.schemas_used.entry(summary.schema_hash).or_insert((span.first, span.end));
            self.last_begins = Some(summary.first_sealed_at);
        }
        if let Some(last) =
            self.last_sealed_at.filter(|last| summary.events > 0 && summary.first_sealed_at <= *last)
        {
            let expected = format!("sealed_at after {}", last.rfc3339());
            let found = format!("sealed_at {}", summary.first_sealed_at.rfc3339());
            let finding = Finding::of(Check::SealedAt, expected, found);
            self.findings.add(in_it(finding).seqs(span.first, span.first.0 + 1));
        }
        let latest = Micros(kept.modified.0.saturating_add(CLOCKS_DIFFER_US));
        if self.custody.is_witness() && summary.events > 0 && summary.last_sealed_at > latest {
            let expected = format!("sealed before it was written, at {}", kept.modified.rfc3339());
            let found = format!("sealed_at {}", summary.last_sealed_at.rfc3339());
            let finding = Finding::of(Check::SealedAhead, expected, found);
            self.findings.add(in_it(finding).seqs(Seq(span.end - 1), span.end));
        }
        self.last_hash_said = summary.header.as_ref().map(|header| header.last_hash);
        let signed = self.join_checkpoints(span, (key, &kept.version), summary.header.as_ref(), note);
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
            self.findings.add(in_it(finding).seqs(first, span.end).proved_by([note.clone()]));
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

    /// The checkpoint at a span's end: the note that stands there, or else the one in the segment's header. They must
    /// be the same.
    pub(crate) fn join_checkpoints(
        &mut self,
        span: &Span,
        (key, version): (&str, &Version),
        header: Option<&SegmentHeader>,
        note: Option<Signed>,
    ) -> Option<Signed> {
        let about = |finding: Finding| finding.at(key).of_version(version).seqs(span.first, span.end);
        let own = header.and_then(|header| self.own_checkpoint(span, about, header));
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
        note.or(own)
    }

    /// The checkpoint in a segment's header.
    fn own_checkpoint(
        &mut self,
        span: &Span,
        about: impl Fn(Finding) -> Finding,
        header: &SegmentHeader,
    ) -> Option<Signed> {
        let vkey = self.ring.at(span.end)?;
        let found = match Checkpoint::open(header.checkpoint.as_bytes(), vkey) {
            Ok(checkpoint) if checkpoint.size == span.end => {
                self.accept(&checkpoint, &header.checkpoint);
                return Some((checkpoint, header.checkpoint.clone()));
            }
            Ok(other) => format!("a checkpoint of size {}", other.size),
            Err(malformed) => malformed.to_string(),
        };
        let expected = format!("a checkpoint of size {} signed by {vkey} alone", span.end);
        let finding = Finding::of(Check::SegmentHeader, expected, found);
        self.findings.add(about(finding));
        None
    }
}

/// Where the chain stands after a span whose links could not be followed: its trees file says it, if the signed root
/// proves the file.
fn stand_in(trees: Option<&Trees>, signed: Option<&Signed>) -> Option<Position> {
    Position::proven(trees?, signed?.0.root)
}

/// Whether two positions are one. A tree binds every tile.
fn is_same(one: &Option<Position>, other: &Option<Position>) -> bool {
    let of = |position: &Option<Position>| position.as_ref().map(|p| (p.size(), p.root(), p.last_hash));
    of(one) == of(other)
}
