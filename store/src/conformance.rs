//! The contract of [`Store`] as cases that any implementation must pass. A case is a function over a
//! store that holds nothing yet; [`conformance!`](crate::conformance!) makes a test of each.
//!
//! A case assumes a store that is reached and has room: there `Away` is a failure. It assumes no file system, and
//! takes versions as they come, empty or not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a case fails by panicking, as every test does")]

mod keys;
mod lists;
mod reads;
mod writes;

use std::fmt::Debug;

pub use keys::*;
pub use lists::*;
pub use reads::*;
pub use writes::*;

use crate::{Keep, Kind, Object, Result, Store, Tag, Version};

/// One sentence of the contract.
pub type Case = fn(&dyn Store);

/// Makes a test of every case. Takes a function that makes an empty store, runs the [`Case`] it is given and cleans up.
#[macro_export]
macro_rules! conformance {
    ($in_an_empty_store:path) => {
        $crate::conformance! { $in_an_empty_store:
            what_was_put_is_read_back,
            an_empty_object_is_an_object,
            a_second_put_says_exists_and_changes_nothing,
            of_32_racing_puts_one_wins_and_its_bytes_stand,
            a_replace_of_nothing_needs_nothing_there,
            a_replace_with_the_right_tag_is_done,
            a_replace_with_a_stale_tag_says_changed_and_changes_nothing,
            a_tag_never_comes_back_with_other_bytes,
            of_16_racing_replaces_one_wins_each_round,
            a_reader_sees_all_of_an_object_or_none_of_it,
            what_is_not_there_is_missing,
            more_bytes_than_the_caller_takes_are_too_large,
            a_range_is_cut_at_the_end,
            an_empty_range_brings_no_bytes_but_what_is_known,
            the_version_that_a_write_returned_can_be_read,
            an_empty_store_lists_nothing,
            keys_come_in_the_order_of_their_bytes,
            after_is_exclusive_and_need_not_be_a_key,
            a_prefix_is_the_beginning_of_a_key_and_no_more,
            pages_say_whether_more_may_follow,
            small_pages_over_many_keys_bring_each_key_once,
            an_entry_says_what_a_read_says,
            every_version_is_listed_newest_first,
            what_is_not_a_key_is_refused_by_every_verb,
            a_key_at_the_bounds_is_taken,
            a_prefix_that_no_key_has_is_refused,
        }
    };
    ($in_an_empty_store:path: $($case:ident,)*) => {
        $(#[test]
        fn $case() {
            $in_an_empty_store($crate::conformance::$case);
        })*
    };
}

fn put(store: &dyn Store, key: &str, body: &[u8]) -> Version {
    store.put_new(key, body, Keep::Evidence).unwrap()
}

fn replace(store: &dyn Store, key: &str, expected: Option<&Tag>, body: &[u8]) -> Result<Version> {
    store.replace_if(key, expected, body, Keep::Hint)
}

fn get(store: &dyn Store, key: &str) -> Object {
    store.get(key, None, None, u64::MAX).unwrap()
}

#[track_caller]
fn expect<T: Debug>(kind: Kind, result: Result<T>) {
    match result {
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
        Ok(value) => panic!("{kind:?} was expected, the answer was {value:?}"),
    }
}
