//! Writing an object: one request, under a condition, with its SHA-256 and its lock.

use std::time::Duration;

use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime, SdkBody};
use aws_sdk_s3::types::{ObjectLockMode, ServerSideEncryption};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::{Hash, Micros};

use super::attempt::within;
use super::options::Encryption;
use super::veiled::NOT_COMPARED;
use super::{S3, version_of};
use crate::{Error, Keep, Kind, Mode, Result, Retention, Tag, Version};

/// What one PutObject takes.
const MAX_BODY_BYTES: u64 = 5 << 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What must hold for the write to be done.
pub(super) enum Condition<'a> {
    /// Nothing is there.
    Absent,
    /// What is there carries this tag.
    Is(&'a Tag),
}

impl S3 {
    /// `Changed` if the condition does not hold.
    pub(super) fn put(&self, key: &str, body: &[u8], keep: Keep, condition: Condition) -> Result<Version> {
        let full_key = self.full_key(key)?;
        let size_bytes = body.len() as u64;
        if size_bytes > MAX_BODY_BYTES {
            let what = format!(
                "it is too large: {size_bytes} bytes, and one write takes 5 GiB: cut segments smaller"
            );
            return Err(Error::new(Kind::Refused, key, what));
        }
        let sha256 = STANDARD.encode(Hash::of(&[body]).0);
        // Shared by all attempts.
        let sent = SdkBody::from(body.to_vec());
        let put = |condition: Option<&Condition>| {
            let request = self.client.put_object().bucket(&self.options.bucket).key(&full_key);
            let request = match condition {
                Some(Condition::Absent) => request.if_none_match("*"),
                Some(Condition::Is(tag)) => request.if_match(&tag.0),
                None => request,
            };
            let request = request.checksum_sha256(&sha256).content_length(size_bytes as i64);
            let request = self.encrypted(self.locked(request, keep));
            request.body(ByteStream::new(sent.try_clone().unwrap_or_else(SdkBody::taken)))
        };
        let ask = |condition| self.ask(size_bytes, |time| within(time, put(condition).send()));
        let answer = match ask(Some(&condition)) {
            Err(fault) if fault.code == NOT_COMPARED => {
                self.compare(&full_key, &condition, fault).and_then(|()| ask(None))
            }
            answer => answer,
        };
        match answer {
            Ok(written) => {
                self.check_encryption(key, &written)?;
                Ok(version_of(written.version_id()))
            }
            // Nothing is there that could carry the tag.
            Err(fault) if fault.code == "NoSuchKey" => {
                Err(Error::new(Kind::Changed, key, "it is gone: read it again"))
            }
            Err(fault) => Err(fault.of_no_object().into_error(key, "writing")),
        }
    }

    fn locked(&self, request: PutObjectFluentBuilder, keep: Keep) -> PutObjectFluentBuilder {
        let Some(retention) = self.options.retention else { return request };
        let (mode, until) = lock(retention, keep, self.clock.wall());
        request.object_lock_mode(mode).object_lock_retain_until_date(until)
    }

    fn encrypted(&self, request: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        match &self.options.encryption {
            Encryption::OfTheBucket => request,
            Encryption::ServerKeys => request.server_side_encryption(ServerSideEncryption::Aes256),
            Encryption::KmsKey(key) => {
                request.server_side_encryption(ServerSideEncryption::AwsKms).set_ssekms_key_id(key.clone())
            }
        }
    }

    /// A server may take the wish and not know it. The object is there then, and locked.
    fn check_encryption(&self, key: &str, written: &PutObjectOutput) -> Result<()> {
        let (how, used) = (written.server_side_encryption(), written.ssekms_key_id());
        match encrypted_otherwise(&self.options.encryption, how, used) {
            None => Ok(()),
            Some(otherwise) => {
                let what = format!("it was stored, but {otherwise}: check what the server can do");
                Err(Error::new(Kind::Refused, key, what))
            }
        }
    }
}

