//! What of an archive is looked at: all of it, what holds a range of events, or a sample. Which segments that is follows
//! from names, the auditor's words and a seed alone.

use std::collections::BTreeSet;
use std::str::FromStr;

use schemas::{Hash, Micros, Seq};
use serde::Serialize;

use crate::plan::Span;

/// How much of an archive is walked, event by event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    #[default]
    Full,
    /// The segments that hold a range of each chain's events, both ends included.
    Range {
        /// From the beginning if None.
        from: Option<Bound>,
        /// Up to the end if None.
        to: Option<Bound>,
    },
    /// Notes, keys, locks and headers of all segments; of each chain so many segments, drawn at random, are walked.
    Quick {
        /// Segments of each chain.
        sample: usize,
        /// The same seed draws the same segments of the same archive.
        seed: u64,
    },
}

/// Where a range begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// With this event.
    Seq(u64),
    /// With what was sealed at this time.
    Time(Micros),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Bound, String> {
        let seq = text.parse().ok().map(Bound::Seq);
        let bound = seq.or_else(|| Micros::parse_rfc3339(text).map(Bound::Time));
        bound.ok_or_else(|| {
            "neither a seq (7) nor a time (2026-11-21T09:30:00Z) nor a date (2026-11-21)".to_owned()
        })
    }
}

/// A range of events, both ends included; None: without an end.
pub(crate) type Bounds = (Option<Bound>, Option<Bound>);

/// Whether an event that was sealed then is in a range.
pub(crate) fn is_in((from, to): Bounds, seq: Seq, sealed_at: Micros) -> bool {
    let is_before = from.is_some_and(|from| match from {
        Bound::Seq(from) => seq.0 < from,
        Bound::Time(from) => sealed_at < from,
    });
    let is_behind = to.is_some_and(|to| match to {
        Bound::Seq(to) => seq.0 > to,
        Bound::Time(to) => sealed_at > to,
    });
    !is_before && !is_behind
}

impl Bound {
    pub(crate) fn say(self) -> String {
        match self {
            Bound::Seq(seq) => format!("seq {seq}"),
            Bound::Time(time) => time.rfc3339(),
        }
    }
}

/// The scope as a report says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeReport {
    /// `full`, `range` or `quick`.
    pub kind: &'static str,
    /// Where the range begins: `seq 7`, or a time. Null: at the beginning.
    pub from: Option<String>,
    /// Where it ends, itself included. Null: at the end.
    pub to: Option<String>,
    /// Segments of each chain that were drawn.
    pub sample: Option<usize>,
    /// What they were drawn with. As text, for many readers of JSON round so large a number.
    pub seed: Option<String>,
}

impl Scope {
    /// Whether nothing is left out.
    pub fn is_full(&self) -> bool {
        *self == Scope::Full
    }

    /// The range that was asked for; else all there is.
    pub(crate) fn bounds(&self) -> Bounds {
        match self {
            Scope::Range { from, to } => (*from, *to),
            Scope::Full | Scope::Quick { .. } => (None, None),
        }
    }

    pub(crate) fn report(&self) -> ScopeReport {
        let (from, to, sample, seed) = (None, None, None, None);
        match self {
            Scope::Full => ScopeReport { kind: "full", from, to, sample, seed },
            Scope::Range { from, to } => {
                let (from, to) = (from.map(Bound::say), to.map(Bound::say));
                ScopeReport { kind: "range", from, to, sample, seed }
            }
            Scope::Quick { sample, seed } => {
                let (sample, seed) = (Some(*sample), Some(seed.to_string()));
                ScopeReport { kind: "quick", from, to, sample, seed }
            }
        }
    }
}

/// What is looked at of one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Everything, event by event.
    pub(crate) is_walked: bool,
    /// The checkpoint at its end.
    pub(crate) note: bool,
    /// The trees file, held against the checkpoint.
    pub(crate) trees: bool,
    /// The segment's header, and how segment and trees file are locked.
    pub(crate) header: bool,
}

/// What is looked at of each span of a chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    walked: BTreeSet<usize>,
    all_are_walked: bool,
    all_headers: bool,
    notes: BTreeSet<usize>,
}

impl Looks {
    pub(crate) fn all() -> Looks {
        Looks { all_are_walked: true, ..Looks::default() }
    }

