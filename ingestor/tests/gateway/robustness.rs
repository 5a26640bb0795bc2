//! Whatever bytes come, the gateway answers, and it is never its own fault.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::client::connect;
use crate::site::{Gated, Site, site};

static SITE: LazyLock<(Site, Gated)> = LazyLock::new(site);

fn answered(content_type: &str, key: Option<&str>, body: &[u8]) -> u16 {
    let mut headers = vec![("content-type", content_type)];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    connect(SITE.0.address).ask("POST /v1/events", &headers, body).status
}

const TYPES: [&str; 3] = ["application/json", "application/x-ndjson", "text/plain"];

proptest! {
    #[test]
    fn any_bytes_as_a_body_are_answered(body: Vec<u8>, kind in 0..3usize, key in prop::option::of("[a-c]")) {
        prop_assert!(answered(TYPES[kind], key.as_deref(), &body) < 500);
    }

    #[test]
    fn anything_like_json_as_a_body_is_answered(
        body in r#"[{}\[\]",:\\ \na-c0-9eu.\-]{0,60}"#,
        kind in 0..2usize,
        key in prop::option::of("[a-c]"),
    ) {
        prop_assert!(answered(TYPES[kind], key.as_deref(), body.as_bytes()) < 500);
    }

    #[test]
    fn any_bytes_as_a_request_leave_the_gateway_well(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut client = connect(SITE.0.address);
        let _ = client.send(&bytes);
        let _ = client.send(b"\r\n\r\n");
        drop(client);
        prop_assert_eq!(connect(SITE.0.address).ask("GET /healthz", &[], b"").status, 200);
    }
}
