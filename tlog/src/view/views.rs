//! All chains of an archive as tiled logs, each below its origin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use runtime::Clock;
use schemas::Micros;
use store::{Kind, Store};

use super::{Resource, View};
use crate::{Error, Result};

/// So many chains are kept open, with what was read of them: those that were asked for last.
pub(super) const MOST_OPEN: usize = 4;
/// Chains that are new to the archive are looked for again after this time.
pub(super) const LIST_AGAIN_US: i64 = 10_000_000;

/// Finds the chains of an archive.
type FindOrigins = dyn Fn() -> store::Result<Vec<String>> + Send + Sync;

/// The chains of an archive, to be asked for files by path. Shared by threads.
pub struct Views {
    store: Arc<dyn Store>,
    find_origins: Box<FindOrigins>,
    known: Mutex<Known>,
    /// Held by the one who lists the chains; others go on with those that are known.
    listing: Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// As they were found last. None: they have not been.
    origins: Option<Vec<String>>,
    /// When they had been looked for.
    listed_at: Option<Micros>,
    /// Why they were not found the last time.
    failed: Option<(Kind, String)>,
    /// The one that was used last comes last.
    open: Vec<(String, Arc<View>)>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Whether it is text, in UTF-8.
    pub is_text: bool,
    /// Whether its bytes stay what they are for ever.
    pub is_immutable: bool,
}

impl Views {
    /// The chains that `find_origins` finds in `store`.
    pub fn new(
        store: Arc<dyn Store>,
        find_origins: impl Fn() -> store::Result<Vec<String>> + Send + Sync + 'static,
    ) -> Views {
        Views {
            store,
            find_origins: Box::new(find_origins),
            known: Mutex::default(),
            listing: Mutex::default(),
        }
    }

    /// What stands at `/<origin>/<path>`; at `/` the origins, one a line. None: nothing does.
    pub fn answer(&self, path: &str, clock: &dyn Clock) -> Result<Option<Answer>> {
        let Some(path) = path.strip_prefix('/') else { return Ok(None) };
        if path.is_empty() {
            let lines = self.origins(clock)?.into_iter().map(|origin| origin + "\n");
            return Ok(Some(Answer {
                body: lines.collect::<String>().into(),
                is_text: true,
                is_immutable: false,
            }));
        }
        let named = named(path);
        if named.is_empty() {
            return Ok(None);
        }
        let known = named.iter().find(|(origin, _)| self.knows(origin));
        let found = match known {
            Some(found) => Some(found),
            // It may have been opened since.
            None => {
                let origins = self.origins(clock)?;
                let found = named.iter().find(|(origin, _)| origins.iter().any(|found| found == origin));
                if found.is_none() {
                    self.known().check_listed()?;
                }
                found
            }
        };
        let Some((origin, resource)) = found.copied() else { return Ok(None) };
        let is_checkpoint = resource == Resource::Checkpoint;
        match self.view(origin)?.file(resource, clock) {
            Ok(found) => {
                Ok(found.map(|body| Answer { body, is_text: is_checkpoint, is_immutable: !is_checkpoint }))
            }
            // The chain is opened, but nothing of it is archived.
            Err(Error::NotThere(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn knows(&self, origin: &str) -> bool {
        self.known().origins.iter().flatten().any(|found| found == origin)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chains, looked for within the last ten seconds. Those found before, while somebody else looks, and where they
    /// could not be listed.
    fn origins(&self, clock: &dyn Clock) -> Result<Vec<String>> {
        if self.known().is_fresh(clock) {
            return self.known().origins();
        }
        let _listing = match self.listing.try_lock() {
            Ok(listing) => listing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                if self.known().origins.is_some() {
                    return self.known().origins();
                }
                self.listing.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Who has just listed may have been waited for.
        if self.known().is_fresh(clock) {
            return self.known().origins();
        }
        let found = (self.find_origins)();
        let mut known = self.known();
        known.listed_at = Some(clock.boot());
        match found {
            Ok(origins) => (known.origins, known.failed) = (Some(origins), None),
            // An archive that fails is not asked more often than one that answers.
            Err(error) => known.failed = Some((error.kind(), error.to_string())),
        }
        known.origins()
    }

    fn view(&self, origin: &str) -> Result<Arc<View>> {
        if let Some(view) = self.known().use_open(origin) {
            return Ok(view);
        }
        // Others go on meanwhile. If one of them opens the same, one of the two is kept.
        let view = Arc::new(View::open(Arc::clone(&self.store), origin)?);
        let mut known = self.known();
        if let Some(view) = known.use_open(origin) {
            return Ok(view);
        }
        if known.open.len() == MOST_OPEN {
            known.open.remove(0);
        }
        known.open.push((origin.to_owned(), Arc::clone(&view)));
        Ok(view)
    }
}

impl Known {
    fn is_fresh(&self, clock: &dyn Clock) -> bool {
        self.listed_at.is_some_and(|at| clock.boot().0 - at.0 < LIST_AGAIN_US)
    }

    /// Err: they were never found.
    fn origins(&self) -> Result<Vec<String>> {
        match &self.origins {
            Some(origins) => Ok(origins.clone()),
            None => self.check_listed().map(|()| Vec::new()),
        }
    }

    /// Err: they could not be listed the last time.
    fn check_listed(&self) -> Result<()> {
        match &self.failed {
            Some((kind, what)) => Err(store::Error::new(*kind, "the list of chains", what.as_str()).into()),
            None => Ok(()),
        }
    }

    fn use_open(&mut self, origin: &str) -> Option<Arc<View>> {
        let at = self.open.iter().position(|(open, _)| open == origin)?;
        let used = self.open.remove(at);
        let view = Arc::clone(&used.1);
        self.open.push(used);
        Some(view)
    }
}

/// What a path may name: an origin, and a file of its log. The longest origin first, for one may be the beginning of
/// another.
fn named(path: &str) -> Vec<(&str, Resource)> {
    let slashes = path.rmatch_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    slashes.filter_map(|(origin, file)| Some((origin, Resource::parse(file)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::*;

    #[test]
    fn a_path_is_an_origin_and_a_file() {
        let tile = |index| Resource::Tile { level: 0, part: Part::full(index) };
        assert_eq!(named("a/0/checkpoint"), [("a/0", Resource::Checkpoint)]);
        assert_eq!(named("a/0/tile/0/x001/000"), [("a/0", tile(1000))]);
        assert_eq!(named("checkpoint"), []);
        assert_eq!(named("a/0/segments/x"), []);
        assert_eq!(named("a/tile/0/000/tile/0/000"), [("a/tile/0/000", tile(0))]);
    }
}
