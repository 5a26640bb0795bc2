//! Pages: what is only read, beside the events or on a listener of its own. Whoever makes them may wait for a disk or a
//! bucket, so that happens on threads apart, and only so many are made at once.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::get;
use prometheus::IntGauge;
use runtime::Stop;
use tokio::sync::Semaphore;
use tracing::info;

use super::answer;
use super::connections::Server;
use super::refusal::Refusal;
use super::serving::Serving;
use super::{GatewayError, Timeouts};

/// Made at once; whoever else asks waits.
const MOST_AT_WORK: usize = 4;
/// What waits holds a connection each, so there are no more than these.
const MOST_CONNECTIONS: usize = 256;
const LATER: HeaderValue = HeaderValue::from_static("2");
/// No path of ours is longer.
const MAX_PATH_CHARS: usize = 512;

/// What makes pages. It may block, and is asked by several threads.
pub trait Pages: Send + Sync {
    /// The page at `path`, which begins with a slash and is as the client wrote it.
    fn page(&self, path: &str) -> Page;
}

/// An answer to GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// There it is.
    Found {
        /// Its Content-Type.
        kind: &'static str,
        /// Its Cache-Control.
        cache: &'static str,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// There is no such page.
    Missing,
    /// There may be, but it cannot be made now: a sentence for people.
    Away(String),
}

/// Pages alone, on a listener of their own.
pub struct PagesServer {
    /// What makes them.
    pub pages: Arc<dyn Pages>,
}

impl PagesServer {
    /// Serves until `stop` is set, and lets what is in flight be answered.
    pub fn serve(self, listener: TcpListener, stop: &Stop) -> Result<(), GatewayError> {
        let address: SocketAddr = listener.local_addr()?;
        let server = Server {
            router: router("", self.pages),
            tls: None,
            timeouts: Timeouts::default(),
            max_connections: MOST_CONNECTIONS,
            connections: IntGauge::new("connections", "Open connections")?,
        };
        let mut serving = Serving::begin(server, listener, 1)?;
        info!(%address, "pages are served");
        while !stop.wait(Duration::from_secs(3_600)) {}
        serving.drain();
        serving.end();
        Ok(())
    }
}

/// All that lies under `prefix`, which is empty or begins with a slash. GET and HEAD alone are answered.
pub(super) fn router(prefix: &'static str, pages: Arc<dyn Pages>) -> Router {
    let making = Arc::new(Making { prefix, pages, seats: Arc::new(Semaphore::new(MOST_AT_WORK)) });
    Router::new()
        .route(&format!("{prefix}/"), get(page))
        .route(&format!("{prefix}/{{*path}}"), get(page))
        .with_state(making)
}

struct Making {
    prefix: &'static str,
    pages: Arc<dyn Pages>,
    seats: Arc<Semaphore>,
}

async fn page(State(making): State<Arc<Making>>, request: Request) -> Response<Body> {
    let path = request.uri().path();
    let Some(path) = path.strip_prefix(making.prefix).filter(|path| path.len() <= MAX_PATH_CHARS) else {
        return answered(Page::Missing);
    };
    let path = path.to_owned();
    let Ok(seat) = making.seats.clone().acquire_owned().await else { return answered(Page::Missing) };
    let made = tokio::task::spawn_blocking(move || {
        // Held to the end, also when the client has gone.
        let _seat = seat;
        making.pages.page(&path)
    });
    answered(made.await.unwrap_or_else(|_| Page::Away("this page could not be made".to_owned())))
}

fn answered(page: Page) -> Response<Body> {
    match page {
        Page::Found { kind, cache, body } => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
            response
        }
        Page::Missing => refused(StatusCode::NOT_FOUND, "missing", "there is no such page"),
        Page::Away(why) => {
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "away", &why);
            response.headers_mut().insert(RETRY_AFTER, LATER);
            response
        }
    }
}

fn refused(status: StatusCode, reason: &'static str, detail: &str) -> Response<Body> {
    let mut response = answer::refused(&Refusal::new(status, reason, detail));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
