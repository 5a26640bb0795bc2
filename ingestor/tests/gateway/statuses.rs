//! What the gateway answers, item by item and as a whole.

use ingestor::gateway::Tokens;
use serde_json::json;
use stream::topics;

use crate::client::{connect, post, post_json, post_lines};
use crate::site::{events, records, site, site_with};

const TOKEN: &str = "a-token-of-billing";

#[test]
fn one_object_is_one_event() {
    let (site, stream) = site();
    let answer = post_json(site.address, r#"{"action":"user.login","actor":"alice"}"#);
    assert_eq!((answer.status, answer.statuses()), (202, vec!["durable".to_owned()]));
    let events = events(&stream, 0);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["id"], answer.ids()[0]);
    assert_eq!((&events[0]["action"], &events[0]["producer"]), (&json!("user.login"), &json!("anonymous")));
    assert_eq!(events[0]["received_from"]["transport"], "http");
    assert!(events[0]["received_from"]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn answers_come_in_the_order_of_the_items() {
    let (site, stream) = site();
    let array: Vec<_> = (0..50).map(|n| json!({"id": format!("e{n}"), "n": n})).collect();
    let ids: Vec<_> = (0..50).map(|n| format!("e{n}")).collect();
    let answer = post_json(site.address, &serde_json::to_string(&array).unwrap());
    assert_eq!((answer.status, answer.ids()), (202, ids.clone()));
    let lines: String = array.iter().map(|event| format!("{event}\r\n\n")).collect();
    assert_eq!(post_lines(site.address, &lines).ids(), ids);
    let written: Vec<_> = events(&stream, 0).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(written, [ids.clone(), ids].concat());
}

#[test]
fn what_can_be_taken_is_taken_and_the_rest_is_on_the_chain_as_rejected() {
    let (site, stream) = site();
    let answer = post_lines(site.address, "{\"a\":1}\n{broken\n[1]\n{\"b\":2}\n");
    assert_eq!(answer.status, 207);
    assert_eq!(answer.statuses(), ["durable", "rejected", "rejected", "durable"]);
    let results = &answer.json()["results"];
    assert_eq!((&results[1]["reason"], &results[2]["reason"]), (&json!("not_json"), &json!("not_an_object")));
    assert!(results[1]["error"].as_str().unwrap().contains("line 1 column 2"), "{results}");

    let events = events(&stream, 0);
    let ids: Vec<_> = events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, answer.ids());
    assert_eq!((&events[1]["action"], &events[1]["producer"]), (&json!("sealog.rejected"), &json!("sealog")));
    assert_eq!(
        (&events[1]["claimed_producer"], &events[1]["original"]["bytes"]),
        (&json!("anonymous"), &json!("{broken"))
    );
    let queue = records(&stream, &topics::rejected(0));
    assert_eq!(queue.iter().map(|r| r.value.unwrap()).collect::<Vec<_>>(), [&b"{broken"[..], b"[1]"]);
    assert_eq!(site.metric(r#"sealog_ingestor_rejected_total{reason="not_json",source="http"}"#), 1.0);
    assert_eq!(site.metric(r#"sealog_ingestor_received_total{source="http"}"#), 4.0);
    assert_eq!(site.metric("sealog_gateway_waiting_bytes"), 0.0);
}

#[test]
fn when_none_can_be_taken_the_answer_is_422() {
    let (site, stream) = site();
    for (body, reason) in
        [("[1,2]", "not_an_object"), ("\"text\"", "not_an_object"), ("[[]]", "not_an_object")]
    {
        let answer = post_json(site.address, body);
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["results"][0]["reason"], reason);
    }
    assert_eq!(events(&stream, 0).len(), 4);
}

#[test]
fn a_body_that_is_not_json_is_a_bad_request_and_leaves_nothing() {
    let (site, stream) = site();
    for body in ["", " ", "{", "[{},", "[]", "{} {}", "nothing"] {
        let answer = post_json(site.address, body);
        assert_eq!((answer.status, answer.reason()), (400, "malformed".to_owned()), "{body:?}");
    }
    assert_eq!(post_lines(site.address, "\n\n").status, 400);
    assert_eq!(post(site.address, "application/json", &[], b"[\"\xff\"]").status, 400);
    assert_eq!(events(&stream, 0).len(), 0);
}

#[test]
fn other_media_types_and_encodings_are_not_understood() {
    let (site, _) = site();
    for content_type in ["text/plain", "application/xml", ""] {
        assert_eq!(post(site.address, content_type, &[], b"{}").status, 415);
    }
    assert_eq!(post(site.address, "application/json", &[("content-encoding", "gzip")], b"{}").status, 415);
    assert_eq!(
        post(site.address, "application/json", &[("content-encoding", "identity")], b"{}").status,
        202
    );
    assert_eq!(post(site.address, "Application/JSON; charset=utf-8", &[], b"{}").status, 202);
    assert_eq!(post(site.address, "application/jsonl", &[], b"{}").status, 202);
}

#[test]
fn only_a_known_token_may_send_and_names_the_producer() {
    let tokens = Tokens::parse(&format!("{TOKEN} billing\n")).unwrap();
    let (site, stream) = site_with(|config| config.tokens = Some(tokens));
    let with = |authorization: &[(&str, &str)]| {
        post(site.address, "application/json", authorization, b"{\"producer\":\"iam\"}")
    };
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a-token-of-billin",
        "Bearer a-token-of-billing2",
        "Basic a-token-of-billing",
    ] {
        let answer = with(&[("authorization", wrong)]);
        assert_eq!((answer.status, answer.reason()), (401, "unauthorized".to_owned()), "{wrong:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"sealog\""));
        assert!(!String::from_utf8_lossy(&answer.body).contains("a-token"));
    }
    assert_eq!(with(&[]).status, 401);
    let right = ("authorization", "bearer a-token-of-billing");
    assert_eq!(with(&[right, right]).status, 401);
    assert_eq!(with(&[right]).status, 202);
    let events = events(&stream, 0);
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["producer"], &events[0]["claimed_producer"]), (&json!("billing"), &json!("iam")));
    assert_eq!(events[0]["marks"], json!(["conflict"]));
}

