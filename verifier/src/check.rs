//! The table of all checks. Each finding carries the name of its check; names never change.

use serde::{Serialize, Serializer};

/// What a finding means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The evidence is whole, its storage is not as promised.
    Custody,
    /// Something could not be read, so nothing can be said.
    Inconclusive,
    /// The evidence is not what was sealed.
    Broken,
}

macro_rules! checks {
    ($($check:ident $name:literal $effect:ident $what:literal,)*) => {
        /// One thing that must hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $(#[doc = $what] $check,)*
        }

        impl Check {
            /// Every check.
            pub const ALL: &[Check] = &[$(Check::$check),*];

            /// Its name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Check::$check => $name),* }
            }

            /// What it means when it fails.
            pub fn effect(self) -> Effect {
                match self { $(Check::$check => Effect::$effect),* }
            }

            /// What must hold.
            pub fn what(self) -> &'static str {
                match self { $(Check::$check => $what),* }
            }
        }
    };
}

checks! {
    Empty "empty" Inconclusive "There is at least one chain and, where a range was asked for, at least one event in it.",
    ArchiveRoot "archive-root" Inconclusive "The chains lie where their names say: the place is an archive's root.",
    Readable "readable" Inconclusive "What is listed can be read, and is not too large to be looked at; and what is to be compared was looked at.",
    Layout "layout" Custody "Nothing is in the archive that its layout does not know.",
    Hidden "hidden" Custody "No delete marker hides an object.",
    LaidOver "laid-over" Custody "A piece of evidence has one version, and `checkpoint` no version that is none.",
    LockMissing "lock-missing" Custody "Every piece of evidence is locked, and no lock has ended before its promise.",
    LockMode "lock-mode" Custody "Where compliance is promised, nobody can lift a lock.",
    LockShort "lock-short" Custody "A lock lasts for as long as is promised, from when its object was written.",
    ChainMissing "chain-missing" Broken "Every chain that was opened, or is named by a key or a known checkpoint, is there.",
    KeyNote "key-note" Broken "A key note is canonical, stands at its first size, and is signed by itself and its predecessor.",
    KeyMissing "key-missing" Broken "There is a key note for size 0.",
    KeyPlace "key-place" Broken "A key comes into force directly after a cut.",
    KeyPinned "key-pinned" Broken "A pinned key is one of the chain's, and has signed a checkpoint of it.",
    KeyRevoked "key-revoked" Broken "What a revoked key signed from its size on is vouched for by a kept checkpoint, or by a later key that the auditor pinned.",
    NoCheckpoint "no-checkpoint" Inconclusive "A chain that has keys has a checkpoint.",
    CheckpointMissing "checkpoint-missing" Broken "There is a checkpoint of size 0, and one for the end of each segment.",
    CheckpointNote "checkpoint-note" Broken "A checkpoint is canonical, and the key in force at its size alone has signed it.",
    CheckpointPlace "checkpoint-place" Broken "A checkpoint stands under its own size, and a segment ends there.",
    SplitView "split-view" Broken "Of one size there is one root, in the archive and in all that was kept of it.",
    Hint "hint" Broken "`checkpoint` is a checkpoint that the chain's key has signed, and agrees with the chain.",
    HintOrder "hint-order" Broken "No version of `checkpoint` is of a smaller size than one before it.",
    Tail "tail" Broken "Nothing in the archive says that the chain is longer than what is there.",
    SegmentMissing "segment-missing" Broken "Every seq up to the newest checkpoint stands in a segment.",
    SegmentDouble "segment-double" Broken "One first seq has one segment.",
    SegmentForm "segment-form" Broken "A segment is one Avro file in its only spelling.",
    SegmentPlace "segment-place" Broken "A segment's chain, first seq, last seq and date are those of its place.",
    SegmentHeader "segment-header" Broken "A segment's header says what its records give, and holds the checkpoint of its end.",
    SegmentDigest "segment-digest" Broken "A segment's bytes have the digest that its trees file keeps.",
    TreesMissing "trees-missing" Broken "Every segment has a trees file.",
    TreesForm "trees-form" Broken "A trees file has exactly the bytes that its size gives.",
    TreesPlace "trees-place" Broken "A trees file names the segment that ends at its size.",
    TreesTiles "trees-tiles" Broken "The tiles in a trees file are those of the links.",
    Genesis "genesis" Broken "The first link begins with the chain's origin and first key.",
    Prev "prev" Broken "A link's prev is the hash of the link before.",
    LinkHash "hash" Broken "An event's hash is the hash of its link: its seq, time, prev, schema and exact bytes.",
    SealedAt "sealed-at" Broken "Each event was sealed after the one before.",
    SealedAhead "sealed-ahead" Broken "Nothing was sealed later than the store says that it was written.",
    Root "root" Broken "The root over the links is the signed one.",
    SchemaMissing "schema-missing" Broken "The schema of every segment is stored.",
    SchemaBytes "schema-bytes" Broken "A stored schema has the hash in its name.",
    Known "known" Broken "The chain extends every checkpoint that the auditor has kept.",
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(Check::ALL.iter().all(|check| check.what().ends_with('.')));
    }
}
