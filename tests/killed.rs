//! `sealog up` is killed at random moments while events flow. What was acknowledged is there, once, and the archive is
//! whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::archive::ids;
use crate::harness::process::{Up, post, said, sealog};

const KILLS: usize = 20;

#[test]
fn killed_twenty_times_under_load_nothing_acknowledged_is_missing_or_sealed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    let mut acknowledged = BTreeSet::new();
    let mut unsure = BTreeSet::new();
    let pause = runtime::Stop::new();
    for round in 0..KILLS {
        let up = Up::start(folder.path(), &[("SEALOG_SEGMENT_MAX_EVENTS", "500")]);
        let (url, over) = (up.url.clone(), AtomicBool::new(false));
        let answers = thread::scope(|scope| {
            let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| send_until(&over, &url, &next))).collect();
            let moment = u64::from_le_bytes(runtime::random_bytes::<8>()) % 600;
            pause.wait(Duration::from_millis(50 + moment));
            up.kill();
            over.store(true, Ordering::SeqCst);
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(!answers.is_empty(), "round {round}: something was sent");
        for (id, was_acknowledged) in answers {
            if was_acknowledged {
                acknowledged.insert(id)
            } else {
                unsure.insert(id)
            };
        }
    }
    let up = Up::start(folder.path(), &[]);
    let (status, last_words) = up.stop();
    assert_eq!(status.code(), Some(0), "{last_words}");

    let archive = folder.path().join("archive");
    let store = store::directory::Directory::open_read_only(&archive).unwrap();
    let origin = std::fs::read_to_string(folder.path().join("origin")).unwrap();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids(&store, &format!("{}/0", origin.trim())) {
        *count.entry(id).or_default() += 1;
    }
    let missing: Vec<_> = acknowledged.iter().filter(|id| !count.contains_key(*id)).collect();
    let twice: Vec<_> = count.iter().filter(|(_, n)| **n > 1).collect();
    let invented: Vec<_> =
        count.keys().filter(|id| !acknowledged.contains(*id) && !unsure.contains(*id)).collect();
    assert!(
        missing.is_empty() && twice.is_empty() && invented.is_empty(),
        "{missing:?} {twice:?} {invented:?}"
    );
    assert!(acknowledged.len() > KILLS * 10, "only {} were acknowledged", acknowledged.len());
    let verify = sealog(&["verify", archive.to_str().unwrap()]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
}

/// Sends batches until told, and never the same event again. Answers each id with whether it was acknowledged.
fn send_until(over: &AtomicBool, url: &str, next: &AtomicU64) -> Vec<(String, bool)> {
    let mut answers = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let first = next.fetch_add(20, Ordering::SeqCst);
        let ids: Vec<String> = (first..first + 20).map(|n| format!("k-{n}")).collect();
        let body: String = ids.iter().map(|id| format!("{{\"id\":\"{id}\",\"action\":\"a\"}}\n")).collect();
        let done = post(url, &body).is_some_and(|(status, _)| status == 202);
        answers.extend(ids.into_iter().map(|id| (id, done)));
    }
    answers
}
