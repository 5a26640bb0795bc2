//! Rows 19 and 21: notes in another spelling, and keys that nobody vouches for.

use schemas::{Checkpoint, Hash, KeyNote, Place, Signing, hex};

use super::{BEGAN, CHAIN_0, CHAIN_1, Case, chain_0};
use crate::testing::{ChainBuilder, events};
use crate::{Check, Verdict};

/// Base64, so that a row can misspell it.
mod base64_of {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub fn standard(bytes: &[u8]) -> String {
        let mut out = String::new();
        for part in bytes.chunks(3) {
            let group = part.iter().chain([0, 0].iter()).take(3).fold(0u32, |n, b| n << 8 | u32::from(*b));
            for digit in 0..4 {
                let value = DIGITS[(group >> (18 - 6 * digit) & 63) as usize] as char;
                out.push(if digit > part.len() { '=' } else { value });
            }
        }
        out
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The note of size 305 in each.
pub fn row_19_checkpoints_in_any_form_but_the_keys_own() -> Vec<Case> {
    let zero = chain_0();
    let (key, good) = (zero.key(&Place::Checkpoint(305)), text_of(&zero.note(305)));
    let Some((text, line)) = good.split_once("\n\n") else { return Vec::new() };
    let foreign = Signing::from_seed(&[9; 32]).sign(CHAIN_0, &format!("{text}\n"));
    // The last digit has bits to spare, which other decoders pass over.
    let last = good.len() - 3;
    let spare = good[last..].chars().next().map(|digit| char::from(digit as u8 + 1));
    let misspelled = format!("{}{}=\n", &good[..last], spare.unwrap_or_default());
    let id = |line: &str| line.split(' ').next_back().unwrap_or_default()[..5].to_owned();
    let collision = foreign.replacen(&id(&foreign), &id(line), 1);
    let of_chain_1 = Signing::from_seed(&[7; 32]).sign(CHAIN_1, &format!("{text}\n"));
    [
        ("another size", good.replacen("305", "306", 1)),
        ("a stranger's signature", format!("{text}\n\n{foreign}")),
        ("a stranger's signature under the key's id", format!("{text}\n\n{collision}")),
        ("the signature of another chain of the same key", format!("{text}\n\n{of_chain_1}")),
        ("a doubled signature", format!("{good}{line}")),
        ("a second signature", format!("{good}{foreign}")),
        ("base64 with other spare bits", misspelled),
        ("a leading zero", good.replacen("\n305\n", "\n0305\n", 1)),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("no newline at its end", good.trim_end().to_owned()),
        ("an extension line", good.replacen("\n\n", "\nextension\n\n", 1)),
        ("another origin", good.replacen(CHAIN_0, CHAIN_1, 1)),
        ("too long", "x".repeat(9_000)),
        ("empty", String::new()),
    ]
    .map(|(what, bad)| {
        Case::after(what, |zero| drop(zero.objects.insert(key.clone(), bad.into_bytes()))).broken(
            Check::CheckpointNote,
            &key,
            (300, 304),
        )
    })
    .into()
}

/// A public key of small order.
pub fn row_19_a_key_that_fits_every_signature() -> Vec<Case> {
    let zero = chain_0();
    let key = zero.key(&Place::Key(0));
    let mut weak = [0; 33];
    (weak[0], weak[1]) = (1, 1);
    let id = hex(&Hash::of(&[CHAIN_0.as_bytes(), b"\n", &weak]).0[..4]);
    let weak = format!("{CHAIN_0}+{id}+{}", base64_of::standard(&weak));
    let note = text_of(&zero.objects[&key]).replace(&zero.vkey().to_string(), &weak);
    let weakened =
        Case::after("of small order", |zero| drop(zero.objects.insert(key.clone(), note.into_bytes())));
    vec![weakened.broken(Check::KeyNote, &key, (0, 564))]
}

/// Each is signed, and none stands where it should.
pub fn row_19_a_checkpoint_in_anothers_place_or_gone() -> Vec<Case> {
    let zero = chain_0();
    let (key, hint) = (zero.key(&Place::Checkpoint(305)), zero.key(&Place::Hint));
    let foreign = ChainBuilder::begin(CHAIN_1, 7).note(0);
    vec![
        Case::after("under another size", |zero| drop(zero.objects.insert(key.clone(), zero.note(300))))
            .broken(Check::CheckpointPlace, &key, (300, 304)),
        Case::after("of a size at which no segment ends", |zero| {
            let note = zero.sign_as(302, Hash([2; 32])).into_bytes();
            zero.objects.insert(zero.key(&Place::Checkpoint(302)), note);
        })
        .broken(Check::CheckpointPlace, &zero.key(&Place::Checkpoint(302)), (301, 301)),
        Case::after("gone", |zero| drop(zero.objects.remove(&key))).broken(
            Check::CheckpointMissing,
            &key,
            (300, 304),
        ),
        Case::after("that of another chain as `checkpoint`", |zero| {
            zero.objects.insert(hint.clone(), foreign);
        })
        .broken(Check::Hint, &hint, None),
    ]
}

/// A chain whose second key signs from size 11 on.
fn rotated() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = BEGAN;
    chain.seal(events(0..10)).rotate(8).seal(events(10..20));
    chain
}

fn after_rotation(what: &str, damage: impl FnOnce(&mut ChainBuilder)) -> Case {
    let mut chain = rotated();
    damage(&mut chain);
    Case::new(what, chain.objects)
}

/// Its own signature and its predecessor's are what a key note needs.
pub fn row_21_key_notes_that_nobody_vouches_for() -> Vec<Case> {
    let (key, zero) = (rotated().key(&Place::Key(11)), rotated().key(&Place::Key(0)));
    let [first, second, stranger] = [7, 8, 9].map(|seed| Signing::from_seed(&[seed; 32]));
    let note = |origin: &str, first_size| KeyNote { first_size, vkey: second.vkey(origin) };
    let mut cases: Vec<Case> = [
        ("not signed by its predecessor", note(CHAIN_0, 11).sign(&second, None)),
        ("signed by a stranger", note(CHAIN_0, 11).sign(&second, Some(&stranger))),
        ("not signed by itself", note(CHAIN_0, 11).sign(&first, Some(&first))),
        ("of another size", note(CHAIN_0, 12).sign(&second, Some(&first))),
        ("of another chain", note(CHAIN_1, 11).sign(&second, Some(&first))),
    ]
    .map(|(what, bad)| {
        after_rotation(what, |chain| drop(chain.objects.insert(key.clone(), bad.into_bytes()))).broken(
            Check::KeyNote,
            &key,
            (10, 19),
        )
    })
    .into();
    cases.push(after_rotation("the first one gone", |chain| drop(chain.objects.remove(&zero))).broken(
        Check::KeyMissing,
        &zero,
        (0, 19),
    ));
    cases
}

/// What each key may sign begins with its first size and ends with the next one's.
pub fn row_21_keys_out_of_their_range_or_unknown() -> Vec<Case> {
    let [old, new] = [7, 8].map(|seed| Signing::from_seed(&[seed; 32]));
    let note = rotated().key(&Place::Checkpoint(20));
    let too_late = after_rotation("the old key signs after its time", |chain| {
        if let Ok((signed, _)) = Checkpoint::parse(&chain.note(20)) {
            chain.objects.insert(note.clone(), signed.sign(&old).into_bytes());
        }
    });
    let inside = rotated().key(&Place::Key(14));
    let in_a_segment = after_rotation("in force inside a segment", |chain| {
        chain.objects.remove(&chain.key(&Place::Key(11)));
        let note = KeyNote { first_size: 14, vkey: new.vkey(CHAIN_0) }.sign(&new, Some(&old));
        chain.objects.insert(inside.clone(), note.into_bytes());
    });
    let mut early = ChainBuilder::begin(CHAIN_0, 7);
    early.clock = BEGAN;
    early.seal(events(0..10)).rotate(8);
    let (zero, stranger) = (early.key(&Place::Key(0)), Signing::from_seed(&[9; 32]).vkey(CHAIN_0));
    vec![
        Case::new("one key after the other", rotated().objects).pinned(old.vkey(CHAIN_0)),
        Case::new("the later one pinned", rotated().objects).pinned(new.vkey(CHAIN_0)),
        too_late.broken(Check::CheckpointNote, &note, (10, 19)),
        in_a_segment.broken(Check::KeyPlace, &inside, (13, 13)),
        Case::new("pinned is one that has signed nothing yet", early.objects.clone())
            .pinned(early.vkey())
            .broken(Check::KeyPinned, &zero, (0, 9)),
        Case::new("pinned is one that the chain does not know", rotated().objects).pinned(stranger).broken(
            Check::KeyPinned,
            &zero,
            (0, 19),
        ),
    ]
}

/// A chain of one key in three segments of 10 events.
fn of_one_key() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.clock = BEGAN;
    chain.seal(events(0..10)).seal(events(10..20)).seal(events(20..30));
    chain
}

