//! Where to go on: the archive's notes and newest trees file say what is archived.
//!
//! A signed note proves what the chain is, not that its segment is in the archive: every reader of audit.sealed has the
//! note, and whoever may put objects can put it before the segment stands there. So beyond what an archiver has
//! committed, which it does when all of a cut was read back, every cut is looked at.

use runtime::Failure;
use schemas::note::MAX_NOTE_BYTES;
use schemas::{Layout, Place};
use store::{Kind, Notes, NotesError, Object, Store, Tail, keys_after, versions};
use stream::{Lane, Stream};
use tracing::warn;

use crate::assembly::{Assembly, first_seq_of};
use crate::cut::{Cut, Nearest, Signed, passed_over};
use crate::heads::{cut_head, head_of, record_at};
use crate::role;
use crate::writing::{crowded, left_open, shortfall_of_anothers};

/// Where the stream keeps no position of the group, so many of the newest cuts must stand, one behind the other. Honest
/// deaths leave one at most that does not. Whoever wants to hide another one behind these has to put all of them as
/// they ought to be, while no archiver is let through for so long that its position is forgotten.
const LOOKED_BACK: usize = 4;

/// The chain as the archive holds it, up to the first cut that may not be whole: what is due there is put again, which
/// adopts what is right, and halts at what is not. With `lay_over` an archive whose notes are none holds nothing yet:
/// what is due is laid over them.
pub fn resume(
    store: &dyn Store,
    stream: &dyn Stream,
    lane: &Lane,
    origin: &str,
    lay_over: bool,
) -> Result<Assembly, Failure> {
    let notes = match Notes::read(store, origin) {
        Err(why @ NotesError::Malformed { .. }) if lay_over => {
            warn!("{why}: goes on as if nothing were archived");
            return Ok(Assembly::begin(origin));
        }
        // As where what jams the first key cannot even be read.
        Err(NotesError::Store(why)) if lay_over && matches!(why.kind(), Kind::Refused | Kind::Crowded) => {
            warn!("{why}: goes on as if nothing were archived");
            return Ok(Assembly::begin(origin));
        }
        Err(NotesError::Store(why)) if why.kind() == Kind::Crowded => return Err(crowded(&why)),
        other => other?,
    };
    for key in &notes.hidden {
        warn!("{key} is hidden below something else, or was never signed: run `sealog archive repair`");
    }
    let Some(newest) = notes.newest.as_ref().map(|newest| newest.size) else {
        return Ok(Assembly::begin(origin));
    };
    let done = Done::of(stream, lane)?;
    let tail = match done.size >= newest && !done.is_nothing {
        true => Tail::of(&notes, store, origin)?,
        false => match last_whole(store, origin, &notes, &done, newest, lay_over)? {
            // The first key and its Checkpoint stand alone, and cost two writes.
            Some(0) if done.is_nothing => None,
            None => None,
            Some(size) => Tail::at(&notes, store, origin, size)?,
        },
    };
    Ok(match tail {
        None => Assembly::begin(origin),
        Some(tail) => Assembly::resume(origin, tail.vkey, tail.tiles, tail.last_hash),
    })
}

/// What need not be looked at.
struct Done {
    /// All up to here.
    size: u64,
    /// And all before so many cuts that stand.
    looks: usize,
    /// Not even the genesis is known to be done with.
    is_nothing: bool,
    /// That is the size of a cut, for an archiver said so.
    is_committed: bool,
}

impl Done {
    /// As the group's position says. Without one: what audit.sealed does not hold any more cannot be put again, and was
    /// let go of because it was archived.
    fn of(stream: &dyn Stream, lane: &Lane) -> Result<Done, Failure> {
        let last = stream.last(lane)?.last().map(|record| record.offset);
        let Some(last) = last else {
            return Ok(Done { size: u64::MAX, looks: 0, is_nothing: false, is_committed: false });
        };
        let positions = stream.positions(&role().group, std::slice::from_ref(lane))?;
        let committed = positions[0].and_then(|position| position.checked_sub(1));
        if let Some(at) = committed.filter(|at| *at <= last)
            && let Ok(batch) = record_at(stream, lane, at)?
            && let Some(head) = batch.get(0).filter(|record| record.offset == at).as_ref().and_then(cut_head)
        {
            return Ok(Done { size: head.size(), looks: usize::MAX, is_nothing: false, is_committed: true });
        }
        let first = match record_at(stream, lane, 0)? {
            Ok(first) => Ok(first),
            Err(start) => record_at(stream, lane, start)?,
        };
        let trimmed = |start| Failure::Retry(format!("{lane}: was trimmed up to {start} just now"));
        let first = first.map_err(trimmed)?;
        let is_genesis =
            |record| head_of(record).is_some_and(|head| head.size() == 0 && head.key_note.is_some());
        Ok(Done {
            size: first.get(0).as_ref().and_then(first_seq_of).unwrap_or(0),
            looks: LOOKED_BACK,
            is_nothing: first.get(0).as_ref().is_some_and(is_genesis),
            is_committed: false,
        })
    }
}

