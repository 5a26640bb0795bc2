//! What each path does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use prometheus::{Registry, TextEncoder};
use runtime::Clock;
use tokio::sync::oneshot;

use super::answer;
use super::appender::{Job, Message};
use super::body;
use super::connections::{Closing, Peer};
use super::point::{Points, Reached};
use super::prepare::{Prepared, Sender};
use super::query::Wait;
use super::refusal::Refusal;
use super::waiting::{Reserved, Waiting};
use super::{GatewayConfig, HttpMetrics};
use crate::normalize::ANONYMOUS;
use crate::split::{BodyKind, NotSplit, split};

/// The document that is served, and that a test compares with what is answered.
pub(super) const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Bodies from this size on are read beside the threads that serve connections.
const LARGE_BYTES: usize = 128 << 10;
/// How many requests' memory is kept for others.
const POOL: usize = 64;
const MAX_KEY_CHARS: usize = 255;

/// What all requests share.
pub(super) struct Shared {
    pub config: GatewayConfig,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub metrics: HttpMetrics,
    pub waiting: Arc<Waiting>,
    pub inbox: mpsc::Sender<Message>,
    pub pool: Mutex<Vec<Prepared>>,
    pub points: Points,
    /// No request is taken any more.
    pub stopping: AtomicBool,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let registry = shared.registry.clone();
    Router::new()
        .route("/v1/events", post(events))
        .route("/v1/openapi", get(|| async { answer::json(StatusCode::OK, OPENAPI) }))
        .with_state(shared)
        .merge(telemetry(registry))
}

/// What Prometheus and a watchdog ask for.
pub(super) fn telemetry(registry: Registry) -> Router {
    Router::new()
        .route("/healthz", get(|| async { answer::json(StatusCode::OK, "{\"status\":\"ok\"}\n") }))
        .route("/metrics", get(metrics))
        .with_state(registry)
}

async fn metrics(State(registry): State<Registry>) -> Response<Body> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(closing): Extension<Closing>,
    request: Request,
) -> Response<Body> {
    let started = shared.clock.boot();
    let response = match take(&shared, &peer, closing, request).await {
        Ok(response) => response,
        Err(refusal) => answer::refused(&refusal),
    };
    let took_us = shared.clock.boot().0 - started.0;
    shared.metrics.answered(response.status(), took_us);
    response
}

/// A request from its first header to its answer.
async fn take(
    shared: &Arc<Shared>,
    peer: &str,
    mut closing: Closing,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let checked = Wait::parse(head.uri.query()).and_then(|wait| Ok((check(shared, &head.headers)?, wait)));
    let ((producer, kind, key), wait) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return Err(body::refuse(body, shared.config.body_bytes, refusal).await),
    };
    let (most, time) = (shared.config.body_bytes, shared.config.timeouts.body);
    let (bytes, mut reserved) = body::read(body, most, &shared.waiting, time).await?;
    let sender = Sender { producer, peer, idempotency_key: key };
    let prepared = if bytes.len() < LARGE_BYTES {
        prepare(shared, &bytes, kind, &sender)
    } else {
        tokio::task::block_in_place(|| prepare(shared, &bytes, kind, &sender))
    }?;
    drop(bytes);
    reserved.become_bytes(prepared.batch.size_bytes());
    let Some(wait) = wait else {
        let (prepared, reserved) = append(shared, prepared, reserved).await?;
        return Ok(answer_taken(shared, prepared, None, reserved));
    };
    wait.check(&prepared)?;
    // Before it is appended: it may be sealed before the appender's answer is here.
    let mark = shared.points.mark(wait, &prepared).await?;
    let (mut prepared, mut reserved) = append(shared, prepared, reserved).await?;
    let reached = match mark {
        Some(mark) => shared.points.reach(mark, wait, (&mut prepared, &mut reserved), &mut closing).await,
        None => Vec::new(),
    };
    Ok(answer_taken(shared, prepared, Some((wait, &reached)), reserved))
}

/// Who sends, and what, before any of the body is read.
fn check<'a>(
    shared: &'a Shared,
    headers: &'a HeaderMap,
) -> Result<(&'a str, BodyKind, Option<&'a str>), Refusal> {
    if shared.stopping.load(Ordering::SeqCst) {
        return Err(Refusal::stopping());
    }
    let producer = match &shared.config.tokens {
        None => ANONYMOUS,
        Some(tokens) => {
            bearer(headers).and_then(|token| tokens.producer_of(token)).ok_or_else(Refusal::unauthorized)?
        }
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let unsupported = |detail| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", detail);
    let kind = BodyKind::of(content_type).ok_or_else(|| {
        unsupported("send application/json or application/x-ndjson, and say so in Content-Type")
    })?;
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(unsupported("send the body as it is: no Content-Encoding is understood"));
    }
    Ok((producer, kind, idempotency_key(headers)?))
}

/// The token of the only Authorization header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    let fits = |key: &&str| {
        (1..=MAX_KEY_CHARS).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_graphic())
            && second.is_none()
    };
    let key = value.to_str().ok().filter(fits).ok_or_else(|| {
        let detail =
            format!("an Idempotency-Key is 1 to {MAX_KEY_CHARS} visible ASCII characters, and there is one");
        Refusal::new(StatusCode::BAD_REQUEST, "bad_key", detail)
    })?;
    Ok(Some(key))
}

fn prepare(shared: &Shared, bytes: &[u8], kind: BodyKind, sender: &Sender<'_>) -> Result<Prepared, Refusal> {
    let config = &shared.config;
    let items = split(kind, bytes, config.items).map_err(|why| match why {
        NotSplit::Malformed(detail) => Refusal::new(StatusCode::BAD_REQUEST, "malformed", detail),
        NotSplit::TooMany => {
            let detail = format!("a request may hold {} events: send them in several", config.items);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many", detail)
        }
    })?;
    let pooled = shared.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut prepared = pooled.unwrap_or_else(|| Prepared::new(config.limits));
    prepared.fill(&items, sender, shared.clock.wall(), config.chains);
    Ok(prepared)
}

/// Hands the items to the appender and waits until they are durable.
async fn append(
    shared: &Shared,
    prepared: Prepared,
    reserved: Reserved,
) -> Result<(Prepared, Reserved), Refusal> {
    let (answer, answered) = oneshot::channel();
    let job = Box::new(Job { prepared, reserved, answer });
    shared.inbox.send(Message::Append(job)).map_err(|_| Refusal::stopping())?;
    Ok(answered.await.map_err(|_| Refusal::stopping())??)
}

/// The answer; the request's memory goes to the next.
fn answer_taken(
    shared: &Shared,
    mut prepared: Prepared,
    waited: Option<(Wait, &[Option<Reached>])>,
    reserved: Reserved,
) -> Response<Body> {
    let response = answer::taken(&prepared, waited, reserved);
    prepared.clear();
    let mut pool = shared.pool.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.len() < POOL {
        pool.push(prepared);
    }
    response
}
