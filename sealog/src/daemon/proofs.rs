//! The archive as the gateway looks into it, for those who wait until their events are there.

use std::sync::{Arc, Mutex, PoisonError};

use ingestor::gateway::Archived;
use schemas::{Hash, ProofData, Seq, TlogProof};
use store::Store;
use tlog::Chain;

/// The chains of an archive, each opened when it is first asked for.
pub struct Proofs {
    store: Arc<dyn Store>,
    chains: Vec<(String, Mutex<Option<Arc<Chain>>>)>,
}

impl Proofs {
    /// Nothing is read yet.
    pub fn new(store: Arc<dyn Store>, origin: &str, chains: u32) -> Proofs {
        let chains = (0..chains).map(|chain| (chainer::chain_origin(origin, chain), Mutex::default()));
        Proofs { store, chains: chains.collect() }
    }

    fn chain(&self, chain: u32) -> Result<(Arc<Chain>, bool), tlog::Error> {
        let (origin, opened) = self
            .chains
            .get(chain as usize)
            .ok_or_else(|| tlog::Error::NotThere(format!("there is no chain {chain}")))?;
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*opened {
            return Ok((known.clone(), false));
        }
        let fresh = Arc::new(Chain::open(self.store.clone(), origin)?);
        *opened = Some(fresh.clone());
        Ok((fresh, true))
    }
}

impl Archived for Proofs {
    fn size(&self, chain: u32) -> Result<u64, String> {
        let (chain, fresh) = self.chain(chain).map_err(|error| error.to_string())?;
        if !fresh {
            chain.look_again().map_err(|error| error.to_string())?;
        }
        Ok(chain.newest().map_or(0, |newest| newest.size))
    }

    fn proof(&self, chain: u32, seq: u64, hash: &Hash) -> Result<String, String> {
        let prove = || {
            let (chain, _) = self.chain(chain)?;
            chain.prove(Seq(seq), &chain.first_covering(seq)?)
        };
        let proof = prove().map_err(|error: tlog::Error| error.to_string())?;
        match is_about(&proof, hash) {
            true => Ok(proof),
            false => {
                Err(format!("the archive has another event at seq {seq}: is it the one that is written?"))
            }
        }
    }
}

/// Whether the event in a proof is the one whose link has this hash.
fn is_about(proof: &str, hash: &Hash) -> bool {
    let extra = TlogProof::parse(proof.as_bytes()).ok().and_then(|proof| proof.extra);
    extra.is_some_and(|extra| ProofData::parse(&extra).is_ok_and(|data| data.link.hash() == *hash))
}
