//! The trimmer: lets go of what is archived. The archiver's committed position says how far the archive should be, the
//! Head before it how far that took audit.events, and the archive itself whether it is true.
//!
//! Nothing is kept but what was looked at last. In a cluster it runs under an identity of its own: it reads audit.sealed,
//! the positions of groups and the notes of the archive, and it is the only one that may delete records.

mod metrics;
mod retries;
mod window;

use std::sync::Arc;
use std::time::Duration;

use runtime::{Clock, Deadline, Failure, Stop};
use schemas::{Hash, Head};
use store::{Notes, Store};
use stream::{Kind, Lane, Stream, topics};
use tracing::{debug, info, warn};

use crate::heads::{cut_head, record_at};
use crate::role;

pub use metrics::TrimmerMetrics;
pub use retries::KeepEvents;

const EVERY: Duration = Duration::from_secs(2);
/// The window's end is looked for so many times while a window passes, but no more seldom than `SELDOM`.
const LOOKS_A_WINDOW: u32 = 16;
const SELDOM: Duration = Duration::from_secs(600);
/// What holds, in the metric, when it is no group.
const THE_ARCHIVE: &str = "the archive";

/// Trims audit.sealed and audit.events of `chains` chains.
pub struct Trimmer {
    /// The seam.
    pub stream: Arc<dyn Stream>,
    /// The archive, of which it reads notes only.
    pub store: Arc<dyn Store>,
    /// The base origin: chain n is `<origin>/<n>`.
    pub origin: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How many chains there are.
    pub chains: u32,
    /// Records of audit.sealed stay for so long after they were written, archived or not. None: they go at once.
    pub trim_after: Option<Duration>,
    /// How much of audit.events stays for gateways that come back, archived or not. None: it goes at once.
    pub keep_events: Option<KeepEvents>,
    /// Other groups that read audit.sealed. What one of them has not done stays, and all of it while one of them has
    /// no position. audit.events is not theirs, and waits for none.
    pub wait_for: Vec<String>,
    /// How many of the last rejections of each chain stay in audit.rejected, the queue for replay. None: its own
    /// retention sees to it. All of them are in the archive.
    pub keep_rejected: Option<u64>,
    /// What it tells Prometheus.
    pub metrics: TrimmerMetrics,
}

/// What is known of one chain.
struct Known {
    chain: u32,
    sealed: Lane,
    events: Lane,
    /// The newest cut that was seen to be in the archive.
    archived: Option<Archived>,
    /// Up to where each lane was trimmed, or found to be.
    sealed_start: Option<u64>,
    events_start: Option<u64>,
    /// Where the window began when it was looked for, and when to look again.
    window: Option<(u64, Deadline)>,
    /// The same of audit.events.
    events_window: Option<(u64, Deadline)>,
    /// Up to where audit.events could have gone when that was looked for.
    events_until: Option<u64>,
    /// Why less is trimmed than could be, as it was said.
    said: Option<String>,
}

/// A cut whose Checkpoint is in the archive.
#[derive(Clone, Copy)]
struct Archived {
    head_offset: u64,
    source_position: u64,
    source_hash: Hash,
}

/// Where the groups are in audit.sealed, each for all chains.
struct Positions<'a> {
    archiver: Vec<Option<u64>>,
    waited_for: Vec<(&'a str, Vec<Option<u64>>)>,
}

impl Trimmer {
    /// Trims now and then until `stop` is set, and once more then. Err: it halted, and why.
    pub fn run(&self, stop: &Stop) -> Result<(), Failure> {
        let mut chains: Vec<Known> = (0..self.chains).map(Known::nothing_of).collect();
        let mut said = None;
        loop {
            let stopping = stop.wait(EVERY);
            let done = self.positions().and_then(|positions| {
                let mut chains = chains.iter_mut().take_while(|_| !stop.is_abandoned());
                chains.try_for_each(|known| self.retry_later(known, &positions))
            });
            match done {
                Err(Failure::Retry(why)) => {
                    self.metrics.failures.inc();
                    say(&mut said, format!("not trimmed, will try again: {why}"));
                }
                Err(halt) => return Err(halt),
                Ok(()) => {
                    self.metrics.passes.inc();
                    said = None;
                }
            }
            if stopping {
                return Ok(());
            }
        }
    }

