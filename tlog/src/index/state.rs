//! Where an index stands in a chain: what it takes to follow the next link.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | number of the chain in this index |
//! | 32 | prev of its first link, which names origin and first key |
//! | 8 | how many events were taken |
//! | 8 | sealed_at of the last of them |
//! | 32 | its hash |
//! | 32 each | the right edge of the tree |

use schemas::avro::Input;
use schemas::{Hash, Malformed, Micros, Tree, Walk};

/// A place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) number: u32,
    pub(super) first_prev: Hash,
    pub(super) walk: Walk,
}

impl State {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let tree = self.walk.tree();
        let mut out = self.number.to_be_bytes().to_vec();
        out.extend_from_slice(self.first_prev.bytes());
        out.extend_from_slice(&tree.size().to_be_bytes());
        out.extend_from_slice(&self.walk.last_sealed_at().0.to_be_bytes());
        out.extend_from_slice(self.walk.last_hash().bytes());
        tree.edge().iter().for_each(|hash| out.extend_from_slice(hash.bytes()));
        out
    }

    /// None: it is not what [`State::to_bytes`] writes, so nothing is known.
    pub(super) fn parse(bytes: &[u8]) -> Option<State> {
        let read = || -> Result<Option<State>, Malformed> {
            let mut input = Input::new("index state", bytes);
            let number = u32::from_be_bytes(input.array()?);
            let first_prev = Hash(input.array()?);
            let size = u64::from_be_bytes(input.array()?);
            let last_sealed_at = Micros(i64::from_be_bytes(input.array()?));
            let last_hash = Hash(input.array()?);
            let (edge, rest) = input.rest().as_chunks::<32>();
            let tree = Tree::from_edge(size, edge.iter().map(|hash| Hash(*hash)).collect());
            let walk =
                tree.filter(|_| rest.is_empty()).map(|tree| Walk::resume(tree, last_hash, last_sealed_at));
            Ok(walk.map(|walk| State { number, first_prev, walk }))
        };
        read().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_and_a_part_of_one_is_none() {
        let mut walk = Walk::begin(Hash([1; 32]));
        for n in 0..7 {
            let state = State { number: 3, first_prev: Hash([1; 32]), walk: walk.clone() };
            let bytes = state.to_bytes();
            assert_eq!(State::parse(&bytes), Some(state));
            (0..bytes.len()).for_each(|cut| assert_eq!(State::parse(&bytes[..cut]), None));
            walk.extend(Hash([n; 32]), Micros(50));
        }
    }
}
