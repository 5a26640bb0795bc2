//! Listing a folder in the order of keys, without reading what the page cannot show.
//!
//! A walk holds one level for each folder between the root of the prefix and where it is. A level is a heap: making
//! it is linear in the folder's names, and only those that reach the page are put in order and asked for their size.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, RawDir, Stat, statat};
use rustix::io::Errno;
use schemas::Micros;

use super::Directory;
use super::disk::open_folder;
use super::read::{modified, size_of};
use crate::wanted::Wanted;
use crate::{Entry, Page, Result, Version, key};

/// A folder on the way, and what of it is still to come.
struct Level {
    folder: OwnedFd,
    /// What its keys begin with: empty, or with a slash at its end.
    base: String,
    children: BinaryHeap<Reverse<Child>>,
}

/// In the order of keys: the name of a folder ends with its slash.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Child {
    name: String,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    File,
    Folder,
    /// Not an object and never one; when it was made.
    Odd(Micros),
}

impl Directory {
    pub(super) fn walk(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        key::check_prefix(prefix)?;
        let wanted = Wanted { prefix, after };
        let mut page = Page::default();
        let Some(start) = self.folder_of(prefix)? else { return Ok(page) };
        let base = prefix.rsplit_once('/').map(|(folders, _)| format!("{folders}/")).unwrap_or_default();
        let mut levels = vec![self.level(start, base, &wanted)?];
        while let Some(level) = levels.last_mut() {
            let Some(Reverse(child)) = level.children.pop() else {
                levels.pop();
                continue;
            };
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            let path = format!("{}{}", level.base, child.name);
            match child.what {
                What::Odd(modified) => page.entries.push(entry(path, 0, modified)),
                What::File => match statat(&level.folder, &child.name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if is_file(&stat) => {
                        page.entries.push(entry(path, size_of(&stat), modified(&stat)))
                    }
                    Ok(stat) => page.entries.push(entry(path, 0, modified(&stat))),
                    // Somebody removed it since its folder was read.
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(self.fault(&path, "listing", errno)),
                },
                What::Folder => match open_folder(&level.folder, child.name.trim_end_matches('/')) {
                    Ok(folder) => {
                        let next = self.level(folder, path, &wanted)?;
                        levels.push(next);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(self.fault(&path, "listing", error)),
                },
            }
        }
        Ok(page)
    }

    /// Reads the names of a folder and keeps those that lead to something wanted.
    fn level(&self, folder: OwnedFd, base: String, wanted: &Wanted<'_>) -> Result<Level> {
        let mut children = Vec::new();
        if base.is_empty() || wanted.folder(&base) {
            let fault = |errno| self.fault(&base, "listing", errno);
            let mut buffer = Vec::with_capacity(32 * 1024);
            let mut path = base.clone();
            let mut names = RawDir::new(&folder, buffer.spare_capacity_mut());
            while let Some(found) = names.next() {
                let found = found.map_err(fault)?;
                let raw = found.file_name();
                if matches!(raw.to_bytes(), b"." | b"..")
                    || (base.is_empty() && raw.to_bytes() == key::TEMPORARIES.as_bytes())
                {
                    continue;
                }
                path.truncate(base.len());
                spell(raw.to_bytes(), &mut path);
                let as_object = wanted.key(&path);
                path.push('/');
                let as_folder = wanted.folder(&path);
                path.pop();
                if !as_object && !as_folder {
                    continue;
                }
                let what = match what_is(&folder, raw, found.file_type(), &path) {
                    Ok(what) => what,
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(fault(errno)),
                };
                let is_wanted = if what == What::Folder { as_folder } else { as_object };
                if is_wanted {
                    let slash = if what == What::Folder { "/" } else { "" };
                    children.push(Reverse(Child { name: format!("{}{slash}", &path[base.len()..]), what }));
                }
            }
        }
        Ok(Level { folder, base, children: BinaryHeap::from(children) })
    }
}

/// What a name stands for. Only the odd ones, and file systems that do not say, cost a look at the file.
fn what_is(folder: &OwnedFd, raw: &CStr, said: FileType, path: &str) -> Result<What, Errno> {
    let is_key = path.len() <= key::MAX_KEY_BYTES && raw.to_str().is_ok();
    match said {
        FileType::RegularFile if is_key => Ok(What::File),
        FileType::Directory if is_key => Ok(What::Folder),
        _ => {
            let stat = statat(folder, raw, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile if is_key => What::File,
                FileType::Directory if is_key => What::Folder,
                _ => What::Odd(modified(&stat)),
            })
        }
    }
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn entry(key: String, size_bytes: u64, modified: Micros) -> Entry {
    Entry { key, size_bytes, version: Version::default(), newest: true, delete_marker: false, modified }
}

/// A name as it is listed. Bytes that are not UTF-8 stand as U+FFFD and their hex, so that two such names differ.
pub(crate) fn spell(name: &[u8], path: &mut String) {
    for part in name.utf8_chunks() {
        path.push_str(part.valid());
        if !part.invalid().is_empty() {
            path.push('\u{fffd}');
            path.push_str(&schemas::hex(part.invalid()));
        }
    }
}
