//! How far a check has come, for whoever waits for it.

use std::fmt;

/// Is told of each step, from several threads. It must not wait.
pub trait Watch: fmt::Debug + Send + Sync {
    /// So many objects were listed by now.
    fn listed(&self, objects: u64);

    /// So many events more are to be walked.
    fn planned(&self, events: u64);

    /// So many of them were walked, or could not be.
    fn walked(&self, events: u64);
}
