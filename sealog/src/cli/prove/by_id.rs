//! The event with an id: in which chain, and where. A chain that cannot be read does not hide what stands in the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, slice};

use anyhow::{Context, anyhow};
use schemas::Seq;
use store::Store;
use tlog::{Chain, Error, Found, Index, IndexError};

use super::{Ended, FAILED, NO_PROOF, Prove, say, usage};
use crate::archive::Place;
use crate::cli::given::environment;

/// So many chains that were not looked through are said one by one.
const SHOWN: usize = 10;

/// What was looked through for an id.
#[derive(Default)]
struct Looked {
    chains: Vec<Chain>,
    found: Vec<Found>,
    /// By name, those that were looked through to their newest checkpoint.
    whole: Vec<String>,
    /// What could not be read, or does not fit.
    missed: Vec<Missed>,
}

/// A chain that was not looked through to its end.
struct Missed {
    origin: String,
    /// So many of its events were, from the first on.
    covered: u64,
    why: Error,
    /// Whether an event with the id stands in it, which cannot be read.
    has_it: bool,
}

/// The one event with that id.
pub(super) fn by_id(
    args: &Prove,
    place: &Place,
    store: &Arc<dyn Store>,
    origins: &[String],
    id: &str,
) -> Result<(Chain, Seq), Ended> {
    let folder = match &args.index {
        Some(folder) => folder.clone(),
        None => default_folder().map_err(usage)?,
    };
    let index = Index::open(&folder, &name_of(&args.archive, place))?;
    let mut looked = Looked::default();
    for origin in origins {
        looked.look_into(&index, store, origin, id)?;
    }
    match looked.found.as_slice() {
        [] => Err(looked.nothing(&args.archive, id)),
        [Found { origin, seq }] => {
            looked.missed.iter().filter(|missed| missed.has_it).for_each(|missed| say(&missed.to_string()));
            let chain = looked.chains.into_iter().find(|chain| chain.origin() == origin);
            Ok((chain.with_context(|| origin.clone()).map_err(|error| Ended(FAILED, error))?, *seq))
        }
        [first, ..] => {
            let places =
                looked.found.iter().map(|found| format!("seq {} of chain {}", found.seq, found.origin));
            Err(usage(anyhow!(
                "{} events have the id {id:?}: {}. Give one by its place: {} --chain {}",
                looked.found.len(),
                places.collect::<Vec<_>>().join(", "),
                first.seq,
                first.origin
            )))
        }
    }
}

impl Looked {
    /// Err: the index cannot be used, so no chain can be looked into.
    fn look_into(
        &mut self,
        index: &Index,
        store: &Arc<dyn Store>,
        origin: &str,
        id: &str,
    ) -> Result<(), IndexError> {
        let missed = |covered, why, has_it| Missed { origin: origin.to_owned(), covered, why, has_it };
        let chain = match Chain::open(Arc::clone(store), origin) {
            Ok(chain) => chain,
            Err(why) => {
                self.missed.push(missed(0, why, false));
                return Ok(());
            }
        };
        let unfinished = match index.update(&chain) {
            Ok(built) => {
                if built.events > 0 {
                    say(&format!("{} events of chain {origin} are new, and in the index now", built.events));
                }
                None
            }
            Err(IndexError::Archive(why)) => Some(missed(index.covered(&chain)?, why, false)),
            Err(other) => return Err(other),
        };
        // What was indexed before stays found.
        let unread = match index.find(slice::from_ref(&chain), id) {
            Ok(found) => {
                self.found.extend(found);
                None
            }
            Err(IndexError::Archive(why)) => Some(missed(index.covered(&chain)?, why, true)),
            Err(other) => return Err(other),
        };
        match unread.or(unfinished) {
            Some(missed) => self.missed.push(missed),
            None => self.whole.push(origin.to_owned()),
        }
        self.chains.push(chain);
        Ok(())
    }

    /// Why no event is given: there is none, or a chain could not be read to its end.
    fn nothing(self, archive: &str, id: &str) -> Ended {
        let mut sentences = Vec::new();
        if !self.whole.is_empty() {
            sentences.push(format!(
                "no event has the id {id:?}, in {} that was looked through to its newest checkpoint",
                self.whole.join(", ")
            ));
        }
        sentences.extend(self.missed.iter().take(SHOWN).map(Missed::to_string));
        if self.missed.len() > SHOWN {
            sentences.push(format!("and {} chains more were not", self.missed.len() - SHOWN));
        }
        let codes = self.missed.into_iter().map(|missed| Ended::from(missed.why).0);
        Ended(codes.max().unwrap_or(NO_PROOF), anyhow!("{archive}: {}", sentences.join("; ")))
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missed { origin, covered, why, has_it } = self;
        match (has_it, covered) {
            (true, _) => {
                write!(f, "an event with that id stands in chain {origin}, and cannot be read: {why}")
            }
            (false, 0) => write!(f, "chain {origin} was not looked through: {why}"),
            (false, _) => {
                write!(f, "of chain {origin} the first {covered} events alone were looked through: {why}")
            }
        }
    }
}

/// What the index of an archive goes by. Two names of one archive cost an index each, and nothing else.
#[cfg_attr(not(any(feature = "http", feature = "s3")), allow(unused_variables))]
fn name_of(archive: &str, place: &Place) -> String {
    match place {
        Place::Folder(path) => {
            std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned()
        }
        #[cfg(any(feature = "http", feature = "s3"))]
        _ => archive.trim_end_matches('/').to_owned(),
    }
}

/// As the desktop's own rules have it.
fn default_folder() -> anyhow::Result<PathBuf> {
    let environment = environment();
    let of = |name: &str| {
        let found = environment.iter().find(|(found, value)| found == name && Path::new(value).is_absolute());
        found.map(|(_, value)| PathBuf::from(value))
    };
    let caches = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    let caches =
        caches.context("to find an event by its id an index is needed: say where with --index DIR")?;
    Ok(caches.join("sealog").join("index"))
}

#[cfg(test)]
mod tests;
