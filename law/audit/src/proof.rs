//! Proofs as texts that stand alone: index, hashes, and the checkpoint they lead to.
//!
//! # Source
//! c2sp.org/tlog-proof

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Signed, decimal};
use crate::note::{MAX_NOTE, Verifier};
use crate::tree::verify_inclusion;
use crate::{Error, Hash, leaf_hash};

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// That an entry is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The entry's index.
    pub index: u64,
    /// From the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Whatever else; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
}

impl Proof {
    /// Verifies that `entry` is in the log whose key this is; gives the checkpoint that says so.
    ///
    /// # Errors
    /// [`Error::Forged`] where the checkpoint is not the log's; [`Error::Unproven`] where the hashes do not lead from this
    /// entry to it.
    pub fn verify(&self, entry: &[u8], log: &Verifier) -> Result<Signed, Error> {
        let signed = Signed::open(&self.checkpoint, log)?;
        let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
        if verify_inclusion(self.index, size, leaf_hash(entry), &self.hashes, root) {
            return Ok(signed);
        }
        Err(Error::Unproven {
            what: format!("the proof of entry {}", self.index),
            why: format!("its hashes do not lead from this entry to the checkpoint of size {size}"),
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Proof {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let no = |why: &str| Error::text("proof", given, why);
        if given.len() > 2 * MAX_NOTE {
            return Err(no("it is too long"));
        }
        let (head, checkpoint) = given.split_once("\n\n").ok_or_else(|| no("it holds no checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEAD) {
            return Err(no("its first line is not that of a proof"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra ")).map(|text| STANDARD.decode(text));
        let extra = extra.transpose().map_err(|_| no("its further data is not base64"))?;
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or_else(|| no("it names no index"))?;
        let hashes = lines.map(str::parse).collect::<Result<Vec<Hash>, _>>()?;
        if hashes.len() > 64 {
            return Err(no("it has more hashes than any tree needs"));
        }
        Ok(Self { index, hashes, checkpoint: checkpoint.to_owned(), extra })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkpoint, Signer, Tree, prove_inclusion};
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn proof(extra: Option<Vec<u8>>) -> (Proof, Verifier) {
        let tree = Tree::of((0..9_u8).map(|n| leaf_hash(&[n])));
        let signer = Signer::new("example.com/log", &Zeroizing::new([7; 32])).unwrap();
        let head = Checkpoint::new("example.com/log", tree.size(), tree.root());
        let checkpoint = Signed::new(head, &signer).unwrap().note;
        (
            Proof { index: 4, hashes: prove_inclusion(&tree, 4, 9).unwrap(), checkpoint, extra },
            signer.verifier(),
        )
    }

    #[test]
    fn a_proof_reads_back_and_verifies_its_entry_only() {
        for extra in [None, Some(b"whatever".to_vec())] {
            let (proof, log) = proof(extra);
            let read: Proof = proof.to_string().parse().unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.verify(&[4], &log).unwrap().checkpoint.size, 9);
            assert_eq!(read.verify(&[5], &log).unwrap_err().code(), "MR3209");
            let elsewhere = Proof { index: 5, ..read.clone() };
            assert_eq!(elsewhere.verify(&[4], &log).unwrap_err().code(), "MR3209");
            let forged = Proof { checkpoint: read.checkpoint.replace("\n9\n", "\n8\n"), ..read };
            assert_eq!(forged.verify(&[4], &log).unwrap_err().code(), "MR3201");
        }
    }

    #[test]
    fn malformed_proofs_say_what_is_wrong() {
        let (good, _) = proof(None);
        let good = good.to_string();
        for (bad, why) in [
            (String::new(), "no checkpoint"),
            (good.replace("@v1", "@v2"), "first line"),
            (good.replace("index 4", "index 04"), "no index"),
            (good.replace("index 4", "extra !\nindex 4"), "not base64"),
            (good.replace("index 4\n", "index 4\nAAAA\n"), "3 bytes"),
            (
                good.replace("index 4\n", &format!("index 4\n{}", format!("{}\n", Hash::empty()).repeat(65))),
                "more",
            ),
        ] {
            let error = bad.parse::<Proof>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "(c2sp.org/tlog-proof@v1\nindex [0-9]{0,3}\n)?.{0,200}") {
            let _ = text.parse::<Proof>();
        }
    }
}
