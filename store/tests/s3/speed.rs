//! How fast segments are written. A measurement, not a test:
//! `cargo test --release -p store --test s3 -- --ignored --nocapture writing`

use std::thread;

use runtime::{Clock, SystemClock};
use store::{Keep, Store};

use super::Site;

const BODY_BYTES: usize = 8 << 20;
const WRITERS: usize = 8;
const EACH: usize = 8;

/// Eight writers, eight segments each.
pub fn writing_64_segments_of_8_mib(site: &Site) {
    let store = site.store(site.options());
    let body: Vec<u8> =
        (0..BODY_BYTES as u32 / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    store.put_new("first", &body, Keep::Evidence).unwrap();
    let begun = SystemClock.boot();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, body) = (&store, &body);
            scope.spawn(move || {
                for n in 0..EACH {
                    store.put_new(&format!("segments/{writer}/{n}"), body, Keep::Evidence).unwrap();
                }
            });
        }
    });
    let seconds = (SystemClock.boot().0 - begun.0) as f64 / 1e6;
    let mib = (WRITERS * EACH * BODY_BYTES) as f64 / f64::from(1 << 20);
    println!("{:?}: {mib} MiB in {seconds:.2} s, {:.0} MiB/s", site.server.make, mib / seconds);
}
