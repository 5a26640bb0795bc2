//! How a chain goes on when Kafka is gone: from its archive, which holds all that was ever signed for, or from its last
//! Head onto another source. Its first event says so. What will be done is found out first, for all chains, and nothing
//! is written before that.

mod source;

use runtime::{Clock, Failure};
use schemas::event::{Attribute, event_schema_hash};
use schemas::own_act::RECOVERED;
use schemas::{Checkpoint, Hash, Head, Layout, Micros, OpenSegment, Place, Seq, Signing};
use store::{Listing, Store, Tail};
use stream::{Batch, Claim, Stream, topics};

use self::source::{Source, events_of, source_after, start_of};
use crate::chain::{Chain, push_head};
use crate::clock_watch::ClockWatch;
use crate::guard::Guard;
use crate::{chain_origin, opening};

/// What a recovery works with.
pub struct Recovering<'a> {
    /// The seam, with whatever is left of the topics.
    pub stream: &'a dyn Stream,
    /// The archive.
    pub archive: &'a dyn Store,
    /// The key in force.
    pub signing: &'a Signing,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The base origin.
    pub origin: &'a str,
    /// Goes on without the newest guard, although more may have been signed than is archived.
    pub without_guard: bool,
    /// Goes on from the last Head with the source as it is now, from its start.
    pub new_source: bool,
}

/// How a chain will go on.
pub struct Plan {
    chain: u32,
    guard: Guard,
    head: Head,
    /// The last commit that is there when the plan is made; None if there is none.
    last_offset: Option<u64>,
    source: Source,
    from: &'static str,
    /// What is known of the guard, for the record.
    guarded: &'static str,
}

const FROM_ARCHIVE: &str = "the archive";
const FROM_HEAD: &str = "its last Head";

impl Plan {
    /// How it goes on, in a sentence.
    pub fn say(&self, name: &str) -> String {
        let (size, position) = (self.head.size(), self.source.position);
        let source = self.source_word();
        format!("{name} goes on from {} at size {size}, events from {source} at offset {position}", self.from)
    }

    /// Whether what was sealed and not archived is gone.
    pub fn is_from_archive(&self) -> bool {
        self.last_offset.is_none()
    }

    fn source_word(&self) -> &'static str {
        if self.source.hash == Hash::default() { "another topic" } else { "the same topic" }
    }
}

