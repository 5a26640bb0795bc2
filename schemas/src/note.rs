//! Signed notes (C2SP signed-note), Ed25519 only and read strictly: one spelling, no line more than is meant.
//!
//! A verifier key is `<name>+<8 hex: key id>+<base64: 0x01 ‖ 32 bytes>`; the key id is the start of
//! SHA-256(name ‖ "\n" ‖ 0x01 ‖ key). A note is text that ends with a newline, an empty line, and signature lines
//! `— <name> <base64: key id ‖ 64 bytes>`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::{Hash, Malformed, hex};

const ED25519: u8 = 1;
/// No note is longer.
pub const MAX_NOTE_BYTES: usize = 16 << 10;
/// No name of a key, and so no origin, is longer.
pub const MAX_NAME_BYTES: usize = 200;
const SEED_PREFIX: &str = "sealog-key-v1 ";

/// A public key with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Vkey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// What signs: one seed, under the name of whichever chain asks. Never shown, and wiped when dropped.
pub struct Signing {
    key: SigningKey,
}

/// A note taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, its last newline included.
    pub text: &'a str,
    /// The signature lines in order.
    pub signatures: Vec<SignatureLine<'a>>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    /// The name of the key that it claims.
    pub name: &'a str,
    /// That key's id.
    pub key_id: [u8; 4],
    /// The signature.
    pub signature: [u8; 64],
}

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed::new("note", 0, what)
}

/// Base64 in its one canonical spelling: padded, no bits to spare.
fn base64_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Whether a name can stand in a note and be a path of the archive.
pub fn check_name(name: &str) -> Result<(), Malformed> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'_' | b'/');
    let part_fits = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.starts_with('.');
    if name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || !name.bytes().all(fits)
        || !name.split('/').all(part_fits)
    {
        let what = "an origin is a-z, 0-9, '.', '-', '_' and '/', 200 characters at most, no part empty or with a dot first";
        return Err(malformed(format!("{name:?}: {what}")));
    }
    Ok(())
}

impl Vkey {
    fn new(name: &str, key: VerifyingKey) -> Vkey {
        let hash = Hash::of(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]);
        let id = [hash.0[0], hash.0[1], hash.0[2], hash.0[3]];
        Vkey { name: name.to_owned(), id, key }
    }

    /// Reads a verifier key. Refuses other algorithms, a wrong id, and keys under which more than one signature
    /// fits: of small order, or not in canonical form.
    pub fn parse(text: &str) -> Result<Vkey, Malformed> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed(format!("{text:?} is no verifier key: name+id+key")));
        };
        check_name(name)?;
        let bytes: [u8; 33] =
            base64_exact(key).ok_or_else(|| malformed("the key is not base64 of 33 bytes"))?;
        let (ED25519, key) = (bytes[0], &bytes[1..]) else {
            return Err(malformed("not an Ed25519 key"));
        };
        let key: [u8; 32] = key.try_into().map_err(|_| malformed("not 32 bytes"))?;
        let point = VerifyingKey::from_bytes(&key).map_err(|_| malformed("not a point of the curve"))?;
        if point.is_weak() || point.to_edwards().compress().to_bytes() != key {
            return Err(malformed(
                "the key is of small order or not canonical: many signatures would fit it",
            ));
        }
        let vkey = Vkey::new(name, point);
        if hex(&vkey.id) != id {
            return Err(malformed(format!("key id is {id}, should be {}", hex(&vkey.id))));
        }
        Ok(vkey)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name: one seed signs for every chain of a deployment.
    pub fn renamed(&self, name: &str) -> Vkey {
        Vkey::new(name, self.key)
    }

    /// Those of `pinned` that may sign for `origin`: the keys that bear its name, or else all of them under its name.
    pub fn all_for(pinned: &[Vkey], origin: &str) -> Vec<Vkey> {
        let own: Vec<Vkey> = pinned.iter().filter(|vkey| vkey.name() == origin).cloned().collect();
        match own.is_empty() {
            true => pinned.iter().map(|vkey| vkey.renamed(origin)).collect(),
            false => own,
        }
    }

    /// Whether two vkeys are one key, whatever their names.
    pub fn same_key(&self, other: &Vkey) -> bool {
        self.key == other.key
    }

    /// Whether this line is this key's valid signature of `text`.
    pub fn verify(&self, text: &str, line: &SignatureLine<'_>) -> Result<(), Malformed> {
        if line.name != self.name || line.key_id != self.id {
            return Err(malformed(format!("signed by {}+{}, not by {self}", line.name, hex(&line.key_id))));
        }
        self.key
            .verify_strict(text.as_bytes(), &Signature::from_bytes(&line.signature))
            .map_err(|_| malformed(format!("the signature does not fit the text under {self}")))
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.id), STANDARD.encode(key))
    }
}

