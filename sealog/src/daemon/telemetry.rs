//! Logs: for people on a terminal, JSON elsewhere. On standard error, so that standard output stays for results.

use std::io::IsTerminal;

use anyhow::Result;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Those that sign, encrypt and carry requests, and how much they may ever say. In detail they show keys, tokens and what
/// is sent. The client of AWS shows whole answers in its warnings, as of a service that gives out credentials; what went
/// wrong is in our own errors.
const WITH_SECRETS: [(&str, Level); 5] = [
    ("aws_", Level::ERROR),
    ("hyper", Level::INFO),
    ("rustls", Level::INFO),
    ("tokio_rustls", Level::INFO),
    ("h2", Level::INFO),
];

/// Turns logging on. `filter` is what `SEALOG_LOG` says: a level, or targets with levels.
pub fn begin(filter: Option<&str>) -> Result<()> {
    let wanted = EnvFilter::try_new(filter.unwrap_or("info"))
        .map_err(|why| anyhow::anyhow!("SEALOG_LOG: {why}: give error, warn, info, debug or trace"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match std::io::stderr().is_terminal() {
        true => lines.compact().with_target(false).boxed(),
        false => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(wanted).with(filter_fn(holds_no_secret)).with(lines).init();
    Ok(())
}

fn holds_no_secret(metadata: &Metadata<'_>) -> bool {
    may_speak(metadata.target(), *metadata.level())
}

fn may_speak(target: &str, level: Level) -> bool {
    WITH_SECRETS.iter().all(|(name, most)| level <= *most || !target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_handles_secrets_tells_no_details() {
        for target in ["aws_sigv4::http_request", "aws_config::meta", "hyper_util::client", "rustls::conn"] {
            assert!(may_speak(target, Level::ERROR), "{target}");
            assert!(!may_speak(target, Level::DEBUG) && !may_speak(target, Level::TRACE), "{target}");
        }
        assert!(!may_speak("aws_config::meta::credentials::chain", Level::WARN));
        assert!(may_speak("sealog::daemon", Level::TRACE) && may_speak("stream::kafka", Level::DEBUG));
    }
}
