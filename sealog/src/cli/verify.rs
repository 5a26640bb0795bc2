//! `sealog verify`

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::{Clock, SystemClock};
use schemas::{Signing, Vkey};
use store::directory::Directory;
use verifier::{Known, Options, Report, parse_keys};

/// Check an archive, whole: signatures, links, roots, and every byte that is stored.
///
/// Needs nothing but the archive, and writes nothing. The last line is the verdict. `intact but unanchored` means that
/// everything fits, and that nothing outside the archive vouches for it: give the operator's public key with --key, and
/// with --known a checkpoint that you kept (any file of <origin>/checkpoints/), and it can say `intact`.
///
/// Exit codes: 0 intact, or intact but unanchored; 1 broken, or custody at risk; 2 usage; 3 inconclusive; 4 the
/// verifier failed.
#[derive(Debug, Args)]
pub struct Verify {
    /// The archive: a folder, such as sealog-data/archive.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    /// The operator's public key, as `sealog keygen` prints it, or a file with one a line. Without it the key in the
    /// archive is taken on trust. One key serves all chains, whichever of them it is named for.
    #[arg(long, value_name = "FILE|VKEY")]
    key: Option<String>,
    /// A checkpoint that you kept: the archive must be a continuation of it. Can be given several times.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
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
    let options = match options(&args) {
        Ok(options) => options,
        Err(error) => return Ok(said(USAGE, &format!("{error:#}"))),
    };
    let archive = match Directory::open_read_only(&args.archive) {
        Ok(archive) => archive,
        Err(error) => return Ok(said(INCONCLUSIVE, &format!("{error}. verdict: inconclusive"))),
    };
    let report = verifier::verify(&archive, &options);
    Ok(match print(&args, &report) {
        Ok(()) => ExitCode::from(report.exit_code(args.require_anchor)),
        Err(error) => said(VERIFIER_FAILED, &format!("the report could not be written: {error:#}")),
    })
}

fn said(code: u8, what: &str) -> ExitCode {
    // Without stderr there is nowhere left to say it.
    let _ = writeln!(io::stderr(), "sealog verify: {what}");
    ExitCode::from(code)
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

fn options(args: &Verify) -> Result<Options> {
    check_archive(&args.archive)?;
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
    Ok(Options { pinned, known, now: SystemClock.wall(), off: Vec::new() })
}

/// Says what is not an archive before anything is read.
pub(super) fn check_archive(archive: &str) -> Result<()> {
    if archive.starts_with("s3://") || archive.starts_with("https://") || archive.starts_with("http://") {
        bail!("{archive}: this version reads archives from folders only; copy it to one, names and all");
    }
    match fs::metadata(archive) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => bail!("{archive} is a file: give the archive's folder, such as sealog-data/archive"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{archive} is not there: give the archive's folder, such as sealog-data/archive")
        }
        // It may be an archive that cannot be read.
        Err(_) => Ok(()),
    }
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
        Verify { archive: archive.display().to_string(), key, known, json: true, require_anchor: false }
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

    #[test]
    fn what_is_no_archive_is_a_question_of_usage() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for archive in
            ["s3://bucket/prefix", "https://host/prefix", file.to_str().unwrap(), "/nowhere/at/all"]
        {
            assert!(check_archive(archive).is_err(), "{archive}");
        }
        check_archive(folder.path().to_str().unwrap()).unwrap();
        let garbage = args(folder.path(), None, vec![file]);
        assert!(format!("{:#}", options(&garbage).unwrap_err()).contains("is no checkpoint"));
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
        let options = options(&args(&archive, Some(chain.vkey().to_string()), vec![kept])).unwrap();
        let report = verifier::verify(&Directory::open_read_only(&archive).unwrap(), &options);
        assert_eq!(report.verdict.words(), "intact", "{report}");
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
