//! A datum as JSON, for people and scripts: field names as in the schema, times as RFC 3339, bytes as text where
//! they are UTF-8 and as `{"base64": …}` where they are not.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::shape::choose;
use super::{Input, Logical, Shape};
use crate::{Malformed, Micros};

/// No datum that is shown has more values: a hostile schema could make gigabytes of JSON of a small one.
const MAX_VALUES: usize = 1 << 20;

/// Reads one datum.
pub fn to_json(shape: &Shape, input: &mut Input<'_>) -> Result<Value, Malformed> {
    let mut values_left = MAX_VALUES;
    value(shape, input, &mut values_left)
}

fn value(shape: &Shape, input: &mut Input<'_>, values_left: &mut usize) -> Result<Value, Malformed> {
    *values_left = values_left.checked_sub(1).ok_or_else(|| input.malformed("more values than are shown"))?;
    Ok(match shape {
        Shape::Null => Value::Null,
        Shape::Boolean => input.bool()?.into(),
        Shape::Int(_) => input.long()?.into(),
        Shape::Long(Logical::Plain) => input.long()?.into(),
        Shape::Long(Logical::TimestampMicros) => match input.long()? {
            at if (0..=Micros::MAX.0).contains(&at) => Micros(at).rfc3339().into(),
            at => at.into(),
        },
        Shape::Float => f64::from(f32::from_le_bytes(input.array()?)).into(),
        Shape::Double => f64::from_le_bytes(input.array()?).into(),
        Shape::Bytes => bytes(input.bytes()?),
        Shape::String => input.str()?.into(),
        Shape::Fixed(size) => crate::hex(input.take(*size)?).into(),
        Shape::Enum(symbols) => choose(input, symbols)?.as_str().into(),
        Shape::Array(item) => {
            let mut items = Vec::new();
            input.array_of(|input| {
                items.push(value(item, input, values_left)?);
                Ok(())
            })?;
            items.into()
        }
        Shape::Union(branches) => value(choose(input, branches)?, input, values_left)?,
        Shape::Record(fields) => {
            let mut record = Map::new();
            for (name, shape) in fields.iter() {
                record.insert(name.clone(), value(shape, input, values_left)?);
            }
            record.into()
        }
    })
}

fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => Map::from_iter([("base64".to_owned(), STANDARD.encode(bytes).into())]).into(),
    }
}
