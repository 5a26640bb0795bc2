//! The pure core: records of audit.sealed, in order, become segments. Everything is checked against what came before
//! and against the signature; nothing that no signed Checkpoint covers ever comes out.

use schemas::event::{EVENT_SCHEMA, check_event, event_schema_hash};
use schemas::framing::{Framing, SCHEMA_HEADER, schema_of};
use schemas::head::head_schema_hash;
use schemas::tiles::Tile;
use schemas::{
    Checkpoint, Hash, Head, KeyNote, Malformed, Micros, SealedEvent, SegmentBuilder, Seq, Tiles, Tree, Vkey,
    Walk, first_prev,
};
use stream::Record;

/// A chain on its way into the archive.
#[derive(Debug)]
pub struct Assembly {
    origin: String,
    vkey: Option<Vkey>,
    /// How many links the archive covers; None: not even size 0.
    archived: Option<u64>,
    walk: Option<Walk>,
    tiles: Tiles,
    open: Option<Open>,
    /// A segment that ended and waits for its Checkpoint. There is never more than one.
    cut: Option<Cut>,
}

#[derive(Debug)]
struct Open {
    builder: SegmentBuilder,
    first_sealed_at: Micros,
}

#[derive(Debug)]
struct Cut {
    size: u64,
    root: Hash,
    last_hash: Hash,
    segment: Option<Open>,
    completed: Vec<Tile>,
    partial: Vec<Vec<Hash>>,
    places: Places,
}

/// Where the cut's Head stands in audit.sealed, and how far it took audit.events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Offset of the Head that cuts.
    pub head_offset: u64,
    /// What it says of the source.
    pub source_position: u64,
}

/// What is ready to be written.
#[derive(Debug)]
pub enum Ready {
    /// A key that comes into force.
    Key {
        /// Its note, as signed.
        note: String,
        /// From this size on.
        first_size: u64,
    },
    /// A Checkpoint, and the segment that ends with it (none at size 0).
    Checkpoint {
        /// As signed.
        note: String,
        /// What it says.
        checkpoint: Checkpoint,
        /// The segment.
        segment: Option<Box<Segment>>,
        /// Where it came from.
        places: Places,
    },
}

/// A whole segment, ready to be written.
#[derive(Debug)]
pub struct Segment {
    /// The file's bytes.
    pub file: Vec<u8>,
    /// Its first seq.
    pub first_seq: Seq,
    /// When that was sealed.
    pub first_sealed_at: Micros,
    /// Tiles that it completed.
    pub completed: Vec<Tile>,
    /// Partial tiles at its end.
    pub partial: Vec<Vec<Hash>>,
}

/// Why a record cannot be taken: the chain does not fit.
pub type Misfit = String;

impl Assembly {
    /// A chain of which nothing is archived.
    pub fn begin(origin: &str) -> Assembly {
        Assembly {
            origin: origin.to_owned(),
            vkey: None,
            archived: None,
            walk: None,
            tiles: Tiles::new(),
            open: None,
            cut: None,
        }
    }

    /// A chain that is archived up to `tiles`' size, under `vkey`. `last_hash`: of the last link; at size 0 the first prev.
    pub fn resume(origin: &str, vkey: Vkey, tiles: Tiles, last_hash: Hash) -> Assembly {
        let tree: Tree = tiles.tree();
        Assembly {
            archived: Some(tree.size()),
            walk: Some(Walk::resume(tree, last_hash, Micros(0))),
            vkey: Some(vkey),
            tiles,
            ..Assembly::begin(origin)
        }
    }

    /// When the oldest event that is not archived was sealed.
    pub fn oldest_waiting(&self) -> Option<Micros> {
        let cut = self.cut.as_ref().and_then(|cut| cut.segment.as_ref());
        cut.or(self.open.as_ref()).map(|open| open.first_sealed_at)
    }

    /// Whether the archive has a Checkpoint of it, be it of size 0.
    pub fn is_archived(&self) -> bool {
        self.archived.is_some()
    }

    /// The key in force; None before the genesis.
    pub fn vkey(&self) -> Option<&Vkey> {
        self.vkey.as_ref()
    }

    /// How many links were taken.
    pub fn size(&self) -> u64 {
        self.walk.as_ref().map_or(0, |walk| walk.tree().size())
    }

    /// The first seq that is needed and has not been taken.
    pub fn needs(&self) -> u64 {
        self.size()
    }

    /// What it holds in memory for segments that are not written.
    pub fn held_bytes(&self) -> usize {
        let held = |open: &Open| open.builder.held_bytes();
        self.open.as_ref().map_or(0, held)
            + self.cut.as_ref().and_then(|c| c.segment.as_ref()).map_or(0, held)
    }

    /// Takes the next record of the lane. What it makes ready goes to `ready`, in the order in which it must be written.
    pub fn take(&mut self, record: &Record<'_>, ready: &mut Vec<Ready>) -> Result<(), Misfit> {
        let at = |why: &dyn std::fmt::Display| format!("{}: offset {}: {why}", record.lane, record.offset);
        let schema = schema_of(record.headers.get(SCHEMA_HEADER)).map_err(|e| at(&e))?;
        let datum = Framing::Bare.datum(record.value.unwrap_or_default()).map_err(|e| at(&e))?;
        if schema == head_schema_hash() {
            let head = Head::parse(datum).map_err(|e| at(&e))?;
            return self.take_head(&head, record.offset, ready).map_err(|e| at(&e));
        }
        if schema != event_schema_hash() {
            return Err(at(&format!("schema {schema} is not known here: upgrade this stage")));
        }
        let sealed = SealedEvent::parse(datum).map_err(|e| at(&e))?;
        self.take_event(&sealed, datum, &schema).map_err(|e| at(&e))
    }

