//! What the archive's objects are to be locked with, and who says so.

use anyhow::Result;
use store::{Mode, Retention};
use verifier::Promise;

use super::Verify;
#[cfg(feature = "s3")]
use super::said_note;
use crate::archive::Place;
use crate::config::period;

/// None where nothing can be locked.
#[cfg(feature = "s3")]
pub(super) fn promise(args: &Verify, place: &Place) -> Result<Option<Promise>> {
    let Some(bucket) = place.bucket()? else { return Ok(None) };
    if !may_see_locks(&bucket, |key, version| bucket.may_see_lock(key, version))? {
        said_note(
            "these credentials may not see locks: give them s3:GetObjectRetention, as deploy/iam/auditor.json does",
        );
        return Ok(Some(Promise::Unseen));
    }
    if let Some(told) = args.locked {
        return Ok(Some(Promise::Told(told)));
    }
    match bucket.look_at_bucket() {
        Ok(found) => Ok(Some(found.default_retention.map_or(Promise::Nobody, Promise::OfTheBucket))),
        // The right to see it is not needed to see locks.
        Err(error) if error.kind() == store::Kind::Refused => {
            said_note(&format!("what the bucket promises is not known, give --locked: {error}"));
            Ok(Some(Promise::Nobody))
        }
        Err(error) => Err(error.into()),
    }
}

/// How many objects of the archive's are looked at: the first keys of a chain are its hint and its first note.
#[cfg(feature = "s3")]
pub(super) const LOCKS_LOOKED_AT: usize = 2;

/// Whether the locks of the first objects are ours to see. Of a lock that is not, nothing is said. `may_see_lock` is
/// asked for objects without one. What is no object of an archive, and what may not be read, is passed over: anybody
/// can have put it there, and whatever it is, the check itself says it.
#[cfg(feature = "s3")]
pub(super) fn may_see_locks(
    store: &dyn store::Store,
    may_see_lock: impl Fn(&str, &store::Version) -> store::Result<bool>,
) -> store::Result<bool> {
    use store::{Kind, Listing};
    const PAGE: usize = 100;
    const PAGES: usize = 10_000;
    let (mut after, mut looked_at) = (String::new(), 0);
    for _ in 0..PAGES {
        let page = store.list("", &after, Listing::Newest(PAGE))?;
        for entry in &page.entries {
            if verifier::place_of(&entry.key).is_none() {
                continue;
            }
            let object = match store.get(&entry.key, None, Some(0..0), 0) {
                Ok(object) => object,
                Err(error) if matches!(error.kind(), Kind::Refused | Kind::Missing) => continue,
                Err(error) => return Err(error),
            };
            if object.lock.is_none() && !may_see_lock(&entry.key, &object.version)? {
                return Ok(false);
            }
            looked_at += 1;
            if looked_at == LOCKS_LOOKED_AT {
                return Ok(true);
            }
        }
        match page.entries.last() {
            Some(last) if page.more && last.key > after => after.clone_from(&last.key),
            _ => return Ok(true),
        }
    }
    let what = "a million objects, and none of an archive's: see what fills the bucket";
    Err(store::Error::new(Kind::Refused, &after, what))
}

#[cfg(not(feature = "s3"))]
pub(super) fn promise(_: &Verify, _: &Place) -> Result<Option<Promise>> {
    Ok(None)
}

/// `compliance:7y`
pub fn locked(text: &str) -> Result<Retention, String> {
    let wrong =
        || "give a mode and a period (a year has 365 days), as compliance:7y or governance:90d".to_owned();
    let (mode, time) = text.split_once(':').ok_or_else(wrong)?;
    let mode = match mode {
        "compliance" => Mode::Compliance,
        "governance" => Mode::Governance,
        _ => return Err(wrong()),
    };
    let period = period(time).filter(|period| !period.is_zero()).ok_or_else(wrong)?;
    Ok(Retention { mode, period })
}
