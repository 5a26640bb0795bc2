//! `checkpoint`: a hint, replaced again and again. It may be old. It may not be newer than the archive, nor say another
//! root; and where the store keeps its versions, they may not go back.

use std::ops::ControlFlow;

use schemas::{Checkpoint, Place, Seq};
use store::{Entry, Kind, Object, Version};

use crate::chain::ChainCheck;
use crate::keys::KeyRing;
use crate::reading::MAX_CHECKPOINT;
use crate::{Check, Finding};

/// A version of `checkpoint` whose signature holds.
pub(crate) struct Hint {
    pub(crate) checkpoint: Checkpoint,
    note: String,
    version: Version,
}

impl ChainCheck<'_> {
    /// Those whose signature holds, the oldest first.
    pub(crate) fn read_hints(&mut self) -> Vec<Hint> {
        if !self.names.has_hint {
            return Vec::new();
        }
        let key = self.layout.key(&Place::Hint);
        match self.source.laid.get(&key) {
            Some(entries) => {
                let entries = entries.iter().filter(|entry| !entry.delete_marker).rev().collect();
                self.read_versions(&key, entries)
            }
            None => self.read_one(&key).into_iter().collect(),
        }
    }

    /// One version, or a store that keeps one only.
    fn read_one(&mut self, key: &str) -> Option<Hint> {
        let ring = &self.ring;
        let fits = |object: &Object| open(ring, object).ok()?;
        let (object, hint) = match self.source.fitting(key, MAX_CHECKPOINT, fits) {
            Ok(read) => read,
            Err(unread) => {
                self.findings.add(unread.finding_of_bounded(Check::Hint, key));
                return None;
            }
        };
        if hint.is_none()
            && let Err(found) = open(ring, &object)
        {
            let finding = Finding::of(Check::Hint, SIGNED, found).of_version(&object.version);
            self.findings.add(finding.at(key));
        }
        hint
    }

    /// The newest versions of a hint, oldest first. What is junk lies over what is not, so custody is at risk; if all of
    /// it is, the hint does not hold.
    fn read_versions(&mut self, key: &str, entries: Vec<&Entry>) -> Vec<Hint> {
        let (mut hints, mut junk): (Vec<Hint>, Vec<(Version, String)>) = Default::default();
        let (source, ring) = (self.source, self.ring.clone());
        let get = |nth: usize| source.store.get(key, Some(&entries[nth].version), None, MAX_CHECKPOINT);
        let mut unread = None;
        self.options.reading.ahead.in_order(
            entries.len(),
            |_| 0,
            get,
            |nth, got| {
                let version = entries[nth].version.clone();
                match got {
                    Ok(object) => match open(&ring, &object) {
                        Ok(hint) => hints.extend(hint),
                        Err(found) => junk.push((version, found)),
                    },
                    Err(error) if error.kind() == Kind::TooLarge => {
                        junk.push((version, format!("more than {MAX_CHECKPOINT} bytes")));
                    }
                    // Of a hint an old version may be let go of while it is looked for.
                    Err(error) if error.kind() == Kind::Missing => {}
                    Err(error) => unread = Some((version, error.to_string())),
                }
                ControlFlow::Continue(())
            },
        );
        if let Some((version, found)) = unread {
            let finding = Finding::of(Check::Readable, "an object that can be read", found);
            self.findings.add(finding.at(key).of_version(&version));
        }
        let check = if hints.is_empty() { Check::Hint } else { Check::LaidOver };
        for (version, found) in junk {
            self.findings.add(Finding::of(check, SIGNED, found).at(key).of_version(&version));
        }
        let left_out = self.names.hints.saturating_sub(entries.len() as u64);
        if left_out > 0 {
            let text = format!(
                "`checkpoint` has {} versions or more: the newest {} were looked at",
                self.names.hints,
                entries.len()
            );
            self.notice("hints-left-out", text);
        }
        self.check_order(key, &hints);
        hints
    }

    /// Each version is of the size of the one before, or of a larger one.
    fn check_order(&mut self, key: &str, hints: &[Hint]) {
        let mut largest: Option<&Hint> = None;
        for hint in hints {
            match largest.filter(|largest| largest.checkpoint.size > hint.checkpoint.size) {
                Some(before) => {
                    let (was, is) = (before.checkpoint.size, hint.checkpoint.size);
                    let expected = format!("size {was} or more, as version {} before it", before.version.0);
                    let finding = Finding::of(Check::HintOrder, expected, format!("size {is}")).at(key);
                    let proof = [before.note.clone(), hint.note.clone()];
                    self.findings.add(finding.of_version(&hint.version).seqs(Seq(is), was).proved_by(proof));
                }
                None => largest = Some(hint),
            }
        }
    }

    /// Holds the chain against each of them.
    pub(crate) fn check_hints(&mut self, hints: Vec<Hint>) {
        let longest = hints.iter().map(|hint| hint.checkpoint.size).max();
        let mut is_said = false;
        for hint in hints {
            if hint.checkpoint.size <= self.size {
                self.check_hint_root(&hint);
            } else if Some(hint.checkpoint.size) == longest && !is_said {
                is_said = true;
                self.check_hint_tail(hint);
            }
        }
    }

    /// One beyond the newest checkpoint.
    fn check_hint_tail(&mut self, hint: Hint) {
        let size = hint.checkpoint.size;
        // The archive may have grown since it was listed; then the note is there by now.
        let due = self.layout.key(&Place::Checkpoint(size));
        match self.source.store.get(&due, None, Some(0..1), 1) {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Missing => {
                let expected = format!("a chain of size {size}, as `checkpoint` says");
                let finding = Finding::of(Check::Tail, expected, format!("size {}", self.size));
                self.findings.add(finding.at(due).seqs(Seq(self.size), size).proved_by([hint.note]));
            }
            Err(error) => {
                let finding = Finding::of(Check::Readable, "an object that can be read", error.to_string());
                self.findings.add(finding.at(due));
            }
        }
    }

    fn check_hint_root(&mut self, hint: &Hint) {
        let (size, said) = (hint.checkpoint.size, hint.checkpoint.root);
        let signed = self.signed_roots.get(&size).copied();
        if let Some(root) = self.roots.get(&size).copied().flatten().or(signed).filter(|root| *root != said) {
            let say = |root| format!("root {root} at size {size}");
            let finding = Finding::of(Check::SplitView, say(root), say(said));
            let proof = [Some(hint.note.clone()), self.note_text(size)].into_iter().flatten();
            let finding = finding.at(self.layout.key(&Place::Hint)).of_version(&hint.version);
            self.findings.add(finding.seqs(Seq(size.saturating_sub(1)), size).proved_by(proof));
        }
    }
}

const SIGNED: &str = "a checkpoint signed by the chain's key alone";

/// The hint in an object; None if no key is known that may have signed it. Err: what is wrong with it.
fn open(ring: &KeyRing, object: &Object) -> Result<Option<Hint>, String> {
    let opened = Checkpoint::parse(&object.bytes).and_then(|(claimed, _)| match ring.at(claimed.size) {
        Some(vkey) => Checkpoint::open(&object.bytes, vkey).map(Some),
        None => Ok(None),
    });
    let note = || String::from_utf8_lossy(&object.bytes).into_owned();
    let hint = |checkpoint| Hint { checkpoint, note: note(), version: object.version.clone() };
    opened.map(|checkpoint| checkpoint.map(hint)).map_err(|malformed| malformed.to_string())
}
