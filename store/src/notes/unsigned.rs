//! Notes that nobody signed, kept in mind by whoever looks at a chain again and again: junk costs its requests once.

use std::collections::HashSet;

use schemas::KeyNote;

use crate::{Entry, Version};

/// So many are kept in mind. Those beyond are read each time.
const MOST: usize = 16_384;

/// Versions below checkpoints/ that were read, and that the keys of the chain have not signed.
#[derive(Debug, Default)]
pub struct Unsigned {
    /// Another key may have signed them.
    keys: Vec<KeyNote>,
    versions: HashSet<(String, Version)>,
    /// Those found in the reading that is under way, which says where they lie.
    found: Vec<(String, Version)>,
}

impl Unsigned {
    /// Whether it was one of them.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        // Most of the time there is none, and millions are asked for.
        !self.versions.is_empty() && self.versions.contains(&(entry.key.clone(), entry.version.clone()))
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        // Where a store has one version of a key only, what lies there can be replaced under the same name.
        let is_named = !matches!(entry.version.0.as_str(), "" | "null");
        if is_named && self.versions.len() + self.found.len() < MOST {
            self.found.push((entry.key.clone(), entry.version.clone()));
        }
    }

    /// A reading begins: what the one before found is known.
    pub(super) fn begin(&mut self) {
        self.versions.extend(self.found.drain(..));
    }

    /// Forgets what was found under other keys. Whether there was any.
    pub(super) fn keep_under(&mut self, keys: &[KeyNote]) -> bool {
        if self.keys == keys {
            return false;
        }
        let had_any = !self.versions.is_empty();
        *self = Unsigned { keys: keys.to_vec(), ..Unsigned::default() };
        had_any
    }
}