/// From the size that the auditor names it counts only as far as something else vouches for it.
pub fn row_21_what_a_revoked_key_signed() -> Vec<Case> {
    let [old, new] = [7, 8].map(|seed| Signing::from_seed(&[seed; 32]).vkey(CHAIN_0));
    let (one, two) = (of_one_key(), rotated());
    let note_key = |size| one.key(&Place::Checkpoint(size));
    let case = |what: &str, from: u64| Case::new(what, one.objects.clone()).revoked(old.clone(), from);
    let handed = |what: &str, from: u64| Case::new(what, two.objects.clone()).revoked(old.clone(), from);
    let bad = |case: Case, size, seqs| case.broken(Check::KeyRevoked, &note_key(size), seqs);
    let forged = one.sign_as(20, Hash([3; 32])).into_bytes();
    let mut anchored = case("all of it kept from before", 20).pinned(old.clone()).known(one.note(30));
    anchored.verdict = Verdict::Intact;
    let in_other_chain = Case::new("under the name of another chain", one.objects.clone());
    let below = case("a checkpoint from below its size kept", 20).known(one.note(10));
    let at = case("one of its size kept, and signed more", 20).known(one.note(20));
    let lied_to = case("one kept that does not agree", 20).known(forged);
    vec![
        bad(case("and nothing kept", 20), 20, (10, 29)),
        bad(below, 20, (10, 29)),
        bad(at, 30, (20, 29)),
        anchored,
        bad(lied_to, 20, (10, 29)).and(&[Check::Known]),
        bad(case("at its last checkpoint", 30), 30, (20, 29)),
        case("behind its last checkpoint", 31),
        bad(case("between two checkpoints", 21), 30, (20, 29)),
        bad(case("from the beginning", 0), 10, (0, 29)),
        bad(in_other_chain.revoked(old.renamed(CHAIN_1), 31), 10, (0, 29)),
        bad(case("given twice", 31).revoked(old.clone(), 20), 20, (10, 29)),
        bad(handed("handed over after that", 10), 10, (0, 19)),
        bad(handed("handed over after that, itself pinned", 10).pinned(old.clone()), 10, (0, 19)),
        bad(handed("handed over behind what was kept", 10).known(two.note(10)), 20, (10, 19)),
        handed("handed over before what was kept", 10).known(two.note(20)),
        handed("handed over before that", 11),
        handed("handed over to a key that is pinned", 10).pinned(new.clone()),
        bad(
            handed("and its pinned successor too", 10).pinned(new.clone()).revoked(new.clone(), 20),
            10,
            (0, 19),
        ),
        bad(Case::new("the successor alone", two.objects.clone()).revoked(new, 20), 20, (10, 19)),
        Case::new("no key of the chain", one.objects.clone())
            .revoked(Signing::from_seed(&[9; 32]).vkey(CHAIN_0), 0),
    ]
}
