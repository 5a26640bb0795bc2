//! Row 1 and beyond: damages made at random over every object of an archive of several segments. Each is found, and its
//! object named. And with the digest in trees/ put right no event passes for another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use schemas::event::event_shape;
use schemas::{Hash, SegmentFile, Trees};
use store::memory::Memory;

use super::{CHAIN_0, CHAIN_1, memory, options};
use crate::testing::{ChainBuilder, Objects, events, opening};
use crate::{Ahead, Options, Reading, Verdict, verify};

const CHAIN_2: &str = "acme.example/audit/2";
const THREADS: u64 = 2;

/// Numbers from a seed, by splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) % end as u64) as usize
    }
}

/// One chain of four segments with a full tile, and two that are alike in every length, so that their files can be
/// exchanged.
pub(super) fn archive() -> Objects {
    let mut objects = Objects::new();
    let mut zero = ChainBuilder::begin(CHAIN_0, 7);
    zero.seal(events(0..100).chain([CHAIN_1, CHAIN_2].map(opening)));
    zero.seal(events(102..107)).seal(events(107..260)).seal(events(260..261));
    objects.append(&mut zero.objects);
    for (origin, first) in [(CHAIN_1, 1_000), (CHAIN_2, 2_000)] {
        let mut twin = ChainBuilder::begin(origin, 7);
        twin.seal(events(first..first + 10)).seal(events(first + 10..first + 20));
        objects.append(&mut twin.objects);
    }
    objects
}

/// What is done to the archive: new bytes under keys.
struct Damage {
    what: String,
    changed: BTreeMap<String, Vec<u8>>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.changed.keys().map(String::as_str).collect();
        write!(f, "{} of {}", self.what, keys.join(" and "))
    }
}

/// What `dice` say, if it changes anything: one bit, a run of zeros, a cut, or two files of one size exchanged.
fn draw(dice: &mut Dice, objects: &Objects) -> Option<Damage> {
    let (key, old) = objects.iter().nth(dice.below(objects.len()))?;
    let kind = dice.below(8);
    if kind < 7 {
        let (what, bytes) = spoilt(dice, kind, old);
        return (bytes != *old).then(|| Damage { what, changed: BTreeMap::from([(key.clone(), bytes)]) });
    }
    let is_like = |(other, bytes): &(&String, &Vec<u8>)| *other != key && bytes.len() == old.len();
    let alike: Vec<_> = objects.iter().filter(is_like).collect();
    let (other, theirs) = alike.get(dice.below(alike.len().max(1)))?;
    let changed = BTreeMap::from([(key.clone(), (*theirs).clone()), ((*other).clone(), old.clone())]);
    (*theirs != old).then(|| Damage { what: "an exchange".to_owned(), changed })
}

/// One object after a damage of this kind, of seven.
pub(super) fn spoilt(dice: &mut Dice, kind: usize, old: &[u8]) -> (String, Vec<u8>) {
    let (mut bytes, len) = (old.to_vec(), old.len());
    let start = dice.below(len);
    let short = (1 + dice.below(64)).min(len - start);
    let long = 1 + dice.below(len - start);
    let what = match kind {
        0..3 => {
            let bit = dice.below(8);
            bytes[start] ^= 1 << bit;
            format!("bit {bit} of byte {start}")
        }
        nth @ 3..5 => {
            let run = if nth == 3 { short } else { long };
            bytes[start..start + run].fill(0);
            format!("{run} zeros from byte {start} on")
        }
        5 => {
            bytes.truncate(start);
            format!("all from byte {start} on cut off")
        }
        _ => {
            bytes.drain(start..start + short);
            format!("{short} bytes from byte {start} on cut out")
        }
    };
    (what, bytes)
}

fn put(store: &Memory, objects: &BTreeMap<String, Vec<u8>>) {
    for (key, bytes) in objects {
        assert!(store.damage(key, |stored| stored.clone_from(bytes)));
    }
}

/// Err: what was wrong with what was said of it.
fn is_found(store: &Memory, damage: &Damage, options: &Options) -> Result<(), String> {
    let checked = catch_unwind(AssertUnwindSafe(|| verify(store, options)));
    let report = checked.map_err(|_| "the verifier panicked".to_owned())?;
    if report.verdict != Verdict::Broken {
        return Err(format!("it passes for {}:\n{report}", report.verdict.words()));
    }
    // A digest that does not fit is about two objects.
    let names = |key: &String| {
        report.findings.iter().any(|found| found.key.as_ref() == Some(key) || found.expected.contains(key))
    };
    match damage.changed.keys().any(names) {
        true => Ok(()),
        false => Err(format!("its object is not named:\n{report}")),
    }
}