impl Recovering<'_> {
    /// Finds out how the chain can go on. None: there is nothing to do, it has a Head that it can go on from. Writes
    /// nothing.
    pub fn plan(&self, chain: u32, guard: Guard) -> Result<Option<Plan>, Failure> {
        let name = chain_origin(self.origin, chain);
        let last = self.stream.last(&topics::sealed(chain))?;
        let plan = match last.last().map(|record| record.offset) {
            None => Some(self.plan_from_archive(chain, &name, guard)?),
            Some(offset) => {
                let head = opening::last_head(self.stream, &topics::sealed(chain))?;
                opening::check_history(&head, &self.signing.vkey(&name), &guard, self.archive).map_err(
                    |failure| {
                        Failure::Halt(format!(
                            "{failure}. If what is lost does not come back: put audit.sealed aside (copy it, then \
                             delete the topic), and recover from the archive"
                        ))
                    },
                )?;
                self.new_source.then(|| self.plan_from_head(chain, &name, guard, head, offset)).transpose()?
            }
        };
        if let Some(plan) = &plan {
            self.check_clock(&plan.head)?;
        }
        Ok(plan)
    }

    /// Carries a plan out on the claimed chain.
    pub fn carry_out(&self, claim: &mut dyn Claim, plan: &Plan) -> Result<(), Failure> {
        let (name, sealed) = (chain_origin(self.origin, plan.chain), topics::sealed(plan.chain));
        let last_offset = self.stream.last(&sealed)?.last().map(|record| record.offset);
        if last_offset != plan.last_offset {
            let what = format!("{sealed} was written to since it was looked at: stop all chainers first");
            return Err(Failure::Halt(what));
        }
        let now = self.clock.wall();
        let head = Head {
            source_position: plan.source.position,
            source_hash: plan.source.hash,
            ..plan.head.clone()
        };
        let mut chain = Chain::resume(&name, self.signing.vkey(&name), &head);
        let mut out = Batch::new();
        let lane = out.lane(&sealed);
        let mut due = opening::is_unsigned_cut(&plan.head).then(|| chain.checkpoint());
        if chain.must_cut_before(now) {
            // Of another day: a Head alone ends the segment and carries its own Checkpoint.
            let note = self.sign(&plan.guard, &chain.checkpoint())?;
            push_head(&mut out, lane, &chain.head(true, Some(note)));
            claim.commit(&out, &[])?;
            out.clear(0);
            due = None;
        }
        let lane = out.lane(&sealed);
        let (size, position) = (chain.size().to_string(), plan.source.position.to_string());
        let attributes = [
            Attribute::text("from", plan.from),
            Attribute::number("size", &size),
            Attribute::text("source", plan.source_word()),
            Attribute::number("source_position", &position),
            Attribute::text("guard", plan.guarded),
        ];
        chain.link_own(RECOVERED, &attributes, now, &mut out, lane);
        // What was cut and not signed is signed now: without that the archive could never go on.
        let note = due.map(|due| self.sign(&plan.guard, &due)).transpose()?;
        push_head(&mut out, lane, &chain.head(false, note));
        // If we die before this, nothing of the recovery is seen, and it can be begun again.
        claim.commit(&out, &[])?;
        Ok(())
    }

    /// Signs a size that is committed, with the guard on disk first.
    fn sign(&self, guard: &Guard, checkpoint: &Checkpoint) -> Result<String, Failure> {
        guard.store(checkpoint)?;
        Ok(checkpoint.sign(self.signing))
    }

    fn plan_from_head(
        &self,
        chain: u32,
        name: &str,
        guard: Guard,
        head: Head,
        at: u64,
    ) -> Result<Plan, Failure> {
        let events = topics::events(chain);
        let start = start_of(self.stream, &events)?;
        let halt =
            |why: &str| Err(Failure::Halt(format!("{name}: {why}: there is no new source to go on with")));
        if head.source_hash == Hash::default() && head.source_position == start {
            return halt("it is at the start of audit.events already");
        }
        if opening::source_fits(self.stream, &events, &head)? == Some(true) {
            return halt("audit.events holds the event that was sealed last from there");
        }
        let guarded = if guard.load()?.is_some() { "fits" } else { "there is none" };
        let source = Source { position: start, hash: Hash::default() };
        Ok(Plan { chain, guard, head, last_offset: Some(at), source, from: FROM_HEAD, guarded })
    }

    /// What was the last Head of a cut, as the archive knows it.
    fn plan_from_archive(&self, chain: u32, name: &str, guard: Guard) -> Result<Plan, Failure> {
        let halt = |why: String| Err(Failure::Halt(format!("{name} cannot be recovered: {why}")));
        let Some(tail) = Tail::read(self.archive, name)? else {
            return halt(
                "its archive holds no Checkpoint. A chain that never was begins with `sealog init`; if that refuses, \
                 begin under a new origin"
                    .to_owned(),
            );
        };
        let (own, archived) = (self.signing.vkey(name), tail.checkpoint.clone());
        if tail.vkey != own {
            return halt(format!("it is signed by key {}, but the configured key is {own}", tail.vkey));
        }
        let guarded = match self.judge_guard(name, &guard, &archived) {
            Ok(guarded) => guarded,
            Err(Failure::Halt(why)) => return halt(why),
            Err(other) => return Err(other),
        };
        if self.stands_beyond(name, archived.size)? {
            return halt(format!(
                "a segment stands in the archive beyond size {}, which its archiver could not finish: more was signed \
                 than is archived. {}",
                archived.size,
                self.new_origin()
            ));
        }
        let last_sealed_at = match &tail.trees {
            None => Micros(0),
            Some(trees) => match events_of(self.archive, name, trees)?.last() {
                // The time is in the link, so this hash vouches for it.
                Some(last) if last.link == tail.last_hash => last.sealed_at,
                _ => return halt(format!("{} does not end with the last link", trees.segment_key)),
            },
        };
        let head = Head {
            tree: tail.tiles.tree(),
            last_hash: tail.last_hash,
            last_sealed_at,
            source_position: 0,
            source_hash: Hash::default(),
            schema_hash: if archived.size == 0 { Hash::default() } else { event_schema_hash() },
            vkey: own.to_string(),
            open: OpenSegment { first_seq: Seq(archived.size), ..OpenSegment::default() },
            cut: true,
            checkpoint: Some(archived.sign(self.signing)),
            key_note: None,
        };
        let source = source_after(self.stream, self.archive, name, tail.trees, &topics::events(chain))?;
        Ok(Plan { chain, guard, head, last_offset: None, source, from: FROM_ARCHIVE, guarded })
    }

    /// What the guard says of going on at this size. It is written before each signature, so the newest guard of a chain
    /// is never behind its archive: one that is, is another host's, or an old copy.
    fn judge_guard(&self, name: &str, guard: &Guard, archived: &Checkpoint) -> Result<&'static str, Failure> {
        let halt = |why: String| Err(Failure::Halt(why));
        let how = "Find the newest of the hosts that ran chainers, or give --without-guard, which stands in the record";
        match guard.load()? {
            Some(signed) if signed.origin != name => {
                halt(format!("its guard is of {}: give the data folder of this origin", signed.origin))
            }
            Some(signed) if signed.size > archived.size => halt(format!(
                "the guard shows that size {} was signed, but the archive ends at {}: going on would make two \
                 histories. {}",
                signed.size,
                archived.size,
                self.new_origin()
            )),
            Some(signed) if signed.size == archived.size && signed.root != archived.root => {
                halt(format!("at size {} guard and archive have different roots", signed.size))
            }
            Some(signed) if signed.size == archived.size => Ok("fits"),
            _ if self.without_guard => Ok("the newest one is lost"),
            Some(signed) => halt(format!(
                "its guard is of size {}, behind the archive's {}: it is not the newest one. {how}",
                signed.size, archived.size
            )),
            None => halt(format!(
                "its guard is missing, so it cannot be seen whether more was signed than is archived. {how}"
            )),
        }
    }

    fn new_origin(&self) -> String {
        format!(
            "Begin under a new origin and a new data folder, with `sealog recover --continues {}`",
            self.origin
        )
    }

    /// Whether a segment or its trees stand in the archive beyond its newest note.
    fn stands_beyond(&self, name: &str, size: u64) -> Result<bool, Failure> {
        let layout = Layout::of(name);
        let after = layout.key(&Place::Trees(size));
        if !self.archive.list(&layout.trees(), &after, Listing::Versions(1))?.entries.is_empty() {
            return Ok(true);
        }
        let segments = store::keys_after(self.archive, &layout.segments(), "")?;
        let first_seq = |key: &String| key.rsplit('/').next()?.strip_suffix(".avro")?.parse::<u64>().ok();
        Ok(segments.iter().filter_map(first_seq).any(|first| first >= size))
    }

    fn check_clock(&self, head: &Head) -> Result<(), Failure> {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        match ClockWatch::begin(wall, boot).check(wall, boot, head.last_sealed_at) {
            None => Ok(()),
            Some(why) => Err(Failure::Halt(format!("nothing was recovered: {why}. Set the clock right"))),
        }
    }
}
