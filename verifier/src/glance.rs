//! A look at a span that is not walked: its checkpoint, its segment's header, how both files are locked; or less. What
//! it shows is that nothing is missing or foreign, not that the events are what was sealed.

use std::sync::Arc;

use schemas::{Hash, Place, SegmentFile, SegmentHeader};
use store::custody::Kept;
use store::{Object, Version};

use crate::chain::ChainCheck;
use crate::noted::{NoteRead, Signed};
use crate::plan::Span;
use crate::reading::{Source, Unread, kept};
use crate::scope::Look;
use crate::span_end::TreesRead;
use crate::span_read::{HEADER_BYTES, SpanReader};
use crate::{Check, Finding, Position};

/// The longest header has a schema of a mebibyte, and a note.
pub(crate) const MAX_HEADER_BYTES: u64 = 2 << 20;

/// What was seen of a span.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// None: not looked at.
    note: Option<NoteRead>,
    /// The trees file, whole.
    trees: Option<Arc<TreesRead>>,
    /// How the trees file is kept, where only that was looked at.
    trees_kept: Option<Result<Kept, Unread>>,
    header: Option<Result<HeaderRead, Unread>>,
}

/// How a segment is kept, and its header; or why it has none that can be read. The bytes stay behind.
#[derive(Debug)]
pub(crate) struct HeaderRead {
    kept: Kept,
    pub(crate) header: Result<SegmentHeader, String>,
}

impl HeaderRead {
    fn of(object: &Object, header: Option<SegmentHeader>) -> HeaderRead {
        let malformed = || match SegmentFile::parse(&object.bytes) {
            Ok(_) => "the header of another place".to_owned(),
            Err(malformed) => malformed.to_string(),
        };
        HeaderRead { kept: kept(object), header: header.ok_or_else(malformed) }
    }
}

impl Source<'_> {
    /// The header of the segment at `key`, of the newest version in which `fits` likes it. Whoever asks holds room for
    /// `MAX_HEADER_BYTES`: in a row of jobs none may be waited for.
    pub(crate) fn header(
        &self,
        key: &str,
        fits: impl Fn(&SegmentHeader) -> bool,
    ) -> Result<HeaderRead, Unread> {
        let header = |object: &Object| {
            let header = SegmentFile::parse(&object.bytes).ok()?.header;
            fits(&header).then_some(header)
        };
        let (object, found) = self.fitting_beginning(key, HEADER_BYTES, header)?;
        if found.is_some() || object.size_bytes <= HEADER_BYTES {
            return Ok(HeaderRead::of(&object, found));
        }
        drop(object);
        let (object, found) = self.fitting_beginning(key, MAX_HEADER_BYTES, header)?;
        Ok(HeaderRead::of(&object, found))
    }
}

impl SpanReader<'_> {
    pub(crate) fn glance(&self, nth: usize, look: Look) -> Glance {
        let (span, mut glance) = (self.span(nth), Glance::default());
        if look.trees {
            let end = self.end(nth);
            if let Some(end) = end.get() {
                glance.note = Some(end.note.clone());
                glance.trees = Some(end.trees.clone());
            }
        } else if look.note {
            glance.note = Some(self.read_note(span));
        }
        if !look.header {
            return glance;
        }
        if glance.trees.is_none() && span.has_trees {
            // An empty range brings what is known and no bytes.
            let key = self.layout.key(&Place::Trees(span.end));
            let looked = self.source.store.get(&key, None, Some(0..0), 0);
            glance.trees_kept =
                Some(looked.map(|object| kept(&object)).map_err(|error| Unread::of(&error, 0)));
        }
        glance.header = self.keys_of(span).first().map(|key| self.source.header(key, |_| true));
        glance
    }
}

