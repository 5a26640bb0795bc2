//! `sealog prove`

mod by_id;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use schemas::Seq;
use store::Store;
use tlog::{Chain, Error, IndexError, Signed};
use verifier::Known;

use super::cat::is_wanted;
use super::verify::read_small;
use crate::archive::{AtS3, Place};

/// Write a proof about one event, which holds without the archive.
///
/// The proof goes to standard output: a text file (C2SP tlog-proof, customarily NAME.tlog-proof) that holds the event, its
/// place in the chain, and the path to a root that the operator signed. Whoever has it and the operator's public key has
/// the event, with `sealog check`. It costs some fifteen requests, however large the archive is. To find an event by its id
/// an index is kept in a folder of yours; the first time all of the archive is read for it, then only what is new.
///
/// Exit codes: 0 written; 1 there is no such event, or the archive does not lead to what was signed; 2 usage, or an id that
/// several events have; 3 the archive could not be read; 4 something else failed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Prove {
    /// The archive: a folder, such as sealog-data/archive, a bucket as s3://bucket/prefix, or a copy behind a web server
    /// that lists its folders, as https://host/path.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    /// The event: its seq, if it is a number, or else its id.
    #[arg(value_name = "ID|SEQ", required_unless_present = "consistency", conflicts_with = "consistency")]
    event: Option<String>,
    #[command(flatten)]
    at: AtS3,
    /// The chain, by its origin or its number: for a seq it must be given where there are several.
    #[arg(long, value_name = "ORIGIN|N")]
    chain: Option<String>,
    /// Take a number for an id.
    #[arg(long)]
    id: bool,
    /// The signed tree that the proof leads to: the newest, the first that has the event, or the one of a size.
    #[arg(long, value_name = "newest|first|SIZE", default_value = "newest", conflicts_with = "consistency")]
    in_tree: Tree,
    /// Prove instead that one signed tree begins with all of another: two checkpoints, the older one first; for the other
    /// `newest` will do. Of a file with checkpoints of several chains --chain says which.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    consistency: Vec<String>,
    /// Where the index is kept [default: sealog/index in the user's folder for caches].
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  sealog prove sealog-data/archive 7 > login.tlog-proof
  sealog prove s3://acme-audit/evidence 0198c3f2-login --chain 2 > login.tlog-proof
  sealog prove sealog-data/archive --consistency kept.note newest > grown.proof
  sealog check login.tlog-proof --key operator.vkey";

/// Which signed tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Newest,
    First,
    OfSize(u64),
}

impl FromStr for Tree {
    type Err = String;

    fn from_str(text: &str) -> Result<Tree, String> {
        match text {
            "newest" => Ok(Tree::Newest),
            "first" => Ok(Tree::First),
            size => {
                size.parse().map(Tree::OfSize).map_err(|_| "neither newest nor first nor a size".to_owned())
            }
        }
    }
}

/// No file of checkpoints is larger.
const MAX_KNOWN_BYTES: u64 = 4 << 20;
const NO_PROOF: u8 = 1;
const USAGE: u8 = 2;
const UNREAD: u8 = 3;
const FAILED: u8 = 4;

/// Why there is no proof, and the exit code that says so.
struct Ended(u8, anyhow::Error);

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        let code = if matches!(error, Error::Unread(_)) { UNREAD } else { NO_PROOF };
        Ended(code, error.into())
    }
}

impl From<IndexError> for Ended {
    fn from(error: IndexError) -> Ended {
        match error {
            IndexError::Archive(error) => error.into(),
            other => Ended(FAILED, other.into()),
        }
    }
}

fn usage(error: impl Into<anyhow::Error>) -> Ended {
    Ended(USAGE, error.into())
}

/// Never `Err`: its exit code would read as one about the archive.
pub fn run(args: &Prove) -> anyhow::Result<ExitCode> {
    let written = proof(args).and_then(|(proof, what)| {
        // All of it at once, so that half a proof is never left behind.
        let mut out = io::stdout().lock();
        let written = out.write_all(proof.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Ended(FAILED, anyhow!(error).context("the proof could not be written")))?;
        Ok(what)
    });
    Ok(match written {
        Ok(what) => {
            say(&what);
            ExitCode::SUCCESS
        }
        Err(Ended(code, error)) => {
            say(&format!("{error:#}"));
            ExitCode::from(code)
        }
    })
}

