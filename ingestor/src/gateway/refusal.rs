//! Why a request is not taken, for programs and for people.

use axum::http::StatusCode;

use super::appender::NotAppended;

/// Why nothing of a request was taken, and nothing of it is anywhere.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// A word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// When to try again.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    pub fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Refusal {
        Refusal { status, reason, detail: detail.into(), retry_after_s: None }
    }

    fn later(status: StatusCode, reason: &'static str, detail: &str, retry_after_s: u32) -> Refusal {
        Refusal { retry_after_s: Some(retry_after_s), ..Refusal::new(status, reason, detail) }
    }

    /// No valid token.
    pub fn unauthorized() -> Refusal {
        let detail = "send a token that this gateway knows: Authorization: Bearer <token>";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Too much waits in the gateway.
    pub fn busy() -> Refusal {
        let detail = "too much is waiting to be written: send this again a little later";
        Refusal::later(StatusCode::TOO_MANY_REQUESTS, "busy", detail, 1)
    }

    /// Too many wait for their events' places.
    pub fn crowded() -> Refusal {
        let detail =
            "too many wait for their events' places: send this again a little later, or without wait";
        Refusal::later(StatusCode::TOO_MANY_REQUESTS, "busy", detail, 2)
    }

    /// Nobody can be told where events stand.
    pub fn unreadable() -> Refusal {
        let detail = "where events are sealed cannot be read now: send this again later, or without wait";
        Refusal::later(StatusCode::SERVICE_UNAVAILABLE, "unreadable", detail, 2)
    }

    /// The process ends.
    pub fn stopping() -> Refusal {
        let detail = "the gateway is stopping: send this again to the one that follows";
        Refusal::later(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail, 2)
    }
}

impl From<NotAppended> for Refusal {
    fn from(why: NotAppended) -> Refusal {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match why {
            NotAppended::Away => {
                let detail = "what stores the events cannot be reached; with an Idempotency-Key it is safe to send this again";
                Refusal::later(unavailable, "away", detail, 2)
            }
            NotAppended::Full => {
                let detail = "what stores the events has no room: send this again later";
                Refusal::later(unavailable, "full", detail, 5)
            }
            NotAppended::TooLarge => {
                let detail = "what stores the events takes no record so large";
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            }
        }
    }
}
