//! An answer that counts as waiting until its client has taken it: a client that does not read fills no memory that
//! nobody counts.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::waiting::Reserved;

/// How much of an answer is handed to the connection at a time. It asks for more once it has written it.
const PIECE_BYTES: usize = 64 << 10;

/// A body, and its share of what may wait.
pub(super) struct Held {
    rest: Bytes,
    reserved: Reserved,
}

impl Held {
    pub fn new(body: Vec<u8>, mut reserved: Reserved) -> Held {
        reserved.become_bytes(body.len());
        Held { rest: body.into(), reserved }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.reserved.become_bytes(0);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
