//! The check of one segment: bytes in, a summary out. It knows nothing of other segments but the position before it,
//! so any number can be checked at once and joined in order.

use schemas::avro::Shape;
use schemas::event::{EVENT_SCHEMA, event_shape};
use schemas::{
    Hash, Layout, Micros, Misfit, Place, SealedEvent, SegmentFile, SegmentHeader, Seq, Trees, Walk,
};

use crate::finding::Findings;
use crate::leaves::{WrongHash, compare_full, compare_partial, follow_trees, leaf};
use crate::openings::{Opening, opened_in};
use crate::position::walk_apart;
use crate::scope::is_in;
use crate::{Bound, Check, Finding, Position};

/// What is known of a segment before it is read.
#[derive(Clone, Copy, Debug)]
pub struct SegmentInput<'a> {
    /// The chain.
    pub origin: &'a str,
    /// The object's key in the archive.
    pub key: &'a str,
    /// The seq in its name.
    pub first_seq: Seq,
    /// The size at which it must end.
    pub end: u64,
    /// Its bytes, all of them.
    pub bytes: &'a [u8],
    /// What comes before; None where nothing proves it. Then the links are followed among themselves only.
    pub start: Option<&'a Position>,
    /// Its trees file.
    pub trees: Option<&'a Trees>,
    /// The root that is signed for its end.
    pub signed_root: Option<Hash>,
    /// Sizes at which the root is wanted, ascending.
    pub roots_at: &'a [u64],
    /// From and to which event is wanted, both included; None: without an end. All the segment is checked; what is wanted
    /// of it is counted.
    pub bounds: (Option<Bound>, Option<Bound>),
    /// Whether to look for openings of chains.
    pub wants_openings: bool,
    /// Checks that are switched off.
    pub off: &'a [Check],
}

/// What the check of a segment gives.
#[derive(Clone, Debug, Default)]
pub struct SegmentSummary {
    /// Its header, if that could be read and is about this place.
    pub header: Option<SegmentHeader>,
    /// SHA-256 of its event schema.
    pub schema_hash: Hash,
    /// Events that were read.
    pub events: u64,
    /// Of these, events within the bounds that were given.
    pub in_range: u64,
    /// When the first of them was sealed.
    pub first_sealed_at: Micros,
    /// When the last of them was sealed.
    pub last_sealed_at: Micros,
    /// Where the chain stands after it; only where it starts at a known position and every link follows.
    pub end: Option<Position>,
    /// The roots that were wanted and could be given.
    pub roots: Vec<(u64, Hash)>,
    /// The first seq whose leaf is another in the trees file.
    pub first_wrong_leaf: Option<Seq>,
    /// Openings of chains.
    pub openings: Vec<Opening>,
    /// What is wrong.
    pub findings: Findings,
}

/// No segment may name more chains than this.
const MAX_OPENINGS: usize = 10_000;

/// Checks one segment by itself and against the position before it.
pub fn check_segment(input: &SegmentInput<'_>) -> SegmentSummary {
    let mut summary = SegmentSummary { findings: Findings::without(input.off), ..SegmentSummary::default() };
    check_content(input, &mut summary);
    // Whatever else is wrong says more exactly where.
    if let (Some(trees), None) = (input.trees, summary.findings.worst()) {
        let sha256 = Hash::of(&[input.bytes]);
        if sha256 != trees.segment_sha256 {
            let trees_key = Layout::of(input.origin).key(&Place::Trees(input.end));
            let expected = format!("SHA-256 {}, as {trees_key} says", trees.segment_sha256);
            let digest = Finding::of(Check::SegmentDigest, expected, sha256.to_string());
            summary.findings.add(digest.at(input.key).seqs(input.first_seq, input.end));
        }
    }
    summary
}

fn check_content(input: &SegmentInput<'_>, summary: &mut SegmentSummary) {
    let form = |found: String| {
        let finding = Finding::of(Check::SegmentForm, "a segment in its only spelling", found);
        finding.at(input.key).seqs(input.first_seq, input.end)
    };
    let file = match SegmentFile::parse(input.bytes) {
        Ok(file) => file,
        Err(malformed) => {
            summary.findings.add(form(malformed.to_string()));
            return;
        }
    };
    if let Some(finding) = wrong_place(input, &file.header) {
        summary.findings.add(finding);
        return;
    }
    let parsed;
    let shape = match file.header.event_schema == EVENT_SCHEMA {
        true => event_shape(),
        false => match Shape::parse(&file.header.event_schema) {
            Ok(shape) => {
                parsed = shape;
                &parsed
            }
            Err(malformed) => {
                summary.findings.add(form(malformed.to_string()));
                return;
            }
        },
    };
    summary.schema_hash = Hash::of(&[&file.header.event_schema]);
    let own_prev = file.header.first_prev;
    let walk =
        input.start.map(|start| start.walk(own_prev)).or_else(|| walk_apart(input.first_seq, own_prev));
    if let Some(walk) = walk {
        Following {
            input,
            shape,
            walk,
            position: input.start.cloned(),
            is_clean: true,
            wrong: Vec::new(),
            first_prev: None,
            summary,
        }
        .run(&file);
    }
    summary.header = Some(file.header);
}

