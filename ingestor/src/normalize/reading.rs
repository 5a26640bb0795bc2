//! One original being read: its members, which field has which, and what is left over.

use schemas::event::{Attribute, AttributeType, Party};

use super::members::{self, Kind, Member, Unread};
use super::text::{Ink, OutOfInk};
use crate::dialect::{Dialect, FIELDS, Field};
use crate::record::{Limits, Reason, Rejection};

/// What is filled anew for each event, in memory that is kept.
#[derive(Default)]
pub(super) struct Sheets<'a> {
    pub members: Vec<Member<'a>>,
    pub inner: Vec<Member<'a>>,
    pub targets: Vec<Party<'a>>,
    pub attributes: Vec<Attribute<'a>>,
    pub items: Vec<&'a str>,
    pub order: Vec<u32>,
}

impl Sheets<'_> {
    /// The same memory, empty, for another event.
    pub fn recycle<'b>(self) -> Sheets<'b> {
        Sheets {
            members: emptied(self.members),
            inner: emptied(self.inner),
            targets: emptied(self.targets),
            attributes: emptied(self.attributes),
            items: emptied(self.items),
            order: self.order,
        }
    }
}

/// A vector's memory for items that differ in their lifetime alone. (Collecting in place keeps the allocation.)
fn emptied<A, B>(mut from: Vec<A>) -> Vec<B> {
    from.clear();
    from.into_iter().filter_map(|_| None).collect()
}

/// The state of reading one original.
pub(super) struct Reading<'a> {
    pub dialect: &'static Dialect,
    pub limits: Limits,
    pub ink: Ink<'a>,
    pub sheets: Sheets<'a>,
    /// Which member has each field, and how far down the field's names it stands.
    best: [Option<(u8, usize)>; FIELDS],
    /// Something was there and could not be read as meant.
    pub unparsed: bool,
    /// Something was said twice.
    pub conflict: bool,
}

impl<'a> Reading<'a> {
    pub fn new(dialect: &'static Dialect, limits: Limits, ink: Ink<'a>, sheets: Sheets<'a>) -> Reading<'a> {
        Reading { dialect, limits, ink, sheets, best: [None; FIELDS], unparsed: false, conflict: false }
    }

    /// Reads the members, looks into the objects that the dialect looks into, and finds who has which field.
    pub fn open(&mut self, text: &'a str) -> Result<(), Unread> {
        members::read(text, "", &mut self.sheets.members, &mut self.ink, &self.limits)?;
        for at in 0..self.sheets.members.len() {
            let outer = self.sheets.members[at];
            if outer.kind() == Kind::Object && self.dialect.stem(outer.key).is_some() {
                self.look_into(at, outer)?;
            }
        }
        self.conflict |= members::any_twice(&self.sheets.members, &mut self.sheets.order);
        for (at, member) in self.sheets.members.iter().enumerate() {
            let meaning = match member.stem {
                _ if member.taken || member.kind() == Kind::Null => None,
                "" => self.dialect.fields.get(member.key),
                stem => self.dialect.stem(stem).and_then(|names| names.get(member.key)),
            };
            let Some(meaning) = meaning else { continue };
            let best = &mut self.best[meaning.field as usize];
            if best.is_none_or(|(rank, _)| meaning.rank < rank) {
                *best = Some((meaning.rank, at));
            }
        }
        Ok(())
    }

    /// Puts the members of an object beside those of the original, if any of them is known.
    fn look_into(&mut self, at: usize, outer: Member<'a>) -> Result<(), Unread> {
        let Some(names) = self.dialect.stem(outer.key) else { return Ok(()) };
        let start = self.sheets.members.len();
        members::read(outer.value, outer.key, &mut self.sheets.members, &mut self.ink, &self.limits)?;
        if self.sheets.members[start..].iter().any(|m| names.get(m.key).is_some()) {
            self.sheets.members[at].taken = true;
        } else {
            self.sheets.members.truncate(start);
        }
        Ok(())
    }

    /// The member that has a field.
    pub fn member(&self, field: Field) -> Option<(usize, Member<'a>)> {
        let (_, at) = self.best[field as usize]?;
        Some((at, self.sheets.members[at]))
    }

    /// Whether the field's value is a string, not a number.
    pub fn is_string(&self, field: Field) -> bool {
        self.member(field).is_some_and(|(_, member)| member.kind() == Kind::String)
    }

    /// What reads as a string: one, or a number as it stands.
    pub fn scalar(&mut self, value: &'a str) -> Result<Option<&'a str>, OutOfInk> {
        match members::kind(value) {
            Kind::String => self.string(value).map(Some),
            Kind::Number => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    fn string(&mut self, value: &'a str) -> Result<&'a str, OutOfInk> {
        let read = self.ink.text(value)?;
        self.unparsed |= !read.exact;
        Ok(read.text)
    }

    /// The text of a field that is text. What is something else stays an attribute, and the event is marked.
    pub fn text(&mut self, field: Field) -> Result<Option<&'a str>, OutOfInk> {
        self.parsed(field, |_, text| Some(text))
    }

    /// The field as `parse` understands its text (a boolean is `true` or `false`).
    pub fn parsed<T>(
        &mut self,
        field: Field,
        parse: impl FnOnce(&Self, &'a str) -> Option<T>,
    ) -> Result<Option<T>, OutOfInk> {
        let Some((at, member)) = self.member(field) else { return Ok(None) };
        let text = match member.kind() {
            Kind::Boolean if field == Field::Outcome => Some(member.value),
            _ => self.scalar(member.value)?,
        };
        let parsed = text.and_then(|text| parse(self, text));
        self.sheets.members[at].taken = parsed.is_some();
        self.unparsed |= parsed.is_none();
        Ok(parsed)
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, key: &'a str, value: &'a str) -> Result<(), Unread> {
        let (value, kind) = match members::kind(value) {
            Kind::String => (self.string(value)?, AttributeType::String),
            Kind::Number => (value, AttributeType::Number),
            Kind::Boolean => (value, AttributeType::Boolean),
            Kind::Null => (value, AttributeType::Null),
            Kind::Array => (value, AttributeType::Array),
            Kind::Object => (value, AttributeType::Object),
        };
        if self.sheets.attributes.len() >= self.limits.attributes {
            let detail =
                format!("more than {} members that have no field of their own", self.limits.attributes);
            return Err(Unread::Rejected(Rejection::new(Reason::TooMany, detail)));
        }
        self.sheets.attributes.push(Attribute { key, value, kind });
        Ok(())
    }

    /// Makes attributes of all members that no field has.
    pub fn keep_the_rest(&mut self) -> Result<(), Unread> {
        for at in 0..self.sheets.members.len() {
            let member = self.sheets.members[at];
            if member.taken {
                continue;
            }
            let key = match member.stem {
                "" => member.key,
                stem => self.ink.join(&[stem, ".", member.key])?,
            };
            self.attribute(key, member.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycled_sheets_keep_their_memory() {
        let mut sheets = Sheets::default();
        let text = String::from("borrowed");
        sheets.attributes.push(Attribute { key: &text, value: &text, kind: AttributeType::String });
        sheets.attributes.reserve(100);
        let (capacity, at) = (sheets.attributes.capacity(), sheets.attributes.as_ptr() as usize);
        let again: Sheets<'static> = sheets.recycle();
        assert_eq!((again.attributes.capacity(), again.attributes.as_ptr() as usize), (capacity, at));
    }
}
