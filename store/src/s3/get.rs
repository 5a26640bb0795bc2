//! Reading an object, or a part of it, and what holds it in its place.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption};
use schemas::Micros;

use super::attempt::{allowance, within};
use super::fault::{Fault, Meaning};
use super::options::Encryption;
use super::put::encrypted_otherwise;
use super::{S3, version_of, whole_seconds};
use crate::{Error, Kind, Lock, Mode, Object, Result, Tag, Version};

/// What is set aside before the bytes come. More is found as they do.
const MAX_ROOM_BYTES: u64 = 64 << 20;

/// What an attempt to read brought.
enum Read {
    Object(Object),
    /// So many bytes would come.
    TooLarge(u64),
}

impl S3 {
    pub(super) fn read(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        let full_key = self.full_key(key)?;
        let version = version.map(|version| version.0.as_str()).filter(|version| !version.is_empty());
        let asked = Asked { full_key: &full_key, version };
        let read = match range {
            // No range can ask for nothing.
            Some(range) if range.is_empty() => self.look(&asked),
            Some(range) if i64::try_from(range.start).is_err() => self.look(&asked),
            range => match self.ask(0, |time| self.fetch(&asked, range.clone(), max_bytes, time)) {
                Ok(Read::TooLarge(bytes)) => {
                    let what =
                        format!("it is too large: {bytes} bytes would come, {max_bytes} are taken at most");
                    return Err(Error::new(Kind::TooLarge, key, what));
                }
                Ok(Read::Object(object)) => Ok(object),
                Err(fault) if fault.meaning == Meaning::Range => self.look(&asked),
                Err(fault) => Err(fault),
            },
        };
        let mut object = read.map_err(|fault| fault.into_error(key, "reading"))?;
        // versitygw does not say it here.
        if object.lock.is_none() {
            let version = Some(object.version.0.as_str());
            let asked = Asked { version, ..asked };
            let lock = self.lock_of(&asked);
            object.lock = lock.map_err(|fault| fault.into_error(key, "reading the lock"))?;
            if object.lock.is_some() {
                let hold = self.is_held(&asked);
                object.is_held = hold.map_err(|fault| fault.into_error(key, "reading the legal hold"))?;
            }
        }
        Ok(object)
    }

    async fn fetch(
        &self,
        asked: &Asked<'_>,
        range: Option<Range<u64>>,
        max_bytes: u64,
        time: Duration,
    ) -> Result<Read, Fault> {
        let header = range.as_ref().map(|range| match i64::try_from(range.end) {
            Ok(end) => format!("bytes={}-{}", range.start, end - 1),
            Err(_) => format!("bytes={}-", range.start),
        });
        let request = self.client.get_object().bucket(&self.options.bucket).key(asked.full_key);
        let request = request.set_version_id(asked.version.map(str::to_owned)).set_range(header);
        let mut answer = within(time, request.send()).await?;
        let coming_bytes = length(answer.content_length())?;
        if coming_bytes > max_bytes {
            return Ok(Read::TooLarge(coming_bytes));
        }
        let body = std::mem::take(&mut answer.body);
        let bytes = within(time + allowance(coming_bytes), collect(body, coming_bytes)).await?;
        let size_bytes = match answer.content_range() {
            Some(text) => {
                whole_size(text).ok_or_else(|| Fault::again(format!("an answer of the range {text:?}")))?
            }
            None if range.is_none() || coming_bytes == 0 => coming_bytes,
            None => return Err(Fault::refused("the server sent the whole object instead of a part")),
        };
        Ok(Read::Object(answer.known().object(&self.options.encryption, bytes, size_bytes)))
    }

    /// What is known of the object, without its bytes. Of the newest that cannot be looked at, what the list says.
    fn look(&self, asked: &Asked) -> Result<Object, Fault> {
        match self.head(asked) {
            Err(fault) if fault.is_veiled && asked.version.is_none() => {
                self.newest_listed(asked.full_key, fault)
            }
            answer => answer,
        }
    }

    pub(super) fn head(&self, asked: &Asked) -> Result<Object, Fault> {
        self.ask(0, |time| async move {
            let request = self.client.head_object().bucket(&self.options.bucket).key(asked.full_key);
            let request = request.set_version_id(asked.version.map(str::to_owned));
            let answer = within(time, request.send()).await?;
            let size_bytes = length(answer.content_length())?;
            Ok(answer.known().object(&self.options.encryption, Vec::new(), size_bytes))
        })
    }

    /// The lock of a version. None if it has none, the bucket knows none, or it is not ours to see.
    fn lock_of(&self, asked: &Asked) -> Result<Option<Lock>, Fault> {
        match self.ask_for_lock(asked) {
            Err(fault) if fault.meaning != Meaning::Again => Ok(None),
            answer => answer,
        }
    }

    /// Whether a version is under a legal hold, as far as that is ours to see.
    fn is_held(&self, asked: &Asked) -> Result<bool, Fault> {
        let answer = self.ask(0, |time| {
            let request =
                self.client.get_object_legal_hold().bucket(&self.options.bucket).key(asked.full_key);
            within(time, request.set_version_id(asked.version.map(str::to_owned)).send())
        });
        match answer {
            Ok(answer) => {
                let status = answer.legal_hold().and_then(|hold| hold.status());
                Ok(status == Some(&ObjectLockLegalHoldStatus::On))
            }
            Err(fault) if fault.meaning == Meaning::Again => Err(fault),
            Err(_) => Ok(false),
        }
    }

