//! `sealog cat`

mod chain;
mod condition;
mod lines;
mod segment;

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use runtime::Stop;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use store::Store;
use verifier::{Ahead, Bound};

use crate::archive::{AtS3, Place};
use chain::ChainReader;
use condition::Condition;
pub(super) use lines::Line;
use lines::Lines;

/// Print the events of an archive as JSON lines.
///
/// It reads and does not check: run `sealog verify` to know that the archive is what was sealed. Only where a segment has
/// several versions it looks at signatures, and prints the one that gives the signed root. Each line has seq, sealed_at,
/// hash, chain and event.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Cat {
    /// The archive: a folder, such as sealog-data/archive, a bucket as s3://bucket/prefix, or a copy behind a web server
    /// that lists its folders, as https://host/path.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    at: AtS3,
    /// One chain only, by its origin or its number [default: all, one after the other].
    #[arg(long, value_name = "ORIGIN|N")]
    chain: Option<String>,
    /// From this seq, or from what was sealed at this time on (RFC 3339, or a date in UTC).
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Bound>,
    /// Up to and with this seq, or what was sealed at this time.
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<Bound>,
    /// Only events for which this holds: field=value, field!=value or field~glob, where a glob has * and ?. Fields are
    /// those of `event`, with dots between their parts; of a list any member will do; attributes are attributes.NAME.
    /// Given several times, all must hold.
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
    /// Go on with what is archived from now on, until Ctrl-C or until nobody reads any more.
    #[arg(long)]
    follow: bool,
    /// What a line has: all of it, or the event alone.
    #[arg(long, value_enum, default_value_t = Fields::All)]
    fields: Fields,
    /// Stop after so many events.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

const EXAMPLES: &str = "Examples:
  sealog cat sealog-data/archive --where action=user.login --where outcome!=success
  sealog cat sealog-data/archive --from 2026-11-21T09:00:00Z --where 'targets~door-*'
  sealog cat sealog-data/archive --follow --where attributes.region=eu --fields event";

/// What a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fields {
    All,
    Event,
}

/// How long new segments may lie unseen; where each look is a request that is paid for, longer.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const LOOK_AGAIN_AFAR: Duration = Duration::from_secs(5);

pub fn run(cat: Cat) -> Result<ExitCode> {
    let place = Place::of(&cat.archive, &cat.at)?;
    let store = place.open()?;
    let reading = place.reading();
    let look_again = if reading.is_remote { LOOK_AGAIN_AFAR } else { LOOK_AGAIN };
    // For a few events not much is read in advance.
    let ahead = if cat.limit.is_some() { reading.ahead.with_threads(2) } else { reading.ahead };
    let stop = Stop::new();
    if cat.follow {
        let (mut signals, stop) = (Signals::new([SIGINT, SIGTERM])?, stop.clone());
        thread::spawn(move || signals.forever().take(1).for_each(|_| stop.set()));
    }
    let mut lines = Lines::to(io::stdout().lock(), &cat);
    let ended = print(store.as_ref(), &ahead, &cat, &mut lines, (&stop, look_again), stdout_is_closed);
    match ended.and_then(|()| Ok(lines.flush()?)) {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        ended => ended.map(|()| ExitCode::SUCCESS),
    }
}

/// Prints what is there and, if asked to follow, what comes, looking for it again and again, until `stop` or until
/// nobody reads.
fn print<W: io::Write>(
    store: &dyn Store,
    ahead: &Ahead,
    cat: &Cat,
    lines: &mut Lines<W>,
    (stop, look_again): (&Stop, Duration),
    is_closed: impl Fn() -> bool,
) -> Result<()> {
    let mut chains: Vec<ChainReader> = Vec::new();
    loop {
        for origin in verifier::origins(store).with_context(|| cat.archive.clone())? {
            if is_wanted(&origin, cat.chain.as_deref())
                && !chains.iter().any(|chain| chain.origin() == origin)
            {
                chains.push(ChainReader::new(&origin, cat.from, cat.to));
            }
        }
        match (&cat.chain, chains.is_empty(), cat.follow) {
            (Some(chain), true, false) => bail!("{}: there is no chain {chain}", cat.archive),
            (None, true, false) => bail!("{}: there is no chain: is this the archive's root?", cat.archive),
            _ => {}
        }
        for chain in &mut chains {
            chain.print_new(store, ahead, lines)?;
            if lines.is_done() {
                return Ok(());
            }
        }
        let all_ended = !chains.is_empty() && chains.iter().all(ChainReader::has_ended);
        if !cat.follow || all_ended {
            return Ok(());
        }
        lines.flush()?;
        if stop.wait(look_again) || is_closed() {
            return Ok(());
        }
    }
}

/// Whether a chain is the one that `--chain` asks for, by its origin or its number.
pub(super) fn is_wanted(origin: &str, asked: Option<&str>) -> bool {
    let number = origin.rsplit_once('/').map(|(_, number)| number);
    asked.is_none_or(|asked| asked == origin || (Some(asked) == number && asked.parse::<u32>().is_ok()))
}

/// Whether whoever read our output has gone: else nothing would tell until the next event.
fn stdout_is_closed() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let asked = poll(&mut watched, Some(&at_once));
    asked.is_ok_and(|_| watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
