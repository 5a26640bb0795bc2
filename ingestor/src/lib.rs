//! The ingestor: reads what services send, over HTTP and from Kafka, as AuditEvents on `audit.events`, and sets aside
//! what cannot be read.
//!
//! * `dialect`, `normalize`, `rejected`, `take`, `ids`: the pure core, from a RawRecord to what is written
//! * `split`: a request's body into items
//! * `gateway`: the source HTTP
//! * `raw`: the source Kafka, from its raw topics

pub mod bench;
mod dialect;
pub mod gateway;
mod ids;
mod metrics;
mod normalize;
mod raw;
mod record;
mod rejected;
mod split;
mod take;

pub use ids::{FreshIds, UUID_CHARS, keyed_id, position_id, route};
pub use metrics::Metrics;
pub use normalize::{ANONYMOUS, CONFLICT, Normalizer, SKEWED, UNPARSED};
pub use raw::{GROUP, Ingestor};
pub use record::{FallbackId, Limits, MAX_ID_BYTES, RawRecord, Reason, Rejection};
pub use rejected::CHUNK_BYTES;
pub use split::{BodyKind, NotSplit, split};
pub use take::Lanes;
