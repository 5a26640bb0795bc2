//! Listing every version of every key, and what hides them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::EncodingType;

use super::attempt::within;
use super::list::{MAX_ENTRIES, Span};
use super::{S3, version_of, whole_seconds};
use crate::{Entry, Page, Result};

/// Small answers are no use: versitygw repeats an entry at the end of each, and with one never ends.
const MIN_ENTRIES: usize = 50;

/// Where an answer goes on: a key, and a version of it.
type Place = (Option<String>, Option<String>);

impl S3 {
    /// All versions of a key come on one page, however many they are.
    pub(super) fn list_versions(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        let Some(span) = Span::new(&self.prefix, prefix, after) else { return Ok(Page::default()) };
        // One more than is wanted shows whether the last key is whole.
        let wanted = limit.saturating_add(1).clamp(MIN_ENTRIES, MAX_ENTRIES);
        let mut from: Place = (span.after.clone(), None);
        let mut found = Found::default();
        loop {
            let answer = self.ask(0, |time| {
                let request = self.client.list_object_versions().bucket(&self.options.bucket);
                let request =
                    request.prefix(&span.prefix).max_keys(wanted as i32).encoding_type(EncodingType::Url);
                let request = request.set_key_marker(from.0.clone()).set_version_id_marker(from.1.clone());
                within(time, request.send())
            });
            let answer =
                answer.map_err(|fault| fault.of_no_object().into_error(prefix, "listing versions"))?;
            let is_new = found.take(&span, &answer)?;
            if answer.is_truncated() != Some(true) {
                return Ok(found.page(limit, false));
            }
            if found.is_enough(limit) {
                return Ok(found.page(limit, true));
            }
            let marker =
                answer.next_key_marker().map(|key| span.full_key(key, answer.encoding_type())).transpose()?;
            let next = (marker.map(Cow::into_owned), answer.next_version_id_marker().map(str::to_owned));
            if next.0.is_none() || (next == from && !is_new) {
                return Err(span.broken("it promises more and does not say where"));
            }
            from = next;
        }
    }
}

/// An entry, with its time to the fraction that the server gave.
struct Line {
    entry: Entry,
    time: DateTime,
}

/// What was listed so far.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    /// Versions and markers of the last key: what the end of one answer shows, the next may show again.
    of_last: HashSet<String>,
    last_key: String,
}

impl Found {
    /// Takes an answer's entries. Whether there were new ones.
    fn take(&mut self, span: &Span, answer: &ListObjectVersionsOutput) -> Result<bool> {
        let encoding = answer.encoding_type();
        let mut lines = Vec::new();
        for version in answer.versions() {
            let Some(key) = span.key(version.key(), encoding)? else { continue };
            lines.push(Line {
                entry: Entry {
                    key,
                    size_bytes: version.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                    version: version_of(version.version_id()),
                    newest: version.is_latest() == Some(true),
                    delete_marker: false,
                    modified: version.last_modified().map(whole_seconds).unwrap_or_default(),
                },
                time: version.last_modified().copied().unwrap_or(DateTime::from_secs(0)),
            });
        }
        for marker in answer.delete_markers() {
            let Some(key) = span.key(marker.key(), encoding)? else { continue };
            lines.push(Line {
                entry: Entry {
                    key,
                    size_bytes: 0,
                    version: version_of(marker.version_id()),
                    newest: marker.is_latest() == Some(true),
                    delete_marker: true,
                    modified: marker.last_modified().map(whole_seconds).unwrap_or_default(),
                },
                time: marker.last_modified().copied().unwrap_or(DateTime::from_secs(0)),
            });
        }
        lines.sort_by(Line::order);
        let mut is_new = false;
        for line in lines {
            match line.entry.key.cmp(&self.last_key) {
                Ordering::Less => return Err(span.broken("its keys are out of order")),
                Ordering::Greater => {
                    self.last_key.clone_from(&line.entry.key);
                    self.of_last.clear();
                }
                Ordering::Equal => {}
            }
            if self.of_last.insert(line.entry.version.0.clone()) {
                self.lines.push(line);
                is_new = true;
            }
        }
        Ok(is_new)
    }

    /// Whether the keys before the last one fill a page. The last one may go on.
    fn is_enough(&self, limit: usize) -> bool {
        self.lines
            .iter()
            .rposition(|line| line.entry.key != self.last_key)
            .is_some_and(|end| end + 1 >= limit)
    }

    /// As many whole keys as it takes to reach the limit. With `more`, the last key may not be whole.
    fn page(mut self, limit: usize, more: bool) -> Page {
        // A key's versions may have come in two answers.
        self.lines.sort_by(Line::order);
        let mut entries: Vec<Entry> = Vec::new();
        for Line { entry, .. } in self.lines {
            let is_next = entries.last().is_some_and(|last| last.key != entry.key);
            let is_partial = more && entry.key == self.last_key;
            if is_partial || (is_next && entries.len() >= limit) {
                return Page { entries, more: true };
            }
            entries.push(entry);
        }
        Page { entries, more }
    }
}

impl Line {
    /// By key, then the newest first. An answer has versions and markers apart. Within a second, where a server says no
    /// more, the marker counts as newer: it hides what is below.
    fn order(&self, other: &Line) -> Ordering {
        let newest_first = |a: &Entry, b: &Entry| b.newest.cmp(&a.newest);
        let (a, b) = (&self.entry, &other.entry);
        a.key
            .cmp(&b.key)
            .then(newest_first(a, b))
            .then_with(|| other.time.cmp(&self.time))
            .then(b.delete_marker.cmp(&a.delete_marker))
    }
}
