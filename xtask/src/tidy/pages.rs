//! Pages that must say exactly what is there: the map, the dependencies, the error codes.

use super::sources::{Source, walk};
use super::{Findings, Room};
use crate::place::Place;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// ARCHITECTURE.md names exactly the crates that exist.
pub fn check_map(page: &str, rooms: &[Room], found: &mut Findings) {
    let exist = rooms.iter().map(|room| room.name.as_str()).collect();
    compare("ARCHITECTURE.md", "crate", &rows(page), &exist, found);
}

/// docs/dependencies.md names exactly the crates of others that ours use directly.
pub fn check_dependencies(page: &str, rooms: &[Room], found: &mut Findings) {
    let used = rooms.iter().flat_map(|room| room.externals.iter().map(String::as_str)).collect();
    compare("docs/dependencies.md", "direct dependency", &rows(page), &used, found);
}

/// The pages in docs/errors by code, with their first lines.
pub fn codes(place: &Place) -> Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    walk(&place.root.join("docs/errors"), &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "README.md" {
            let first = std::fs::read_to_string(path)?.lines().next().unwrap_or_default().to_owned();
            pages.insert(name.trim_end_matches(".md").to_owned(), first);
        }
        Ok(())
    })?;
    Ok(pages)
}

/// Every code in the sources has its page and every page its code.
pub fn check_codes(pages: &BTreeMap<String, String>, files: &[Source], found: &mut Findings) {
    let mut used = BTreeMap::new();
    for file in files.iter().filter(|file| !file.path.starts_with("xtask/")) {
        for code in codes_in(&file.text) {
            used.entry(code).or_insert(&file.path);
        }
    }
    for (code, path) in &used {
        if !pages.contains_key(*code) {
            found.findings.push(format!("{path}: {code} has no page docs/errors/{code}.md"));
        }
    }
    for (code, first) in pages {
        if !used.contains_key(code.as_str()) {
            found.findings.push(format!("docs/errors/{code}.md: no source knows {code}"));
        }
        if !first.starts_with(&format!("# {code}")) {
            found.findings.push(format!("docs/errors/{code}.md:1: starts without `# {code}`"));
        }
    }
}

/// The names in table rows of the form "| `name` | …".
fn rows(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect()
}

fn compare(page: &str, what: &str, named: &BTreeSet<&str>, real: &BTreeSet<&str>, found: &mut Findings) {
    for name in real.difference(named) {
        found.findings.push(format!("{page}: {what} `{name}` is missing (a row \"| `{name}` | …\")"));
    }
    for name in named.difference(real) {
        found.findings.push(format!("{page}: names `{name}`, but there is no such {what}"));
    }
}

/// Every `MR` followed by exactly four digits.
fn codes_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("MR").filter_map(|(at, _)| {
        let (code, rest) = text.get(at..)?.split_at_checked(6)?;
        let starts_word = !text.get(..at)?.ends_with(|c: char| c.is_alphanumeric());
        let ends_word = !rest.starts_with(|c: char| c.is_alphanumeric());
        (starts_word && ends_word && code.get(2..)?.bytes().all(|b| b.is_ascii_digit())).then_some(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_compared() {
        let mut found = Findings::default();
        let page = "text `not`\n| `a` | x |\n| `b` | y |\n";
        compare("P.md", "crate", &rows(page), &["b", "c"].into(), &mut found);
        assert_eq!(
            found.findings,
            [
                "P.md: crate `c` is missing (a row \"| `c` | …\")",
                "P.md: names `a`, but there is no such crate"
            ]
        );
    }

    #[test]
    fn codes_need_pages_and_pages_codes() {
        let file =
            Source { path: "law/a.rs".into(), text: "MR1001, \"MR1002\" MR10xx XMR1003 MR10045 MR".into() };
        let pages = [("MR1001", "# MR1001"), ("MR1009", "MR1009")];
        let pages = pages.map(|(code, first)| (code.to_owned(), first.to_owned())).into();
        let mut found = Findings::default();
        check_codes(&pages, &[file], &mut found);
        assert_eq!(
            found.findings,
            [
                "law/a.rs: MR1002 has no page docs/errors/MR1002.md",
                "docs/errors/MR1009.md: no source knows MR1009",
                "docs/errors/MR1009.md:1: starts without `# MR1009`",
            ]
        );
    }
}
