//! Objects that cannot even be looked at: under a key of whoever put them (SSE-C), which HEAD wants to be shown, or with
//! headers that are no text. Whoever may put can lay such a one over evidence. The list of versions asks for no key and
//! says what it takes to lay the right version over it.

use super::S3;
use super::attempt::within;
use super::fault::{Fault, Meaning};
use super::get::Asked;
use super::put::{Condition, encrypted_otherwise};
use super::{version_of, whole_seconds};
use crate::{Object, Tag};

/// The newest version of a key comes first. versitygw makes no use of less.
const ENTRIES: i32 = 50;

/// What MinIO answers to a write under a condition where such an object is: it compares nothing with what it cannot look
/// at itself. A server that compares never gives this answer there.
pub(super) const NOT_COMPARED: &str = "InvalidRequest";

impl S3 {
    /// Compares in the server's place. Ok: the condition held when the list was made, so that the same write may be done
    /// without it. Two that do so at the same time both succeed, one over the other; so it is never done where a write
    /// would take away what is there. Err: the answer; `fault` where it was something else that the server did not like.
    pub(super) fn compare(&self, full_key: &str, condition: &Condition, fault: Fault) -> Result<(), Fault> {
        let newest = match self.head(&Asked { full_key, version: None }) {
            Err(why) if why.is_veiled => self.newest_listed(full_key, why),
            _ => return Err(fault),
        };
        match (newest, condition) {
            (Err(why), _) if why.meaning == Meaning::Again => Err(why),
            (Ok(newest), Condition::Is(tag)) if newest.tag == **tag => {
                match newest.version == version_of(None) {
                    true => Err(fault),
                    false => Ok(()),
                }
            }
            (Ok(_), _) => Err(Fault::precondition()),
            (Err(_), _) => Err(fault),
        }
    }

    /// The newest version under this key without its bytes, as the list of versions has it. `fault` says why it could
    /// not be looked at itself, and is the answer where the list does not help either.
    pub(super) fn newest_listed(&self, full_key: &str, fault: Fault) -> Result<Object, Fault> {
        let answer = self.ask(0, |time| {
            let request = self.client.list_object_versions().bucket(&self.options.bucket);
            within(time, request.prefix(full_key).max_keys(ENTRIES).send())
        });
        let answer = match answer {
            // Credentials that have expired, as an instance: a HEAD could not say it.
            Err(why) if why.meaning == Meaning::Again => return Err(why),
            Err(_) => return Err(fault),
            Ok(answer) => answer,
        };
        // Keys that begin with this one are listed too.
        let mut versions = answer.versions().iter().filter(|version| version.key() == Some(full_key));
        let newest = versions.find(|version| version.is_latest() == Some(true));
        let Some((newest, tag)) = newest.and_then(|newest| Some((newest, newest.e_tag()?))) else {
            return Err(fault);
        };
        Ok(Object {
            bytes: Vec::new(),
            size_bytes: newest.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            version: version_of(newest.version_id()),
            tag: Tag(tag.to_owned()),
            modified: newest.last_modified().map(whole_seconds).unwrap_or_default(),
            // Who reads asks for both by themselves.
            lock: None,
            is_held: false,
            encrypted_otherwise: encrypted_otherwise(&self.options.encryption, None, None),
        })
    }
}
