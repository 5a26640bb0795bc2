//! `sealog verify`

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::{Clock, SystemClock};
use schemas::{Signing, Vkey};
use store::{Mode, Retention};
use verifier::{Known, Options, Promise, Report, parse_keys};

use crate::archive::{AtS3, Place};
use crate::config::period;

/// Check an archive, whole: signatures, links, roots, every byte that is stored, and how it is kept.
///
/// Needs nothing but the archive, and writes nothing. The last line is the verdict. `intact but unanchored` means that
/// everything fits, and that nothing outside the archive vouches for it: give the operator's public key with --key, and
/// with --known a checkpoint that you kept (any file of <origin>/checkpoints/), and it can say `intact`.
///
/// Exit codes: 0 intact, or intact but unanchored; 1 broken, or custody at risk; 2 usage; 3 inconclusive; 4 the
/// verifier failed.
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
    /// A checkpoint that you kept: the archive must be a continuation of it. Can be given several times.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// What every object of a bucket must be locked with from when it was written, as compliance:7y or governance:90d.
    /// Without it, what the bucket's default retention says.
    #[arg(long, value_name = "MODE:PERIOD", value_parser = locked)]
    locked: Option<Retention>,
    /// Print the whole report as JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 3 when the archive is intact but unanchored.
    #[arg(long)]
    require_anchor: bool,
}

const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const VERIFIER_FAILED: u8 = 4;
/// No file of keys or checkpoints is larger.
const MAX_FILE_BYTES: u64 = 64 << 10;

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
    let report = verifier::verify(archive.as_ref(), &options);
    Ok(match print(&args, &report) {
        Ok(()) => ExitCode::from(report.exit_code(args.require_anchor)),
        Err(error) => said(VERIFIER_FAILED, &format!("the report could not be written: {error:#}")),
    })
}

fn said(code: u8, what: &str) -> ExitCode {
    said_note(what);
    ExitCode::from(code)
}

fn said_note(what: &str) {
    // Without stderr there is nowhere left to say it.
    let _ = writeln!(io::stderr(), "sealog verify: {what}");
}

/// A bug must not end in a code that reads as a verdict, whatever the build does about panics. The report is printed
/// at the very end, so none has been begun.
#[allow(clippy::disallowed_methods)] // there is no main to return to
fn end_with_4_on_a_bug() {
    std::panic::set_hook(Box::new(|bug| {
        said(
            VERIFIER_FAILED,
            &format!("the verifier itself failed, which says nothing about the archive: {bug}"),
        );
        std::process::exit(i32::from(VERIFIER_FAILED));
    }));
}

fn options(args: &Verify, place: &Place) -> Result<Options> {
    if args.locked.is_some() && !place.locks() {
        bail!("{}: --locked is for s3://bucket/prefix: nothing else locks anything", args.archive);
    }
    let pinned = match &args.key {
        Some(key) => pinned(key).context("--key")?,
        None => Vec::new(),
    };
    let mut known = Vec::new();
    for path in &args.known {
        let name = path.display().to_string();
        let note = read_small(path).context("--known")?;
        known.push(Known::parse(&name, &note).with_context(|| format!("--known {name} is no checkpoint"))?);
    }
    let (now, reading) = (SystemClock.wall(), place.reading());
    Ok(Options { pinned, known, now, reading, ..Options::default() })
}

/// What the archive's objects are to be locked with, and who says so. None where nothing can be locked.
#[cfg(feature = "s3")]
fn promise(args: &Verify, place: &Place) -> Result<Option<Promise>> {
    let Some(bucket) = place.bucket()? else { return Ok(None) };
    if !may_see_locks(&bucket, |key, version| bucket.may_see_lock(key, version))? {
        said_note(
            "these credentials may not see locks: give them s3:GetObjectRetention, as deploy/iam/auditor.json does",
        );
        return Ok(Some(Promise::Unseen));
    }
    if let Some(told) = args.locked {
        return Ok(Some(Promise::Told(told)));
    }
    match bucket.look_at_bucket() {
        Ok(found) => Ok(Some(found.default_retention.map_or(Promise::Nobody, Promise::OfTheBucket))),
        // The right to see it is not needed to see locks.
        Err(error) if error.kind() == store::Kind::Refused => {
            said_note(&format!("what the bucket promises is not known, give --locked: {error}"));
            Ok(Some(Promise::Nobody))
        }
        Err(error) => Err(error.into()),
    }
}

/// How many objects of the archive's are looked at: the first keys of a chain are its hint and its first note.
#[cfg(feature = "s3")]
const LOCKS_LOOKED_AT: usize = 2;

