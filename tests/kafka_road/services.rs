//! Ten services send to three raw topics, some with Kafka's own console producer, one with `sealog send`, the
//! others with librdkafka; one `sealog up` makes an archive of it.

use std::thread;

use crate::harness::broker::Broker;
use crate::harness::deployment::Deployment;
use crate::harness::process::said;
use crate::harness::wait_for;

const EACH: usize = 500;

fn event(service: usize, n: usize) -> String {
    format!("{{\"id\":\"s{service}-{n:03}\",\"action\":\"record.read\",\"actor\":\"service-{service}\"}}")
}

#[test]
fn ten_services_with_kafkas_own_tools_and_librdkafka_end_in_one_archive() {
    if !super::can_run_a_broker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &[]);
    let raw = [("orders", 3), ("users", 2), ("billing", 1)];
    let deployment = Deployment::made(broker.address(), 2, &raw, "[segment]\nmax_age = \"2s\"\n");
    let up = deployment.start("up");
    let (broker, deployment) = (&broker, &deployment);
    thread::scope(|services| {
        for service in 0..10 {
            let topic = &deployment.raw[service % 3];
            let events: Vec<String> = (0..EACH).map(|n| event(service, n)).collect();
            services.spawn(move || match service {
                // A JVM takes a while to start on two cores: two of them, one `sealog send`, the others librdkafka.
                0 | 1 => {
                    let lines: Vec<&str> = events.iter().map(String::as_str).collect();
                    broker.console_producer(topic, &lines, &[]);
                }
                2 => {
                    let file = deployment.folder.path().join("events.jsonl");
                    std::fs::write(&file, events.join("\n")).unwrap();
                    let send = deployment.sealog(&["send", file.to_str().unwrap(), "--topic", topic]);
                    assert!(said(&send).contains("500 durable"), "{}", String::from_utf8_lossy(&send.stderr));
                }
                _ => deployment.produce(topic, 0, events),
            });
        }
    });
    wait_for("everything is archived", 60, || (deployment.archived() >= 10 * EACH as u64).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    let expected: Vec<String> =
        (0..10).flat_map(|service| (0..EACH).map(move |n| format!("s{service}-{n:03}"))).collect();
    assert_eq!(deployment.ids(), expected);
    deployment.verified("of ten services");
}
