//! A log on disk: as served, as verified by an outsider, and what becomes of it when its files are touched.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};

use audit::{
    Checkpoint, Error, Log, Signed, Signer, Tile, Tree, check_dir, check_since, export_dir, leaf_hash,
    verify_consistency,
};
use event::Instant;
use zeroize::Zeroizing;

fn signer() -> Signer {
    Signer::new("example.com/log", &Zeroizing::new([7; 32])).unwrap()
}

fn entry(n: u64) -> Vec<u8> {
    format!("{{\"n\":{n},\"what\":\"{}\"}}", "x".repeat((n % 7) as usize)).into_bytes()
}

fn open(dir: &Path) -> Result<Log, Error> {
    Log::open(dir, signer().verifier())
}

/// A log of `sizes`, with a checkpoint at each.
fn filled(dir: &Path, sizes: &[u64]) -> Log {
    let mut log = open(dir).unwrap();
    for size in sizes {
        let entries: Vec<Vec<u8>> = (log.size()..*size).map(entry).collect();
        log.append(&entries).unwrap();
        log.sign(&signer(), Instant::from_micros(*size as i64)).unwrap();
    }
    log
}

fn check(dir: &Path) -> Result<audit::Checked, Error> {
    let mut seen = 0;
    check_dir(dir, &signer().verifier(), |index, bytes| {
        assert_eq!((index, bytes), (seen, entry(index).as_slice()));
        seen += 1;
        Ok(())
    })
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("fine", |error| error.code())
}

#[test]
fn a_log_goes_on_after_every_size_and_lies_as_tlog_tiles_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [1, 2, 255, 256, 257, 511, 512, 700, 70_000];
    let mut tree = Tree::default();
    for size in sizes {
        // Each time anew, as after a restart.
        let log = filled(dir.path(), &[size]);
        while tree.size() < size {
            tree.push(leaf_hash(&entry(tree.size())));
        }
        let signed = log.signed().unwrap();
        assert_eq!((signed.checkpoint.size, signed.checkpoint.root), (size, tree.root()));
        let proof = log.prove(size - 1).unwrap();
        proof.verify(&entry(size - 1), &signer().verifier()).unwrap();
        assert_eq!(code(log.prove(size)), "MR3208");
    }
    // What is on disk is what the specification names for this size, and nothing else.
    let mut found: Vec<String> = files(&dir.path().join("tile"))
        .iter()
        .map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<String> = Tile::of_size(70_000).map(|tile| tile.to_string()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let whole = std::fs::read(dir.path().join("tile/0/000")).unwrap();
    assert_eq!(whole.len(), 8_192);
    assert_eq!(whole[..32], *leaf_hash(&entry(0)).as_bytes());
    let checked = check(dir.path()).unwrap();
    assert_eq!((checked.signed.checkpoint.size, checked.n_checkpoints), (70_000, 9));
}

#[test]
fn proofs_between_any_two_checkpoints_hold() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [3, 256, 300, 600, 1_000];
    let log = filled(dir.path(), &sizes);
    let history: Vec<Checkpoint> = std::fs::read_to_string(dir.path().join("checkpoints"))
        .unwrap()
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            Signed::open(line["checkpoint"].as_str().unwrap(), &signer().verifier()).unwrap().checkpoint
        })
        .collect();
    assert_eq!(history.iter().map(|checkpoint| checkpoint.size).collect::<Vec<_>>(), sizes);
    for old in &history {
        for new in history.iter().filter(|new| new.size >= old.size) {
            let proof = log.prove_consistency(old.size, new.size).unwrap();
            assert!(verify_consistency(old.size, new.size, old.root, new.root, &proof));
        }
    }
    assert_eq!(code(log.prove_consistency(3, 1_001)), "MR3208");
    assert_eq!(code(log.prove_consistency(4, 3)), "MR3208");
}

#[test]
fn an_earlier_checkpoint_s_tiles_are_given_out_still() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path(), &[100, 300]);
    let bytes = |path: &str| log.tiles().bytes(path.parse().unwrap());
    assert_eq!(bytes("tile/0/000.p/100").unwrap().len(), 3_200);
    assert_eq!(bytes("tile/0/000").unwrap().len(), 8_192);
    assert_eq!(bytes("tile/0/001.p/44").unwrap().len(), 44 * 32);
    let first: Vec<Vec<u8>> = (0..100).map(entry).collect();
    let bundle = bytes("tile/entries/000.p/100").unwrap();
    assert_eq!(audit::entries_of_bundle(&bundle).unwrap(), first);
    for beyond in ["tile/0/001.p/45", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2", "tile/7/000.p/1"] {
        assert_eq!(code(bytes(beyond)), "MR3208", "{beyond}");
    }
}

