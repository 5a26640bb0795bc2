//! What an answer that is no success means: whether to ask again, and what to tell the caller.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::http::HttpError;

use crate::{Error, Kind};

/// What follows from a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The same request may work later. Whether it was done is unknown.
    Again,
    /// 412: what is there is not what the request was made for.
    Precondition,
    /// There is no such object, or no such version.
    Missing,
    /// There is no such bucket.
    NoBucket,
    /// 416: the range begins behind the object's end.
    Range,
    /// The server does not know what was asked, or the bucket has none of it.
    Unknown,
    /// Asking again cannot help.
    Refused,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) meaning: Meaning,
    /// S3's name for it, or what stands for one.
    pub(super) code: String,
    said: String,
    /// How often it was asked.
    tries: u32,
    /// It is missing because a delete marker lies over it.
    is_hidden: bool,
    /// It is the object itself that cannot be looked at, as far as a HEAD can tell.
    pub(super) is_veiled: bool,
}

impl Fault {
    /// Worth another try; `said` says what happened.
    pub(super) fn again(said: impl Into<String>) -> Fault {
        let (meaning, code) = (Meaning::Again, String::new());
        Fault { meaning, code, said: said.into(), tries: 1, is_hidden: false, is_veiled: false }
    }

    /// An answer that the server gives, and may not.
    pub(super) fn refused(said: impl Into<String>) -> Fault {
        Fault { meaning: Meaning::Refused, ..Fault::again(said) }
    }

    /// The condition of a write does not hold.
    pub(super) fn precondition() -> Fault {
        Fault { meaning: Meaning::Precondition, ..Fault::again(String::new()) }
    }

    /// Of a request that says nothing of an object.
    pub(super) fn of_no_object(self) -> Fault {
        match self.meaning {
            Meaning::Missing => Fault { meaning: Meaning::Refused, ..self },
            _ => self,
        }
    }

    /// Whether it is that this identity may not.
    pub(super) fn is_missing_right(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AllAccessDisabled" | "Forbidden")
    }

    /// Met again and again.
    pub(super) fn after(self, tries: u32) -> Fault {
        Fault { tries, ..self }
    }