/// SEALOG_TEST_SEED does the same damages again.
#[allow(clippy::disallowed_methods)] // how a suite is run comes by the environment
pub(super) fn asked_for() -> (u64, u64) {
    let is_long = std::env::var("SEALOG_TEST_LONG").is_ok_and(|long| !long.is_empty());
    let seed = std::env::var("SEALOG_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let any = || u64::from_be_bytes(runtime::random_bytes());
    (seed.unwrap_or_else(any), if is_long { 10_000 } else { 1_000 })
}

#[test]
fn a_thousand_damages_at_random_are_all_found_and_named() {
    let (seed, count) = asked_for();
    println!("{count} damages; SEALOG_TEST_SEED={seed} does them again");
    let objects = archive();
    let reading = Reading { ahead: Ahead::new(1, 64 << 20), ..Reading::default() };
    let options = Options { reading, ..options() };
    assert_eq!(verify(&memory(&objects), &options).verdict, Verdict::Unanchored);
    let run = |nth: u64| {
        let (mut dice, store) = (Dice(seed.wrapping_add(nth)), memory(&objects));
        let mut hit = BTreeSet::new();
        for _ in 0..count / THREADS {
            let damage = (0..1_000).find_map(|_| draw(&mut dice, &objects)).unwrap();
            put(&store, &damage.changed);
            if let Err(wrong) = is_found(&store, &damage, &options) {
                panic!("SEALOG_TEST_SEED={seed}: {damage}: {wrong}");
            }
            let before = damage.changed.keys().map(|key| (key.clone(), objects[key].clone()));
            put(&store, &before.collect());
            hit.extend(damage.changed.into_keys());
        }
        assert_eq!(verify(&store, &options).verdict, Verdict::Unanchored, "all of it was undone");
        hit
    };
    let hit: BTreeSet<String> = thread::scope(|scope| {
        let runs: Vec<_> = (0..THREADS).map(|nth| scope.spawn(move || run(nth))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    let missed: Vec<&String> = objects.keys().filter(|key| !hit.contains(*key)).collect();
    assert!(missed.is_empty(), "SEALOG_TEST_SEED={seed}: never damaged: {missed:?}");
}

/// The events of a segment with all that their records say.
fn records_of(segment: &[u8]) -> Option<Vec<Record>> {
    let (file, mut records) = (SegmentFile::parse(segment).ok()?, Vec::new());
    let schema_hash = Hash::of(&[&file.header.event_schema]);
    let walked = file.walk(event_shape(), |sealed, _| {
        let (link, event) = (sealed.link(&schema_hash), sealed.event_bytes.to_vec());
        records.push((sealed.seq.0, link.hash(), sealed.hash, event));
        true
    });
    walked.ok().map(|()| records)
}

type Record = (u64, Hash, Hash, Vec<u8>);

/// Who can write the archive, and has no key. Deflate has several spellings of the same data: those alone pass.
#[test]
fn with_the_digest_put_right_no_event_passes_for_another() {
    let (seed, count) = asked_for();
    println!("{count} damages; SEALOG_TEST_SEED={seed} does them again");
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..40)).seal(events(40..300));
    let (key, trees_key) = (chain.segment_key(1), chain.trees_key(1));
    let (whole, trees) = (chain.objects[&key].clone(), chain.objects[&trees_key].clone());
    let records = records_of(&whole).unwrap();
    let (store, mut dice) = (memory(&chain.objects), Dice(seed));
    for _ in 0..count {
        let kind = dice.below(7);
        let (what, file) = spoilt(&mut dice, kind, &whole);
        let mut trees = Trees::parse(&trees).unwrap();
        trees.segment_sha256 = Hash::of(&[&file]);
        put(&store, &BTreeMap::from([(key.clone(), file.clone()), (trees_key.clone(), trees.to_bytes())]));
        let report = verify(&store, &options());
        let passes = report.verdict != Verdict::Broken;
        let is_same = || records_of(&file).as_ref() == Some(&records);
        assert!(!passes || is_same(), "SEALOG_TEST_SEED={seed}: {what}:\n{report}");
    }
}
