//! The events of one chain, a segment at a time, from where they are wanted.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use schemas::avro::Shape;
use schemas::{Layout, Micros, Place, SegmentFile, Seq, Trees};
use store::versions::fitting_of;
use store::{Listing, Object, Store};
use verifier::{Ahead, Bound, Evidence};

use super::lines::Lines;
use super::segment::{self, Listed, MAX_SEGMENT_BYTES, damaged};

/// A place in a chain, and how far it is to be read.
pub struct ChainReader {
    origin: String,
    layout: Layout,
    from: Option<Bound>,
    to: Option<Bound>,
    /// The key of the last segment that was read; empty before the first.
    after: String,
    /// The seq that comes next; None before the first.
    next_seq: Option<Seq>,
    has_begun: bool,
    has_ended: bool,
}

const PAGE: usize = 1_000;

impl ChainReader {
    pub fn new(origin: &str, from: Option<Bound>, to: Option<Bound>) -> ChainReader {
        let layout = Layout::of(origin);
        let (origin, after) = (origin.to_owned(), String::new());
        ChainReader { origin, layout, from, to, after, next_seq: None, has_begun: false, has_ended: false }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether what is wanted last was reached.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Prints what was archived since it was called last; first of all, from where the chain is wanted. Segments are read
    /// ahead of what is printed.
    pub fn print_new<W: Write>(
        &mut self,
        store: &dyn Store,
        ahead: &Ahead,
        lines: &mut Lines<W>,
    ) -> Result<()> {
        if !self.has_begun {
            if let Some(first) = self.first_segment(store)? {
                let listed = segment::listed(store, &first)?;
                self.print_segments(store, ahead, &[listed], lines)?;
                self.after = first;
            }
            self.has_begun = true;
        }
        while !self.has_ended && !lines.is_done() {
            let page = store.list(&self.layout.segments(), &self.after, Listing::Versions(PAGE))?;
            let Some(last) = page.entries.last().map(|entry| entry.key.clone()) else { return Ok(()) };
            let listed: Vec<Listed> = page
                .entries
                .chunk_by(|one, next| one.key == next.key)
                .filter_map(Listed::of)
                .filter(|listed| self.first_seq(&listed.key).is_some())
                .collect();
            self.print_segments(store, ahead, &listed, lines)?;
            self.after = last;
            if !page.more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn print_segments<W: Write>(
        &mut self,
        store: &dyn Store,
        ahead: &Ahead,
        listed: &[Listed],
        lines: &mut Lines<W>,
    ) -> Result<()> {
        let (layout, origin) = (self.layout.clone(), self.origin.clone());
        // What begins behind the end is not read.
        let begins_in_time = |one: &&Listed| match (self.to, self.first_seq(&one.key)) {
            (Some(Bound::Seq(to)), Some(first)) => first.0 <= to,
            _ => true,
        };
        let wanted = listed.iter().take_while(begins_in_time).count();
        let mut printed = Ok(());
        ahead.in_order(
            wanted,
            |nth| listed[nth].size_bytes(),
            |nth| segment::read_ahead(store, &layout, &origin, &listed[nth]),
            |nth, read| {
                let bytes = read.and_then(|read| match read {
                    Some(bytes) => Ok(bytes),
                    None => segment::read(store, &layout, &origin, &listed[nth]),
                });
                printed = bytes.and_then(|bytes| self.print_segment(&listed[nth].key, &bytes, lines));
                match printed.is_err() || self.has_ended || lines.is_done() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            },
        );
        self.has_ended |= wanted < listed.len();
        printed
    }

    /// The segment to begin with; None: the first after `self.after`, which is set so that nothing wanted is missed.
    fn first_segment(&mut self, store: &dyn Store) -> Result<Option<String>> {
        match self.from {
            None => Ok(None),
            Some(Bound::Seq(seq)) => self.segment_of_seq(store, seq),
            Some(Bound::Time(time)) => self.segment_of_time(store, time),
        }
    }

    /// One listing of trees/ behind the seq finds the file whose size is above it; that names its segment.
    fn segment_of_seq(&mut self, store: &dyn Store, seq: u64) -> Result<Option<String>> {
        let mut after = self.layout.key(&Place::Trees(seq));
        loop {
            let mut versions = store.list(&self.layout.trees(), &after, Listing::Versions(1))?.entries;
            let Some(key) = versions.first().map(|entry| entry.key.clone()) else { break };
            versions.retain(|entry| entry.key == key && !entry.delete_marker);
            if versions.is_empty() {
                // Nothing is below the marker. If it was the one, the next does not hold the seq.
                after = key;
                continue;
            }
            // What was laid over it, or before it, says what whoever laid it there wants.
            if let (true, Some(size)) = (versions.len() > 1, self.size_of_trees(&key)) {
                let names = |trees: &Trees| self.named_by(&key, trees, seq);
                let right = Evidence::of(store, &self.origin)?.trees(size, &versions, names)?;
                if right.is_some() {
                    return Ok(right);
                }
            }
            versions.reverse();
            let fits = |object: &Object| self.segment_named(&key, &object.bytes, seq);
            let found = fitting_of(store, &versions, MAX_SEGMENT_BYTES, fits)?;
            return Ok(Some(found.with_context(|| damaged(&key))?.1));
        }
        // Beyond every trees file: at most the newest segments can hold it.
        let newest = store::keys_after(store, &self.layout.segments(), "")?;
        let begins_by = |key: &String| self.first_seq(key).is_some_and(|first| first.0 <= seq);
        Ok(newest.into_iter().rfind(begins_by))
    }

    /// The key of the segment that holds the seq, as the trees file at `key` has it; None if it cannot be that one.
    fn segment_named(&self, key: &str, bytes: &[u8], seq: u64) -> Option<String> {
        self.named_by(key, &Trees::parse(bytes).ok()?, seq)
    }

    fn size_of_trees(&self, key: &str) -> Option<u64> {
        match Place::parse(key.strip_prefix(self.layout.root())?)? {
            Place::Trees(size) => Some(size),
            _ => None,
        }
    }

    fn named_by(&self, key: &str, trees: &Trees, seq: u64) -> Option<String> {
        let segment = format!("{}{}", self.layout.root(), trees.segment_key);
        let is_it = self.layout.key(&Place::Trees(trees.size)) == key
            && (trees.first_seq.0..trees.size).contains(&seq)
            && self.first_seq(&segment) == Some(trees.first_seq);
        is_it.then_some(segment)
    }

    /// A segment holds events of one day, that of its folder: of that day the last that begins by then.
    fn segment_of_time(&mut self, store: &dyn Store, time: Micros) -> Result<Option<String>> {
        let folder = format!("{}date={}/", self.layout.segments(), time.date());
        let mut of_day = store::keys_after(store, &folder, "")?;
        // Anything may have been put there.
        of_day.retain(|key| self.first_seq(key).is_some());
        let (mut begins_by, mut begins_later) = (0, of_day.len());
        while begins_by < begins_later {
            let middle = begins_by + (begins_later - begins_by) / 2;
            if segment::first_sealed_at(store, &self.layout, &self.origin, &of_day[middle])? <= time {
                begins_by = middle + 1;
            } else {
                begins_later = middle;
            }
        }
        self.after = folder;
        Ok(begins_by.checked_sub(1).map(|last| of_day[last].clone()))
    }

    fn first_seq(&self, key: &str) -> Option<Seq> {
        match Place::parse(key.strip_prefix(self.layout.root())?)? {
            Place::Segment { first_seq, .. } => Some(first_seq),
            _ => None,
        }
    }

    fn print_segment<W: Write>(&mut self, key: &str, bytes: &[u8], lines: &mut Lines<W>) -> Result<()> {
        let segment = SegmentFile::parse(bytes).with_context(|| damaged(key))?;
        if let Some(due) = self.next_seq.filter(|due| *due != segment.header.first_seq) {
            bail!("{key} begins with seq {}, due is {due}: {}", segment.header.first_seq, damaged(key));
        }
        let shape = Shape::parse(&segment.header.event_schema).with_context(|| damaged(key))?;
        self.next_seq = Some(segment.header.last_seq.next());
        let mut printed = Ok(());
        let read = segment.walk(&shape, |sealed, _| {
            if is_beyond(self.to, sealed.seq, sealed.sealed_at) {
                self.has_ended = true;
                return false;
            }
            if is_due(self.from, sealed.seq, sealed.sealed_at) {
                printed = lines.print(&self.origin, sealed, &shape);
            }
            printed.is_ok() && !lines.is_done()
        });
        // What could not be written comes first: a reader that has gone needs no other word.
        printed.and_then(|()| read.with_context(|| damaged(key)))
    }
}

fn is_due(from: Option<Bound>, seq: Seq, sealed_at: Micros) -> bool {
    match from {
        None => true,
        Some(Bound::Seq(from)) => seq.0 >= from,
        Some(Bound::Time(from)) => sealed_at >= from,
    }
}

fn is_beyond(to: Option<Bound>, seq: Seq, sealed_at: Micros) -> bool {
    match to {
        None => false,
        Some(Bound::Seq(to)) => seq.0 > to,
        Some(Bound::Time(to)) => sealed_at > to,
    }
}
