//! A datum as JSON, for people and scripts: field names as in the schema, times as RFC 3339, bytes as text where
//! they are UTF-8 and as `{"base64": …}` where they are not.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::shape::choose;
use super::{Input, Logical, Shape};
use crate::{Malformed, Micros};

/// No datum is shown that needs more room than this, nor than so much for each of its bytes: a hostile schema could make
/// gigabytes of JSON of a small one, by many values or by long names.
const MAX_SHOWN_BYTES: usize = 64 << 20;
const SHOWN_BYTES: usize = 1 << 20;
const SHOWN_BYTES_A_BYTE: usize = 256;
/// About what a value takes by itself.
const VALUE_BYTES: usize = 64;

/// Reads one datum.
pub fn to_json(shape: &Shape, input: &mut Input<'_>) -> Result<Value, Malformed> {
    let datum_bytes = input.rest().len();
    let mut room_left = MAX_SHOWN_BYTES.min(SHOWN_BYTES + SHOWN_BYTES_A_BYTE.saturating_mul(datum_bytes));
    value(shape, input, &mut room_left)
}

fn take_room(room_left: &mut usize, bytes: usize, input: &Input<'_>) -> Result<(), Malformed> {
    *room_left = room_left.checked_sub(bytes).ok_or_else(|| input.malformed("more than is shown"))?;
    Ok(())
}

fn value(shape: &Shape, input: &mut Input<'_>, room_left: &mut usize) -> Result<Value, Malformed> {
    take_room(room_left, VALUE_BYTES, input)?;
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
        Shape::Enum(symbols) => {
            let symbol = choose(input, symbols)?;
            take_room(room_left, symbol.len(), input)?;
            symbol.as_str().into()
        }
        Shape::Array(item) => {
            let mut items = Vec::new();
            input.array_of(|input| {
                items.push(value(item, input, room_left)?);
                Ok(())
            })?;
            items.into()
        }
        Shape::Union(branches) => value(choose(input, branches)?, input, room_left)?,
        Shape::Record(fields) => {
            let mut record = Map::new();
            for (name, shape) in fields.iter() {
                take_room(room_left, name.len(), input)?;
                record.insert(name.clone(), value(shape, input, room_left)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_small_datum_shows_is_bounded_however_long_the_names_are() {
        let long = "n".repeat(1 << 19);
        let field =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"{long}","type":"boolean"}}]}}"#);
        let symbol = format!(r#"{{"type":"enum","name":"E","symbols":["{long}"]}}"#);
        for item in [field, symbol] {
            let shape = Shape::parse(format!(r#"{{"type":"array","items":{item}}}"#).as_bytes()).unwrap();
            let shown = |items: i64| {
                let mut datum = Vec::new();
                crate::avro::put_long(&mut datum, items);
                datum.resize(datum.len() + items as usize + 1, 0);
                shape.skip(&mut Input::new("datum", &datum)).unwrap();
                to_json(&shape, &mut Input::new("datum", &datum))
            };
            assert_eq!(shown(1).unwrap().as_array().map(Vec::len), Some(1));
            assert!(shown(1_000).is_err(), "half a gigabyte of a kilobyte");
        }
    }
}
