//! Listing every version of every key, and what hides them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::ControlFlow;

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::EncodingType;

use super::attempt::within;
use super::list::{MAX_ENTRIES, Span};
use super::{S3, version_of, whole_seconds};
use crate::{Entry, Error, Page, Result, key};

/// Small answers are no use: versitygw repeats an entry at the end of each, and with one never ends.
const MIN_ENTRIES: usize = 50;

/// Where an answer goes on: a key, and a version of it.
type Place = (Option<String>, Option<String>);

impl S3 {
    /// All versions of a key come on one page, however many they are.
    pub(super) fn list_versions(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        // One more than is wanted shows whether the last key is whole.
        let wanted = limit.saturating_add(1).clamp(MIN_ENTRIES, MAX_ENTRIES);
        let mut found = Found::default();
        let end = self.answers(prefix, after, wanted, |lines| {
            found.lines.extend(lines);
            Ok(match found.is_enough(limit) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(found.page(limit, end.is_break()))
    }

    /// Every version of every key under `prefix`, in the order of keys and of one key newest first, in parts of a
    /// thousand at most. Unlike on a page, a key of which there are many versions goes on in the next part: so memory is
    /// bounded, however many they are. The first error of `each` ends it.
    pub fn each_version<E: From<Error>>(
        &self,
        prefix: &str,
        mut each: impl FnMut(Vec<Entry>) -> Result<(), E>,
    ) -> Result<(), E> {
        key::check_prefix(prefix)?;
        self.answers(prefix, "", MAX_ENTRIES, |lines| {
            each(lines.into_iter().map(|line| line.entry).collect()).map(ControlFlow::Continue)
        })
        .map(drop)
    }

    /// Gives the lines of each answer to `take`, each line once and in order. Break: `take` has ended it, and there is
    /// more.
    fn answers<E: From<Error>>(
        &self,
        prefix: &str,
        after: &str,
        wanted: usize,
        mut take: impl FnMut(Vec<Line>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let end = Ok(ControlFlow::Continue(()));
        let Some(span) = Span::new(&self.prefix, prefix, after) else { return end };
        let mut from: Place = (span.after.clone(), None);
        let mut seen = Seen::default();
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
            let lines = seen.new_lines(&span, &answer)?;
            let is_new = !lines.is_empty();
            let flow = take(lines)?;
            if answer.is_truncated() != Some(true) {
                return end;
            }
            if flow.is_break() {
                return Ok(flow);
            }
            let marker =
                answer.next_key_marker().map(|key| span.full_key(key, answer.encoding_type())).transpose()?;
            let next = (marker.map(Cow::into_owned), answer.next_version_id_marker().map(str::to_owned));
            if next.0.is_none() || (next == from && !is_new) {
                return Err(span.broken("it promises more and does not say where").into());
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

/// What the end of one answer shows, the next may show again.
#[derive(Default)]
struct Seen {
    last_key: String,
    /// Versions and markers of the last key in the last answer.
    of_last: HashSet<String>,
}

impl Seen {
    /// An answer's entries but for those that the one before had shown.
    fn new_lines(&mut self, span: &Span, answer: &ListObjectVersionsOutput) -> Result<Vec<Line>> {
        let mut lines = lines(span, answer)?;
        let mut is_in_order = true;
        let mut of_last = HashSet::new();
        lines.retain(|line| {
            let Entry { key, version, .. } = &line.entry;
            match key.cmp(&self.last_key) {
                Ordering::Less => is_in_order = false,
                Ordering::Greater => {
                    self.last_key.clone_from(key);
                    (self.of_last, of_last) = (HashSet::new(), HashSet::new());
                }
                Ordering::Equal => {}
            }
            of_last.insert(version.0.clone()) && !self.of_last.contains(&version.0)
        });
        if !of_last.is_empty() {
            self.of_last = of_last;
        }
        match is_in_order {
            true => Ok(lines),
            false => Err(span.broken("its keys are out of order")),
        }
    }
}

/// What stands in an answer, in order.
fn lines(span: &Span, answer: &ListObjectVersionsOutput) -> Result<Vec<Line>> {
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
    Ok(lines)
}

/// What was listed so far.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
}

impl Found {
    fn last_key(&self) -> &str {
        self.lines.last().map_or("", |line| &line.entry.key)
    }

    /// Whether the keys before the last one fill a page. The last one may go on.
    fn is_enough(&self, limit: usize) -> bool {
        let last_key = self.last_key();
        self.lines.iter().rposition(|line| line.entry.key != last_key).is_some_and(|end| end + 1 >= limit)
    }

    /// As many whole keys as it takes to reach the limit. With `more`, the last key may not be whole.
    fn page(mut self, limit: usize, more: bool) -> Page {
        // A key's versions may have come in two answers.
        self.lines.sort_by(Line::order);
        let last_key = self.last_key().to_owned();
        let mut entries: Vec<Entry> = Vec::new();
        for Line { entry, .. } in self.lines {
            let is_next = entries.last().is_some_and(|last| last.key != entry.key);
            let is_partial = more && entry.key == last_key;
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
