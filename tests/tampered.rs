//! What the verifier must catch, by the command itself: every row of the list of damages in a folder, those that need
//! versions and locks in a bucket, and row 28, the command that fails. Verdict and exit code are what a script sees.

#[cfg(feature = "s3")]
mod bucket;
#[cfg(feature = "s3")]
mod unread;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use verifier::Verdict;
use verifier::testing::rows::{self, Case, Row};

use crate::harness::process::{read, said};

/// What the auditor of a case brings, as files in this folder.
fn brought(case: &Case, folder: &Path) -> Vec<String> {
    let mut args = Vec::new();
    if !case.pinned.is_empty() {
        let file = folder.join("operator.key");
        let lines: String = case.pinned.iter().map(|vkey| format!("{vkey}\n")).collect();
        fs::write(&file, lines).unwrap();
        args.extend(["--key".to_owned(), file.display().to_string()]);
    }
    for (vkey, size) in &case.revoked {
        args.extend(["--revoked".to_owned(), format!("{vkey}@{size}")]);
    }
    for (nth, note) in case.known.iter().enumerate() {
        let file = folder.join(format!("kept-{nth}.note"));
        fs::write(&file, note).unwrap();
        args.extend(["--known".to_owned(), file.display().to_string()]);
    }
    args
}

/// What `sealog verify` says of an archive.
fn verified(place: &[String], env: &[(String, String)], args: &[String]) -> Output {
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
    read("verify", place, env, &args)
}

/// Verdict, exit code and checks are those of the row.
#[track_caller]
fn assert_said(case: &Case, output: &Output) {
    let what = &case.what;
    let (words, errors) = (said(output), String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&words).unwrap_or_else(|_| panic!("{what}: {words}{errors}"));
    assert_eq!(report["verdict"], case.verdict.words(), "{what}: {report:#}");
    assert_eq!(output.status.code(), Some(exit_code(case.verdict)), "{what}: {report:#}");
    let found =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap());
    if let Some(checks) = &case.checks {
        let due: BTreeSet<&str> = checks.iter().map(|check| check.name()).collect();
        assert_eq!(found.collect::<BTreeSet<_>>(), due, "{what}: {report:#}");
    }
    if let Some(first) = &case.first {
        let said = &report["first"];
        let seqs = said["first_seq"].as_u64().zip(said["last_seq"].as_u64());
        let is_it = first.is(said["check"].as_str().unwrap(), said["key"].as_str(), seqs);
        assert!(is_it, "{what}: not {first:?}: {report:#}");
    }
    // Of strange objects, which are no evidence, not of all.
    let is_strange = report["first"]["check"] == "layout";
    if case.bucket.is_some() && case.verdict == Verdict::CustodyAtRisk && !is_strange {
        assert!(report["first"]["version"].is_string(), "{what}: {report:#}");
    }
}

/// As the list of damages has it, not as the code computes it.
fn exit_code(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Broken | Verdict::CustodyAtRisk => 1,
        Verdict::Inconclusive => 3,
        _ => 0,
    }
}

fn in_a_folder(case: &Case) -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (key, bytes) in &case.objects {
        let file = folder.path().join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let place = vec![folder.path().display().to_string()];
    (folder, place)
}

fn lies_in_a_folder(case: &Case) -> bool {
    case.bucket.is_none() && case.withheld.is_none()
}

fn check_row_in_a_folder(cases: fn() -> Vec<Case>) {
    let cases: Vec<Case> = cases().into_iter().filter(lies_in_a_folder).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let (desk, (_folder, place)) = (tempfile::tempdir().unwrap(), in_a_folder(&case));
        assert_said(&case, &verified(&place, &[], &brought(&case, desk.path())));
    }
}

macro_rules! in_a_folder {
    ($($row:ident,)*) => {
        mod folder {
            $(#[test]
            fn $row() {
                super::check_row_in_a_folder(super::rows::$row);
            })*
        }

        #[test]
        fn every_row_that_a_folder_can_hold_is_tried_in_one() {
            let tried: Vec<&str> = vec![$(stringify!($row)),*];
            let has_some = |row: &&Row| (row.cases)().iter().any(lies_in_a_folder);
            let due: Vec<&str> = rows::ALL.iter().filter(has_some).map(|row| row.name).collect();
            assert_eq!(tried, due);
        }
    };
}

