//! The same stages over the other stream: on a real broker, with a second chainer that joins and leaves while events
//! flow. SEALOG_TEST_KAFKA=host:port names the broker; `tests/run` starts one.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::thread;

use prometheus::Registry;
use runtime::{Stop, SystemClock};
use schemas::hex;
use stream::kafka::{Kafka, MAX_MESSAGE_BYTES, Options, Topic};
use stream::topics;

use crate::harness::archive::ids;
use crate::harness::rig::{ORIGIN, Rig, metric};
use crate::harness::{verified, wait_for};

const CHAINS: u32 = 2;

fn kafka() -> Option<Kafka> {
    let Some(broker) = std::env::var("SEALOG_TEST_KAFKA").ok().filter(|broker| !broker.is_empty()) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests on Kafka, but there is no broker");
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: no Kafka broker; run tests/run, or set SEALOG_TEST_KAFKA");
        return None;
    };
    Some(Kafka::connect(Options::new(broker)).unwrap())
}

#[test]
fn the_same_stages_run_on_kafka_and_share_their_chains() {
    let Some(kafka) = kafka() else { return };
    let config = BTreeMap::from([("max.message.bytes".to_owned(), MAX_MESSAGE_BYTES.to_string())]);
    // Topics that are there already, of an earlier run, are gone on with: the chains have the same key and name.
    let made = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|name| Topic {
        name: name.to_owned(),
        partitions: CHAINS,
        replicas: Some(1),
        config: config.clone(),
    });
    kafka.create_topics(&made).unwrap();
    let mut rig = Rig::on(kafka, CHAINS, Arc::new(SystemClock));
    rig.policy.max_events = 200;
    rig.begin().unwrap();
    let before: Vec<u64> = (0..CHAINS).map(|chain| rig.size_of(chain)).collect();
    let run = hex(&runtime::random_bytes::<4>());
    // Sent to each chain in three parts: to the first chainer alone, to both, and to the first alone again.
    let parts = [0..300, 300..800, 800..1_000];
    let all = 1_000;

    let second = rig.chainer();
    let of_second = rig.registry.lock().unwrap().clone();
    let leave = Stop::new();
    rig.run_while(|| {
        let of_first = rig.registry.lock().unwrap().clone();
        let sealed_by = |registry: &Registry, chain: u32| {
            metric(registry, "sealog_chainer_events_total", Some(&chain.to_string())).unwrap_or(0.0)
        };
        let send = |part: &std::ops::Range<u64>| {
            (0..CHAINS).for_each(|chain| rig.append_named(&run, chain, part.clone()));
        };
        let sealed = |each: u64| (0..CHAINS).all(|chain| rig.size_of(chain) >= before[chain as usize] + each);
        send(&parts[0]);
        wait_for("the first part is sealed", 60, || sealed(parts[0].end).then_some(()));
        let shared = thread::scope(|scope| {
            let sharing = scope.spawn(|| second.run(&leave));
            // It says so on the record of each chain that it comes to own: that is the first that it seals.
            let shared = wait_for("the second chainer owns a chain", 60, || {
                (0..CHAINS).find(|chain| sealed_by(&of_second, *chain) > 0.0)
            });
            send(&parts[1]);
            wait_for("the second part is sealed, by both", 60, || sealed(parts[1].end).then_some(()));
            leave.set();
            sharing.join().unwrap().unwrap();
            shared
        });
        let part = (parts[1].end - parts[1].start) as f64;
        assert!(
            sealed_by(&of_second, shared) >= part,
            "the second chainer sealed the second part of its chain"
        );
        let before_leaving: Vec<f64> = (0..CHAINS).map(|chain| sealed_by(&of_first, chain)).collect();
        send(&parts[2]);
        wait_for("the third part is sealed", 60, || sealed(all).then_some(()));
        let part = (parts[2].end - parts[2].start) as f64;
        let is_firsts = |chain: u32| sealed_by(&of_first, chain) >= before_leaving[chain as usize] + part;
        wait_for("the first chainer has all chains again", 60, || (0..CHAINS).all(is_firsts).then_some(()));
    })
    .unwrap();
    for chain in 0..CHAINS {
        let of_this_run = ids(rig.store(), &format!("{ORIGIN}/{chain}"));
        let of_this_run: Vec<_> = of_this_run.into_iter().filter(|id| id.starts_with(&run)).collect();
        let expected: Vec<String> = (0..all).map(|n| format!("{run}-{n}")).collect();
        assert_eq!(of_this_run, expected, "chain {chain}");
    }
    verified(rig.store(), "what came over Kafka");
}
