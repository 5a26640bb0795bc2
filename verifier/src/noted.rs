//! A checkpoint as it stands in checkpoints/: read, opened, and of several versions the one that is signed.

use schemas::{Checkpoint, Layout, Place};
use store::Object;
use store::custody::Kept;

use crate::keys::KeyRing;
use crate::reading::{MAX_CHECKPOINT, Source, Unread, kept};
use crate::{Check, Finding};

/// A checkpoint whose signature holds, and its note.
pub(crate) type Signed = (Checkpoint, String);

/// What reading a checkpoint gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoteRead {
    pub(crate) kept: Option<Kept>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) signed: Option<Signed>,
}

/// Reads and opens `checkpoints/<size>`.
pub(crate) fn read_note(source: &Source<'_>, layout: &Layout, ring: &KeyRing, size: u64) -> NoteRead {
    let key = layout.key(&Place::Checkpoint(size));
    // Without a key nothing can be said of it, and the key note has its finding.
    let vkey = ring.at(size);
    let open = |object: &Object| {
        let checkpoint = Checkpoint::open(&object.bytes, vkey?).ok()?;
        let text = String::from_utf8_lossy(&object.bytes).into_owned();
        (checkpoint.size == size).then_some((checkpoint, text))
    };
    let (object, signed) = match source.fitting(&key, MAX_CHECKPOINT, open) {
        Ok(read) => read,
        Err(unread) => {
            let finding = unread.finding_of_bounded(Check::CheckpointNote, &key);
            return NoteRead { findings: vec![finding], ..NoteRead::default() };
        }
    };
    let mut findings = Vec::new();
    match (&signed, vkey) {
        (Some(signed), _) => findings.extend(split_view(source, &key, signed, open)),
        (None, Some(vkey)) => {
            let finding = match Checkpoint::open(&object.bytes, vkey) {
                Ok(other) => {
                    let found = format!("a checkpoint of size {}", other.size);
                    Finding::of(Check::CheckpointPlace, format!("a checkpoint of size {size}"), found)
                }
                Err(malformed) => {
                    let expected = format!("a checkpoint signed by {vkey} alone");
                    Finding::of(Check::CheckpointNote, expected, malformed.to_string())
                }
            };
            findings.push(finding.at(key).of_version(&object.version));
        }
        (None, None) => {}
    }
    NoteRead { kept: Some(kept(&object)), findings, signed }
}

/// Another version of the note with another root, signed as well: the proof of two histories. Or that one of them
/// cannot be read.
fn split_view(
    source: &Source<'_>,
    key: &str,
    (ours, note): &Signed,
    open: impl Fn(&Object) -> Option<Signed>,
) -> Option<Finding> {
    let say = |checkpoint: &Checkpoint| format!("root {} at size {}", checkpoint.root, checkpoint.size);
    let mut unread = None;
    for entry in source.versions(key)? {
        let object = match source.read_listed(entry, MAX_CHECKPOINT) {
            Ok(object) => object,
            Err(Unread::TooLarge(_)) => continue,
            // It might be the other one.
            Err(failed) => {
                unread = unread.or(Some(failed.finding(key).of_version(&entry.version)));
                continue;
            }
        };
        if let Some((other, other_note)) = open(&object).filter(|(other, _)| other.root != ours.root) {
            let finding = Finding::of(Check::SplitView, say(ours), say(&other)).at(key);
            return Some(finding.of_version(&entry.version).proved_by([note.clone(), other_note]));
        }
    }
    unread
}
