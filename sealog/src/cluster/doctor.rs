//! What `sealog doctor` looks at in Kafka, and in the chains that are there.

use std::collections::BTreeMap;

use chainer::{Guard, chain_origin};
use schemas::{Signing, Vkey};
use store::{Notes, Store};
use stream::kafka::{Kafka, TopicState};
use stream::{Stream, topics as lanes};

use super::Cluster;
use super::topics::Wrong;
use crate::config::{Config, Durability};
use crate::doctor::Findings;

/// Broker settings below which a group's position or a producer's fence is forgotten while a stage is down.
const OFFSETS_MINUTES: (&str, u64) = ("offsets.retention.minutes", 7 * 24 * 60);
const STATE_IN_SYNC: &str = "transaction.state.log.min.isr";

/// Looks at Kafka and at each chain. `key`: the one that seals, where it is at hand.
pub fn look(findings: &mut Findings, config: &Config, key: Option<&Signing>, archive: Option<&dyn Store>) {
    let cluster = Cluster::connect(config);
    let cluster = findings.either(cluster, |cluster| format!("Kafka answers; origin {}", cluster.origin));
    let Some(cluster) = cluster else { return };
    if look_at_kafka(findings, &cluster, config) {
        let guards = config.data_dir.join("guards");
        for chain in 0..config.chains {
            look_at_chain(findings, &cluster, chain, key, archive, &Guard::of(&guards, chain));
        }
    }
}

/// Whether the topics are there, with what the chains are in.
fn look_at_kafka(findings: &mut Findings, cluster: &Cluster, config: &Config) -> bool {
    let mut has_topics = false;
    let kafka = &cluster.kafka;
    match kafka.describe_brokers() {
        Err(error) => findings.wrong(format_args!("the brokers were not described: {error}")),
        Ok(described) => {
            let count = described.brokers.len();
            findings.right(format_args!("brokers: {count}, cluster {}", described.id.unwrap_or_default()));
            for broker in &described.brokers {
                match &broker.settings {
                    Ok(settings) => look_at_broker(findings, &broker.address, settings, cluster.durability),
                    Err(error) => {
                        findings.note(format_args!("settings of the broker {}: {error}", broker.address))
                    }
                }
            }
        }
    }
    match cluster.findings(|_| true) {
        Err(error) => findings.wrong(format_args!("{error:#}")),
        Ok(wrong) => {
            has_topics = !wrong.iter().any(|finding| finding.what == Wrong::Missing);
            wrong.iter().for_each(|finding| findings.wrong(finding));
            if wrong.is_empty() {
                findings.right("topics audit.events, audit.rejected, audit.sealed");
            }
        }
    }
    let raw: Vec<&str> =
        config.kafka.iter().flat_map(|kafka| kafka.raw_topics.iter().map(String::as_str)).collect();
    let states = if raw.is_empty() { Ok(Vec::new()) } else { kafka.describe_topics(&raw) };
    match states {
        Err(error) => findings.wrong(format_args!("raw topics: {error}")),
        Ok(states) => states.iter().for_each(|state| look_at_raw(findings, state)),
    }
    has_topics
}

fn look_at_broker(
    findings: &mut Findings,
    address: &str,
    settings: &BTreeMap<String, String>,
    durability: Durability,
) {
    let number = |name: &str| settings.get(name).and_then(|value| value.parse::<u64>().ok());
    let (name, least) = OFFSETS_MINUTES;
    if let Some(minutes) = number(name).filter(|minutes| *minutes < least) {
        findings.wrong(format_args!(
            "the broker {address} forgets the positions of a stage that is down for {minutes} minutes: set {name} to \
             {least} or more"
        ));
    }
    if durability == Durability::Replicated
        && let Some(in_sync) = number(STATE_IN_SYNC).filter(|in_sync| *in_sync < 2)
    {
        findings.wrong(format_args!(
            "the broker {address} keeps the state of transactions on {in_sync} broker: set {STATE_IN_SYNC} to 2"
        ));
    }
}

fn look_at_raw(findings: &mut Findings, state: &TopicState) {
    match &state.found {
        None => findings.wrong(format_args!(
            "the raw topic {} is missing: create it, or take it out of kafka.raw_topics",
            state.name
        )),
        Some(found) if !found.offline.is_empty() => {
            findings
                .wrong(format_args!("the raw topic {}: no broker serves {:?}", state.name, found.offline));
        }
        Some(found) => {
            findings.right(format_args!("raw topic {}: {} partitions", state.name, found.partitions));
            if found.settings.is_none() {
                findings.note(format_args!(
                    "the raw topic {}: whether it is compacted is not known, for its settings may not be read: grant this \
                     identity DescribeConfigs on the topic",
                    state.name
                ));
            }
            let setting = |name: &str| found.settings.as_ref()?.get(name)?.value.as_deref();
            if setting("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
                findings.wrong(format_args!(
                    "the raw topic {} is compacted: Kafka drops events whose key comes again. Set \
                     cleanup.policy=delete",
                    state.name
                ));
            }
        }
    }
}

/// Whether the chainer could open the chain.
fn look_at_chain(
    findings: &mut Findings,
    cluster: &Cluster,
    chain: u32,
    key: Option<&Signing>,
    archive: Option<&dyn Store>,
    guard: &Guard,
) {
    let name = chain_origin(&cluster.origin, chain);
    let kafka: &Kafka = &cluster.kafka;
    let head = match chainer::last_head(kafka as &dyn Stream, &lanes::sealed(chain)) {
        Ok(head) => head,
        Err(failure) => return findings.wrong(format_args!("chain {name}: {failure}")),
    };
    // Without the key at hand the one in force is what the Head says.
    let own = match key.map(|key| key.vkey(&name)) {
        Some(own) => own,
        None => match Vkey::parse(&head.vkey) {
            Ok(vkey) => vkey,
            Err(error) => return findings.wrong(format_args!("chain {name}: its Head's key: {error}")),
        },
    };
    let Some(archive) = archive else { return };
    if let Err(failure) = chainer::check_history(&head, &own, guard, archive) {
        return findings.wrong(format_args!("chain {failure}"));
    }
    match chainer::source_fits(kafka, &lanes::events(chain), &head) {
        Ok(Some(false)) => {
            return findings.wrong(format_args!(
                "chain {name}: audit.events is another topic than the one that was sealed from. See \
                 docs/OPERATING.md, \"When Kafka is gone\""
            ));
        }
        Ok(_) => {}
        Err(failure) => return findings.wrong(format_args!("chain {name}: {failure}")),
    }
    let archived = match Notes::read(archive, &name) {
        Ok(notes) => notes.newest,
        Err(error) => return findings.wrong(format_args!("chain {name} in the archive: {error}")),
    };
    let archived = archived.map_or(0, |archived| archived.size);
    findings.right(format_args!("chain {name}: {} events sealed, {archived} archived", head.size()));
}