    fn positions(&self) -> Result<Positions<'_>, Failure> {
        let lanes: Vec<Lane> = (0..self.chains).map(topics::sealed).collect();
        let of = |group: &str| {
            self.stream.positions(group, &lanes).map_err(|error| match error.kind() {
                Kind::Refused => Failure::Halt(format!(
                    "the positions of the group {group} may not be read: {error}. Grant this identity Describe on it and \
                     on {}",
                    topics::SEALED
                )),
                _ => error.into(),
            })
        };
        let waited_for = self.wait_for.iter().map(|group| Ok((group.as_str(), of(group)?)));
        Ok(Positions {
            archiver: of(&role().group)?,
            waited_for: waited_for.collect::<Result<_, Failure>>()?,
        })
    }

    /// A chain that cannot be trimmed now does not hold up the others.
    fn retry_later(&self, known: &mut Known, positions: &Positions<'_>) -> Result<(), Failure> {
        match self.trim(known, positions).and_then(|()| self.trim_rejected(known.chain)) {
            Err(Failure::Retry(why)) => {
                self.metrics.failures.inc();
                say(&mut known.said, format!("{}: not trimmed, will try again: {why}", known.sealed));
                Ok(())
            }
            other => other,
        }
    }

    /// The Head that ends what is archived stays, and in audit.events the record that it hashes: without them the
    /// chain could not be opened.
    fn trim(&self, known: &mut Known, positions: &Positions<'_>) -> Result<(), Failure> {
        let mut why = self.look_at_archive(known, positions.archiver[known.chain as usize])?;
        let Some(archived) = known.archived else {
            known.say(why);
            return Ok(());
        };
        let other_source = self.trim_events(known, &archived)?;
        why = why.or(other_source);
        let due = self.window_start(known, archived.head_offset)?;
        let mut before = due;
        for (group, positions) in &positions.waited_for {
            let position = positions[known.chain as usize];
            self.metrics.held(known.chain, group, position.is_none_or(|position| position < due));
            before = before.min(position.unwrap_or(0));
            if position.is_none() {
                why.get_or_insert_with(|| {
                    format!(
                        "{}: nothing is trimmed, for the group {group} has no position there. Start its reader, or \
                         take it out of trimmer.wait_for",
                        known.sealed
                    )
                });
            }
        }
        self.let_go(&known.sealed, before, &mut known.sealed_start)?;
        known.say(why);
        Ok(())
    }

    /// Takes note of the cut before the archiver's position if it is in the archive. Some: why it is not.
    fn look_at_archive(&self, known: &mut Known, position: Option<u64>) -> Result<Option<String>, Failure> {
        let Some(head_offset) = position.and_then(|position| position.checked_sub(1)) else {
            return Ok(None);
        };
        if known.archived.is_some_and(|archived| archived.head_offset >= head_offset) {
            return Ok(None);
        }
        let sealed = &known.sealed;
        // Trimmed further by somebody else already.
        let Ok(batch) = record_at(&*self.stream, sealed, head_offset)? else { return Ok(None) };
        let at = batch.get(0).filter(|record| record.offset == head_offset);
        let Some(head) = at.as_ref().and_then(cut_head) else {
            return Ok(Some(format!(
                "{sealed}: offset {head_offset} is not the Head that ends what is archived, though the position of the \
                 group {} says so. Nothing more is trimmed until it archives again",
                role().group
            )));
        };
        let is_archived = self.archive_holds(&format!("{}/{}", self.origin, known.chain), &head)?;
        self.metrics.held(known.chain, THE_ARCHIVE, !is_archived);
        if is_archived {
            let (source_position, source_hash) = (head.source_position, head.source_hash);
            known.archived = Some(Archived { head_offset, source_position, source_hash });
            return Ok(None);
        }
        Ok(Some(format!(
            "{sealed}: the archive does not hold size {}, which the position of the group {} says it does. Nothing more \
             is trimmed; see that this is the archive that the archiver writes to, and run `sealog verify` on it",
            head.size(),
            role().group
        )))
    }

    /// Whether the archive has a Checkpoint of this very cut. It is written after the segment was read back.
    fn archive_holds(&self, origin: &str, head: &Head) -> Result<bool, Failure> {
        let notes = Notes::read(&*self.store, origin)?;
        let checkpoint = match &notes.newest {
            Some(newest) if newest.size < head.size() => return Ok(false),
            Some(newest) if newest.size == head.size() => Some(newest.clone()),
            _ => notes.checkpoint_at(&*self.store, origin, head.size())?,
        };
        match checkpoint {
            None => Ok(false),
            // Anybody can sign the right root with a key of his own.
            Some(_) if notes.key_at(head.size()).is_none_or(|vkey| vkey.to_string() != head.vkey) => {
                Err(Failure::Halt(format!(
                    "{origin}: the archive's key is not the log's, {}: nothing was trimmed. Run `sealog verify` on the \
                     archive",
                    head.vkey
                )))
            }
            Some(checkpoint) if checkpoint.root == head.tree.root() => Ok(true),
            Some(checkpoint) => Err(Failure::Halt(format!(
                "{origin}: at size {} the archive has root {}, the log has {}. One of them is not this chain's: nothing \
                 was trimmed. Run `sealog verify` on the archive",
                head.size(),
                checkpoint.root,
                head.tree.root()
            ))),
        }
    }

    /// Up to where audit.sealed may go, as the window says.
    fn window_start(&self, known: &mut Known, head_offset: u64) -> Result<u64, Failure> {
        let Some(window) = self.trim_after else { return Ok(head_offset) };
        let from = match known.window {
            Some((start, rest)) if !rest.passed() => return Ok(start),
            looked => looked.map_or(0, |(start, _)| start),
        };
        let since_ms = self.since_ms(window);
        let start = window::first_young(&*self.stream, &known.sealed, (from, head_offset), since_ms)?;
        known.window = Some((start, look_again_after(window)));
        Ok(start)
    }

    /// What was written before this is older than the window.
    fn since_ms(&self, window: Duration) -> i64 {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        (self.clock.wall().0 / 1_000).saturating_sub(window_ms)
    }

    fn let_go(&self, lane: &Lane, before: u64, start: &mut Option<u64>) -> Result<(), Failure> {
        if start.unwrap_or(0) >= before {
            return Ok(());
        }
        self.stream.trim(lane, before).map_err(|error| match error.kind() {
            Kind::Refused => Failure::Halt(format!(
                "{lane}: trimming is not allowed: {error}. Grant this identity Delete on {} and {}, or switch trimming \
                 off with trimmer.enabled = false; then what is archived stays there until somebody else deletes it",
                topics::SEALED,
                topics::EVENTS
            )),
            // It was made anew since it was looked at.
            Kind::OutOfRange { .. } => Failure::Retry(error.to_string()),
            _ => error.into(),
        })?;
        *start = Some(before);
        self.metrics.trimmed(lane, before);
        debug!(%lane, before, "trimmed");
        Ok(())
    }

    fn trim_rejected(&self, chain: u32) -> Result<(), Failure> {
        let lane = topics::rejected(chain);
        let Some(keep) = self.keep_rejected else { return Ok(()) };
        let last = self.stream.last(&lane)?;
        match last.last().and_then(|record| record.offset.checked_sub(keep)) {
            Some(before) => self.let_go(&lane, before, &mut None),
            None => Ok(()),
        }
    }
}

impl Known {
    fn nothing_of(chain: u32) -> Known {
        Known {
            chain,
            sealed: topics::sealed(chain),
            events: topics::events(chain),
            archived: None,
            sealed_start: None,
            events_start: None,
            window: None,
            events_window: None,
            events_until: None,
            said: None,
        }
    }

    /// Says once why less is trimmed than could be, and once that it is over.
    fn say(&mut self, why: Option<String>) {
        match why {
            Some(why) => say(&mut self.said, why),
            None if self.said.take().is_some() => info!(lane = %self.sealed, "is trimmed again"),
            None => {}
        }
    }
}

/// When to look for a window's end again.
fn look_again_after(window: Duration) -> Deadline {
    Deadline::after((window / LOOKS_A_WINDOW).min(SELDOM))
}

/// Warns, unless it is what was said last.
fn say(said: &mut Option<String>, why: String) {
    if said.as_ref() != Some(&why) {
        warn!("{why}");
        *said = Some(why);
    }
}
