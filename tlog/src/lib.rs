//! The archive as a transparency log: the hashes of a chain's tree, proofs from them, and the event that a proof is
//! about.
//!
//! `archive` opens a chain and its Checkpoints; `hashes` gives the tiles of the tree, each bound to a signed root before
//! it is given; `named` passes over the trees files that nobody signed for; `segment` gets one event out of its segment,
//! and `search` finds it there without reading all of it; `proof` and `consistency` make and check paths, as functions of
//! hashes alone; `prove` joins them into what leaves the process, and `check` is the other side of it, for whoever has
//! the file and a key and nothing else; `index` finds an event by its id.
//!
//! Nothing here writes into an archive, and nothing that it reads there is believed for where it lies: what is given is
//! what a signature covers.

pub mod archive;
pub mod check;
pub mod consistency;
mod error;
pub mod hashes;
pub mod index;
mod laid;
mod links;
mod listing;
mod named;
pub mod proof;
mod prove;
mod sealed;
mod search;
pub mod segment;
pub mod view;

pub use archive::{Chain, Signed};
pub use check::{Checked, Consistent, Included, NoProof, check};
pub use error::{Error, Result};
pub use index::{Found, Index, IndexError};
pub use sealed::Sealed;
