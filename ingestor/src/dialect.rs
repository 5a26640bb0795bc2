//! Dialects: which name in an original carries which field of the AuditEvent. The mapping is data, in dialects/.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemas::event::Outcome;
use serde::Deserialize;

static JSON_1: LazyLock<Dialect> = LazyLock::new(|| {
    Dialect::parse(include_str!("../dialects/json-1.toml"))
        .expect("the dialect that is compiled in parses: a test reads it")
});

/// A field of the AuditEvent, or a part of one, that an original may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Field {
    Id,
    Source,
    SourceSeq,
    Action,
    Category,
    OccurredAt,
    Actor,
    ActorId,
    ActorType,
    ActorName,
    OnBehalfOf,
    SourceAddress,
    Targets,
    TargetId,
    TargetType,
    TargetName,
    Outcome,
    Reason,
    Service,
    Host,
    Region,
    Deployment,
    Image,
    Tenant,
    TraceId,
    TraceParent,
    Producer,
}

/// How many fields there are.
pub(crate) const FIELDS: usize = Field::Producer as usize + 1;

/// A part of an actor or a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartyPart {
    Id,
    Type,
    Name,
}

/// What a name means: the field, and how far down its list of names it stands (0 is believed first).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning<F> {
    pub field: F,
    pub rank: u8,
}

/// One mapping.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Its name and version, as events give it.
    pub name: String,
    pub fields: Names<Field>,
    pub party: Names<PartyPart>,
    /// What comes before the dot of a name with a dot, and the names behind it.
    stems: Vec<(String, Names<Field>)>,
    words: Vec<(String, Outcome)>,
}

/// Names by their length: a key of an event is compared with few of them, or with none.
#[derive(Debug)]
pub(crate) struct Names<F>(Vec<Vec<(String, Meaning<F>)>>);

impl<F: Copy> Names<F> {
    fn new() -> Names<F> {
        Names(Vec::new())
    }

    /// False if the name is there already.
    fn add(&mut self, name: &str, meaning: Meaning<F>) -> bool {
        if self.0.len() <= name.len() {
            self.0.resize_with(name.len() + 1, Vec::new);
        }
        let fresh = self.get(name).is_none();
        self.0[name.len()].push((name.to_owned(), meaning));
        fresh
    }

    /// What the name means.
    pub fn get(&self, name: &str) -> Option<Meaning<F>> {
        let same_length = self.0.get(name.len())?;
        same_length.iter().find(|(known, _)| same(known, name)).map(|(_, meaning)| *meaning)
    }
}

/// Whether two texts of one length are the same. Most differ in their first byte: that is cheaper to see than to call.
#[inline]
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().first() == b.as_bytes().first() && a == b
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    fields: BTreeMap<Field, Vec<String>>,
    party: BTreeMap<PartyPart, Vec<String>>,
    outcome: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    success: Vec<String>,
    failure: Vec<String>,
    denied: Vec<String>,
}

impl Dialect {
    /// The dialect for events that follow no standard.
    pub fn json_1() -> &'static Dialect {
        &JSON_1
    }

    fn parse(text: &str) -> Result<Dialect, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut dialect = Dialect {
            name: file.name,
            fields: Names::new(),
            party: Names::new(),
            stems: Vec::new(),
            words: Vec::new(),
        };
        for (field, names) in &file.fields {
            for (rank, name) in names.iter().enumerate() {
                let meaning = Meaning { field: *field, rank: rank as u8 };
                if !dialect.fields.add(name, meaning) || !dialect.add_under_stem(name, meaning) {
                    return Err(format!("{name} carries two fields"));
                }
            }
        }
        for (part, names) in &file.party {
            for (rank, name) in names.iter().enumerate() {
                if !dialect.party.add(name, Meaning { field: *part, rank: rank as u8 }) {
                    return Err(format!("{name} is two parts of a party"));
                }
            }
        }
        let words = [
            (file.outcome.success, Outcome::Success),
            (file.outcome.failure, Outcome::Failure),
            (file.outcome.denied, Outcome::Denied),
        ];
        for (words, outcome) in words {
            dialect.words.extend(words.into_iter().map(|word| (word, outcome)));
        }
        Ok(dialect)
    }

    fn add_under_stem(&mut self, name: &str, meaning: Meaning<Field>) -> bool {
        let Some((stem, rest)) = name.split_once('.') else { return true };
        match self.stems.iter_mut().find(|(known, _)| known == stem) {
            Some((_, names)) => names.add(rest, meaning),
            None => {
                let mut names = Names::new();
                let fresh = names.add(rest, meaning);
                self.stems.push((stem.to_owned(), names));
                fresh
            }
        }
    }

    /// The names that the dialect knows inside an object of that name, if it looks into it at all.
    pub fn stem(&self, name: &str) -> Option<&Names<Field>> {
        self.stems.iter().find(|(stem, _)| stem == name).map(|(_, names)| names)
    }

    /// What a word says about how it ended.
    pub fn outcome(&self, word: &str) -> Option<Outcome> {
        self.words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, outcome)| *outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_that_is_compiled_in_knows_its_names() {
        let dialect = Dialect::json_1();
        assert_eq!(dialect.name, "json/1");
        let named = |name| dialect.fields.get(name).map(|m| (m.field, m.rank));
        assert_eq!(named("action"), Some((Field::Action, 0)));
        assert_eq!(named("event_id"), Some((Field::Id, 1)));
        assert_eq!(named("client.ip").map(|m| m.0), Some(Field::SourceAddress));
        assert_eq!(named("nothing"), None);
        assert_eq!(dialect.stem("client").unwrap().get("ip").unwrap().field, Field::SourceAddress);
        assert!(dialect.stem("payload").is_none());
        assert_eq!(dialect.outcome("DENIED"), Some(Outcome::Denied));
        assert_eq!(dialect.party.get("email").unwrap().field, PartyPart::Id);
    }

    #[test]
    fn a_name_that_carries_two_fields_is_refused() {
        let twice = include_str!("../dialects/json-1.toml").replace("\"image\"", "\"region\"");
        assert_eq!(Dialect::parse(&twice).unwrap_err(), "region carries two fields");
    }
}
