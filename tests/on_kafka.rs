//! The same stages over the other stream: on a real broker, with a second chainer that joins and leaves while events
//! flow. SEALOG_TEST_KAFKA=host:port names the broker; `tests/run` starts one.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::thread;

use runtime::{Stop, SystemClock};
use schemas::hex;
use stream::kafka::{Kafka, MAX_MESSAGE_BYTES, Options, Topic};
use stream::topics;

use crate::harness::archive::ids;
use crate::harness::rig::{ORIGIN, Rig};
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
    let (all, half) = (1_000, 500);

    let second = rig.chainer();
    let leave = Stop::new();
    rig.run_while(|| {
        let sealed = |each: u64| (0..CHAINS).all(|chain| rig.size_of(chain) >= before[chain as usize] + each);
        (0..CHAINS).for_each(|chain| rig.append_named(&run, chain, 0..half));
        wait_for("the first half is sealed", 60, || sealed(half).then_some(()));
        thread::scope(|scope| {
            let sharing = scope.spawn(|| second.run(&leave));
            (0..CHAINS).for_each(|chain| rig.append_named(&run, chain, half..all));
            wait_for("the second half is sealed, by whomever", 60, || sealed(all).then_some(()));
            leave.set();
            sharing.join().unwrap().unwrap();
        });
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
