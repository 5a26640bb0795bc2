//! The segment that holds a seq, and one event out of it.
//!
//! The trees file names it. Of both there may be versions that somebody laid over the right ones: what fits the tree is
//! taken, and what is spent on the others is bounded.

use std::collections::HashSet;

use schemas::{Checkpoint, Place, Seq, TreesParts};
use store::Kind;
use store::versions::MAX_VERSIONS;

use crate::hashes::{BEGINNING_BYTES, parts_of};
use crate::laid::{Parts, Unfit, fitting};
use crate::sealed::Sealed;
use crate::{Chain, Error, Result, search};

/// What is read of a segment first: its header, and a small one whole.
const SEGMENT_BEGINNING_BYTES: u64 = 64 << 10;
/// So many versions that do not fit are looked into for one segment: all that are looked into of a trees file and of what
/// it names, and as many again where the names were kept and are listed anew.
const MAX_MISFITS: usize = 4 * MAX_VERSIONS;
/// And so much is read of them.
const MAX_MISFIT_BYTES: u64 = 16 << 30;

impl Chain {
    /// The event with that seq, as the tree of `checkpoint` has it.
    pub fn event(&self, checkpoint: &Checkpoint, seq: Seq) -> Result<Sealed> {
        if seq.0 >= checkpoint.size {
            return Err(self.not_covered(seq.0));
        }
        // One list from here on mostly names all files that are wanted: its own, and those of the tiles above it.
        self.trees_from(seq.0 + 1)?;
        let leaf = self.node(checkpoint, 0, seq.0)?;
        self.in_segment_of(checkpoint, seq, SEGMENT_BEGINNING_BYTES, |parts, trees| {
            search::find(self.origin(), parts, trees, seq, &leaf)
        })
    }

    /// What `fits` makes of the segment that holds `seq`: of the versions of its trees file, which names it, and of its
    /// own, the first of which it makes anything.
    pub(crate) fn in_segment_of<T>(
        &self,
        checkpoint: &Checkpoint,
        seq: Seq,
        beginning_bytes: u64,
        mut fits: impl FnMut(&Parts<'_>, &TreesParts) -> Result<T, Unfit>,
    ) -> Result<T> {
        let (store, mut spent) = (self.store.as_ref(), Spent::default());
        self.in_first_signed(checkpoint, seq.0 + 1, |named| {
            let mut tried = HashSet::new();
            fitting(store, &named.key, Some(&named.versions), BEGINNING_BYTES, |parts| {
                let trees = parts_of(parts, named.size)?;
                let key = self.segment_key(&trees, seq)?;
                // The key and this name say all that is held against a segment: a second time brings nothing else.
                if !tried.insert(key.clone()) {
                    return Err(Unfit::Misfit("it names a segment that does not fit".to_owned()));
                }
                spent.misfit(&key, 0)?;
                Ok(fitting(store, &key, None, beginning_bytes, |parts| match fits(parts, &trees) {
                    Err(unfit @ (Unfit::Misfit(_) | Unfit::Below(Error::Misfit { .. }))) => {
                        spent.misfit(parts.key, parts.read_bytes())?;
                        Err(unfit)
                    }
                    fits => fits,
                })?)
            })
        })
    }

    /// The key of the segment that a trees file names, if it can hold that seq.
    fn segment_key(&self, trees: &TreesParts, seq: Seq) -> Result<String, Unfit> {
        let place = Place::parse(&trees.segment_key);
        let is_named =
            matches!(place, Some(Place::Segment { first_seq, .. }) if first_seq == trees.first_seq);
        match is_named && (trees.first_seq.0..trees.size).contains(&seq.0) {
            true => Ok(format!("{}{}", self.layout.root(), trees.segment_key)),
            false => Err(Unfit::Misfit(format!("it does not name the segment that holds seq {seq}"))),
        }
    }
}

/// What was spent on what did not fit.
#[derive(Default)]
struct Spent {
    misfits: usize,
    bytes: u64,
}

impl Spent {
    /// Err: it is too much.
    fn misfit(&mut self, key: &str, bytes: u64) -> Result<(), store::Error> {
        self.misfits += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.misfits <= MAX_MISFITS && self.bytes <= MAX_MISFIT_BYTES {
            return Ok(());
        }
        let what = format!(
            "too much was laid over it or its trees file: {} versions were looked into, and none of them is the right \
             one. Whether another is, is not known: see who lays them there",
            self.misfits
        );
        Err(store::Error::new(Kind::Crowded, key, what))
    }
}
