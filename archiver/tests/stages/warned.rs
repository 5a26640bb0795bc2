//! What the archiver tells its log of somebody who was there before it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use runtime::ManualClock;
use schemas::{Layout, Micros, Place, Seq};
use store::Mode;
use store::memory::Memory;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::jammed::archive_into;
use crate::{WatchedRig, a_rig, archived, seal};

const A_DAY: Duration = Duration::from_secs(86_400);

/// The warnings of all tests, which run side by side.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps them.
struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        WARNINGS.lock().unwrap().push(words.0);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{value:?} "));
    }
}

/// What was warned of with these words in it.
fn warnings_of(key: &str) -> Vec<String> {
    WARNINGS.lock().unwrap().iter().filter(|warning| warning.contains(key)).cloned().collect()
}

/// Sealed on a day that no other test has, so that its first segment has a key of its own.
fn sealed_on(day: i64) -> (WatchedRig, String) {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| tracing::subscriber::set_global_default(Keeper).unwrap());
    let at = Micros(day * A_DAY.as_micros() as i64);
    let mut rig = a_rig(Arc::new(ManualClock::at(at)));
    rig.append(0, 0..5);
    seal(&rig);
    rig.store = Memory::locking(rig.clock.clone(), Mode::Compliance, A_DAY);
    let segment = Layout::of(&rig.chain()).key(&Place::segment(at, Seq(0)));
    (rig, segment)
}

#[test]
fn what_is_put_over_a_delete_marker_is_said_and_archived() {
    let (rig, segment) = sealed_on(30_001);
    rig.store.lay_over(&segment, b"what somebody hides");
    rig.store.hide(&segment);
    archive_into(&rig, &rig.store, false).unwrap();
    assert_eq!(archived(&rig), rig.size());
    let warnings = warnings_of(&segment);
    assert!(warnings.len() == 1 && warnings[0].contains("over a delete marker"), "{warnings:?}");

    let (rig, segment) = sealed_on(30_002);
    archive_into(&rig, &rig.store, false).unwrap();
    assert_eq!((archived(&rig), warnings_of(&segment)), (rig.size(), Vec::new()), "nobody was there");
}
