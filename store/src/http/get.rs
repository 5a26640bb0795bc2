//! Reading an object, or a part of it.

use std::io::{self, Read};
use std::ops::Range;

use ureq::Body;
use ureq::http::{HeaderMap, HeaderName, Response, Version as HttpVersion, header};

use super::client::{Fault, Verb};
use super::{Http, date};
use crate::{Error, Kind, Object, Result, Tag, Version, key};

/// What is set aside before the bytes come. More is found as they do.
const MAX_ROOM_BYTES: u64 = 64 << 20;

impl Http {
    pub(super) fn read(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Object> {
        key::check(key)?;
        if version.is_some_and(|version| !version.0.is_empty()) {
            return Err(Error::new(
                Kind::Missing,
                key,
                "there is no such version: a web server keeps one only",
            ));
        }
        let Some(range) = range else {
            return self.client.ask(Verb::Get, key, None, |answer| whole(answer, None, max_bytes));
        };
        // No header can ask for nothing, nor begin where no file goes.
        if range.is_empty() || range.start > i64::MAX as u64 {
            return self.client.ask(Verb::Head, key, None, |answer| look(&answer));
        }
        let asked = match range.end > i64::MAX as u64 {
            true => format!("bytes={}-", range.start),
            false => format!("bytes={}-{}", range.start, range.end - 1),
        };
        let read =
            self.client.ask(Verb::Get, key, Some(&asked), |answer| match answer.status().as_u16() {
                206 => part(answer, range.clone(), max_bytes).map(Some),
                // Behind the end.
                416 => Ok(None),
                _ => whole(answer, Some(range.clone()), max_bytes).map(Some),
            })?;
        match read {
            Some(object) => Ok(object),
            None => self.client.ask(Verb::Head, key, None, |answer| look(&answer)),
        }
    }
}

/// What a server without ranges sends, or was asked for: of it those that were wanted.
fn whole(answer: Response<Body>, range: Option<Range<u64>>, max_bytes: u64) -> Result<Object, Fault> {
    let (head, body) = answer.into_parts();
    if head.status.as_u16() != 200 {
        return Err(Fault::Final(Kind::Refused, format!("the server answers {}", head.status)));
    }
    let Some(length) = length(&head.headers) else {
        let coding = text(&head.headers, header::TRANSFER_ENCODING).unwrap_or_default().to_ascii_lowercase();
        let is_chunked = head.version == HttpVersion::HTTP_11 && coding.contains("chunked");
        return match (is_chunked, range) {
            (true, None) => chunks(&head.headers, body, max_bytes),
            // How large it is shows at its end only, and that may never come.
            (true, Some(_)) => {
                refused("the server sends all of it instead of a part, and does not say how large it is")
            }
            // Such an answer ends when the connection does, which looks the same when it was cut.
            (false, _) => {
                refused("the server does not say where its answer ends: let it send a Content-Length")
            }
        };
    };
    let range = range.unwrap_or(0..u64::MAX);
    let (start, end) = (range.start.min(length), range.end.min(length));
    let wanted = end - start;
    if wanted > max_bytes {
        return Err(too_large(wanted, max_bytes));
    }
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let skipped = io::copy(&mut (&mut reader).take(start), &mut io::sink()).map_err(cut)?;
    let mut bytes = Vec::with_capacity(wanted.min(MAX_ROOM_BYTES) as usize);
    (&mut reader).take(wanted).read_to_end(&mut bytes).map_err(cut)?;
    if skipped + bytes.len() as u64 != end {
        return Err(Fault::Again("the answer was cut".to_owned()));
    }
    // Only when its end was seen is the connection good for the next one.
    if end == length {
        reader.read(&mut [0]).map_err(cut)?;
    }
    Ok(object(&head.headers, bytes, length))
}

/// An object whose size shows at its end, which is marked. Of one that is larger than `max_bytes` no more is read.
fn chunks(headers: &HeaderMap, body: Body, max_bytes: u64) -> Result<Object, Fault> {
    let reader = body.into_with_config().limit(u64::MAX).reader();
    let mut bytes = Vec::new();
    reader.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(cut)?;
    let size_bytes = bytes.len() as u64;
    match size_bytes > max_bytes {
        true => Err(too_large(size_bytes, max_bytes)),
        false => Ok(object(headers, bytes, size_bytes)),
    }
}

/// A part, as it was asked for.
fn part(answer: Response<Body>, range: Range<u64>, max_bytes: u64) -> Result<Object, Fault> {
    let (head, body) = answer.into_parts();
    let said = text(&head.headers, header::CONTENT_RANGE).unwrap_or_default();
    let other = || Fault::Final(Kind::Refused, format!("the server sends {said:?} of what was asked for"));
    let (first, size_bytes) = content_range(said).ok_or_else(other)?;
    let end = range.end.min(size_bytes);
    if first != range.start || end < first {
        return Err(other());
    }
    let wanted = end - first;
    if wanted > max_bytes {
        return Err(too_large(wanted, max_bytes));
    }
    let mut bytes = Vec::with_capacity(wanted.min(MAX_ROOM_BYTES) as usize);
    let read = body.into_with_config().limit(u64::MAX).reader().take(wanted + 1).read_to_end(&mut bytes);
    read.map_err(cut)?;
    match bytes.len() as u64 == wanted {
        true => Ok(object(&head.headers, bytes, size_bytes)),
        false => Err(Fault::Again(format!("{} bytes came instead of {wanted}", bytes.len()))),
    }
}

/// What is known of an object, without its bytes.
fn look(answer: &Response<Body>) -> Result<Object, Fault> {
    let headers = answer.headers();
    match (answer.status().as_u16(), length(headers)) {
        (200, Some(length)) => Ok(object(headers, Vec::new(), length)),
        _ => Err(Fault::Final(Kind::Refused, "the server does not say how large it is".to_owned())),
    }
}

fn object(headers: &HeaderMap, bytes: Vec<u8>, size_bytes: u64) -> Object {
    let modified = text(headers, header::LAST_MODIFIED).unwrap_or_default();
    let tag = text(headers, header::ETAG).map_or_else(|| format!("{modified} {size_bytes}"), str::to_owned);
    let modified = date::parse(modified).unwrap_or_default();
    Object {
        bytes,
        size_bytes,
        version: Version::default(),
        tag: Tag(tag),
        modified,
        lock: None,
        is_held: false,
        encrypted_otherwise: None,
    }
}

fn refused(what: &str) -> Result<Object, Fault> {
    Err(Fault::Final(Kind::Refused, what.to_owned()))
}

fn cut(error: io::Error) -> Fault {
    Fault::Again(format!("the answer was cut: {error}"))
}

fn too_large(coming: u64, max_bytes: u64) -> Fault {
    let what = format!("it is too large: {coming} bytes would come, {max_bytes} are taken at most");
    Fault::Final(Kind::TooLarge, what)
}

/// None too where it is overridden: chunks end where they say it.
fn length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The 2 and the 10 of `bytes 2-5/10`.
fn content_range(said: &str) -> Option<(u64, u64)> {
    let (range, size) = said.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}
