//! Which key may sign which size: the key notes of a chain, each vouched for by the one before, and the key that the
//! auditor has pinned.

use schemas::{KeyNote, Layout, Place, Seq, Vkey};

use crate::finding::Findings;
use crate::{Check, Finding};

/// The keys of a chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    first_size: u64,
    /// None: its note does not hold, so nobody can say what it may sign.
    vkey: Option<Vkey>,
    has_signed: bool,
    /// From this size on its signature alone counts no more.
    revoked_from: Option<u64>,
    /// The largest size below that which it has signed.
    counts_to: Option<u64>,
}

/// Gives a note's bytes: of its versions the oldest for which the function says that it holds, else the newest. Oldest,
/// for whoever may put can lay a genesis note of another key over the right one. None: it could not be read, and has
/// its finding.
pub(crate) type ReadNote<'a> = dyn FnMut(u64, &mut Findings, &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> + 'a;

impl KeyRing {
    /// From the notes as they stand in keys/, by name. `pinned` stands in for a genesis key that is missing or does not
    /// hold. `size`: how far the archive speaks.
    pub(crate) fn open(
        layout: &Layout,
        notes: &[u64],
        read: &mut ReadNote<'_>,
        pinned: Option<&Vkey>,
        size: u64,
        findings: &mut Findings,
    ) -> KeyRing {
        let origin = layout.root().trim_end_matches('/');
        let mut ring = KeyRing::default();
        if notes.first().is_none_or(|name| *name != 0) {
            let key = layout.key(&Place::Key(0));
            let finding = Finding::of(Check::KeyMissing, "the note of the first key", "nothing");
            findings.add(finding.at(key).seqs(Seq(0), size));
            ring.push(0, pinned.cloned());
        }
        for name in notes {
            let vouching = ring.keys.last().and_then(|key| key.vkey.as_ref());
            let is_judged = *name == 0 || vouching.is_some();
            let holds = |bytes: &[u8]| open_note(bytes, *name, origin, vouching).is_ok();
            let bytes = read(*name, findings, &holds);
            let opened = bytes.as_ref().map(|bytes| open_note(bytes, *name, origin, vouching));
            let vkey = match opened {
                Some(Ok(vkey)) => Some(vkey),
                Some(Err(found)) if is_judged => {
                    let expected = match vouching {
                        None => "a key note signed by its own key".to_owned(),
                        Some(vkey) => format!("a key note signed by its own key and by {vkey}"),
                    };
                    let finding = Finding::of(Check::KeyNote, expected, found);
                    let first = Seq(name.saturating_sub(1));
                    findings
                        .add(finding.at(layout.key(&Place::Key(*name))).seqs(first, size.max(first.0 + 1)));
                    None
                }
                _ => None,
            };
            // What does not hold the pinned key replaces; what could not be read may be another key, in order.
            let stand_in = pinned.filter(|_| *name == 0 && bytes.is_some()).cloned();
            ring.push(*name, vkey.or(stand_in));
        }
        ring
    }

    fn push(&mut self, first_size: u64, vkey: Option<Vkey>) {
        self.keys.push(Key { first_size, vkey, has_signed: false, revoked_from: None, counts_to: None });
    }

    /// The key in force at a size.
    pub(crate) fn at(&self, size: u64) -> Option<&Vkey> {
        self.keys.iter().rev().find(|key| key.first_size <= size)?.vkey.as_ref()
    }

    /// The key that the first link names.
    pub(crate) fn genesis(&self) -> Option<&Vkey> {
        self.at(0)
    }

    /// Notes that the key in force at that size has signed it.
    pub(crate) fn has_signed(&mut self, size: u64) {
        if let Some(key) = self.keys.iter_mut().rev().find(|key| key.first_size <= size) {
            key.has_signed = true;
            if key.revoked_from.is_none_or(|from| size < from) {
                key.counts_to = key.counts_to.max(Some(size));
            }
        }
    }

    /// These keys are revoked, each from its size on. To be said before anything is found to be signed.
    pub(crate) fn revoke(&mut self, revoked: &[(Vkey, u64)]) {
        for key in &mut self.keys {
            let of_key = revoked.iter().find(|(vkey, _)| key.vkey.as_ref() == Some(vkey));
            key.revoked_from = of_key.map(|(_, from)| *from);
        }
    }

    /// Whom a revoked key made its successor, from its size on, is revoked with it: unless the auditor pinned that key,
    /// or kept a checkpoint from behind the hand-over. `reach`: the largest size of one that was kept and agrees.
    pub(crate) fn revoke_successors(&mut self, reach: u64, pinned: &[Vkey]) {
        let mut handing: Option<u64> = None;
        for key in &mut self.keys {
            let is_pinned = key.vkey.as_ref().is_some_and(|vkey| pinned.contains(vkey));
            let is_handed = handing.is_some_and(|from| key.first_size > from);
            if is_handed && key.first_size > reach && !is_pinned {
                key.revoked_from =
                    Some(key.revoked_from.map_or(key.first_size, |own| own.min(key.first_size)));
                key.counts_to = None;
            }
            handing = key.revoked_from;
        }
    }

    /// The size from which on the key in force at a size is revoked.
    pub(crate) fn revoked_from(&self, size: u64) -> Option<u64> {
        self.keys.iter().rev().find(|key| key.first_size <= size)?.revoked_from
    }

    /// The largest size that a key has signed that is not revoked there. Its root binds every link before.
    pub(crate) fn counts_to(&self) -> u64 {
        self.keys.iter().filter_map(|key| key.counts_to).max().unwrap_or(0)
    }

    /// First size and key of each.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u64, Option<&Vkey>)> {
        self.keys.iter().map(|key| (key.first_size, key.vkey.as_ref()))
    }

    /// The first sizes at which a key took over from another.
    pub(crate) fn takeovers(&self) -> impl Iterator<Item = u64> {
        self.keys.iter().map(|key| key.first_size).filter(|size| *size > 0)
    }

    /// Whether one of the pinned keys is a key of this chain that has signed a checkpoint of it. What such a key has
    /// signed covers every link before, and the keys behind it are vouched for by it.
    pub(crate) fn is_vouched_for(&self, pinned: &[Vkey]) -> bool {
        let signed = self.keys.iter().filter(|key| key.has_signed).filter_map(|key| key.vkey.as_ref());
        signed.into_iter().any(|vkey| pinned.contains(vkey))
    }
}

fn open_note(bytes: &[u8], name: u64, origin: &str, vouching: Option<&Vkey>) -> Result<Vkey, String> {
    let note = KeyNote::open(bytes, vouching.filter(|_| name > 0)).map_err(|e| e.to_string())?;
    if note.vkey.name() != origin {
        return Err(format!("a key of {}, not of {origin}", note.vkey.name()));
    }
    match note.first_size == name {
        true => Ok(note.vkey),
        false => Err(format!("a key from size {}, under the name of {name}", note.first_size)),
    }
}
