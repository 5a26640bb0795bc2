//! The promises of the seam as one suite, run by the tests of every implementation on lanes of their own.
//!
//! No case assumes that offsets are contiguous, none sleeps: what an implementation shows only after a while (a
//! broker's markers) is waited for, up to the fixture's patience.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the test with a sentence")]

mod claims;
mod fences;
mod log;

use std::sync::Arc;
use std::time::Duration;

use runtime::Deadline;

use crate::{Batch, Claim, Fence, Kind, Lane, Limit, Member, Result, Role, Stream, topics};

pub use claims::*;
pub use fences::*;
pub use log::*;

/// What an implementation brings to be checked.
pub trait Fixture {
    /// A stream with two empty topics of `partitions` partitions each, which no other case has seen.
    fn ground(&self, case: &str, partitions: u32) -> Ground;

    /// How long the slowest step may take: a broker forms a group in seconds.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// The largest record that the topics take, key, headers and value together.
    fn max_record_bytes(&self) -> usize {
        topics::MAX_RECORD_BYTES
    }

    /// Whether `Groups::position` gives back what was committed.
    fn keeps_positions(&self) -> bool {
        true
    }
}

/// The place of one case.
pub struct Ground {
    /// The stream under test.
    pub stream: Arc<dyn Stream>,
    /// The topic that claims take from.
    pub source: String,
    /// The topic that commits go to.
    pub output: String,
}

/// A case: its name, and the function that panics where the promise is broken.
pub type Case = (&'static str, fn(&dyn Fixture));

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Every case, for a test harness that wants to run them one by one.
        pub const CASES: &[Case] = &[$((stringify!($case), $case)),*];
    };
}

cases![
    appended_records_come_back_whole_and_in_order,
    offsets_rise_and_a_second_read_gives_the_same,
    a_read_at_the_end_brings_nothing,
    a_waiting_read_wakes_up,
    a_read_outside_the_lane_is_out_of_range,
    a_read_keeps_its_limits,
    last_is_the_last_committed_record,
    a_trimmed_lane_keeps_what_was_not_let_go,
    an_append_with_too_large_a_record_leaves_nothing,
    a_claim_takes_what_was_appended,
    a_take_keeps_its_limits,
    a_waiting_take_wakes_up,
    a_take_outside_the_lane_leaves_the_claim_alive,
    a_commit_arrives_on_all_its_lanes,
    last_never_shows_half_a_commit,
    a_commit_with_too_large_a_record_leaves_nothing_and_the_claim_alive,
    a_commit_may_be_empty,
    a_whole_claim_takes_from_all_its_lanes,
    a_whole_claim_says_which_lane_is_out_of_range,
    a_reader_commits_positions,
    a_dropped_claim_is_handed_out_again,
    a_second_owner_fences_the_first,
    a_second_whole_owner_fences_the_first,
    a_fence_cuts_through_commits_under_way,
    dropping_a_member_ends_its_claims,
    lanes_move_between_members_and_each_record_is_forwarded_once,
];

/// Runs every case, one after the other, and says which.
pub fn all(fixture: &dyn Fixture) {
    for (name, case) in CASES {
        eprintln!("conformance: {name}");
        case(fixture);
    }
}

/// More than any case puts on a lane.
const AMPLE: Limit = Limit { records: 10_000, bytes: 64 << 20 };
/// How long a single call waits within a loop that has a deadline.
const TICK: Duration = Duration::from_millis(100);

/// A ground with its fixture's patience, and the verbs that cases are written in.
struct Scene {
    ground: Ground,
    patience: Duration,
}

impl Scene {
    fn new(fixture: &dyn Fixture, case: &str, partitions: u32) -> Scene {
        Scene { ground: fixture.ground(case, partitions), patience: fixture.patience() }
    }

    fn stream(&self) -> &dyn Stream {
        &*self.ground.stream
    }

    fn source(&self, partition: u32) -> Lane {
        Lane::new(&self.ground.source, partition)
    }

    fn output(&self, partition: u32) -> Lane {
        Lane::new(&self.ground.output, partition)
    }

    /// A role on the source topic. Its group is the case's own.
    fn role(&self, group: &str, fence: Fence) -> Role {
        let group = format!("{}.{group}", self.ground.source);
        Role { group, sources: vec![self.ground.source.clone()], fence }
    }

    /// `PerLane` under a name that is the case's own.
    fn per_lane(&self, group: &str) -> Role {
        self.role(group, Fence::PerLane(format!("{}.fence", self.ground.source)))
    }

