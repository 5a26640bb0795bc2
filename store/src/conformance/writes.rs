//! Cases of `put_new` and `replace_if`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{expect, get, put, replace};
use crate::{Keep, Kind, Store};

/// `put_new`, then `get`, `get` of a range, and `list` agree.
pub fn what_was_put_is_read_back(store: &dyn Store) {
    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    put(store, "acme.example/audit/0/segments/date=2026-11-21/00000000000000000000.avro", &body);
    let listed = store.list("acme.example/audit/0/segments/", "", crate::Listing::Newest(10)).unwrap();
    let [entry] = listed.entries.as_slice() else { panic!("one entry, not {:?}", listed.entries) };
    assert_eq!(entry.size_bytes, body.len() as u64);
    let object = get(store, &entry.key);
    assert!(object.bytes == body);
    assert_eq!(object.size_bytes, body.len() as u64);
    let part = store.get(&entry.key, None, Some(100_000..100_008), 8).unwrap();
    assert_eq!(part.bytes, body[100_000..100_008]);
    assert_eq!((part.size_bytes, part.tag, part.version), (object.size_bytes, object.tag, object.version));
}

/// No bytes are something.
pub fn an_empty_object_is_an_object(store: &dyn Store) {
    put(store, "empty", b"");
    let object = get(store, "empty");
    assert_eq!((object.bytes.len(), object.size_bytes), (0, 0));
    expect(Kind::Exists, store.put_new("empty", b"more", Keep::Evidence));
    assert_eq!(store.get("empty", None, Some(0..10), 0).unwrap().bytes, b"");
}

/// Neither the bytes nor the tag nor the version.
pub fn a_second_put_says_exists_and_changes_nothing(store: &dyn Store) {
    put(store, "folder/object", b"first");
    let before = get(store, "folder/object");
    expect(Kind::Exists, store.put_new("folder/object", b"second", Keep::Evidence));
    expect(Kind::Exists, store.put_new("folder/object", b"first", Keep::Evidence));
    let after = get(store, "folder/object");
    assert_eq!((after.bytes, after.tag, after.version), (b"first".to_vec(), before.tag, before.version));
    assert_eq!(store.list("folder/", "", crate::Listing::Versions(10)).unwrap().entries.len(), 1);
}

/// All are let go at the same moment, into a folder that does not exist.
pub fn of_32_racing_puts_one_wins_and_its_bytes_stand(store: &dyn Store) {
    let body_of = |n: usize| format!("written by {n} ").repeat(500 + n).into_bytes();
    let start = Barrier::new(32);
    let answers: Vec<_> = thread::scope(|scope| {
        let race = |n| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                store.put_new("race/to/one", &body_of(n), Keep::Evidence)
            })
        };
        let racers: Vec<_> = (0..32).map(race).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let winners: Vec<_> = (0..32).filter(|n| answers[*n].is_ok()).collect();
    let [winner] = winners.as_slice() else { panic!("one winner, not {winners:?}") };
    let object = get(store, "race/to/one");
    assert!(object.bytes == body_of(*winner), "the bytes that stand are not the winner's");
    assert_eq!(&object.version, answers[*winner].as_ref().unwrap());
    answers.into_iter().filter(|answer| answer.is_err()).for_each(|answer| expect(Kind::Exists, answer));
}

/// `None` stands for nothing there, and for nothing else.
pub fn a_replace_of_nothing_needs_nothing_there(store: &dyn Store) {
    replace(store, "a/checkpoint", None, b"one").unwrap();
    assert_eq!(get(store, "a/checkpoint").bytes, b"one");
    expect(Kind::Changed, replace(store, "a/checkpoint", None, b"two"));
    expect(Kind::Exists, store.put_new("a/checkpoint", b"three", Keep::Evidence));
    assert_eq!(get(store, "a/checkpoint").bytes, b"one");
    let tag = get(store, "a/checkpoint").tag;
    expect(Kind::Changed, replace(store, "b/checkpoint", Some(&tag), b"four"));
    expect(Kind::Missing, store.get("b/checkpoint", None, None, 100));
}

