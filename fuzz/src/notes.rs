//! Signed notes and what is written in them; the keys and kept checkpoints that an auditor brings.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemas::note::{Note, SignatureLine};
use schemas::{Checkpoint, Hash, KeyNote, Signing, Vkey, hex};
use verifier::{Known, parse_keys};

use crate::golden::{self, ORIGIN};

/// A note, whatever it says.
pub(crate) fn note(bytes: &[u8]) -> bool {
    let Ok(note) = Note::parse(bytes) else { return false };
    let again = format!("{}\n{}", note.text, note.signatures.iter().map(line).collect::<String>());
    assert_eq!(again.as_bytes(), bytes, "a note has one spelling");
    true
}

fn line(line: &SignatureLine<'_>) -> String {
    let bytes = [line.key_id.as_slice(), &line.signature].concat();
    format!("— {} {}\n", line.name, STANDARD.encode(bytes))
}

pub(crate) fn note_seeds() -> Vec<Vec<u8>> {
    [golden::CHECKPOINT, golden::KEY_0, golden::KEY_N].map(<[u8]>::to_vec).to_vec()
}

/// A checkpoint: as it is, and its text under a good signature, for nobody guesses one.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    if let Ok((checkpoint, note)) = Checkpoint::parse(bytes) {
        assert_eq!(checkpoint.text(), note.text, "a checkpoint has one spelling");
        assert_eq!(Known::parse("kept", bytes).unwrap().origin(), checkpoint.origin);
    }
    let is_opened = Checkpoint::open(bytes, &golden::first_vkey()).is_ok();
    assert!(!is_opened || bytes == golden::CHECKPOINT, "the key signed no such checkpoint");
    let Ok(text) = std::str::from_utf8(bytes) else { return is_opened };
    // To sign takes long: first as if anybody had.
    let unsigned = SignatureLine { name: ORIGIN, key_id: [0; 4], signature: [0; 64] };
    if Checkpoint::parse(format!("{text}\n{}", line(&unsigned)).as_bytes()).is_err() {
        return is_opened;
    }
    let signed = format!("{text}\n{}", golden::first_key().sign(ORIGIN, text));
    match Checkpoint::open(signed.as_bytes(), &golden::first_vkey()) {
        Ok(checkpoint) => {
            assert_eq!(checkpoint.sign(&golden::first_key()), signed, "a checkpoint has one spelling");
            true
        }
        Err(_) => is_opened,
    }
}

pub(crate) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    vec![golden::CHECKPOINT.to_vec(), golden::text_of(golden::CHECKPOINT)]
}

/// A key note: as it is, and its text under good signatures of the key and its predecessor.
pub(crate) fn key_note(bytes: &[u8]) -> bool {
    let is_first = KeyNote::open(bytes, None).is_ok();
    assert!(!is_first || bytes == golden::KEY_0, "the first key signed no such key note");
    let is_next = KeyNote::open(bytes, Some(&golden::first_vkey())).is_ok();
    assert!(!is_next || bytes == golden::KEY_N, "the next key signed no such key note");
    let Ok(text) = std::str::from_utf8(bytes) else { return is_first || is_next };
    let (first, next) = (golden::first_key(), golden::next_key());
    let by_itself = is_key_note_under(text, &first, None);
    let by_both = is_key_note_under(text, &next, Some(&first));
    assert!(!(by_itself && by_both), "the first size says which signatures there are");
    is_first || is_next || by_itself || by_both
}

fn is_key_note_under(text: &str, own: &Signing, predecessor: Option<&Signing>) -> bool {
    let old_line = predecessor.map(|old| old.sign(ORIGIN, text)).unwrap_or_default();
    let signed = format!("{text}\n{}{old_line}", own.sign(ORIGIN, text));
    let predecessor_vkey = predecessor.map(|old| old.vkey(ORIGIN));
    let Ok(note) = KeyNote::open(signed.as_bytes(), predecessor_vkey.as_ref()) else { return false };
    assert_eq!(note.sign(own, predecessor), signed, "a key note has one spelling");
    true
}

pub(crate) fn key_note_seeds() -> Vec<Vec<u8>> {
    let notes = [golden::KEY_0, golden::KEY_N];
    notes.iter().flat_map(|note| [note.to_vec(), golden::text_of(note)]).collect()
}

/// A verifier key: as it is, and any 32 bytes under any name with the right key id, for nobody guesses that.
pub(crate) fn vkey(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return of_point(bytes) };
    match Vkey::parse(text) {
        Ok(vkey) => {
            assert_eq!(vkey.to_string(), text, "a verifier key has one spelling");
            true
        }
        Err(_) => of_point(bytes),
    }
}

fn of_point(bytes: &[u8]) -> bool {
    let Some((point, name)) = bytes.split_at_checked(32) else { return false };
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let key = [&[1], point].concat();
    let id = Hash::of(&[name.as_bytes(), b"\n", &key]);
    let text = format!("{name}+{}+{}", hex(&id.bytes()[..4]), STANDARD.encode(key));
    let Ok(vkey) = Vkey::parse(&text) else { return false };
    assert_eq!(vkey.to_string(), text, "a verifier key has one spelling");
    let unsigned = SignatureLine { name, key_id: [0; 4], signature: [0; 64] };
    let key_id = std::array::from_fn(|n| id.bytes()[n]);
    assert!(vkey.verify("text\n", &SignatureLine { key_id, ..unsigned }).is_err(), "zeros sign nothing");
    true
}

pub(crate) fn vkey_seeds() -> Vec<Vec<u8>> {
    let text = golden::first_vkey().to_string();
    let key = STANDARD.decode(text.rsplit('+').next().unwrap()).unwrap();
    // Of small order, and y beyond the field's prime.
    let one = std::array::from_fn::<u8, 32, _>(|n| u8::from(n == 0));
    let beyond =
        std::array::from_fn::<u8, 32, _>(|n| [0xee, 0xff, 0x7f][usize::from(n > 0) + usize::from(n > 30)]);
    let named = |point: &[u8]| [point, b"a/0"].concat();
    vec![text.into_bytes(), named(&key[1..]), named(&one), named(&beyond)]
}

/// A file of pinned keys.
pub(crate) fn pinned_keys(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(keys) = parse_keys(text) else { return false };
    assert!(!keys.is_empty(), "to pin no key is to trust any");
    keys.iter().for_each(|key| assert!(text.contains(&key.to_string()), "{key} stands in the file"));
    true
}

pub(crate) fn pinned_keys_seeds() -> Vec<Vec<u8>> {
    let other = golden::next_key().vkey("acme.example/audit/1");
    vec![golden::VKEY.to_vec(), format!("# two\n\n {other} \r\n{}\n", golden::first_vkey()).into_bytes()]
}

/// A file with a secret key.
pub(crate) fn key_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(signing) = Signing::parse(text) else { return false };
    assert_eq!(
        signing.to_file().trim_end(),
        text.strip_suffix('\n').unwrap_or(text),
        "a key file has one spelling"
    );
    true
}

pub(crate) fn key_file_seeds() -> Vec<Vec<u8>> {
    vec![golden::first_key().to_file().as_bytes().to_vec()]
}
