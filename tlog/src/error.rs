//! What can go wrong between an archive and a proof.

use store::NotesError;

/// The result of all that reads an archive here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about it depends on which one it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read: nothing is said about what is there. Try again, or get the right to read.
    #[error(transparent)]
    Unread(#[from] store::Error),
    /// What is there does not lead to what was signed.
    #[error("{key}: {what}. Run `sealog verify` on the archive")]
    Misfit {
        /// Which object.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// What was asked for is not in the archive, or not in the tree that it was asked of.
    #[error("{0}")]
    NotThere(String),
}

impl Error {
    /// An object that does not lead to what was signed.
    pub fn misfit(key: &str, what: impl Into<String>) -> Error {
        Error::Misfit { key: key.to_owned(), what: what.into() }
    }
}

impl From<NotesError> for Error {
    fn from(error: NotesError) -> Error {
        match error {
            NotesError::Store(error) => Error::Unread(error),
            NotesError::Malformed { key, why } => Error::Misfit { key, what: why.to_string() },
            NotesError::Two { key } => {
                Error::misfit(&key, "two versions of it differ, and both are signed by the chain's key")
            }
        }
    }
}
