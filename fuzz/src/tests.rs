//! Every target against its seeds, and what keeps a target from going blind.

use std::collections::BTreeSet;

use crate::TARGETS;

#[test]
fn every_target_takes_one_of_its_seeds_and_refuses_what_is_nothing() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(seeds.iter().any(|seed| (target.run)(seed)), "{} takes none of its seeds", target.name);
        let nothing = [0xff; 3];
        assert!(!(target.run)(&nothing) || target.name == "archive", "{} takes anything", target.name);
        for seed in seeds {
            assert!(seed.len() <= target.max_input_bytes, "{}: a seed is never made again", target.name);
        }
    }
}

#[test]
fn cuts_and_flips_of_seeds_do_no_harm() {
    // An archive's seeds are damage already.
    for target in TARGETS.iter().filter(|target| target.name != "archive") {
        for mut seed in (target.seeds)() {
            // In some ten places of each: the fuzzer does the rest.
            for bit in (0..seed.len() * 8).step_by((seed.len() * 8 / 10).max(1) | 1) {
                (target.run)(&seed[..bit / 8]);
                seed[bit / 8] ^= 1 << (bit % 8);
                (target.run)(&seed);
                seed[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

#[test]
fn a_target_is_called_by_one_name() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
}

#[test]
fn an_archive_that_nobody_touched_is_intact_and_each_kind_of_damage_is_seen() {
    let archive = TARGETS.iter().find(|target| target.name == "archive").unwrap();
    assert!((archive.run)(b""));
    let damaged = (archive.seeds)().into_iter().filter(|seed| !(archive.run)(seed)).count();
    assert!(damaged * 2 > (archive.seeds)().len(), "{damaged} of the seeds are seen");
}
