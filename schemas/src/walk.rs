//! The walk over links: the one place that says what follows what. The chainer makes links with it, the archiver and
//! the verifier follow them.

use std::fmt;

use crate::{Hash, Link, Micros, SealedEvent, Seq, Tree};

/// Where a chain stands after some link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    tree: Tree,
    last_hash: Hash,
    last_sealed_at: Micros,
}

/// A link that does not follow the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The place where it was expected.
    pub seq: Seq,
    /// Which of its fields does not fit.
    pub field: &'static str,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq {}: {} should be {}, is {}", self.seq, self.field, self.expected, self.found)
    }
}

impl std::error::Error for Misfit {}

impl Walk {
    /// Before the first link: `first_prev` is what its prev must be.
    pub fn begin(first_prev: Hash) -> Walk {
        Walk { tree: Tree::new(), last_hash: first_prev, last_sealed_at: Micros(-1) }
    }

    /// After the last link of `tree`.
    pub fn resume(tree: Tree, last_hash: Hash, last_sealed_at: Micros) -> Walk {
        let last_sealed_at = if tree.size() == 0 { Micros(-1) } else { last_sealed_at };
        Walk { tree, last_hash, last_sealed_at }
    }

    /// The seq that comes next.
    pub fn next_seq(&self) -> Seq {
        Seq(self.tree.size())
    }

    /// The tree so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The hash of the last link.
    pub fn last_hash(&self) -> Hash {
        self.last_hash
    }

    /// When the last link was sealed; 0 before the first.
    pub fn last_sealed_at(&self) -> Micros {
        self.last_sealed_at.max(Micros(0))
    }

    /// The sealed_at that the next link gets at `now`: later than the last in any case.
    pub fn seal_time(&self, now: Micros) -> Micros {
        now.max(Micros(self.last_sealed_at.0 + 1))
    }

    /// Makes the next link.
    pub fn extend(&mut self, event_hash: Hash, sealed_at: Micros) -> (Link, Hash) {
        let link = Link {
            seq: self.next_seq(),
            sealed_at: self.seal_time(sealed_at),
            prev: self.last_hash,
            event_hash,
        };
        let hash = link.hash();
        self.step(&link, hash);
        (link, hash)
    }

    /// Takes the next SealedEvent if it follows, and its hash is the hash of its link. Nothing changes if it does not.
    pub fn follow(&mut self, sealed: &SealedEvent<'_>, schema_hash: &Hash) -> Result<(), Misfit> {
        let seq = self.next_seq();
        let misfit = |field, expected: String, found: String| Err(Misfit { seq, field, expected, found });
        if sealed.seq != seq {
            return misfit("seq", seq.to_string(), sealed.seq.to_string());
        }
        if sealed.sealed_at <= self.last_sealed_at {
            return misfit(
                "sealed_at",
                format!("after {}", self.last_sealed_at.rfc3339()),
                sealed.sealed_at.rfc3339(),
            );
        }
        if sealed.prev != self.last_hash {
            return misfit("prev", self.last_hash.to_string(), sealed.prev.to_string());
        }
        let link = sealed.link(schema_hash);
        let hash = link.hash();
        if sealed.hash != hash {
            return misfit("hash", hash.to_string(), sealed.hash.to_string());
        }
        self.step(&link, hash);
        Ok(())
    }

    fn step(&mut self, link: &Link, hash: Hash) {
        self.tree.push(hash);
        self.last_hash = hash;
        self.last_sealed_at = link.sealed_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_walk_extends_another_follows() {
        let schema = Hash([9; 32]);
        let (mut made, mut followed) = (Walk::begin(Hash([1; 32])), Walk::begin(Hash([1; 32])));
        for n in 0..5u8 {
            let (link, hash) = made.extend(crate::event_hash(&schema, &[n]), Micros(50));
            let sealed = SealedEvent {
                seq: link.seq,
                sealed_at: link.sealed_at,
                prev: link.prev,
                hash,
                event_bytes: &[n],
            };
            let before = followed.clone();
            let other = |change: &dyn Fn(&mut SealedEvent<'_>)| {
                let mut wrong = sealed;
                change(&mut wrong);
                before.clone().follow(&wrong, &schema).map_err(|misfit| misfit.field)
            };
            assert_eq!(other(&|s| s.seq = Seq(9)), Err("seq"));
            assert_eq!(other(&|s| s.sealed_at = before.last_sealed_at), Err("sealed_at"));
            assert_eq!(other(&|s| s.prev = Hash([7; 32])), Err("prev"));
            assert_eq!(other(&|s| s.event_bytes = &[77]), Err("hash"));
            followed.follow(&sealed, &schema).unwrap();
        }
        assert_eq!(made, followed);
        assert_eq!(made.last_sealed_at(), Micros(54), "a clock that stands still is stepped over");
    }
}