impl ChainCheck<'_> {
    /// Takes what was seen of the nth span.
    pub(crate) fn join_glance(&mut self, reader: &SpanReader<'_>, nth: usize, glance: Glance) {
        reader.is_done_before(nth);
        let (span, look_was_short) = (reader.span(nth), glance.note.is_none());
        let seqs = (span.first, span.end);
        (self.is_apart, self.position, self.last_sealed_at) = (true, None, None);
        let said_before = self.last_hash_said.take();
        if look_was_short && !span.has_note {
            self.findings.add(reader.missing_note(span).seqs(seqs.0, seqs.1));
        }
        let note = glance.note.and_then(|note| self.take_note(note, span.end, seqs));
        match &glance.trees {
            Some(trees) => self.take_unwalked_trees(span, trees, note.as_ref()),
            None if !span.has_trees => self.findings.add(reader.missing_trees(span)),
            None => {}
        }
        let trees_key = self.layout.key(&Place::Trees(span.end));
        match glance.trees_kept {
            Some(Ok(kept)) => self.custody.take(&trees_key, &kept, seqs, &mut self.findings),
            Some(Err(unread)) => self.findings.add(unread.finding(&trees_key).seqs(seqs.0, seqs.1)),
            None => {}
        }
        let keys = reader.keys_of(span);
        self.report_doubles(span, &keys);
        let Some(key) = keys.first() else {
            match span.may_be_gone && span.has_trees && span.has_note {
                true => (self.gone_before, self.gone_unread) = (span.end, true),
                false => self.report_missing_segment(span, None),
            }
            return;
        };
        match glance.header {
            None => self.not_read += 1,
            Some(Ok(HeaderRead { kept, header })) => {
                self.custody.take(key, &kept, seqs, &mut self.findings);
                match header {
                    Ok(header) => {
                        self.headers += 1;
                        self.join_header(span, (key, &kept.version), &header, (note, said_before));
                    }
                    Err(malformed) => {
                        let expected = "a segment in its only spelling";
                        let finding = Finding::of(Check::SegmentForm, expected, malformed);
                        self.findings.add(finding.at(key).of_version(&kept.version).seqs(seqs.0, seqs.1));
                    }
                }
            }
            Some(Err(unread)) => self.findings.add(unread.finding(key).seqs(seqs.0, seqs.1)),
        }
    }

    /// A trees file from which a walk goes on. Nobody walks what it is about, so the signed root alone says whether it
    /// is right.
    fn take_unwalked_trees(&mut self, span: &Span, read: &TreesRead, note: Option<&Signed>) {
        let key = self.layout.key(&Place::Trees(span.end));
        if let Some(kept) = &read.kept {
            self.custody.take(&key, kept, (span.first, span.end), &mut self.findings);
        }
        read.findings.iter().for_each(|finding| self.findings.add(finding.clone()));
        if let (Some(trees), Some((signed, _))) = (&read.trees, note)
            && Position::proven(trees, signed.root).is_none()
        {
            let version = read.kept.as_ref().map(|kept| kept.version.clone()).unwrap_or_default();
            let expected = format!("tiles that give the signed root {}", signed.root);
            let finding = Finding::of(Check::TreesTiles, expected, "others").at(key);
            self.findings.add(finding.of_version(&version).seqs(span.first, span.end));
        }
    }

    /// Holds a header against its place, the signed checkpoint and the header before.
    fn join_header(
        &mut self,
        span: &Span,
        (key, version): (&str, &Version),
        header: &SegmentHeader,
        (note, said_before): (Option<Signed>, Option<Hash>),
    ) {
        let about = |finding: Finding| finding.at(key).of_version(version).seqs(span.first, span.end);
        let say = |origin: &str, first: u64, last: u64| format!("{origin}, seqs {first} to {last}");
        let due = say(self.origin, span.first.0, span.end - 1);
        let is = say(&header.origin, header.first_seq.0, header.last_seq.0);
        if due != is {
            self.findings.add(about(Finding::of(Check::SegmentPlace, due, is)));
            return;
        }
        let schema_hash = Hash::of(&[&header.event_schema]);
        self.schemas_used.entry(schema_hash).or_insert((span.first, span.end));
        let (check, due_prev) = match span.first.0 {
            0 => (Check::Genesis, self.genesis_prev()),
            _ => (Check::Prev, said_before),
        };
        if let Some(prev) = due_prev.filter(|prev| *prev != header.first_prev) {
            let found = format!("first_prev {}", header.first_prev);
            let finding = Finding::of(check, format!("first_prev {prev}"), found);
            self.findings.add(finding.at(key).of_version(version).seqs(span.first, span.first.0 + 1));
        }
        self.last_hash_said = Some(header.last_hash);
        self.join_checkpoints(span, (key, version), Some(header), note);
    }
}
