//! `sealog init`: topics, key and the first Head of each chain. What is there is left as it is.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use chainer::{chain_origin, write_genesis};
use runtime::{Clock, SystemClock};
use schemas::event::Attribute;
use schemas::framing::SCHEMA_HEADER;
use schemas::own_act::{CHAINS_GREW, OwnAct};
use schemas::{Head, Signing, derived_id, event_schema_hash};
use stream::{Batch, Log, topics as lanes};

use super::Cluster;
use super::topics::{Finding, Wrong, mending};
use crate::config::Config;
use crate::daemon::{Folder, open_archive};

/// What `init` may change of what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consent {
    /// Settings of topics that differ.
    pub settings: bool,
    /// The number of chains.
    pub grow: bool,
}

/// Makes what is missing and says what it made. `changed`: something was made already, outside Kafka.
pub fn init(config: &Config, consent: Consent, changed: bool) -> Result<ExitCode> {
    let cluster = Cluster::connect(config)?;
    let folder = Folder::take(&config.data_dir)?;
    let (store, archive) = open_archive(config)?;
    let findings = cluster.findings(|_| true)?;
    refuse(&findings, consent)?;

    let made = make_missing(&cluster, &findings)?;
    for (topic, settings) in mending(&findings) {
        cluster.kafka.set_topic(&topic, &settings)?;
        let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        say(&format!("set on topic {topic}: {}", settings.join(", ")));
    }
    for finding in &findings {
        if let Wrong::Partitions { has, chains } = finding.what {
            cluster.kafka.add_partitions(&finding.topic, chains)?;
            say(&format!("grew topic {}: {has} to {chains} partitions", finding.topic));
        }
    }

    let heads = heads(&cluster)?;
    let (signing, key, key_is_new) = folder.key(config.chainer_key.as_deref(), heads.is_empty())?;
    if key_is_new {
        say(&format!("made key {}: keep a copy, it cannot be made again", key.display()));
    }
    // Chains of size 0 have not sealed anything: they are what a first `init` left that died, or a growth that did.
    let before = heads.values().filter(|head| head.size() > 0).count() as u32;
    let grows = before > 0 && heads.len() < cluster.chains as usize;
    if grows && !consent.grow {
        bail!(
            "{before} of {} chains have begun: to add the others, stop all stages and run `sealog init --grow`",
            cluster.chains
        );
    }
    check_keys(&cluster, &heads, &signing)?;
    if grows {
        // Before the new chains begin: a growth that dies in between is told of again, with the same id.
        record_growth(&cluster, before)?;
        say(&format!("recorded on every chain: {before} chains become {}", cluster.chains));
    }
    let guards = folder.folder("guards")?;
    let begun = write_genesis(&cluster.kafka, &*store, &guards, &cluster.origin, cluster.chains, &signing)?;
    for chain in &begun {
        say(&format!("began chain {chain}"));
    }
    let vkey = signing.vkey(&chain_origin(&cluster.origin, 0));
    say(&format!("public key of chain 0: {vkey}\narchive: {archive}"));
    if !changed && begun.is_empty() && made == 0 && mending(&findings).is_empty() {
        say("Everything was there already; nothing was changed.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes those topics that are missing, and answers how many.
pub fn make_missing(cluster: &Cluster, findings: &[Finding]) -> Result<usize> {
    let missing = |name: &str| findings.iter().any(|f| f.topic == name && f.what == Wrong::Missing);
    let missing = cluster.required().into_iter().filter(|required| missing(required.name()));
    let to_make: Vec<_> = missing.map(|required| required.to_make(cluster.replicas)).collect();
    let made = if to_make.is_empty() { Vec::new() } else { cluster.kafka.create_topics(&to_make)? };
    for name in &made {
        say(&format!("made topic {name}: {} partitions, {} replicas", cluster.chains, cluster.replicas));
    }
    Ok(made.len())
}

/// What differs is touched only if it was asked for, and some things not even then.
fn refuse(findings: &[Finding], consent: Consent) -> Result<()> {
    let refused = findings.iter().filter(|finding| match finding.what {
        Wrong::Missing => false,
        Wrong::Setting { .. } => !consent.settings,
        Wrong::Partitions { has, chains } => !(consent.grow && has < chains),
        Wrong::Unseen | Wrong::Replicas { .. } | Wrong::Offline(_) => true,
    });
    let refused: Vec<String> = refused.map(|finding| format!("\n  {finding}")).collect();
    match refused.is_empty() {
        true => Ok(()),
        false => bail!("what is there differs, and nothing was touched:{}", refused.concat()),
    }
}

/// The last Heads of those chains that have begun.
fn heads(cluster: &Cluster) -> Result<BTreeMap<u32, Head>> {
    let mut heads = BTreeMap::new();
    for chain in 0..cluster.chains {
        let lane = lanes::sealed(chain);
        if !cluster.kafka.last(&lane)?.is_empty() {
            heads.insert(chain, chainer::last_head(&cluster.kafka, &lane)?);
        }
    }
    Ok(heads)
}

/// New chains are begun with the key of those that are there.
fn check_keys(cluster: &Cluster, heads: &BTreeMap<u32, Head>, signing: &Signing) -> Result<()> {
    for (chain, head) in heads {
        let name = chain_origin(&cluster.origin, *chain);
        let own = signing.vkey(&name).to_string();
        if head.vkey != own {
            bail!(
                "{name} is sealed by key {}, but the key here is {own}: give the key in force (keys.chainer)",
                head.vkey
            );
        }
    }
    Ok(())
}

/// Says on every chain, new ones included, that from here on a producer's events may go to another chain.
fn record_growth(cluster: &Cluster, before: u32) -> Result<()> {
    let [from, to] = [before, cluster.chains].map(|chains| chains.to_string());
    for chain in 0..cluster.chains {
        let name = chain_origin(&cluster.origin, chain);
        let id = derived_id(&[name.as_bytes(), CHAINS_GREW.as_bytes(), from.as_bytes(), to.as_bytes()]);
        let act = OwnAct {
            action: CHAINS_GREW,
            id: &id,
            at: SystemClock.wall(),
            target: Some(&cluster.origin),
            trouble: None,
            attributes: &[Attribute::number("from", &from), Attribute::number("to", &to)],
        };
        let mut batch = Batch::new();
        let lane = batch.lane(&lanes::events(chain));
        let schema = event_schema_hash();
        batch.push_with(lane, None, &[(SCHEMA_HEADER, schema.bytes())], |out| act.encode(out));
        cluster.kafka.append(&batch)?;
    }
    Ok(())
}

fn say(words: &str) {
    println!("{words}");
}