    /// As an error of the seam. `doing` says what failed: "reading".
    pub(super) fn into_error(self, key: &str, doing: &str) -> Error {
        let Fault { meaning, code, said, tries, is_hidden, .. } = self;
        let advice = advice(&code, meaning);
        match meaning {
            Meaning::Again => {
                Error::new(Kind::Away, key, format!("{doing} failed, asked {tries} times, {advice}: {said}"))
            }
            Meaning::Missing if is_hidden => Error::hidden(key),
            Meaning::Missing => Error::new(Kind::Missing, key, "there is no such object"),
            Meaning::Precondition => {
                Error::new(Kind::Changed, key, "it is not what was expected: read it again")
            }
            _ => Error::new(Kind::Refused, key, format!("{doing} was refused, {advice}: {said}")),
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Fault {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let marker = error.raw_response().and_then(|response| response.headers().get(DELETE_MARKER));
        let is_hidden = marker == Some("true");
        match (&error, status) {
            (SdkError::ServiceError(_), Some(..300)) => {
                Fault::refused(format!("an answer that cannot be read: {}", chain(&error).0))
            }
            (SdkError::ServiceError(_), Some(status)) => {
                let meaning = meaning(status, &code);
                let message = error.message().unwrap_or("no reason was given");
                let request = error.request_id().map(|id| format!(", request {id}")).unwrap_or_default();
                let named = if code.is_empty() { String::new() } else { format!("{code}: ") };
                // A key of whoever put it is wanted. With a HEAD no word comes that would say so.
                let is_veiled = status == 400 && code.is_empty();
                let said = format!("{named}{message} (status {status}{request})");
                Fault { meaning, code, is_hidden, is_veiled, ..Fault::again(said) }
            }
            // Cut, or no answer of S3.
            _ => match chain(&error) {
                (said, Some(code)) => Fault {
                    code: code.to_owned(),
                    is_veiled: code == UNREADABLE_HEAD,
                    ..Fault::refused(said)
                },
                (said, None) => Fault::again(said),
            },
        }
    }
}

/// Stands where S3 has no word: the request was never sent.
const NO_CREDENTIALS: &str = "CredentialsNotLoaded";

/// Stands where the client has no word: an answer came, and its head cannot be read. Whoever may put can make it so for
/// good, by what GET is to say of his object.
const UNREADABLE_HEAD: &str = "UnreadableHead";

/// Says of a key that is missing that a delete marker lies over it.
const DELETE_MARKER: &str = "x-amz-delete-marker";

/// The error and all below it as one line, and what it is called if it is for good.
fn chain(error: &(dyn StdError + 'static)) -> (String, Option<&'static str>) {
    let mut said: Vec<String> = Vec::new();
    let (mut next, mut for_good) = (Some(error), None);
    while let Some(error) = next {
        if let Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) =
            error.downcast_ref()
        {
            for_good = Some(NO_CREDENTIALS);
        }
        if error.is::<HttpError>() {
            for_good = Some(UNREADABLE_HEAD);
        }
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    (said.join(": "), for_good)
}

/// By the code where S3 gives one, for a HEAD has none; then by the status. What is unknown is to be tried again if the
/// server is at fault, and refused if we are.
fn meaning(status: u16, code: &str) -> Meaning {
    match code {
        "NoSuchBucket" => return Meaning::NoBucket,
        // Of a write: somebody else's is under way.
        "ConditionalRequestConflict" | "OperationAborted" => return Meaning::Again,
        // The body came in parts or not as it was sent.
        "RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" => {
            return Meaning::Again;
        }
        // The clock can be set right, and credentials be renewed, while we wait.
        "RequestTimeTooSkewed" | "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => {
            return Meaning::Again;
        }
        "SlowDown" | "SlowDownRead" | "SlowDownWrite" | "TooManyRequests" => return Meaning::Again,
        // KMS says it so, with the status of what is wrong for good.
        "Throttling" | "ThrottlingException" => return Meaning::Again,
        "NotImplemented" | "MethodNotImplemented" => return Meaning::Unknown,
        _ if code.starts_with("NoSuch") && code.ends_with("Configuration") => return Meaning::Unknown,
        "ObjectLockConfigurationNotFoundError" => return Meaning::Unknown,
        "InvalidVersionId" => return Meaning::Missing,
        _ => {}
    }
    match status {
        412 => Meaning::Precondition,
        416 => Meaning::Range,
        404 => Meaning::Missing,
        // A version that is a delete marker.
        405 => Meaning::Missing,
        409 if code.is_empty() => Meaning::Again,
        408 | 425 | 429 => Meaning::Again,
        501 => Meaning::Unknown,
        500.. => Meaning::Again,
        _ => Meaning::Refused,
    }
}

/// What a person does about it.
fn advice(code: &str, meaning: Meaning) -> &'static str {
    match code {
        NO_CREDENTIALS => {
            "no credentials were found: set them in the environment, a profile, or give the machine a role"
        }
        UNREADABLE_HEAD => {
            "what its answer says of the object is not text: nobody who stores evidence writes that, see who may put there"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId" => {
            "the server does not know these credentials: check the access key and its secret"
        }
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden" => {
            "a right is missing: give this identity what the store needs on the bucket"
        }
        "RequestTimeTooSkewed" | "RequestExpired" => "this machine's clock is not the server's: set it right",
        "ExpiredToken" | "ExpiredTokenException" => "the credentials have expired: renew them",
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            "the bucket is in another region: check the region"
        }
        "XMinioStorageFull" => "there is no room: free some or enlarge the disk",
        "InvalidRequest" if meaning == Meaning::Refused => {
            "the bucket does not take it: look at its settings"
        }
        _ => match meaning {
            Meaning::NoBucket => "there is no such bucket: check its name, or make it",
            Meaning::Unknown => {
                "the server does not know how: use one with Object Lock and conditional writes"
            }
            Meaning::Again => "try again",
            _ => "check the configuration of the store",
        },
    }
}