impl fmt::Debug for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Signing {
    /// From 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Signing {
        Signing { key: SigningKey::from_bytes(seed) }
    }

    /// Reads what [`Signing::to_file`] wrote. The error does not repeat what it read.
    pub fn parse(file: &str) -> Result<Signing, Malformed> {
        let line = file.strip_suffix('\n').unwrap_or(file);
        let seed = line.strip_prefix(SEED_PREFIX).and_then(base64_exact::<32>).map(Zeroizing::new);
        seed.map(|seed| Signing::from_seed(&seed)).ok_or_else(|| {
            malformed("not a key file: one line, `sealog-key-v1` and 32 bytes in base64, as `sealog keygen` makes it")
        })
    }

    /// The content of a key file. Keep it secret.
    pub fn to_file(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SEED_PREFIX}{}\n", STANDARD.encode(self.key.as_bytes())))
    }

    /// The public key, under `name`.
    pub fn vkey(&self, name: &str) -> Vkey {
        Vkey::new(name, self.key.verifying_key())
    }

    /// One signature line over `text`, its newline included.
    pub fn sign(&self, name: &str, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        format!("— {name} {}\n", STANDARD.encode([self.vkey(name).id.as_slice(), &signature].concat()))
    }
}

impl<'a> Note<'a> {
    /// Takes a note apart; whoever signed it is not asked yet.
    pub fn parse(bytes: &'a [u8]) -> Result<Note<'a>, Malformed> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(malformed("longer than 16 KiB"));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        if all.chars().any(|c| c != '\n' && c.is_control()) {
            return Err(malformed("a control character, or CRLF"));
        }
        let Some(split) = all.rfind("\n\n") else {
            return Err(malformed("no empty line before the signatures"));
        };
        let (text, lines) = (&all[..split + 1], &all[split + 2..]);
        let Some(lines) = lines.strip_suffix('\n') else {
            return Err(malformed("does not end with a newline"));
        };
        let signatures = lines.split('\n').map(SignatureLine::parse).collect::<Result<_, _>>()?;
        Ok(Note { text, signatures })
    }
}

impl<'a> SignatureLine<'a> {
    fn parse(line: &'a str) -> Result<SignatureLine<'a>, Malformed> {
        let parts = line.strip_prefix("— ").and_then(|rest| rest.split_once(' '));
        let bytes: Option<(&str, [u8; 68])> = parts.and_then(|(name, b)| Some((name, base64_exact(b)?)));
        let Some((name, bytes)) = bytes else {
            return Err(malformed("a signature line is not `— name base64` of 68 bytes in canonical base64"));
        };
        let (key_id, signature) = bytes.split_at(4);
        let (key_id, signature) = (key_id.try_into(), signature.try_into());
        match (key_id, signature) {
            (Ok(key_id), Ok(signature)) => Ok(SignatureLine { name, key_id, signature }),
            _ => Err(malformed("a signature line has the wrong length")),
        }
    }
}

#[cfg(test)]
mod tests {
    use signed_note::{Note as OtherNote, StandardVerifier, Verifier, VerifierList};

    use super::*;

    fn signing() -> Signing {
        Signing::from_seed(&[7; 32])
    }

    #[test]
    fn another_implementation_accepts_our_notes_and_keys() {
        let vkey = signing().vkey("acme.example/audit/0").to_string();
        let note = format!("hello\n\n{}", signing().sign("acme.example/audit/0", "hello\n"));
        let verifier: Box<dyn Verifier> = Box::new(StandardVerifier::new(&vkey).unwrap());
        let (good, _) = OtherNote::from_bytes(note.as_bytes())
            .unwrap()
            .verify(&VerifierList::new(vec![verifier]))
            .unwrap();
        assert_eq!(good.len(), 1);
    }

    #[test]
    fn a_note_is_read_and_its_signature_fits_only_it() {
        let vkey = signing().vkey("a/0");
        let note = format!("hello\n\n{}", signing().sign("a/0", "hello\n"));
        let parsed = Note::parse(note.as_bytes()).unwrap();
        vkey.verify(parsed.text, &parsed.signatures[0]).unwrap();
        assert!(vkey.verify("hullo\n", &parsed.signatures[0]).is_err());
        assert!(signing().vkey("a/1").verify(parsed.text, &parsed.signatures[0]).is_err());
        assert!(Signing::from_seed(&[8; 32]).vkey("a/0").verify(parsed.text, &parsed.signatures[0]).is_err());
        assert_eq!(Vkey::parse(&vkey.to_string()).unwrap(), vkey);
    }

    #[test]
    fn other_spellings_are_refused() {
        let note = format!("hello\n\n{}", signing().sign("a/0", "hello\n"));
        for bad in [
            note.trim_end().to_owned(),
            note.replace('\n', "\r\n"),
            note.replace("=\n", "\n"),
            note.replace("\n\n", "\n"),
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for bad in ["", "A", "a//b", "../a", "a b", "a+b", "/a", "a/", ".tmp"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_that_fit_many_signatures_are_refused() {
        for point in [
            [0; 32],
            {
                let mut one = [0; 32];
                one[0] = 1;
                one
            },
            {
                let mut y = [0xff; 32];
                y[0] = 0xee;
                y[31] = 0x7f;
                y
            },
        ] {
            let bytes = [&[ED25519], point.as_slice()].concat();
            let id = hex(&Hash::of(&[b"a\n", &bytes]).0[..4]);
            assert!(Vkey::parse(&format!("a+{id}+{}", STANDARD.encode(bytes))).is_err());
        }
    }

    #[test]
    fn a_key_file_is_read_back_and_its_error_shows_nothing_of_it() {
        let again = Signing::parse(&signing().to_file()).unwrap();
        assert_eq!(again.vkey("a"), signing().vkey("a"));
        let Err(error) = Signing::parse("sealog-key-v1 c2VjcmV0") else { panic!("taken") };
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
}
