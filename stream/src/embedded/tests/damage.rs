//! Whatever happens to the bytes: a prefix of what was acknowledged, or `Damaged`. Never another record, never a panic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sim::SimDisk;
use super::*;
use crate::Kind;

type Files = BTreeMap<PathBuf, Vec<u8>>;
type Batches = Vec<Vec<&'static str>>;

/// Three files of lane t/0: two frames, one frame, three frames. Their names, and the batches written.
fn a_small_log() -> (Files, Vec<PathBuf>, Batches) {
    let disk = SimDisk::default();
    let batches =
        vec![vec!["a", "b"], vec!["c"], vec!["large"], vec!["d"], vec!["e", "", "f"], vec!["g", "h"]];
    // Both sizes are such that the third batch begins a file and fills it.
    let log = open(&disk, options(340)).unwrap();
    for batch in &batches {
        let large = "large".repeat(80);
        let values: Vec<&str> =
            batch.iter().map(|v| if *v == "large" { large.as_str() } else { v }).collect();
        log.append(&records(&lane(), &values)).unwrap();
    }
    drop(log);
    let files = disk.files();
    let names: Vec<_> = files.keys().filter(|path| path.starts_with("log/t-0")).cloned().collect();
    assert_eq!(names.len(), 3, "{names:?}");
    (files, names, batches)
}

fn short(values: &[Vec<u8>]) -> Vec<&str> {
    values.iter().map(|v| if v.len() == 400 { "large" } else { std::str::from_utf8(v).unwrap() }).collect()
}

/// What a reader gets of a log with changed bytes, and the error that ends it.
fn outcome(files: &Files) -> (Vec<Vec<u8>>, Option<Kind>) {
    match open(&SimDisk::with(files), options(340)) {
        Err(e) => (Vec::new(), Some(e.kind())),
        Ok(log) => {
            let (values, error) = read_all(&log, &lane(), 0);
            let error = error.map(|e| e.kind());
            match log.last(&lane()) {
                Ok(last) if error.is_none() => {
                    assert_eq!(last.last().map(|r| r.value.unwrap()), values.last().map(Vec::as_slice));
                }
                Ok(_) => {}
                Err(e) => assert_eq!(e.kind(), Kind::Damaged),
            }
            (values, error)
        }
    }
}

