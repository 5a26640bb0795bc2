//! Listing the newest version of each key. Which version it is, a server does not say here.

use std::borrow::Cow;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

use super::attempt::within;
use super::{S3, whole_seconds};
use crate::{Entry, Error, Kind, Page, Result, Version};

/// What one answer holds at most.
pub(super) const MAX_ENTRIES: usize = 1_000;

impl S3 {
    pub(super) fn list_newest(&self, prefix: &str, after: &str, limit: usize) -> Result<Page> {
        let Some(span) = Span::new(&self.prefix, prefix, after) else { return Ok(Page::default()) };
        let mut page = Page::default();
        let mut token: Option<String> = None;
        loop {
            let wanted = (limit - page.entries.len()).min(MAX_ENTRIES);
            let answer = self.ask(0, |time| {
                let request = self.client.list_objects_v2().bucket(&self.options.bucket).prefix(&span.prefix);
                let request = request.max_keys(wanted as i32).encoding_type(EncodingType::Url);
                let request =
                    request.set_start_after(span.after.clone()).set_continuation_token(token.clone());
                within(time, request.send())
            });
            let answer = answer.map_err(|fault| fault.of_no_object().into_error(prefix, "listing"))?;
            self.take_newest(&span, &answer, &mut page)?;
            if answer.is_truncated() != Some(true) {
                return Ok(page);
            }
            if page.entries.len() >= limit {
                page.more = true;
                return Ok(page);
            }
            let next = answer.next_continuation_token().map(str::to_owned);
            if next.is_none() || next == token {
                return Err(span.broken("it promises more and does not say where"));
            }
            token = next;
        }
    }

    fn take_newest(&self, span: &Span, answer: &ListObjectsV2Output, page: &mut Page) -> Result<()> {
        for object in answer.contents() {
            let Some(key) = span.key(object.key(), answer.encoding_type())? else { continue };
            match page.entries.last() {
                // At the end of one answer and the beginning of the next.
                Some(last) if last.key == key => continue,
                Some(last) if last.key > key => return Err(span.broken("its keys are out of order")),
                _ => {}
            }
            page.entries.push(Entry {
                key,
                size_bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                version: Version::default(),
                newest: true,
                delete_marker: false,
                modified: object.last_modified().map(whole_seconds).unwrap_or_default(),
            });
        }
        Ok(())
    }
}

/// What is to be listed, in the bucket's terms.
pub(super) struct Span<'a> {
    /// What stands before each key of the archive.
    root: &'a str,
    /// What the server is asked for.
    pub(super) prefix: String,
    /// What the listed keys begin with. It may be longer.
    wanted: String,
    /// What they come after. None: all of them do.
    pub(super) after: Option<String>,
}

impl<'a> Span<'a> {
    /// None if no key can begin with `prefix` and come after `after`.
    pub(super) fn new(root: &'a str, prefix: &str, after: &str) -> Option<Span<'a>> {
        if after > prefix && !after.starts_with(prefix) {
            return None;
        }
        let after = (after >= prefix && !after.is_empty()).then(|| format!("{root}{after}"));
        let wanted = format!("{root}{prefix}");
        // MinIO refuses what looks like a way out of the bucket, though a name can begin so.
        let asked = match wanted.rsplit_once('/') {
            Some((folder, "." | "..")) => format!("{folder}/"),
            None if wanted == "." || wanted == ".." => String::new(),
            _ => wanted.clone(),
        };
        Some(Span { root, prefix: asked, wanted, after })
    }

    /// A listed key as it is in the bucket.
    pub(super) fn full_key<'t>(
        &self,
        listed: &'t str,
        encoding: Option<&EncodingType>,
    ) -> Result<Cow<'t, str>> {
        match encoding {
            Some(EncodingType::Url) => decoded(listed).ok_or_else(|| self.broken("a key is not UTF-8")),
            _ => Ok(Cow::Borrowed(listed)),
        }
    }

    /// A listed key as one of the archive. None if it is not wanted: versitygw begins a list of versions with the key
    /// that it was to begin after.
    pub(super) fn key(
        &self,
        listed: Option<&str>,
        encoding: Option<&EncodingType>,
    ) -> Result<Option<String>> {
        let full = self.full_key(listed.ok_or_else(|| self.broken("an entry has no key"))?, encoding)?;
        let is_after = self.after.as_ref().is_none_or(|after| full.as_ref() > after.as_str());
        match full.strip_prefix(self.root) {
            Some(key) if full.starts_with(&self.prefix) => {
                Ok((is_after && full.starts_with(&self.wanted)).then(|| key.to_owned()))
            }
            _ => Err(self.broken("it holds a key that was not asked for")),
        }
    }

    /// An answer that breaks S3's own rules is no answer.
    pub(super) fn broken(&self, why: &str) -> Error {
        Error::new(Kind::Refused, &self.wanted, format!("the server's list cannot be right: {why}"))
    }
}

/// A key from its form in a URL, which a list uses because XML cannot hold every key. None if it is not UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(bytes).ok().map(Cow::Owned),
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest
            }
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

fn digit(hex: u8) -> u8 {
    char::from(hex).to_digit(16).unwrap_or_default() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_back_from_its_form_in_a_url() {
        for (text, key) in [
            ("a/date=2026-11-21/1.avro", "a/date=2026-11-21/1.avro"),
            ("date%3D1/%C3%A9+%2B%25", "date=1/é +%"),
            ("a%", "a%"),
            ("a%2", "a%2"),
            ("a%zz", "a%zz"),
            ("%01%0a", "\u{1}\n"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(key), "{text}");
        }
        assert_eq!(decoded("%ff"), None);
    }

    #[test]
    fn a_span_says_what_no_key_can_be_in() {
        let span = |prefix, after| Span::new("root/", prefix, after).map(|span| (span.prefix, span.after));
        let some = |prefix: &str, after: Option<&str>| Some((prefix.to_owned(), after.map(str::to_owned)));
        assert_eq!(span("", ""), some("root/", None));
        assert_eq!(span("a/", ""), some("root/a/", None));
        assert_eq!(span("a/", "A"), some("root/a/", None));
        assert_eq!(span("a/", "a/1"), some("root/a/", Some("root/a/1")));
        assert_eq!(span("", "a"), some("root/", Some("root/a")));
        assert_eq!(span("a/", "b"), None);
        assert_eq!(span("a/1", "a/2"), None);
        assert_eq!(span("a/..", ""), some("root/a/", None));
        assert_eq!(Span::new("", "..", "").unwrap().prefix, "");
    }

    #[test]
    fn a_key_that_was_not_asked_for_is_no_answer() {
        let span = Span::new("root/", "a/", "a/5").unwrap();
        assert_eq!(span.key(Some("root/a/6"), None).unwrap().as_deref(), Some("a/6"));
        assert_eq!(span.key(Some("root/a/5"), None).unwrap(), None);
        for bad in [None, Some("root/b"), Some("a/6")] {
            assert_eq!(span.key(bad, None).unwrap_err().kind(), Kind::Refused, "{bad:?}");
        }
    }
}
