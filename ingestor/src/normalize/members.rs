//! The members of one JSON object: keys as text, values as they stand. The grammar is serde_json's.

use std::fmt;

use memchr::memchr2;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::text::{Ink, OutOfInk};
use crate::dialect::same;
use crate::record::{Limits, Reason, Rejection};

/// One member of the original, or of an object in it that the dialect looks into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// The name of the object that it is in; empty for the original itself.
    pub stem: &'a str,
    pub key: &'a str,
    /// The value's JSON text.
    pub value: &'a str,
    /// Whether a field of the event has it. What has none becomes an attribute.
    pub taken: bool,
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Boolean,
    Null,
    Array,
    Object,
}

impl Member<'_> {
    pub fn kind(&self) -> Kind {
        kind(self.value)
    }
}

/// What a value is.
pub(super) fn kind(value: &str) -> Kind {
    match value.as_bytes().first() {
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') => Kind::Null,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        _ => Kind::Number,
    }
}

/// Why members could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    Rejected(Rejection),
    OutOfInk,
}

impl From<OutOfInk> for Unread {
    fn from(_: OutOfInk) -> Unread {
        Unread::OutOfInk
    }
}

/// Adds the members of the object that `text` is, which must be all of it.
pub(super) fn read<'a>(
    text: &'a str,
    stem: &'a str,
    into: &mut Vec<Member<'a>>,
    ink: &mut Ink<'a>,
    limits: &Limits,
) -> Result<(), Unread> {
    // No more members than could become attributes, with some room for those that have fields.
    let most = into.len() + limits.attributes + crate::dialect::FIELDS;
    let start = into.len();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Members { stem, into: &mut *into, most }).and_then(|()| json.end());
    if let Err(error) = read {
        return Err(Unread::Rejected(why_not(text, &error, into.len() > most)));
    }
    for member in &mut into[start..] {
        member.key = ink.text(member.key)?.text;
        if matches!(member.kind(), Kind::Array | Kind::Object) && deeper_than(member.value, limits.depth - 1)
        {
            let detail = format!("nested deeper than {} objects and arrays", limits.depth);
            return Err(Unread::Rejected(Rejection::new(Reason::TooDeep, detail)));
        }
    }
    Ok(())
}

/// What is wrong with a text that is no object. The parser's error says where, and shows nothing of the text.
fn why_not(text: &str, error: &serde_json::Error, too_many: bool) -> Rejection {
    if too_many {
        return Rejection::new(Reason::TooMany, "more members than an event can hold");
    }
    let starts_as_object = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) if !starts_as_object => {
            Rejection::new(Reason::NotAnObject, "JSON, but no object: an event is {…}")
        }
        Ok(_) => Rejection::new(Reason::NotJson, format!("not JSON: {error}")),
        Err(error) => Rejection::new(Reason::NotJson, format!("not JSON: {error}")),
    }
}

struct Members<'v, 'a> {
    stem: &'a str,
    into: &'v mut Vec<Member<'a>>,
    most: usize,
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            self.into.push(Member { stem: self.stem, key: key.get(), value: value.get(), taken: false });
            if self.into.len() > self.most {
                return Err(M::Error::custom("too many members"));
            }
        }
        Ok(())
    }
}

/// The items of a list, in `into`. False if there are more than `most`, or it is none.
pub(super) fn items<'a>(list: &'a str, most: usize, into: &mut Vec<&'a str>) -> bool {
    into.clear();
    serde_json::Deserializer::from_str(list).deserialize_seq(Items { into, most }).is_ok()
}

struct Items<'v, 'a> {
    into: &'v mut Vec<&'a str>,
    most: usize,
}

impl<'a> Visitor<'a> for Items<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(item) = list.next_element::<&RawValue>()? {
            if self.into.len() == self.most {
                return Err(S::Error::custom("too many items"));
            }
            self.into.push(item.get());
        }
        Ok(())
    }
}

/// Whether valid JSON is nested deeper than so many objects and arrays.
pub(super) fn deeper_than(json: &str, most: usize) -> bool {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    false
}

/// Where the string that opens at `at` closes.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// Below this many, each is compared with each: no memory, and hardly ever more than a length is looked at.
const FEW: usize = 32;

/// Whether two members have the same name in the same object.
pub(super) fn any_twice(members: &[Member<'_>], order: &mut Vec<u32>) -> bool {
    let same =
        |a: &Member<'_>, b: &Member<'_>| a.key.len() == b.key.len() && same(a.key, b.key) && a.stem == b.stem;
    if members.len() <= FEW {
        return members.iter().enumerate().any(|(i, a)| members[i + 1..].iter().any(|b| same(a, b)));
    }
    let at = |i: &u32| &members[*i as usize];
    order.clear();
    order.extend(0..members.len() as u32);
    order.sort_unstable_by_key(|i| (at(i).key, at(i).stem));
    order.windows(2).any(|pair| same(at(&pair[0]), at(&pair[1])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Result<Vec<String>, Unread> {
        let (mut into, mut memory) = (Vec::new(), vec![0; text.len()]);
        read(text, "", &mut into, &mut Ink::new(&mut memory), &Limits::default())?;
        Ok(into.iter().map(|m| m.key.to_owned()).collect())
    }

    #[test]
    fn keys_are_text_and_values_stay_as_they_are() {
        assert_eq!(keys(r#" {"a" : 1, "\u0062\n": [ ]} "#).unwrap(), ["a", "b\n"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let reason = |text: &str| match keys(text) {
            Err(Unread::Rejected(rejection)) => Some(rejection.reason),
            _ => None,
        };
        for text in ["", "{", "{} {}", "{'a':1}", "[1,", "{\"a\":01}", "\u{feff}{}", "{\"a\":\"\\x\"}"] {
            assert_eq!(reason(text), Some(Reason::NotJson), "{text}");
        }
        for text in ["[]", "1", "null", " \"a\" "] {
            assert_eq!(reason(text), Some(Reason::NotAnObject), "{text}");
        }
    }

    #[test]
    fn depth_counts_the_object_itself() {
        let nested = |n: usize| format!(r#"{{"a":{}"]}}\"{{["{}}}"#, "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(keys(&nested(64)).is_ok());
        let Err(Unread::Rejected(rejection)) = keys(&nested(65)) else { panic!("taken") };
        assert_eq!(rejection.reason, Reason::TooDeep);
    }

    #[test]
    fn a_name_that_stands_twice_is_found_however_many_there_are() {
        let twice = |n: usize, last: &str| {
            let mut keys: Vec<String> = (0..n).map(|i| format!("k{i}")).collect();
            keys.push(last.to_owned());
            let members: Vec<_> =
                keys.iter().map(|key| Member { stem: "", key, value: "1", taken: false }).collect();
            any_twice(&members, &mut Vec::new())
        };
        for n in [3, FEW, 500] {
            assert!(twice(n, "k1") && !twice(n, "other"));
        }
    }

    proptest! {
        #[test]
        fn what_is_an_object_to_serde_json_is_one_here(text in "[{}\\[\\]\",:\\\\a1\\- u]{0,24}") {
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            match theirs {
                Ok(_) => prop_assert!(keys(&text).is_ok()),
                // A lone surrogate is the one thing that is taken here and not there.
                Err(_) => prop_assert!(keys(&text).is_err() || text.contains("\\u")),
            }
        }
    }
}
