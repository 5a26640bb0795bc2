//! Actors and targets: a text, an object, for targets a list of either; and names that give one part alone.

use schemas::event::Party;

use super::members::{self, Kind, Unread};
use super::reading::Reading;
use crate::dialect::{Field, PartyPart};

impl<'a> Reading<'a> {
    /// The actor, or another field that holds one party.
    pub fn party(&mut self, field: Field) -> Result<Option<Party<'a>>, Unread> {
        let Some((at, member)) = self.member(field) else { return Ok(None) };
        let party = self.party_of(member.key, None, member.value)?;
        self.sheets.members[at].taken = party.is_some();
        self.unparsed |= party.is_none();
        Ok(party)
    }

    /// The party with what names of its parts say: `user_id` beside `user`. A text without an id is then a name.
    pub fn with_parts(
        &mut self,
        whole: Option<Party<'a>>,
        [id, kind, name]: [Field; 3],
    ) -> Result<Option<Party<'a>>, Unread> {
        if whole.is_none() && [id, kind, name].iter().all(|field| self.member(*field).is_none()) {
            return Ok(None);
        }
        // One that was sent empty is kept as it was sent.
        let was_sent = whole.is_some();
        let mut party = whole.unwrap_or_default();
        let nameless = party.kind.is_none() && party.name.is_none();
        if (party.id.is_empty() || nameless)
            && let Some(id) = self.text(id)?
        {
            party.name = party.name.or((!party.id.is_empty()).then_some(party.id));
            party.id = id;
        }
        if party.kind.is_none() {
            party.kind = self.text(kind)?;
        }
        if party.name.is_none() {
            party.name = self.text(name)?;
        }
        let found = was_sent || !party.id.is_empty() || party.kind.is_some() || party.name.is_some();
        Ok(found.then_some(party))
    }

    /// Fills the targets.
    pub fn targets(&mut self) -> Result<(), Unread> {
        if let Some((at, member)) = self.member(Field::Targets) {
            let attributes = self.sheets.attributes.len();
            let understood = match member.kind() {
                Kind::Array => self.list_of_targets(member.key, member.value)?,
                _ => self
                    .party_of(member.key, None, member.value)?
                    .map(|one| self.sheets.targets.push(one))
                    .is_some(),
            };
            if !understood {
                self.sheets.targets.clear();
                self.sheets.attributes.truncate(attributes);
            }
            self.sheets.members[at].taken = understood;
            self.unparsed |= !understood;
        }
        // Parts by name belong to one target; beside a list they would belong to none in particular.
        if self.sheets.targets.len() <= 1 {
            let whole = self.sheets.targets.pop();
            let parts = [Field::TargetId, Field::TargetType, Field::TargetName];
            let target = self.with_parts(whole, parts)?;
            self.sheets.targets.extend(target);
        }
        Ok(())
    }

    /// False if an item of the list is no party, or if there are more than an event holds.
    fn list_of_targets(&mut self, key: &'a str, list: &'a str) -> Result<bool, Unread> {
        let mut items = std::mem::take(&mut self.sheets.items);
        let mut understood = members::items(list, self.limits.attributes, &mut items);
        for (index, item) in items.iter().enumerate() {
            let party = if understood { self.party_of(key, Some(index), item)? } else { None };
            self.sheets.targets.extend(party);
            understood = party.is_some();
        }
        self.sheets.items = items;
        Ok(understood)
    }

    /// A party from a value that stands at `key`, or in the list there. What else an object says becomes attributes.
    fn party_of(
        &mut self,
        key: &'a str,
        index: Option<usize>,
        value: &'a str,
    ) -> Result<Option<Party<'a>>, Unread> {
        if members::kind(value) != Kind::Object {
            return Ok(self.scalar(value)?.map(|id| Party { id, ..Party::default() }));
        }
        let mut inner = std::mem::take(&mut self.sheets.inner);
        inner.clear();
        let party = self.party_from(key, index, value, &mut inner);
        self.sheets.inner = inner;
        party
    }

    fn party_from(
        &mut self,
        key: &'a str,
        index: Option<usize>,
        object: &'a str,
        inner: &mut Vec<members::Member<'a>>,
    ) -> Result<Option<Party<'a>>, Unread> {
        members::read(object, key, inner, &mut self.ink, &self.limits)?;
        self.conflict |= members::any_twice(inner, &mut self.sheets.order);
        let mut best: [Option<(u8, usize)>; 3] = [None; 3];
        for (at, member) in inner.iter().enumerate() {
            let Some(meaning) = self.dialect.party.get(member.key) else { continue };
            let best = &mut best[meaning.field as usize];
            let reads = matches!(member.kind(), Kind::String | Kind::Number);
            if reads && best.is_none_or(|(rank, _)| meaning.rank < rank) {
                *best = Some((meaning.rank, at));
            }
        }
        if best == [None; 3] {
            return Ok(None);
        }
        let mut part = |part: PartyPart| -> Result<Option<&'a str>, Unread> {
            let Some((_, at)) = best[part as usize] else { return Ok(None) };
            inner[at].taken = true;
            Ok(self.scalar(inner[at].value)?)
        };
        let id = part(PartyPart::Id)?.unwrap_or_default();
        let party = Party { id, kind: part(PartyPart::Type)?, name: part(PartyPart::Name)? };
        for member in inner.iter().filter(|m| !m.taken) {
            let path = match index {
                None => self.ink.join(&[key, ".", member.key])?,
                Some(index) => self.ink.join(&[key, "[", &index.to_string(), "].", member.key])?,
            };
            self.attribute(path, member.value)?;
        }
        Ok(Some(party))
    }
}
