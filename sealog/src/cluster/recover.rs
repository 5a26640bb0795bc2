//! `sealog recover`: lets chains go on whose Kafka is gone.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use chainer::{Guard, Recovering, chain_origin};
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

/// Recovers every chain that needs it, and says how each goes on.
pub fn recover(config: &Config, recovery: &Recovery) -> Result<ExitCode> {
    let cluster = Cluster::connect(config)?;
    make_missing(&cluster, &cluster.findings(|_| true)?)?;
    cluster.refuse_wrong_topics(&[lanes::EVENTS, lanes::REJECTED, lanes::SEALED])?;
    let (store, _) = open_archive(config)?;
    if let Some(old) = &recovery.continues {
        return continue_from(&cluster, &*store, old);
    }
    let folder = Folder::take(&config.data_dir)?;
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
    // Under the claim: a chainer that still lives is fenced, or holds on to its chain and is in the way.
    let mut member = cluster.kafka.join(&chainer::role(&cluster.origin))?;
    let deadline = Deadline::after(PATIENCE);
    let mut held: Vec<Box<dyn Claim>> = Vec::new();
    while held.len() < cluster.chains as usize {
        if deadline.passed() {
            bail!("not every chain could be claimed within 60 s: stop all chainers first");
        }
        let Some(mut claim) = member.poll(Duration::from_millis(200))? else { continue };
        let chain = claim.lanes()[0].partition;
        match recovering.recover(&mut *claim, &Guard::of(&guards, chain))? {
            Some(how) => println!("{how}"),
            None => println!("{}: has its Head, left as it is", chain_origin(&cluster.origin, chain)),
        }
        held.push(claim);
    }
    Ok(ExitCode::SUCCESS)
}

/// Records on each new chain that it continues one of the old origin, and how far that is archived.
fn continue_from(cluster: &Cluster, store: &dyn Store, old: &str) -> Result<ExitCode> {
    if old == cluster.origin {
        bail!("--continues {old}: that is the configured origin; give the new one in the configuration");
    }
    for chain in 0..cluster.chains {
        if cluster.kafka.last(&lanes::sealed(chain))?.is_empty() {
            bail!("{} has not begun: run `sealog init` first", chain_origin(&cluster.origin, chain));
        }
        let (new, before) = (chain_origin(&cluster.origin, chain), chain_origin(old, chain));
        let Some(archived) = Notes::read(store, &before)?.newest else {
            println!("{before}: nothing of it is archived; nothing to continue");
            continue;
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
