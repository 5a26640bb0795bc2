//! What a request's query asks for: `?wait=sealed`, `?wait=archived&seconds=60`.

use std::time::Duration;

use axum::http::StatusCode;

use super::prepare::Prepared;
use super::refusal::Refusal;

/// How long is waited where the request does not say.
const WAIT: Duration = Duration::from_secs(30);
const MAX_WAIT_S: u64 = 300;
/// Items of a request that waits to be sealed.
const MAX_ITEMS: usize = 1_000;
/// Items, and their bytes, of one that is answered with proofs: each holds its event.
const MAX_PROVED: (usize, usize) = (100, 4 << 20);
/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    Sealed,
    Archived,
}

/// What a request waits for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub point: Point,
    pub time: Duration,
}

impl Wait {
    /// What the query asks for. None: the answer comes when the events are durable.
    pub fn parse(query: Option<&str>) -> Result<Option<Wait>, Refusal> {
        let bad = |detail: &str| Refusal::new(StatusCode::BAD_REQUEST, "bad_query", detail);
        let (mut point, mut time) = (None, None);
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|part| part.split_once('=')) {
            match name {
                "wait" => {
                    point = Some(match value {
                        "sealed" => Point::Sealed,
                        "archived" => Point::Archived,
                        _ => return Err(bad("wait is sealed or archived")),
                    });
                }
                "seconds" => {
                    let seconds = value.parse().ok().filter(|s| (1..=MAX_WAIT_S).contains(s));
                    let seconds = seconds.ok_or_else(|| bad("seconds is a number from 1 to 300"))?;
                    time = Some(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
        match (point, time) {
            (None, Some(_)) => Err(bad("seconds is how long to wait: say with wait for what")),
            (point, time) => Ok(point.map(|point| Wait { point, time: time.unwrap_or(WAIT) })),
        }
    }

    /// Whether so many items may wait together.
    pub fn check(self, prepared: &Prepared) -> Result<(), Refusal> {
        let (items, bytes) = match self.point {
            Point::Sealed => (MAX_ITEMS, usize::MAX),
            Point::Archived => MAX_PROVED,
        };
        let refuse = |reason, detail| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason, detail);
        if prepared.items.len() > items {
            let detail = format!("a request that waits may hold {items} events: send them in several");
            return Err(refuse("too_many", detail));
        }
        if prepared.original_bytes > bytes {
            let detail = format!("events that wait for proofs may have {bytes} bytes: send them in several");
            return Err(refuse("too_large", detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Option<Wait>, &'static str> {
        Wait::parse(Some(query)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_query_says_what_is_waited_for_and_how_long() {
        let wait = |point, seconds| Ok(Some(Wait { point, time: Duration::from_secs(seconds) }));
        assert_eq!(parse("wait=sealed"), wait(Point::Sealed, 30));
        assert_eq!(parse("seconds=300&wait=archived&other=x"), wait(Point::Archived, 300));
        assert_eq!((parse(""), parse("other=x"), Wait::parse(None).ok()), (Ok(None), Ok(None), Some(None)));
    }

    #[test]
    fn a_query_that_cannot_be_meant_is_refused() {
        for query in [
            "wait=",
            "wait=durable",
            "wait=sealed&seconds=0",
            "wait=sealed&seconds=301",
            "seconds=5",
            "wait=sealed&seconds=1.5",
        ] {
            assert_eq!(parse(query), Err("bad_query"), "{query}");
        }
    }
}
