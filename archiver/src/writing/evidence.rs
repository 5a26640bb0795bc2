//! One piece of evidence: put and read back by its version, or found to be there already and adopted.
//!
//! A key under which something stands that is not ours is jammed. The archiver adopts what is the same and halts at
//! anything else: it lays nothing over it, unless it is told to, and even then not over what this chain's key signed.

use runtime::Failure;
use schemas::{Hash, Hashing, KeyNote, Micros, Place, SegmentFile};
use store::{Entry, Keep, Kind, Object, Version, versions};
use tracing::{info, warn};

use super::Writing;
use super::lock::{shortfall, shortfall_of_anothers};

/// What is to be put.
pub(super) struct Evidence<'a> {
    pub key: String,
    pub body: &'a [u8],
    /// Whether other bytes hold the same.
    pub same: &'a dyn Fn(&[u8]) -> bool,
}

/// A version that holds what is due.
struct Adopted {
    sha256: Hash,
    is_exact: bool,
    is_newest: bool,
    /// What its lock or its encryption lacks, and what to do.
    lacks: Option<String>,
}

/// Read back in parts of this size.
const PART_BYTES: u64 = 8 << 20;
/// No segment's header is longer.
const HEADER_BYTES: u64 = 1 << 20;
const LAY_OVER: &str =
    "`sealog archiver --lay-over-junk` (or `sealog up` with it), under an identity that may,";
const ENCRYPT: &str = "Nothing more is archived until the store encrypts what it is given: see `sealog doctor`. Then copy \
                       this one onto its own key, encrypted and locked, under an identity that may";

