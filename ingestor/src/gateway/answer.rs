//! What the gateway says: of each item, or why the request as a whole was not taken. docs/openapi.json has the shapes.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use schemas::hex;

use super::held::Held;
use super::point::Reached;
use super::prepare::{Prepared, Verdict};
use super::query::{Point, Wait};
use super::refusal::Refusal;
use super::waiting::Reserved;
use super::window::Seen;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
