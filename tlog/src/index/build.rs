//! Bringing an index up to date: segment by segment from where it stands, each followed link by link to the Checkpoint
//! at its end before anything of it is written.

use std::collections::HashSet;

use redb::ReadableTable;
use schemas::avro::Shape;
use schemas::{Checkpoint, Hash, SegmentFile, Seq, Tree, Walk, first_prev};

use super::state::State;
use super::{CHAINS, EVENTS, Index, IndexError, KEY_BYTES, id_of, key, number_of};
use crate::laid::Unfit;
use crate::sealed::MAX_SEGMENT_BYTES;
use crate::{Chain, Error, Result};

/// What is gathered before it is written: 28 MiB.
const COMMIT_EVENTS: usize = 1 << 20;

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Segments read.
    pub segments: u64,
    /// Events taken from them.
    pub events: u64,
}

impl Index {
    /// Takes what was archived in a chain since the last time. What was indexed of another chain under its name, as
    /// where an archive was replaced, is removed. Err: it stands where [`Index::covered`] says, and what it has up to
    /// there is found as before.
    pub fn update(&self, chain: &Chain) -> Result<Built, IndexError> {
        let (Some(newest), Some(first_prev)) = (chain.newest(), first_prev_of(chain)) else {
            return Ok(Built::default());
        };
        let begun = match self.state_of(chain)? {
            // Where nothing is read, nothing could show its events to be others: then the root does, and an archive that
            // is shorter than what was followed in it is another one.
            Some(state)
                if state.walk.tree().size() < newest.size || state.walk.tree().root() == newest.root =>
            {
                state
            }
            _ => self.begin(chain, first_prev)?,
        };
        let had = begun.walk.tree().clone();
        match self.extend(chain, &newest, begun) {
            // What it has may be of another history of the same key. Then it fits from the start only. A segment that is
            // damaged is no reason to read all of those before it again.
            Err(IndexError::Archive(Error::Misfit { .. })) if is_of_another(chain, &newest, &had)? => {
                let begun = self.begin(chain, first_prev)?;
                self.extend(chain, &newest, begun)
            }
            built => built,
        }
    }

    /// How many events of a chain, from its first on, are found by their ids.
    pub fn covered(&self, chain: &Chain) -> Result<u64, IndexError> {
        Ok(self.state_of(chain)?.map_or(0, |state| state.walk.tree().size()))
    }

    fn extend(&self, chain: &Chain, newest: &Checkpoint, mut state: State) -> Result<Built, IndexError> {
        let (mut built, mut gathered) = (Built::default(), Vec::new());
        while state.walk.tree().size() < newest.size {
            let (walk, mut keys) = match read_segment(chain, newest, &state) {
                Ok(read) => read,
                Err(error) => {
                    // What came before it was followed to its Checkpoint.
                    if built.segments > 0 {
                        self.write(chain, &state, &mut gathered)?;
                    }
                    return Err(error.into());
                }
            };
            built.segments += 1;
            built.events += keys.len() as u64;
            gathered.append(&mut keys);
            state.walk = walk;
            if gathered.len() >= COMMIT_EVENTS {
                self.write(chain, &state, &mut gathered)?;
            }
        }
        if built.segments > 0 {
            self.write(chain, &state, &mut gathered)?;
        }
        Ok(built)
    }

    /// The state at the start of a chain. What the index has of one of its name is removed.
    fn begin(&self, chain: &Chain, first_prev: Hash) -> Result<State, IndexError> {
        let next_number = || -> Result<u32, redb::Error> {
            let writing = self.database.begin_write()?;
            let next = {
                let mut chains = writing.open_table(CHAINS)?;
                let was_there = chains.remove(chain.origin())?.is_some();
                let mut used = HashSet::new();
                for entry in chains.iter()? {
                    used.extend(State::parse(entry?.1.value()).map(|state| state.number));
                }
                if was_there {
                    writing.open_table(EVENTS)?.retain(|key, ()| used.contains(&number_of(key)))?;
                }
                used.iter().max().map_or(0, |number| number.saturating_add(1))
            };
            writing.commit()?;
            Ok(next)
        };
        let number = next_number().map_err(|error| self.failed(&error))?;
        Ok(State { number, first_prev, walk: Walk::begin(first_prev) })
    }

