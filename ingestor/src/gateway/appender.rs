//! The appender: one thread through which every request reaches the stream. While one append is being made durable,
//! requests gather; the next append takes them all, so that small requests share one commit.
//!
//! It alone knows what was sent lately, so no two requests with one Idempotency-Key are ever written both, however
//! close they come.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use prometheus::IntCounter;
use runtime::{Clock, Failure, Stop};
use stream::{Batch, Kind, Stream, topics};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::prepare::{Item, Prepared, Verdict};
use super::recall::recall;
use super::waiting::Reserved;
use super::window::{Seen, Window};
use crate::metrics::Metrics;

/// Requests are gathered until they are as large as this.
const GROUP_BYTES: usize = 8 << 20;

/// A request on its way through.
pub(super) struct Job {
    pub prepared: Prepared,
    /// Its share of what may wait.
    pub reserved: Reserved,
    pub answer: oneshot::Sender<Result<(Prepared, Reserved), NotAppended>>,
}

/// What comes to the appender.
pub(super) enum Message {
    Append(Box<Job>),
    /// Nobody sends any more: finish what waits, and end.
    End,
}

/// Why a request's items are not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAppended {
    /// The stream is not there, or did not answer in time.
    Away,
    /// It has no room.
    Full,
    /// It takes no record so large.
    TooLarge,
}

/// The thread's state.
pub(super) struct Appender {
    stream: Arc<dyn Stream>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    repeated: IntCounter,
    window: Window,
    window_items: usize,
    /// Up to where each chain's lane is in the window, at least.
    recalled: Vec<Option<u64>>,
    /// What the stream holds may be more than the window knows.
    in_doubt: bool,
    merged: Batch,
    /// Set, with the reason, when the stream says that nothing may go on.
    halt: Stop,
    halted: Option<Failure>,
}

impl Appender {
    pub fn new(
        stream: Arc<dyn Stream>,
        clock: Arc<dyn Clock>,
        (metrics, repeated): (Metrics, IntCounter),
        (chains, window_items): (u32, usize),
        halt: Stop,
    ) -> Appender {
        Appender {
            stream,
            clock,
            metrics,
            repeated,
            window: Window::new(window_items),
            window_items: window_items / chains.max(1) as usize,
            recalled: vec![None; chains as usize],
            in_doubt: true,
            merged: Batch::new(),
            halt,
            halted: None,
        }
    }

