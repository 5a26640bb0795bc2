//! A part of an archive, as the auditor asked for it: what of a chain is walked, whether that holds what was asked for,
//! and what it does not show.

use schemas::avro::Shape;
use schemas::{Hash, Micros, SegmentFile, first_prev};
use store::Object;

use crate::chain::ChainCheck;
use crate::glance::MAX_HEADER_BYTES;
use crate::inventory::SegmentName;
use crate::plan::Span;
use crate::reading::Unread;
use crate::scope::{Bound, Bounds, Looks, Scope, holding, sample};
use crate::{ChainReport, Check, Effect, Finding};

/// What holds a segment's header and its first block.
const BEGINNING_BYTES: u64 = 8 << 20;

impl ChainCheck<'_> {
    /// What is looked at of each span.
    pub(crate) fn looks(&mut self, spans: &[Span]) -> Looks {
        let options = self.options;
        let looks = match &options.scope {
            Scope::Full => Looks::all(),
            Scope::Range { from, to } => {
                let day =
                    |span: &Span| self.names.segments[span.segments.clone()].first().map(|name| name.day());
                let walked = holding(spans, (*from, *to), day, |span| self.first_sealed_at(span));
                Looks::some(walked, false, spans, self.sizes_wanted())
            }
            Scope::Quick { sample: count, seed } => {
                let mut walked = sample(*seed, self.origin, *count, spans.len());
                // Of a header with several versions none says which is right.
                walked.extend((0..spans.len()).filter(|nth| self.is_laid_over(&spans[*nth])));
                Looks::some(walked, true, spans, self.sizes_wanted())
            }
        };
        if let Some(watch) = &options.watch {
            let walked = (0..spans.len()).filter(|nth| looks.of(*nth).is_walked);
            watch.planned(walked.map(|nth| spans[nth].end - spans[nth].first.0).sum());
        }
        looks
    }

    /// Where checkpoints are wanted: at the sizes of those that are known, at the last size of each key, which shows that
    /// it has signed, and at the last of each that is revoked, which shows how far it counts.
    fn sizes_wanted(&self) -> Vec<u64> {
        let takeovers = self.ring.takeovers().map(|first_size| first_size - 1);
        self.roots.keys().copied().chain(takeovers).chain(self.last_sizes_that_count()).collect()
    }

    fn is_laid_over(&self, span: &Span) -> bool {
        let mut keys = self.names.segments[span.segments.clone()]
            .iter()
            .map(|name| name.place())
            .chain([schemas::Place::Trees(span.end)]);
        keys.any(|place| self.source.laid.contains_key(&self.layout.key(&place)))
    }

    /// When the first event of a span's segment says that it was sealed. Nothing proves it.
    fn first_sealed_at(&self, span: &Span) -> Option<Micros> {
        let name = self.names.segments[span.segments.clone()].first()?;
        let key = self.layout.key(&name.place());
        let _room = self.options.reading.ahead.room(BEGINNING_BYTES);
        let first = |object: &Object| {
            let segment = SegmentFile::parse(&object.bytes).ok()?;
            let shape = Shape::parse(&segment.header.event_schema).ok()?;
            let mut first = None;
            let read = segment.walk(&shape, |sealed, _| {
                first = Some(sealed.sealed_at);
                false
            });
            read.ok().and(first)
        };
        self.source.fitting_beginning(&key, BEGINNING_BYTES, first).ok()?.1
    }

    /// Whether a segment that nothing announces begins where its name says.
    pub(crate) fn begins_there(&self, name: SegmentName) -> Result<bool, Unread> {
        let is_it = |header: &schemas::SegmentHeader| {
            header.first_seq == name.first_seq && header.origin == self.origin
        };
        let _room = self.options.reading.ahead.room(MAX_HEADER_BYTES);
        self.source.header(&self.layout.key(&name.place()), is_it).map(|read| read.header.is_ok())
    }

    /// What the first link must follow.
    pub(crate) fn genesis_prev(&self) -> Option<Hash> {
        self.ring.genesis().map(|vkey| first_prev(self.origin, &vkey.to_string()))
    }

    /// Whether the walk has shown that what it walked holds the range: that it begins by its beginning, and behind its
    /// end.
    pub(crate) fn check_range_is_held(&mut self, spans: &[Span], looks: &Looks) {
        let Scope::Range { from, to } = &self.options.scope else { return };
        let reaches_end = spans.is_empty() || looks.walked().last() == Some(&(spans.len() - 1));
        self.say_what_is_beyond((*from, *to), reaches_end);
        let (Some(first), Some(last)) = (looks.walked().first(), looks.walked().last()) else { return };
        let begins_late = |from: Micros| {
            let is_first = spans[..*first].iter().all(|span| span.segments.is_empty());
            !is_first && self.sealed.is_none_or(|(begins, _)| begins > from)
        };
        let ends_early =
            |to: Micros| last + 1 < spans.len() && self.last_begins.is_none_or(|begins| begins <= to);
        let is_not_held = match (from, to) {
            (Some(Bound::Time(from)), _) if begins_late(*from) => true,
            (_, Some(Bound::Time(to))) => ends_early(*to),
            _ => false,
        };
        if is_not_held && self.findings.worst() != Some(Effect::Broken) {
            let found = "the days and times in the chain's segments do not rise: check all of it";
            let finding = Finding::of(Check::Readable, "the segments that hold the range", found);
            self.findings.add(finding.at(self.layout.segments()));
        }
    }

    /// A range that goes on behind the chain's end may have lost its tail, or not have happened yet: the archive speaks
    /// up to its last event, each later one is sealed later. `reaches_end`: whether that event was walked.
    fn say_what_is_beyond(&mut self, (from, to): Bounds, reaches_end: bool) {
        let last_sealed_at = self.sealed.map(|(_, last)| last);
        let is_beyond = |bound: &Bound| match bound {
            Bound::Seq(seq) => *seq >= self.size,
            Bound::Time(time) => reaches_end && last_sealed_at.is_none_or(|last| *time > last),
        };
        let Some(bound) = [to, from].into_iter().flatten().find(is_beyond) else { return };
        let (bound_said, size) = (bound.say(), self.size);
        let covers = format!("{bound_said} was asked for, the newest checkpoint covers {size} events");
        let text = match (bound, last_sealed_at) {
            (Bound::Time(_), Some(last)) => {
                format!("{covers}, the last sealed at {}: of what is later nothing was seen", last.rfc3339())
            }
            _ => covers,
        };
        self.notice("beyond-the-end", text);
    }
}