fn prefixes(batches: &[Vec<&'static str>]) -> Vec<Vec<&'static str>> {
    (0..=batches.len()).map(|n| batches[..n].concat()).collect()
}

#[test]
fn every_cut_of_the_last_file_leaves_its_whole_frames() {
    let (files, names, batches) = a_small_log();
    let whole = files[&names[2]].len();
    let mut seen = Vec::new();
    for cut in 0..=whole {
        let mut files = files.clone();
        files.get_mut(&names[2]).unwrap().truncate(cut);
        let (values, error) = outcome(&files);
        assert_eq!(error, None, "cut to {cut} bytes");
        let n = prefixes(&batches).iter().position(|prefix| *prefix == short(&values));
        seen.push(n.unwrap_or_else(|| panic!("cut to {cut} bytes: {:?}", short(&values))));
    }
    assert!(seen.is_sorted() && seen.first() == Some(&3) && seen.last() == Some(&6), "{seen:?}");
    seen.dedup();
    assert_eq!(seen, [3, 4, 5, 6]);
}

#[test]
fn a_log_goes_on_after_every_cut() {
    let (files, names, _) = a_small_log();
    for cut in 0..files[&names[2]].len() {
        let mut files = files.clone();
        files.get_mut(&names[2]).unwrap().truncate(cut);
        let disk = SimDisk::with(&files);
        let log = open(&disk, options(340)).unwrap();
        let mut expected = read_all(&log, &lane(), 0).0;
        log.append(&records(&lane(), &["new"])).unwrap();
        drop(log);
        expected.push(b"new".to_vec());
        let log = open(&disk, options(340)).unwrap();
        assert_eq!(read_all(&log, &lane(), 0).0, expected, "cut to {cut} bytes");
    }
}

#[test]
fn every_changed_byte_is_found_or_costs_the_last_frame_alone() {
    let (files, names, batches) = a_small_log();
    let prefixes = prefixes(&batches);
    let last_frame = frames_of(&files[&names[2]]).pop().unwrap();
    for (n, name) in names.iter().enumerate() {
        for at in 0..files[name].len() {
            for change in [0x01, 0x80, 0xff] {
                let mut files = files.clone();
                files.get_mut(name).unwrap()[at] ^= change;
                let (values, error) = outcome(&files);
                let values = short(&values);
                if n == 2 && at >= last_frame {
                    // It cannot be told from one that was never finished.
                    assert_eq!((values, error), (prefixes[5].clone(), None), "byte {at} of {name:?}");
                } else {
                    assert_eq!(error, Some(Kind::Damaged), "byte {at} of {name:?}, {values:?}");
                    assert!(prefixes[6].starts_with(&values), "byte {at} of {name:?}: {values:?}");
                }
            }
        }
    }
}

/// Where the frames of a file begin.
fn frames_of(file: &[u8]) -> Vec<usize> {
    (0..file.len() - 4).filter(|at| &file[*at..at + 4] == b"SLF1").collect()
}

#[test]
fn what_is_no_frame_of_this_file_is_cut_off_its_tail() {
    let (files, names, batches) = a_small_log();
    let elsewhere = &files[&names[0]];
    let own = &files[&names[2]];
    let first = frames_of(own)[0];
    for tail in [&b"garbage"[..], b"SLF1", &[0; 4_096], &elsewhere[32..], elsewhere, &own[first..first + 20]]
    {
        let mut files = files.clone();
        files.get_mut(&names[2]).unwrap().extend_from_slice(tail);
        let (values, error) = outcome(&files);
        assert_eq!((short(&values), error), (batches.concat(), None), "a tail of {} bytes", tail.len());
    }
}

#[test]
fn a_frame_that_stands_twice_is_damage() {
    let (mut files, names, _) = a_small_log();
    let file = files.get_mut(&names[2]).unwrap();
    let again = file[frames_of(file)[0]..].to_vec();
    file.extend_from_slice(&again);
    assert_eq!(outcome(&files).1, Some(Kind::Damaged));
}

#[test]
fn records_that_changed_places_are_damage() {
    let (mut files, names, _) = a_small_log();
    // The first frame has the records a and b, of equal length.
    let file = files.get_mut(&names[0]).unwrap();
    let (first, second) = (frames_of(file)[0] + 36, frames_of(file)[1]);
    file[first..second].rotate_left((second - first) / 2);
    assert_eq!(outcome(&files), (Vec::new(), Some(Kind::Damaged)));
}

#[test]
fn a_shortened_or_missing_older_file_is_damage() {
    let (files, names, batches) = a_small_log();
    for cut in [10, 32, 40, files[&names[0]].len() - 1, frames_of(&files[&names[0]])[1]] {
        let mut files = files.clone();
        files.get_mut(&names[0]).unwrap().truncate(cut);
        let (values, error) = outcome(&files);
        assert_eq!(error, Some(Kind::Damaged), "cut to {cut} bytes");
        assert!(batches.concat().starts_with(&short(&values)), "cut to {cut} bytes");
    }
    let mut gap = files.clone();
    gap.remove(&names[1]);
    assert_eq!(outcome(&gap).1, Some(Kind::Damaged));
}

#[test]
fn a_file_of_another_lane_or_version_is_not_touched() {
    let (mut files, names, _) = a_small_log();
    let moved = PathBuf::from(names[0].to_string_lossy().replace("t-0", "t-1"));
    files.insert(moved.clone(), files[&names[0]].clone());
    assert_eq!(outcome(&files).1, Some(Kind::Damaged));

    let (mut files, names, _) = a_small_log();
    let header = files.get_mut(&names[2]).unwrap();
    header[3] = b'2';
    let crc = crc32c::crc32c(&header[..28]);
    header[28..32].copy_from_slice(&crc.to_le_bytes());
    let disk = SimDisk::with(&files);
    assert_eq!(open(&disk, options(340)).err().map(|e| e.kind()), Some(Kind::Refused));
    assert_eq!(disk.files(), files);
}
