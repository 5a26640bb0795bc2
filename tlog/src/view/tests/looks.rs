//! What others are given while one looks for what is new, and how often that is done.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use runtime::ManualClock;
use store::memory::Between;
use store::{Kind, Listing, Object, Page, Version};

use super::*;

/// What is waited for at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store that counts what is asked of it, takes time for a list, and can hold one up.
#[derive(Clone)]
struct Slow {
    below: Arc<Memory>,
    clock: Arc<ManualClock>,
    list_us: u64,
    asked: Arc<AtomicU64>,
    gate: Arc<Gate>,
}

/// Where somebody is held up: he says that he is there, and waits for a word.
struct Gate {
    is_shut: AtomicBool,
    came: SyncSender<()>,
    go: Mutex<Receiver<()>>,
}

/// The other side of it.
struct Keeper {
    gate: Arc<Gate>,
    came: Receiver<()>,
    go: SyncSender<()>,
}

fn gate() -> Keeper {
    let ((came, arrivals), (go, word)) = (sync_channel(64), sync_channel(64));
    let gate = Gate { is_shut: AtomicBool::new(false), came, go: Mutex::new(word) };
    Keeper { gate: Arc::new(gate), came: arrivals, go }
}

impl Gate {
    fn pass(&self) {
        if self.is_shut.swap(false, Ordering::SeqCst) {
            self.came.send(()).unwrap();
            self.go.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
    }
}

impl Keeper {
    /// Holds up the next one who comes.
    fn shut(&self) {
        self.gate.is_shut.store(true, Ordering::SeqCst);
    }

    fn wait(&self) {
        self.came.recv_timeout(PATIENCE).unwrap();
    }

    fn open(&self) {
        self.go.send(()).unwrap();
    }
}

impl Slow {
    fn over(below: Arc<Memory>, keeper: &Keeper, list_us: u64) -> Slow {
        let clock = Arc::new(ManualClock::at(Micros(0)));
        Slow { below, clock, list_us, asked: Arc::default(), gate: keeper.gate.clone() }
    }

    /// How often anything was asked since the last time.
    fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

impl Between for Slow {
    fn below(&self) -> &Memory {
        &self.below
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Store::get(self.below.as_ref(), key, version, range, max_bytes)
    }

