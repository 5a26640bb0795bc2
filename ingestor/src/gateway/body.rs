//! Reading a request's body within its bounds: bytes, time, and what may wait in the gateway.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use tokio::time::timeout;

use super::refusal::Refusal;
use super::waiting::{Reserved, Waiting};

/// How much room a body asks for at a time: what is only announced takes none from others.
const STEP_BYTES: usize = 64 << 10;
/// How long, at most, a body that nobody wants is listened to.
const LISTEN: Duration = Duration::from_secs(2);

/// The whole body and its share of what may wait.
pub(super) async fn read(
    mut body: Body,
    most: usize,
    waiting: &Arc<Waiting>,
    time: Duration,
) -> Result<(Vec<u8>, Reserved), Refusal> {
    // A Content-Length shows here: what is too much is known before it is sent.
    let known = body.size_hint();
    let least = usize::try_from(known.lower()).unwrap_or(usize::MAX);
    if least > most {
        return Err(refuse(body, most, too_large(most)).await);
    }
    let exact = known.exact().is_some();
    let room = |bytes: usize| {
        let stepped = bytes.next_multiple_of(STEP_BYTES);
        if exact { stepped.min(least) } else { stepped }
    };
    let Some(mut reserved) = waiting.reserve(room(1)) else {
        return Err(refuse(body, most, Refusal::busy()).await);
    };
    let mut bytes = Vec::with_capacity(least.min(STEP_BYTES));
    let whole = timeout(time, async {
        while let Some(frame) = next(&mut body).await {
            let frame = frame.map_err(|_| cut_off())?;
            if bytes.len() + frame.len() > most {
                return Err(too_large(most));
            }
            if !reserved.grow_to(room(bytes.len() + frame.len())) {
                return Err(Refusal::busy());
            }
            bytes.extend_from_slice(&frame);
        }
        Ok(())
    });
    match whole.await {
        Ok(Ok(())) => Ok((bytes, reserved)),
        Ok(Err(refusal)) => Err(refuse(body, most, refusal).await),
        Err(_) => {
            let detail = format!("the body was not here within {} s", time.as_secs_f32());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow", detail))
        }
    }
}

/// Listens to a body that is refused, for a while: a client that still sends does not look for an answer, and would
/// find a broken connection instead of it.
pub(super) async fn refuse(mut body: Body, most: usize, refusal: Refusal) -> Refusal {
    let mut left = most;
    let _ = timeout(LISTEN, async {
        while let Some(Ok(frame)) = next(&mut body).await {
            match left.checked_sub(frame.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    })
    .await;
    refusal
}

async fn next(body: &mut Body) -> Option<Result<axum::body::Bytes, axum::Error>> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(|frame| frame.into_data().ok()) {
            Ok(Some(data)) => return Some(Ok(data)),
            // Trailers say nothing to us.
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

fn too_large(most: usize) -> Refusal {
    let detail = format!("a body may have {most} bytes: send the events in several requests");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

fn cut_off() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "cut_off", "the body ended too early")
}