    /// `Whole` under a name that is the case's own.
    fn whole(&self, group: &str, name: &str) -> Role {
        self.role(group, Fence::Whole(format!("{}.{name}", self.ground.source)))
    }

    fn join(&self, role: &Role) -> Box<dyn Member> {
        self.stream().join(role).unwrap_or_else(|e| panic!("joining {} failed: {e}", role.group))
    }

    /// Polls until a claim comes that covers all of `lanes`.
    fn win(&self, member: &mut dyn Member, lanes: &[Lane]) -> Box<dyn Claim> {
        let deadline = Deadline::after(self.patience);
        while !deadline.passed() {
            if let Some(claim) = member.poll(TICK).unwrap_or_else(|e| panic!("poll failed: {e}"))
                && lanes.iter().all(|lane| claim.lanes().contains(lane))
            {
                return claim;
            }
        }
        panic!("no claim on {lanes:?} came within {:?}", self.patience)
    }

    /// Joins, wins `lane` and starts at its first record.
    fn own(&self, role: &Role, lane: &Lane) -> (Box<dyn Member>, Box<dyn Claim>) {
        let mut member = self.join(role);
        let mut claim = self.win(&mut *member, std::slice::from_ref(lane));
        claim.start_at(lane, 0).unwrap();
        (member, claim)
    }

    fn append(&self, lane: &Lane, values: &[&str]) {
        self.stream().append(&batch(lane, values)).unwrap_or_else(|e| panic!("append to {lane} failed: {e}"));
    }

    /// Reads `count` records from `from` on, waiting for them.
    fn read(&self, lane: &Lane, from: u64, count: usize) -> Batch {
        let (mut got, mut at, deadline) = (Batch::new(), from, Deadline::after(self.patience));
        while got.len() < count {
            assert!(!deadline.passed(), "{lane} gave {} of {count} records: {:?}", got.len(), texts(&got));
            let limit = Limit { records: count - got.len(), ..AMPLE };
            self.stream()
                .read(lane, at, &mut got, limit, TICK)
                .unwrap_or_else(|e| panic!("read of {lane}: {e}"));
            at = got.last().map_or(from, |r| r.offset + 1);
        }
        got
    }

    /// Takes until `count` records have come.
    fn take(&self, claim: &mut dyn Claim, count: usize) -> Batch {
        let (mut got, deadline) = (Batch::new(), Deadline::after(self.patience));
        while got.len() < count {
            assert!(!deadline.passed(), "take gave {} of {count} records: {:?}", got.len(), texts(&got));
            let limit = Limit { records: count - got.len(), ..AMPLE };
            claim.take(&mut got, limit, TICK).unwrap_or_else(|e| panic!("take failed: {e}"));
        }
        got
    }

    /// The lane holds these values and no others: a record appended behind them is the next that a reader sees.
    fn holds_exactly(&self, lane: &Lane, values: &[&str]) {
        self.append(lane, &["(end)"]);
        let got = self.read(lane, 0, values.len() + 1);
        let expected: Vec<_> = values.iter().copied().chain(["(end)"]).collect();
        assert_eq!(texts(&got), expected, "what {lane} holds");
    }

    /// The value of the last record, once it is `expected`.
    fn last_becomes(&self, lane: &Lane, expected: &str) {
        let deadline = Deadline::after(self.patience);
        loop {
            let last = self.stream().last(lane).unwrap_or_else(|e| panic!("last of {lane}: {e}"));
            let last = texts(&last);
            if last == [expected] {
                return;
            }
            assert!(!deadline.passed(), "the last record of {lane} is {last:?}, not {expected}");
        }
    }

    /// The position of `lane`, once it is `expected`.
    fn position_becomes(&self, role: &Role, lane: &Lane, expected: u64) {
        let deadline = Deadline::after(self.patience);
        loop {
            let kept = self
                .stream()
                .positions(&role.group, std::slice::from_ref(lane))
                .unwrap_or_else(|e| panic!("position of {lane}: {e}"))[0];
            if kept == Some(expected) {
                return;
            }
            assert!(!deadline.passed(), "the position of {lane} is {kept:?}, not {expected}");
        }
    }
}

/// One record a value, without key and headers.
fn batch(lane: &Lane, values: &[&str]) -> Batch {
    let mut batch = Batch::new();
    let id = batch.lane(lane);
    for value in values {
        batch.push(id, None, &[], value.as_bytes());
    }
    batch
}

/// The values as text.
fn texts(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|r| std::str::from_utf8(r.value.unwrap_or(b"(null)")).unwrap_or("(bytes)")).collect()
}

fn kind_of<T>(result: Result<T>) -> Option<Kind> {
    result.err().map(|e| e.kind())
}