    fn list_between(&self, prefix: &str, after: &str, listing: Listing) -> store::Result<Page> {
        self.gate.pass();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.clock.pass(Duration::from_micros(self.list_us));
        Store::list(self.below.as_ref(), prefix, after, listing)
    }
}

/// What somebody else answers, who must not be held up.
fn without_waiting<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = sync_channel(1);
    thread::spawn(move || tell.send(ask()));
    told.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn while_one_looks_for_a_newer_checkpoint_the_others_are_given_the_one_before() {
    let (mut chain, keeper) = (chain(&[100]), gate());
    let memory = memory(&chain);
    let slow = Slow::over(memory.clone(), &keeper, 0);
    let view = Arc::new(View::open(Arc::new(slow.clone()), ORIGIN).unwrap());
    assert_eq!(view.newest(&later()).unwrap().checkpoint.size, 100);
    let before = chain.objects.clone();
    chain.seal(events(100..300));
    let newer = chain.objects.iter().filter(|(key, _)| !before.contains_key(*key));
    newer.for_each(|(key, bytes)| drop(memory.lay_over(key, bytes)));

    keeper.shut();
    let (now, looks) = (later(), view.clone());
    let looking = thread::spawn(move || looks.newest(&now).unwrap().checkpoint.size);
    keeper.wait();
    let asks = view.clone();
    assert_eq!(without_waiting(move || asks.newest(&now).unwrap().checkpoint.size), 100);
    let (asks, tile) = (view.clone(), Resource::parse("tile/0/000.p/100").unwrap());
    assert!(without_waiting(move || asks.file(tile, &now)).unwrap().is_some());
    keeper.open();
    assert_eq!(looking.join().unwrap(), 300);
    assert_eq!(view.newest(&now).unwrap().checkpoint.size, 300);
}

#[test]
fn a_look_that_takes_long_is_not_repeated_at_once() {
    let (chain, keeper) = (chain(&[100]), gate());
    let slow = Slow::over(memory(&chain), &keeper, 3 * FRESH_US as u64);
    let view = View::open(Arc::new(slow.clone()), ORIGIN).unwrap();
    view.newest(slow.clock.as_ref()).unwrap();
    slow.clock.pass(Duration::from_secs(2));
    slow.asked();
    view.newest(slow.clock.as_ref()).unwrap();
    assert!(slow.asked() > 0);
    view.newest(slow.clock.as_ref()).unwrap();
    assert_eq!(slow.asked(), 0, "what it found counts from its end on");
}

#[test]
fn notes_that_nobody_signed_cost_their_requests_once() {
    let (chain, keeper) = (chain(&[100]), gate());
    let memory = memory(&chain);
    let slow = Slow::over(memory.clone(), &keeper, 0);
    let view = View::open(Arc::new(slow.clone()), ORIGIN).unwrap();
    view.newest(&later()).unwrap();
    slow.asked();
    view.newest(&later()).unwrap();
    let without = slow.asked();
    for nth in 0..200 {
        let junk = chain.key(&Place::Checkpoint(9_000_000_000_000_000_000 + nth));
        memory.lay_over(&junk, b"junk");
    }
    // And over the right one.
    (0..50).for_each(|nth| drop(memory.lay_over(&chain.key(&Place::Checkpoint(100)), &[nth])));
    assert_eq!(view.newest(&later()).unwrap().checkpoint.size, 100);
    assert!(slow.asked() > 200);
    assert_eq!(view.newest(&later()).unwrap().checkpoint.size, 100);
    let again = slow.asked();
    assert!(again <= without + 3, "{again} requests, {without} where there is no junk");
}

#[test]
fn while_one_lists_the_chains_the_others_are_given_those_that_are_known() {
    let (chain, keeper) = (chain(&[5]), gate());
    let (gate, looks) = (keeper.gate.clone(), Arc::new(AtomicU64::new(0)));
    let counted = looks.clone();
    let views = Views::new(memory(&chain), move || {
        gate.pass();
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(vec![ORIGIN.to_owned()])
    });
    let (views, path) = (Arc::new(views), format!("/{ORIGIN}/checkpoint"));
    let start = later();
    assert!(views.answer(&path, &start).unwrap().is_some());
    keeper.shut();
    let (now, lists) = (At(start.0 + views::LIST_AGAIN_US), views.clone());
    let listing = thread::spawn(move || lists.answer("/acme.example/audit/7/checkpoint", &now).unwrap());
    keeper.wait();
    for (path, is_there) in [(path.as_str(), true), ("/", true), ("/acme.example/audit/8/checkpoint", false)]
    {
        let (views, path) = (views.clone(), path.to_owned());
        let answer = without_waiting(move || views.answer(&path, &now).unwrap());
        assert_eq!(answer.is_some(), is_there);
    }
    keeper.open();
    assert_eq!(listing.join().unwrap(), None);
    assert_eq!(looks.load(Ordering::SeqCst), 2);
}

#[test]
fn an_archive_that_cannot_be_listed_is_not_asked_again_at_once() {
    let chain = chain(&[5]);
    let (looks, is_away) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
    let (counted, told) = (looks.clone(), is_away.clone());
    let views = Views::new(memory(&chain), move || {
        counted.fetch_add(1, Ordering::SeqCst);
        match told.load(Ordering::SeqCst) {
            true => Err(store::Error::new(Kind::Away, "", "nobody answers")),
            false => Ok(vec![ORIGIN.to_owned()]),
        }
    });
    let (here, unknown) = (format!("/{ORIGIN}/checkpoint"), "/acme.example/audit/7/checkpoint");
    let is_unread = |path: &str, now: At| match views.answer(path, &now) {
        Err(Error::Unread(error)) => error.kind() == Kind::Away,
        _ => false,
    };
    let mut now = later();
    for _ in 0..5 {
        assert!(is_unread(&here, now) && is_unread(unknown, now) && is_unread("/", now));
    }
    assert_eq!(looks.load(Ordering::SeqCst), 1, "once, though each of them needs it");
    is_away.store(false, Ordering::SeqCst);
    now.0 += views::LIST_AGAIN_US;
    assert!(views.answer(&here, &now).unwrap().is_some());

    is_away.store(true, Ordering::SeqCst);
    now.0 += views::LIST_AGAIN_US;
    for _ in 0..5 {
        assert!(is_unread(unknown, now), "it may be there by now");
        assert!(views.answer(&here, &now).unwrap().is_some(), "what is known is served");
        assert_eq!(views.answer("/", &now).unwrap().unwrap().body, format!("{ORIGIN}\n").into_bytes());
    }
    assert_eq!(looks.load(Ordering::SeqCst), 3);
}
