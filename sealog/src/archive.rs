//! An archive that a command names: a folder, a bucket, or a copy behind a web server. It is opened to read, and nothing
//! is ever written.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(any(feature = "http", feature = "s3"))]
use anyhow::Context;
use anyhow::{Result, bail};
use clap::Args;
use store::Store;
use store::directory::Directory;
#[cfg(feature = "http")]
use store::http::Http;
#[cfg(feature = "s3")]
use store::s3::{Options, S3};
#[cfg(any(feature = "http", feature = "s3"))]
use verifier::Ahead;
use verifier::Reading;

/// How a bucket or a web server is reached.
#[derive(Clone, Debug, Default, Args)]
pub struct AtS3 {
    /// The S3 server's URL, if it is not AWS [default: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The bucket's region [default: what the environment, the profile or the instance says].
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The bucket stands in the path, not in the host's name. With an endpoint it always does.
    #[arg(long)]
    path_style: bool,
    /// The authorities to trust over TLS, PEM, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Where an archive is.
#[derive(Debug)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    #[cfg(feature = "s3")]
    Bucket(Box<Options>),
    /// A web server's folder, and the authorities to trust.
    #[cfg(feature = "http")]
    Web(String, Option<Vec<u8>>),
}

/// What is larger comes from a bucket in parts of this size.
#[cfg(feature = "s3")]
const PART_BYTES: u64 = 8 << 20;
/// No file of authorities is larger.
#[cfg(any(feature = "http", feature = "s3"))]
const MAX_CA_BYTES: u64 = 4 << 20;

impl Place {
    /// What `archive` names. It says what cannot be one, and asks nobody yet.
    pub fn of(archive: &str, at: &AtS3) -> Result<Place> {
        if let Some(rest) = archive.strip_prefix("s3://") {
            return bucket(archive, rest, at);
        }
        if at.endpoint.is_some() || at.region.is_some() || at.path_style {
            bail!("{archive} is no bucket: --endpoint, --region and --path-style are for s3://bucket/prefix");
        }
        if archive.starts_with("https://") || archive.starts_with("http://") {
            return web(archive, at);
        }
        if at.ca.is_some() {
            bail!("{archive} is a folder: --ca is for s3:// and https://");
        }
        folder(archive)
    }

    /// The store over it.
    pub fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(match self {
            Place::Folder(path) => Arc::new(Directory::open_read_only(path)?),
            #[cfg(feature = "s3")]
            Place::Bucket(options) => Arc::new(open_bucket(options)?),
            #[cfg(feature = "http")]
            Place::Web(url, ca) => Arc::new(Http::open(url, ca.as_deref())?),
        })
    }

    /// The bucket, if it is one, to be asked what only a bucket knows.
    #[cfg(feature = "s3")]
    pub fn bucket(&self) -> Result<Option<S3>> {
        match self {
            Place::Bucket(options) => open_bucket(options).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether its objects can be locked.
    pub fn locks(&self) -> bool {
        match self {
            #[cfg(feature = "s3")]
            Place::Bucket(_) => true,
            _ => false,
        }
    }

    /// How it is best read.
    pub fn reading(&self) -> Reading {
        match self {
            Place::Folder(_) => Reading::default(),
            #[cfg(feature = "s3")]
            Place::Bucket(_) => Reading { ahead: from_afar(), is_remote: true, part_bytes: Some(PART_BYTES) },
            // Whether a web server gives parts shows only when it is asked for one.
            #[cfg(feature = "http")]
            Place::Web(..) => Reading { ahead: from_afar(), is_remote: true, part_bytes: None },
        }
    }
}

/// Threads that mostly wait need no cores.
#[cfg(any(feature = "http", feature = "s3"))]
fn from_afar() -> Ahead {
    Ahead::default().with_threads(8)
}

#[cfg(feature = "s3")]
fn open_bucket(options: &Options) -> Result<S3> {
    Ok(S3::open(options.clone(), Arc::new(runtime::SystemClock))?)
}

/// Without retention: nothing is written.
#[cfg(feature = "s3")]
fn bucket(archive: &str, rest: &str, at: &AtS3) -> Result<Place> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "?#@:\\".contains(c)) {
        bail!("{archive}: give the bucket and what stands before the chains in it, as s3://bucket/prefix");
    }
    let mut options = Options::new(name);
    options.prefix = prefix.to_owned();
    options.endpoint = at.endpoint.clone().or_else(endpoint_found);
    options.region = at.region.clone();
    options.path_style = at.path_style || options.endpoint.is_some();
    options.ca_pem = authorities(at)?;
    if options.ca_pem.is_some() && options.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) {
        bail!("--ca is given, but the endpoint begins with http://: there is no certificate to check");
    }
    Ok(Place::Bucket(Box::new(options)))
}