/// The size up to which everything that has to be looked at is in the archive, locked as it must be. None: of no earlier
/// Checkpoint is it known that it is signed.
fn last_whole(
    store: &dyn Store,
    origin: &str,
    notes: &Notes,
    done: &Done,
    newest: u64,
    lay_over: bool,
) -> Result<Option<u64>, Failure> {
    let layout = Layout::of(origin);
    let sizes = sizes_between(store, &layout, done.size, newest)?;
    let mut chain = Signed { store, origin: origin.to_owned(), sizes, layout, notes: notes.clone() };
    let (mut whole, mut size, mut standing) = (newest, newest, 0);
    while standing < done.looks && size > done.size {
        let Nearest { size: mut before, mut unknown } = chain.known_before(size)?;
        if before.is_none() && done.is_nothing {
            // Where the log holds all of the chain it begins with the genesis, whatever lies at the note of that.
            before = Some(0);
        } else if before.is_none() && (done.is_committed || !unknown.is_empty()) {
            // What is done ends with a Checkpoint, which is buried or gone: what begins there hangs in the air.
            chain.sizes = sizes_between(store, &chain.layout, 0, newest)?;
            before = chain.known_before(size)?.size;
        } else if before.is_none() {
            // The log begins within this cut: what it has let go of was archived.
            break;
        }
        if stands(&chain, size)? {
            (size, standing) = (before.unwrap_or(0), standing + 1);
            continue;
        }
        match unknown.pop() {
            // What is due there may have been let go of already: told to, it is tried.
            Some((_, why)) if before.is_none_or(|before| before < done.size) && !lay_over => {
                return Err(left_open(&why));
            }
            _ => warn!(
                chain = origin,
                size, "is signed, but not all of it is in the archive as it must be: is put again"
            ),
        }
        let Some(before) = before else { return Ok(None) };
        (whole, size, standing) = (before, before, 0);
    }
    Ok(Some(whole))
}

/// The names in checkpoints/ from one size to another, signed or not.
fn sizes_between(store: &dyn Store, layout: &Layout, first: u64, last: u64) -> Result<Vec<u64>, Failure> {
    let after = first.checked_sub(1).map(|size| layout.key(&Place::Checkpoint(size)));
    let names = keys_after(store, &layout.checkpoints(), after.as_deref().unwrap_or_default())?;
    let sizes = names.iter().filter_map(|key| match Place::parse(key.strip_prefix(layout.root())?)? {
        Place::Checkpoint(size) if size <= last => Some(size),
        _ => None,
    });
    Ok(sizes.collect())
}

/// Whether Checkpoint, trees and segment are there, fit, and are locked and encrypted as they must be.
fn stands(chain: &Signed<'_>, size: u64) -> Result<bool, Failure> {
    let is_held = |object: &Object| {
        let lacks = shortfall_of_anothers(object, chain.store.retention());
        lacks.is_none() && object.encrypted_otherwise.is_none()
    };
    let key = chain.layout.key(&Place::Checkpoint(size));
    let note = versions::fitting(chain.store, &key, MAX_NOTE_BYTES as u64, |object| {
        (chain.notes.open(size, &object.bytes).is_ok() && is_held(object)).then_some(())
    });
    let cut = passed_over(note).and_then(|note| match note {
        Some(_) => Cut::find(chain, size, &is_held),
        None => Ok(None),
    });
    match cut {
        // To put it again says of which key there are too many versions, or what may not be read.
        Err(why) if matches!(why.kind(), Kind::Crowded | Kind::Refused) => Ok(false),
        cut => Ok(cut?.is_some()),
    }
}