#[test]
fn a_producers_events_go_to_its_chain() {
    let tokens: String = (0..8).map(|n| format!("a-token-of-producer-{n} p{n}\n")).collect();
    let (site, stream) = site_with(|config| {
        config.chains = 3;
        config.tokens = Some(Tokens::parse(&tokens).unwrap());
    });
    for n in 0..8 {
        let token = format!("Bearer a-token-of-producer-{n}");
        assert_eq!(
            post(site.address, "application/json", &[("authorization", &token)], b"[{},1]").status,
            207
        );
    }
    for chain in 0..3 {
        let events = events(&stream, chain);
        let of = |e: &serde_json::Value| {
            e["claimed_producer"].as_str().or(e["producer"].as_str()).unwrap().to_owned()
        };
        assert!(!events.is_empty() && events.iter().all(|e| ingestor::route(&of(e), 3) == chain));
        assert_eq!(records(&stream, &topics::rejected(chain)).len() * 2, events.len());
    }
}

#[test]
fn other_paths_and_methods_are_refused_and_the_connection_goes_on() {
    let (site, _) = site();
    let mut client = connect(site.address);
    assert_eq!(client.ask("GET /v1/events", &[], b"").status, 405);
    assert_eq!(client.ask("GET /nothing", &[], b"").status, 404);
    assert_eq!(client.ask("GET /healthz", &[], b"").json(), json!({"status": "ok"}));
    let metrics = client.ask("GET /metrics", &[], b"");
    assert!(String::from_utf8(metrics.body).unwrap().contains("sealog_gateway_connections 1"));
    assert_eq!(client.ask("GET /v1/openapi", &[], b"").json()["openapi"], "3.1.0");
}