/// How what a server says of an object is not what is wished for.
pub(super) fn encrypted_otherwise(
    wish: &Encryption,
    how: Option<&ServerSideEncryption>,
    used: Option<&str>,
) -> Option<String> {
    let by_kms = how == Some(&ServerSideEncryption::AwsKms);
    let (is_so, wished) = match wish {
        Encryption::OfTheBucket => return None,
        Encryption::ServerKeys => (how == Some(&ServerSideEncryption::Aes256), "keys of the server"),
        Encryption::KmsKey(None) => (by_kms, "a KMS key"),
        // Servers answer with the key, never with the name that stands for it.
        Encryption::KmsKey(Some(name)) if is_alias(name) => (by_kms, name.as_str()),
        // AWS answers with the whole name, of which the end may have been given.
        Encryption::KmsKey(Some(name)) => {
            (by_kms && used.is_some_and(|used| used.ends_with(name.as_str())), name.as_str())
        }
    };
    let how = match (how, used) {
        (None, _) => "nothing that the server tells of".to_owned(),
        (Some(how), None) => how.as_str().to_owned(),
        (Some(how), Some(used)) => format!("{} {used}", how.as_str()),
    };
    (!is_so).then(|| format!("it is encrypted with {how}, and {wished} is configured"))
}

fn is_alias(name: &str) -> bool {
    name.starts_with("alias/") || name.contains(":alias/")
}

/// Servers cut a time to whole seconds. Evidence is held for no less than was asked for, a hint for no more.
fn lock(retention: Retention, keep: Keep, now: Micros) -> (ObjectLockMode, DateTime) {
    let mode = match (keep, retention.mode) {
        (Keep::Evidence, Mode::Compliance) => ObjectLockMode::Compliance,
        _ => ObjectLockMode::Governance,
    };
    let after = |period: Duration| i128::from(now.0) + period.as_micros() as i128;
    let seconds = match keep {
        Keep::Evidence => (after(retention.period) + 999_999).div_euclid(1_000_000),
        Keep::Hint => after(retention.period.min(DAY)).div_euclid(1_000_000),
    };
    (mode, DateTime::from_secs(seconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_encrypted_as_wished_or_it_is_said_how() {
        use ServerSideEncryption::{Aes256, AwsKms};
        let arn = "arn:aws:kms:eu-central-1:1:key/1234-abcd";
        let kms = |name: &str| Encryption::KmsKey(Some(name.to_owned()));
        let otherwise = |wish: &Encryption, how: Option<&_>, used| encrypted_otherwise(wish, how, used);
        for wish in [Encryption::KmsKey(None), kms(arn), kms("1234-abcd"), kms("alias/audit")] {
            assert_eq!(otherwise(&wish, Some(&AwsKms), Some(arn)), None, "{wish:?}");
            for how in [None, Some(&Aes256)] {
                assert!(otherwise(&wish, how, None).is_some(), "{wish:?}");
            }
        }
        let full_alias = kms("arn:aws:kms:eu-central-1:1:alias/audit");
        assert_eq!(otherwise(&full_alias, Some(&AwsKms), Some(arn)), None);
        let said = otherwise(&kms("5678"), Some(&AwsKms), Some(arn)).unwrap();
        assert!(said.contains(arn) && said.contains("5678"), "{said}");
        assert_eq!(otherwise(&Encryption::ServerKeys, Some(&Aes256), None), None);
        assert!(otherwise(&Encryption::ServerKeys, Some(&AwsKms), Some(arn)).is_some());
        assert_eq!(otherwise(&Encryption::OfTheBucket, None, None), None, "nothing is asked for");
    }

    #[test]
    fn evidence_is_held_for_no_less_than_the_period_and_a_hint_for_a_day_at_most() {
        let now = Micros(1_000_000_000_001);
        let week = Retention { mode: Mode::Compliance, period: 7 * DAY };
        let until = |seconds: i64| DateTime::from_secs(1_000_000 + seconds);
        assert_eq!(lock(week, Keep::Evidence, now), (ObjectLockMode::Compliance, until(7 * 86_400 + 1)));
        assert_eq!(lock(week, Keep::Hint, now), (ObjectLockMode::Governance, until(86_400)));
        let minute = Retention { mode: Mode::Governance, period: Duration::from_secs(60) };
        assert_eq!(
            lock(minute, Keep::Evidence, Micros(0)),
            (ObjectLockMode::Governance, DateTime::from_secs(60))
        );
        assert_eq!(
            lock(minute, Keep::Hint, Micros(0)),
            (ObjectLockMode::Governance, DateTime::from_secs(60))
        );
    }
}
