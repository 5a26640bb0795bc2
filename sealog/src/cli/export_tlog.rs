//! `sealog export-tlog`

mod folder;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use runtime::SystemClock;
use schemas::Checkpoint;
use schemas::tiles::{TILE_WIDTH, tiles_of};
use store::Store;
use tlog::view::{Part, Resource, View, resources};

use crate::archive::{AtS3, Place};
use folder::Folder;

/// Write an archive's chains into a folder as transparency logs, so that stock tools read them (C2SP tlog-tiles).
///
/// Each chain becomes DIR/ORIGIN with checkpoint, tile/... and tile/entries/..., whose entries are the links: to be checked
/// where it is, or served by any web server. In a folder that holds an earlier export it goes on: tiles stay as they
/// are, what is new is added, and each checkpoint is replaced last. Only what leads to the signed root is written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportTlog {
    /// The archive: a folder, such as sealog-data/archive, a bucket as s3://bucket/prefix, or a copy behind a web server
    /// that lists its folders, as https://host/path.
    #[arg(value_name = "ARCHIVE")]
    archive: String,
    /// The folder, which is made if it is not there.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    at: AtS3,
}

const EXAMPLES: &str = "Example:
  sealog export-tlog sealog-data/archive tlog
  fsck --storage_url=file://$PWD/tlog/acme.example/audit/0 --public_key=vkey.txt";

/// So many that were not exported are said one by one.
const SHOWN: usize = 10;

pub fn run(args: &ExportTlog) -> Result<ExitCode> {
    let store = Place::of(&args.archive, &args.at)?.open()?;
    let origins = verifier::origins(store.as_ref()).with_context(|| args.archive.clone())?;
    if origins.is_empty() {
        bail!("{}: there is no chain: is this the archive's root?", args.archive);
    }
    let folder = Folder::open(&args.to)?;
    export_all(&store, &origins, &folder, &mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// Each chain, also behind one that cannot be exported: anybody who may write into an archive can begin a chain that
/// nobody can read. Err: which were not.
fn export_all(
    store: &Arc<dyn Store>,
    origins: &[String],
    folder: &Folder,
    out: &mut dyn Write,
) -> Result<()> {
    let mut failed = Vec::new();
    for origin in origins {
        match export(store, origin, folder) {
            Ok(said) => writeln!(out, "{origin}: {said}")?,
            Err(error) => failed.push(format!("{origin}: {error:#}")),
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        [one] => bail!("{one}"),
        several => bail!(
            "{} of {} chains were not exported, among them {}",
            several.len(),
            origins.len(),
            several[..several.len().min(SHOWN)].join("; ")
        ),
    }
}

/// Tiles, then the Checkpoint that needs them. If we die before it, the earlier Checkpoint stands with all that it needs,
/// and what was written behind it is written again.
fn export(store: &Arc<dyn Store>, origin: &str, folder: &Folder) -> Result<String> {
    let view = View::open(Arc::clone(store), origin)?;
    let signed = match view.newest(&SystemClock) {
        Err(tlog::Error::NotThere(_)) => return Ok("nothing is archived yet".to_owned()),
        signed => signed?,
    };
    let path = |resource: Resource| format!("{origin}/{}", resource.path());
    let checkpoint = path(Resource::Checkpoint);
    let before = folder.read(&checkpoint)?;
    let done = before.as_deref().map(|note| earlier(&view, note, &signed.checkpoint)).transpose()?;
    let (mut written, mut left) = (0, 0);
    for resource in resources(signed.checkpoint.size) {
        if done.is_some_and(|done| had(done, resource)) && folder.holds(&path(resource), length(resource))? {
            left += 1;
            continue;
        }
        folder.write(&path(resource), &view.file_at(&signed.checkpoint, resource)?)?;
        written += 1;
    }
    folder.sync()?;
    if before.as_deref() != Some(signed.note.as_bytes()) {
        folder.write(&checkpoint, signed.note.as_bytes())?;
        folder.sync()?;
    }
    Ok(format!("size {}, {written} files written, {left} were there", signed.checkpoint.size))
}

/// The size of an earlier export, if it is one of this chain.
fn earlier(view: &View, note: &[u8], newest: &Checkpoint) -> Result<u64> {
    const OTHER: &str = "give another folder";
    let (before, _) = Checkpoint::parse(note)
        .with_context(|| format!("the folder holds something that is no checkpoint: {OTHER}"))?;
    if before.size > newest.size {
        bail!(
            "the folder holds size {}, and the archive ends at {}: {OTHER}, and find out who cut the archive",
            before.size,
            newest.size
        );
    }
    match view.signed(before.size) {
        Ok(signed) if signed.checkpoint == before => Ok(before.size),
        Ok(_) | Err(tlog::Error::NotThere(_)) => {
            bail!("the folder holds another log of this name, of size {}: {OTHER}", before.size)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a log of this size has exactly this file, so that an export of it has written it.
fn had(size: u64, resource: Resource) -> bool {
    let (level, Part { index, width }) = match resource {
        Resource::Checkpoint => return false,
        Resource::Tile { level, part } => (level, part),
        Resource::Entries(part) => (0, part),
    };
    let (full, partial) = tiles_of(size, level);
    if width == TILE_WIDTH { index < full } else { (index, width) == (full, partial) }
}

fn length(resource: Resource) -> u64 {
    let (part, each) = match resource {
        Resource::Checkpoint => return 0,
        Resource::Tile { part, .. } => (part, 32),
        Resource::Entries(part) => (part, 2 + schemas::LINK_BYTES),
    };
    (part.width * each) as u64
}

#[cfg(test)]
mod tests;
