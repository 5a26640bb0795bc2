//! Where an event stands, by its id. The index is a file outside of the archive, and can be thrown away at any time: it
//! is made anew from the archive, and goes on with new segments alone.
//!
//! | table | key | value |
//! |---|---|---|
//! | `events` | first 16 bytes of SHA-256(id) ‖ number of the chain u32 ‖ seq u64 | nothing |
//! | `chains` | origin | where the index stands in that chain, as `state` says |
//!
//! What enters it has been followed link by link up to a signed Checkpoint, so that an event which is archived is not
//! missed whatever was laid over its segment. What is found in it is a hint all the same: the event at that place is read,
//! and its id compared.

mod build;
mod state;

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, TableError};
use schemas::avro::{Input, Shape};
use schemas::{Hash, Malformed, Seq};

use crate::{Chain, Error};
pub use build::Built;
use state::State;

const EVENTS: TableDefinition<'_, &[u8; KEY_BYTES], ()> = TableDefinition::new("events");
const CHAINS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("chains");
const KEY_BYTES: usize = 28;
/// What is kept in memory of the file.
const CACHE_BYTES: usize = 128 << 20;

/// An index over the chains of one archive.
pub struct Index {
    path: PathBuf,
    database: Database,
}

/// Where an event with the id stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The chain.
    pub origin: String,
    /// The place.
    pub seq: Seq,
}

/// What went wrong with an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The archive could not be read, or does not fit.
    #[error(transparent)]
    Archive(#[from] Error),
    /// Somebody else has it open.
    #[error("{}: another sealog has this index open. Wait until it has ended, or give a folder of its own with --index", .0.display())]
    InUse(PathBuf),
    /// The file could not be read or written.
    #[error("{}: the index cannot be used: {what}. Remove the file, or give another folder with --index", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        what: String,
    },
}

impl Index {
    /// Opens the index in `folder` of the archive that goes by `name`: its URL, or its whole path. Makes what is not
    /// there, and makes anew what cannot be read as an index.
    pub fn open(folder: &Path, name: &str) -> Result<Index, IndexError> {
        let path = folder.join(format!("{}.index", &Hash::of(&[name.as_bytes()]).to_string()[..32]));
        let failed = |what: String| IndexError::File { path: path.clone(), what };
        fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let create = || Database::builder().set_cache_size(CACHE_BYTES).create(&path);
        let database = match create() {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(IndexError::InUse(path)),
            Err(error) if is_damage(&error) => {
                fs::remove_file(&path).map_err(|error| failed(error.to_string()))?;
                create().map_err(|error| failed(error.to_string()))?
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(Index { path, database })
    }

    /// The places of the events with this id in chains as far as [`Index::update`] has got in them, each of them read
    /// and compared.
    pub fn find(&self, chains: &[Chain], id: &str) -> Result<Vec<Found>, IndexError> {
        let mut found = Vec::new();
        for chain in chains {
            let Some((state, newest)) = self.state_of(chain)?.zip(chain.newest()) else { continue };
            let (low, high) = (key(id, state.number, 0), key(id, state.number, u64::MAX));
            for seq in self.hinted(&low, &high)?.into_iter().filter(|seq| *seq < newest.size) {
                let sealed = chain.event(&newest, Seq(seq))?;
                let shape = Shape::parse(&sealed.schema).map_err(|why| misread(chain, seq, &why))?;
                if id_of(&shape, &sealed.event_bytes).map_err(|why| misread(chain, seq, &why))? == id {
                    found.push(Found { origin: chain.origin().to_owned(), seq: Seq(seq) });
                }
            }
        }
        Ok(found)
    }

    /// The seqs between two keys.
    fn hinted(&self, low: &[u8; KEY_BYTES], high: &[u8; KEY_BYTES]) -> Result<Vec<u64>, IndexError> {
        let read = || -> Result<Vec<u64>, redb::Error> {
            let reading = self.database.begin_read()?;
            let table = match reading.open_table(EVENTS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                opened => opened?,
            };
            let mut seqs = Vec::new();
            for entry in table.range::<&[u8; KEY_BYTES]>(low..=high)? {
                seqs.push(seq_of(entry?.0.value()));
            }
            Ok(seqs)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Where the index stands in a chain. None: it has nothing of it, or of another chain that had its name.
    fn state_of(&self, chain: &Chain) -> Result<Option<State>, IndexError> {
        let read = || -> Result<Option<State>, redb::Error> {
            let reading = self.database.begin_read()?;
            let table = match reading.open_table(CHAINS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                opened => opened?,
            };
            Ok(table.get(chain.origin())?.and_then(|bytes| State::parse(bytes.value())))
        };
        let state = read().map_err(|error| self.failed(&error))?;
        let first = build::first_prev_of(chain);
        Ok(state.filter(|state| Some(state.first_prev) == first))
    }

    fn failed(&self, error: &redb::Error) -> IndexError {
        IndexError::File { path: self.path.clone(), what: error.to_string() }
    }
}

/// Whether the file is none of ours, or was damaged: nothing in it is worth keeping.
fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted => true,
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn misread(chain: &Chain, seq: u64, why: &Malformed) -> Error {
    Error::misfit(chain.origin(), format!("the event of seq {seq} cannot be read: {why}"))
}

fn key(id: &str, chain: u32, seq: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..16].copy_from_slice(&Hash::of(&[id.as_bytes()]).0[..16]);
    key[16..20].copy_from_slice(&chain.to_be_bytes());
    key[20..].copy_from_slice(&seq.to_be_bytes());
    key
}

fn number_of(key: &[u8; KEY_BYTES]) -> u32 {
    key[16..20].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn seq_of(key: &[u8; KEY_BYTES]) -> u64 {
    key[20..].iter().fold(0, |seq, byte| seq << 8 | u64::from(*byte))
}

/// The id of an event: its field of that name.
fn id_of<'a>(shape: &Shape, event_bytes: &'a [u8]) -> Result<&'a str, Malformed> {
    let mut input = Input::new("AuditEvent", event_bytes);
    let Shape::Record(fields) = shape else { return Err(input.malformed("its schema is no record")) };
    for (name, shape) in fields.iter() {
        match (name.as_str(), shape) {
            ("id", Shape::String) => return input.str(),
            _ => shape.skip(&mut input)?,
        }
    }
    Err(input.malformed("its schema has no field `id` that is text"))
}

#[cfg(test)]
mod tests;
