//! A disk in memory that keeps apart what a process sees and what a loss of power leaves.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use runtime::Deadline;

use crate::embedded::disk::{Disk, DiskFile};

/// A sector: what a disk writes whole or not at all.
const SECTOR_BYTES: usize = 16;

/// The disk. A clone is the same one.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since the folder was synced.
    name_changes: Vec<(PathBuf, Option<usize>)>,
    faults: Faults,
    changes: u64,
    /// How many syncs of files have succeeded.
    syncs: u64,
    syncs_held: u64,
}

/// What fails from now on.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The process dies at this change: it is done in part, and no further one at all.
    pub die_at: Option<u64>,
    /// So many bytes fit on the disk.
    pub capacity_bytes: Option<u64>,
    /// Every write fails, with nothing written.
    pub fail_writes: bool,
    /// So many syncs of files fail. What they were to make durable never will be.
    pub fail_syncs: u64,
    /// Files cannot be cut.
    pub fail_cuts: bool,
    /// Syncs wait.
    pub hold_syncs: bool,
}

/// A file: what is seen, what is durable, and what lies between.
#[derive(Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Cut(size) => to.resize(*size as usize, 0),
            Change::Write(position, bytes) => {
                let end = *position as usize + bytes.len();
                to.resize(to.len().max(end), 0);
                to[*position as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

/// Where the chances of a power loss come from: a test's own, so that it can be repeated.
pub struct Chance(pub u64);

impl Chance {
    /// One of `of` equal chances.
    pub fn below(&mut self, of: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % of
    }
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Sets what fails from now on.
    pub fn fail(&self, faults: Faults) {
        self.state().faults = faults;
        self.0.1.notify_all();
    }

    /// How many changes there were: writes, syncs, cuts, names.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// How many syncs of files have succeeded.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Waits until a sync is being held.
    pub fn wait_for_held_sync(&self, deadline: Deadline) {
        let mut state = self.state();
        while state.syncs_held == 0 {
            assert!(!deadline.passed(), "no sync came");
            state = self.0.1.wait_timeout(state, deadline.left()).unwrap().0;
        }
    }

    /// The files as a process sees them.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(path, inode)| (path.clone(), state.inodes[*inode].seen.clone())).collect()
    }

    /// A disk that holds these files, durably.
    pub fn with(files: &BTreeMap<PathBuf, Vec<u8>>) -> SimDisk {
        let disk = SimDisk::default();
        let mut state = disk.state();
        for (n, (path, bytes)) in files.iter().enumerate() {
            state.inodes.push(Inode { seen: bytes.clone(), durable: bytes.clone(), pending: Vec::new() });
            state.names.insert(path.clone(), n);
        }
        state.durable_names = state.names.clone();
        drop(state);
        disk
    }

    /// What the disk holds when its power comes back: what was synced, and of the rest whatever chance has it.
    pub fn after_power_loss(&self, chance: &mut Chance) -> SimDisk {
        let state = self.state();
        let mut names = state.durable_names.clone();
        for (path, inode) in &state.name_changes {
            if chance.below(2) == 0 {
                match inode {
                    Some(inode) => names.insert(path.clone(), *inode),
                    None => names.remove(path),
                };
            }
        }
        let survived = |(path, inode): (PathBuf, usize)| (path, state.inodes[inode].survive(chance));
        SimDisk::with(&names.into_iter().map(survived).collect())
    }

    /// Counts a change; an error once the process is dead. True for the one during which it dies.
    fn change(state: &mut State) -> io::Result<bool> {
        let nth = state.changes;
        state.changes += 1;
        match state.faults.die_at {
            Some(at) if nth > at => Err(io::Error::other("the process is dead")),
            at => Ok(at == Some(nth)),
        }
    }
}

impl Inode {
    fn survive(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match (change, chance.below(4)) {
                (_, 0) => {}
                (change, 1) => change.apply(&mut bytes),
                (Change::Cut(_), _) => {}
                (Change::Write(position, written), how) => {
                    // The length may have come through alone; behind it stand zeros or what lay there before.
                    if how == 2 {
                        let filler = [0, 0xa5][chance.below(2) as usize];
                        bytes.resize(bytes.len().max(*position as usize + written.len()), filler);
                    }
                    for (n, sector) in written.chunks(SECTOR_BYTES).enumerate() {
                        if chance.below(2) == 0 {
                            Change::Write(position + (n * SECTOR_BYTES) as u64, sector.to_vec())
                                .apply(&mut bytes);
                        }
                    }
                }
            }
        }
        bytes
    }
}

impl Disk for SimDisk {
    fn make_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let name = |path: &PathBuf| path.strip_prefix(dir).ok().map(|p| p.to_string_lossy().into_owned());
        Ok(self.state().names.keys().filter_map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        SimDisk::change(&mut state)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(path.into(), inode);
        state.name_changes.push((path.into(), Some(inode)));
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.state().names.get(path).copied();
        let inode = inode.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        SimDisk::change(&mut state)?;
        state.names.remove(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.name_changes.push((path.into(), None));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if SimDisk::change(&mut state)? {
            return Err(io::Error::other("the process died"));
        }
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl DiskFile for SimFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].seen.len() as u64)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let dies = SimDisk::change(&mut state)?;
        if state.faults.fail_writes {
            return Err(io::Error::other("the test lets writes fail"));
        }
        let used: usize = state.names.values().map(|inode| state.inodes[*inode].seen.len()).sum();
        let room = state.faults.capacity_bytes.map_or(u64::MAX, |most| most.saturating_sub(used as u64));
        let fits = bytes.len().min(room as usize);
        let change = Change::Write(position, bytes[..fits].to_vec());
        let inode = &mut state.inodes[self.inode];
        change.apply(&mut inode.seen);
        inode.pending.push(change);
        match (dies, fits < bytes.len()) {
            (true, _) => Err(io::Error::other("the process died")),
            (false, true) => Err(io::ErrorKind::StorageFull.into()),
            (false, false) => Ok(()),
        }
    }

    fn read_at(&self, into: &mut Vec<u8>, most: usize, position: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let rest = state.inodes[self.inode].seen.get(position as usize..).unwrap_or_default();
        let part = &rest[..rest.len().min(most)];
        into.extend_from_slice(part);
        Ok(part.len())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if SimDisk::change(&mut state)? {
            return Err(io::Error::other("the process died"));
        }
        state.syncs_held += 1;
        self.disk.0.1.notify_all();
        while state.faults.hold_syncs {
            state = self.disk.0.1.wait(state).unwrap();
        }
        state.syncs_held -= 1;
        if state.faults.fail_syncs > 0 {
            state.faults.fail_syncs -= 1;
            // As systems do: the pages count as written, whatever became of them.
            state.inodes[self.inode].pending.clear();
            return Err(io::Error::other("the test lets syncs fail"));
        }
        state.syncs += 1;
        let Inode { durable, pending, .. } = &mut state.inodes[self.inode];
        pending.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn cut(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let dies = SimDisk::change(&mut state)?;
        if state.faults.fail_cuts || dies {
            return Err(io::Error::other("the test lets cuts fail"));
        }
        let inode = &mut state.inodes[self.inode];
        let change = Change::Cut(size_bytes);
        change.apply(&mut inode.seen);
        inode.pending.push(change);
        Ok(())
    }
}
