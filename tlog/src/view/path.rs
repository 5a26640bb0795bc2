//! The paths of a tiled log (C2SP tlog-tiles), relative to its prefix.
//!
//! | path | what |
//! |---|---|
//! | `checkpoint` | the newest signed Checkpoint |
//! | `tile/<L>/<N>` | a full hash tile: level, index |
//! | `tile/<L>/<N>.p/<W>` | the first W hashes of one |
//! | `tile/entries/<N>`, `tile/entries/<N>.p/<W>` | the links whose hashes stand in tile N of level 0 |
//!
//! N is written in groups of three digits, `x` before all but the last: 1234067 is `x001/x234/067`.

use schemas::tiles::{TILE_WIDTH, tiles_of};

/// One file of a tiled log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The Checkpoint.
    Checkpoint,
    /// A hash tile.
    Tile {
        /// Its level: 0 holds the hashes of links.
        level: u8,
        /// Which one of the level, and how much of it.
        part: Part,
    },
    /// The links of a tile of level 0.
    Entries(Part),
}

/// A tile's number, and how many of its hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number in the level.
    pub index: u64,
    /// How many, from its first: 1 to 256.
    pub width: usize,
}

impl Part {
    /// All of a tile.
    pub fn full(index: u64) -> Part {
        Part { index, width: TILE_WIDTH }
    }

    fn path(&self) -> String {
        let mut path = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1000);
            rest /= 1000;
        }
        match self.width {
            TILE_WIDTH => path,
            width => format!("{path}.p/{width}"),
        }
    }

    fn parse(path: &str) -> Option<Part> {
        let (index, width) = match path.split_once(".p/") {
            Some((index, width)) => {
                (index, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?)
            }
            None => (path, TILE_WIDTH),
        };
        let mut digits = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group));
        let index = digits.try_fold(0u64, |index, group| {
            let group: u64 = group.parse().ok().filter(|_| group.len() == 3)?;
            index.checked_mul(1000)?.checked_add(group)
        })?;
        Some(Part { index, width })
    }
}

impl Resource {
    /// Its path.
    pub fn path(&self) -> String {
        match self {
            Resource::Checkpoint => "checkpoint".to_owned(),
            Resource::Tile { level, part } => format!("tile/{level}/{}", part.path()),
            Resource::Entries(part) => format!("tile/entries/{}", part.path()),
        }
    }

    /// What a path names. None unless it is written as [`Resource::path`] writes it.
    pub fn parse(path: &str) -> Option<Resource> {
        let resource = match path.strip_prefix("tile/") {
            None => Resource::Checkpoint,
            Some(tile) => match tile.split_once('/')? {
                ("entries", part) => Resource::Entries(Part::parse(part)?),
                (level, part) => Resource::Tile { level: level.parse().ok()?, part: Part::parse(part)? },
            },
        };
        (resource.path() == path).then_some(resource)
    }
}

/// Every tile and bundle of a log of this size, each bundle beside the tile of its hashes.
pub fn resources(size: u64) -> impl Iterator<Item = Resource> {
    let parts = move |level| {
        let (full, width) = tiles_of(size, level);
        let partial = (width > 0).then_some(Part { index: full, width });
        (0..full).map(Part::full).chain(partial)
    };
    let leaves = parts(0).flat_map(|part| [Resource::Entries(part), Resource::Tile { level: 0, part }]);
    leaves.chain((1..8).flat_map(move |level| parts(level).map(move |part| Resource::Tile { level, part })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_read_back() {
        let parts = [(0, 256), (0, 1), (999, 255), (1000, 256), (1_234_067, 8), (u64::MAX / 1000, 256)];
        for (index, width) in parts {
            let part = Part { index, width };
            for resource in [Resource::Entries(part), Resource::Tile { level: 63, part }] {
                assert_eq!(Resource::parse(&resource.path()), Some(resource));
            }
        }
        assert_eq!(Resource::parse("checkpoint"), Some(Resource::Checkpoint));
        let known = Resource::Tile { level: 0, part: Part { index: 1_234_067, width: 8 } };
        assert_eq!(known.path(), "tile/0/x001/x234/067.p/8");
    }

    #[test]
    fn a_log_has_the_tiles_that_its_size_asks_for() {
        let paths = |size| resources(size).map(|resource| resource.path()).collect::<Vec<_>>();
        assert_eq!(paths(0), [""; 0]);
        assert_eq!(paths(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(paths(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        let large = paths(70_000);
        assert_eq!(large.len(), 274 + 274 + 2 + 1);
        assert_eq!(
            large[546..],
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
    }

    #[test]
    fn no_other_spelling_is_a_path() {
        for bad in [
            "",
            "/checkpoint",
            "checkpoint/",
            "tile/0",
            "tile/0/0",
            "tile/00/000",
            "tile/+1/000",
            "tile/256/000",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/1/",
            "tile/0/000/../001",
            "tile/entries/-01",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Resource::parse(bad), None, "{bad}");
        }
    }
}
