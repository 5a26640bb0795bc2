//! The parts of one process: run side by side, and ended one after the other in the order of the road.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime::{Deadline, Failure, Stop, halt_on_panic};
use signal_hook::iterator::Signals;
use tracing::{error, info};

/// What was begun is to be finished within this time after a stop; then it is left where it is durable.
const FINISH_WITHIN: Duration = Duration::from_secs(25);
/// A part that is told to leave what it cannot finish may be waiting for an answer, as of a broker that is away. After
/// this time the process ends without it: whatever it does, it may be cut off at any moment.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

/// One part, to be run on a thread of its own.
pub struct Part {
    name: &'static str,
    run: Box<Run>,
}

type Run = dyn FnOnce(&Stop) -> Result<(), Failure> + Send;

impl Part {
    /// `run` returns soon after its stop is set, having finished its work.
    pub fn new(name: &'static str, run: impl FnOnce(&Stop) -> Result<(), Failure> + Send + 'static) -> Part {
        Part { name, run: Box::new(run) }
    }
}

/// How the parts ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// The first halt.
    pub halted: Option<Failure>,
    /// Parts that could not finish, and why.
    pub unfinished: Vec<(&'static str, String)>,
}

impl Ended {
    /// Why that part could not finish, if so.
    pub fn why_unfinished(&self, part: &str) -> Option<&str> {
        self.unfinished.iter().find(|(name, _)| *name == part).map(|(_, why)| why.as_str())
    }
}

/// What the main thread waits for.
enum News {
    /// A signal came.
    Stop,
    /// A part ended, of itself or because it was asked to.
    Ended(&'static str, Result<(), Failure>),
}

/// Runs them until a signal comes or one halts, then ends all, the first first: each has what came before it to finish.
/// A part that does not end is left behind, with its thread, for the end of the process.
pub fn run(parts: Vec<Part>, mut signals: Signals) -> Ended {
    let road: Vec<(&'static str, Stop)> = parts.iter().map(|part| (part.name, Stop::new())).collect();
    let handle = signals.handle();
    let (tell, news) = mpsc::channel();
    let told = tell.clone();
    thread::spawn(move || signals.forever().for_each(|_| drop(told.send(News::Stop))));
    // From the end: what a part makes is wanted before it makes it.
    for (Part { name, run }, (_, stop)) in parts.into_iter().zip(&road).rev() {
        let (tell, stop) = (tell.clone(), stop.clone());
        thread::spawn(move || tell.send(News::Ended(name, halt_on_panic(name, || run(&stop)))));
    }
    let ended = wait(&news, &road);
    handle.close();
    ended
}

fn wait(news: &mpsc::Receiver<News>, road: &[(&'static str, Stop)]) -> Ended {
    let (mut ended, mut done) = (Ended::default(), Vec::new());
    let (mut stopping, mut abandoned): (Option<Deadline>, Option<Deadline>) = (None, None);
    while done.len() < road.len() {
        if let Some(deadline) = &stopping {
            // The first part that still runs is the one to end; those behind it still have its output to take.
            if let Some((_, stop)) = road.iter().find(|(name, _)| !done.contains(name)) {
                stop.set();
            }
            if deadline.passed() {
                abandoned.get_or_insert_with(|| abandon(road));
            }
        }
        if abandoned.as_ref().is_some_and(Deadline::passed) {
            let left = road.iter().map(|(name, _)| *name).filter(|name| !done.contains(name));
            ended.unfinished.extend(left.map(|name| (name, "it was still waiting for an answer".to_owned())));
            return ended;
        }
        match news.recv_timeout(LOOK) {
            Ok(News::Stop) if stopping.is_some() => {
                abandoned.get_or_insert_with(|| abandon(road));
            }
            Ok(News::Stop) => {
                info!("stopping: what was begun is finished first");
                stopping = Some(Deadline::after(FINISH_WITHIN));
            }
            Ok(News::Ended(name, result)) => {
                done.push(name);
                match result {
                    Ok(()) => {}
                    Err(halt @ Failure::Halt(_)) => {
                        error!(stage = name, "{halt}");
                        ended.halted.get_or_insert(halt);
                    }
                    Err(unfinished) => ended.unfinished.push((name, unfinished.to_string())),
                }
                stopping.get_or_insert_with(|| Deadline::after(FINISH_WITHIN));
            }
            Err(_) => {}
        }
    }
    ended
}

/// Tells all to end now. Answers how long that may take.
fn abandon(road: &[(&'static str, Stop)]) -> Deadline {
    road.iter().for_each(|(_, stop)| stop.abandon());
    Deadline::after(ANSWER_WITHIN)
}