in_a_folder! {
    row_01_one_bit_flipped,
    row_02_records_deleted_inserted_doubled_swapped_or_changed,
    row_03_segments_swapped_renamed_replayed_foreign_or_doubled,
    row_04_a_file_cut_or_with_bytes_behind_its_end,
    row_05_trees_and_segment_disagree,
    row_06_a_trees_file_short_long_or_gone,
    row_07_the_same_events_under_other_bytes,
    row_08_the_tail_cut_off,
    row_09_history_sealed_anew_against_a_kept_checkpoint,
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
    row_26_objects_that_the_layout_does_not_know,
    row_30_beyond_the_newest_note,
    row_31_old_segments_gone,
    row_32_a_whole_chain_gone,
    row_33_another_schema,
    row_34_an_empty_place_keys_alone_or_the_wrong_folder,
}

/// An archive of which there is something to say, and one of which there is not.
fn whole_and_broken() -> [Case; 2] {
    let whole = Case::of("whole", &rows::chain_0());
    let broken = Case::after("broken", |zero| drop(zero.objects.remove(&zero.segment_key(1))));
    [whole, broken]
}

/// No report, or none that ends; and what was said of it.
#[track_caller]
fn assert_failed(output: &Output, words: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{errors}");
    assert!(errors.contains(words), "{errors}");
    assert!(output.stdout.is_empty(), "{}", said(output));
}

fn verify_into(place: &[String], json: bool, out: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
    command.arg("verify").args(place).args(json.then_some("--json"));
    command.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn row_28_a_report_that_cannot_be_written_is_no_verdict() {
    for case in whole_and_broken() {
        let (_folder, place) = in_a_folder(&case);
        for json in [false, true] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            assert_failed(&verify_into(&place, json, full.into()), "the report could not be written");
            // Nobody reads on the other side.
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            assert_failed(&verify_into(&place, json, writer.into()), "the report could not be written");
        }
    }
}

/// The last line, where it is the verdict.
fn verdict(output: &Output) -> Option<String> {
    said(output).lines().last().filter(|line| line.starts_with("verdict: ")).map(str::to_owned)
}

#[test]
fn row_28_a_verifier_without_room_to_work_gives_no_verdict() {
    for case in whole_and_broken() {
        let (_folder, place) = in_a_folder(&case);
        let with_room = read("verify", &place, &[], &[]);
        let (mut failed, mut limit_kib) = (0, 16 << 10);
        // Ever more room, until it is enough.
        let enough = loop {
            let script = format!("ulimit -v {limit_kib} && exec \"$0\" verify \"$1\"");
            let mut command = Command::new("sh");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_sealog"), &place[0]]);
            let output = command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).output().unwrap();
            if output.status.code() == with_room.status.code() && verdict(&output) == verdict(&with_room) {
                break limit_kib;
            }
            // Where even the loader or the allocator gives up there is no exit code of ours.
            let code = output.status.code();
            assert!(!matches!(code, Some(0..=3)), "{limit_kib} KiB: {code:?}: {}", said(&output));
            assert!(!said(&output).contains("verdict"), "{limit_kib} KiB: {}", said(&output));
            failed += 1;
            limit_kib = limit_kib * 5 / 4;
            assert!(limit_kib < 64 << 20, "however much there is, it is not enough");
        };
        assert!(failed > 0, "{enough} KiB are enough");
    }
}

#[test]
fn the_exit_code_tells_a_script_all_that_it_needs() {
    let [whole, broken] = whole_and_broken();
    let (_whole, whole) = in_a_folder(&whole);
    let (_broken, broken) = in_a_folder(&broken);
    let (empty, nowhere) = (tempfile::tempdir().unwrap(), [whole[0].clone() + "/nowhere"]);
    let code = |place: &[String], args: &[&str]| read("verify", place, &[], args).status.code().unwrap();
    assert_eq!(code(&whole, &[]), 0);
    assert_eq!(code(&whole, &["--require-anchor"]), 3);
    assert_eq!(code(&broken, &["--require-anchor"]), 1);
    assert_eq!(code(&[empty.path().display().to_string()], &[]), 3);
    assert_eq!(code(&nowhere, &[]), 2);
    let (key, locked) = ("nobody+00000000+AAAA", "compliance:7y");
    for usage in [
        &["--known", "/dev/null"][..],
        &["--key", key],
        &["--locked", locked],
        &["--revoked", key],
        &["--no"],
    ] {
        assert_eq!(code(&broken, usage), 2, "{usage:?}");
    }
}
