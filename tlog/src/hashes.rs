//! The hashes of a chain's tree, out of its trees files. A tile is given only when it leads to the root of the
//! Checkpoint that it was asked for: the root binds the partial tiles at its size, and each tile binds those below it.
//!
//! The file that holds a full tile is the first whose size is that tile's end or more. So a hash of any tree is found by
//! one request for names, which the next ones mostly need not repeat, and two for ranges of a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::tiles::{TILE_WIDTH, tiles_of};
use schemas::{Checkpoint, Hash, Place, Tree, TreesParts};

use crate::laid::{Parts, Unfit, fitting};
use crate::listing::Named;
use crate::{Chain, Error, Result};

/// The hashes of one tile.
pub type Tile = Arc<[Hash]>;

/// What is read of a trees file first. A small one is read whole with it.
pub(crate) const BEGINNING_BYTES: u64 = 16 << 10;
/// So many tiles are kept, and as many again of those that were used before them: 16 MiB.
const TILES_KEPT: usize = 1_024;

impl Chain {
    /// The tile of that level and index in the tree of `checkpoint`, full or partial: level 0 holds leaves. `NotThere`
    /// if the tree has no such tile.
    pub fn tile(&self, checkpoint: &Checkpoint, level: u8, index: u64) -> Result<Tile> {
        let (full, width) = tiles_of(checkpoint.size, level);
        if index > full || (index == full && width == 0) {
            let what = format!("a tree of size {} has no tile {index} of level {level}", checkpoint.size);
            return Err(Error::NotThere(format!("{}: {what}", self.origin())));
        }
        if index == full {
            let partial = self.partial(checkpoint)?;
            return Ok(partial.get(usize::from(level)).cloned().unwrap_or_default());
        }
        let above = self.tile(checkpoint, level + 1, index / TILE_WIDTH as u64)?;
        let root = above.get((index % TILE_WIDTH as u64) as usize).copied().unwrap_or_default();
        match self.tiles.get(&root) {
            Some(tile) => Ok(tile),
            None => self.read_full(checkpoint, level, index, root),
        }
    }

    /// The hash over the leaves from `index` · 2^`height` on, 2^`height` of them, all of them in the tree.
    pub fn node(&self, checkpoint: &Checkpoint, height: u8, index: u64) -> Result<Hash> {
        let (level, above_tile) = (height / 8, height % 8);
        let first = index << above_tile;
        let tile = self.tile(checkpoint, level, first / TILE_WIDTH as u64)?;
        let (at, count) = ((first % TILE_WIDTH as u64) as usize, 1 << above_tile);
        let hashes = tile.get(at..at + count).ok_or_else(|| {
            Error::NotThere(format!("{}: the tree has no node {index} at height {height}", self.origin()))
        })?;
        Ok(root_over(hashes))
    }

    /// The partial tiles at the end of the tree, by level.
    fn partial(&self, checkpoint: &Checkpoint) -> Result<Arc<[Tile]>> {
        if checkpoint.size == 0 {
            return Ok(Arc::default());
        }
        if let Some(partial) = self.tiles.partial(checkpoint) {
            return Ok(partial);
        }
        let key = self.layout.key(&Place::Trees(checkpoint.size));
        let partial = fitting(self.store.as_ref(), &key, None, BEGINNING_BYTES, |parts| {
            let file = parts_of(parts, checkpoint.size)?;
            let tiles = file.partial_tiles(&parts.read(file.partial())?).unwrap_or_default();
            let tree = schemas::Tiles::from_partial(checkpoint.size, tiles.clone()).map(|tiles| tiles.tree());
            match tree.is_some_and(|tree| tree.root() == checkpoint.root) {
                true => Ok(tiles.into_iter().map(Tile::from).collect::<Arc<[Tile]>>()),
                false => Err(Unfit::Misfit("it has another root than the Checkpoint of its size".to_owned())),
            }
        })?;
        self.tiles.keep_partial(checkpoint, Arc::clone(&partial));
        Ok(partial)
    }

    fn read_full(&self, checkpoint: &Checkpoint, level: u8, index: u64, root: Hash) -> Result<Tile> {
        // The tree has the tile, so this is no larger than its size.
        let end = (index + 1) << (8 * (u32::from(level) + 1));
        let tile = self
            .in_first_signed(checkpoint, end, |named| self.full_in(named, checkpoint, level, index, root))?;
        self.tiles.keep(root, Arc::clone(&tile));
        Ok(tile)
    }

    /// The full tile with that root, out of one trees file.
    fn full_in(
        &self,
        named: &Named,
        checkpoint: &Checkpoint,
        level: u8,
        index: u64,
        root: Hash,
    ) -> Result<Tile> {
        fitting(self.store.as_ref(), &named.key, Some(&named.versions), BEGINNING_BYTES, |parts| {
            let range = parts_of(parts, named.size)?.tile(level, index);
            let range =
                range.ok_or_else(|| Unfit::Misfit(format!("it lacks tile {index} of level {level}")))?;
            let bytes = parts.read(range)?;
            let hashes: Vec<Hash> = bytes.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect();
            match root_over(&hashes) == root {
                true => Ok(Tile::from(hashes)),
                false => Err(Unfit::Misfit(format!(
                    "its tile {index} of level {level} does not lead to the root that was signed at size {}",
                    checkpoint.size
                ))),
            }
        })
    }
}

/// What a trees file of that size says of itself, if it is as long as that makes it.
pub(crate) fn parts_of(parts: &Parts<'_>, size: u64) -> Result<TreesParts, Unfit> {
    let file = TreesParts::parse(&parts.beginning)?;
    if file.size != size {
        return Err(Unfit::Misfit("it is of another size than its name says".to_owned()));
    }
    match file.partial().end == parts.size_bytes() {
        true => Ok(file),
        false => {
            Err(Unfit::Misfit(format!("it has {} bytes, not {}", parts.size_bytes(), file.partial().end)))
        }
    }
}

fn root_over(hashes: &[Hash]) -> Hash {
    let mut tree = Tree::new();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}

/// The partial tiles at the end of one tree.
#[derive(Debug)]
struct Edge {
    size: u64,
    root: Hash,
    tiles: Arc<[Tile]>,
}

/// Tiles by their roots. What is found here fits whatever tree has such a root in it.
#[derive(Debug, Default)]
pub(crate) struct Tiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    young: HashMap<Hash, Tile>,
    old: HashMap<Hash, Tile>,
    /// Of the newest tree that was asked for.
    partial: Option<Edge>,
}

impl Tiles {
    fn get(&self, root: &Hash) -> Option<Tile> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tile) = kept.young.get(root) {
            return Some(Arc::clone(tile));
        }
        let tile = kept.old.get(root).cloned()?;
        kept.keep(*root, Arc::clone(&tile));
        Some(tile)
    }

    fn keep(&self, root: Hash, tile: Tile) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(root, tile);
    }

    fn partial(&self, checkpoint: &Checkpoint) -> Option<Arc<[Tile]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let edge = kept.partial.as_ref();
        let edge = edge.filter(|edge| (edge.size, edge.root) == (checkpoint.size, checkpoint.root));
        edge.map(|edge| Arc::clone(&edge.tiles))
    }

    fn keep_partial(&self, checkpoint: &Checkpoint, tiles: Arc<[Tile]>) {
        let edge = Edge { size: checkpoint.size, root: checkpoint.root, tiles };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).partial = Some(edge);
    }
}

impl Kept {
    fn keep(&mut self, root: Hash, tile: Tile) {
        if self.young.len() >= TILES_KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(root, tile);
    }
}
