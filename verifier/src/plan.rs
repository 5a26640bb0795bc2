//! From names alone: which segments there must be up to the newest checkpoint, and what does not fit in.

use std::collections::BTreeSet;
use std::ops::Range;

use schemas::{Layout, Place, Seq};

use crate::finding::Findings;
use crate::inventory::{Names, SegmentName};
use crate::reading::Unread;
use crate::{Check, Finding, Uncovered};

/// A run of seqs that one segment must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Seq,
    pub(crate) end: u64,
    /// The segments with that first seq, as indices into the names: one, if all is well.
    pub(crate) segments: Range<usize>,
    pub(crate) has_trees: bool,
    pub(crate) has_note: bool,
    /// Before every segment that is left: may have been given up after its retention, if its trees bear it out.
    pub(crate) may_be_gone: bool,
}

/// What a chain must consist of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) spans: Vec<Span>,
    pub(crate) uncovered: Option<Uncovered>,
}

impl Plan {
    /// `begins_there` looks into a segment that neither checkpoint nor trees file announce, and says whether it begins
    /// where its name says, or why that cannot be seen. Above the newest checkpoint nothing is planned.
    pub(crate) fn of(
        names: &Names,
        layout: &Layout,
        findings: &mut Findings,
        mut begins_there: impl FnMut(SegmentName) -> Result<bool, Unread>,
    ) -> Plan {
        let newest = names.checkpoints.last().copied().unwrap_or(0);
        let has_trees = |size: u64| names.trees.binary_search(&size).is_ok();
        let has_note = |size: u64| names.checkpoints.binary_search(&size).is_ok();
        let mut bounds = BTreeSet::from([0, newest]);
        for name in names.segments.iter().filter(|name| (1..newest).contains(&name.first_seq.0)) {
            let start = name.first_seq.0;
            if has_trees(start) || has_note(start) {
                bounds.insert(start);
                continue;
            }
            let key = layout.key(&name.place());
            let finding = match begins_there(*name) {
                Ok(true) => {
                    bounds.insert(start);
                    continue;
                }
                Ok(false) => {
                    Finding::of(Check::SegmentPlace, "no segment: none ends before it", "a segment").at(key)
                }
                Err(unread) => unread.finding(&key),
            };
            findings.add(finding.seqs(name.first_seq, start + 1));
        }
        for size in names.trees.iter().copied().filter(|size| *size < newest) {
            if bounds.contains(&size) {
                continue;
            }
            if has_note(size) {
                bounds.insert(size);
            } else {
                findings.add(ends_nothing(Check::TreesPlace, layout.key(&Place::Trees(size)), size));
            }
        }
        for size in names.checkpoints.iter().copied().filter(|size| !bounds.contains(size)) {
            findings.add(ends_nothing(Check::CheckpointPlace, layout.key(&Place::Checkpoint(size)), size));
        }
        let bounds: Vec<u64> = bounds.into_iter().collect();
        let mut spans: Vec<Span> = bounds
            .windows(2)
            .map(|pair| Span {
                first: Seq(pair[0]),
                end: pair[1],
                segments: range_of(&names.segments, Seq(pair[0])),
                has_trees: has_trees(pair[1]),
                has_note: has_note(pair[1]),
                may_be_gone: false,
            })
            .collect();
        if let Some(oldest) = spans.iter().position(|span| !span.segments.is_empty()) {
            spans[..oldest].iter_mut().for_each(|span| span.may_be_gone = true);
        }
        Plan { spans, uncovered: uncovered(names, newest) }
    }
}

fn range_of(segments: &[SegmentName], first: Seq) -> Range<usize> {
    segments.partition_point(|name| name.first_seq < first)
        ..segments.partition_point(|name| name.first_seq <= first)
}

fn ends_nothing(check: Check, key: String, size: u64) -> Finding {
    let finding = Finding::of(check, format!("nothing: no segment ends at size {size}"), "an object");
    finding.at(key).seqs(Seq(size.saturating_sub(1)), size)
}

fn uncovered(names: &Names, newest: u64) -> Option<Uncovered> {
    let segments = names.segments.len() - range_of(&names.segments, Seq(newest)).start;
    let trees = names.trees.len() - names.trees.partition_point(|size| *size <= newest);
    (segments + trees > 0).then_some(Uncovered {
        first_seq: newest,
        segments: segments as u64,
        trees: trees as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Inventory;
    use schemas::Micros;
    use store::{Keep, Store, memory::Memory};

    fn plan(
        segments: &[u64],
        trees: &[u64],
        notes: &[u64],
        real: bool,
    ) -> (Vec<(u64, u64)>, Vec<Check>, Plan) {
        let layout = Layout::of("a/0");
        let store = Memory::new(std::sync::Arc::new(runtime::SystemClock));
        let put = |place: Place| store.put_new(&layout.key(&place), b"", Keep::Evidence).map(drop).unwrap();
        segments.iter().for_each(|seq| put(Place::segment(Micros(0), Seq(*seq))));
        trees.iter().for_each(|size| put(Place::Trees(*size)));
        notes.iter().for_each(|size| put(Place::Checkpoint(*size)));
        let mut findings = Findings::default();
        let inventory = Inventory::list(&store, None, &mut findings);
        let plan = Plan::of(&inventory.chains["a/0"], &layout, &mut findings, |_| Ok(real));
        let spans = plan.spans.iter().map(|span| (span.first.0, span.end)).collect();
        let checks = findings.into_sorted(None).0.iter().map(|finding| finding.check).collect();
        (spans, checks, plan)
    }

    #[test]
    fn spans_follow_from_whatever_names_them() {
        let (spans, checks, _) = plan(&[0, 5, 9], &[5, 9, 12], &[0, 5, 9, 12], false);
        assert_eq!((spans, checks), (vec![(0, 5), (5, 9), (9, 12)], vec![]));
        let (spans, checks, _) = plan(&[0, 9], &[5, 9, 12], &[0, 5, 9, 12], false);
        assert_eq!(
            (spans, checks),
            (vec![(0, 5), (5, 9), (9, 12)], vec![]),
            "a missing segment leaves its span"
        );
        let (spans, checks, _) = plan(&[0, 5], &[12], &[0, 12], true);
        assert_eq!((spans, checks), (vec![(0, 5), (5, 12)], vec![]), "a segment vouches for its own start");
        let (spans, checks, _) = plan(&[0, 3], &[12], &[0, 12], false);
        assert_eq!((spans, checks), (vec![(0, 12)], vec![Check::SegmentPlace]));
        let (spans, checks, _) = plan(&[0], &[3, 12], &[0, 4, 12], false);
        assert_eq!((spans, checks), (vec![(0, 12)], vec![Check::TreesPlace, Check::CheckpointPlace]));
    }

    #[test]
    fn what_is_above_the_newest_checkpoint_is_left_out_and_counted() {
        let (spans, checks, plan) = plan(&[0, 5, 9], &[5, 9], &[0, 5], false);
        assert_eq!((spans, checks), (vec![(0, 5)], vec![]));
        assert_eq!(plan.uncovered, Some(Uncovered { first_seq: 5, segments: 2, trees: 1 }));
    }
}
