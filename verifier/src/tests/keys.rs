//! Notes and keys: rows 19 and 21.

use base64_of::standard;
use schemas::{Hash, KeyNote, Place, Signing, hex};

use super::{CHAIN_0, CHAIN_1, assert_broken, chain_0, check_zero, has, memory, options};
use crate::testing::{ChainBuilder, events};
use crate::{Check, Options, Verdict, verify};

/// Base64, so that a test can misspell it.
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

/// Row 19.
#[test]
fn a_checkpoint_in_any_other_form_than_the_keys_own_is_found() {
    let zero = chain_0();
    let (key, good) = (zero.key(&Place::Checkpoint(305)), String::from_utf8(zero.note(305)).unwrap());
    let (text, line) = good.split_once("\n\n").unwrap();
    let stranger = Signing::from_seed(&[9; 32]);
    let foreign = stranger.sign(CHAIN_0, &format!("{text}\n"));
    // 68 bytes end in one padding character, so the last digit has two bits to spare.
    let (last, spare) = (good.len() - 3, |digit: char| char::from(digit as u8 + 1));
    let misspelled = format!("{}{}=\n", &good[..last], spare(good[last..].chars().next().unwrap()));
    let claimed = line.split(' ').next_back().unwrap();
    // The id of the right key over a signature of another: ids are 32 bits, collisions can be made.
    let collision = foreign.replacen(&foreign.split(' ').next_back().unwrap()[..5], &claimed[..5], 1);
    for bad in [
        good.replacen("305", "306", 1),
        format!("{text}\n\n{foreign}"),
        format!("{text}\n\n{collision}"),
        format!("{text}\n\n{}", Signing::from_seed(&[7; 32]).sign(CHAIN_1, &format!("{text}\n"))),
        format!("{good}{line}"),
        format!("{good}{foreign}"),
        misspelled,
        good.replacen("\n305\n", "\n0305\n", 1),
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        good.replacen("\n\n", "\nextension\n\n", 1),
        good.replacen(CHAIN_0, CHAIN_1, 1),
        "x".repeat(9_000),
        String::new(),
    ] {
        let mut zero = chain_0();
        zero.objects.insert(key.clone(), bad.into_bytes());
        assert_broken(&check_zero(&zero), Check::CheckpointNote, &key, (300, 304));
    }
    let mut renamed = chain_0();
    renamed.objects.insert(key.clone(), zero.note(300));
    assert_broken(&check_zero(&renamed), Check::CheckpointPlace, &key, (300, 304));
    let mut missing = chain_0();
    missing.objects.remove(&key);
    assert_broken(&check_zero(&missing), Check::CheckpointMissing, &key, (300, 304));
}

/// Row 19.
#[test]
fn a_key_that_fits_every_signature_is_refused() {
    let mut zero = chain_0();
    let key = zero.key(&Place::Key(0));
    let mut weak = [0; 33];
    (weak[0], weak[1]) = (1, 1);
    let id = hex(&Hash::of(&[CHAIN_0.as_bytes(), b"\n", &weak]).0[..4]);
    let good = String::from_utf8(zero.objects[&key].clone()).unwrap();
    let note = good.replace(&zero.vkey().to_string(), &format!("{CHAIN_0}+{id}+{}", standard(&weak)));
    zero.objects.insert(key.clone(), note.into_bytes());
    let report = check_zero(&zero);
    assert_broken(&report, Check::KeyNote, &key, (0, 564));
    assert!(report.first.unwrap().found.contains("small order"));
}

/// A chain whose second key signs from size 11 on.
fn rotated() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..10)).rotate(8).seal(events(10..20));
    chain
}

#[test]
fn a_key_that_took_over_is_followed_and_either_may_be_pinned() {
    let chain = rotated();
    let store = memory(&chain.objects);
    for seed in [7, 8] {
        let pinned = vec![Signing::from_seed(&[seed; 32]).vkey(CHAIN_0)];
        let report = verify(&store, &Options { pinned, ..options() });
        assert_eq!(report.verdict, Verdict::Unanchored, "{report}");
    }
    let known = vec![super::known("kept", &chain.note(10)), super::known("later", &chain.note(20))];
    let report = verify(&store, &Options { pinned: vec![chain.vkey()], known, ..options() });
    assert_eq!(report.verdict, Verdict::Intact, "{report}");
    assert_eq!(report.chains[0].keys.len(), 2);
    // In force from the next size on, but it has signed nothing yet.
    let mut early = ChainBuilder::begin(CHAIN_0, 7);
    early.seal(events(0..10)).rotate(8);
    let pinned = Options { pinned: vec![early.vkey()], ..options() };
    let report = verify(&memory(&early.objects), &pinned);
    assert_broken(&report, Check::KeyPinned, &early.key(&Place::Key(0)), (0, 9));
    assert_eq!(super::check(&early.objects).verdict, Verdict::Unanchored);
}

/// Row 21.
#[test]
fn a_key_that_nobody_vouches_for_is_found() {
    let key = rotated().key(&Place::Key(11));
    let (first, second) = (Signing::from_seed(&[7; 32]), Signing::from_seed(&[8; 32]));
    let stranger = Signing::from_seed(&[9; 32]);
    let note = |vkey, first_size| KeyNote { first_size, vkey };
    for bad in [
        note(second.vkey(CHAIN_0), 11).sign(&second, None),
        note(second.vkey(CHAIN_0), 11).sign(&second, Some(&stranger)),
        note(second.vkey(CHAIN_0), 11).sign(&first, Some(&first)),
        note(second.vkey(CHAIN_0), 12).sign(&second, Some(&first)),
        note(second.vkey(CHAIN_1), 11).sign(&second, Some(&first)),
    ] {
        let mut chain = rotated();
        chain.objects.insert(key.clone(), bad.into_bytes());
        assert_broken(&super::check(&chain.objects), Check::KeyNote, &key, (10, 19));
    }
    let mut chain = rotated();
    chain.objects.remove(&chain.key(&Place::Key(0)));
    let report = super::check(&chain.objects);
    assert_broken(&report, Check::KeyMissing, &chain.key(&Place::Key(0)), (0, 19));
}

/// Row 21.
#[test]
fn a_key_that_signs_out_of_its_range_is_found() {
    let checkpoint = |chain: &ChainBuilder, seed: u8| {
        let (signed, _) = schemas::Checkpoint::parse(&chain.note(20)).unwrap();
        signed.sign(&Signing::from_seed(&[seed; 32])).into_bytes()
    };
    let mut chain = rotated();
    let key = chain.key(&Place::Checkpoint(20));
    chain.objects.insert(key.clone(), checkpoint(&chain, 7));
    assert_broken(&super::check(&chain.objects), Check::CheckpointNote, &key, (10, 19));

    // In force in the middle of a segment.
    let mut chain = rotated();
    let (old, new) = (Signing::from_seed(&[7; 32]), Signing::from_seed(&[8; 32]));
    chain.objects.remove(&chain.key(&Place::Key(11)));
    let note = KeyNote { first_size: 14, vkey: new.vkey(CHAIN_0) }.sign(&new, Some(&old));
    let key = chain.key(&Place::Key(14));
    chain.objects.insert(key.clone(), note.into_bytes());
    assert_broken(&super::check(&chain.objects), Check::KeyPlace, &key, (13, 13));
    assert!(!has(&super::check(&chain.objects), Check::KeyNote, &key));
}
