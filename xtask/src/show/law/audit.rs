//! The audit log of a house that serves, verified by Go's own transparency-log packages: over HTTP, and from an export.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{folder, printed, ran};
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

pub const ITEM: Item = Item {
    id: "audit",
    title: "Go's sumdb note and tlog verify checkpoints, entries, tiles, inclusion and consistency, and reject what is tampered",
    bar: "all verified over HTTP and from an export, every tampered one rejected, also by `audit verify`",
    run,
};

/// Keys made before the first checkpoint and after it: each is an entry.
const N_KEYS: [usize; 2] = [300, 400];

/// What Go says.
#[derive(Deserialize)]
struct Outsider {
    size: u64,
    old: u64,
    entries: u64,
    tiles: u64,
    inclusion: u64,
    consistency: u64,
    tampered: u64,
    rejected: u64,
}

fn run(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let work = folder(place, "law-audit")?;
    let outsider = outsider(place, &work)?;
    let project = work.join("project");
    ran(Command::new(&binary).arg("init").arg(&project), &[0])?;
    let key = served::make_key(&binary, &project)?;
    let of = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--project").arg(&project).args(args);
        command
    };
    let vkey = ran(&mut of(&["audit", "key"]), &[0])?.trim().to_owned();
    let old = work.join("old.checkpoint");
    let served = Served::start(&binary, &project, &key)?;
    let mut client = served.client()?;
    let mut fill = |n: usize| -> Result<Vec<u8>> {
        for i in 0..n {
            let body = format!(r#"{{"name":"k{i}","scopes":["track"]}}"#);
            client.fetch("POST", "/v1/keys", body.as_bytes())?;
        }
        client.fetch("GET", "/v1/audit/checkpoint", b"")
    };
    let [before, after] = N_KEYS;
    std::fs::write(&old, fill(before)?)?;
    fill(after)?;
    let url = format!("http://{}/v1/audit", served.address);
    let over_http: Outsider =
        printed(Command::new(&outsider).args([&url, &vkey]).arg(&old).env("AUDIT_KEY", &key))?;
    drop(client);
    served.stop()?;

    let export = work.join("export");
    ran(of(&["audit", "export"]).arg(&export), &[0])?;
    let of_files: Outsider = printed(Command::new(&outsider).arg(&export).arg(&vkey).arg(&old))?;
    let alone = |dir: &Path, codes: &[i32]| {
        let mut command = Command::new(&binary);
        ran(command.current_dir("/").args(["audit", "verify"]).arg(dir).args(["--key", &vkey]), codes)
    };
    alone(&export, &[0])?;
    let n_found = tampered(&export, |dir| alone(dir, &[1]).is_ok())?;

    let both = [&over_http, &of_files];
    let expected = (before + after) as u64;
    for said in both {
        // Three tiles of leaves and one above them hold 700 entries.
        ensure!(said.size >= expected && said.entries == said.size, "Go saw {} entries", said.size);
        ensure!(said.old >= before as u64 && said.tiles >= 4, "Go saw {} tiles", said.tiles);
    }
    let rejected = both.iter().all(|said| said.tampered == said.rejected && said.tampered > 500);
    let text = format!(
        "{} entries; over HTTP {} inclusion and {} consistency proofs, from the export {} and {}; tampered and rejected: {} of {}; \
         touched exports found: {n_found} of {}",
        of_files.size,
        over_http.inclusion,
        over_http.consistency,
        of_files.inclusion,
        of_files.consistency,
        over_http.rejected + of_files.rejected,
        over_http.tampered + of_files.tampered,
        TOUCHED.len(),
    );
    Ok(Figure { text, holds: rejected && n_found == TOUCHED.len() })
}

/// Files of an export, and what part of them is touched.
const TOUCHED: [(&str, usize); 6] = [
    ("tile/entries/000", 1_000),
    ("tile/entries/001", 40),
    ("tile/0/000", 4_000),
    ("tile/0/001", 8_191),
    ("checkpoint", 30),
    ("checkpoints", 100),
];

/// Touches one byte of each, and counts how often that is found.
fn tampered(export: &Path, found: impl Fn(&Path) -> bool) -> Result<usize> {
    let mut n_found = 0;
    for (name, at) in TOUCHED {
        let path = export.join(name);
        let whole = std::fs::read(&path)?;
        let mut bytes = whole.clone();
        let byte = bytes.get_mut(at).with_context(|| format!("{name} is shorter than {at}"))?;
        *byte ^= 1;
        std::fs::write(&path, bytes)?;
        n_found += usize::from(found(export));
        std::fs::write(&path, whole)?;
    }
    Ok(n_found)
}

/// The Go program of `bench/peers/sumdb`, built once per run.
fn outsider(place: &Place, work: &Path) -> Result<std::path::PathBuf> {
    let program = work.join("outsider");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(place.root.join("bench/peers/sumdb"))
        .status()
        .context("`go` is not installed: Debian's golang-go, or any Go from 1.24 on")?;
    if !built.success() {
        bail!(
            "the Go program does not build; its one module, golang.org/x/mod, comes through the Go module proxy"
        );
    }
    Ok(program)
}
