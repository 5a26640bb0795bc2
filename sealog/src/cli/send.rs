//! `sealog send`

mod gateway;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::{Stop, random_bytes};

use self::gateway::{Gateway, Outcome};
use self::lines::{Batches, Line};

/// Send events to a gateway or to a raw topic, one JSON object a line.
///
/// It returns once every event is durable, or says which are not and why. To a gateway each batch carries an
/// Idempotency-Key, so what has to be tried again is not sealed twice; Kafka has no such thing, so give events ids of
/// their own. Empty lines are passed over.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Send {
    /// The file to send, or - for standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,
    /// The gateway.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7740")]
    url: String,
    /// A file whose first line is the token to send with (what follows the token on that line is not read).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates to trust, as PEM, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Events in one request.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Begins the Idempotency-Keys, instead of a random name. Sending the same FILE under the same name again, with
    /// the same --batch, goes on where the last time ended: the gateway knows what it has.
    #[arg(long, value_name = "NAME", value_parser = key_name)]
    key: Option<String>,
    /// How often a batch is tried again when the gateway is busy or cannot be reached.
    #[arg(long, value_name = "N", default_value_t = 8)]
    retries: u32,
    /// Send to this raw topic instead, on the brokers that --config names.
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "NAME", requires = "config", conflicts_with_all = ["url", "token_file", "ca_file", "key"])]
    topic: Option<String>,
    /// The configuration whose [kafka] says where the brokers are.
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE", requires = "topic")]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  echo '{\"action\":\"user.login\",\"actor\":\"alice\"}' | sealog send
  sealog send events.jsonl --key nightly-2026-11-21
  sealog send events.jsonl --topic app.audit --config sealog.toml
  tail -F app.log | sealog send - --url https://audit.example --token-file token

Exit codes: 0 all events are durable, 1 some are not, 2 usage.";

/// A name leaves room for the batch's number in a key of 255 characters.
fn key_name(name: &str) -> Result<String, String> {
    if (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(name.to_owned())
    } else {
        Err("1 to 200 visible ASCII characters".to_owned())
    }
}

/// Does what was asked.
pub fn run(send: Send) -> Result<ExitCode> {
    let tally = deliver(&send, &mut io::stderr())?;
    println!("{tally}");
    Ok(if tally.durable == tally.sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of the lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: u64,
    durable: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sent, {} durable, {} rejected", self.sent, self.durable, self.sent - self.durable)
    }
}

/// Sends all of it, and says on `notes` what is not taken.
fn deliver(send: &Send, notes: &mut dyn Write) -> Result<Tally> {
    let from_stdin = send.file == "-";
    if from_stdin && send.key.is_some() {
        bail!("--key needs a FILE: from standard input the same batches do not come twice");
    }
    let input: Box<dyn io::Read + std::marker::Send> = match from_stdin {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(&send.file).with_context(|| send.file.clone())?),
    };
    #[cfg(feature = "kafka")]
    if let (Some(topic), Some(config)) = (&send.topic, &send.config) {
        let topic = kafka::RawTopic::open(config, topic, send.retries)?;
        let mut tally = Tally::default();
        for (number, batch) in Batches::read(input, send.batch as usize, from_stdin).enumerate() {
            let batch = batch.with_context(|| format!("reading {}", send.file))?;
            topic.send(number, &batch, notes).with_context(|| {
                format!("{tally}, and line {} and those behind it are not confirmed", first(&batch))
            })?;
            (tally.sent, tally.durable) =
                (tally.sent + batch.len() as u64, tally.durable + batch.len() as u64);
        }
        return Ok(tally);
    }
    let token = send.token_file.as_deref().map(read_token).transpose()?;
    let ca =
        send.ca_file.as_deref().map(|path| std::fs::read(path).with_context(|| path.display().to_string()));
    let gateway = Gateway::new(&send.url, token, ca.transpose()?.as_deref(), send.retries)?;
    let name = send.key.clone().unwrap_or_else(|| schemas::hex(&random_bytes::<16>()));

    let mut tally = Tally::default();
    for (number, batch) in Batches::read(input, send.batch as usize, from_stdin).enumerate() {
        let batch = batch.with_context(|| format!("reading {}", send.file))?;
        let key = format!("{name}-{number}");
        let outcomes = gateway.send(&key, &batch, &Stop::new(), notes).with_context(|| {
            let again = match from_stdin {
                true => String::new(),
                false => format!("; to go on, send the file again with --key {name} --batch {}", send.batch),
            };
            format!("{tally}, and line {} and those behind it are not confirmed{again}", first(&batch))
        })?;
        for (line, outcome) in batch.iter().zip(outcomes) {
            tally.sent += 1;
            match outcome {
                Outcome::Durable => tally.durable += 1,
                Outcome::NotDurable(why) => writeln!(notes, "line {}: {why}", line.number)?,
            }
        }
    }
    Ok(tally)
}

fn first(batch: &[Line]) -> u64 {
    batch.first().map_or(0, |line| line.number)
}

/// The first word of a token file, which may be the gateway's own: `<token> <producer>`.
fn read_token(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some(token) => Ok(token.to_owned()),
        None => bail!("{} holds no token: write it on the first line", path.display()),
    }
}