    /// The spans in `walked`; of all others the headers or nothing. `sizes`: at which a checkpoint is wanted.
    pub(crate) fn some(
        walked: BTreeSet<usize>,
        all_headers: bool,
        spans: &[Span],
        sizes: impl IntoIterator<Item = u64>,
    ) -> Looks {
        let of_size = |size: u64| spans.binary_search_by_key(&size, |span| span.end).ok();
        let mut notes: BTreeSet<usize> = sizes.into_iter().filter_map(of_size).collect();
        notes.extend(spans.len().checked_sub(1));
        Looks { walked, all_are_walked: false, all_headers, notes }
    }

    pub(crate) fn of(&self, nth: usize) -> Look {
        if self.all_are_walked || self.walked.contains(&nth) {
            return Look { is_walked: true, note: true, trees: true, header: true };
        }
        // A walk begins where the trees file before it proves that the chain stands.
        let trees = self.walked.contains(&(nth + 1));
        let note = trees || self.all_headers || self.notes.contains(&nth);
        Look { is_walked: false, note, trees, header: self.all_headers }
    }

    pub(crate) fn walked(&self) -> &BTreeSet<usize> {
        &self.walked
    }
}

/// Draws `count` of `size` segments.
pub(crate) fn sample(seed: u64, origin: &str, count: usize, size: usize) -> BTreeSet<usize> {
    let mut drawn = BTreeSet::new();
    // Robert Floyd's way: each set of so many is as likely as any other.
    for upper in size.saturating_sub(count)..size {
        let drawn_with = [&seed.to_be_bytes()[..], &(upper as u64).to_be_bytes()[..], origin.as_bytes()];
        let random = Hash::of(&drawn_with).0;
        let (bits, _) = random.as_chunks::<8>();
        let nth = (u64::from_be_bytes(bits[0]) % (upper as u64 + 1)) as usize;
        if !drawn.insert(nth) {
            drawn.insert(upper);
        }
    }
    drawn
}