/// A copy of `from` in which one file is changed.
fn touched(from: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in files(from) {
        let to = dir.path().join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
    let path = dir.path().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn every_touched_file_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[100, 600]);
    let found = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let dir = touched(dir.path(), name, |bytes| change(bytes));
        let error = check_dir(dir.path(), &signer().verifier(), |_, _| Ok(())).unwrap_err();
        (error.code(), error.to_string())
    };
    // An entry changed in its bundle: its index is told.
    let (code, said) = found("tile/entries/001", &|bytes| {
        let at = bytes.windows(3).position(|three| three == b"300").unwrap();
        bytes[at] = b'4';
    });
    assert_eq!(code, "MR3202");
    assert!(said.contains("entry 300 "), "{said}");
    // Entry and tile changed together: the checkpoint before and the one after it enclose it.
    let both = touched(dir.path(), "tile/entries/001", |bytes| {
        let at = bytes.windows(3).position(|three| three == b"300").unwrap();
        bytes[at] = b'4';
    });
    let mut forged = entry(300);
    forged[5] = b'4';
    let tile = both.path().join("tile/0/001");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[(300 - 256) * 32..][..32].copy_from_slice(leaf_hash(&forged).as_bytes());
    std::fs::write(&tile, bytes).unwrap();
    let error = check_dir(both.path(), &signer().verifier(), |_, _| Ok(())).unwrap_err();
    assert!(matches!(error.code(), "MR3204" | "MR3205"), "{error}");
    for (name, cut) in [("tile/0/001", 1), ("tile/entries/002.p/88", 1), ("tile/1/000.p/2", 32)] {
        let (code, said) = found(name, &|bytes| bytes.truncate(bytes.len() - cut));
        assert_eq!(code, "MR3205");
        assert!(said.contains(name), "{said}");
    }
    let (code, said) = found("tile/1/000.p/2", &|bytes| bytes[40] ^= 1);
    assert_eq!(code, "MR3205");
    assert!(said.contains("hash 1"), "{said}");
    let (code, _) = found("tile/0/002.p/88", &|bytes| bytes[0] ^= 1);
    assert_eq!(code, "MR3202");
    // Checkpoints: forged, of another size, rolled back.
    let edit = |bytes: &mut Vec<u8>, from: &str, to: &str| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        assert!(text.contains(from), "{text}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    };
    assert_eq!(found("checkpoint", &|bytes| edit(bytes, "600", "601")).0, "MR3201");
    assert_eq!(found("checkpoint", &|bytes| bytes.clear()).0, "MR3210");
    assert_eq!(found("checkpoints", &|bytes| edit(bytes, "100", "101")).0, "MR3201");
    assert_eq!(found("checkpoints", &|bytes| bytes.truncate(50)).0, "MR3205");
    let first = Signed::new(
        Checkpoint::new("example.com/log", 100, Tree::of((0..100).map(|n| leaf_hash(&entry(n)))).root()),
        &signer(),
    );
    let first = first.unwrap().note;
    let (code, said) = found("checkpoint", &|bytes| *bytes = first.clone().into_bytes());
    assert!(matches!(code, "MR3203" | "MR3205"), "{said}");
    check(dir.path()).unwrap();
}

#[test]
fn a_tampered_edge_is_refused_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[600]);
    let refused = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let dir = touched(dir.path(), name, |bytes| change(bytes));
        code(open(dir.path()))
    };
    assert_eq!(refused("tile/0/002.p/88", &|bytes| bytes[5] ^= 1), "MR3204");
    assert_eq!(refused("tile/0/002.p/88", &|bytes| bytes.truncate(31)), "MR3205");
    assert_eq!(refused("tile/entries/002.p/88", &|bytes| bytes.truncate(31)), "MR3205");
    assert_eq!(refused("checkpoint", &|bytes| bytes[20] ^= 1), "MR3201");
    let other = Signer::new("example.com/other", &Zeroizing::new([7; 32])).unwrap().verifier();
    assert_eq!(code(Log::open(dir.path(), other)), "MR3206");
}