#[cfg(not(feature = "s3"))]
fn bucket(archive: &str, _: &str, _: &AtS3) -> Result<Place> {
    bail!(
        "{archive}: this build of sealog reads no buckets. Build it with the feature `s3`, or copy the archive to a folder"
    )
}

/// As AWS's own tools find it.
#[cfg(feature = "s3")]
#[allow(clippy::disallowed_methods, reason = "these two are not Sealog's settings, but AWS's")]
fn endpoint_found() -> Option<String> {
    let found = |name| std::env::var(name).ok().filter(|url: &String| !url.is_empty());
    found("AWS_ENDPOINT_URL_S3").or_else(|| found("AWS_ENDPOINT_URL"))
}

#[cfg(feature = "http")]
fn web(archive: &str, at: &AtS3) -> Result<Place> {
    Ok(Place::Web(archive.to_owned(), authorities(at)?))
}

#[cfg(not(feature = "http"))]
fn web(archive: &str, _: &AtS3) -> Result<Place> {
    bail!(
        "{archive}: this build of sealog reads no web servers. Build it with the feature `http`, or copy the archive to a folder"
    )
}

#[cfg(any(feature = "http", feature = "s3"))]
fn authorities(at: &AtS3) -> Result<Option<Vec<u8>>> {
    let Some(path) = &at.ca else { return Ok(None) };
    let named = || format!("--ca {}", path.display());
    if fs::metadata(path).with_context(named)?.len() > MAX_CA_BYTES {
        bail!("{}: larger than {MAX_CA_BYTES} bytes, so no file of authorities", named());
    }
    fs::read(path).with_context(named).map(Some)
}

fn folder(archive: &str) -> Result<Place> {
    match fs::metadata(archive) {
        Ok(found) if !found.is_dir() => {
            bail!("{archive} is a file: give the archive's folder, such as sealog-data/archive")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{archive} is not there: give the archive's folder, such as sealog-data/archive")
        }
        // It may be an archive that cannot be read.
        _ => Ok(Place::Folder(PathBuf::from(archive))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(archive: &str, at: &AtS3) -> String {
        format!("{:#}", Place::of(archive, at).unwrap_err())
    }

    #[cfg(all(feature = "http", feature = "s3"))]
    #[test]
    fn an_archive_is_a_folder_a_bucket_or_a_web_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let at = AtS3::default();
        assert!(matches!(Place::of(path, &at).unwrap(), Place::Folder(_)));
        assert!(matches!(Place::of("https://acme.example/audit", &at).unwrap(), Place::Web(..)));
        let at = AtS3 { endpoint: Some("http://127.0.0.1:9000".to_owned()), ..at };
        let Place::Bucket(options) = Place::of("s3://acme-audit/team/prod/", &at).unwrap() else { panic!() };
        assert_eq!((options.bucket.as_str(), options.prefix.as_str()), ("acme-audit", "team/prod"));
        assert!(options.path_style && options.retention.is_none());
    }

    #[test]
    fn what_cannot_be_an_archive_is_said_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let at = AtS3::default();
        assert!(refused(file.to_str().unwrap(), &at).contains("is a file"));
        assert!(refused("/nowhere/at/all", &at).contains("is not there"));
        #[cfg(feature = "s3")]
        for bad in ["s3://", "s3:///x", "s3://a b/x", "s3://user@bucket"] {
            assert!(refused(bad, &at).contains("s3://bucket/prefix"), "{bad}");
        }
        let path = folder.path().to_str().unwrap();
        let with_region = AtS3 { region: Some("eu-central-1".to_owned()), ..AtS3::default() };
        assert!(refused(path, &with_region).contains("is no bucket"));
        let with_ca = AtS3 { ca: Some(file), ..AtS3::default() };
        assert!(refused(path, &with_ca).contains("--ca is for"));
    }
}
