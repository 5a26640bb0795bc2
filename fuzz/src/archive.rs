//! A whole archive, damaged in as many places as the input says, before the verifier.
//!
//! An input is a list of edits: what is done, to which object, where in it, and bytes behind their length. Whatever they
//! are, a verdict must come back, and it is `intact` only if every piece of evidence is still there.

use std::sync::{Arc, LazyLock};

use runtime::SystemClock;
use schemas::avro::{Input, Shape, put_bytes};
use schemas::{Hash, Layout, Malformed, Micros, Place, SegmentFile, Trees};
use store::memory::Memory;
use verifier::testing::{ChainBuilder, Objects, events, opening, store_objects};
use verifier::{Ahead, Known, Options, Reading, Verdict, place_of, verify};

/// An archive as it was written, and what an auditor brings who can tell.
struct Written {
    objects: Objects,
    /// In order: what an edit's number chooses from.
    keys: Vec<String>,
    options: Options,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let mut zero = ChainBuilder::begin("a/0", 7);
    zero.seal(events(0..257).chain([opening("a/1")])).seal(events(258..260));
    zero.rotate(8).seal(events(260..261));
    let mut one = ChainBuilder::begin("a/1", 7);
    one.seal(events(0..2));
    let known = |chain: &ChainBuilder, size| Known::parse("kept", &chain.note(size)).unwrap();
    let options = Options {
        pinned: vec![ChainBuilder::begin("a/0", 7).vkey()],
        known: vec![known(&zero, 261), known(&one, 2)],
        now: Micros(1_826_789_400_000_000),
        reading: Reading { ahead: Ahead::new(1, 16 << 20), ..Reading::default() },
        ..Options::default()
    };
    let objects: Objects = zero.objects.into_iter().chain(one.objects).collect();
    Written { keys: objects.keys().cloned().collect(), objects, options }
});

/// What an edit does to the newest version of its object.
const OVERWRITE: u8 = 0;
const INSERT: u8 = 1;
const CUT: u8 = 2;
/// The object with all its versions.
const REMOVE: u8 = 3;
/// Another object's bytes; which, says the place.
const COPY: u8 = 4;
/// Its bytes under another key, too; which, say the bytes.
const ADD: u8 = 5;
/// A newer version, which is overwritten.
const LAY_OVER: u8 = 6;
const HIDE: u8 = 7;
/// The digest in a segment's trees file follows the segment as it now is.
const DIGEST: u8 = 8;
const EDITS: u8 = 9;

/// More show nothing more.
const MAX_EDITS: usize = 16;

/// Whether the archive is intact after all.
pub(crate) fn archive(bytes: &[u8]) -> bool {
    let written = &*WRITTEN;
    let store = Memory::new(Arc::new(SystemClock));
    store_objects(&written.objects, &store).unwrap();
    let mut input = Input::new("edits", bytes);
    let mut now = Versions::of(&written.objects);
    for _ in 0..MAX_EDITS {
        if edit(&mut input, &store, &mut now).is_err() {
            break;
        }
    }
    let report = verify(&store, &written.options);
    assert!(report.to_string().contains(report.verdict.words()));
    let is_intact = report.verdict == Verdict::Intact;
    // Segments that are gone with all before them may have outlived their retention; that is said.
    if is_intact && report.notices.is_empty() {
        for key in &written.keys {
            assert!(
                is_there(&now, key),
                "{key} is not what was written, and the archive is intact:\n{report}"
            );
        }
    }
    is_intact
}

/// What the store holds by now, the newest version of each key last.
struct Versions(std::collections::BTreeMap<String, Vec<Vec<u8>>>);

impl Versions {
    fn of(objects: &Objects) -> Versions {
        Versions(objects.iter().map(|(key, bytes)| (key.clone(), vec![bytes.clone()])).collect())
    }

    fn newest(&self, key: &str) -> Option<&Vec<u8>> {
        self.0.get(key)?.last()
    }
}

