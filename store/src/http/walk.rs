//! Listing a web server's folder in the order of keys, without asking for folders that the page cannot show. The next
//! folders beside each other are asked for at once: a segment's folder is a day, and a chain has many.

use std::cmp::Reverse;
use std::thread;

use schemas::Micros;
use ureq::Body;
use ureq::http::Response;

use super::Http;
use super::client::{Fault, Verb};
use super::index::{self, Found, What};
use crate::wanted::Wanted;
use crate::{Entry, Error, Kind, Page, Result, Version, key};

/// No page of a folder is larger: some 300,000 names.
const MAX_PAGE_BYTES: u64 = 64 << 20;
/// Folders that are asked for at once.
const AT_ONCE: usize = 8;

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
    /// Of a folder: what is in it, if it was asked for ahead. None: it is gone.
    inside: Option<Option<Vec<Found>>>,
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
        let mut levels = vec![level(base, names, &wanted)];
        while let Some(level) = levels.last_mut() {
            let Some(next) = level.children.last() else {
                levels.pop();
                continue;
            };
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            if next.found.what == What::Folder && next.inside.is_none() {
                self.look_ahead(level, limit - page.entries.len())?;
            }
            let Some(child) = level.children.pop() else { continue };
            let path = format!("{}{}", level.base, child.name);
            match (child.found.what, child.inside.flatten()) {
                (What::Folder, Some(names)) => levels.push(self::level(path, names, &wanted)),
                // Somebody removed it since its folder was read.
                (What::Folder, None) => {}
                _ => page.entries.push(entry(path, &child.found)),
            }
        }
        Ok(page)
    }

    /// Asks for the next folders of a level: no more than entries are wanted.
    fn look_ahead(&self, level: &mut Level, wanted: usize) -> Result<()> {
        let base = level.base.clone();
        let folders = level.children.iter_mut().rev().filter(|child| child.found.what == What::Folder);
        let mut next: Vec<&mut Child> = folders.take(wanted.min(AT_ONCE)).collect();
        if let [only] = next.as_mut_slice() {
            only.inside = Some(self.names(&format!("{base}{}", only.name))?);
            return Ok(());
        }
        thread::scope(|scope| {
            let ask = |child: &Child| {
                let path = format!("{base}{}", child.name);
                scope.spawn(move || self.names(&path))
            };
            let asked: Vec<_> = next.iter().map(|child| ask(child)).collect();
            for (child, answer) in next.iter_mut().zip(asked) {
                let names = answer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                child.inside = Some(names?);
            }
            Ok(())
        })
    }

    /// The names in a folder. None if there is no such folder.
    fn names(&self, folder: &str) -> Result<Option<Vec<Found>>> {
        let shown = if folder.is_empty() { "/" } else { folder };
        let page = match self.client.ask(Verb::Get, folder, None, body) {
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
fn body(answer: Response<Body>) -> Result<Vec<u8>, Fault> {
    let (_, mut body) = answer.into_parts();
    body.with_config().limit(MAX_PAGE_BYTES).read_to_vec().map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            Fault::Final(Kind::Refused, format!("the folder's page is larger than {MAX_PAGE_BYTES} bytes"))
        }
        error => Fault::Again(format!("the folder's page was cut: {error}")),
    })
}

/// What of a folder leads to something wanted.
fn level(base: String, names: Vec<Found>, wanted: &Wanted<'_>) -> Level {
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
            children.push(Child { name, found, inside: None });
        }
    }
    children.sort_by(|a, b| Reverse(&a.name).cmp(&Reverse(&b.name)));
    children.dedup_by(|a, b| a.name == b.name);
    Level { base, children }
}

fn entry(key: String, found: &Found) -> Entry {
    let (size_bytes, modified) = match found.what {
        What::Odd => (0, Micros(0)),
        _ => (found.size_bytes, found.modified),
    };
    Entry { key, size_bytes, version: Version::default(), newest: true, delete_marker: false, modified }
}