/// Whether the locks of the first objects are ours to see. Of a lock that is not, nothing is said. `may_see_lock` is
/// asked for objects without one. What is no object of an archive, and what may not be read, is passed over: anybody
/// can have put it there, and whatever it is, the check itself says it.
#[cfg(feature = "s3")]
fn may_see_locks(
    store: &dyn store::Store,
    may_see_lock: impl Fn(&str, &store::Version) -> store::Result<bool>,
) -> store::Result<bool> {
    use store::{Kind, Listing};
    const PAGE: usize = 100;
    let (mut after, mut looked_at) = (String::new(), 0);
    loop {
        let page = store.list("", &after, Listing::Newest(PAGE))?;
        for entry in &page.entries {
            if verifier::place_of(&entry.key).is_none() {
                continue;
            }
            let object = match store.get(&entry.key, None, Some(0..0), 0) {
                Ok(object) => object,
                Err(error) if matches!(error.kind(), Kind::Refused | Kind::Missing) => continue,
                Err(error) => return Err(error),
            };
            if object.lock.is_none() && !may_see_lock(&entry.key, &object.version)? {
                return Ok(false);
            }
            looked_at += 1;
            if looked_at == LOCKS_LOOKED_AT {
                return Ok(true);
            }
        }
        match page.entries.last() {
            Some(last) if page.more && last.key > after => after.clone_from(&last.key),
            _ => return Ok(true),
        }
    }
}

#[cfg(not(feature = "s3"))]
fn promise(_: &Verify, _: &Place) -> Result<Option<Promise>> {
    Ok(None)
}

/// `compliance:7y`
pub(super) fn locked(text: &str) -> Result<Retention, String> {
    let wrong =
        || "give a mode and a period (a year has 365 days), as compliance:7y or governance:90d".to_owned();
    let (mode, time) = text.split_once(':').ok_or_else(wrong)?;
    let mode = match mode {
        "compliance" => Mode::Compliance,
        "governance" => Mode::Governance,
        _ => return Err(wrong()),
    };
    let period = period(time).filter(|period| !period.is_zero()).ok_or_else(wrong)?;
    Ok(Retention { mode, period })
}

fn pinned(key: &str) -> Result<Vec<Vkey>> {
    if key.contains('+') && !Path::new(key).exists() {
        return Ok(vec![Vkey::parse(key)?]);
    }
    let file = read_small(Path::new(key))?;
    let text = String::from_utf8(file).ok().with_context(|| format!("{key} is not text"))?;
    if Signing::parse(&text).is_ok() {
        bail!(
            "{key} is the secret key, which no auditor needs: `sealog keygen --show {key}` prints the public one"
        );
    }
    parse_keys(&text).with_context(|| format!("{key} holds no public key"))
}

fn read_small(path: &Path) -> Result<Vec<u8>> {
    let named = || path.display().to_string();
    let mut bytes = Vec::new();
    // What the file says of its size is not believed: that of a pipe or a device is 0.
    let file = fs::File::open(path).with_context(named)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        bail!("{} is longer than {MAX_FILE_BYTES} bytes: neither a key nor a checkpoint", named());
    }
    Ok(bytes)
}