/// Of what `replace_if` wrote and of what `put_new` wrote.
pub fn a_replace_with_the_right_tag_is_done(store: &dyn Store) {
    put(store, "checkpoint", b"one");
    for body in [b"two".as_slice(), b"three", b"", b"five"] {
        let tag = get(store, "checkpoint").tag;
        let version = replace(store, "checkpoint", Some(&tag), body).unwrap();
        let object = get(store, "checkpoint");
        assert_eq!((object.bytes.as_slice(), object.version), (body, version));
    }
}

/// The tag of what was there before, however like it looks.
pub fn a_replace_with_a_stale_tag_says_changed_and_changes_nothing(store: &dyn Store) {
    replace(store, "checkpoint", None, b"one").unwrap();
    let stale = get(store, "checkpoint").tag;
    replace(store, "checkpoint", Some(&stale), b"two").unwrap();
    let before = get(store, "checkpoint");
    expect(Kind::Changed, replace(store, "checkpoint", Some(&stale), b"six"));
    let after = get(store, "checkpoint");
    assert_eq!((after.bytes, after.tag, after.version), (b"two".to_vec(), before.tag, before.version));
}

/// Quick replaces by bodies of one size, as a clock too coarse and a reused inode would confuse them.
pub fn a_tag_never_comes_back_with_other_bytes(store: &dyn Store) {
    replace(store, "checkpoint", None, b"000").unwrap();
    let mut tags = vec![get(store, "checkpoint").tag];
    for n in 1..100 {
        replace(store, "checkpoint", tags.last(), format!("{n:03}").as_bytes()).unwrap();
        let tag = get(store, "checkpoint").tag;
        assert!(!tags.contains(&tag), "the tag of write {n} was seen before");
        tags.push(tag);
    }
}

/// Each round starts from one tag that all of them know.
pub fn of_16_racing_replaces_one_wins_each_round(store: &dyn Store) {
    let mut tag = None;
    for round in 0..10 {
        let start = Barrier::new(16);
        let answers: Vec<_> = thread::scope(|scope| {
            let race = |n: usize| {
                let (start, tag) = (&start, tag.as_ref());
                scope.spawn(move || {
                    start.wait();
                    replace(store, "race/checkpoint", tag, format!("{round}/{n:02}").as_bytes())
                })
            };
            let racers: Vec<_> = (0..16).map(race).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let winners: Vec<_> = (0..16).filter(|n| answers[*n].is_ok()).collect();
        let [winner] = winners.as_slice() else { panic!("round {round}: one winner, not {winners:?}") };
        let object = get(store, "race/checkpoint");
        assert_eq!(object.bytes, format!("{round}/{winner:02}").into_bytes());
        answers.into_iter().filter(|answer| answer.is_err()).for_each(|answer| expect(Kind::Changed, answer));
        tag = Some(object.tag);
    }
}

/// While it is replaced by others of another size, and before its first write has ended.
pub fn a_reader_sees_all_of_an_object_or_none_of_it(store: &dyn Store) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut read = 0;
                let mut is_last = false;
                while !is_last {
                    is_last = done.load(Ordering::SeqCst);
                    match store.get("checkpoint", None, None, u64::MAX) {
                        Ok(object) => {
                            read += 1;
                            let n = object.bytes[0];
                            assert!(
                                object.bytes.iter().all(|byte| *byte == n),
                                "bytes of two writes in one read"
                            );
                            assert_eq!(object.bytes.len(), 20_000 + 1_000 * usize::from(n));
                            assert_eq!(object.size_bytes, object.bytes.len() as u64);
                        }
                        Err(error) => assert_eq!((error.kind(), read), (Kind::Missing, 0), "{error}"),
                    }
                }
            });
        }
        let _done = Done(&done);
        let mut tag = None;
        for n in 0..40_u8 {
            let body = vec![n; 20_000 + 1_000 * usize::from(n)];
            replace(store, "checkpoint", tag.as_ref(), &body).unwrap();
            tag = Some(get(store, "checkpoint").tag);
        }
    });
}

/// Lets the readers end, also when the writer fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
