//! What the gateway says: of each item, or why the request as a whole was not taken. docs/openapi.json has the shapes.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use schemas::hex;

use super::appender::NotAppended;
use super::held::Held;
use super::point::{Point, Reached, Wait};
use super::prepare::{Prepared, Verdict};
use super::waiting::Reserved;
use super::window::Seen;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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

/// The answer for a request that was not taken.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut body = Vec::new();
    body.extend_from_slice(b"{\"reason\":");
    put_json(&mut body, refusal.reason);
    body.extend_from_slice(b",\"error\":");
    put_json(&mut body, &refusal.detail);
    body.extend_from_slice(b"}\n");
    let mut response = json(refusal.status, body);
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sealog\""));
    }
    response
}

/// The answer for items that the stream has: 202 if all are events, 207 if some are, 422 if none is; 200 if all came as
/// far as was waited for.
pub(super) fn taken(
    prepared: &Prepared,
    waited: Option<(Wait, &[Option<Reached>])>,
    reserved: Reserved,
) -> Response<Body> {
    let mut body = Vec::with_capacity(64 + prepared.items.len() * 80);
    let (mut durable, mut arrived) = (0, 0);
    body.extend_from_slice(b"{\"results\":[");
    for (index, (id, item)) in prepared.answers().enumerate() {
        body.extend_from_slice(if index > 0 { b",\n{\"id\":" } else { b"{\"id\":" });
        put_json(&mut body, id);
        let reached = waited.and_then(|(_, reached)| reached.get(index)?.as_ref());
        let point = reached.map(|reached| match reached.proof {
            Some(_) => Point::Archived,
            None => Point::Sealed,
        });
        let conflict = "another event was sent with this Idempotency-Key in this place";
        let (status, why) = match (&item.verdict, item.seen, point) {
            (_, Seen::Other, _) => ("conflict", Some(("conflict", conflict))),
            (Verdict::Durable, _, None) => ("durable", None),
            (Verdict::Durable, _, Some(Point::Sealed)) => ("sealed", None),
            (Verdict::Durable, _, Some(Point::Archived)) => ("archived", None),
            (Verdict::Rejected(reason, detail), _, _) => ("rejected", Some((reason.word(), detail.as_str()))),
        };
        durable += usize::from(!matches!(status, "rejected" | "conflict"));
        arrived += usize::from(waited.is_some_and(|(wait, _)| point >= Some(wait.point)));
        body.extend_from_slice(b",\"status\":");
        put_json(&mut body, status);
        if let Some((reason, detail)) = why {
            body.extend_from_slice(b",\"reason\":");
            put_json(&mut body, reason);
            body.extend_from_slice(b",\"error\":");
            put_json(&mut body, detail);
        }
        if let Some(reached) = reached {
            put_reached(&mut body, reached);
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}\n");
    let all = prepared.items.len();
    let status = match durable {
        0 => StatusCode::UNPROCESSABLE_ENTITY,
        durable if durable < all => StatusCode::MULTI_STATUS,
        _ if waited.is_some() && arrived == all => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    json(status, Body::new(Held::new(body, reserved)))
}

/// Where it stands, and the proof of it.
fn put_reached(body: &mut Vec<u8>, reached: &Reached) {
    let Reached { chain, place, proof } = reached;
    let place =
        format!(",\"chain\":{chain},\"seq\":{},\"hash\":\"{}\"", place.seq.0, hex(place.hash.bytes()));
    body.extend_from_slice(place.as_bytes());
    if let Some(proof) = proof {
        body.extend_from_slice(b",\"proof\":");
        put_json(body, proof);
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn put_json(out: &mut Vec<u8>, text: &str) {
    // Writing text to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}