#[test]
fn removed_tiles_are_made_anew_and_must_lead_to_the_signed_root() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[600]);
    std::fs::remove_dir_all(dir.path().join("tile")).unwrap();
    let all: Vec<Vec<u8>> = (0..700).map(entry).collect();
    let mut log = open(dir.path()).unwrap();
    assert_eq!(log.size(), 0);
    log.append(&all).unwrap();
    log.sign(&signer(), Instant::from_micros(9)).unwrap();
    check(dir.path()).unwrap();

    std::fs::remove_dir_all(dir.path().join("tile")).unwrap();
    let mut forged = all.clone();
    forged[17] = b"another".to_vec();
    let error = open(dir.path()).unwrap().append(&forged).unwrap_err();
    assert_eq!(error.code(), "MR3204");
    assert!(error.to_string().contains("before 700"), "{error}");
    // Fewer than were signed cannot be signed again; and what was made anew only in part is made anew whole.
    let mut fewer = open(dir.path()).unwrap();
    fewer.append(&all[..500]).unwrap();
    assert_eq!(code(fewer.sign(&signer(), Instant::from_micros(9))), "MR3203");
    let mut log = open(dir.path()).unwrap();
    assert_eq!(log.size(), 0);
    log.append(&all).unwrap();
    check(dir.path()).unwrap();
}

#[test]
fn a_crash_between_tiles_and_checkpoint_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &[250]);
    let more: Vec<Vec<u8>> = (250..530).map(entry).collect();
    open(dir.path()).unwrap().append(&more).unwrap();
    // No checkpoint came: the next start sees what was signed, and appends again.
    let mut log = open(dir.path()).unwrap();
    assert_eq!(log.size(), 250);
    log.append(&more[..10]).unwrap();
    log.sign(&signer(), Instant::from_micros(2)).unwrap();
    log.append(&more[10..]).unwrap();
    log.sign(&signer(), Instant::from_micros(3)).unwrap();
    check(dir.path()).unwrap();
    // Torn ends of the two files that hold checkpoints.
    let path = dir.path().join("checkpoints");
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend_from_slice(b"{\"at\":\"20");
    std::fs::write(&path, torn).unwrap();
    std::fs::write(dir.path().join("checkpoint"), b"").unwrap();
    let mut log = open(dir.path()).unwrap();
    assert_eq!(log.size(), 530);
    log.append(&[entry(530)]).unwrap();
    log.sign(&signer(), Instant::from_micros(4)).unwrap();
    assert_eq!(check(dir.path()).unwrap().n_checkpoints, 4);
}

#[test]
fn an_export_verifies_by_itself_and_a_witness_s_line_stays_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut log = filled(dir.path(), &[10, 300]);
    let witness = Signer::witness("witness.example/w", &Zeroizing::new([8; 32])).unwrap();
    let lines = witness.cosign(&log.signed().unwrap().checkpoint.to_string(), 1_800_000_000).unwrap();
    let wrong = witness.cosign("example.com/log\n1\nx\n", 1_800_000_000).unwrap();
    assert_eq!(code(log.cosigned(&wrong, &witness.verifier(), Instant::from_micros(5))), "MR3212");
    log.cosigned(&lines, &witness.verifier(), Instant::from_micros(5)).unwrap();
    let (n_files, n_bytes) = export_dir(&log, out.path()).unwrap();
    assert_eq!((n_files, n_bytes > 10_000), (8, true));
    let checked = check(out.path()).unwrap();
    assert_eq!(checked.other_signers, ["witness.example/w"]);
    assert_eq!(checked.n_checkpoints, 3);
    // A checkpoint kept from earlier is still its beginning; one of another history, or of a longer one, is not.
    let kept = |size: u64, entry_of: &dyn Fn(u64) -> Vec<u8>| {
        let tree = Tree::of((0..size).map(|n| leaf_hash(&entry_of(n))));
        check_since(
            out.path(),
            &Checkpoint::new("example.com/log", size, tree.root()),
            &checked.signed.checkpoint,
        )
    };
    assert_eq!(code(kept(10, &entry)), "fine");
    assert_eq!(code(kept(257, &entry)), "fine");
    assert_eq!(code(kept(257, &|n| entry(n + 1))), "MR3204");
    assert_eq!(code(kept(301, &entry)), "MR3203");
    // It survives a restart, and the next checkpoint needs a new one.
    drop(log);
    let log = open(dir.path()).unwrap();
    assert!(witness.verifier().is_on(&log.signed().unwrap().note.parse().unwrap()));
}

#[test]
fn an_empty_log_is_signed_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path()).unwrap();
    assert!(log.signed().is_none());
    assert_eq!(code(log.prove(0)), "MR3208");
    log.sign(&signer(), Instant::from_micros(0)).unwrap();
    assert_eq!(check(dir.path()).unwrap().signed.checkpoint.size, 0);
    assert_eq!(code(log.append(&[vec![0; 65_536]])), "MR3207");
}