    /// Whether these credentials may see what a version is locked with. If not, it reads as if it had no lock.
    pub fn may_see_lock(&self, key: &str, version: &Version) -> Result<bool> {
        let full_key = self.full_key(key)?;
        match self.ask_for_lock(&Asked { full_key: &full_key, version: Some(&version.0) }) {
            Err(fault) if fault.meaning == Meaning::Again => Err(fault.into_error(key, "reading the lock")),
            Err(fault) => Ok(!fault.is_missing_right()),
            Ok(_) => Ok(true),
        }
    }

    fn ask_for_lock(&self, asked: &Asked) -> Result<Option<Lock>, Fault> {
        self.ask(0, |time| async move {
            let request = self.client.get_object_retention().bucket(&self.options.bucket).key(asked.full_key);
            let request = request.set_version_id(asked.version.map(str::to_owned));
            within(time, async {
                match request.send().await {
                    Ok(answer) => Ok(answer.retention().and_then(|retention| {
                        Some(lock(retention.mode()?.as_str(), *retention.retain_until_date()?))
                    })),
                    Err(error) => match lock_in_other_words(&error) {
                        Some(lock) => Ok(Some(lock)),
                        None => Err(Fault::from(error)),
                    },
                }
            })
            .await
        })
    }
}

/// versitygw calls the answer by another name, which the client refuses.
fn lock_in_other_words<E>(error: &SdkError<E, HttpResponse>) -> Option<Lock> {
    let answer = error.raw_response().filter(|answer| answer.status().is_success())?;
    let xml = str::from_utf8(answer.body().bytes()?).ok()?;
    let inner = |name: &str| Some(xml.split_once(&format!("<{name}>"))?.1.split_once("</")?.0);
    let until = DateTime::from_str(inner("RetainUntilDate")?, DateTimeFormat::DateTime).ok()?;
    Some(lock(inner("Mode")?, until))
}

/// What is not known to be unliftable is not.
fn lock(mode: &str, until: DateTime) -> Lock {
    let mode = if mode == ObjectLockMode::Compliance.as_str() { Mode::Compliance } else { Mode::Governance };
    Lock { mode, until: micros(&until) }
}

/// Which object.
pub(super) struct Asked<'a> {
    pub(super) full_key: &'a str,
    /// None: the newest.
    pub(super) version: Option<&'a str>,
}

/// What GET and HEAD say alike.
struct Known<'a> {
    version: Option<&'a str>,
    tag: Option<&'a str>,
    modified: Option<&'a DateTime>,
    mode: Option<&'a ObjectLockMode>,
    until: Option<&'a DateTime>,
    hold: Option<&'a ObjectLockLegalHoldStatus>,
    encryption: Option<&'a ServerSideEncryption>,
    kms_key: Option<&'a str>,
}

impl Known<'_> {
    fn object(&self, wish: &Encryption, bytes: Vec<u8>, size_bytes: u64) -> Object {
        let lock = self.mode.zip(self.until).map(|(mode, until)| lock(mode.as_str(), *until));
        Object {
            bytes,
            size_bytes,
            version: version_of(self.version),
            tag: Tag(self.tag.unwrap_or_default().to_owned()),
            modified: self.modified.map(whole_seconds).unwrap_or_default(),
            lock,
            is_held: self.hold == Some(&ObjectLockLegalHoldStatus::On),
            encrypted_otherwise: encrypted_otherwise(wish, self.encryption, self.kms_key),
        }
    }
}

trait Answer {
    fn known(&self) -> Known<'_>;
}

impl Answer for GetObjectOutput {
    fn known(&self) -> Known<'_> {
        Known {
            version: self.version_id(),
            tag: self.e_tag(),
            modified: self.last_modified(),
            mode: self.object_lock_mode(),
            until: self.object_lock_retain_until_date(),
            hold: self.object_lock_legal_hold_status(),
            encryption: self.server_side_encryption(),
            kms_key: self.ssekms_key_id(),
        }
    }
}

impl Answer for HeadObjectOutput {
    fn known(&self) -> Known<'_> {
        Known {
            version: self.version_id(),
            tag: self.e_tag(),
            modified: self.last_modified(),
            mode: self.object_lock_mode(),
            until: self.object_lock_retain_until_date(),
            hold: self.object_lock_legal_hold_status(),
            encryption: self.server_side_encryption(),
            kms_key: self.ssekms_key_id(),
        }
    }
}

fn length(said: Option<i64>) -> Result<u64, Fault> {
    said.and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| Fault::again("an answer without a length"))
}

/// All of a body, which is as long as was said. A whole one is also held against the object's checksum, by the client.
async fn collect(mut body: ByteStream, length_bytes: u64) -> Result<Vec<u8>, Fault> {
    // What a server only says takes no room.
    let mut bytes = Vec::with_capacity(length_bytes.min(MAX_ROOM_BYTES) as usize);
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| Fault::again(format!("the answer was cut: {error}")))?;
        bytes.extend_from_slice(&part);
    }
    match bytes.len() as u64 == length_bytes {
        true => Ok(bytes),
        false => Err(Fault::again(format!("{} bytes came instead of {length_bytes}", bytes.len()))),
    }
}

/// The 10 of `bytes 2-5/10`.
fn whole_size(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

fn micros(time: &DateTime) -> Micros {
    Micros(i64::try_from(time.as_nanos() / 1_000).unwrap_or(Micros::MAX.0))
}