/// All of it at once, and on its way before the exit code says how it ended.
fn print(args: &Verify, report: &Report) -> Result<()> {
    let text = match args.json {
        true => serde_json::to_string_pretty(report)? + "\n",
        false => format!("archive {}\n{report}", args.archive.escape_debug()),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use schemas::Signing;
    use store::directory::{Directory, Options as DirectoryOptions};
    use verifier::testing::{ChainBuilder, events, store_objects};

    use super::*;

    fn args(archive: &Path, key: Option<String>, known: Vec<PathBuf>) -> Verify {
        let (archive, at) = (archive.display().to_string(), AtS3::default());
        Verify { archive, at, key, known, locked: None, json: true, require_anchor: false }
    }

    #[test]
    fn a_key_is_taken_as_text_or_file_and_the_secret_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let signing = Signing::from_seed(&[7; 32]);
        let (vkey, file) = (signing.vkey("a/0"), folder.path().join("key"));
        assert_eq!(pinned(&vkey.to_string()).unwrap(), std::slice::from_ref(&vkey));
        fs::write(&file, format!("# ours\n{vkey}\n\n{}\n", vkey.renamed("a/1"))).unwrap();
        assert_eq!(pinned(file.to_str().unwrap()).unwrap(), [vkey.clone(), vkey.renamed("a/1")]);
        fs::write(&file, signing.to_file().as_bytes()).unwrap();
        let refused = format!("{:#}", pinned(file.to_str().unwrap()).unwrap_err());
        assert!(refused.contains("secret key") && !refused.contains("sealog-key-v1"), "{refused}");
        assert!(pinned("a+00000000+AAAA").is_err());
    }

    fn asked(args: &Verify) -> Result<Options> {
        options(args, &Place::of(&args.archive, &args.at)?)
    }

    #[test]
    fn what_is_no_checkpoint_is_a_question_of_usage() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let garbage = args(folder.path(), None, vec![file]);
        assert!(format!("{:#}", asked(&garbage).unwrap_err()).contains("is no checkpoint"));
    }

    #[test]
    fn what_a_bucket_is_held_to_is_a_mode_and_a_period() {
        let year = std::time::Duration::from_secs(365 * 86_400);
        assert_eq!(locked("compliance:7y"), Ok(Retention { mode: Mode::Compliance, period: 7 * year }));
        assert_eq!(locked("governance:365d"), Ok(Retention { mode: Mode::Governance, period: year }));
        for bad in ["compliance", "7y", "compliance:", "strict:7y", "compliance:0d", "compliance:7"] {
            assert!(locked(bad).is_err(), "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        let locked = Verify { locked: locked("compliance:7y").ok(), ..args(folder.path(), None, vec![]) };
        assert!(format!("{:#}", asked(&locked).unwrap_err()).contains("--locked is for s3://"));
    }

    #[test]
    fn an_archive_in_a_folder_is_checked_against_key_and_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive");
        let mut chain = ChainBuilder::begin("acme.example/audit/0", 7);
        chain.seal(events(0..3)).seal(events(3..5));
        let store = Directory::open(&archive, DirectoryOptions { make_root: true }).unwrap();
        store_objects(&chain.objects, &store).unwrap();
        let kept = folder.path().join("kept.note");
        fs::write(&kept, chain.note(3)).unwrap();
        let options = asked(&args(&archive, Some(chain.vkey().to_string()), vec![kept])).unwrap();
        let report = verifier::verify(&Directory::open_read_only(&archive).unwrap(), &options);
        assert_eq!(report.verdict.words(), "intact", "{report}");
    }

    /// A bucket in which what its name says may not be read, and from which one key has gone since it was listed.
    #[cfg(feature = "s3")]
    struct Withheld(store::memory::Memory);

    #[cfg(feature = "s3")]
    impl store::Store for Withheld {
        fn put_new(&self, key: &str, body: &[u8], keep: store::Keep) -> store::Result<store::Version> {
            self.0.put_new(key, body, keep)
        }

        fn replace_if(
            &self,
            key: &str,
            tag: Option<&store::Tag>,
            body: &[u8],
            keep: store::Keep,
        ) -> store::Result<store::Version> {
            self.0.replace_if(key, tag, body, keep)
        }

        fn get(
            &self,
            key: &str,
            version: Option<&store::Version>,
            range: Option<std::ops::Range<u64>>,
            max_bytes: u64,
        ) -> store::Result<store::Object> {
            match key {
                "a/0/checkpoint" => Err(store::Error::new(store::Kind::Refused, key, "another's key")),
                "a/0/checkpoints/00000000000000000000.note" => {
                    Err(store::Error::new(store::Kind::Missing, key, "nothing is there"))
                }
                _ if verifier::place_of(key).is_none() => {
                    Err(store::Error::new(store::Kind::Away, key, "not reached"))
                }
                _ => self.0.get(key, version, range, max_bytes),
            }
        }

        fn retention(&self) -> Option<Retention> {
            self.0.retention()
        }

        fn list(&self, prefix: &str, after: &str, listing: store::Listing) -> store::Result<store::Page> {
            self.0.list(prefix, after, listing)
        }
    }

    #[test]
    #[cfg(feature = "s3")]
    fn junk_in_a_bucket_does_not_keep_the_check_from_seeing_whether_it_may_see_locks() {
        let memory = store::memory::Memory::new(std::sync::Arc::new(SystemClock));
        let mut chain = ChainBuilder::begin("a/0", 7);
        chain.seal(events(0..3));
        store_objects(&chain.objects, &memory).unwrap();
        (0..250).for_each(|n| drop(memory.lay_over(&format!(".tmp/{n}"), b"junk")));
        let asked = std::cell::RefCell::new(Vec::new());
        let may_see = |answer: bool| {
            asked.borrow_mut().clear();
            may_see_locks(&Withheld(memory.clone()), |key, _| {
                asked.borrow_mut().push(key.to_owned());
                Ok(answer)
            })
        };
        assert!(may_see(true).unwrap());
        assert_eq!(asked.borrow().len(), LOCKS_LOOKED_AT, "{asked:?}");
        assert!(!may_see(false).unwrap());
        assert!(asked.borrow()[0].starts_with("a/0/checkpoints/00000000000000000003"), "{asked:?}");
    }

    /// Not a test of its own: what the next one runs.
    #[test]
    #[ignore = "ends the process"]
    fn a_bug() {
        end_with_4_on_a_bug();
        panic!("a bug");
    }

    #[test]
    fn a_bug_in_the_verifier_ends_with_4_and_without_a_report() {
        let itself = std::env::current_exe().unwrap();
        let run = Command::new(itself)
            .args(["--exact", "--ignored", "--nocapture", "cli::verify::tests::a_bug"])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(4));
        let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(!out.contains("verdict"), "{out}");
        assert!(err.contains("says nothing about the archive"), "{err}");
    }
}
