//! Every path of the archive, the same in a bucket and in a directory. Keys are relative to the archive's root.

use crate::checkpoint::decimal;
use crate::{Hash, Micros, Seq};

/// Where a directory keeps temporaries. Not part of the evidence.
pub const TEMPORARIES: &str = ".tmp/";

/// What an object of a chain is, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `segments/date=2026-11-21/<first seq>.avro`
    Segment {
        /// The date in its path.
        date: String,
        /// The seq in its name.
        first_seq: Seq,
    },
    /// `trees/<size>.tiles`
    Trees(u64),
    /// `checkpoints/<size>.note`
    Checkpoint(u64),
    /// `checkpoint`: a hint.
    Hint,
    /// `keys/<first size>.note`
    Key(u64),
    /// `schemas/<hash>.avsc`
    Schema(Hash),
    /// `cosignatures/…` or `probe/…`: reserved.
    Reserved,
}

/// The paths of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

impl Layout {
    /// The chain of that origin.
    pub fn of(origin: &str) -> Layout {
        Layout { root: format!("{origin}/") }
    }

    /// `<origin>/`: what all its keys begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The key of an object.
    pub fn key(&self, place: &Place) -> String {
        format!("{}{}", self.root, place.path())
    }

    /// The folder that lists segments.
    pub fn segments(&self) -> String {
        format!("{}segments/", self.root)
    }

    /// The folder that lists trees files.
    pub fn trees(&self) -> String {
        format!("{}trees/", self.root)
    }

    /// The folder that lists checkpoints.
    pub fn checkpoints(&self) -> String {
        format!("{}checkpoints/", self.root)
    }

    /// The folder that lists key notes.
    pub fn keys(&self) -> String {
        format!("{}keys/", self.root)
    }

    /// The folder that lists schemas.
    pub fn schemas(&self) -> String {
        format!("{}schemas/", self.root)
    }
}

impl Place {
    /// The segment whose first event has that seq and was sealed then.
    pub fn segment(first_sealed_at: Micros, first_seq: Seq) -> Place {
        Place::Segment { date: first_sealed_at.date(), first_seq }
    }

    /// The path, relative to the origin.
    pub fn path(&self) -> String {
        match self {
            Place::Segment { date, first_seq } => {
                format!("segments/date={date}/{first_seq:020}.avro", first_seq = first_seq.0)
            }
            Place::Trees(size) => format!("trees/{size:020}.tiles"),
            Place::Checkpoint(size) => format!("checkpoints/{size:020}.note"),
            Place::Hint => "checkpoint".to_owned(),
            Place::Key(first_size) => format!("keys/{first_size:020}.note"),
            Place::Schema(hash) => format!("schemas/{hash}.avsc"),
            Place::Reserved => "cosignatures/".to_owned(),
        }
    }

    /// What stands at a path relative to the origin; None: the layout knows no such path.
    pub fn parse(path: &str) -> Option<Place> {
        let number = |name: &str, end: &str| {
            let digits = name.strip_suffix(end).filter(|d| d.len() == 20)?;
            decimal(digits.trim_start_matches('0')).or((digits == "00000000000000000000").then_some(0))
        };
        let place = match path.split_once('/') {
            None if path == "checkpoint" => Place::Hint,
            Some(("segments", rest)) => {
                let (date, name) = rest.strip_prefix("date=")?.split_once('/')?;
                Micros::parse_rfc3339(date).filter(|_| date.len() == 10)?;
                Place::Segment { date: date.to_owned(), first_seq: Seq(number(name, ".avro")?) }
            }
            Some(("trees", name)) => Place::Trees(number(name, ".tiles")?),
            Some(("checkpoints", name)) => Place::Checkpoint(number(name, ".note")?),
            Some(("keys", name)) => Place::Key(number(name, ".note")?),
            Some(("schemas", name)) => Place::Schema(Hash::from_hex(name.strip_suffix(".avsc")?)?),
            Some(("cosignatures" | "probe", _)) => return Some(Place::Reserved),
            _ => return None,
        };
        (place.path() == path).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_read_back_and_nothing_else_is() {
        let places = [
            Place::segment(Micros(1_795_253_400_000_000), Seq(70_000)),
            Place::Trees(70_001),
            Place::Checkpoint(0),
            Place::Hint,
            Place::Key(0),
            Place::Schema(Hash([0xab; 32])),
        ];
        for place in places {
            assert_eq!(Place::parse(&place.path()), Some(place));
        }
        for bad in [
            "",
            "x",
            "trees/1.tiles",
            "checkpoints/00000000000000000000.note/x",
            "segments/date=2026-13-01/00000000000000000000.avro",
            "keys/+0000000000000000000.note",
            "schemas/AB.avsc",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_chain_is_not_the_prefix_of_another() {
        assert!(!Layout::of("a/10").trees().starts_with(Layout::of("a/1").root()));
    }
}
