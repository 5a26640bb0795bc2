//! A request's body into items: one object, an array, or a line each.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How a body holds its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json`: one item, or an array of them.
    Json,
    /// `application/x-ndjson`: an item a line.
    Lines,
}

/// Why a body has no items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSplit {
    /// The body as a whole is not what it says it is.
    Malformed(String),
    /// It holds more items than a request may.
    TooMany,
}

impl BodyKind {
    /// What a Content-Type says; parameters do not matter.
    pub fn of(content_type: &str) -> Option<BodyKind> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("application/json") {
            return Some(BodyKind::Json);
        }
        let lines =
            ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];
        lines.iter().any(|name| is(name)).then_some(BodyKind::Lines)
    }
}

/// The items of a body, each exactly as it stands there: a whole body, an array's item, a line without its end. Lines
/// of nothing but white space are none. Whether an item can be read shows later, but an array must be JSON as a whole.
pub fn split(kind: BodyKind, body: &[u8], most: usize) -> Result<Vec<&[u8]>, NotSplit> {
    let mut items = Vec::new();
    match kind {
        BodyKind::Lines => {
            let mut at = 0;
            for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
                let line = &body[at..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                at = end + 1;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                if items.len() == most {
                    return Err(NotSplit::TooMany);
                }
                items.push(line);
            }
        }
        BodyKind::Json if body.trim_ascii_start().starts_with(b"[") => {
            let text = std::str::from_utf8(body)
                .map_err(|e| NotSplit::Malformed(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
            let mut json = serde_json::Deserializer::from_str(text);
            let read = json.deserialize_seq(Items { into: &mut items, most }).and_then(|()| json.end());
            if let Err(error) = read {
                let too_many = items.len() > most;
                return Err(if too_many {
                    NotSplit::TooMany
                } else {
                    NotSplit::Malformed(format!("not JSON: {error}"))
                });
            }
        }
        BodyKind::Json => {
            // One item: what is not JSON at all is a broken request rather than a broken event.
            serde_json::from_slice::<&RawValue>(body)
                .map_err(|error| NotSplit::Malformed(format!("not JSON: {error}")))?;
            items.push(body);
        }
    }
    if items.is_empty() {
        return Err(NotSplit::Malformed("there is no event in the body".to_owned()));
    }
    Ok(items)
}

struct Items<'v, 'a> {
    into: &'v mut Vec<&'a [u8]>,
    most: usize,
}

impl<'a> Visitor<'a> for Items<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut array: S) -> Result<(), S::Error> {
        while let Some(item) = array.next_element::<&RawValue>()? {
            self.into.push(item.get().as_bytes());
            if self.into.len() > self.most {
                return Err(S::Error::custom("too many items"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(kind: BodyKind, body: &str) -> Result<Vec<&str>, NotSplit> {
        Ok(split(kind, body.as_bytes(), 3)?.into_iter().map(|i| std::str::from_utf8(i).unwrap()).collect())
    }

    #[test]
    fn items_are_what_stands_in_the_body() {
        assert_eq!(texts(BodyKind::Json, " {\"a\": 1}\n"), Ok(vec![" {\"a\": 1}\n"]));
        assert_eq!(texts(BodyKind::Json, "[ {\"a\": 1} ,2 ]"), Ok(vec!["{\"a\": 1}", "2"]));
        assert_eq!(texts(BodyKind::Lines, "{}\r\n\n  \n broken\n{}"), Ok(vec!["{}", " broken", "{}"]));
    }

    #[test]
    fn a_body_without_items_or_with_too_many_is_refused() {
        for (kind, body) in [
            (BodyKind::Json, ""),
            (BodyKind::Json, "[]"),
            (BodyKind::Lines, "\n \n"),
            (BodyKind::Json, "[1,"),
            (BodyKind::Json, "{} {}"),
            (BodyKind::Json, "[1] 2"),
        ] {
            assert!(matches!(texts(kind, body), Err(NotSplit::Malformed(_))), "{body:?}");
        }
        assert!(texts(BodyKind::Json, "[1,2,3]").is_ok() && texts(BodyKind::Lines, "1\n2\n3\n").is_ok());
        assert_eq!(texts(BodyKind::Json, "[1,2,3,4]"), Err(NotSplit::TooMany));
        assert_eq!(texts(BodyKind::Lines, "1\n2\n3\n4"), Err(NotSplit::TooMany));
        assert!(split(BodyKind::Json, b"[\"\xff\"]", 3).is_err());
    }

    #[test]
    fn media_types_are_read_without_their_parameters() {
        assert_eq!(BodyKind::of("Application/JSON; charset=utf-8"), Some(BodyKind::Json));
        assert_eq!(BodyKind::of("application/x-ndjson"), Some(BodyKind::Lines));
        assert_eq!(BodyKind::of("application/jsonl"), Some(BodyKind::Lines));
        assert_eq!((BodyKind::of("text/plain"), BodyKind::of("")), (None, None));
    }
}
