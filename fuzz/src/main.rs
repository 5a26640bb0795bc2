//! The binary for libFuzzer: every target in one, which compiles and links once instead of twenty times. Which one it is
//! says the name that it is called by, as of a link to it: so `segment CRASH` tries one input again, and what libFuzzer
//! starts anew is the same target. Called as `seeds FOLDER` it writes all seeds there, which saves a second build.

#![no_main]
#![allow(clippy::panic, reason = "to fail is how it says that something is wrong")]

use std::env;
use std::path::PathBuf;
use std::sync::LazyLock;

use fuzz::{TARGETS, Target, write_seeds};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let target = TARGETS.iter().find(|target| target.name == called());
    target.unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        panic!(
            "there is no target `{}`: call this by a link of one of these names: {}",
            called(),
            names.join(", ")
        )
    })
});

fn called() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}

/// Before the first input.
fn begin() {
    if called() == "seeds" {
        let folder = env::args_os().nth(1).expect("seeds FOLDER: give the folder to write to");
        print!("{}", write_seeds(folder.as_ref()).expect("the seeds can be written"));
        end();
    }
    // What is made once is not what an input costs.
    for seed in (TARGET.seeds)() {
        (TARGET.run)(&seed);
    }
}

#[allow(clippy::disallowed_methods, reason = "main is libFuzzer's, and would go on to fuzz")]
fn end() -> ! {
    std::process::exit(0)
}

fuzz_target!(
    // What is made once is not what an input costs.
    init: begin(),
    |bytes: &[u8]| {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (TARGET.run)(bytes);
        let held_bytes = MEMORY.peak_usage().saturating_sub(before);
        let bound_bytes = TARGET.fixed_bytes + TARGET.bytes_a_byte * bytes.len();
        assert!(held_bytes <= bound_bytes, "{} bytes of input made it hold {held_bytes}, over {bound_bytes}", bytes.len());
    }
);