    /// Appends what comes until the end is said. Everything that came before is answered by then.
    pub fn run(mut self, inbox: &Receiver<Message>) -> Result<(), Failure> {
        // So the first request need not wait for it. If the stream is away, the first request says so.
        let _ = self.settle_doubt();
        let mut ending = false;
        while !ending {
            let mut group = Vec::new();
            match inbox.recv() {
                Ok(Message::Append(job)) => group.push(*job),
                Ok(Message::End) | Err(_) => break,
            }
            let mut bytes = group[0].prepared.batch.size_bytes();
            while bytes < GROUP_BYTES && !ending {
                match inbox.try_recv() {
                    Ok(Message::Append(job)) => {
                        bytes += job.prepared.batch.size_bytes();
                        group.push(*job);
                    }
                    Ok(Message::End) | Err(TryRecvError::Disconnected) => ending = true,
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.append(group);
        }
        self.halted.map_or(Ok(()), Err)
    }

    /// One commit for all of the group, and everyone's answer.
    fn append(&mut self, mut group: Vec<Job>) {
        let result = self.settle_doubt().and_then(|()| self.write(&mut group));
        match result {
            // One record that the stream refuses must not cost the others their place.
            Err(NotAppended::TooLarge) if group.len() > 1 => {
                for job in group {
                    self.append(vec![job]);
                }
            }
            result => {
                for job in group {
                    let Job { prepared, reserved, answer } = job;
                    if result.is_ok() {
                        self.count(&prepared);
                    }
                    // Whoever does not wait any more will ask again.
                    let _ = answer.send(result.map(|()| (prepared, reserved)));
                }
            }
        }
    }

    /// Reads into the window what the stream may hold beyond it.
    fn settle_doubt(&mut self) -> Result<(), NotAppended> {
        if !self.in_doubt {
            return Ok(());
        }
        for chain in 0..self.recalled.len() {
            let (from, most) = (self.recalled[chain], self.window_items);
            let next = recall(&*self.stream, chain as u32, from, &mut self.window, most);
            self.recalled[chain] =
                Some(next.map_err(|error| self.not_done("reading back what was sent", &error))?);
        }
        self.in_doubt = false;
        Ok(())
    }

    fn write(&mut self, group: &mut [Job]) -> Result<(), NotAppended> {
        self.merged.clear(GROUP_BYTES);
        let mut repeats = false;
        for job in group.iter_mut() {
            repeats |= self.find_repeats(&mut job.prepared);
        }
        // A request that is alone and whole is written as it lies.
        let alone = group.len() == 1 && !repeats;
        if !alone {
            for job in group.iter() {
                merge(&job.prepared, &mut self.merged);
            }
        }
        let batch = if alone { &group[0].prepared.batch } else { &self.merged };
        let started = self.clock.boot();
        let appended = if batch.is_empty() { Ok(()) } else { self.stream.append(batch) };
        match appended {
            Ok(()) => {
                self.window.keep();
                let took_us = self.clock.boot().0 - started.0;
                self.metrics.commit.observe(took_us as f64 / 1e6);
                self.metrics
                    .commit_items
                    .observe(group.iter().map(|j| j.prepared.items.len()).sum::<usize>() as f64);
                self.metrics.written_bytes.inc_by(batch.size_bytes() as u64);
                for record in batch.iter().filter(|record| &*record.lane.topic == topics::EVENTS) {
                    if let Some(Some(at)) = self.recalled.get_mut(record.lane.partition as usize) {
                        *at += 1;
                    }
                }
                Ok(())
            }
            Err(error) => {
                self.window.forget();
                Err(self.not_done("appending", &error))
            }
        }
    }

    /// Marks the items that were sent before; true if there are any.
    fn find_repeats(&mut self, prepared: &mut Prepared) -> bool {
        let mut any = false;
        for item in &mut prepared.items {
            item.seen = item.sent.map_or(Seen::New, |sent| self.window.see(sent));
            any |= item.seen != Seen::New;
        }
        any
    }

    /// What an error of the stream means for who asked.
    fn not_done(&mut self, what: &str, error: &stream::Error) -> NotAppended {
        warn!("{what}: {error}");
        match error.kind() {
            Kind::Full => NotAppended::Full,
            Kind::TooLarge => NotAppended::TooLarge,
            Kind::Away | Kind::Lost | Kind::OutOfRange { .. } => {
                // It may have been done: before anything else is written, what is there is read.
                self.in_doubt = true;
                NotAppended::Away
            }
            Kind::Damaged | Kind::Refused => {
                self.in_doubt = true;
                if self.halted.is_none() {
                    self.halted = Some(Failure::Halt(error.to_string()));
                    info!("the gateway stops: nothing may be written any more");
                }
                self.halt.set();
                NotAppended::Away
            }
        }
    }

    fn count(&self, prepared: &Prepared) {
        self.metrics.received.inc_by(prepared.items.len() as u64);
        self.metrics.received_bytes.inc_by(prepared.original_bytes as u64);
        for item in &prepared.items {
            match (&item.verdict, item.seen) {
                (Verdict::Durable, Seen::New) => self.metrics.events.inc(),
                (Verdict::Rejected(reason, _), Seen::New) => {
                    self.metrics.rejected(*reason);
                    self.metrics.events.inc();
                }
                (_, Seen::Same | Seen::Other) => self.repeated.inc(),
            }
        }
    }
}

/// Adds the records of the items that are to be written.
fn merge(prepared: &Prepared, into: &mut Batch) {
    // The numbers of the lanes, in their order, are part of the order of writes.
    for lane in prepared.batch.lanes() {
        into.lane(lane);
    }
    let mut at = 0;
    for Item { records, seen, .. } in &prepared.items {
        if *seen == Seen::New {
            (at..at + records).for_each(|index| into.push_from(&prepared.batch, index));
        }
        at += records;
    }
}
