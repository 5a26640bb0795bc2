//! The plan of what fails: every write can fail before it was done, and after.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Batch, Error, Kind, Lane, Result};

/// How one write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written, and the answer is `Away`: it may have been, for all the caller knows.
    NotDone,
    /// All was written, and the answer is `Away` all the same.
    Unheard,
    /// Nothing was written, and the answer is `Lost`: another owner was faster.
    Fenced,
    /// Nothing was written, and the answer is `Full`.
    Full,
}

impl Fault {
    /// Each of them, for a test that tries all.
    pub const ALL: [Fault; 4] = [Fault::NotDone, Fault::Unheard, Fault::Fenced, Fault::Full];
}

/// Which writes fail, and which lanes take none.
#[derive(Default)]
pub(super) struct Plan {
    writes: u64,
    faults: BTreeMap<u64, Fault>,
    refusing: BTreeSet<Lane>,
}

impl Plan {
    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Lets one write fail.
    pub fn fail(&mut self, write: u64, fault: Fault) {
        self.faults.insert(write, fault);
    }

    /// Lets every write to a lane fail, or no longer.
    pub fn refuse(&mut self, lane: &Lane, refuse: bool) {
        if refuse {
            self.refusing.insert(lane.clone());
        } else {
            self.refusing.remove(lane);
        }
    }

    /// Counts a write and says what is to become of it.
    pub fn next_write(&mut self) -> Option<Fault> {
        let fault = self.faults.remove(&self.writes);
        self.writes += 1;
        fault
    }

    /// The error of a write that is not to be done.
    pub fn check(&self, fault: Option<Fault>, records: &Batch) -> Result<()> {
        if let Some(full) = records.iter().map(|r| r.lane).find(|lane| self.refusing.contains(lane)) {
            return Err(Error::new(Kind::Full, format!("the test lets {full} refuse")));
        }
        match fault {
            Some(Fault::NotDone) => {
                Err(Error::new(Kind::Away, "the test lets this write fail before it was done"))
            }
            Some(Fault::Fenced) => Err(Error::new(Kind::Lost, "the test lets this write be fenced")),
            Some(Fault::Full) => Err(Error::new(Kind::Full, "the test lets this write find no room")),
            Some(Fault::Unheard) | None => Ok(()),
        }
    }
}

/// The error of a write that was done.
pub(super) fn unheard() -> Error {
    Error::new(Kind::Away, "the test lets this write be done and its answer be lost")
}
