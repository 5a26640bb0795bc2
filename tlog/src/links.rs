//! The links under a tile of level 0, out of the segments that hold them. A segment is read whole, and the links of the
//! last few are kept: who asks for one tile mostly asks for the next one too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::avro::Shape;
use schemas::tiles::TILE_WIDTH;
use schemas::{Checkpoint, Hash, LINK_BYTES, Link, SegmentFile, Seq};

use crate::laid::Unfit;
use crate::sealed::MAX_SEGMENT_BYTES;
use crate::{Chain, Result};

/// What is kept of segments read.
const KEPT_BYTES: usize = 32 << 20;
/// So many links of one segment are kept at most.
const LINKS_KEPT: usize = KEPT_BYTES / LINK_BYTES;

impl Chain {
    /// The links whose hashes are the tile `index` of level 0 in the tree of `checkpoint`, each of them held against it.
    pub fn links(&self, checkpoint: &Checkpoint, index: u64) -> Result<Vec<Link>> {
        let leaves = self.tile(checkpoint, 0, index)?;
        let (first, mut links) = (index * TILE_WIDTH as u64, Vec::with_capacity(leaves.len()));
        while links.len() < leaves.len() {
            let (seq, due) = (Seq(first + links.len() as u64), &leaves[links.len()..]);
            let run = match self.kept.holding(seq, due) {
                Some(run) => run,
                None => self.read_run(checkpoint, seq, due)?,
            };
            links.extend(run.from(seq).iter().take(due.len()));
        }
        Ok(links)
    }

    /// Reads the segment that holds `seq`: the version whose links from there on are those leaves, as far as it goes.
    fn read_run(&self, checkpoint: &Checkpoint, seq: Seq, leaves: &[Hash]) -> Result<Arc<Run>> {
        let run = self.in_segment_of(checkpoint, seq, MAX_SEGMENT_BYTES, |parts, trees| {
            let file = SegmentFile::parse(&parts.beginning)?;
            let header = &file.header;
            if (header.first_seq, header.last_seq.0 + 1) != (trees.first_seq, trees.size) {
                return Err(Unfit::Misfit("its header is that of another segment".to_owned()));
            }
            let (shape, schema_hash) =
                (Shape::parse(&header.event_schema)?, Hash::of(&[&header.event_schema]));
            // Held against their leaves as they come. Of those behind, more are taken for the tiles that follow.
            let (mut links, mut other) = (Vec::new(), None);
            file.walk(&shape, |sealed, _| {
                if sealed.seq < seq {
                    return true;
                }
                let link = sealed.link(&schema_hash);
                let leaf = leaves.get(links.len());
                other = leaf.is_some_and(|leaf| link.hash() != *leaf).then_some(sealed.seq);
                links.push(link);
                other.is_none() && links.len() < LINKS_KEPT.max(leaves.len())
            })?;
            match other {
                Some(other) => Err(Unfit::Misfit(format!(
                    "its seq {other} is another than the one that was signed at size {}",
                    checkpoint.size
                ))),
                None => Ok(Run { first_seq: seq.0, links }),
            }
        })?;
        let run = Arc::new(run);
        self.kept.keep(Arc::clone(&run));
        Ok(run)
    }
}

/// Links of one segment, in a row.
#[derive(Debug)]
struct Run {
    first_seq: u64,
    links: Vec<Link>,
}

impl Run {
    /// The links from `seq` on. None of them if it is another segment's.
    fn from(&self, seq: Seq) -> &[Link] {
        let at = seq.0.checked_sub(self.first_seq).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.links.get(at..)).unwrap_or_default()
    }

    /// The first seq from `seq` on whose link is not that leaf.
    fn first_other_than(&self, seq: Seq, leaves: &[Hash]) -> Option<Seq> {
        let mut due = self.from(seq).iter().zip(leaves);
        due.find(|(link, leaf)| link.hash() != **leaf).map(|(link, _)| link.seq)
    }
}

/// The runs that were read last.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<VecDeque<Arc<Run>>>);

impl Runs {
    /// A run whose links from `seq` on are those leaves, as far as it goes.
    fn holding(&self, seq: Seq, leaves: &[Hash]) -> Option<Arc<Run>> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holds =
            |run: &&Arc<Run>| !run.from(seq).is_empty() && run.first_other_than(seq, leaves).is_none();
        runs.iter().find(holds).cloned()
    }

    fn keep(&self, run: Arc<Run>) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push_front(run);
        let mut bytes = 0;
        runs.retain(|run| {
            bytes += run.links.len() * LINK_BYTES;
            bytes <= KEPT_BYTES || bytes == run.links.len() * LINK_BYTES
        });
    }
}
