//! The promises of the seam, on files large and small.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::SystemClock;
use tempfile::TempDir;

use crate::conformance::{self, Fixture, Ground};
use crate::embedded::{Embedded, Options};

struct InFiles {
    file_bytes: u64,
    dirs: Mutex<Vec<TempDir>>,
}

impl Fixture for InFiles {
    fn ground(&self, _case: &str, partitions: u32) -> Ground {
        let dir = TempDir::new().unwrap();
        let options = Options::new(&[("source", partitions), ("output", partitions)], Arc::new(SystemClock));
        let options = Options { file_bytes: self.file_bytes, ..options };
        let stream = Arc::new(Embedded::open(dir.path(), options).unwrap());
        self.dirs.lock().unwrap().push(dir);
        Ground { stream, source: "source".into(), output: "output".into() }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[test]
fn the_log_keeps_the_promises_of_the_seam() {
    conformance::all(&InFiles { file_bytes: 64 << 20, dirs: Mutex::default() });
}

#[test]
fn it_keeps_them_with_a_file_for_each_commit() {
    conformance::all(&InFiles { file_bytes: 1, dirs: Mutex::default() });
}
