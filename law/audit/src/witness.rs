//! Witnesses: somebody outside who remembers the last checkpoint it saw, and signs a new one only if it goes on from there.
//! Whoever demands a witness's signature can no longer be shown another history than everybody else.
//!
//! # Source
//! c2sp.org/tlog-witness (`add-checkpoint`)

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{Checkpoint, Signed, decimal};
use crate::note::{Signer, Verifier};
use crate::tree::verify_consistency;
use crate::{Error, Hash};

/// The most hashes a request may carry.
const MAX_HASHES: usize = 63;

/// What a log sends to a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size of the checkpoint that the witness saw last; 0 for none.
    pub old: u64,
    /// That the new tree goes on from it.
    pub proof: Vec<Hash>,
    /// The new checkpoint, signed.
    pub checkpoint: String,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Request {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let no = |why: &str| Error::text("request to a witness", given, why);
        let (head, checkpoint) = given.split_once("\n\n").ok_or_else(|| no("it holds no checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old = old.ok_or_else(|| no("its first line names no old size"))?;
        let proof = lines.map(str::parse).collect::<Result<Vec<Hash>, _>>()?;
        if proof.len() > MAX_HASHES {
            return Err(no("it has more hashes than any tree needs"));
        }
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }
}

/// Does what a witness does: verifies that a checkpoint is the log's and goes on from the last one it saw, and signs it.
/// The caller keeps the checkpoint that comes back, durably, before it gives the lines away.
///
/// # Errors
/// [`Error::Forged`] where it is not the log's; [`Error::Witness`] where the request goes on from another size, naming the
/// right one; [`Error::Unproven`] where the history was changed.
pub fn answer(
    request: &Request,
    log: &Verifier,
    last: Option<&Checkpoint>,
    witness: &Signer,
    seconds: u64,
) -> Result<(Checkpoint, String), Error> {
    let new = Signed::open(&request.checkpoint, log)?.checkpoint;
    let (old, old_root) = last.map_or((0, Hash::empty()), |last| (last.size, last.root));
    if request.old != old {
        let why = format!("it has seen {old} entries, the request goes on from {}", request.old);
        return Err(Error::Witness { witness: witness.verifier().name().to_owned(), why });
    }
    if !verify_consistency(old, new.size, old_root, new.root, &request.proof) {
        return Err(Error::Unproven {
            what: format!("the way from {old} to {} entries", new.size),
            why: "the new tree does not begin with the one that was seen".to_owned(),
        });
    }
    let lines = witness.cosign(&new.to_string(), seconds)?;
    Ok((new, lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tree, leaf_hash, prove_consistency};
    use zeroize::Zeroizing;

    struct World {
        log: Signer,
        witness: Signer,
        tree: Tree,
    }

    fn world() -> World {
        World {
            log: Signer::new("example.com/log", &Zeroizing::new([7; 32])).unwrap(),
            witness: Signer::witness("witness.example/w", &Zeroizing::new([8; 32])).unwrap(),
            tree: Tree::of((0..20_u8).map(|n| leaf_hash(&[n]))),
        }
    }

    impl World {
        fn request(&self, old: u64) -> Request {
            let head = Checkpoint::new("example.com/log", self.tree.size(), self.tree.root());
            let checkpoint = Signed::new(head, &self.log).unwrap().note;
            Request { old, proof: prove_consistency(&self.tree, old, self.tree.size()).unwrap(), checkpoint }
        }

        fn ask(&self, request: &Request, last: Option<&Checkpoint>) -> Result<(Checkpoint, String), Error> {
            answer(request, &self.log.verifier(), last, &self.witness, 1_800_000_000)
        }
    }

    #[test]
    fn a_witness_signs_what_goes_on_from_what_it_saw() {
        let mut world = world();
        let first = world.request(0);
        assert_eq!(first.to_string().parse::<Request>().unwrap(), first);
        let (seen, lines) = world.ask(&first, None).unwrap();
        let note = format!("{}{lines}", first.checkpoint).parse().unwrap();
        world.witness.verifier().verify(&note).unwrap();
        world.tree.push(leaf_hash(b"more"));
        let (seen, _) = world.ask(&world.request(20), Some(&seen)).unwrap();
        assert_eq!(seen.size, 21);
        assert_eq!(world.ask(&world.request(20), Some(&seen)).unwrap_err().code(), "MR3212");
        let error = world.ask(&world.request(0), Some(&seen)).unwrap_err().to_string();
        assert!(error.contains("seen 21 entries"), "{error}");
    }

    #[test]
    fn a_changed_history_is_refused() {
        let mut world = world();
        let (seen, _) = world.ask(&world.request(0), None).unwrap();
        world.tree = Tree::of((0..30_u8).map(|n| leaf_hash(&[n.max(1)])));
        assert_eq!(world.ask(&world.request(20), Some(&seen)).unwrap_err().code(), "MR3209");
        let stranger = Signer::new("example.com/log", &Zeroizing::new([9; 32])).unwrap();
        world.log = stranger;
        let request = world.request(0);
        world.log = Signer::new("example.com/log", &Zeroizing::new([7; 32])).unwrap();
        assert_eq!(world.ask(&request, None).unwrap_err().code(), "MR3201");
    }

    #[test]
    fn malformed_requests_are_refused() {
        for bad in ["", "old 1\n", "old x\n\n", "new 1\n\n", "old 1\nAAAA\n\n", "old 01\n\n"] {
            assert_eq!(bad.parse::<Request>().unwrap_err().code(), "MR3210", "{bad}");
        }
    }
}
