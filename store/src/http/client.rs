//! Asking a web server: where it is, whom it is trusted by, how long is waited, and what an answer means.

use std::time::Duration;

use runtime::{Backoff, Stop};
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::url::{encoded, split};
use crate::{Error, Kind, Result};

const CONNECT: Duration = Duration::from_secs(5);
/// For the beginning of an answer, and for each next part of it.
const ANSWER: Duration = Duration::from_secs(20);
/// How often one thing is asked for.
const TRIES: u32 = 6;
const MAX_REDIRECTS: usize = 3;
const MAX_CONNECTIONS: usize = 32;

/// A web server's folder.
pub(super) struct Client {
    agent: Agent,
    /// `https://host:port`.
    site: String,
    /// The folder's path, as it stands in a URL, with a slash at either end.
    root: String,
}

/// What an answer is that brought no object.
#[derive(Debug)]
pub(super) enum Fault {
    /// The same may work later.
    Again(String),
    /// Asking again cannot help.
    Final(Kind, String),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
}

impl Client {
    pub(super) fn new(url: &str, ca_pem: Option<&[u8]>) -> Result<Client> {
        let (site, root) = split(url).map_err(|why| Error::new(Kind::Refused, url, why))?;
        let certificates = match (ca_pem, site.starts_with("https://")) {
            (_, false) => Vec::new(),
            (Some(pem), true) => given(pem).map_err(|why| Error::new(Kind::Refused, url, why))?,
            (None, true) => of_the_system().map_err(|why| Error::new(Kind::Refused, url, why))?,
        };
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(ANSWER))
            .max_idle_connections(MAX_CONNECTIONS)
            .max_idle_connections_per_host(MAX_CONNECTIONS)
            .tls_config(tls)
            .user_agent("sealog")
            .build()
            .new_agent();
        Ok(Client { agent, site, root })
    }

    /// Asks for what lies at `path` below the root until there is an answer that says more than to try again. `take`
    /// makes of it what is wanted, and may find it cut.
    pub(super) fn ask<T>(
        &self,
        verb: Verb,
        path: &str,
        range: Option<&str>,
        mut take: impl FnMut(Response<Body>) -> Result<T, Fault>,
    ) -> Result<T> {
        let shown = if path.is_empty() { "/" } else { path };
        let mut backoff = Backoff::default();
        let mut tries = 1;
        loop {
            match self.follow(verb, path, range).and_then(&mut take) {
                Ok(taken) => return Ok(taken),
                Err(Fault::Final(kind, what)) => return Err(Error::new(kind, shown, what)),
                Err(Fault::Again(what)) if tries == TRIES => {
                    let what = format!("no answer that helps, asked {tries} times, try again: {what}");
                    return Err(Error::new(Kind::Away, shown, what));
                }
                Err(Fault::Again(_)) => tries += 1,
            }
            Stop::new().wait(backoff.next_wait());
        }
    }

    /// The path of what lies at `path` below the root, as it stands in a URL.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{}", self.root, encoded(path))
    }

    /// One try, redirects included.
    fn follow(&self, verb: Verb, path: &str, range: Option<&str>) -> Result<Response<Body>, Fault> {
        let asked = self.path(path);
        let mut target = asked.clone();
        for _ in 0..=MAX_REDIRECTS {
            let url = format!("{}{target}", self.site);
            let mut request = match verb {
                Verb::Get => self.agent.get(&url),
                Verb::Head => self.agent.head(&url),
            };
            if let Some(range) = range {
                request = request.header(header::RANGE, range);
            }
            let answer = request.call().map_err(|error| unanswered(&error))?;
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                return judged(answer);
            }
            let next = self.redirected(&target, answer.headers())?;
            // A folder is asked for without its slash: nothing is there under that name.
            if next == format!("{asked}/") {
                return Err(Fault::Final(Kind::Missing, "there is no such object, but a folder".to_owned()));
            }
            target = next;
        }
        Err(Fault::Final(Kind::Refused, "the server sends us from one place to the next".to_owned()))
    }

    /// The path that an answer sends us to, if it is within the root.
    fn redirected(&self, from: &str, headers: &HeaderMap) -> Result<String, Fault> {
        let refused = |what: String| Err(Fault::Final(Kind::Refused, what));
        let Some(to) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
            return refused("the server sends us elsewhere, and does not say where".to_owned());
        };
        let path = match to.split_once("://") {
            Some(_) => to.strip_prefix(&self.site).unwrap_or_default().to_owned(),
            None if to.starts_with("//") => String::new(),
            None if to.starts_with('/') => to.to_owned(),
            None => format!("{}/{to}", from.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
        let climbs = path.split('/').any(|part| matches!(part, "." | ".."));
        match path.starts_with(&self.root) && !climbs {
            true => Ok(path),
            false => refused(format!(
                "the server sends us to {to}, which is not in the archive: if it has moved, give that URL"
            )),
        }
    }
}

fn given(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        match item.map_err(|error| format!("the authorities are not PEM: {error}"))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => continue,
        }
    }
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err("the PEM of the authorities holds no certificate".to_owned()),
    }
}

/// Those that this machine trusts.
fn of_the_system() -> Result<Vec<Certificate<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    match found.certs.is_empty() {
        false => Ok(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()),
        true => {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            Err(format!("this machine has no authorities to trust, give some with --ca{why}"))
        }
    }
}

/// What stands for an answer where there is none.
fn unanswered(error: &ureq::Error) -> Fault {
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => {
            // Behind it may stand that the certificate is not trusted, which no try changes.
            let what = error.to_string();
            match what.contains("certificate") {
                true => Fault::Final(
                    Kind::Refused,
                    format!("its certificate is not trusted, give its authority with --ca: {what}"),
                ),
                false => Fault::Again(what),
            }
        }
        ureq::Error::HostNotFound => {
            Fault::Final(Kind::Away, "there is no such host: check the URL".to_owned())
        }
        other => Fault::Final(Kind::Refused, format!("it cannot be asked for: {other}")),
    }
}

/// An answer that brings something, or the end of an object.
fn judged(answer: Response<Body>) -> Result<Response<Body>, Fault> {
    let status = answer.status();
    match status.as_u16() {
        200 | 206 | 416 => Ok(answer),
        404 | 410 => Err(Fault::Final(Kind::Missing, "there is no such object".to_owned())),
        401 | 403 | 407 => Err(Fault::Final(
            Kind::Refused,
            format!("the server answers {status}: let us read it, and list its folders"),
        )),
        408 | 425 | 429 | 500.. => Err(Fault::Again(format!("the server answers {status}"))),
        _ => Err(Fault::Final(Kind::Refused, format!("the server answers {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_within_the_root() {
        let client = Client::new("http://127.0.0.1:1/audit/", None).unwrap();
        let redirected = |to: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())]);
            client.redirected("/audit/a/b", &headers).ok()
        };
        assert_eq!(redirected("c").as_deref(), Some("/audit/a/c"));
        assert_eq!(redirected("/audit/c?x").as_deref(), Some("/audit/c"));
        assert_eq!(redirected("http://127.0.0.1:1/audit/c").as_deref(), Some("/audit/c"));
        for out in [
            "/",
            "/other",
            "../../other",
            "/audit/../other",
            "http://127.0.0.1:2/audit/c",
            "//127.0.0.1:1/audit/c",
            "https://127.0.0.1:1/audit/c",
        ] {
            assert_eq!(redirected(out), None, "{out}");
        }
    }
}
