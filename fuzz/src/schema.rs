//! A schema that the archive brings, and a datum under one. An input of the latter is the schema's JSON, a byte 0, which no
//! JSON holds, and the datum.

use schemas::avro::{Input, Shape, to_json};
use schemas::sealed::{unwrap_schema, wrapper_schema};

use crate::golden;

pub(crate) fn schema(bytes: &[u8]) -> bool {
    assert_eq!(
        unwrap_schema(&wrapper_schema(bytes)),
        Some(bytes),
        "a schema comes out of its wrapper as it went in"
    );
    if let Some(inside) = unwrap_schema(bytes) {
        assert_eq!(wrapper_schema(inside), bytes, "a wrapper has one spelling");
    }
    Shape::parse(bytes).is_ok()
}

/// Whether the schema and the datum are both taken.
pub(crate) fn datum(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (json, datum) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(shape) = Shape::parse(json) else { return false };
    let (mut skipped, mut shown) = (Input::new("datum", datum), Input::new("datum", datum));
    if shape.skip(&mut skipped).is_err() {
        return false;
    }
    match to_json(&shape, &mut shown) {
        Ok(_) => assert_eq!(skipped.at(), shown.at(), "both end in one place"),
        Err(error) => {
            assert!(error.what.contains("than is shown"), "what is canonical can be shown: {error}")
        }
    }
    skipped.end().is_ok()
}

const EVERY_TYPE: &[u8] = br#"{"type":"record","name":"R","namespace":"a.b","fields":[
    {"name":"z","type":["null","boolean"]},{"name":"i","type":"int"},{"name":"l","type":"long"},
    {"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"f","type":"float"},
    {"name":"d","type":"double"},{"name":"b","type":"bytes"},{"name":"s","type":"string"},
    {"name":"x","type":{"type":"fixed","name":"F","size":2}},{"name":"y","type":"F"},{"name":"w","type":"a.b.F"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"a","type":{"type":"array","items":["null","E",{"type":"array","items":"string"}]}}]}"#;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // Small here, and large in memory if each name is joined with it.
    let namespace = "n".repeat(18_000);
    let names = (0..300).map(|n| format!(r#"{{"type":"fixed","name":"F{n}","size":1}}"#)).collect::<Vec<_>>();
    let of_names = format!(
        r#"{{"type":"record","name":"R","namespace":"{namespace}","fields":[{{"name":"f","type":[{}]}}]}}"#,
        names.join(",")
    );
    vec![
        golden::EVENT_SCHEMA.to_vec(),
        golden::HEAD_SCHEMA.to_vec(),
        wrapper_schema(br#""string""#),
        EVERY_TYPE.to_vec(),
        of_names.into_bytes(),
    ]
}

pub(crate) fn datum_seeds() -> Vec<Vec<u8>> {
    let with = |json: &[u8], datum: &[u8]| [json, b"\x00", datum].concat();
    let datum =
        b"\x02\x01\x03\x04\x06\0\0\0\0\0\0\0\0\0\0\0\0\x02b\x02sxxyyww\x02\x06\0\x02\x02\x04\x02\x02s\0\0";
    // Small here, and large as JSON, which says the name again for each of 2,048.
    let long_name = "n".repeat(3_000);
    let named =
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"{long_name}","type":"boolean"}}]}}"#);
    let array = format!(r#"{{"type":"array","items":{named}}}"#);
    vec![
        with(golden::EVENT_SCHEMA, golden::EVENT),
        with(golden::HEAD_SCHEMA, golden::HEAD),
        with(EVERY_TYPE, datum),
        with(br#"{"type":"array","items":"long"}"#, b"\x04\x01\x02\0"),
        with(
            br#"["null",{"type":"record","name":"a","fields":[{"name":"b","type":"string"}]}]"#,
            b"\x02\x02s",
        ),
        with(array.as_bytes(), &[b"\x80\x20".as_slice(), &[1; 2_048], b"\0"].concat()),
    ]
}
