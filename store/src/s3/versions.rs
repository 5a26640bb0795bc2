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
use crate::versions::{MAX_VERSIONS, bound};
use crate::{Entry, Error, Page, Result, key};

/// Small answers are no use: versitygw repeats an entry at the end of each, and with one never ends.
const MIN_ENTRIES: usize = 50;

/// Where an answer goes on: a key, and a version of it.
type Place = (Option<String>, Option<String>);

impl S3 {
    /// All versions of a key come on one page, within the bound of the seam: of more only that much is in memory.
    pub(super) fn list_versions(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        // One more than is wanted shows whether the last key is whole.
        let wanted = limit.saturating_add(1).clamp(MIN_ENTRIES, MAX_ENTRIES);
        let mut found = Found::default();
        let end = self.answers(prefix, after, wanted, |lines| {
            lines.into_iter().for_each(|line| found.take(line));
            Ok(match found.whole.len() >= limit {
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
    /// Keys of which nothing more can come.
    whole: Vec<Entry>,
    /// The versions of the last key, which may go on.
    last: Vec<Line>,
}

/// So many versions of the last key are held before those in the middle are let go of.
const MAX_LAST: usize = 4 * MAX_VERSIONS;

impl Found {
    fn take(&mut self, line: Line) {
        if self.last.first().is_some_and(|last| last.entry.key != line.entry.key) {
            self.end_last();
        }
        self.last.push(line);
        if self.last.len() >= MAX_LAST {
            self.bound_last();
        }
    }

    fn bound_last(&mut self) {
        // A key's versions may have come in two answers.
        self.last.sort_by(Line::order);
        bound(&mut self.last, |line| line.entry.delete_marker);
    }

    fn end_last(&mut self) {
        self.bound_last();
        self.whole.extend(self.last.drain(..).map(|line| line.entry));
    }

    /// As many whole keys as it takes to reach the limit. With `more`, the last key may not be whole.
    fn page(mut self, limit: usize, more: bool) -> Page {
        if !more {
            self.end_last();
        }
        let keys = self.whole.chunk_by(|one, next| one.key == next.key);
        let mut wanted = 0;
        for versions in keys {
            if wanted >= limit {
                break;
            }
            wanted += versions.len();
        }
        let more = more || wanted < self.whole.len();
        self.whole.truncate(wanted);
        Page { entries: self.whole, more }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    fn line(key: &str, nth: usize, delete_marker: bool) -> Line {
        let entry = Entry {
            key: key.to_owned(),
            size_bytes: 1,
            version: Version(nth.to_string()),
            newest: nth == 0,
            delete_marker,
            modified: schemas::Micros(0),
        };
        Line { entry, time: DateTime::from_secs(1_000_000 - nth as i64) }
    }

    /// As after a year of a hint a minute.
    #[test]
    fn of_a_key_with_half_a_million_versions_a_bounded_part_is_ever_in_memory() {
        let mut found = Found::default();
        found.take(line("a", 0, false));
        let many = 525_600;
        let mut most = 0;
        for nth in 0..many {
            found.take(line("checkpoint", nth, false));
            most = most.max(found.last.len());
        }
        assert!(most <= MAX_LAST, "{most}");
        assert_eq!(found.whole.len(), 1, "the last key is not whole before another begins");
        found.take(line("z", 0, false));
        let page = found.page(2, true);
        assert!(page.more);
        let shown: Vec<usize> =
            page.entries[1..].iter().map(|entry| entry.version.0.parse().unwrap()).collect();
        let half = MAX_VERSIONS / 2;
        assert_eq!(shown, (0..half).chain(many - half..many).collect::<Vec<_>>());
    }

    /// Markers are short and cost nothing: they push no object out.
    #[test]
    fn no_number_of_markers_takes_the_place_of_an_object() {
        let mut found = Found::default();
        for nth in 0..20_000 {
            found.take(line("a", nth, nth != 10_000));
        }
        let page = found.page(1, false);
        assert!(!page.more);
        let objects: Vec<&Entry> = page.entries.iter().filter(|entry| !entry.delete_marker).collect();
        assert_eq!((objects.len(), objects[0].version.0.as_str()), (1, "10000"));
        assert_eq!(page.entries.len(), 1 + MAX_VERSIONS);
    }
}
