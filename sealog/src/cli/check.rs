//! `sealog check`

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use schemas::avro::{Input, Shape, to_json};
use schemas::{Checkpoint, MAX_PROOF_BYTES, Vkey};
use serde_json::{Value, json};
use tlog::{Checked, Consistent, Included, NoProof, check};
use verifier::Known;

use super::cat::Line;
use super::verdict;
use super::verify::{pinned, read_small};

/// Check a proof that `sealog prove` wrote, with the operator's public key and nothing else.
///
/// Needs no archive and no network. Prints the event as `sealog cat` does, and what is proved about it in one sentence. Of
/// what does not hold nothing is printed but why.
///
/// Exit codes: 0 it holds; 1 it does not; 2 usage; 4 the check itself failed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// The proof; - reads it from standard input.
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// The operator's public key, as `sealog keygen` prints it, or a file with one a line: any of them may have signed. One
    /// key serves all chains, whichever of them it is named for.
    #[arg(long, value_name = "FILE|VKEY")]
    key: String,
    /// For a proof of consistency: the checkpoint that you kept, or a file with several: the older one in the proof must be
    /// one of them.
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  sealog check login.tlog-proof --key operator.vkey
  sealog check grown.proof --key operator.vkey --known kept.note";

const DOES_NOT_HOLD: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 4;
/// No file of checkpoints is larger.
const MAX_KNOWN_BYTES: u64 = 4 << 20;

/// Never `Err`: its exit code would read as an answer.
pub fn run(args: &Check) -> Result<ExitCode> {
    end_with_4_on_a_bug();
    let Given { proof, keys, known } = match given(args) {
        Ok(given) => given,
        Err(error) => return Ok(said(USAGE, &format!("{error:#}"))),
    };
    let held = match holds(&proof, &keys, known.as_deref()) {
        Ok(held) => held,
        Err(why) if args.json => {
            let text = format!("{:#}\n", json!({"holds": false, "why": why}));
            return Ok(printed(&text).map_or_else(|code| code, |()| ExitCode::from(DOES_NOT_HOLD)));
        }
        Err(why) => return Ok(said(DOES_NOT_HOLD, &format!("{}: not proved: {why}", args.proof.display()))),
    };
    let text = match shown(&held, args.json) {
        Ok(text) => text,
        Err(error) => return Ok(said(FAILED, &format!("it holds, and cannot be shown: {error:#}"))),
    };
    Ok(printed(&text).map_or_else(|code| code, |()| ExitCode::SUCCESS))
}

/// What was asked, read.
struct Given {
    proof: Vec<u8>,
    keys: Vec<Vkey>,
    known: Option<Vec<Checkpoint>>,
}

fn given(args: &Check) -> Result<Given> {
    let keys = pinned(&args.key).context("--key")?;
    let known = match &args.known {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let notes = read_small(path, MAX_KNOWN_BYTES).context("--known")?;
            let all = Known::parse_all(&name, &notes);
            let all = all.with_context(|| format!("--known {name} is no checkpoint, and no row of them"))?;
            let parsed = all.iter().map(|known| Ok(Checkpoint::parse(known.text().as_bytes())?.0));
            Some(parsed.collect::<Result<Vec<_>>>()?)
        }
    };
    let proof = match args.proof == Path::new("-") {
        false => read_small(&args.proof, MAX_PROOF_BYTES as u64)?,
        true => {
            let mut proof = Vec::new();
            io::stdin().lock().take(MAX_PROOF_BYTES as u64 + 1).read_to_end(&mut proof)?;
            proof
        }
    };
    let is_about_an_event = known.is_some() && !proof.starts_with(schemas::CONSISTENCY_PROOF.as_bytes());
    if is_about_an_event {
        bail!("--known is for proofs of consistency, and this is none");
    }
    Ok(Given { proof, keys, known })
}

/// What holds, or in words why nothing does.
fn holds(proof: &[u8], keys: &[Vkey], known: Option<&[Checkpoint]>) -> Result<Checked, String> {
    let held = check(proof, keys).map_err(|why: NoProof| why.to_string())?;
    match (&held, known) {
        (Checked::Consistency(both), Some(known)) if !known.contains(&both.old) => Err(format!(
            "its older checkpoint, with root {} at size {}, is none that you kept",
            both.old.root, both.old.size
        )),
        _ => Ok(held),
    }
}

fn shown(checked: &Checked, as_json: bool) -> Result<String> {
    let value = match checked {
        Checked::Inclusion(held) => {
            let Included { link, checkpoint, vkey, .. } = &**held;
            let event = event(held)?;
            let (sealed_at, hash) = (link.sealed_at.rfc3339(), link.hash().to_string());
            let chain = &checkpoint.origin;
            if !as_json {
                let line = Line { seq: link.seq.0, sealed_at, hash, chain, event: &event };
                return Ok(format!("{}\n{checked}\n", serde_json::to_string(&line)?));
            }
            json!({
                "holds": true, "proves": "inclusion", "chain": chain, "seq": link.seq.0, "sealed_at": sealed_at,
                "hash": hash, "size": checkpoint.size, "root": checkpoint.root.to_string(),
                "key": vkey.to_string(), "event": event,
            })
        }
        Checked::Consistency(held) => {
            let Consistent { old, new, vkey } = &**held;
            let tree = |checkpoint: &Checkpoint| json!({"size": checkpoint.size, "root": checkpoint.root.to_string()});
            if !as_json {
                return Ok(format!("{checked}\n"));
            }
            json!({
                "holds": true, "proves": "consistency", "chain": new.origin, "old": tree(old), "new": tree(new),
                "key": vkey.to_string(),
            })
        }
    };
    Ok(format!("{value:#}\n"))
}

fn event(held: &Included) -> Result<Value> {
    let shape = Shape::parse(&held.schema)?;
    to_json(&shape, &mut Input::new("AuditEvent", &held.event_bytes)).map_err(|why| anyhow!(why))
}

fn printed(text: &str) -> Result<(), ExitCode> {
    verdict::print(text).map_err(|error| said(FAILED, &format!("what holds could not be written: {error}")))
}

fn said(code: u8, what: &str) -> ExitCode {
    verdict::said("check", code, what)
}

fn end_with_4_on_a_bug() {
    let what = "the check itself failed, which says nothing about the proof";
    verdict::end_with_on_a_bug("check", FAILED, what);
}
