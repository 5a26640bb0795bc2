//! The gateway as `send` sees it: one request a batch, tried again under the same key.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use runtime::{Backoff, Stop};
use serde::Deserialize;
use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::lines::Line;

const CONNECT: Duration = Duration::from_secs(10);
/// For a body to be sent, and for its answer.
const ANSWER: Duration = Duration::from_secs(90);
/// No Retry-After is waited for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Where to send, as whom.
pub struct Gateway {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    retries: u32,
}

/// What became of one line.
pub enum Outcome {
    Durable,
    /// Why not, for people.
    NotDurable(String),
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    status: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What one try brought.
enum Tried {
    Answered(Vec<Outcome>),
    /// Worth another try, after so long if the gateway said so.
    Later(String, Option<Duration>),
}

impl Gateway {
    /// The gateway at `url`; `ca` are the certificates to trust instead of the public ones.
    pub fn new(url: &str, token: Option<String>, ca: Option<&[u8]>, retries: u32) -> Result<Gateway> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("--url {url}: it begins with http:// or https://");
        }
        let mut tls = TlsConfig::builder();
        if let Some(pem) = ca {
            let certificates: Vec<_> = parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<_, _>>()
                .context("--ca-file is not PEM")?;
            if certificates.is_empty() {
                bail!("--ca-file holds no certificate");
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_send_body(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER))
            .tls_config(tls.build())
            .user_agent(concat!("sealog/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let url = format!("{}/v1/events", url.trim_end_matches('/'));
        Ok(Gateway { agent, url, authorization: token.map(|token| format!("Bearer {token}")), retries })
    }

    /// Sends one batch until it is answered item by item.
    pub fn send(
        &self,
        key: &str,
        batch: &[Line],
        stop: &Stop,
        notes: &mut dyn Write,
    ) -> Result<Vec<Outcome>> {
        let mut body = Vec::with_capacity(batch.iter().map(|line| line.bytes.len() + 1).sum());
        for line in batch {
            body.extend_from_slice(&line.bytes);
            body.push(b'\n');
        }
        let mut backoff = Backoff::default();
        let mut tries_left = self.retries;
        loop {
            match self.try_once(key, &body, batch.len())? {
                Tried::Answered(outcomes) => return Ok(outcomes),
                Tried::Later(why, _) if tries_left == 0 => bail!("{why} (tried {} times)", self.retries + 1),
                Tried::Later(why, wanted) => {
                    if tries_left == self.retries {
                        writeln!(notes, "{why}; trying again")?;
                    }
                    tries_left -= 1;
                    let wait = backoff.next_wait().max(wanted.unwrap_or_default()).min(LONGEST_WAIT);
                    stop.wait(wait);
                }
            }
        }
    }

    fn try_once(&self, key: &str, body: &[u8], items: usize) -> Result<Tried> {
        let mut request = self.agent.post(&self.url).header("content-type", "application/x-ndjson");
        request = request.header("idempotency-key", key);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answered = request.send(body).and_then(|response| {
            let (head, mut body) = response.into_parts();
            let text = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
            Ok(Response::from_parts(head, text))
        });
        match answered {
            Ok(response) => self.understand(&response, items),
            // Cut off, refused, too slow: whether it was taken, nobody knows, and the key makes that harmless.
            Err(error @ (ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed)) => {
                Ok(Tried::Later(format!("cannot reach {}: {error}", self.url), None))
            }
            Err(error @ ureq::Error::Protocol(_)) => {
                Ok(Tried::Later(format!("{} was cut off: {error}", self.url), None))
            }
            Err(error) => Err(anyhow!(error).context(self.url.clone())),
        }
    }

    fn understand(&self, response: &Response<Vec<u8>>, items: usize) -> Result<Tried> {
        let status = response.status();
        match status {
            StatusCode::ACCEPTED | StatusCode::MULTI_STATUS | StatusCode::UNPROCESSABLE_ENTITY => {
                let what = || format!("{} answers {status}, but not as a gateway does", self.url);
                let Results { results } = serde_json::from_slice(response.body()).with_context(what)?;
                if results.len() != items {
                    bail!("{} answers for {} events of {items}", self.url, results.len());
                }
                Ok(Tried::Answered(results.into_iter().map(Outcome::from).collect()))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
                let why = format!("{} answers {status}: {}", self.url, said(response));
                Ok(Tried::Later(why, after.map(Duration::from_secs)))
            }
            _ => bail!("{} answers {status}: {}", self.url, said(response)),
        }
    }
}

/// The sentence of an answer that refuses, if a gateway wrote it.
fn said(response: &Response<Vec<u8>>) -> String {
    serde_json::from_slice::<Refusal>(response.body())
        .map_or_else(|_| "no reason given".to_owned(), |r| r.error)
}

impl From<Item> for Outcome {
    fn from(item: Item) -> Outcome {
        match item.status.as_str() {
            "durable" => Outcome::Durable,
            status => Outcome::NotDurable(format!("{status}: {}", item.error)),
        }
    }
}
