//! How a chain begins: one Head of size 0 with the key note, committed to an empty lane. Never a second time.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::{Deadline, Failure};
use schemas::{Hash, Head, KeyNote, Micros, OpenSegment, Signing, Tree, first_prev};
use store::{Notes, Store};
use stream::{Batch, Claim, Kind, Limit, Stream, topics};

use crate::chain::push_head;
use crate::guard::Guard;
use crate::opening::last_head;
use crate::{chain_origin, role};

const PUT_BACK: &str =
    "Put it back; on Kafka `sealog recover` can go on from the archive; else begin under another origin";
const PATIENCE: Duration = Duration::from_secs(30);

/// Begins those of the first `chains` chains that have not begun, and says which. Refuses a lane that does not start
/// at 0, and a chain that a guard or an archived note says existed. One that died before its commit can be repeated.
pub fn write_genesis(
    stream: &dyn Stream,
    archive: &dyn Store,
    guards: &std::path::Path,
    origin: &str,
    chains: u32,
    signing: &Signing,
) -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    for chain in 0..chains {
        match opening_head(stream, chain)? {
            Some(head) => check_key(&head, origin, chain, signing)?,
            None => {
                refuse_if_it_existed(stream, archive, &Guard::of(guards, chain), origin, chain)?;
                missing.push(chain);
            }
        }
    }
    let mut begun = Vec::new();
    if missing.is_empty() {
        return Ok(begun);
    }
    // All of them are claimed before the first is begun: of two that begin the same chains at once, each with a key of
    // its own, neither must begin some of them.
    let mut member = stream.join(&role(origin))?;
    let deadline = Deadline::after(PATIENCE);
    // Claims are kept until the end: a lane whose claim is dropped is handed out once more.
    let mut held: BTreeMap<u32, Box<dyn Claim>> = BTreeMap::new();
    while !missing.iter().all(|chain| held.contains_key(chain)) {
        if deadline.passed() {
            return Err(Failure::Retry(
                "not all the chains to begin could be claimed within 30 s: stop all chainers, and every other \
                 `sealog init`"
                    .to_owned(),
            ));
        }
        if let Some(claim) = member.poll(Duration::from_millis(200))? {
            held.insert(claim.lanes()[0].partition, claim);
        }
    }
    for chain in 0..chains {
        if let Some(head) = opening_head(stream, chain)? {
            // Somebody was faster.
            check_key(&head, origin, chain, signing)?;
            missing.retain(|missing| *missing != chain);
        }
    }
    for chain in missing {
        let Some(claim) = held.get_mut(&chain) else { continue };
        let name = chain_origin(origin, chain);
        let mut out = Batch::new();
        let lane = out.lane(&topics::sealed(chain));
        push_head(&mut out, lane, &genesis_head(&name, signing));
        claim.commit(&out, &[])?;
        begun.push(name);
    }
    Ok(begun)
}

/// The last Head, if the chain has begun.
fn opening_head(stream: &dyn Stream, chain: u32) -> Result<Option<Head>, Failure> {
    let lane = topics::sealed(chain);
    match stream.last(&lane)?.is_empty() {
        true => Ok(None),
        false => last_head(stream, &lane).map(Some),
    }
}

fn check_key(head: &Head, origin: &str, chain: u32, signing: &Signing) -> Result<(), Failure> {
    let name = chain_origin(origin, chain);
    let own = signing.vkey(&name).to_string();
    match head.vkey == own {
        true => Ok(()),
        false => Err(Failure::Halt(format!(
            "{name} is sealed by key {}, but the configured key is {own}: give the key in force (keys.chainer). \
             Nothing was begun",
            head.vkey
        ))),
    }
}

fn genesis_head(name: &str, signing: &Signing) -> Head {
    let vkey = signing.vkey(name);
    let key_note = KeyNote { first_size: 0, vkey: vkey.clone() }.sign(signing, None);
    Head {
        tree: Tree::new(),
        last_hash: first_prev(name, &vkey.to_string()),
        last_sealed_at: Micros(0),
        source_position: 0,
        source_hash: Hash::default(),
        schema_hash: Hash::default(),
        vkey: vkey.to_string(),
        open: OpenSegment::default(),
        cut: true,
        checkpoint: None,
        key_note: Some(key_note),
    }
}

fn refuse_if_it_existed(
    stream: &dyn Stream,
    archive: &dyn Store,
    guard: &Guard,
    origin: &str,
    chain: u32,
) -> Result<(), Failure> {
    let name = chain_origin(origin, chain);
    let refuse = |why: String| Err(Failure::Halt(format!("{name} cannot begin: {why}")));
    if let Some(signed) = guard.load()?.filter(|signed| signed.origin != name) {
        return refuse(format!(
            "its guard is of {}: give each origin a data folder of its own",
            signed.origin
        ));
    }
    if let Some(signed) = guard.load()? {
        return refuse(format!(
            "its guard says that size {} was signed, but its log is empty: the log was lost or moved. \
             {PUT_BACK}",
            signed.size
        ));
    }
    let notes = Notes::read(archive, &name)?;
    if !notes.keys.is_empty() || notes.newest.is_some() {
        let size = notes.newest.map_or(0, |newest| newest.size);
        return refuse(format!(
            "the archive holds it already, up to size {size}, but its log is empty. {PUT_BACK}"
        ));
    }
    match stream.read(
        &topics::sealed(chain),
        0,
        &mut Batch::new(),
        Limit { records: 1, bytes: 1 },
        Duration::ZERO,
    ) {
        Err(error) if matches!(error.kind(), Kind::OutOfRange { .. }) => {
            refuse(format!("its log does not start at 0: {error}"))
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}
