//! One segment of a chain without a walk over all of it: of its versions the one that gives the signed root. For readers
//! that would else show what somebody laid over it, or before it.

use schemas::{Hash, Layout, Place, SegmentFile, Seq, Trees, first_prev};
use store::versions::{fitting, fitting_of};
use store::{Entry, Notes, NotesError, Object, Store};

use crate::Position;
use crate::reading::{MAX_SEGMENT_BYTES, MAX_TREES_BYTES};
use crate::segment::{SegmentInput, check_segment};

/// The signed history of a chain, to choose by.
pub struct Evidence<'a> {
    store: &'a dyn Store,
    origin: &'a str,
    layout: Layout,
    notes: Notes,
}

/// Which version of a segment is the evidence.
#[derive(Debug)]
pub enum Choice {
    /// This one: its links give the root that is signed for its end.
    Right(Box<Object>),
    /// None of them does.
    None,
    /// Nothing signed says it: there is no checkpoint for its end yet, or nothing proves what stands before it.
    Open,
}

impl<'a> Evidence<'a> {
    /// Reads the keys and the newest checkpoint of the chain.
    pub fn of(store: &'a dyn Store, origin: &'a str) -> Result<Evidence<'a>, NotesError> {
        let (layout, notes) = (Layout::of(origin), Notes::read(store, origin)?);
        Ok(Evidence { store, origin, layout, notes })
    }

    /// Chooses among the versions of the segment at `key`, newest first.
    pub fn segment(&self, key: &str, versions: &[Entry]) -> Result<Choice, NotesError> {
        let mut is_open = false;
        for version in versions.iter().filter(|entry| !entry.delete_marker) {
            let one = std::slice::from_ref(version);
            let Some((object, (first_seq, end))) = fitting_of(self.store, one, MAX_SEGMENT_BYTES, claims)?
            else {
                continue;
            };
            let signed = self.notes.checkpoint_at(self.store, self.origin, end)?;
            let (Some(signed), Some(start)) = (signed, self.position(first_seq)?) else {
                is_open = true;
                continue;
            };
            let summary = check_segment(&SegmentInput {
                origin: self.origin,
                key,
                first_seq,
                end,
                bytes: &object.bytes,
                start: Some(&start),
                trees: None,
                signed_root: Some(signed.root),
                roots_at: &[],
                bounds: (None, None),
                wants_openings: false,
                off: &[],
            });
            let root = summary.end.as_ref().map(Position::root);
            if root == Some(signed.root) && summary.findings.worst().is_none() {
                return Ok(Choice::Right(Box::new(object)));
            }
        }
        Ok(if is_open { Choice::Open } else { Choice::None })
    }

    /// Of the versions of a trees file, newest first, the one that gives the signed root, begins where a checkpoint is
    /// signed, and for which `fits` gives something: nobody has signed the name of the segment in it.
    pub fn trees<T>(
        &self,
        size: u64,
        versions: &[Entry],
        fits: impl Fn(&Trees) -> Option<T>,
    ) -> Result<Option<T>, NotesError> {
        let Some(signed) = self.notes.checkpoint_at(self.store, self.origin, size)? else { return Ok(None) };
        for version in versions.iter().filter(|entry| !entry.delete_marker) {
            let one = std::slice::from_ref(version);
            let found = fitting_of(self.store, one, MAX_TREES_BYTES, |object| proven(object, signed.root))?;
            let Some((_, (trees, _))) = found else { continue };
            if trees.size == size
                && let Some(fit) = fits(&trees)
                && self.notes.checkpoint_at(self.store, self.origin, trees.first_seq.0)?.is_some()
            {
                return Ok(Some(fit));
            }
        }
        Ok(None)
    }

    /// Where the chain stands before a seq, if that is proven.
    fn position(&self, first_seq: Seq) -> Result<Option<Position>, NotesError> {
        if first_seq == Seq(0) {
            let first_prev = |vkey: &schemas::Vkey| first_prev(self.origin, &vkey.to_string());
            return Ok(self.notes.key_at(0).map(|vkey| Position::begin(Some(first_prev(vkey)))));
        }
        let Some(signed) = self.notes.checkpoint_at(self.store, self.origin, first_seq.0)? else {
            return Ok(None);
        };
        let key = self.layout.key(&Place::Trees(first_seq.0));
        let found = fitting(self.store, &key, MAX_TREES_BYTES, |object| proven(object, signed.root))?;
        Ok(found.map(|(_, (_, position))| position))
    }
}

/// The seqs that a segment says it holds.
fn claims(object: &Object) -> Option<(Seq, u64)> {
    let header = SegmentFile::parse(&object.bytes).ok()?.header;
    Some((header.first_seq, header.last_seq.0 + 1))
}

fn proven(object: &Object, root: Hash) -> Option<(Trees, Position)> {
    let trees = Trees::parse(&object.bytes).ok()?;
    let position = Position::proven(&trees, root)?;
    Some((trees, position))
}
