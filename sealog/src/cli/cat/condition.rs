//! `--where`: a condition on the fields of an event.

use std::str::FromStr;

use schemas::avro::Shape;
use schemas::event::event_shape;
use serde_json::Value;

/// `field=value`, `field!=value` or `field~glob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    path: Vec<String>,
    test: Test,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    Unequal,
    Glob,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        let none = || "not a condition: field=value, field!=value or field~glob".to_owned();
        let at = text.find(['=', '~', '!']).ok_or_else(none)?;
        let (field, rest) = text.split_at(at);
        let (test, value) = if let Some(value) = rest.strip_prefix("!=") {
            (Test::Unequal, value)
        } else if let Some(value) = rest.strip_prefix('=') {
            (Test::Equal, value)
        } else {
            (Test::Glob, rest.strip_prefix('~').ok_or_else(none)?)
        };
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        let fields = fields();
        if !fields.contains(&path[0].as_str()) {
            return Err(format!("events have no field `{}`; they have {}", path[0], fields.join(", ")));
        }
        Ok(Condition { path, test, value: value.to_owned() })
    }
}

/// The fields of an event.
fn fields() -> Vec<&'static str> {
    match event_shape() {
        Shape::Record(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
        _ => Vec::new(),
    }
}

impl Condition {
    /// Whether it holds for this event. A field that is not there is equal to nothing.
    pub fn holds(&self, event: &Value) -> bool {
        let value = self.value.as_str();
        match self.test {
            Test::Equal => any(event, &self.path, &|found| found == value),
            Test::Unequal => !any(event, &self.path, &|found| found == value),
            Test::Glob => any(event, &self.path, &|found| matches(value, found)),
        }
    }
}

/// Whether anything at `path` passes the test. Of a list each member is tried; a party stands for its id.
fn any(value: &Value, path: &[String], test: &dyn Fn(&str) -> bool) -> bool {
    match (value, path) {
        (Value::Array(items), _) => {
            items.iter().any(|item| any(item, path, test) || any_named(item, path, test))
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            fields.get(first).is_some_and(|value| any(value, rest, test))
        }
        (Value::Object(fields), []) => fields.get("id").is_some_and(|id| any(id, path, test)),
        (_, [_, ..]) | (Value::Null, []) => false,
        (Value::String(text), []) => test(text),
        (other, []) => test(&other.to_string()),
    }
}

/// The value of a `{key, value}` pair whose key is all of the path: keys of attributes may hold dots themselves.
fn any_named(item: &Value, path: &[String], test: &dyn Fn(&str) -> bool) -> bool {
    let is_named = item["key"].as_str().is_some_and(|key| !path.is_empty() && key == path.join("."));
    is_named && any(&item["value"], &[], test)
}

/// Whether all of `text` fits the glob: `*` for any run of characters, `?` for one.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where to go on if the last star must take one character more.
    let mut retry = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                retry = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (g, t) = (g + 1, t + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (g, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_reach_into_the_event() {
        let event = json!({
            "action": "user.login",
            "actor": {"id": "alice", "type": "user", "name": null},
            "targets": [{"id": "door-1"}, {"id": "door-2", "type": "door"}],
            "reason": null,
            "source_seq": 7,
            "attributes": [
                {"key": "http.status", "value": "403", "type": "number"},
                {"key": "region", "value": "eu", "type": "string"}
            ],
            "marks": ["skewed", "conflict"],
        });
        for (text, holds) in [
            ("action=user.login", true),
            ("action=user", false),
            ("action~user.*", true),
            ("action!=user.login", false),
            ("actor=alice", true),
            ("actor.id=alice", true),
            ("actor.name=alice", false),
            ("targets=door-2", true),
            ("targets.type=door", true),
            ("targets!=door-2", false),
            ("targets~door-?", true),
            ("reason=", false),
            ("reason!=x", true),
            ("source_seq=7", true),
            ("attributes.http.status=403", true),
            ("attributes.region!=us", true),
            ("attributes.region~e*u*", true),
            ("attributes.nothing=eu", false),
            ("marks=conflict", true),
            ("tenant=x", false),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().holds(&event), holds, "{text}");
        }
    }

    #[test]
    fn a_condition_says_what_is_wrong_with_it() {
        assert_eq!("action=a=b~c".parse::<Condition>().unwrap().value, "a=b~c");
        assert!("action".parse::<Condition>().is_err() && "action!x".parse::<Condition>().is_err());
        assert!("user=alice".parse::<Condition>().unwrap_err().contains("actor"));
    }

    #[test]
    fn a_glob_fits_the_whole_text() {
        for (glob, text, fits) in [
            ("*", "", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b", "ab c", false),
            ("?", "é", true),
            ("", "a", false),
            ("**a", "bba", true),
        ] {
            assert_eq!(matches(glob, text), fits, "{glob} {text}");
        }
    }
}
