//! `sealog recover`: lets chains go on whose Kafka is gone.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use chainer::{Guard, Plan, Recovering, chain_origin};
use runtime::{Clock, Deadline, SystemClock};
use schemas::event::Attribute;
use schemas::framing::SCHEMA_HEADER;
use schemas::own_act::{OwnAct, RECOVERED};
use schemas::{derived_id, event_schema_hash};
use store::{Notes, Store};
use stream::{Batch, Claim, Groups, Log, topics as lanes};

use super::Cluster;
use super::init::make_missing;
use crate::config::Config;
use crate::daemon::{Folder, open_archive};

const PATIENCE: Duration = Duration::from_secs(60);

/// How to recover.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Although the guards are lost.
    pub without_guard: bool,
    /// From the last Head, onto another audit.events.
    pub new_source: bool,
    /// Under a new origin; this is the old one.
    pub continues: Option<String>,
}

/// Recovers every chain that needs it, and says how each goes on. Nothing is written before it is known that all can be.
pub fn recover(config: &Config, recovery: &Recovery) -> Result<ExitCode> {
    let cluster = Cluster::connect(config)?;
    let (store, _) = open_archive(config)?;
    if let Some(old) = &recovery.continues {
        return continue_from(&cluster, &*store, old);
    }
    // A chainer that still runs on this host holds it: then nothing is touched.
    let folder = Folder::take(&config.data_dir)?;
    refuse_fewer_chains(&cluster, &*store)?;
    make_missing(&cluster, &cluster.findings(|_| true)?)?;
    cluster.refuse_wrong_topics(&[lanes::EVENTS, lanes::REJECTED, lanes::SEALED])?;
    let (signing, ..) = folder.key(config.chainer_key.as_deref(), false)?;
    let guards = folder.folder("guards")?;
    let clock = SystemClock;
    let recovering = Recovering {
        stream: &cluster.kafka,
        archive: &*store,
        signing: &signing,
        clock: &clock,
        origin: &cluster.origin,
        without_guard: recovery.without_guard,
        new_source: recovery.new_source,
    };
    let (mut plans, mut failed) = (BTreeMap::new(), 0);
    for chain in 0..cluster.chains {
        match recovering.plan(chain, Guard::of(&guards, chain)) {
            Ok(Some(plan)) => drop(plans.insert(chain, plan)),
            Ok(None) => println!("{}: has its Head, left as it is", chain_origin(&cluster.origin, chain)),
            Err(failure) => {
                failed += 1;
                eprintln!("sealog: {failure}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} chains cannot be recovered like this; nothing was changed", cluster.chains);
    }
    let openings = plans.get(&0).is_some_and(Plan::is_from_archive);
    carry_out(&cluster, &recovering, plans)?;
    if openings {
        for chain in 1..cluster.chains {
            archiver::announce_again(&*store, &cluster.kafka, &cluster.origin, chain, clock.wall())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Under claims on all of these chains, so that no chainer works on any of them.
fn carry_out(cluster: &Cluster, recovering: &Recovering<'_>, plans: BTreeMap<u32, Plan>) -> Result<()> {
    let mut member = cluster.kafka.join(&chainer::role(&cluster.origin))?;
    let deadline = Deadline::after(PATIENCE);
    let mut held: BTreeMap<u32, Box<dyn Claim>> = BTreeMap::new();
    while !plans.keys().all(|chain| held.contains_key(chain)) {
        if deadline.passed() {
            bail!(
                "not every chain could be claimed within 60 s: stop all chainers first. Nothing was changed"
            );
        }
        if let Some(claim) = member.poll(Duration::from_millis(200))? {
            held.insert(claim.lanes()[0].partition, claim);
        }
    }
    for (chain, plan) in &plans {
        let Some(claim) = held.get_mut(chain) else { continue };
        recovering.carry_out(&mut **claim, plan)?;
        println!("{}", plan.say(&chain_origin(&cluster.origin, *chain)));
    }
    Ok(())
}

/// Chains that the archive knows and the configuration does not would be left behind in silence.
fn refuse_fewer_chains(cluster: &Cluster, store: &dyn Store) -> Result<()> {
    let next = chain_origin(&cluster.origin, cluster.chains);
    if Notes::read(store, &next)?.keys.is_empty() {
        return Ok(());
    }
    bail!("the archive holds {next} as well, but chains = {}: give the number that it was", cluster.chains)
}

/// Records on each new chain that it continues one of the old origin, and how far that is archived.
fn continue_from(cluster: &Cluster, store: &dyn Store, old: &str) -> Result<ExitCode> {
    if old == cluster.origin {
        bail!("--continues {old}: that is the configured origin; give the new one in the configuration");
    }
    let has_begun = |chain| Ok::<_, anyhow::Error>(!cluster.kafka.last(&lanes::sealed(chain))?.is_empty());
    for chain in 0..cluster.chains {
        if !has_begun(chain)? {
            bail!("{} has not begun: run `sealog init` first", chain_origin(&cluster.origin, chain));
        }
    }
    // The old origin may have had more chains: those stand on the new ones in turn.
    for old_chain in 0.. {
        let before = chain_origin(old, old_chain);
        let chain = old_chain % cluster.chains;
        let new = chain_origin(&cluster.origin, chain);
        let Some(archived) = Notes::read(store, &before)?.newest else {
            if old_chain == 0 {
                bail!("the archive holds nothing of {before}: give the origin that it was, and its archive");
            }
            return Ok(ExitCode::SUCCESS);
        };
        let (size, root) = (archived.size.to_string(), archived.root.to_string());
        let act = OwnAct {
            action: RECOVERED,
            id: &derived_id(&[new.as_bytes(), RECOVERED.as_bytes(), before.as_bytes()]),
            at: SystemClock.wall(),
            target: Some(&before),
            trouble: None,
            attributes: &[
                Attribute::text("continues", &before),
                Attribute::number("archived_size", &size),
                Attribute::text("archived_root", &root),
            ],
        };
        let mut batch = Batch::new();
        let lane = batch.lane(&lanes::events(chain));
        let schema = event_schema_hash();
        batch.push_with(lane, None, &[(SCHEMA_HEADER, schema.bytes())], |out| act.encode(out));
        cluster.kafka.append(&batch)?;
        println!("{new} continues {before}, archived up to size {size}");
    }
    Ok(ExitCode::SUCCESS)
}
