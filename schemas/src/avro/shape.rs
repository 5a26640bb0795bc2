//! A schema as a tree, parsed from its JSON. With it a reader walks datums of schemas that it was not built with.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Input;
use crate::Malformed;

/// What a datum looks like. Recursive schemas are refused.
#[derive(Clone, Debug)]
pub enum Shape {
    /// No bytes.
    Null,
    /// One byte.
    Boolean,
    /// 32 bits.
    Int(Logical),
    /// 64 bits.
    Long(Logical),
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// A length and bytes.
    Bytes,
    /// A length and UTF-8.
    String,
    /// So many bytes.
    Fixed(usize),
    /// One of these.
    Enum(Arc<[String]>),
    /// Any number of these.
    Array(Arc<Shape>),
    /// One of these, behind its number.
    Union(Arc<[Shape]>),
    /// Each of these in turn.
    Record(Arc<[(String, Shape)]>),
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// A number.
    Plain,
    /// A time in microseconds since 1970.
    TimestampMicros,
}

const FORMAT: &str = "Avro schema";
/// No schema is larger.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;
const MAX_NODES: usize = 4_096;
const MAX_DEPTH: usize = 32;

impl Shape {
    /// Reads a schema's JSON.
    pub fn parse(json: &[u8]) -> Result<Shape, Malformed> {
        if json.len() > MAX_SCHEMA_BYTES {
            return Err(Malformed::new(FORMAT, 0, "larger than 1 MiB"));
        }
        let value: Value =
            serde_json::from_slice(json).map_err(|e| Malformed::new(FORMAT, 0, format!("not JSON: {e}")))?;
        let shape = Parser { named: HashMap::new(), nodes: 0 }.shape(&value, "", 0)?;
        let mut nodes_left = MAX_NODES;
        match shape.fits(0, &mut nodes_left) {
            true => Ok(shape),
            false => Err(bad("its named types unfold to more than any datum needs")),
        }
    }

    /// Whether it stays within the bounds where each use of a named type counts in full: a few names that use each
    /// other twice would otherwise make a datum of no bytes take for ever.
    fn fits(&self, depth: usize, nodes_left: &mut usize) -> bool {
        if depth > MAX_DEPTH || *nodes_left == 0 {
            return false;
        }
        *nodes_left -= 1;
        match self {
            Shape::Array(item) => item.fits(depth + 1, nodes_left),
            Shape::Union(branches) => branches.iter().all(|shape| shape.fits(depth + 1, nodes_left)),
            Shape::Record(fields) => fields.iter().all(|(_, shape)| shape.fits(depth + 1, nodes_left)),
            _ => true,
        }
    }

    /// Passes over one datum, and refuses any spelling but the canonical one.
    pub fn skip(&self, input: &mut Input<'_>) -> Result<(), Malformed> {
        match self {
            Shape::Null => Ok(()),
            Shape::Boolean => input.bool().map(drop),
            Shape::Int(_) => match i32::try_from(input.long()?) {
                Ok(_) => Ok(()),
                Err(_) => Err(input.malformed("an int is over 32 bits")),
            },
            Shape::Long(_) => input.long().map(drop),
            Shape::Float => input.take(4).map(drop),
            Shape::Double => input.take(8).map(drop),
            Shape::Bytes => input.bytes().map(drop),
            Shape::String => input.str().map(drop),
            Shape::Fixed(size) => input.take(*size).map(drop),
            Shape::Enum(symbols) => choose(input, symbols).map(drop),
            Shape::Array(item) => input.array_of(|input| item.skip(input)),
            Shape::Union(branches) => choose(input, branches)?.skip(input),
            Shape::Record(fields) => fields.iter().try_for_each(|(_, shape)| shape.skip(input)),
        }
    }
}

/// Refuses what takes no bytes: a small datum could hold any number of it. Null has its place in unions only.
fn holds_bytes(shape: Shape) -> Result<Shape, Malformed> {
    let is_empty = match &shape {
        Shape::Null | Shape::Fixed(0) => true,
        Shape::Record(fields) => fields.is_empty(),
        _ => false,
    };
    if is_empty { Err(bad("a field or item that takes no bytes")) } else { Ok(shape) }
}

/// The branch or symbol whose number comes next.
pub(super) fn choose<'s, T>(input: &mut Input<'_>, from: &'s [T]) -> Result<&'s T, Malformed> {
    let index = input.count()?;
    usize::try_from(index)
        .ok()
        .and_then(|i| from.get(i))
        .ok_or_else(|| input.malformed("no such branch or symbol"))
}

struct Parser<'v> {
    named: HashMap<FullName<'v>, Shape>,
    nodes: usize,
}

/// Namespace and name as they stand in the JSON: to join them would copy a long namespace for each name in it.
type FullName<'v> = (Option<&'v str>, &'v str);

