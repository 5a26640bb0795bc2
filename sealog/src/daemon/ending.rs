//! The last words: what is done, what waits, and why.

use std::io::Write;
use std::process::ExitCode;
use std::sync::PoisonError;

use archiver::Archiver;
use runtime::Failure;
use stream::{Stream, topics};

use super::road::Ended;

/// Where the events of all chains are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Balance {
    archived: u64,
    /// Sealed, and not archived yet.
    sealed: u64,
    /// Durable, and not sealed yet.
    unsealed: u64,
}

/// Of `sealog up` on the embedded log, which nobody else works on: everything there is can be counted.
pub fn embedded(stream: &dyn Stream, chains: u32, archiver: &Archiver, ended: &Ended) -> ExitCode {
    if let Some(halt) = &ended.halted {
        return halted(halt);
    }
    let balance = match balance(stream, chains, archiver) {
        Ok(balance) => balance,
        Err(failure) => return halted(&failure),
    };
    let why = |part: &str| ended.why_unfinished(part).unwrap_or("it was cut short").to_owned();
    let Balance { archived, sealed, unsealed } = balance;
    if unsealed > 0 || ended.why_unfinished("chainer").is_some() {
        say(&format!(
            "Stopped before everything was sealed: {}. Events that wait, durable: {unsealed} to be sealed, {sealed} to \
             be archived. The next start goes on with them.",
            why("chainer")
        ));
        return ExitCode::FAILURE;
    }
    if sealed > 0 || ended.why_unfinished("archiver").is_some() {
        say(&format!(
            "Stopped. Not everything is archived: {}. Events that wait, sealed and durable: {sealed}; they are archived \
             at the next start.",
            why("archiver")
        ));
    } else {
        say(&format!("Stopped. Everything is sealed and archived. Events in all: {archived}."));
    }
    ExitCode::SUCCESS
}

/// Of a process that shares its work with others through Kafka.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
pub fn shared(ended: &Ended) -> ExitCode {
    if let Some(halt) = &ended.halted {
        return halted(halt);
    }
    for (part, why) in &ended.unfinished {
        say(&format!(
            "Stopped. The {part} could not finish: {why}. Nothing is lost: it is in Kafka, and whoever takes over goes on \
             with it."
        ));
    }
    if ended.unfinished.is_empty() {
        say("Stopped. What this process had begun is committed.");
    }
    // An archive that is away is no mistake of ours, and its events are sealed.
    match ended.unfinished.iter().all(|(part, _)| *part == "archiver") {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn halted(failure: &Failure) -> ExitCode {
    eprintln!("sealog: {failure}");
    ExitCode::FAILURE
}

/// Whoever started us may have closed our output; that is no failure.
fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

fn balance(stream: &dyn Stream, chains: u32, archiver: &Archiver) -> Result<Balance, Failure> {
    let progress = archiver.progress.lock().unwrap_or_else(PoisonError::into_inner);
    let mut balance = Balance::default();
    for chain in 0..chains {
        let head = chainer::last_head(stream, &topics::sealed(chain))?;
        let end = stream.last(&topics::events(chain))?.last().map_or(0, |record| record.offset + 1);
        let archived = progress.get(&chain).map_or(0, |progress| progress.archived);
        balance.archived += archived;
        balance.sealed += head.size().saturating_sub(archived);
        balance.unsealed += end.saturating_sub(head.source_position);
    }
    Ok(balance)
}
