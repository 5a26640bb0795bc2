//! Before anything is archived: whether the archive keeps what it is given.

#[cfg(feature = "s3")]
use std::time::Duration;

use anyhow::Result;
use runtime::{Ending, Failure, Stop};

use crate::config::{Archive, Config};

/// A process that starts waits so long for the bucket's first answer. After it the other stages begin, and the archiver
/// goes on asking.
#[cfg(feature = "s3")]
const FIRST_ANSWER: Duration = Duration::from_secs(5);
#[cfg(feature = "s3")]
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What is known of the archive.
pub enum Keeping {
    /// It keeps what it is given. A folder is taken as it is.
    Seen,
    /// This bucket has not answered yet.
    #[cfg(feature = "s3")]
    Awaited(crate::config::Bucket),
}

/// Looks at the archive. Err: it would not keep evidence as configured, or it may not be looked at.
pub fn look(config: &Config) -> Result<Keeping> {
    match &config.archive {
        Archive::Directory(_) => Ok(Keeping::Seen),
        #[cfg(feature = "s3")]
        Archive::S3(bucket) => match crate::bucket::look(bucket, FIRST_ANSWER)? {
            Some(promises) => crate::bucket::refuse(bucket, &promises).map(|()| Keeping::Seen),
            None => Ok(Keeping::Awaited(bucket.clone())),
        },
        // Opening it is refused, with the reason.
        #[cfg(not(feature = "s3"))]
        Archive::S3(_) => Ok(Keeping::Seen),
    }
}

impl Keeping {
    /// Waits until the archive is seen to keep what it is given; true then. False: the stop came first, and there is
    /// nothing to finish. Err(Retry): it was abandoned while it waited; Err(Halt): the archive would not keep it.
    #[cfg_attr(not(feature = "s3"), allow(unused_variables))]
    pub fn wait(&self, stop: &Stop, ending: Ending) -> Result<bool, Failure> {
        #[cfg(feature = "s3")]
        if let Keeping::Awaited(bucket) = self {
            let halt = |error: anyhow::Error| Failure::Halt(format!("{error:#}"));
            loop {
                if let Some(promises) = crate::bucket::look(bucket, FIRST_ANSWER).map_err(halt)? {
                    crate::bucket::refuse(bucket, &promises).map_err(halt)?;
                    return Ok(true);
                }
                if ending == Ending::HandOver && stop.wait(ASK_EVERY) {
                    return Ok(false);
                }
                if ending == Ending::Finish && stop.wait_patiently(ASK_EVERY) {
                    return Err(Failure::Retry(format!("the bucket of {bucket} does not answer")));
                }
            }
        }
        Ok(true)
    }
}
