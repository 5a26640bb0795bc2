//! `sealog doctor`: looks at every part that the configuration names, changes nothing, and says what to do about each
//! thing that is not right.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chainer::{Guard, chain_origin};
use schemas::{Signing, Vkey};
use store::{Notes, Store};
use stream::kafka::{Kafka, TopicState};
use stream::{Stream, topics as lanes};

use super::Cluster;
use super::topics::Wrong;
use crate::config::{Config, Durability};
use crate::daemon::{look_at_gateway, open_archive, read_key};

/// Broker settings below which a group's position or a producer's fence is forgotten while a stage is down.
const OFFSETS_MINUTES: (&str, u64) = ("offsets.retention.minutes", 7 * 24 * 60);
const STATE_IN_SYNC: &str = "transaction.state.log.min.isr";

/// What was found, as it is told.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn right(&self, what: impl Display) {
        println!("ok     {what}");
    }

    fn note(&self, what: impl Display) {
        println!("note   {what}");
    }

    fn wrong(&mut self, what: impl Display) {
        self.wrong += 1;
        println!("WRONG  {what}");
    }

    /// What it is if it is right; else what is wrong.
    fn either<T>(&mut self, result: Result<T>, right: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.right(right(&value));
                Some(value)
            }
            Err(error) => {
                self.wrong(format_args!("{error:#}"));
                None
            }
        }
    }
}

/// Exit 0: nothing is wrong.
pub fn doctor(config: &Config) -> Result<ExitCode> {
    let mut findings = Findings::default();
    let key_path = config.chainer_key.clone().unwrap_or_else(|| config.data_dir.join("chainer.key"));
    let key = match key_path.exists() {
        true => findings.either(read_key(&key_path).context("keys.chainer"), |_| {
            format!("key {}: readable, and by its owner alone", key_path.display())
        }),
        false => {
            findings.note(format_args!("no key at {}: only a chainer needs one", key_path.display()));
            None
        }
    };
    findings.either(look_at_gateway(config), |address| format!("gateway: may listen on {address}"));
    let archive = open_archive(config).context("archive.url");
    let archive = findings.either(archive, |(_, path)| format!("archive {}: reachable", path.display()));
    match config.kafka {
        None => findings.note("no [kafka]: embedded, `sealog up` makes the rest by itself"),
        Some(_) => {
            let cluster = Cluster::connect(config);
            let cluster =
                findings.either(cluster, |cluster| format!("Kafka answers; origin {}", cluster.origin));
            if let Some(cluster) = cluster {
                let store = archive.as_ref().map(|(store, _)| &**store);
                let has_topics = look_at_kafka(&mut findings, &cluster, config);
                let guards = config.data_dir.join("guards");
                for chain in (0..config.chains).filter(|_| has_topics) {
                    let guard = Guard::of(&guards, chain);
                    look_at_chain(&mut findings, &cluster, chain, key.as_ref(), store, &guard);
                }
            }
        }
    }
    match findings.wrong {
        0 => println!("Nothing is wrong."),
        1 => println!("1 thing is wrong."),
        many => println!("{many} things are wrong."),
    }
    Ok(if findings.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
