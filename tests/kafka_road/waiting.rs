//! `?wait=sealed` on several chains at once: each is followed by a reader that is kept from one request to the next.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::Up;
use crate::harness::wait_for;

const CHAINS: u32 = 4;
const ROUNDS: u32 = 10;
/// A round takes the time of a commit, and more on a busy machine.
const SOON: Duration = Duration::from_secs(20);
const MADE: &str = "making a reader";

/// A producer for each chain.
fn producers() -> Vec<String> {
    let of =
        |chain| (0..).map(|n| format!("service-{n}")).find(|name| ingestor::route(name, CHAINS) == chain);
    (0..CHAINS).filter_map(of).collect()
}

/// An event of each producer at once; each is answered where it stands.
fn all_are_told(up: &Up, producers: &[String], seconds: u64) {
    thread::scope(|scope| {
        let asking = producers.iter().map(|name| scope.spawn(move || post_waiting(&up.url, name, seconds)));
        let asking: Vec<_> = asking.collect();
        for (chain, asked) in asking.into_iter().enumerate() {
            let (status, answer) = asked.join().unwrap();
            let told = &answer["results"][0];
            assert_eq!((status, told["status"].as_str()), (200, Some("sealed")), "{answer}");
            assert_eq!(told["chain"], chain, "{answer}");
        }
    });
}

fn post_waiting(url: &str, producer: &str, seconds: u64) -> (u16, Value) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent
        .post(format!("{url}/v1/events?wait=sealed&seconds={seconds}"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer token-of-{producer}-0123456789"));
    let mut response = request.send(r#"{"action":"user.login"}"#).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap())
}

/// Each of librdkafka's clients has one thread of this name.
fn clients(up: &Up) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", up.id())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "rdk:main").count()
}

#[test]
fn who_waits_on_four_chains_at_once_is_told_soon_and_each_chain_keeps_its_reader() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made_apart(&broker, CHAINS, &[("app", 1)], "");
    let producers = producers();
    let tokens = deployment.folder.path().join("tokens");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tokens).unwrap();
    for name in &producers {
        writeln!(file, "token-of-{name}-0123456789 {name}").unwrap();
    }
    let up = deployment.start_with(
        "up",
        &[("SEALOG_HTTP_TOKENS", tokens.to_str().unwrap()), ("SEALOG_LOG", "info,stream::kafka::read=debug")],
    );
    wait_for("every chain has begun to seal", 60, || {
        (0..CHAINS).all(|chain| deployment.sealed(chain) > 0).then_some(())
    });
    all_are_told(&up, &producers, 60);
    let (made, alive) = (up.logged(MADE), clients(&up));
    assert!(made >= CHAINS as usize, "{made} readers for {CHAINS} chains:\n{}", up.all());
    for _ in 1..ROUNDS {
        let begun = Instant::now();
        all_are_told(&up, &producers, 60);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    // One that does not answer at once is made anew, as on a busy machine. Were they not kept, each round would make some.
    let more = up.logged(MADE) - made;
    assert!(more < ROUNDS as usize / 2, "{more} readers were made in {ROUNDS} rounds after the first");
    let most = alive + CHAINS as usize;
    assert!(clients(&up) <= most, "{} clients, of {alive} after the first round", clients(&up));

    let (status, words) = up.stop();
    assert_eq!(status.code(), Some(0), "{words}");
    assert_eq!(deployment.ids().len() as u32, CHAINS * ROUNDS);
    deployment.verified("what was waited for");
}