/// What a check of a part leaves open.
pub(crate) fn not_shown(scope: &Scope, chains: &[ChainReport]) -> Vec<String> {
    let sum = |count: fn(&ChainReport) -> u64| chains.iter().map(count).sum::<u64>();
    let (walked, headers, not_read) =
        (sum(|chain| chain.segments), sum(|chain| chain.headers), sum(|chain| chain.not_read));
    let of = walked + headers + not_read;
    let first = match scope {
        Scope::Full => return Vec::new(),
        Scope::Range { .. } => format!(
            "Anything outside of the range: {walked} of {of} segments were walked, and of the others nothing was looked \
             at but that their names follow each other. Not their events, not their locks."
        ),
        Scope::Quick { .. } if walked == of => {
            format!(
                "Nothing more of the segments: all {of} were drawn. A check of a part ends as one all the same."
            )
        }
        Scope::Quick { seed, .. } => format!(
            "Whether each event is what was sealed: {walked} of {of} segments were walked, drawn with --seed {seed}. \
             Were one segment in a hundred damaged, a sample of so many would show it with a chance of {} in 100; a \
             single damaged segment, with a chance of {} in 100.",
            chance(walked, 0.01),
            chance_of_one(walked, of)
        ),
    };
    let second = "Whether the newest checkpoint continues the ones that you kept: roots of the same size were compared, \
                  the events between were not walked. And which other chains were opened: that stands in events."
        .to_owned();
    vec![first, second, "Only a full check can end with `intact`.".to_owned()]
}

/// The chance, rounded down, that one of so many draws is among the damaged ones.
fn chance(drawn: u64, damaged: f64) -> u64 {
    (100.0 * (1.0 - (1.0 - damaged).powf(drawn as f64))) as u64
}

fn chance_of_one(drawn: u64, of: u64) -> u64 {
    drawn.saturating_mul(100).checked_div(of).unwrap_or(0)
}
