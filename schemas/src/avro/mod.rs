//! The part of the Avro specification that Sealog's bytes are made of: writing and strict reading of primitives, and
//! datums walked by a schema that came with the archive.

mod input;
mod json;
mod output;
mod shape;

pub use input::Input;
pub use json::to_json;
pub use output::{put_array, put_bool, put_bytes, put_long, put_opt, put_str};
pub use shape::{Logical, MAX_SCHEMA_BYTES, Shape};
