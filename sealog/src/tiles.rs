//! An archive's chains as transparency logs over HTTP: what `sealog serve-tlog` and `sealog up` show.

use std::sync::Arc;

use ingestor::gateway::{Page, Pages};
use runtime::SystemClock;
use store::Store;
use tlog::view::{Answer, Views};
use tracing::warn;

/// The files of all chains, each below its origin. They are only read.
pub struct TlogPages {
    views: Views,
}

impl TlogPages {
    /// Of the chains that `find_origins` finds in `store`.
    pub fn new(
        store: Arc<dyn Store>,
        find_origins: impl Fn() -> store::Result<Vec<String>> + Send + Sync + 'static,
    ) -> Arc<TlogPages> {
        Arc::new(TlogPages { views: Views::new(store, find_origins) })
    }
}

impl Pages for TlogPages {
    fn page(&self, path: &str) -> Page {
        match self.views.answer(path, &SystemClock) {
            Ok(Some(Answer { body, is_text, is_immutable })) => Page::Found {
                kind: if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" },
                cache: if is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" },
                body,
            },
            Ok(None) => Page::Missing,
            Err(error) => {
                warn!(path, "not served: {error}");
                Page::Away(match error {
                    // It tells of disks and servers, which are nobody's business out there.
                    tlog::Error::Unread(_) => "the archive cannot be read now: try again later".to_owned(),
                    other => other.to_string(),
                })
            }
        }
    }
}
