//! Listing a web server's folder in the order of keys, without asking for folders that the page cannot show.
//!
//! An archive may grow while it is listed, and what a listed checkpoint covers must be listed behind it. So each folder
//! is asked for when the list comes to it, and the folder around `checkpoints/` once more behind that. Only days beside
//! each other are asked for at once: nothing covers them that is listed later, and a chain has many.

use std::cmp::Reverse;
use std::thread;

use schemas::Micros;
use ureq::Body;
use ureq::http::Response;

use super::Http;
use super::budget::Budget;
use super::client::{Fault, Verb};
use super::index::{self, Found, What};
use crate::wanted::Wanted;
use crate::{Entry, Error, Kind, Page, Result, Version, key};

/// No page of a folder is larger: some 600,000 names.
const MAX_PAGE_BYTES: u64 = 64 << 20;
/// Nor that of a day, of which several are read at once: a segment a second.
const MAX_DAY_BYTES: u64 = 16 << 20;
/// Folders that are asked for at once.
const AT_ONCE: usize = 8;
/// How a day's folder begins.
const DAY: &str = "date=";
/// The folder whose objects promise that others are there, in folders beside it.
const PROMISES: &str = "checkpoints/";

/// A folder on the way, and what of it is still to come.
struct Level {
    /// What its keys begin with: empty, or with a slash at its end.
    base: String,
    /// The next one last.
    children: Vec<Child>,
}

struct Child {
    /// Of a folder with a slash at its end: so it stands in the order of keys.
    name: String,
    found: Found,
    /// Of a folder: what is in it, once it was asked for.
    inside: Option<Level>,
}

impl Child {
    fn is_day(&self) -> bool {
        self.found.what == What::Folder && self.name.starts_with(DAY)
    }

    /// What it takes to keep it.
    fn held_bytes(&self) -> usize {
        size_of::<Child>() + self.name.len() + self.found.name.len()
    }
}

impl Http {
    pub(super) fn walk(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        key::check_prefix(prefix)?;
        let wanted = Wanted { prefix, after };
        let mut page = Page::default();
        let base = prefix.rsplit_once('/').map(|(folders, _)| format!("{folders}/")).unwrap_or_default();
        if !base.is_empty() && !wanted.folder(&base) {
            return Ok(page);
        }
        let Some(names) = self.names(&base)? else {
            return match base.is_empty() {
                true => Err(Error::new(
                    Kind::Missing,
                    "/",
                    "there is no such folder on the server: check the URL",
                )),
                false => Ok(page),
            };
        };
        let mut budget = Budget::of_a_page(limit);
        let mut levels = vec![level(base, names, &wanted, &mut budget)?];
        while let Some(level) = levels.last_mut() {
            let Some(next) = level.children.last() else {
                let ended = levels.pop();
                if let (Some(ended), Some(around)) = (ended, levels.last_mut())
                    && ended.base.strip_prefix(&around.base) == Some(PROMISES)
                {
                    self.look_again(around, &wanted, &mut budget)?;
                }
                continue;
            };
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            if next.found.what == What::Folder && next.inside.is_none() {
                self.look_into(level, limit - page.entries.len(), &wanted, &mut budget)?;
            }
            let Some(child) = level.children.pop() else { continue };
            match child.inside {
                Some(inside) => levels.push(inside),
                None => page.entries.push(entry(format!("{}{}", level.base, child.name), &child.found)),
            }
        }
        Ok(page)
    }

    /// Asks for the next folder of a level; if it is a day, for the days behind it too, but for no more than entries
    /// are wanted.
    fn look_into(
        &self,
        level: &mut Level,
        entries: usize,
        wanted: &Wanted<'_>,
        budget: &mut Budget,
    ) -> Result<()> {
        let base = &level.base;
        let days = level.children.iter().rev().take_while(|child| child.is_day()).count();
        let count = days.min(entries).clamp(1, AT_ONCE);
        let first = level.children.len() - count;
        let next = &mut level.children[first..];
        let paths: Vec<String> = next.iter().map(|child| format!("{base}{}", child.name)).collect();
        for path in &paths {
            budget.folder(path)?;
        }
        let answers: Vec<Result<Vec<Found>>> = match paths.as_slice() {
            [only] => vec![self.names_of_listed(only)],
            several => thread::scope(|scope| {
                let asked: Vec<_> =
                    several.iter().map(|path| scope.spawn(|| self.names_of_listed(path))).collect();
                let answer = |asked: thread::ScopedJoinHandle<'_, _>| {
                    asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                asked.into_iter().map(answer).collect()
            }),
        };
        for ((child, path), names) in next.iter_mut().zip(paths).zip(answers) {
            child.inside = Some(self::level(path, names?, wanted, budget)?);
        }
        Ok(())
    }