fn edit(input: &mut Input<'_>, store: &Memory, now: &mut Versions) -> Result<(), Malformed> {
    let [kind, object] = input.array()?;
    let (at, bytes) = (usize::from(u16::from_be_bytes(input.array()?)), input.bytes()?);
    let keys = &WRITTEN.keys;
    let key = &keys[usize::from(object) % keys.len()];
    let Some(newest) = now.newest(key).cloned() else { return Ok(()) };
    let at_most = |end: usize| end.min(newest.len());
    let from = at % (newest.len() + 1);
    let overwritten = || {
        let end = at_most(from + bytes.len());
        [&newest[..from], &bytes[..end - from], &newest[end..]].concat()
    };
    let changed = match kind % EDITS {
        OVERWRITE => overwritten(),
        INSERT => [&newest[..from], bytes, &newest[from..]].concat(),
        CUT => [&newest[..from], &newest[at_most(from + bytes.len())..]].concat(),
        COPY => match now.newest(&keys[at % keys.len()]) {
            Some(other) => other.clone(),
            None => return Ok(()),
        },
        REMOVE => {
            assert!(store.remove(key));
            now.0.remove(key);
            return Ok(());
        }
        ADD => {
            let Ok(added) = std::str::from_utf8(bytes) else { return Ok(()) };
            if now.newest(added).is_none()
                && store::Store::put_new(store, added, &newest, store::Keep::Evidence).is_ok()
            {
                now.0.insert(added.to_owned(), vec![newest]);
            }
            return Ok(());
        }
        LAY_OVER => {
            let version = overwritten();
            store.lay_over(key, &version);
            now.0.entry(key.clone()).or_default().push(version);
            return Ok(());
        }
        HIDE => {
            store.hide(key);
            return Ok(());
        }
        _ => match with_digest(key, &newest, now) {
            Some(trees) => trees,
            None => return Ok(()),
        },
    };
    // A hidden object has no bytes to change.
    if store.damage(key, |bytes| bytes.clone_from(&changed))
        && let Some(version) = now.0.get_mut(key).and_then(|versions| versions.last_mut())
    {
        *version = changed;
    }
    Ok(())
}

/// A trees file with the digest of its segment as that now is.
fn with_digest(key: &str, bytes: &[u8], now: &Versions) -> Option<Vec<u8>> {
    let (origin, _) = place_of(key)?;
    let trees = Trees::parse(bytes).ok()?;
    let segment = now.newest(&format!("{}{}", Layout::of(origin).root(), trees.segment_key))?;
    Some(Trees { segment_sha256: Hash::of(&[segment]), ..trees }.to_bytes())
}

/// Whether some version of an object says what was written. A hint is no evidence; of a segment the spelling of its
/// streams is none, and its digest follows that.
fn is_there(now: &Versions, key: &str) -> bool {
    let written = &WRITTEN.objects[key];
    let Some((_, place)) = place_of(key) else { return false };
    let versions = now.0.get(key).map_or(&[][..], Vec::as_slice);
    versions.iter().any(|bytes| match place {
        _ if bytes == written => true,
        Place::Segment { .. } => datums(bytes).is_some_and(|found| Some(found) == datums(written)),
        Place::Trees(_) => without_digest(bytes).is_some_and(|found| Some(found) == without_digest(written)),
        _ => false,
    }) || place == Place::Hint
}

fn datums(segment: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let file = SegmentFile::parse(segment).ok()?;
    let (shape, mut datums) = (Shape::parse(&file.header.event_schema).ok()?, Vec::new());
    let walked = file.walk(&shape, |_, datum| {
        datums.push(datum.to_vec());
        true
    });
    walked.ok().map(|()| (file.header.to_bytes(), datums))
}

fn without_digest(trees: &[u8]) -> Option<Trees> {
    Trees::parse(trees).ok().map(|trees| Trees { segment_sha256: Hash::default(), ..trees })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let edit = |kind: u8, object: usize, at: u16, bytes: &[u8]| {
        let mut out = vec![kind, object as u8];
        out.extend_from_slice(&at.to_be_bytes());
        put_bytes(&mut out, bytes);
        out
    };
    let keys = &WRITTEN.keys;
    let mut seeds = vec![Vec::new()];
    for nth in 0..keys.len() {
        seeds.push(edit(OVERWRITE, nth, 40, b"\x01"));
        seeds.push(edit(REMOVE, nth, 0, b""));
        seeds.push(edit(LAY_OVER, nth, 9, b"junk"));
    }
    let position = |end: &str| keys.iter().position(|key| key.ends_with(end)).unwrap();
    let (segment, trees) = (position("00.avro"), position("258.tiles"));
    seeds.push([edit(CUT, segment, 6_000, b"2345"), edit(DIGEST, trees, 0, b"")].concat());
    seeds.push([edit(INSERT, trees, 9, b"\0"), edit(HIDE, segment, 0, b"")].concat());
    seeds.push(edit(COPY, segment, segment as u16 + 1, b""));
    seeds.push(edit(ADD, trees, 0, b"a/0/trees/00000000000000000300.tiles"));
    seeds.push(edit(ADD, trees, 0, b"b/0/keys/00000000000000000000.note"));
    seeds
}
