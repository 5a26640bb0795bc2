//! `[archive]`: a folder, or a bucket whose objects are locked.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use store::{Mode, Retention};

use super::Given;
use super::quantity::period;

/// Where the archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// A folder; None: `archive` in the data folder.
    Directory(Option<PathBuf>),
    /// A bucket.
    S3(Bucket),
}

/// A bucket of AWS S3, or of a server that speaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where in it the archive begins, without a slash at either end; may be empty.
    pub prefix: String,
    /// What each piece of evidence is locked with.
    pub retention: Retention,
    /// The server's URL; None: AWS.
    pub endpoint: Option<String>,
    /// None: what the environment, the profile or the instance says.
    pub region: Option<String>,
    /// The bucket stands in the path, not in the host's name.
    pub path_style: bool,
    /// The authorities behind the endpoint's certificate, PEM; None: those of the system.
    pub ca: Option<PathBuf>,
    /// At rest.
    pub encryption: Encryption,
}

impl Bucket {
    /// Its URL and the flags with which a command that reads archives gets there.
    pub fn for_readers(&self) -> String {
        let mut words = self.to_string();
        let ca = self.ca.as_ref().map(|path| path.display().to_string());
        for (flag, value) in [("endpoint", &self.endpoint), ("region", &self.region), ("ca", &ca)] {
            if let Some(value) = value {
                words.push_str(&format!(" --{flag} {value}"));
            }
        }
        if self.path_style && self.endpoint.is_none() {
            words.push_str(" --path-style");
        }
        words
    }

    /// What `verify` and `locks` are told besides, where what is configured is less than the bucket's default can be,
    /// which is in whole days: they hold an archive against that default.
    pub fn promise_for_readers(&self) -> String {
        match self.retention.period.as_secs() {
            seconds if seconds.is_multiple_of(86_400) => String::new(),
            seconds => {
                let mode = if self.retention.mode == Mode::Compliance { "compliance" } else { "governance" };
                format!(" --locked {mode}:{seconds}s")
            }
        }
    }
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket does by itself.
    Bucket,
    /// With keys of the server.
    S3,
    /// With a key of the key management service; None: with the account's own.
    Kms(Option<String>),
}

/// As it is written in the configuration.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "s3://{}", self.name),
            prefix => write!(f, "s3://{}/{prefix}", self.name),
        }
    }
}

const MODE: &str = "archive.mode";
const RETENTION: &str = "archive.retention";
const ENDPOINT: &str = "archive.endpoint";
const MODES: &str = "\"compliance\" (nobody can delete what is archived before its time, not even the account's owner) or \
                     \"governance\" (who has the right to bypass can)";
const PERIODS: &str = "a period such as \"7y\" (of 365 days), \"90d\" or \"1h\", 1s to 100y";
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);
/// Leaves room for the longest key of the archive in S3's 1024 bytes.
const MAX_PREFIX_BYTES: usize = 255;

impl Archive {
    /// Whether the configuration says where it is: else it is a folder inside of the data folder.
    #[cfg(feature = "kafka")]
    pub fn is_named(&self) -> bool {
        *self != Archive::Directory(None)
    }

    pub(super) fn read(given: &mut Given) -> Result<Archive> {
        let Some(url) = given.text("archive.url")? else {
            refuse_for_folders(given)?;
            return Ok(Archive::Directory(None));
        };
        match url.split_once(':') {
            Some(("file", path)) if !path.is_empty() => {
                refuse_for_folders(given)?;
                Ok(Archive::Directory(Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))))
            }
            Some(("s3", _)) => Bucket::read(given, &url).map(Archive::S3),
            _ => Err(given.wrong("archive.url", &url, "file:DIR or s3://bucket/prefix")),
        }
    }
}

/// Nobody is to believe that a folder is locked.
fn refuse_for_folders(given: &Given) -> Result<()> {
    match given.first_of("archive.") {
        None => Ok(()),
        Some(key) => bail!(
            "{key} is given, but the archive is a folder: a folder locks nothing. Give archive.url = \
             \"s3://bucket/prefix\", or leave it out"
        ),
    }
}

impl Bucket {
    fn read(given: &mut Given, url: &str) -> Result<Bucket> {
        let (name, prefix) = parse(url)
            .map_err(|why| given.wrong("archive.url", url, &format!("s3://bucket/prefix: {why}")))?;
        let path_style_default = given.names(ENDPOINT);
        let bucket = Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            retention: retention(given)?,
            endpoint: endpoint(given)?,
            region: given.text("archive.region")?,
            path_style: given.switch("archive.path_style", path_style_default)?,
            ca: given.path("archive.ca")?,
            encryption: encryption(given)?,
        };
        let is_plain = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if is_plain && bucket.ca.is_some() {
            bail!(
                "archive.ca is given, but archive.endpoint begins with http://: there is no certificate to check"
            );
        }
        Ok(bucket)
    }
}

/// Both are needed: how long evidence cannot be deleted is nothing to be guessed, and nothing that can be taken back.
fn retention(given: &mut Given) -> Result<Retention> {
    let Some(mode) = given.text(MODE)? else {
        bail!("{MODE} is missing: a bucket needs it, and there is no default. Give {MODES}");
    };
    let mode = match mode.as_str() {
        "compliance" => Mode::Compliance,
        "governance" => Mode::Governance,
        _ => return Err(given.wrong(MODE, &mode, MODES)),
    };
    let Some(text) = given.text(RETENTION)? else {
        bail!("{RETENTION} is missing: a bucket needs it, and there is no default. Give {PERIODS}");
    };
    let fits = period(&text).filter(|period| (SHORTEST..=LONGEST).contains(period));
    let period = fits.ok_or_else(|| given.wrong(RETENTION, &text, PERIODS))?;
    Ok(Retention { mode, period })
}

