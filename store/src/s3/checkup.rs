//! What a doctor asks of a server besides what stages need: its clock, and how it encrypts.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::ServerSideEncryption;
use schemas::Micros;

use super::attempt::within;
use super::{Encryption, S3, whole_seconds};
use crate::Result;

impl S3 {
    /// What the server's clock says, in whole seconds, and what ours said just before and just after. None: the server
    /// does not say. Needs the right to list what begins with `prefix`.
    pub fn server_time(&self, prefix: &str) -> Result<Option<(Micros, Micros, Micros)>> {
        let before = self.clock.wall();
        let date = Date::default();
        let listed = self.ask(0, |time| {
            let request = self.client.list_objects_v2().bucket(&self.options.bucket).max_keys(1);
            let request =
                request.prefix(format!("{}{prefix}", self.prefix)).customize().interceptor(date.clone());
            within(time, request.send())
        });
        listed.map_err(|fault| fault.of_no_object().into_error(&self.options.bucket, "listing"))?;
        let after = self.clock.wall();
        let said = date.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let time = said.and_then(|said| DateTime::from_str(&said, DateTimeFormat::HttpDate).ok());
        Ok(time.map(|time| (before, whole_seconds(&time), after)))
    }

    /// How the newest version of an object is encrypted at rest, as the server says.
    pub fn encryption_of(&self, key: &str) -> Result<Encryption> {
        let full_key = self.full_key(key)?;
        let answer = self.ask(0, |time| {
            let request = self.client.head_object().bucket(&self.options.bucket).key(&full_key);
            within(time, request.send())
        });
        let answer = answer.map_err(|fault| fault.into_error(key, "reading"))?;
        Ok(match answer.server_side_encryption() {
            Some(ServerSideEncryption::Aes256) => Encryption::ServerKeys,
            Some(_) => Encryption::KmsKey(answer.ssekms_key_id().map(str::to_owned)),
            None => Encryption::OfTheBucket,
        })
    }
}

/// The time that the last answer was dated with.
#[derive(Clone, Debug, Default)]
struct Date(Arc<Mutex<Option<String>>>);

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let said = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = said;
        Ok(())
    }
}
