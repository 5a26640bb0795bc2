//! `sealog verify`

mod given;
mod progress;
mod promise;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::{Clock, SystemClock};
use store::Retention;
use verifier::{Bound, Options, Report, Scope};

use super::verdict;
use crate::archive::{AtS3, Place};
use given::{keep, known, revoked};
pub(super) use given::{pinned, read_small};
use progress::Progress;
pub(super) use promise::locked;
use promise::promise;

/// Check an archive, whole: signatures, links, roots, every byte that is stored, and how it is kept.
///
/// Needs nothing but the archive, and writes nothing into it. The last line is the verdict. `intact but unanchored` means that
/// everything fits, and that nothing outside the archive vouches for it: give the operator's public key with --key, and
/// with --known a checkpoint that you kept (any file of <origin>/checkpoints/), and it can say `intact`. A check of a
/// part, with --from, --to or --quick, never does: its verdict begins with `range check` or `quick check`, and the report
/// says what was not looked at.
///
/// Exit codes: 0 intact, intact but unanchored, or a check of a part that found nothing wrong; 1 broken, or custody at
/// risk; 2 usage; 3 inconclusive; 4 the verifier failed.
#[derive(Debug, Args)]
pub struct Verify {
    /// The archive: a folder, such as sealog-data/archive, a bucket as s3://bucket/prefix, or a copy behind a web server
    /// that lists its folders, as https://host/path.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    #[command(flatten)]
    at: AtS3,
    /// The operator's public key, as `sealog keygen` prints it, or a file with one a line. Without it the key in the
    /// archive is taken on trust. One key serves all chains, whichever of them it is named for.
    #[arg(long, value_name = "FILE|VKEY")]
    key: Option<String>,
    /// A key that was stolen or lost, or a file with one a line, and the size from which on what it signed counts by itself
    /// no more: only as far as a checkpoint of --known or a later key of --key vouches for it. The size is one of the
    /// chain that the key is named for; in each other chain that it signs it is revoked from 0 on, unless it is given under
    /// that name too. Can be given many times.
    #[arg(long, value_name = "KEY@SIZE")]
    revoked: Vec<String>,
    /// A checkpoint that you kept, or a file with several, one behind the other: the archive must be a continuation of
    /// each. Can be given many times.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Walk only what holds the events from this seq, or from what was sealed at this time on (RFC 3339, or a date in
    /// UTC).
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Bound>,
    /// Walk only what holds the events up to and with this seq, or what was sealed at this time.
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<Bound>,
    /// Check names, notes, keys, locks and headers of everything, and walk a random sample of the segments.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    quick: bool,
    /// With --quick: how many segments of each chain are walked.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "quick")]
    sample: usize,
    /// With --quick: draw the sample that an earlier report names by this number.
    #[arg(long, value_name = "N", requires = "quick")]
    seed: Option<u64>,
    /// What every object of a bucket must be locked with from when it was written, as compliance:7y or governance:90d.
    /// Without it, what the bucket's default retention says.
    #[arg(long, value_name = "MODE:PERIOD", value_parser = locked)]
    locked: Option<Retention>,
    /// Write the newest checkpoint of each chain to this new file, to be given with --known next time: if all of the
    /// archive was checked and nothing is wrong. Keep it where the operator cannot reach it.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Print the whole report as JSON. docs/report.schema.json says what is in it.
    #[arg(long)]
    json: bool,
    /// Exit with 3 unless the archive is `intact`: also when it is unanchored, or only a part was checked.
    #[arg(long)]
    require_anchor: bool,
}

const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const VERIFIER_FAILED: u8 = 4;

/// Never `Err`: its exit code would read as a verdict.
pub fn run(args: Verify) -> Result<ExitCode> {
    end_with_4_on_a_bug();
    let asked = Place::of(&args.archive, &args.at).and_then(|place| Ok((options(&args, &place)?, place)));
    let (mut options, place) = match asked {
        Ok(asked) => asked,
        Err(error) => return Ok(said(USAGE, &format!("{error:#}"))),
    };
    let opened = place.open().and_then(|archive| Ok((archive, promise(&args, &place)?)));
    let (archive, promise) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(said(INCONCLUSIVE, &format!("{error:#}. verdict: inconclusive"))),
    };
    options.custody = promise;
    let progress = Progress::begin();
    if let Some(progress) = &progress {
        options.watch = Some(progress.clone());
    }
    let report = verifier::verify(archive.as_ref(), &options);
    if let Some(progress) = progress {
        progress.end();
    }
    let done = keep(&args, &report).and_then(|()| print(&args, &report));
    Ok(match done {
        Ok(()) => ExitCode::from(report.exit_code(args.require_anchor)),
        Err(error) => said(VERIFIER_FAILED, &format!("the report could not be written: {error:#}")),
    })
}

fn said(code: u8, what: &str) -> ExitCode {
    verdict::said("verify", code, what)
}

fn said_note(what: &str) {
    verdict::note("verify", what);
}

fn end_with_4_on_a_bug() {
    let what = "the verifier itself failed, which says nothing about the archive";
    verdict::end_with_on_a_bug("verify", VERIFIER_FAILED, what);
}

fn options(args: &Verify, place: &Place) -> Result<Options> {
    if args.locked.is_some() && !place.locks() {
        bail!("{}: --locked is for s3://bucket/prefix: nothing else locks anything", args.archive);
    }
    let pinned = match &args.key {
        Some(key) => pinned(key).context("--key")?,
        None => Vec::new(),
    };
    if let Some(path) = args.keep.as_ref().filter(|path| path.exists()) {
        bail!("--keep {}: it is there already, and what was kept is not written over", path.display());
    }
    let (known, revoked) = (known(&args.known)?, revoked(&args.revoked)?);
    let (now, reading, scope) = (SystemClock.wall(), place.reading(), scope(args)?);
    let archive = args.archive.clone();
    Ok(Options { archive, pinned, revoked, known, now, reading, scope, ..Options::default() })
}

fn scope(args: &Verify) -> Result<Scope> {
    if args.quick {
        let seed = args.seed.unwrap_or_else(|| u64::from_be_bytes(runtime::random_bytes()));
        return Ok(Scope::Quick { sample: args.sample, seed });
    }
    let is_backwards = match (args.from, args.to) {
        (None, None) => return Ok(Scope::Full),
        (Some(Bound::Seq(from)), Some(Bound::Seq(to))) => from > to,
        (Some(Bound::Time(from)), Some(Bound::Time(to))) => from > to,
        _ => false,
    };
    if is_backwards {
        bail!("--from is behind --to: nothing lies between");
    }
    Ok(Scope::Range { from: args.from, to: args.to })
}

fn print(args: &Verify, report: &Report) -> Result<()> {
    let text = match args.json {
        true => serde_json::to_string_pretty(report)? + "\n",
        false => report.to_string(),
    };
    Ok(verdict::print(&text)?)
}

#[cfg(test)]
mod tests;