impl Writing<'_> {
    /// Answers the SHA-256 of what is there in the end.
    pub(super) fn put_evidence(&self, evidence: &Evidence<'_>, place: &Place) -> Result<Hash, Failure> {
        let was_hidden = self.is_hidden(&evidence.key)?;
        let mut asked_at = self.clock.wall();
        let put = self.patiently(|| {
            asked_at = self.clock.wall();
            match self.store.put_new(&evidence.key, evidence.body, Keep::Evidence) {
                Err(error) if error.kind() == Kind::Exists => Ok(None),
                other => other.map(Some),
            }
        })?;
        match put {
            Some(version) => {
                if was_hidden {
                    warn!(
                        "{}: was put over a delete marker, below which older versions may lie: somebody with the right to \
                         delete was there. `sealog verify` and `sealog locks` say what they are",
                        evidence.key
                    );
                }
                self.read_back(evidence, &version, self.earliest(asked_at))
            }
            None => self.adopt(evidence, place),
        }
    }

    /// Whether a delete marker lies over a key that is about to be put. One small question: to list what is below it
    /// takes some servers the longer, the more is archived. Where nothing is locked, no versions are kept.
    fn is_hidden(&self, key: &str) -> Result<bool, Failure> {
        if self.store.retention().is_none() {
            return Ok(false);
        }
        self.patiently(|| match self.store.get(key, None, Some(0..0), 0) {
            Err(error) if error.kind() == Kind::Away => Err(error),
            found => Ok(found.is_err_and(|error| error.is_hidden())),
        })
    }

    /// The store has what it was given, under a lock that is as strong as was asked for.
    fn read_back(
        &self,
        evidence: &Evidence<'_>,
        version: &Version,
        asked_at: Micros,
    ) -> Result<Hash, Failure> {
        let (key, size_bytes) = (&evidence.key, evidence.body.len() as u64);
        let halt = |why: String| Failure::Halt(format!("{key} was written, but {why}"));
        let (mut hashing, mut start) = (Hashing::default(), 0);
        loop {
            let end = (start + PART_BYTES).min(size_bytes);
            let part = self.patiently(|| self.store.get(key, Some(version), Some(start..end), PART_BYTES))?;
            if part.size_bytes != size_bytes {
                return Err(halt(format!("{size_bytes} bytes were given, {} are there", part.size_bytes)));
            }
            if let Some(otherwise) = &part.encrypted_otherwise {
                return Err(halt(format!("{otherwise}. {ENCRYPT}")));
            }
            if let Some(lacks) = shortfall(&part, self.store.retention(), asked_at) {
                return Err(halt(format!(
                    "{lacks}. Nothing more is archived until the store locks what it is given: see \
                     `sealog doctor`; `sealog locks --extend` puts this one right"
                )));
            }
            hashing.update(&part.bytes);
            start = end;
            if start >= size_bytes {
                break;
            }
        }
        let (given, found) = (Hash::of(&[evidence.body]), hashing.finish());
        match given == found {
            true => Ok(given),
            false => Err(halt(format!(
                "SHA-256 {given} was given and {found} is read back. The storage changes what it is given"
            ))),
        }
    }

    /// Something is there: our own write whose answer was lost, another archiver's, or what jams the key.
    fn adopt(&self, evidence: &Evidence<'_>, place: &Place) -> Result<Hash, Failure> {
        let key = &evidence.key;
        let entries = self.patiently(|| versions::of_key(self.store, key))?;
        let Some(adopted) = self.best_of(evidence, &entries)? else {
            return match (self.lay_over, versions::check_whole(&entries)) {
                (true, _) => self.lay_over(evidence, place, &entries),
                (false, Err(why)) => Err(crowded(&why)),
                (false, Ok(())) => Err(Failure::Halt(jammed(key, &entries))),
            };
        };
        if let Some(lacks) = adopted.lacks {
            return Err(Failure::Halt(format!("{key} is there already, but {lacks}")));
        }
        if !adopted.is_newest {
            warn!(
                "{key}: what is archived there is hidden below another version or a delete marker: run `sealog \
                   archive repair`"
            );
        }
        if matches!(place, Place::Segment { .. }) {
            info!(key, "adopted a segment that was there already");
        }
        Ok(adopted.sha256)
    }

    /// Of the versions that hold what is due one that is locked, before one with exactly our bytes, before the newest.
    fn best_of(&self, evidence: &Evidence<'_>, entries: &[Entry]) -> Result<Option<Adopted>, Failure> {
        let most_bytes = evidence.body.len() as u64 * 2 + (1 << 20);
        let rank = |adopted: &Adopted| (adopted.lacks.is_none(), adopted.is_exact);
        let mut best: Option<Adopted> = None;
        for entry in entries.iter().filter(|entry| entry.size_bytes <= most_bytes) {
            let Some(object) = self.read_version(entry, 0..most_bytes)? else { continue };
            let is_exact = object.bytes == evidence.body;
            if !is_exact && !(evidence.same)(&object.bytes) {
                continue;
            }
            let found = Adopted {
                sha256: Hash::of(&[&object.bytes]),
                is_exact,
                is_newest: entry.newest,
                lacks: self.lacks(&object),
            };
            if best.as_ref().is_none_or(|best| rank(&found) > rank(best)) {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|best| rank(best) == (true, true)) {
                break;
            }
        }
        Ok(best)
    }

    /// What another's object lacks, and what to do then.
    fn lacks(&self, object: &Object) -> Option<String> {
        let otherwise = object.encrypted_otherwise.as_ref();
        let otherwise = otherwise.map(|otherwise| format!("{otherwise}. {ENCRYPT}"));
        otherwise.or_else(|| {
            let lacks = shortfall_of_anothers(object, self.store.retention())?;
            Some(format!("{lacks}. `sealog locks --extend`, under an identity that may, puts it right"))
        })
    }

    /// None: it is no object, is gone, or nobody may read it.
    fn read_version(&self, entry: &Entry, range: std::ops::Range<u64>) -> Result<Option<Object>, Failure> {
        if entry.delete_marker {
            return Ok(None);
        }
        let (version, max_bytes) = (Some(&entry.version), range.end);
        self.patiently(|| match self.store.get(&entry.key, version, Some(range.clone()), max_bytes) {
            Ok(object) => Ok(Some(object)),
            Err(error) if matches!(error.kind(), Kind::Missing | Kind::Refused) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Puts what is due over junk. What was there stays to be seen among the versions.
    fn lay_over(&self, evidence: &Evidence<'_>, place: &Place, entries: &[Entry]) -> Result<Hash, Failure> {
        let key = &evidence.key;
        let halt = |why: &str| Err(Failure::Halt(format!("{key} is jammed and was not laid over: {why}")));
        for entry in entries {
            let beginning = self.read_version(entry, 0..HEADER_BYTES)?;
            if beginning.is_some_and(|object| self.is_signed(place, &object.bytes)) {
                return halt(
                    "a version of it is signed by a key for this chain and holds something else. That is no junk but a \
                     second history: keep it, run `sealog verify`, and find out who has the key",
                );
            }
        }
        // Without a byte of it: junk need not be readable to be laid over.
        let newest = self.patiently(|| self.store.get(key, None, Some(0..0), 0))?;
        if newest.version == Version::default() {
            return halt(
                "this archive keeps no versions. Look at it, and move it out of the archive by hand",
            );
        }
        let mut asked_at = self.clock.wall();
        let laid = self.patiently(|| {
            asked_at = self.clock.wall();
            match self.store.replace_if(key, Some(&newest.tag), evidence.body, Keep::Evidence) {
                Err(error) if error.kind() == Kind::Changed => Ok(None),
                other => other.map(Some),
            }
        })?;
        let Some(version) = laid else {
            return Err(Failure::Retry(format!("{key} was written to meanwhile: it is looked at again")));
        };
        match versions::check_whole(entries) {
            Ok(()) => warn!(key, "laid over the junk that stood there"),
            // All of it stays. What is due lies on top, where every reader looks first.
            Err(why) => {
                warn!("{why}. What is due was laid over them: `sealog verify` says if one of them was signed")
            }
        }
        self.read_back(evidence, &version, self.earliest(asked_at))
    }

    /// A store that asks again by itself dates each lock anew: when the clock was set right meanwhile, from an earlier
    /// moment than it was asked at.
    fn earliest(&self, asked_at: Micros) -> Micros {
        asked_at.min(self.clock.wall())
    }

    /// Whether it speaks for this chain, or for one of its name, so that it must not be called junk.
    fn is_signed(&self, place: &Place, bytes: &[u8]) -> bool {
        match place {
            Place::Key(_) => KeyNote::open(bytes, None)
                .is_ok_and(|note| format!("{}/", note.vkey.name()) == self.layout.root()),
            Place::Checkpoint(_) => self.is_checkpoint(bytes),
            Place::Segment { .. } => SegmentFile::parse(bytes)
                .is_ok_and(|file| self.is_checkpoint(file.header.checkpoint.as_bytes())),
            _ => false,
        }
    }
}

/// Where more versions lie than are looked into, it is not known whether the right one is among them.
pub(crate) fn crowded(why: &store::Error) -> Failure {
    Failure::Halt(format!(
        "{why}, and take their right to put. Nothing was laid over them; {LAY_OVER} puts what is due on top"
    ))
}

/// The same where the right one may also be one that may not be read.
pub(crate) fn left_open(why: &store::Error) -> Failure {
    match why.kind() {
        Kind::Crowded => crowded(why),
        _ => Failure::Halt(format!(
            "{why}. What may be archived behind it was not found to be whole. Give the archiver the right to read it; over \
             what nobody can read {LAY_OVER} puts what is due"
        )),
    }
}

fn jammed(key: &str, entries: &[Entry]) -> String {
    let versions = match entries.iter().filter(|entry| !entry.delete_marker).count() {
        0 => {
            return format!(
                "{key} is hidden under a delete marker, and this store puts nothing over one: take it away"
            );
        }
        1 => String::new(),
        count => format!(", in each of its {count} versions"),
    };
    format!(
        "{key} holds other bytes than this chain gives{versions}. Nothing was laid over it. `sealog verify` says what \
         is there; `sealog archive repair` puts right what a Checkpoint covers; over junk that stood there before, \
         {LAY_OVER} puts what is due"
    )
}