fn encryption(given: &mut Given) -> Result<Encryption> {
    let key = "archive.encryption";
    let text = given.text(key)?.unwrap_or_else(|| "bucket".to_owned());
    match (text.as_str(), text.strip_prefix("kms:")) {
        ("bucket", _) => Ok(Encryption::Bucket),
        ("s3", _) => Ok(Encryption::S3),
        ("kms", _) => Ok(Encryption::Kms(None)),
        (_, Some(name)) if !name.is_empty() => Ok(Encryption::Kms(Some(name.to_owned()))),
        _ => Err(given.wrong(key, &text, "\"bucket\", \"s3\", \"kms\" or \"kms:KEY\"")),
    }
}

/// The URL of the server, without a slash at its end.
fn endpoint(given: &mut Given) -> Result<Option<String>> {
    let insecure = given.switch("archive.insecure", false)?;
    let Some(url) = given.text(ENDPOINT)? else { return Ok(None) };
    let url = url.strip_suffix('/').unwrap_or(&url).to_owned();
    let right = "a URL such as https://s3.acme.example:9000, without a path";
    let (is_plain, place) = match url.split_once("://") {
        Some(("https", place)) => (false, place),
        Some(("http", place)) => (true, place),
        _ => return Err(given.wrong(ENDPOINT, &url, right)),
    };
    if place.contains('@') {
        // What stands before it may be a secret.
        return Err(given.wrong(
            ENDPOINT,
            "…",
            "a URL without credentials: those come from the environment, a profile or a role",
        ));
    }
    if place.is_empty() || place.contains(|c: char| c.is_whitespace() || "/?#\\".contains(c)) {
        return Err(given.wrong(ENDPOINT, &url, right));
    }
    if is_plain && !is_loopback(place) && !insecure {
        return Err(given.wrong(
            ENDPOINT,
            &url,
            "https://, for over http:// anybody on the way reads the evidence and can send other. If that way is yours \
             alone, say so: archive.insecure = true",
        ));
    }
    Ok(Some(url))
}

/// Whether host and port are on this machine.
fn is_loopback(place: &str) -> bool {
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => place.rsplit_once(':').map_or(place, |(host, _)| host),
    };
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `s3://bucket/prefix` as bucket and prefix. Err: why it is none.
fn parse(url: &str) -> Result<(&str, &str), &'static str> {
    let rest = url.strip_prefix("s3://").ok_or("two slashes stand before the bucket")?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    check_name(name)?;
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    check_prefix(prefix)?;
    Ok((name, prefix))
}

/// As AWS has it; other servers take no more.
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !(3..=63).contains(&name.len()) {
        return Err("a bucket's name has 3 to 63 characters");
    }
    if !name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.') {
        return Err("a bucket's name has lower-case letters, digits, dashes and dots");
    }
    if !is_end(name.chars().next()) || !is_end(name.chars().last()) || name.contains("..") {
        return Err("a bucket's name begins and ends with a letter or a digit, and no dot follows another");
    }
    match name.parse::<IpAddr>() {
        Ok(_) => Err("a bucket's name is not an address"),
        Err(_) => Ok(()),
    }
}

/// What every server, every file system and every tool takes as it is written.
fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    if prefix.is_empty() {
        return Ok(());
    }
    if prefix.len() > MAX_PREFIX_BYTES {
        return Err("the prefix has 255 characters at most");
    }
    if !prefix.bytes().all(|c| c.is_ascii_alphanumeric() || b"/-_.=+@".contains(&c)) {
        return Err("a prefix has letters, digits, slashes and - _ . = + @");
    }
    if prefix.split('/').any(|part| matches!(part, "" | "." | ".."))
        || prefix.starts_with(".tmp/")
        || prefix == ".tmp"
    {
        return Err(
            "a prefix has names between single slashes, none of them `.` or `..`, and does not begin with .tmp",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_prefix_are_taken_only_as_every_server_takes_them() {
        assert_eq!(parse("s3://acme-audit"), Ok(("acme-audit", "")));
        assert_eq!(parse("s3://acme-audit/"), Ok(("acme-audit", "")));
        assert_eq!(parse("s3://acme.audit/team=a/prod/"), Ok(("acme.audit", "team=a/prod")));
        for (bad, why) in [
            ("s3:acme", "two slashes"),
            ("s3://", "3 to 63"),
            ("s3://ab/x", "3 to 63"),
            ("s3://Acme/x", "lower-case"),
            ("s3://acme_audit/x", "lower-case"),
            ("s3://-acme", "begins and ends"),
            ("s3://acme..audit", "no dot follows"),
            ("s3://10.0.0.1", "not an address"),
            ("s3://acme//x", "single slashes"),
            ("s3://acme/x//", "single slashes"),
            ("s3://acme/a/../b", "single slashes"),
            ("s3://acme/.tmp", ".tmp"),
            ("s3://acme/x?region=eu", "a prefix has"),
            ("s3://acme/x y", "a prefix has"),
        ] {
            assert!(parse(bad).unwrap_err().contains(why), "{bad}: {:?}", parse(bad));
        }
        assert!(parse(&format!("s3://acme/{}", "x".repeat(256))).is_err());
    }

    #[test]
    fn this_machine_is_known_by_name_and_by_address() {
        for here in
            ["localhost:9000", "localhost", "127.0.0.1:9000", "127.9.9.9", "[::1]:9000", "minio.localhost:1"]
        {
            assert!(is_loopback(here), "{here}");
        }
        for away in [
            "minio:9000",
            "10.0.0.1:9000",
            "localhost.acme.example",
            "[fe80::1]:9000",
            "127.0.0.1.acme.example:1",
        ] {
            assert!(!is_loopback(away), "{away}");
        }
    }
}