/// A file that belongs elsewhere is not looked into: its events are not those that are due here.
fn wrong_place(input: &SegmentInput<'_>, header: &SegmentHeader) -> Option<Finding> {
    let place = |origin: &str, first: Seq, last: u64| format!("{origin}, seqs {first} to {last}");
    let due = place(input.origin, input.first_seq, input.end.saturating_sub(1));
    let is = place(&header.origin, header.first_seq, header.last_seq.0);
    let finding = Finding::of(Check::SegmentPlace, &due, &is).at(input.key).seqs(input.first_seq, input.end);
    (due != is).then_some(finding)
}

/// A run of seqs whose leaves are others in the trees file: of the first, what is there and what is here.
struct WrongLeaves {
    first: Seq,
    end: u64,
    there: Hash,
    here: Hash,
}

/// Runs of wrong leaves that are kept; a segment that has more has been named often enough.
const MAX_WRONG_RUNS: usize = 1_000;

/// A segment being followed link by link.
struct Following<'a, 'b> {
    input: &'b SegmentInput<'a>,
    shape: &'b Shape,
    walk: Walk,
    /// The tiles so far, where the start is known. Its tree is the walk's.
    position: Option<Position>,
    is_clean: bool,
    /// Leaves that the trees file has otherwise.
    wrong: Vec<WrongLeaves>,
    first_prev: Option<Hash>,
    summary: &'b mut SegmentSummary,
}

impl Following<'_, '_> {
    fn run(mut self, file: &SegmentFile<'_>) {
        let schema_hash = self.summary.schema_hash;
        let read = file.walk(self.shape, |sealed, _| {
            self.take(sealed, &schema_hash);
            true
        });
        if let Err(malformed) = read {
            self.is_clean = false;
            let form =
                Finding::of(Check::SegmentForm, "a segment in its only spelling", malformed.to_string());
            self.add(form, self.walk.next_seq(), self.input.end);
        }
        self.check_header(&file.header);
        self.report_wrong_leaves();
        if self.is_clean {
            self.finish();
        }
    }

    fn add(&mut self, finding: Finding, first: Seq, end: u64) {
        self.summary.findings.add(finding.at(self.input.key).seqs(first, end));
    }

    fn take(&mut self, sealed: &SealedEvent<'_>, schema_hash: &Hash) {
        let seq = sealed.seq;
        if self.first_prev.is_none() {
            self.first_prev = Some(sealed.prev);
            self.summary.first_sealed_at = sealed.sealed_at;
        }
        let followed = self.walk.follow(sealed, schema_hash);
        if let Err(misfit) = &followed {
            self.is_clean = false;
            self.add(of_misfit(misfit), seq, seq.0 + 1);
            self.step_over(sealed, schema_hash);
        }
        let hash = self.walk.last_hash();
        if let Some(trees) = self.input.trees {
            match leaf(trees, seq) {
                Some(other) if *other != hash && followed.is_ok() => self.note_wrong(seq, *other, hash),
                _ => {}
            }
        }
        self.grow_tiles(hash);
        let size = seq.0 + 1;
        if self.is_clean && self.position.is_some() && self.input.roots_at.binary_search(&size).is_ok() {
            self.summary.roots.push((size, self.walk.tree().root()));
        }
        if self.input.wants_openings && followed.is_ok() && self.summary.openings.len() < MAX_OPENINGS {
            let opened = opened_in(self.shape, sealed.event_bytes);
            let opening = |origin| Opening { origin, seq, key: self.input.key.to_owned() };
            self.summary.openings.extend(opened.map(opening));
        }
        self.summary.events += 1;
        self.summary.in_range += u64::from(is_in(self.input.bounds, seq, sealed.sealed_at));
        self.summary.last_sealed_at = sealed.sealed_at;
    }

    fn note_wrong(&mut self, seq: Seq, there: Hash, here: Hash) {
        let has_room = self.wrong.len() < MAX_WRONG_RUNS;
        match self.wrong.last_mut() {
            Some(run) if run.end == seq.0 => run.end += 1,
            _ if has_room => self.wrong.push(WrongLeaves { first: seq, end: seq.0 + 1, there, here }),
            _ => {}
        }
    }

