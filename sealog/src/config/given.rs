//! What was given, by file and by environment, and how a key is taken from it: each error names the key as it was
//! written and says what would be right.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use toml::Value;

use super::quantity::{duration_us, size_bytes};
use super::text::KEYS;

const PREFIX: &str = "SEALOG_";
const A_DAY_US: i64 = 86_400_000_000;
/// Environment names that are no keys.
const NOT_KEYS: [&str; 1] = ["SEALOG_LOG"];

/// Keys with their values and where each came from.
#[derive(Debug, Default)]
pub struct Given {
    file: String,
    values: BTreeMap<String, Value>,
    /// Keys that came by environment.
    by_environment: Vec<String>,
}

impl Given {
    /// The text of a file called `file`, with the environment laid over it.
    pub fn parse(file: &str, toml: &str, env: impl IntoIterator<Item = (String, String)>) -> Result<Given> {
        // The parser's own text shows the line, and that may hold a password.
        let table: toml::Table = toml.parse().map_err(|error: toml::de::Error| {
            let before = error.span().map_or("", |span| &toml[..span.start.min(toml.len())]);
            anyhow!("{file}, line {}: no TOML: {}", before.matches('\n').count() + 1, error.message())
        })?;
        let mut given = Given { file: file.to_owned(), ..Given::default() };
        given.flatten("", table);
        for (name, value) in env {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !NOT_KEYS.contains(&name.as_str())) else {
                continue;
            };
            if rest.starts_with("TEST_") {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| environment_name(key) == name) else {
                let near = nearest(&name, KEYS.iter().map(|key| environment_name(key)));
                bail!("{name} is set, but there is no such key{near}");
            };
            given.values.insert((*key).to_owned(), Value::String(value));
            given.by_environment.push((*key).to_owned());
        }
        Ok(given)
    }

    /// Sets a key as a flag of the command line does.
    pub fn set(&mut self, key: &str, value: String) {
        self.values.insert(key.to_owned(), Value::String(value));
    }

    /// The keys that have not been taken yet.
    #[cfg(test)]
    pub fn keys(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    /// Whether any key is left that begins like this.
    pub fn names(&self, prefix: &str) -> bool {
        self.first_of(prefix).is_some()
    }

    /// A key that is left and begins like this.
    pub fn first_of(&self, prefix: &str) -> Option<&str> {
        self.values.keys().map(String::as_str).find(|key| key.starts_with(prefix))
    }

    fn flatten(&mut self, prefix: &str, table: toml::Table) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(table) if key != "kafka.properties" => self.flatten(&key, table),
                value => drop(self.values.insert(key, value)),
            }
        }
    }

    /// Nothing may be left: a key that nobody asked for is a mistake.
    pub fn end(self) -> Result<()> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(key) => {
                let near = nearest(key, KEYS.iter().map(|k| (*k).to_owned()));
                Err(anyhow!("{}: there is no key {key}{near}", self.file))
            }
        }
    }

    /// The error for a value that is not right.
    pub fn wrong(&self, key: &str, value: &str, right: &str) -> anyhow::Error {
        match self.by_environment.iter().any(|k| k == key) {
            true => anyhow!("{}: {value:?} cannot be used: give {right}", environment_name(key)),
            false => anyhow!("{}: {key} = {value:?} cannot be used: give {right}", self.file),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        debug_assert!(KEYS.contains(&key), "{key} is not in the list of keys");
        self.values.remove(key)
    }

    /// A string.
    pub fn text(&mut self, key: &str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            // It may be a secret in the wrong form: only what it is, is said.
            Some(other) => Err(self.wrong(key, other.type_str(), "a text in quotes")),
        }
    }

    /// A path.
    pub fn path(&mut self, key: &str) -> Result<Option<PathBuf>> {
        Ok(self.text(key)?.map(PathBuf::from))
    }

    /// A whole number within `range`.
    pub fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64> {
        let Some(value) = self.take(key) else { return Ok(default) };
        let number = match &value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let right = format!("a whole number, {} to {}", range.start(), range.end());
        number.filter(|n| range.contains(n)).ok_or_else(|| self.wrong(key, &shown(&value), &right))
    }

    /// A size in bytes within `range`.
    pub fn size(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64> {
        let Some(value) = self.take(key) else { return Ok(default) };
        let size = match &value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => size_bytes(text),
            _ => None,
        };
        let (least, most) = (range.start() >> 20, range.end() >> 20);
        let right = format!("a size such as \"64MiB\", {least}MiB to {most}MiB");
        size.filter(|n| range.contains(n)).ok_or_else(|| self.wrong(key, &shown(&value), &right))
    }

    /// A duration, at least 10 ms and at most a day.
    pub fn duration_us(&mut self, key: &str, default_us: i64) -> Result<i64> {
        let right = "a duration such as \"60s\" or \"250ms\", 10ms to 24h";
        self.duration(key, right, |us| (10_000..=A_DAY_US).contains(&us)).map(|us| us.unwrap_or(default_us))
    }

    /// A duration as above, or `off`.
    pub fn duration_us_or_off(&mut self, key: &str, default_us: Option<i64>) -> Result<Option<i64>> {
        if self.values.get(key).and_then(Value::as_str) == Some("off") {
            self.take(key);
            return Ok(None);
        }
        let right = "a duration such as \"2s\", 10ms to 24h, or \"off\"";
        self.duration(key, right, |us| (10_000..=A_DAY_US).contains(&us)).map(|us| us.or(default_us))
    }

    /// A period of up to ten years, or none at all.
    pub fn period_us(&mut self, key: &str, default_us: i64) -> Result<i64> {
        let right = "a period such as \"24h\" or \"7d\", 0s to 3650d";
        self.duration(key, right, |us| (0..=3_650 * A_DAY_US).contains(&us))
            .map(|us| us.unwrap_or(default_us))
    }

    fn duration(&mut self, key: &str, right: &str, fits: impl Fn(i64) -> bool) -> Result<Option<i64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let time = value.as_str().and_then(duration_us).filter(|us| fits(*us));
        time.map(Some).ok_or_else(|| self.wrong(key, &shown(&value), right))
    }

    /// One of a few words.
    pub fn word(&mut self, key: &str, words: &[&'static str]) -> Result<&'static str> {
        let Some(text) = self.text(key)? else { return Ok(words[0]) };
        let found = words.iter().find(|word| **word == text);
        found.copied().ok_or_else(|| self.wrong(key, &text, &words.join(" or ")))
    }

    /// true or false.
    pub fn switch(&mut self, key: &str, default: bool) -> Result<bool> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::Boolean(value)) => Ok(value),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(other) => Err(self.wrong(key, &shown(&other), "true or false")),
        }
    }

    /// An address and a port.
    pub fn address(&mut self, key: &str, default: &str) -> Result<SocketAddr> {
        let text = self.text(key)?.unwrap_or_else(|| default.to_owned());
        text.parse().map_err(|_| self.wrong(key, &text, "an address and a port such as 127.0.0.1:7740"))
    }

    /// The same, if it was given.
    pub fn address_if_given(&mut self, key: &str) -> Result<Option<SocketAddr>> {
        if self.values.contains_key(key) { self.address(key, "").map(Some) } else { Ok(None) }
    }

    /// A list of texts; by environment separated by commas.
    pub fn list(&mut self, key: &str) -> Result<Vec<String>> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
            Some(Value::Array(items)) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
                texts.ok_or_else(|| self.wrong(key, "…", "a list of texts: [\"app.audit\"]"))
            }
            Some(other) => Err(self.wrong(key, &shown(&other), "a list of texts: [\"app.audit\"]")),
        }
    }

    /// A table of texts; by environment `name=value`, separated by commas.
    pub fn table(&mut self, key: &str) -> Result<BTreeMap<String, String>> {
        let right = "names and texts: { \"compression.type\" = \"zstd\" }";
        match self.take(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::String(text)) => text
                .split(',')
                .map(|pair| {
                    let (name, value) =
                        pair.split_once('=').ok_or_else(|| self.wrong(key, "…", "name=value,name=value"))?;
                    Ok((name.trim().to_owned(), value.to_owned()))
                })
                .collect(),
            Some(Value::Table(table)) => table
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(text) => Ok((name, text)),
                    Value::Integer(_) | Value::Boolean(_) | Value::Float(_) => Ok((name, value.to_string())),
                    _ => Err(self.wrong(key, &name, right)),
                })
                .collect(),
            // The value may hold a password: it is not repeated.
            Some(_) => Err(self.wrong(key, "…", right)),
        }
    }
}

/// `http.listen` is `SEALOG_HTTP_LISTEN`.
pub fn environment_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A hint at the name that was probably meant.
fn nearest(name: &str, names: impl Iterator<Item = String>) -> String {
    let best = names.map(|candidate| (distance(name, &candidate), candidate)).min();
    match best {
        Some((distance, candidate)) if distance <= 3 => format!(": did you mean {candidate}?"),
        _ => "; `sealog up --example` prints them all".to_owned(),
    }
}

/// How many letters must be changed, added or taken away.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