    /// Reads a folder anew: beside the promises in it there may be folders that were not there when it was read.
    fn look_again(&self, around: &mut Level, wanted: &Wanted<'_>, budget: &mut Budget) -> Result<()> {
        budget.folder(&around.base)?;
        let names = self.names_of_listed(&around.base)?;
        let mut read = level(around.base.clone(), names, wanted, budget)?;
        read.children.retain(|child| child.name.as_str() > PROMISES);
        *around = read;
        Ok(())
    }

    /// The names in a folder that is listed: were it taken for empty when the server says that it is not there, what is
    /// in it would look as if it had been deleted.
    fn names_of_listed(&self, folder: &str) -> Result<Vec<Found>> {
        for _ in 0..2 {
            if let Some(names) = self.names(folder)? {
                return Ok(names);
            }
        }
        let what = "the server lists this folder, and says that there is none, asked twice: look at its log, and try \
                    again when nobody changes the copy";
        Err(Error::new(Kind::Away, folder, what))
    }

    /// The names in a folder. None if there is no such folder.
    fn names(&self, folder: &str) -> Result<Option<Vec<Found>>> {
        let shown = if folder.is_empty() { "/" } else { folder };
        let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let max_bytes = if name.starts_with(DAY) { MAX_DAY_BYTES } else { MAX_PAGE_BYTES };
        let page = match self.client.ask(Verb::Get, folder, None, |answer| body(answer, max_bytes)) {
            Ok(page) => page,
            Err(error) if error.kind() == Kind::Missing => return Ok(None),
            Err(error) => return Err(error),
        };
        let listed = index::parse(&self.client.path(folder), &page);
        listed
            .map(Some)
            .map_err(|why| Error::new(Kind::Refused, shown, format!("the folder cannot be listed: {why}")))
    }
}

/// A folder's page, whole.
fn body(answer: Response<Body>, max_bytes: u64) -> Result<Vec<u8>, Fault> {
    let (head, mut body) = answer.into_parts();
    if head.status.as_u16() != 200 {
        return Err(Fault::Final(Kind::Refused, format!("the server answers {} for a folder", head.status)));
    }
    body.with_config().limit(max_bytes).read_to_vec().map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            Fault::Final(Kind::Refused, format!("the folder's page is larger than {max_bytes} bytes"))
        }
        error => Fault::Again(format!("the folder's page was cut: {error}")),
    })
}

/// What of a folder leads to something wanted.
fn level(base: String, names: Vec<Found>, wanted: &Wanted<'_>, budget: &mut Budget) -> Result<Level> {
    let mut children: Vec<Child> = Vec::new();
    for mut found in names {
        if base.is_empty() && found.name == key::TEMPORARIES {
            continue;
        }
        let path = format!("{base}{}", found.name);
        if path.len() > key::MAX_KEY_BYTES || found.name.len() > key::MAX_PART_BYTES {
            found.what = What::Odd;
        }
        let (name, is_wanted) = match found.what {
            What::Folder => (format!("{}/", found.name), wanted.folder(&format!("{path}/"))),
            _ => (found.name.clone(), wanted.key(&path)),
        };
        if is_wanted {
            let child = Child { name, found, inside: None };
            budget.name(&base, child.held_bytes())?;
            children.push(child);
        }
    }
    children.sort_by(|a, b| Reverse(&a.name).cmp(&Reverse(&b.name)));
    children.dedup_by(|a, b| a.name == b.name);
    Ok(Level { base, children })
}

fn entry(key: String, found: &Found) -> Entry {
    let (size_bytes, modified) = match found.what {
        What::Odd => (0, Micros(0)),
        _ => (found.size_bytes, found.modified),
    };
    Entry { key, size_bytes, version: Version::default(), newest: true, delete_marker: false, modified }
}
