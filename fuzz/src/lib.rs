//! What libFuzzer feeds: a target for each parser that reads what an archive brings, and one for the verifier as a
//! whole.
//!
//! A target must come back from any bytes without a panic, in memory that follows from their length. Beyond that it
//! asserts what its parser promises: what is taken is the only spelling of what it says, so that writing it again gives
//! the same bytes; and nothing is signed that the key did not sign.
//!
//! `run` builds and runs them; `main` is the binary for libFuzzer; the tests here hold every target against its seeds, so
//! that a target that has gone blind is seen without a fuzzer.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a target says what is wrong by failing")]

mod archive;
mod golden;
mod names;
mod notes;
mod page;
mod proofs;
mod records;
mod schema;
mod seeds;
mod segment;
mod trees;

#[cfg(test)]
mod tests;

pub use seeds::write_seeds;

/// A parser and how it is tried.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called by.
    pub name: &'static str,
    /// Tries these bytes; whether they were taken.
    pub run: fn(&[u8]) -> bool,
    /// Bytes that it takes, to begin from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Its part of the time: more where more can go wrong.
    pub weight: u32,
    /// Longer inputs are not made.
    pub max_input_bytes: usize,
    /// What may be held at once, whatever the input.
    pub fixed_bytes: usize,
    /// What may be held at once beyond that, for each byte of the input.
    pub bytes_a_byte: usize,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, weight: 1, max_input_bytes: 4 << 10, fixed_bytes: 64 << 10, bytes_a_byte: 32 }
}

/// All of them.
pub const TARGETS: [Target; 23] = [
    target("note", notes::note, notes::note_seeds),
    target("checkpoint", notes::checkpoint, notes::checkpoint_seeds),
    target("key_note", notes::key_note, notes::key_note_seeds),
    target("vkey", notes::vkey, notes::vkey_seeds),
    target("pinned_keys", notes::pinned_keys, notes::pinned_keys_seeds),
    target("key_file", notes::key_file, notes::key_file_seeds),
    target("place", names::place, names::place_seeds),
    target("time", names::time, names::time_seeds),
    target("link", records::link, records::link_seeds),
    target("sealed_event", records::sealed_event, records::sealed_event_seeds),
    target("framing", records::framing, records::framing_seeds),
    target("head", records::head, records::head_seeds),
    target("event", records::event, records::event_seeds),
    Target {
        max_input_bytes: 16 << 10,
        ..target("proof_data", records::proof_data, records::proof_data_seeds)
    },
    target("consistency_proof", proofs::consistency_proof, proofs::consistency_proof_seeds),
    Target {
        max_input_bytes: 16 << 10,
        ..target("tlog_proof", proofs::tlog_proof, proofs::tlog_proof_seeds)
    },
    Target {
        weight: 2,
        max_input_bytes: 32 << 10,
        // A value of JSON in memory is many times as large as on the page.
        bytes_a_byte: 128,
        ..target("schema", schema::schema, schema::seeds)
    },
    Target {
        weight: 3,
        max_input_bytes: 32 << 10,
        // What is shown may need a megabyte, and so much for each byte, by its own measure.
        fixed_bytes: 4 << 20,
        bytes_a_byte: 1 << 10,
        ..target("datum", schema::datum, schema::datum_seeds)
    },
    Target { weight: 2, max_input_bytes: 32 << 10, ..target("trees", trees::trees, trees::seeds) },
    Target {
        weight: 4,
        max_input_bytes: 64 << 10,
        // One block of the largest datum, read and written again, and those that were written before it.
        fixed_bytes: 40 << 20,
        ..target("segment", segment::segment, segment::seeds)
    },
    Target {
        weight: 4,
        max_input_bytes: 32 << 10,
        fixed_bytes: 64 << 20,
        ..target("blocks", segment::blocks, segment::block_seeds)
    },
    Target { weight: 3, max_input_bytes: 16 << 10, ..target("page", page::page, page::seeds) },
    Target {
        weight: 6,
        // The verifier reads ahead of what it checks.
        fixed_bytes: 16 << 20,
        bytes_a_byte: 1 << 10,
        ..target("archive", archive::archive, archive::seeds)
    },
];