/// The spans that hold a range. A time is looked up by the day in a segment's name and, within that day, by
/// `first_sealed_at`: when the first event of a span's segment says that it was sealed; None if that cannot be read.
/// Nobody has proven that, so one span more is taken behind a time: its walk shows that it begins later.
pub(crate) fn holding(
    spans: &[Span],
    (from, to): Bounds,
    day: impl Fn(&Span) -> Option<i64>,
    mut first_sealed_at: impl FnMut(&Span) -> Option<Micros>,
) -> BTreeSet<usize> {
    // What is gone or missing has no day: it lies between those that have one.
    let there: Vec<usize> = (0..spans.len()).filter(|nth| day(&spans[*nth]).is_some()).collect();
    let mut begin_by = |time: Micros, if_unread: bool| {
        let (mut low, mut high) = (0, there.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let span = &spans[there[middle]];
            let begins_by = match day(span).unwrap_or_default().cmp(&time.day()) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Greater => false,
                std::cmp::Ordering::Equal => first_sealed_at(span).map_or(if_unread, |first| first <= time),
            };
            if begins_by {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    };
    let mut first = match from {
        None => 0,
        Some(Bound::Seq(seq)) => spans.partition_point(|span| span.end <= seq),
        Some(Bound::Time(time)) => begin_by(time, false).checked_sub(1).map_or(0, |last| there[last]),
    };
    let mut end = match to {
        None => spans.len(),
        Some(Bound::Seq(seq)) => spans.partition_point(|span| span.first.0 <= seq),
        Some(Bound::Time(time)) => there.get(begin_by(time, true)).map_or(spans.len(), |later| later + 1),
    };
    // Where one end is a seq, the span that holds it is walked, whatever the names and times of others say.
    match (from, to) {
        (Some(Bound::Seq(_)), Some(Bound::Time(_))) => end = end.max(first + 1).min(spans.len()),
        (Some(Bound::Time(_)), Some(Bound::Seq(_))) => first = first.min(end.saturating_sub(1)),
        _ => {}
    }
    (first..end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    /// Spans of ten seqs, with the times at which their segments begin.
    fn spans(begin: &[i64]) -> Vec<Span> {
        let span = |nth: usize| Span {
            first: Seq(10 * nth as u64),
            end: 10 * (nth as u64 + 1),
            segments: nth..nth + 1,
            has_trees: true,
            has_note: true,
            may_be_gone: false,
        };
        (0..begin.len()).map(span).collect()
    }

    fn held(begin: &[i64], from: Option<Bound>, to: Option<Bound>) -> Vec<usize> {
        let time = |span: &Span| begin[span.segments.start];
        let day = |span: &Span| Some(time(span) / DAY_US);
        holding(&spans(begin), (from, to), day, |span| Some(Micros(time(span)))).into_iter().collect()
    }

    #[test]
    fn a_range_of_seqs_is_held_by_the_spans_that_it_touches() {
        let begin = [0, 1, 2, 3];
        let seqs = |from, to| held(&begin, Some(Bound::Seq(from)), Some(Bound::Seq(to)));
        assert_eq!(seqs(0, 9), [0]);
        assert_eq!(seqs(9, 10), [0, 1]);
        assert_eq!(seqs(15, 999), [1, 2, 3]);
        assert_eq!((seqs(40, 50), seqs(20, 10)), (vec![], vec![]));
        assert_eq!(held(&begin, None, Some(Bound::Seq(0))), [0]);
        assert_eq!(held(&begin, Some(Bound::Seq(30)), None), [3]);
    }

    #[test]
    fn the_span_that_holds_a_seq_is_walked_whatever_the_times_of_others_say() {
        // As where somebody has moved the later segments to an earlier day.
        let begin = [5 * DAY_US, DAY_US, DAY_US, DAY_US];
        let (seq, time) = (|seq| Some(Bound::Seq(seq)), |time| Some(Bound::Time(Micros(time))));
        assert_eq!(held(&begin, time(5 * DAY_US), seq(2)), [0]);
        let begin = [0, 7 * DAY_US, 7 * DAY_US, 7 * DAY_US];
        assert_eq!(held(&begin, seq(35), time(DAY_US)), [3]);
        assert_eq!(held(&begin, seq(40), time(DAY_US)), [0; 0], "behind the end there is nothing");
    }

    #[test]
    fn a_range_of_times_is_held_by_what_begins_before_it_and_what_shows_its_end() {
        let begin = [5, 7, DAY_US + 5, DAY_US + 7, 3 * DAY_US];
        let times = |from, to| held(&begin, Some(Bound::Time(Micros(from))), Some(Bound::Time(Micros(to))));
        assert_eq!(times(0, 4), [0], "nothing was sealed by then, which the first shows");
        assert_eq!(times(6, 6), [0, 1]);
        assert_eq!(times(7, DAY_US), [1, 2]);
        assert_eq!(times(2 * DAY_US, 2 * DAY_US), [3, 4]);
        assert_eq!(times(3 * DAY_US, 9 * DAY_US), [4]);
    }

    #[test]
    fn where_it_cannot_be_seen_when_a_segment_begins_more_is_walked_and_not_less() {
        let begin = [5, 7, 9];
        let day = |span: &Span| Some(begin[span.segments.start] / DAY_US);
        let range = (Some(Bound::Time(Micros(7))), Some(Bound::Time(Micros(7))));
        let held = holding(&spans(&begin), range, day, |_| None);
        assert_eq!(held.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_sample_is_repeated_by_its_seed_and_every_segment_has_its_chance() {
        assert_eq!(sample(7, "a/0", 20, 1_000), sample(7, "a/0", 20, 1_000));
        assert_ne!(sample(7, "a/0", 20, 1_000), sample(8, "a/0", 20, 1_000));
        assert_ne!(sample(7, "a/0", 20, 1_000), sample(7, "a/1", 20, 1_000));
        assert_eq!(sample(7, "a/0", 20, 5).len(), 5);
        let mut drawn = [0; 10];
        for seed in 0..1_000 {
            let one = sample(seed, "a/0", 3, 10);
            assert_eq!(one.len(), 3);
            one.into_iter().for_each(|nth| drawn[nth] += 1);
        }
        assert!(drawn.iter().all(|times| (240..360).contains(times)), "{drawn:?}");
    }

    #[test]
    fn before_what_is_walked_the_trees_file_proves_where_the_chain_stands() {
        let spans = spans(&[0, 1, 2, 3, 4, 5]);
        let looks = Looks::some(BTreeSet::from([2, 3]), false, &spans, [10, 55]);
        let look = |nth| looks.of(nth);
        assert_eq!(look(0), Look { note: true, ..Look::default() }, "its size is wanted");
        assert_eq!(look(1), Look { note: true, trees: true, ..Look::default() });
        assert!(look(2).is_walked && look(3).is_walked);
        assert_eq!(look(4), Look::default());
        assert_eq!(look(5), Look { note: true, ..Look::default() }, "the newest");
        let quick = Looks::some(BTreeSet::new(), true, &spans, []);
        assert_eq!(quick.of(4), Look { note: true, header: true, ..Look::default() });
    }
}