    /// Goes on behind a link that does not follow, with the hash that the tree has for it, so that those behind it are
    /// still checked.
    fn step_over(&mut self, sealed: &SealedEvent<'_>, schema_hash: &Hash) {
        let own = sealed.link(schema_hash).hash();
        let in_tree = self.input.trees.and_then(|trees| leaf(trees, sealed.seq));
        let hash = if in_tree == Some(&own) { own } else { sealed.hash };
        let mut tree = self.walk.tree().clone();
        tree.push(hash);
        self.walk = Walk::resume(tree, hash, sealed.sealed_at);
    }

    fn grow_tiles(&mut self, hash: Hash) {
        let Some(position) = &mut self.position else { return };
        position.tiles.push(hash);
        if !position.tiles.size().is_multiple_of(256) {
            return;
        }
        let completed = position.tiles.take_completed();
        if let (Some(trees), true) = (self.input.trees, self.is_clean && self.wrong.is_empty()) {
            let wrong: Vec<WrongHash> =
                completed.iter().filter_map(|tile| compare_full(trees, tile)).collect();
            wrong.into_iter().for_each(|wrong| self.add_wrong_tile(&wrong));
        }
    }

    fn add_wrong_tile(&mut self, wrong: &WrongHash) {
        let level = wrong.level;
        let say = |hash: &Hash| format!("level {level}: {hash}");
        let finding = Finding::of(Check::TreesTiles, say(&wrong.expected), say(&wrong.found));
        let key = Layout::of(self.input.origin).key(&Place::Trees(self.input.end));
        // A hash above the leaves may be about seqs before and behind the segment too.
        let (first, end) = (wrong.seqs.0, wrong.seqs.1.min(self.input.end));
        let first = if end > self.input.first_seq.0 { first.max(self.input.first_seq) } else { first };
        self.summary.findings.add(finding.at(key).seqs(first, end));
    }

    fn check_header(&mut self, header: &SegmentHeader) {
        let (first, end) = (self.input.first_seq, self.input.end);
        let Some(first_prev) = self.first_prev else { return };
        let differs = |expected: String, found: String| Finding::of(Check::SegmentHeader, expected, found);
        if header.first_prev != first_prev {
            self.add(
                differs(format!("first_prev {first_prev}"), format!("first_prev {}", header.first_prev)),
                first,
                end,
            );
        }
        let last_hash = self.walk.last_hash();
        if self.is_clean && header.last_hash != last_hash {
            self.add(
                differs(format!("last_hash {last_hash}"), format!("last_hash {}", header.last_hash)),
                first,
                end,
            );
        }
        let due = Layout::of(self.input.origin).key(&Place::segment(self.summary.first_sealed_at, first));
        if due != self.input.key {
            self.add(Finding::of(Check::SegmentPlace, due, self.input.key), first, end);
        }
    }

    /// Segment and trees file disagree about leaves. If the file's leaves give the signed root, the segment is wrong.
    fn report_wrong_leaves(&mut self) {
        let Some(trees) = self.input.trees.filter(|_| !self.wrong.is_empty()) else { return };
        self.summary.first_wrong_leaf = self.wrong.first().map(|run| run.first);
        let end = self.input.start.and_then(|start| follow_trees(start, trees, &[]));
        let trees_are_right = end.is_some_and(|(end, _)| Some(end.root()) == self.input.signed_root);
        let trees_key = Layout::of(self.input.origin).key(&Place::Trees(self.input.end));
        for run in &self.wrong {
            let (key, expected, found) = match trees_are_right {
                true => (self.input.key, run.there, run.here),
                false => (trees_key.as_str(), run.here, run.there),
            };
            let say = |hash: Hash| format!("leaf {hash}");
            let finding = Finding::of(Check::TreesTiles, say(expected), say(found));
            self.summary.findings.add(finding.at(key).seqs(run.first, run.end));
        }
    }

    /// Every link followed: where the chain stands now, and whether the trees file ends the same.
    fn finish(mut self) {
        let Some(mut end) = self.position.take() else { return };
        let compare = |trees| compare_partial(trees, end.tiles.partial());
        if let Some(wrong) = self.input.trees.filter(|_| self.wrong.is_empty()).and_then(compare) {
            self.add_wrong_tile(&wrong);
        }
        end.tree = self.walk.tree().clone();
        end.last_hash = Some(self.walk.last_hash());
        self.summary.end = Some(end);
    }
}

fn of_misfit(misfit: &Misfit) -> Finding {
    let check = match misfit.field {
        "sealed_at" => Check::SealedAt,
        "prev" if misfit.seq == Seq(0) => Check::Genesis,
        "prev" => Check::Prev,
        _ => Check::LinkHash,
    };
    let say = |value: &str| format!("{} {value}", misfit.field);
    Finding::of(check, say(&misfit.expected), say(&misfit.found))
}
