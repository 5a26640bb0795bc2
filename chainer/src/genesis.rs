//! How a chain begins: one Head of size 0 with the key note, committed to an empty lane. Never a second time.

use std::time::Duration;

use runtime::{Deadline, Failure};
use schemas::{Hash, Head, KeyNote, Micros, OpenSegment, Signing, Tree, first_prev};
use store::{Notes, Store};
use stream::{Batch, Claim, Kind, Limit, Stream, topics};

use crate::chain::push_head;
use crate::guard::Guard;
use crate::{chain_origin, role};

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
        if stream.last(&topics::sealed(chain))?.is_empty() {
            refuse_if_it_existed(stream, archive, &Guard::of(guards, chain), origin, chain)?;
            missing.push(chain);
        }
    }
    let mut begun = Vec::new();
    if missing.is_empty() {
        return Ok(begun);
    }
    // Under the claim, so that two that begin the same chain at once cannot both succeed.
    let mut member = stream.join(&role(origin))?;
    let deadline = Deadline::after(PATIENCE);
    // Claims are kept until the end: a lane whose claim is dropped is handed out once more.
    let mut held: Vec<Box<dyn Claim>> = Vec::new();
    while begun.len() < missing.len() {
        if deadline.passed() {
            return Err(Failure::Retry("the chains to begin could not be claimed within 30 s".to_owned()));
        }
        let Some(mut claim) = member.poll(Duration::from_millis(200))? else { continue };
        let chain = claim.lanes()[0].partition;
        let name = chain_origin(origin, chain);
        if missing.contains(&chain) && stream.last(&topics::sealed(chain))?.is_empty() {
            let mut out = Batch::new();
            let lane = out.lane(&topics::sealed(chain));
            push_head(&mut out, lane, &genesis_head(&name, signing));
            claim.commit(&out, &[])?;
            begun.push(name);
        }
        held.push(claim);
    }
    Ok(begun)
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
    if let Some(signed) = guard.load()? {
        return refuse(format!(
            "its guard says that size {} was signed, but its log is empty: the log was lost or moved. \
             Put it back, or begin under another origin",
            signed.size
        ));
    }
    let notes = Notes::read(archive, &name)?;
    if !notes.keys.is_empty() || notes.newest.is_some() {
        let size = notes.newest.map_or(0, |newest| newest.size);
        return refuse(format!("the archive holds it already, up to size {size}, but its log is empty"));
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
