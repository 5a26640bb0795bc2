//! The parts of one process: run side by side, and ended one after the other in the order of the road.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime::{Deadline, Failure, Stop, halt_on_panic};
use signal_hook::iterator::Signals;
use tracing::{error, info};

/// What was begun is to be finished within this time after a stop; then it is left where it is durable.
const FINISH_WITHIN: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(200);

/// One part, to be run on a thread of its own.
pub struct Part<'a> {
    name: &'static str,
    run: Box<dyn FnOnce(&Stop) -> Result<(), Failure> + Send + 'a>,
}

impl<'a> Part<'a> {
    /// `run` returns soon after its stop is set, having finished its work.
    pub fn new(name: &'static str, run: impl FnOnce(&Stop) -> Result<(), Failure> + Send + 'a) -> Part<'a> {
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
pub fn run(parts: Vec<Part<'_>>, mut signals: Signals) -> Ended {
    let road: Vec<(&'static str, Stop)> = parts.iter().map(|part| (part.name, Stop::new())).collect();
    let handle = signals.handle();
    let (tell, news) = mpsc::channel();
    thread::scope(|scope| {
        let told = tell.clone();
        scope.spawn(move || signals.forever().for_each(|_| drop(told.send(News::Stop))));
        // From the end: what a part makes is wanted before it makes it.
        for (part, (_, stop)) in parts.into_iter().zip(&road).rev() {
            let tell = tell.clone();
            let Part { name, run } = part;
            scope.spawn(move || tell.send(News::Ended(name, halt_on_panic(name, || run(stop)))));
        }
        let ended = wait(&news, &road);
        handle.close();
        ended
    })
}

fn wait(news: &mpsc::Receiver<News>, road: &[(&'static str, Stop)]) -> Ended {
    let (mut ended, mut done) = (Ended::default(), Vec::new());
    let abandon = || road.iter().for_each(|(_, stop)| stop.abandon());
    let mut stopping: Option<Deadline> = None;
    while done.len() < road.len() {
        if let Some(deadline) = &stopping {
            // The first part that still runs is the one to end; those behind it still have its output to take.
            if let Some((_, stop)) = road.iter().find(|(name, _)| !done.contains(name)) {
                stop.set();
            }
            if deadline.passed() {
                abandon();
            }
        }
        match news.recv_timeout(LOOK) {
            Ok(News::Stop) if stopping.is_some() => abandon(),
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
