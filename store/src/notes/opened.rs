//! The versions of one note's key: which of them are the note.

use schemas::Malformed;

use super::{MAX_BYTES, NotesError};
use crate::versions::{check_whole, fitting_of};
use crate::{Entry, Error, Kind, Store};

/// The versions of one key that are notes, newest first.
pub(super) struct Opened<'a, T> {
    pub(super) notes: Vec<(&'a Entry, T)>,
    /// Those that are none, whatever may be read later.
    pub(super) malformed: Vec<&'a Entry>,
    /// Of the newest that is none.
    pub(super) why: Option<Why>,
}

/// Why a version is no note.
pub(super) enum Why {
    Malformed(Malformed),
    /// It was not given. One that is not too long may be another time.
    Unread(Malformed),
    /// It may not be read.
    Refused(Error),
}

impl Why {
    pub(super) fn at(self, key: &str) -> NotesError {
        match self {
            Why::Malformed(why) | Why::Unread(why) => NotesError::Malformed { key: key.to_owned(), why },
            Why::Refused(error) => NotesError::Store(error),
        }
    }
}

impl<'a, T: Clone + PartialEq> Opened<'a, T> {
    pub(super) fn of(
        store: &dyn Store,
        versions: &'a [Entry],
        mut open: impl FnMut(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Opened<'a, T>, Error> {
        let mut opened = Opened { notes: Vec::new(), malformed: Vec::new(), why: None };
        for entry in versions.iter().filter(|entry| !entry.delete_marker) {
            let read =
                fitting_of(store, std::slice::from_ref(entry), MAX_BYTES, |object| Some(open(&object.bytes)));
            let why = match read {
                Ok(Some((_, Ok(note)))) => {
                    opened.notes.push((entry, note));
                    continue;
                }
                Ok(Some((_, Err(why)))) => Why::Malformed(why),
                Ok(None) => Why::Unread(Malformed::new("note", 0, "is longer than any may be, or gone")),
                Err(error) if error.kind() == Kind::Refused => Why::Refused(error),
                Err(error) => return Err(error),
            };
            if matches!(why, Why::Malformed(_)) || entry.size_bytes > MAX_BYTES {
                opened.malformed.push(entry);
            }
            opened.why.get_or_insert(why);
        }
        if opened.notes.is_empty() {
            check_whole(versions)?;
        }
        Ok(opened)
    }

    /// The one that they all are. None if there is none.
    pub(super) fn only(&self, key: &str) -> Result<Option<T>, NotesError> {
        let first = self.notes.first().map(|(_, note)| note);
        match self.notes.iter().all(|(_, note)| Some(note) == first) {
            true => Ok(first.cloned()),
            false => Err(NotesError::Two { key: key.to_owned() }),
        }
    }
}