fn say(what: &str) {
    // Without stderr there is nowhere left to say it.
    let _ = writeln!(io::stderr(), "sealog prove: {what}");
}

/// The proof, and what it is about.
fn proof(args: &Prove) -> Result<(String, String), Ended> {
    let place = Place::of(&args.archive, &args.at).map_err(usage)?;
    let store = place.open().map_err(|error| Ended(UNREAD, error))?;
    if let [old, new] = args.consistency.as_slice() {
        return consistency(args, &store, old, new);
    }
    let event = args.event.as_deref().unwrap_or_default();
    let origins = origins(args, store.as_ref())?;
    let (chain, seq) = match event.parse::<u64>() {
        Ok(seq) if !args.id => (only_chain(&store, &origins, seq)?, Seq(seq)),
        _ => by_id::by_id(args, &place, &store, &origins, event)?,
    };
    let tree = match args.in_tree {
        Tree::Newest => chain.newest_signed()?,
        Tree::First => chain.first_covering(seq.0)?,
        Tree::OfSize(size) => chain.signed(size)?,
    };
    let what =
        format!("seq {seq} of chain {} in the tree of {} events", chain.origin(), tree.checkpoint.size);
    Ok((chain.prove(seq, &tree)?, what))
}

/// The chains that are asked for: at least one.
fn origins(args: &Prove, store: &dyn Store) -> Result<Vec<String>, Ended> {
    let mut origins = verifier::origins(store).map_err(|error| Ended(UNREAD, error.into()))?;
    origins.retain(|origin| is_wanted(origin, args.chain.as_deref()));
    match (&args.chain, origins.is_empty()) {
        (_, false) => Ok(origins),
        (Some(chain), true) => Err(usage(anyhow!("{}: there is no chain {chain}", args.archive))),
        (None, true) => {
            Err(usage(anyhow!("{}: there is no chain: is this the archive's root?", args.archive)))
        }
    }
}

fn only_chain(store: &Arc<dyn Store>, origins: &[String], seq: u64) -> Result<Chain, Ended> {
    match origins {
        [origin] => Ok(Chain::open(Arc::clone(store), origin)?),
        several => Err(usage(anyhow!(
            "seq {seq} stands in each of these chains: {}. Say which with --chain",
            several.join(", ")
        ))),
    }
}

fn consistency(
    args: &Prove,
    store: &Arc<dyn Store>,
    old: &str,
    new: &str,
) -> Result<(String, String), Ended> {
    let kept = kept(args, old)?;
    let origin = kept.origin();
    let chain = Chain::open(Arc::clone(store), origin)?;
    let signed = |note: &Known| -> Result<Signed, Ended> {
        let what = |why| anyhow!("{} is not signed by the key of chain {origin}: {why}", note.name);
        chain.open_note(note.text().as_bytes()).map_err(|why| Ended(NO_PROOF, what(why)))
    };
    let old = signed(&kept)?;
    let new = match new {
        "newest" => chain.newest_signed()?,
        path => signed(&self::kept(args, path)?)?,
    };
    let what = format!(
        "the tree of {} events of chain {origin} begins with all of the one of {}",
        new.checkpoint.size, old.checkpoint.size
    );
    Ok((chain.prove_consistency(&old, &new)?, what))
}

/// The one checkpoint of the chain that is asked for in a file.
fn kept(args: &Prove, path: &str) -> Result<Known, Ended> {
    let notes = read_small(Path::new(path), MAX_KNOWN_BYTES).map_err(usage)?;
    let all = Known::parse_all(path, &notes);
    let mut all = all.with_context(|| format!("{path} is no checkpoint")).map_err(usage)?;
    all.retain(|known| is_wanted(known.origin(), args.chain.as_deref()));
    match (all.pop(), all.is_empty()) {
        (Some(known), true) => Ok(known),
        (None, _) => Err(usage(anyhow!("{path} holds no checkpoint of that chain"))),
        (Some(_), false) => Err(usage(anyhow!(
            "{path} holds several checkpoints: say of which chain with --chain, or give one of them in a file of its own"
        ))),
    }
}
