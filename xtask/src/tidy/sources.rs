//! What every source file keeps to: a header, a size, nothing unfinished, nothing ignored.

use super::{Findings, Room};
use crate::place::Place;
use anyhow::Result;
use std::path::Path;

const REFUSED_LINES: usize = 1_000;
const LISTED_LINES: usize = 500;
/// A crate's share of all lines is refused above this, once the house is big enough for shares to mean something.
const SHARE_PERCENT: usize = 20;
const SHARE_FROM_LINES: usize = 10_000;
/// Spelt apart so that this file keeps its own rule.
const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[", "ignore]"),
    concat!("#[", "ignore ="),
];

/// One Rust file: path from the root and text.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every `.rs` file of our crates.
pub fn read(place: &Place, rooms: &[Room]) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for room in rooms {
        walk(&place.root.join(&room.folder), &mut |path| {
            if path.extension().is_some_and(|end| end == "rs") {
                let name =
                    path.strip_prefix(&place.root).unwrap_or(path).to_string_lossy().replace('\\', "/");
                files.push(Source { path: name, text: std::fs::read_to_string(path)? });
            }
            Ok(())
        })?;
    }
    Ok(files)
}

/// Visits every file below a folder, in order, leaving out what is built or fetched.
pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && name != "node_modules" && !name.to_string_lossy().starts_with('.') {
                walk(&path, visit)?;
            }
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}

/// Header, size, nothing unfinished.
pub fn check(files: &[Source], found: &mut Findings) {
    for Source { path, text } in files {
        // What must not compile (trybuild) is a specimen, no room.
        if !text.starts_with("//!") && !path.contains("/tests/ui/") {
            found
                .findings
                .push(format!("{path}:1: starts without a //! line that says what the room is for"));
        }
        let n_lines = text.lines().count();
        if n_lines > REFUSED_LINES {
            found.findings.push(format!("{path}: {n_lines} lines, {REFUSED_LINES} are the most"));
        } else if n_lines > LISTED_LINES {
            found.notes.push(format!("{path}: {n_lines} lines, a second room?"));
        }
        for (number, line) in text.lines().enumerate() {
            for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
                found.findings.push(format!(
                    "{path}:{}: `{}` is not allowed",
                    number + 1,
                    mark.trim_end_matches(['(', '=', ' '])
                ));
            }
        }
    }
}

/// No crate holds more than a fifth of the code. What tries it out does not count: where everything is composed,
/// everything is tried.
pub fn check_shares(rooms: &[Room], files: &[Source], found: &mut Findings) {
    let tries = |path: &str| path.contains("/tests/") || path.contains("/examples/");
    let files: Vec<&Source> = files.iter().filter(|file| !tries(&file.path)).collect();
    let all: usize = files.iter().map(|file| file.text.lines().count()).sum();
    for room in rooms {
        let inside = files.iter().filter(|file| file.path.starts_with(&format!("{}/", room.folder)));
        let own: usize = inside.map(|file| file.text.lines().count()).sum();
        if own * 100 > all * SHARE_PERCENT {
            let line = format!("{}: {own} of {all} lines, {SHARE_PERCENT} % are the most", room.folder);
            let list = if all > SHARE_FROM_LINES { &mut found.findings } else { &mut found.notes };
            list.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Findings::default();
        super::check(&[Source { path: "a.rs".into(), text: text.into() }], &mut found);
        assert_eq!(found.findings, expected);
    }

    #[test]
    fn headers_and_marks() {
        check("//! A room.\nfn a() {}\n", &[]);
        check("fn a() {}\n", &["a.rs:1: starts without a //! line that says what the room is for"]);
        let ignored = format!("//! A room.\n{}\n", UNFINISHED[2]);
        check(&ignored, &[&format!("a.rs:2: `{}` is not allowed", UNFINISHED[2])]);
    }

    #[test]
    fn sizes() {
        check(&format!("//! A room.\n{}", "\n".repeat(1_000)), &["a.rs: 1001 lines, 1000 are the most"]);
        check(&format!("//! A room.\n{}", "\n".repeat(999)), &[]);
    }

    #[test]
    fn shares_bind_once_the_house_is_big() {
        let room =
            |name: &str| Room { name: name.into(), folder: name.into(), rooms: vec![], externals: vec![] };
        for (n_lines, n_findings) in [(100, 0), (11_000, 2)] {
            let file = |name: &str| Source { path: format!("{name}/a.rs"), text: "\n".repeat(n_lines / 2) };
            let mut found = Findings::default();
            check_shares(&[room("a"), room("b")], &[file("a"), file("b")], &mut found);
            assert_eq!(found.findings.len(), n_findings);
        }
    }
}
