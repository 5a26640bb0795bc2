//! What the auditor brings, and takes away: public keys, and checkpoints to keep.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use schemas::{Signing, Vkey};
use verifier::{Known, Report, parse_keys};

use super::{Verify, said_note};

/// No file of keys is larger.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// No file of checkpoints is: some 20,000 of them.
const MAX_KNOWN_BYTES: u64 = 4 << 20;

/// The keys that `--key` names: one as text, or those of a file.
pub(in crate::cli) fn pinned(key: &str) -> Result<Vec<Vkey>> {
    if key.contains('+') && !Path::new(key).exists() {
        return Ok(vec![Vkey::parse(key)?]);
    }
    let file = read_small(Path::new(key), MAX_KEY_BYTES)?;
    let text = String::from_utf8(file).ok().with_context(|| format!("{key} is not text"))?;
    if Signing::parse(&text).is_ok() {
        bail!(
            "{key} is the secret key, which no auditor needs: `sealog keygen --show {key}` prints the public one"
        );
    }
    parse_keys(&text).with_context(|| format!("{key} holds no public key"))
}

/// The keys that `--revoked` names, each with its size.
pub(super) fn revoked(given: &[String]) -> Result<Vec<(Vkey, u64)>> {
    let mut revoked = Vec::new();
    for text in given {
        let parted = text.rsplit_once('@').and_then(|(key, size)| Some((key, size.parse().ok()?)));
        let (key, size) = parted.with_context(|| {
            format!("--revoked {text}: give KEY@SIZE, the key as for --key and a size as 4200")
        })?;
        let keys = pinned(key).context("--revoked")?;
        revoked.extend(keys.into_iter().map(|vkey| (vkey, size)));
    }
    Ok(revoked)
}

/// The checkpoints of all files that `--known` names.
pub(super) fn known(paths: &[PathBuf]) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let notes = read_small(path, MAX_KNOWN_BYTES).context("--known")?;
        let parsed = Known::parse_all(&name, &notes);
        known.extend(parsed.with_context(|| format!("--known {name} is no checkpoint, and no row of them"))?);
    }
    Ok(known)
}

/// Writes the newest checkpoint of each chain to the file that `--keep` names, if all was walked and the report found
/// nothing wrong. Of a part nothing is kept: whoever brings it next time, and in its place no older one, would never see
/// that what was not walked continues no checkpoint of his.
pub(super) fn keep(args: &Verify, report: &Report) -> Result<()> {
    let Some(path) = &args.keep else { return Ok(()) };
    if report.exit_code(false) != 0 {
        said_note(&format!("nothing was kept in {}: something is wrong", path.display()));
        return Ok(());
    }
    if report.scope.kind != "full" {
        let why = "only a part was checked, and a kept checkpoint vouches for all before it. Check all of it to keep one";
        said_note(&format!("nothing was kept in {}: {why}", path.display()));
        return Ok(());
    }
    let notes: String = report.chains.iter().filter_map(|chain| chain.checkpoint.as_deref()).collect();
    let named = || format!("--keep {}", path.display());
    let mut file = fs::File::create_new(path).with_context(named)?;
    file.write_all(notes.as_bytes()).and_then(|()| file.sync_all()).with_context(named)
}

/// A file that is read whole, if it is no larger.
pub(in crate::cli) fn read_small(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let named = || path.display().to_string();
    let mut bytes = Vec::new();
    // What the file says of its size is not believed: that of a pipe or a device is 0.
    let file = fs::File::open(path).with_context(named)?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() as u64 > max_bytes {
        bail!("{} is longer than {max_bytes} bytes: neither keys nor checkpoints", named());
    }
    Ok(bytes)
}