    /// All of it or nothing: keys and state in one transaction.
    fn write(&self, chain: &Chain, state: &State, keys: &mut Vec<[u8; KEY_BYTES]>) -> Result<(), IndexError> {
        keys.sort_unstable();
        let mut write = || -> Result<(), redb::Error> {
            let writing = self.database.begin_write()?;
            {
                let mut events = writing.open_table(EVENTS)?;
                for key in keys.drain(..) {
                    events.insert(&key, ())?;
                }
                writing.open_table(CHAINS)?.insert(chain.origin(), state.to_bytes().as_slice())?;
            }
            Ok(writing.commit()?)
        };
        write().map_err(|error| self.failed(&error))
    }
}

/// What a chain's first link has as prev. None: it has no key.
pub(super) fn first_prev_of(chain: &Chain) -> Option<Hash> {
    chain.keys().first().map(|note| first_prev(chain.origin(), &note.vkey.to_string()))
}

/// Whether what was followed to `had` is no beginning of the chain: its Checkpoint of that size has another root, or
/// where none was signed for that size, the newest tree begins otherwise. What cannot be read does not say so.
fn is_of_another(chain: &Chain, newest: &Checkpoint, had: &Tree) -> Result<bool> {
    let unless_misfit = |error| match error {
        Error::Misfit { .. } | Error::NotThere(_) => Ok(false),
        error => Err(error),
    };
    match chain.signed(had.size()) {
        Ok(signed) => return Ok(signed.checkpoint.root != had.root()),
        Err(Error::NotThere(_)) => {}
        Err(error) => return unless_misfit(error),
    }
    let mut first = 0;
    // The right edge has a node for each bit of the size, the highest first.
    let heights = (0..64u8).rev().filter(|height| had.size() >> height & 1 == 1);
    for (height, hash) in heights.zip(had.edge()) {
        match chain.node(newest, height, first >> height) {
            Ok(node) if node != *hash => return Ok(true),
            Ok(_) => first += 1 << height,
            Err(error) => return unless_misfit(error),
        }
    }
    Ok(false)
}

/// The keys of the next segment, and the chain at its end, which a Checkpoint must have signed.
fn read_segment(
    chain: &Chain,
    newest: &Checkpoint,
    state: &State,
) -> Result<(Walk, Vec<[u8; KEY_BYTES]>), Error> {
    let size = state.walk.tree().size();
    chain.in_segment_of(newest, Seq(size), MAX_SEGMENT_BYTES, |parts, trees| {
        let file = SegmentFile::parse(&parts.beginning)?;
        let (shape, schema_hash) =
            (Shape::parse(&file.header.event_schema)?, Hash::of(&[&file.header.event_schema]));
        let (mut walk, mut keys, mut misfit) = (state.walk.clone(), Vec::new(), None);
        file.walk(&shape, |sealed, _| {
            let seq = sealed.seq.0;
            let taken = walk.follow(sealed, &schema_hash).map_err(|misfit| misfit.to_string());
            let id = taken.and_then(|()| id_of(&shape, sealed.event_bytes).map_err(|why| why.to_string()));
            match id {
                Ok(id) => keys.push(key(id, state.number, seq)),
                Err(what) => misfit = Some(what),
            }
            misfit.is_none()
        })?;
        if let Some(what) = misfit {
            return Err(Unfit::Misfit(what));
        }
        let signed = chain.open_note(file.header.checkpoint.as_bytes())?.checkpoint;
        match (signed.size, signed.root) == (walk.tree().size(), walk.tree().root())
            && signed.size == trees.size
        {
            true => Ok((walk, keys)),
            false => {
                Err(Unfit::Misfit(format!("its events do not lead to the root signed at {}", signed.size)))
            }
        }
    })
}
