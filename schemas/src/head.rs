//! Head: the last record of every commit in audit.sealed, and all the state that a chainer has. One Avro datum of
//! schemas/avro/Head.avsc; its record's `sealog.schema` header is that schema's hash, which tells it from a
//! SealedEvent.

use std::sync::LazyLock;

use crate::avro::{Input, put_array, put_bool, put_bytes, put_long, put_opt, put_str};
use crate::{Hash, Malformed, Micros, Seq, Tree};

/// The schema's exact JSON bytes.
pub const HEAD_SCHEMA: &[u8] = include_bytes!("../avro/Head.avsc");
static HASH: LazyLock<Hash> = LazyLock::new(|| Hash::of(&[HEAD_SCHEMA]));

/// SHA-256 of [`HEAD_SCHEMA`].
pub fn head_schema_hash() -> Hash {
    *HASH
}

/// The state of a chain after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The tree over all links; its size is the chain's.
    pub tree: Tree,
    /// Hash of the last link; at size 0 the prev of the first.
    pub last_hash: Hash,
    /// When the last link was sealed; 0 at size 0.
    pub last_sealed_at: Micros,
    /// Last offset taken from audit.events, plus 1.
    pub source_position: u64,
    /// SHA-256 of that record's value; zeros before the first.
    pub source_hash: Hash,
    /// The schema of the last link; zeros at size 0.
    pub schema_hash: Hash,
    /// The key in force, as text.
    pub vkey: String,
    /// The segment that is open.
    pub open: OpenSegment,
    /// Whether a segment ends here.
    pub cut: bool,
    /// A signed Checkpoint of the last cut.
    pub checkpoint: Option<String>,
    /// A key note that begins here.
    pub key_note: Option<String>,
}

/// What has been sealed since the last cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenSegment {
    /// Its first seq.
    pub first_seq: Seq,
    /// When that was sealed; 0 while it is empty.
    pub first_sealed_at: Micros,
    /// Its datums, in bytes.
    pub bytes: u64,
}

impl Head {
    /// How many links the chain has.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// How many events the open segment holds.
    pub fn open_events(&self) -> u64 {
        self.size().saturating_sub(self.open.first_seq.0)
    }

    /// Writes the datum behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.tree.size() as i64);
        out.extend_from_slice(self.tree.root().bytes());
        out.extend_from_slice(self.last_hash.bytes());
        put_long(out, self.last_sealed_at.0);
        put_array(out, self.tree.edge().iter(), |out, hash| out.extend_from_slice(hash.bytes()));
        put_long(out, self.source_position as i64);
        out.extend_from_slice(self.source_hash.bytes());
        out.extend_from_slice(self.schema_hash.bytes());
        put_str(out, &self.vkey);
        put_long(out, self.open.first_seq.0 as i64);
        put_long(out, self.open.first_sealed_at.0);
        put_long(out, self.open.bytes as i64);
        put_bool(out, self.cut);
        put_opt(out, self.checkpoint.as_deref(), |out, note: &str| put_bytes(out, note.as_bytes()));
        put_opt(out, self.key_note.as_deref(), |out, note: &str| put_bytes(out, note.as_bytes()));
    }

    /// Reads exactly one datum, and refuses one that contradicts itself.
    pub fn parse(datum: &[u8]) -> Result<Head, Malformed> {
        let mut input = Input::new("Head", datum);
        let size = input.count()?;
        let (root, last_hash) = (Hash(input.array()?), Hash(input.array()?));
        let last_sealed_at = time(&mut input)?;
        let mut edge = Vec::new();
        input.array_of(|input| {
            edge.push(Hash(input.array()?));
            Ok(())
        })?;
        let tree = Tree::from_edge(size, edge).filter(|tree| tree.root() == root);
        let tree = tree.ok_or_else(|| input.malformed("size, root and edge do not fit together"))?;
        let source_position = input.count()?;
        let (source_hash, schema_hash) = (Hash(input.array()?), Hash(input.array()?));
        let vkey = input.str()?.to_owned();
        let first_seq = Seq(input.count()?);
        let open = OpenSegment { first_seq, first_sealed_at: time(&mut input)?, bytes: input.count()? };
        let cut = input.bool()?;
        let checkpoint = input.opt(Input::str)?.map(str::to_owned);
        let key_note = input.opt(Input::str)?.map(str::to_owned);
        if open.first_seq.0 > size || (cut && open.first_seq.0 != size) {
            return Err(input.malformed("the open segment does not fit the size"));
        }
        input.end()?;
        Ok(Head {
            tree,
            last_hash,
            last_sealed_at,
            source_position,
            source_hash,
            schema_hash,
            vkey,
            open,
            cut,
            checkpoint,
            key_note,
        })
    }
}

fn time(input: &mut Input<'_>) -> Result<Micros, Malformed> {
    match Micros(input.long()?) {
        at if (Micros(0)..=Micros::MAX).contains(&at) => Ok(at),
        _ => Err(input.malformed("a time is absurd")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_head() -> Head {
        let mut tree = Tree::new();
        (0..5).for_each(|n| tree.push(Hash([n; 32])));
        Head {
            tree,
            last_hash: Hash([4; 32]),
            last_sealed_at: Micros(17),
            source_position: 9,
            source_hash: Hash([8; 32]),
            schema_hash: Hash([6; 32]),
            vkey: "a+1+b".into(),
            open: OpenSegment { first_seq: Seq(2), first_sealed_at: Micros(12), bytes: 400 },
            cut: false,
            checkpoint: Some("note\n".into()),
            key_note: None,
        }
    }

    #[test]
    fn a_head_is_read_back_and_its_schema_describes_it() {
        let mut datum = Vec::new();
        a_head().encode(&mut datum);
        assert_eq!(Head::parse(&datum), Ok(a_head()));
        let schema = apache_avro::Schema::parse_str(std::str::from_utf8(HEAD_SCHEMA).unwrap()).unwrap();
        let value = apache_avro::from_avro_datum(&schema, &mut &datum[..], None).unwrap();
        assert_eq!(apache_avro::to_avro_datum(&schema, value).unwrap(), datum);
    }

    #[test]
    fn any_flip_or_cut_is_an_error_or_another_head() {
        let mut datum = Vec::new();
        a_head().encode(&mut datum);
        for bit in 0..datum.len() * 8 {
            let mut bytes = datum.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Head::parse(&bytes), Ok(a_head()));
            assert!(Head::parse(&datum[..bit / 8]).is_err());
        }
    }
}
