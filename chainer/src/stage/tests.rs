//! What a chainer keeps from one claim to the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::Registry;
use runtime::{Deadline, ManualClock};
use schemas::framing::SCHEMA_HEADER;
use schemas::{AuditEvent, Micros, event_schema_hash};
use stream::memory::Memory;
use stream::{Batch, Log};

use super::*;

const ORIGIN: &str = "acme.example/audit";
const NOON: Micros = Micros(1_795_262_400_000_000);
const AN_HOUR_US: i64 = 3_600_000_000;

/// A clock that counts how often a wall time is held against the time since boot.
struct Counted {
    clock: ManualClock,
    boots: AtomicU64,
}

impl Clock for Counted {
    fn wall(&self) -> Micros {
        self.clock.wall()
    }

    fn boot(&self) -> Micros {
        self.boots.fetch_add(1, Ordering::SeqCst);
        self.clock.boot()
    }
}

fn wait_for(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(20));
    while !happens() {
        assert!(!deadline.passed(), "{what}: not within 20 s");
        Stop::new().wait(Duration::from_millis(2));
    }
}

#[test]
fn a_wall_clock_that_is_not_believed_stays_so_for_the_next_claim() {
    let clock = Arc::new(Counted { clock: ManualClock::at(NOON), boots: AtomicU64::new(0) });
    let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, 1));
    let stream = Memory::new(&lanes, clock.clone());
    let (archive, guards) = (store::memory::Memory::new(clock.clone()), tempfile::tempdir().unwrap());
    let signing = Signing::from_seed(&[7; 32]);
    crate::write_genesis(&stream, &archive, guards.path(), ORIGIN, 1, &signing).unwrap();
    let chainer = Chainer {
        stream: Arc::new(stream.clone()),
        archive: Arc::new(archive),
        guards: guards.path().to_owned(),
        signing,
        origin: ORIGIN.to_owned(),
        policy: Policy {
            max_events: 10,
            max_bytes: 1 << 20,
            max_age_us: 24 * AN_HOUR_US,
            max_idle_us: None,
            heartbeat_us: 24 * AN_HOUR_US,
        },
        clock: clock.clone(),
        ending: Ending::Finish,
        about: Vec::new(),
        metrics: Metrics::register(&Registry::new()).unwrap(),
    };
    let last_head = || opening::last_head(&stream, &topics::sealed(0)).unwrap();
    let is_refused = || chainer.metrics.of(0).clock_refused.get() == 1;
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| chainer.run(&stop));
        // A test that fails in between must still end the stage, or nobody hears of it.
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("its start is sealed", || last_head().size() == 1);
            clock.clock.jump(2 * AN_HOUR_US);
            wait_for("the jump is seen", is_refused);
            let mut events = Batch::new();
            let lane = events.lane(&topics::events(0));
            let event = AuditEvent { id: "e", action: "test", received_at: NOON, ..AuditEvent::default() };
            let schema_hash = event_schema_hash();
            events.push_with(lane, None, &[(SCHEMA_HEADER, schema_hash.bytes())], |out| event.encode(out));
            stream.append(&events).unwrap();
            let before = clock.boots.load(Ordering::SeqCst);
            stream.revoke(&topics::events(0));
            // One look may still be the old claim's.
            wait_for("the next claim looks at the clock", || clock.boots.load(Ordering::SeqCst) > before + 2);
            assert!(is_refused() && last_head().size() == 1, "it seals at the false time");
            clock.clock.jump(-2 * AN_HOUR_US);
            wait_for("it goes on when the clock is right again", || last_head().size() > 1);
        }))
        .err();
        stop.set();
        if let Some(failed) = failed {
            stop.abandon();
            std::panic::resume_unwind(failed);
        }
        running.join().unwrap().unwrap();
    });
    let head = last_head();
    assert_eq!(head.size(), 2, "its start, which is said once, and the event");
    assert!(head.last_sealed_at.0 < NOON.0 + AN_HOUR_US, "sealed at {:?}", head.last_sealed_at);
}
