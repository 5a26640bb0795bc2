//! The embedded log on the machine's disk, and on one that loses power, fills up, fails and lies still on demand.

mod crash;
mod damage;
mod failures;
mod files;
mod promises;
mod sim;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::ManualClock;
use schemas::Micros;

use self::sim::SimDisk;
use super::{Embedded, Options};
use crate::{Batch, Error, Lane, Limit, Log, Result};

const ALL: Limit = Limit { records: usize::MAX, bytes: 1 << 30 };

fn lane() -> Lane {
    Lane::new("t", 0)
}

/// Options for the lanes t/0 and t/1, in small files.
fn options(file_bytes: u64) -> Options {
    let clock = Arc::new(ManualClock::at(Micros(1_700_000_000_000_000)));
    Options { file_bytes, ..Options::new(&[("t", 2)], clock) }
}

fn open(disk: &SimDisk, options: Options) -> Result<Embedded> {
    Embedded::open_on(Arc::new(disk.clone()), Path::new("log"), options, None)
}

/// One record a value on one lane, each with a key and a header.
fn records<V: AsRef<[u8]>>(lane: &Lane, values: &[V]) -> Batch {
    let mut batch = Batch::new();
    let id = batch.lane(lane);
    for value in values {
        batch.push(id, Some(b"key"), &[("h", b"x")], value.as_ref());
    }
    batch
}

/// Everything that a lane gives from `from` on, and the error behind it if there is one.
fn read_all(log: &Embedded, lane: &Lane, from: u64) -> (Vec<Vec<u8>>, Option<Error>) {
    let (mut values, mut at, mut batch) = (Vec::new(), from, Batch::new());
    loop {
        batch.clear(0);
        let read = log.read(lane, at, &mut batch, ALL, Duration::ZERO);
        for record in batch.iter() {
            assert_eq!(record.offset, at, "offsets are contiguous");
            assert_eq!((record.key, record.headers.get("h")), (Some(&b"key"[..]), Some(&b"x"[..])));
            values.push(record.value.unwrap().to_vec());
            at += 1;
        }
        match read {
            Err(e) => return (values, Some(e)),
            Ok(()) if batch.is_empty() => return (values, None),
            Ok(()) => {}
        }
    }
}
