//! The reference log of 70,000 entries: our tree, checkpoints and proofs are the same, byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};

use audit::{
    Checkpoint, Hash, Proof, Signed, Signer, Tree, Verifier, leaf_hash, prove_consistency, prove_inclusion,
    verify_consistency, verify_inclusion,
};
use serde_json::Value;
use zeroize::Zeroizing;

/// The folder of real data; `None` is said aloud, and is a failure where CI runs.
fn data(file: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is not there", path.display());
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn entry(n: u64) -> String {
    format!(
        r#"{{"seq":{n},"act":"read","purpose":"direct_marketing","subj":"hmac:{:064x}","dec":"allow"}}"#,
        n * 7_919
    )
}

#[test]
fn tree_checkpoints_and_proofs_are_the_reference_log_s() {
    let Some(path) = data("govern/tlog_checkpoint_vectors.json") else { return };
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    let hashes = |name: &str| -> Vec<Hash> {
        vectors[name].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
    };
    let index = vectors["idx"].as_u64().unwrap();
    assert_eq!(entry(index), text("leaf"));

    let origin = "maschinenraum.example/audit";
    let signer = Signer::new(origin, &Zeroizing::new([7; 32])).unwrap();
    assert_eq!(signer.verifier().to_string(), text("vkey"));
    let log: Verifier = text("vkey").parse().unwrap();
    let (mut tree, mut old_root) = (Tree::default(), Hash::empty());
    for n in 0..70_000 {
        if n == 60_000 {
            old_root = tree.root();
            let note = Signed::new(Checkpoint::new(origin, 60_000, old_root), &signer).unwrap().note;
            assert_eq!(note, text("cp_old"));
        }
        tree.push(leaf_hash(entry(n).as_bytes()));
    }
    let note = Signed::new(Checkpoint::new(origin, 70_000, tree.root()), &signer).unwrap().note;
    assert_eq!(note, text("cp"));
    assert_eq!(Signed::open(&text("cp_old"), &log).unwrap().checkpoint.root, old_root);

    let inclusion = prove_inclusion(&tree, index, 70_000).unwrap();
    assert_eq!(inclusion, hashes("proof"));
    let leaf = leaf_hash(text("leaf").as_bytes());
    assert!(verify_inclusion(index, 70_000, leaf, &inclusion, tree.root()));
    assert!(!verify_inclusion(index + 1, 70_000, leaf, &inclusion, tree.root()));
    let consistency = prove_consistency(&tree, 60_000, 70_000).unwrap();
    assert_eq!(consistency, hashes("cons"));
    assert!(verify_consistency(60_000, 70_000, old_root, tree.root(), &consistency));
    assert!(!verify_consistency(60_001, 70_000, old_root, tree.root(), &consistency));

    let proof = Proof { index, hashes: inclusion, checkpoint: text("cp"), extra: None };
    let read: Proof = proof.to_string().parse().unwrap();
    assert_eq!(read.verify(text("leaf").as_bytes(), &log).unwrap().checkpoint.size, 70_000);
    let forged = text("cp").replace("70000", "70001");
    assert_eq!(Signed::open(&forged, &log).unwrap_err().code(), "MR3201");
}