    fn take_event(&mut self, sealed: &SealedEvent<'_>, datum: &[u8], schema: &Hash) -> Result<(), Misfit> {
        if self.archived.is_some_and(|size| sealed.seq.0 < size) {
            return Ok(());
        }
        let Some(walk) = &mut self.walk else {
            return Err(format!("seq {} comes before the chain's genesis", sealed.seq));
        };
        let first_prev = walk.last_hash();
        walk.follow(sealed, schema).map_err(|misfit| misfit.to_string())?;
        check_event(sealed.event_bytes).map_err(|e| e.to_string())?;
        self.tiles.push(sealed.hash);
        let open = self.open.get_or_insert_with(|| Open {
            builder: SegmentBuilder::new(&self.origin, EVENT_SCHEMA, sealed.seq, first_prev),
            first_sealed_at: sealed.sealed_at,
        });
        open.builder.push(datum);
        Ok(())
    }

    fn take_head(&mut self, head: &Head, offset: u64, ready: &mut Vec<Ready>) -> Result<(), Misfit> {
        if self.archived.is_some_and(|size| head.size() < size || (head.size() == size && head.cut)) {
            return Ok(());
        }
        if let Some(note) = head.key_note.as_ref().filter(|_| head.size() == 0) {
            self.take_genesis(head, note, ready)?;
        }
        let (Some(walk), Some(vkey)) = (&self.walk, &self.vkey) else {
            return Err(format!("a Head of size {} comes before the chain's genesis", head.size()));
        };
        if head.tree != *walk.tree() || head.last_hash != walk.last_hash() {
            return Err(format!("the Head of size {} does not fit the links before it", head.size()));
        }
        if head.vkey != vkey.to_string() {
            return Err(format!(
                "the Head of size {} is of key {}, in force is {vkey}",
                head.size(),
                head.vkey
            ));
        }
        // A Checkpoint that is carried is of the cut before, or of this Head's own size. What is archived is done with.
        let carried =
            head.checkpoint.as_deref().map(|note| Ok((note, Checkpoint::open(note.as_bytes(), vkey)?)));
        let carried = carried.transpose().map_err(|e: Malformed| e.to_string())?;
        let mut carried =
            carried.filter(|(_, checkpoint)| self.archived.is_none_or(|size| checkpoint.size > size));
        if let Some((note, checkpoint)) = carried.take_if(|(_, checkpoint)| checkpoint.size < head.size()) {
            self.take_checkpoint(note, checkpoint, ready)?;
        }
        if head.cut {
            self.end_segment(head, offset)?;
        }
        match carried {
            Some((note, checkpoint)) => self.take_checkpoint(note, checkpoint, ready),
            None => Ok(()),
        }
    }

    fn take_genesis(&mut self, head: &Head, note: &str, ready: &mut Vec<Ready>) -> Result<(), Misfit> {
        let key = KeyNote::open(note.as_bytes(), None).map_err(|e| e.to_string())?;
        let prev = first_prev(&self.origin, &key.vkey.to_string());
        if key.vkey.name() != self.origin || head.last_hash != prev || key.first_size != 0 {
            return Err(format!("the genesis is that of {}, not of {}", key.vkey.name(), self.origin));
        }
        if self.vkey.as_ref().is_some_and(|known| *known != key.vkey) {
            return Err("a second genesis, with another key".to_owned());
        }
        self.vkey = Some(key.vkey);
        self.walk = Some(Walk::begin(prev));
        ready.push(Ready::Key { note: note.to_owned(), first_size: 0 });
        Ok(())
    }

    fn end_segment(&mut self, head: &Head, offset: u64) -> Result<(), Misfit> {
        if self.cut.is_some() {
            return Err(format!("size {} is cut before the cut before it was signed", head.size()));
        }
        if self.open.is_none() && head.size() > 0 {
            return Err(format!("size {} is cut without an event since the last cut", head.size()));
        }
        self.cut = Some(Cut {
            size: head.size(),
            root: head.tree.root(),
            last_hash: head.last_hash,
            segment: self.open.take(),
            completed: self.tiles.take_completed(),
            partial: self.tiles.partial().to_vec(),
            places: Places { head_offset: offset, source_position: head.source_position },
        });
        Ok(())
    }

    fn take_checkpoint(
        &mut self,
        note: &str,
        checkpoint: Checkpoint,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Misfit> {
        let cut = self
            .cut
            .take()
            .ok_or_else(|| format!("a Checkpoint of size {} without a cut", checkpoint.size))?;
        if (checkpoint.size, checkpoint.root) != (cut.size, cut.root) {
            let (size, root) = (cut.size, cut.root);
            return Err(format!(
                "the Checkpoint is of size {} and root {}, the cut of {size} and {root}",
                checkpoint.size, checkpoint.root
            ));
        }
        let segment = cut.segment.map(|open| {
            Box::new(Segment {
                first_seq: open.builder.first_seq(),
                first_sealed_at: open.first_sealed_at,
                file: open.builder.finish(cut.last_hash, note),
                completed: cut.completed,
                partial: cut.partial,
            })
        });
        self.archived = Some(checkpoint.size);
        ready.push(Ready::Checkpoint { note: note.to_owned(), checkpoint, segment, places: cut.places });
        Ok(())
    }
}

/// The seq from which on a reader that begins with this record sees the chain; None: the record is neither event nor
/// Head.
pub fn first_seq_of(record: &Record<'_>) -> Option<u64> {
    let schema = schema_of(record.headers.get(SCHEMA_HEADER)).ok()?;
    let datum = Framing::Bare.datum(record.value?).ok()?;
    if schema == head_schema_hash() {
        return Head::parse(datum).ok().map(|head| head.size());
    }
    SealedEvent::parse(datum).ok().map(|sealed| sealed.seq.0)
}
