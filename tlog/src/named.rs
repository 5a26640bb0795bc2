//! Which names among the trees files count: those at whose size a Checkpoint was signed. Whoever may put can put others
//! between them, as many as he likes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use schemas::{Checkpoint, Place};
use store::Kind;

use crate::listing::Named;
use crate::{Chain, Error, Result};

/// So many names that nobody signed are passed over on the way to one that was signed.
const MAX_FALSE_NAMES: usize = 1_000;
/// A name counts as so many if it cannot be read whether it was signed: that was asked of as many versions as are asked.
const UNREAD_COUNTS: usize = 100;
/// Of so many sizes it is kept whether they were signed.
const SIZES_KEPT: usize = 4_096;

/// What a page of names gave.
enum Step<T> {
    Found(T),
    /// Nothing yet: names from this size on may.
    From(u64),
}

/// What was passed over.
#[derive(Default)]
struct Passed {
    names: usize,
    /// Why of one of them it is not known whether it was signed.
    unread: Option<Error>,
}

impl Chain {
    /// What `find` makes of the trees file of the first size, from `size` on, at which a Checkpoint was signed; it may be
    /// asked of others before, and what it finds there is taken. `Unread` if too many others lie there.
    pub(crate) fn in_first_signed<T>(
        &self,
        checkpoint: &Checkpoint,
        size: u64,
        mut find: impl FnMut(&Named) -> Result<T>,
    ) -> Result<T> {
        let (mut from, mut passed) = (size, Passed::default());
        loop {
            let before = passed.names;
            let step = self.among_trees(from, |names| {
                passed.names = before;
                self.step(checkpoint, size, names, &mut passed, &mut find)
            })?;
            match step {
                Step::Found(found) => return Ok(found),
                Step::From(size) => from = size,
            }
        }
    }

    fn step<T>(
        &self,
        checkpoint: &Checkpoint,
        first: u64,
        names: &[Named],
        passed: &mut Passed,
        find: &mut impl FnMut(&Named) -> Result<T>,
    ) -> Result<Step<T>> {
        for named in names.iter().take_while(|named| named.size <= checkpoint.size) {
            // The first one with nothing laid over it mostly is the right one: then to ask what is signed is for nothing.
            let is_likely = passed.names == 0 && named.versions.len() == 1;
            let mut failed = None;
            if is_likely {
                match find(named) {
                    Err(error) if !is_away(&error) => failed = Some(error),
                    found => return found.map(Step::Found),
                }
            }
            passed.names += match (self.was_signed(named.size), failed) {
                (Ok(true), Some(error)) => return Err(error),
                (Ok(true), None) => return find(named).map(Step::Found),
                (Ok(false), _) => 1,
                (Err(error), _) if is_away(&error) => return Err(error),
                (Err(error), failed) => {
                    passed.unread.get_or_insert(error);
                    match failed.map_or_else(|| find(named), Err) {
                        Err(error) if !is_away(&error) => UNREAD_COUNTS,
                        found => return found.map(Step::Found),
                    }
                }
            };
            if passed.names >= MAX_FALSE_NAMES {
                return Err(self.too_many_names(first));
            }
        }
        match names.last().filter(|last| last.size < checkpoint.size) {
            Some(last) => Ok(Step::From(last.size + 1)),
            None => Err(passed.unread.take().unwrap_or_else(|| {
                let key = self.layout.key(&Place::Trees(first));
                Error::misfit(&key, "neither it nor one behind it is there")
            })),
        }
    }

    fn too_many_names(&self, first: u64) -> Error {
        let what = format!(
            "{MAX_FALSE_NAMES} names from here on were passed over that no Checkpoint was signed for. Whether a right \
             one lies behind them is not known: see who puts them there"
        );
        store::Error::new(Kind::Crowded, &self.layout.key(&Place::Trees(first)), what).into()
    }

    /// Whether a signed Checkpoint of that size is there.
    fn was_signed(&self, size: u64) -> Result<bool> {
        if let Some(was_signed) = self.sizes.get(size) {
            return Ok(was_signed);
        }
        let was_signed = match self.signed(size) {
            Ok(_) => true,
            Err(Error::NotThere(_) | Error::Misfit { .. }) => false,
            Err(error) => return Err(error),
        };
        // A Checkpoint of a larger size than the newest may be signed yet.
        if was_signed || self.newest().is_some_and(|newest| size <= newest.size) {
            self.sizes.keep(size, was_signed);
        }
        Ok(was_signed)
    }
}

/// Whether nothing else can be read now either.
fn is_away(error: &Error) -> bool {
    matches!(error, Error::Unread(error) if error.kind() == Kind::Away)
}

/// Whether a Checkpoint of a size was signed, as far as it was asked.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Mutex<HashMap<u64, bool>>);

impl Sizes {
    fn get(&self, size: u64) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&size).copied()
    }

    fn keep(&self, size: u64, was_signed: bool) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= SIZES_KEPT {
            sizes.clear();
        }
        sizes.insert(size, was_signed);
    }
}
