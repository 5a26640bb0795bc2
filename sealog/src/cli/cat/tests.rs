//! Cat over archives in memory.

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::Parser;
use runtime::{Deadline, SystemClock};
use serde_json::Value;
use store::memory::Memory;
use verifier::testing::{ChainBuilder, events, store_objects};

use super::*;

const CHAIN_0: &str = "acme.example/audit/0";
const CHAIN_1: &str = "acme.example/audit/1";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    cat: Cat,
}

fn cat(args: &[&str]) -> Cat {
    Command::try_parse_from(["cat", "archive"].iter().chain(args)).unwrap().cat
}

/// Chain 0 in segments of 5, 5 and, a day later, 5; chain 1 of 3.
fn archive() -> Memory {
    let store = Memory::new(Arc::new(SystemClock));
    let zero = zero_of(0);
    let mut one = ChainBuilder::begin(CHAIN_1, 7);
    one.seal(events(100..103));
    store_objects(&zero.objects, &store).unwrap();
    store_objects(&one.objects, &store).unwrap();
    store
}

fn printed(store: &dyn Store, args: &[&str]) -> Result<Vec<Value>> {
    let (cat, mut out) = (cat(args), Vec::new());
    let mut lines = Lines::to(&mut out, &cat);
    print(store, &Ahead::default(), &cat, &mut lines, (&Stop::new(), LOOK_AGAIN), || false)?;
    lines.flush()?;
    drop(lines);
    let text = String::from_utf8(out).unwrap();
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn seqs(args: &[&str]) -> Vec<u64> {
    printed(&archive(), args).unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_line_says_where_an_event_stands_and_what_it_is() {
    let lines = printed(&archive(), &["--chain", CHAIN_0]).unwrap();
    assert_eq!(lines.len(), 15);
    let names: Vec<&String> = lines[7].as_object().unwrap().keys().collect();
    assert_eq!(names, ["seq", "sealed_at", "hash", "chain", "event"]);
    assert_eq!(
        (&lines[7]["seq"], &lines[7]["sealed_at"]),
        (&7.into(), &"2026-11-21T09:30:07.000000Z".into())
    );
    assert_eq!(lines[7]["event"]["original"]["bytes"], "{\"action\":\"user.login\",\"n\":7}");
    let events = printed(&archive(), &["--chain", "1", "--fields", "event"]).unwrap();
    assert_eq!((events.len(), &events[0]["id"]), (3, &"e-100".into()));
    assert_eq!(printed(&archive(), &[]).unwrap().len(), 18, "all chains, one after the other");
    assert!(printed(&archive(), &["--chain", "2"]).is_err());
}

#[test]
fn it_begins_and_ends_where_it_is_told() {
    let in_zero = |args: &[&str]| seqs(&[&["--chain", "0"], args].concat());
    let range = |first: u64, end: u64| (first..end).collect::<Vec<u64>>();
    assert_eq!(in_zero(&["--from", "7"]), range(7, 15));
    assert_eq!(in_zero(&["--from", "5", "--to", "9"]), range(5, 10));
    assert_eq!(in_zero(&["--from", "99"]), range(0, 0));
    assert_eq!(in_zero(&["--from", "2026-11-21T09:30:06Z", "--to", "2026-11-21T09:30:08Z"]), range(6, 9));
    assert_eq!(in_zero(&["--from", "2026-11-21T09:30:04.5Z"]), range(5, 15));
    assert_eq!(in_zero(&["--from", "2026-11-22"]), range(10, 15));
    assert_eq!(in_zero(&["--from", "2026-11-20", "--to", "2026-11-21"]), range(0, 0));
    assert_eq!(in_zero(&["--limit", "3"]), range(0, 3));
    assert_eq!(in_zero(&["--where", "id~e-1?", "--where", "id!=e-12", "--limit", "3"]), [10, 11, 13]);
}

#[test]
fn it_reads_no_segment_before_the_one_it_needs() {
    let store = archive();
    for key in ["00000000000000000000.avro", "00000000000000000005.avro"] {
        let key = format!("{CHAIN_0}/segments/date=2026-11-21/{key}");
        assert!(store.damage(&key, |bytes| bytes.clear()));
    }
    let from = |bound| printed(&store, &["--chain", "0", "--from", bound]).map(|lines| lines.len());
    assert_eq!(from("11").unwrap(), 4);
    assert_eq!(from("2026-11-22T00:00:00Z").unwrap(), 5);
    assert!(format!("{:#}", from("9").unwrap_err()).contains("run `sealog verify`"));
}

#[test]
fn what_lies_over_a_segment_or_hides_it_is_seen_through() {
    let store = archive();
    let segment = |day: u32, first: u64| format!("{CHAIN_0}/segments/date=2026-11-{day}/{first:020}.avro");
    let whole = printed(&store, &["--chain", "0"]).unwrap();
    let other = store.get(&segment(22, 10), None, None, 1 << 20).unwrap().bytes;
    store.lay_over(&segment(21, 0), b"junk");
    store.lay_over(&segment(21, 5), &other);
    store.hide(&segment(22, 10));
    store.lay_over(&format!("{CHAIN_0}/trees/{:020}.tiles", 10), b"junk");
    for bounds in [&[][..], &["--from", "3"], &["--from", "2026-11-21T09:30:07Z"], &["--from", "2026-11-22"]]
    {
        let lines = printed(&store, &[&["--chain", "0"], bounds].concat()).unwrap();
        assert!(!lines.is_empty() && whole.ends_with(&lines), "{bounds:?}");
    }
    assert_eq!(printed(&store, &["--chain", "0"]).unwrap(), whole);
}

#[test]
fn junk_among_the_segments_of_a_day_does_not_keep_it_from_beginning_there() {
    let store = archive();
    let begun = |from: &str| printed(&store, &["--chain", "0", "--from", from]).unwrap().len();
    for name in ["0", "00000000000000000005.avro.bak", "zz/00000000000000000005.avro"] {
        store.lay_over(&format!("{CHAIN_0}/segments/date=2026-11-21/{name}"), b"junk");
        assert_eq!((begun("2026-11-21T09:30:06Z"), begun("2026-11-21")), (9, 15), "{name}");
    }
}

/// Chain 0 with events from that number on: what anybody who may put can lay over it, but for the signatures.
fn zero_of(first: u64) -> ChainBuilder {
    let mut zero = ChainBuilder::begin(CHAIN_0, 7);
    zero.seal(events(first..first + 5)).seal(events(first + 5..first + 10));
    zero.clock.0 += 86_400_000_000;
    zero.seal(events(first + 10..first + 15));
    zero
}

#[test]
fn a_trees_file_that_is_hidden_or_names_another_segment_skips_no_event() {
    let due = printed(&archive(), &["--chain", "0", "--from", "6"]).unwrap();
    assert_eq!(due.len(), 9);
    let (zero, hidden) = (zero_of(0), archive());
    hidden.hide(&zero.trees_key(1));
    assert_eq!(printed(&hidden, &["--chain", "0", "--from", "6"]).unwrap(), due);
    // A marker over nothing is none.
    hidden.hide(&format!("{CHAIN_0}/trees/{:020}.tiles", 8));
    assert_eq!(printed(&hidden, &["--chain", "0", "--from", "6"]).unwrap(), due);
    let later = zero.segment_key(2).replace(&format!("{CHAIN_0}/"), "");
    type Change<'a> = Box<dyn Fn(&mut schemas::Trees) + 'a>;
    let changes: [Change<'_>; 3] = [
        Box::new(|trees| trees.segment_key.clone_from(&later)),
        Box::new(|trees| (trees.first_seq.0, trees.segment_key) = (10, later.clone())),
        Box::new(|trees| {
            (trees.first_seq.0, trees.size, trees.segment_key) = (10, 15, later.clone());
        }),
    ];
    for change in changes {
        let (mut zero, store) = (zero_of(0), archive());
        zero.change_trees(1, change);
        let forged = &zero.objects[&zero.trees_key(1)];
        store.lay_over(&zero.trees_key(1), forged);
        assert_eq!(printed(&store, &["--chain", "0", "--from", "6"]).unwrap(), due);
        // Where it stands alone, it is no answer either.
        assert!(store.remove(&zero.trees_key(1)));
        store.lay_over(&zero.trees_key(1), forged);
        let alone = printed(&store, &["--chain", "0", "--from", "6"]);
        assert!(format!("{:#}", alone.unwrap_err()).contains("run `sealog verify`"));
    }
}

#[test]
fn a_segment_and_a_trees_file_forged_together_are_not_printed() {
    let (store, forged) = (archive(), zero_of(500));
    let whole = printed(&store, &["--chain", "0"]).unwrap();
    for nth in 0..3 {
        for key in [forged.segment_key(nth), forged.trees_key(nth)] {
            store.lay_over(&key, &forged.objects[&key]);
        }
    }
    assert_eq!(printed(&store, &["--chain", "0"]).unwrap(), whole);
    assert_eq!(printed(&store, &["--chain", "0", "--from", "6"]).unwrap(), whole[6..]);
    // Of a segment that no trees file names yet, what was written first.
    (0..3).for_each(|nth| assert!(store.remove(&forged.trees_key(nth))));
    assert_eq!(printed(&store, &["--chain", "0"]).unwrap(), whole);
}

#[test]
fn a_pair_that_was_forged_before_the_right_one_was_written_is_not_printed() {
    let (right, forged) = (zero_of(0), zero_of(500));
    let store = Memory::new(Arc::new(SystemClock));
    // Whoever may put can be there before the archiver, which then lays the right version over it.
    for nth in 0..3 {
        for key in [forged.segment_key(nth), forged.trees_key(nth)] {
            store.lay_over(&key, &forged.objects[&key]);
        }
    }
    right.objects.iter().for_each(|(key, bytes)| drop(store.lay_over(key, bytes)));
    let ids = |args: &[&str]| -> Vec<Value> {
        printed(&store, args).unwrap().iter().map(|line| line["event"]["id"].clone()).collect()
    };
    let due: Vec<Value> = (0..15).map(|n| format!("e-{n}").into()).collect();
    assert_eq!(ids(&[]), due);
    assert_eq!(ids(&["--from", "6"]), due[6..]);
    // Where none of them gives the signed root, none is printed.
    let alone = archive();
    for nth in [0, 1] {
        assert!(alone.remove(&right.segment_key(nth)));
        (0..2).for_each(|_| {
            drop(alone.lay_over(&forged.segment_key(nth), &forged.objects[&forged.segment_key(nth)]))
        });
    }
    assert!(format!("{:#}", printed(&alone, &["--chain", "0"]).unwrap_err()).contains("no version of it"));
}

#[test]
fn a_segment_that_does_not_follow_ends_it() {
    let store = archive();
    assert!(store.remove(&zero_of(0).segment_key(1)));
    let ended = printed(&store, &["--chain", "0"]).unwrap_err();
    assert!(format!("{ended:#}").contains("begins with seq 10, due is 5"), "{ended:#}");
}

/// A web server whose list says no sizes, with segments that are larger than anybody sets aside for them.
struct Sizeless(Memory, Mutex<Vec<(String, u64)>>);

impl store::memory::Between for Sizeless {
    fn below(&self) -> &Memory {
        &self.0
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&store::Version>,
        range: Option<std::ops::Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<store::Object> {
        if key.contains("/segments/") {
            self.1.lock().unwrap().push((key.to_owned(), max_bytes));
            if max_bytes <= 16 << 20 {
                return Err(store::Error::new(store::Kind::TooLarge, key, "more would come"));
            }
        }
        self.0.get(key, version, range, max_bytes)
    }

    fn list_between(&self, prefix: &str, after: &str, listing: store::Listing) -> store::Result<store::Page> {
        let mut page = self.0.list(prefix, after, listing)?;
        page.entries.iter_mut().for_each(|entry| entry.size_bytes = 0);
        Ok(page)
    }
}

#[test]
fn a_segment_that_is_larger_than_was_set_aside_is_read_by_itself() {
    let store = Sizeless(archive(), Mutex::default());
    assert_eq!(printed(&store, &["--chain", "0"]).unwrap(), printed(&archive(), &["--chain", "0"]).unwrap());
    let asked = store.1.lock().unwrap();
    let largest = asked.iter().map(|(_, max_bytes)| *max_bytes).max();
    assert_eq!((asked.len(), largest), (6, Some(1 << 30)), "{asked:?}");
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let cat = cat(&["--follow"]);
    let mut lines = Lines::to(Closed, &cat);
    let error = print(&archive(), &Ahead::default(), &cat, &mut lines, (&Stop::new(), LOOK_AGAIN), || false)
        .unwrap_err();
    assert!(is_broken_pipe(&error));
    // With nothing to write it is asked for.
    let cat = self::cat(&["--follow", "--where", "id=none"]);
    print(
        &archive(),
        &Ahead::default(),
        &cat,
        &mut Lines::to(Closed, &cat),
        (&Stop::new(), LOOK_AGAIN),
        || true,
    )
    .unwrap();
}

/// What a test reads while it is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn following_prints_what_comes_and_ends_when_told() {
    let (store, stop, out) = (Memory::new(Arc::new(SystemClock)), Stop::new(), Shared::default());
    let follower = {
        let (store, stop, out) = (store.clone(), stop.clone(), out.clone());
        thread::spawn(move || {
            let cat = cat(&["--follow"]);
            print(&store, &Ahead::default(), &cat, &mut Lines::to(out, &cat), (&stop, LOOK_AGAIN), || false)
        })
    };
    let until_lines = |count: usize| {
        let deadline = Deadline::after(Duration::from_secs(30));
        while out.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count() < count {
            assert!(!deadline.passed(), "{count} lines");
            thread::yield_now();
        }
    };
    let mut zero = ChainBuilder::begin(CHAIN_0, 7);
    let mut seen = 0;
    for batch in [0..3, 3..4] {
        let before = zero.objects.clone();
        zero.seal(events(batch.clone()));
        for (key, bytes) in zero.objects.iter().filter(|(key, bytes)| before.get(*key) != Some(bytes)) {
            store.lay_over(key, bytes);
        }
        seen += (batch.end - batch.start) as usize;
        until_lines(seen);
    }
    stop.set();
    follower.join().unwrap().unwrap();
    assert_eq!(out.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 4);
}
