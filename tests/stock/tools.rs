//! The tools of others, as tests/services/transparency builds them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schemas::{Checkpoint, Hash};

use super::archives::whole;
use crate::harness::process::said;

/// Where they are.
pub struct Tools {
    fsck: PathBuf,
    checker: PathBuf,
}

/// What fsck found.
#[derive(Debug, PartialEq, Eq)]
pub enum Fsck {
    /// It said so, with this size and root.
    Passed { size: u64, root: Hash },
    /// It said anything else, whatever its exit code: that is 0 for most damage.
    Failed(String),
}

impl Fsck {
    /// With the size and root that the chain had then.
    pub fn passed(size: u64) -> Fsck {
        let (checkpoint, _) = Checkpoint::parse(&whole().note(size)).unwrap();
        Fsck::Passed { size, root: checkpoint.root }
    }
}

impl Tools {
    /// None, said loudly, where they cannot be had; in CI they must.
    pub fn find() -> Option<Tools> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/transparency");
        let said = |verb: &str| {
            let output = Command::new(&script).arg(verb).stdin(Stdio::null()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tests/services/transparency {verb}: {errors}");
            said(&output).trim_end().to_owned()
        };
        let missing = said("--check").replace('\n', "; ");
        if missing.is_empty() {
            return Some(Tools { fsck: said("--fsck").into(), checker: said("--checker").into() });
        }
        let in_ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!in_ci, "CI reads logs with stock tools, but {missing}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: no stock tools read logs: {missing}");
        None
    }

    /// Checks the whole log at `url`. Where all its workers meet bad tiles it never ends, so its time is bounded.
    pub fn fsck(&self, url: &str, vkey: &Path) -> Fsck {
        let output = Command::new("timeout")
            .arg("60")
            .arg(&self.fsck)
            .args(["--ui=false", "--N=64", &format!("--storage_url={url}")])
            .arg(format!("--public_key={}", vkey.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = said(&output) + &String::from_utf8_lossy(&output.stderr);
        let passed = words.split_once("Successfully fsck'd log with size ").and_then(|(_, rest)| {
            let (size, rest) = rest.split_once(" and root ")?;
            let (_, root) = rest.split_once('(')?;
            Some(Fsck::Passed { size: size.parse().ok()?, root: Hash::from_hex(root.split_once(')')?.0)? })
        });
        passed.filter(|_| output.status.success()).unwrap_or(Fsck::Failed(words))
    }

    /// What the checker says of these files; Err: what does not hold.
    pub fn checks(&self, verb: &str, vkey: &Path, files: &[&Path]) -> Result<String, String> {
        let output = Command::new(&self.checker)
            .arg(verb)
            .arg(vkey)
            .args(files)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(said(&output).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