impl<'v> Parser<'v> {
    fn shape(&mut self, value: &'v Value, namespace: &'v str, depth: usize) -> Result<Shape, Malformed> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(bad("too large or too deep"));
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let shapes = branches.iter().map(|b| self.shape(b, namespace, depth + 1));
                Ok(Shape::Union(shapes.collect::<Result<_, _>>()?))
            }
            Value::Object(_) => self.complex(value, namespace, depth),
            _ => Err(bad("a type is neither name, object nor union")),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<Shape, Malformed> {
        Ok(match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "int" => Shape::Int(Logical::Plain),
            "long" => Shape::Long(Logical::Plain),
            "float" => Shape::Float,
            "double" => Shape::Double,
            "bytes" => Shape::Bytes,
            "string" => Shape::String,
            other => {
                let found = self.named.get(&full_name(other, namespace)).cloned();
                found.ok_or_else(|| bad(format!("type {other} is not defined")))?
            }
        })
    }

    fn complex(&mut self, value: &'v Value, namespace: &'v str, depth: usize) -> Result<Shape, Malformed> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let list =
            |key: &str| value.get(key).and_then(Value::as_array).ok_or_else(|| bad(format!("no {key}")));
        let Some(kind) = text("type") else {
            return self.shape(value.get("type").ok_or_else(|| bad("no type"))?, namespace, depth + 1);
        };
        let namespace = text("namespace").unwrap_or(namespace);
        let shape = match kind {
            "array" => {
                let items = value.get("items").ok_or_else(|| bad("an array has no items"))?;
                let item = holds_bytes(self.shape(items, namespace, depth + 1)?)?;
                return Ok(Shape::Array(Arc::new(item)));
            }
            "long" if text("logicalType") == Some("timestamp-micros") => {
                return Ok(Shape::Long(Logical::TimestampMicros));
            }
            "record" => {
                let mut fields = Vec::new();
                for field in list("fields")? {
                    let name = field
                        .get("name")
                        .and_then(Value::as_str)
                        .ok_or_else(|| bad("a field has no name"))?;
                    let of = field.get("type").ok_or_else(|| bad("a field has no type"))?;
                    let shape = holds_bytes(self.shape(of, namespace, depth + 1)?)?;
                    fields.push((name.to_owned(), shape));
                }
                Shape::Record(fields.into())
            }
            "enum" => {
                let symbols = list("symbols")?.iter().map(|s| s.as_str().map(str::to_owned));
                Shape::Enum(symbols.collect::<Option<_>>().ok_or_else(|| bad("a symbol is no string"))?)
            }
            "fixed" => {
                let size = value.get("size").and_then(Value::as_u64).filter(|s| *s <= 1 << 20);
                Shape::Fixed(size.ok_or_else(|| bad("a fixed has no size"))? as usize)
            }
            "map" => return Err(bad("maps have no canonical order and are not used")),
            primitive => return self.named(primitive, namespace),
        };
        let name = text("name").ok_or_else(|| bad(format!("a {kind} has no name")))?;
        match self.named.insert(full_name(name, namespace), shape.clone()) {
            None => Ok(shape),
            Some(_) => Err(bad(format!("type {name} is defined twice"))),
        }
    }
}

fn full_name<'v>(name: &'v str, namespace: &'v str) -> FullName<'v> {
    match name.rsplit_once('.') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (Some(namespace).filter(|namespace| !namespace.is_empty()), name),
    }
}

fn bad(what: impl Into<String>) -> Malformed {
    Malformed::new(FORMAT, 0, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a1 … a<levels>, each of two of the one before; a0 has one field.
    fn doubling(levels: usize) -> String {
        let mut fields =
            r#"{"name":"f","type":{"type":"record","name":"a0","fields":[{"name":"n","type":"boolean"}]}}"#
                .to_owned();
        for level in 1..=levels {
            let below = level - 1;
            fields += &format!(
                r#",{{"name":"f{level}","type":{{"type":"record","name":"a{level}","fields":[{{"name":"x","type":"a{below}"}},{{"name":"y","type":"a{below}"}}]}}}}"#
            );
        }
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    #[test]
    fn names_that_unfold_without_end_are_refused() {
        assert!(Shape::parse(doubling(5).as_bytes()).is_ok());
        assert!(Shape::parse(doubling(25).as_bytes()).is_err());
        assert!(Shape::parse(doubling(900).as_bytes()).is_err(), "without using up the stack");
    }

    #[test]
    fn what_takes_no_bytes_is_refused_outside_of_a_union() {
        for nothing in [
            r#""null""#,
            r#"{"type":"fixed","name":"F","size":0}"#,
            r#"{"type":"record","name":"E","fields":[]}"#,
        ] {
            let array = format!(r#"{{"type":"array","items":{nothing}}}"#);
            let record =
                format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{nothing}}}]}}"#);
            assert!(
                Shape::parse(array.as_bytes()).is_err() && Shape::parse(record.as_bytes()).is_err(),
                "{nothing}"
            );
        }
        assert!(Shape::parse(br#"["null","string"]"#).is_ok());
    }

    #[test]
    fn a_name_means_one_thing() {
        let fixed = |name: &str, size: u8| format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#);
        assert!(Shape::parse(format!("[{},{}]", fixed("A", 1), fixed("B", 2)).as_bytes()).is_ok());
        assert!(Shape::parse(format!("[{},{}]", fixed("A", 1), fixed("A", 2)).as_bytes()).is_err());
        let in_a_b = |name: &str, used: &str| {
            let field = format!(r#"{{"name":"f","type":{}}},{{"name":"g","type":"{used}"}}"#, fixed(name, 1));
            let record = format!(r#"{{"type":"record","name":"R","namespace":"a.b","fields":[{field}]}}"#);
            Shape::parse(record.as_bytes()).is_ok()
        };
        assert!(in_a_b("F", "F") && in_a_b("F", "a.b.F") && in_a_b("a.b.F", "F") && in_a_b("c.F", "c.F"));
        assert!(!in_a_b("F", "b.F") && !in_a_b("c.F", "F") && !in_a_b("F", ".F") && !in_a_b(".F", "F"));
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let nested = |depth: usize| {
            format!("{}\"long\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth))
        };
        assert!(Shape::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(Shape::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(Shape::parse(nested(20_000).as_bytes()).is_err());
        assert!(Shape::parse("[".repeat(200_000).as_bytes()).is_err());
    }
}
