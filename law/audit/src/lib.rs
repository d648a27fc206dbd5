//! The transparency log: what was done with privilege, in a Merkle tree that an outsider can verify (LAW 10).
//!
//! ```text
//! Act → Entry (one JSON line) → record of `mr.audit` → fold: index, tree → Log: tiles on disk, signed checkpoints
//! ```
//! The tree is that of RFC 6962; tiles and entry bundles lie as C2SP's tlog-tiles has them, checkpoints are its signed
//! notes, proofs its `.tlog-proof` texts, so that anybody's tools verify them. A leaf hashes the entry's bytes as they are
//! written, sealed parts as ciphertext: what is erased stays proven. The journal holds the entries and their order (LAW 2);
//! tiles are derived from it, checkpoints are kept.
//!
//! This room knows nothing of keys' whereabouts, of HTTP or of who may read: a [`Signer`] is handed in.
//!
//! ```
//! use audit::{Frontier, leaf_hash, prove_inclusion, verify_inclusion, Tree};
//! # fn main() -> Result<(), audit::Error> {
//! let entries: Vec<Vec<u8>> = (0..300_u32).map(|n| n.to_be_bytes().to_vec()).collect();
//! let tree = Tree::of(entries.iter().map(|entry| leaf_hash(entry)));
//! let proof = prove_inclusion(&tree, 17, 300)?;
//! assert!(verify_inclusion(17, 300, leaf_hash(&entries[17]), &proof, tree.root()));
//! # Ok(())
//! # }
//! ```

mod act;
mod check;
mod checkpoint;
mod error;
mod files;
mod fold;
mod hash;
pub mod note;
mod proof;
mod tile;
mod tiles;
mod tree;
pub mod witness;

pub use act::{Act, Entry, MAX_ENTRY};
pub use check::{Checked, check_dir, check_since, export_dir};
pub use checkpoint::{Checkpoint, Signed};
pub use error::Error;
pub use files::Log;
pub use fold::{AUDIT, AuditFold, Tables};
pub use hash::{Hash, leaf_hash, node_hash};
pub use note::{Signer, Verifier};
pub use proof::Proof;
pub use tile::{Tile, WIDTH, entries_of_bundle, push_entry};
pub use tiles::Tiles;
pub use tree::{
    Frontier, Nodes, Tree, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
