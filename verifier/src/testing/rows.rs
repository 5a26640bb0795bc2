//! The list of damages that a verifier must find: each is done to a whole archive, and says what must be said of it. A
//! name carries the number of its row. Suites take the list as it is: in memory, in a folder, in a bucket.
//!
//! Not here: rows 16 to 18, which are about proofs; row 28, which is about the command; rows 20 and 29, of formats to
//! come.

mod case;
mod custody;
mod data;
mod history;
mod keys;
mod lifecycle;
mod outside;
mod spellings;

use std::time::Duration;

use schemas::Micros;
use store::{Mode, Retention};

use super::{ChainBuilder, Objects, events, opening};

pub use case::{Act, BadPlace, Case, Locked, Seqs};
pub use custody::*;
pub use data::*;
pub use history::*;
pub use keys::*;
pub use lifecycle::*;
pub use outside::*;
pub use spellings::*;

/// The chain that is damaged, unless it is said otherwise.
pub const CHAIN_0: &str = "acme.example/audit/0";
/// The chain beside it, whose opening it records.
pub const CHAIN_1: &str = "acme.example/audit/1";
/// When the first event of a row's archive was sealed: long before anybody runs this.
pub const BEGAN: Micros = Micros(1_479_893_400_000_000);
/// What a row's bucket promises.
pub const PROMISED: Retention = Retention { mode: Mode::Compliance, period: Duration::from_secs(2 * 86_400) };

/// A row, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `row_`, its number in two digits, and what it is about.
    pub name: &'static str,
    /// Its damages.
    pub cases: fn() -> Vec<Case>,
}

impl Row {
    /// Its number in the list.
    pub fn number(&self) -> u8 {
        self.name.split('_').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

/// Gives the names of all rows to the macro of that name, each with a comma behind it, so that a suite can make a test
/// of its own of each.
#[macro_export]
macro_rules! each_row {
    ($then:ident) => {
        $then! {
            row_01_one_bit_flipped,
            row_02_records_deleted_inserted_doubled_swapped_or_changed,
            row_03_segments_swapped_renamed_replayed_foreign_or_doubled,
            row_04_a_file_cut_or_with_bytes_behind_its_end,
            row_05_trees_and_segment_disagree,
            row_06_a_trees_file_short_long_or_gone,
            row_07_the_same_events_under_other_bytes,
            row_08_the_tail_cut_off,
            row_09_history_sealed_anew_against_a_kept_checkpoint,
            row_10_versions_of_checkpoint_going_back,
            row_11_two_roots_of_one_size,
            row_12_the_whole_chain_rewritten_and_nothing_to_compare,
            row_13_chain_and_tree_disagree,
            row_14_the_chain_begins_anew,
            row_15_a_gap_or_a_fork,
            row_19_checkpoints_in_any_form_but_the_keys_own,
            row_19_a_key_that_fits_every_signature,
            row_19_a_checkpoint_in_anothers_place_or_gone,
            row_21_key_notes_that_nobody_vouches_for,
            row_21_keys_out_of_their_range_or_unknown,
            row_21_what_a_revoked_key_signed,
            row_22_sealed_at_goes_back_or_is_ahead,
            row_23_delete_markers,
            row_24_newer_versions_laid_over,
            row_25_locks_missing_liftable_or_short,
            row_26_objects_that_the_layout_does_not_know,
            row_27_what_cannot_be_read,
            row_30_beyond_the_newest_note,
            row_31_old_segments_gone,
            row_32_a_whole_chain_gone,
            row_33_another_schema,
            row_34_an_empty_place_keys_alone_or_the_wrong_folder,
        }
    };
}

macro_rules! listed {
    ($($row:ident,)*) => {
        /// Every row.
        pub const ALL: &[Row] = &[$(Row { name: stringify!($row), cases: $row }),*];
    };
}

each_row!(listed);

/// Chain 0 in three segments of 300, 5 and 260 events, the last of another day; it records the opening of chain 1.
pub fn chain_0() -> ChainBuilder {
    chain_0_from(BEGAN)
}

/// The same, with its first event sealed then.
pub fn chain_0_from(began: Micros) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = began;
    chain.seal(events(0..299).chain([opening(CHAIN_1)])).seal(events(300..305));
    chain.clock.0 += 86_400_000_000;
    chain.seal(events(305..565));
    chain
}

/// Chain 1, of the same key, in two segments of 10 events.
pub fn chain_1() -> ChainBuilder {
    chain_1_from(BEGAN)
}

/// The same, with its first event sealed then.
pub fn chain_1_from(began: Micros) -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_1, 7);
    chain.clock = began;
    chain.seal(events(1_000..1_010)).seal(events(1_010..1_020));
    chain
}

/// Both chains as one archive.
pub fn both(zero: &ChainBuilder, one: &ChainBuilder) -> Objects {
    zero.objects.iter().chain(&one.objects).map(|(key, bytes)| (key.clone(), bytes.clone())).collect()
}
