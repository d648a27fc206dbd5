//! The law's behaviours: docs/law.md names a test for each of the 28, or says why it is open. The page is held against the
//! workspace, and the tests of the registers are run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::place::Place;
use crate::table::{Figure, Item};

/// Behaviours of the list.
const N: usize = 28;
/// The packages whose named tests are run here; others are run by `cargo xtask test`.
const RUN: [&str; 2] = ["register", "house"];

/// The item.
pub const ITEM: Item = Item {
    id: "behaviours",
    title: "The 28 behaviours of the law: each a test named after its article, or listed as open",
    bar: "28 rows; every named test exists and is a test; every open row says why; the registers' tests pass",
    run,
};

struct Row {
    number: usize,
    article: String,
    tests: Vec<(String, String)>,
    open: String,
}

fn run(place: &Place) -> Result<Figure> {
    let rows = rows(&place.read("docs/law.md")?)?;
    let known = tests(place)?;
    let mut wrong = Vec::new();
    let numbers: BTreeSet<usize> = rows.iter().map(|row| row.number).collect();
    if numbers != (1..=N).collect() || rows.len() != N {
        wrong.push(format!("{} rows with {} numbers instead of {N}", rows.len(), numbers.len()));
    }
    let mut to_run: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &rows {
        if row.tests.is_empty() && row.open.is_empty() {
            wrong.push(format!("{} {}: neither a test nor why it is open", row.number, row.article));
        }
        for (package, test) in &row.tests {
            if !known.get(package.as_str()).is_some_and(|names| names.contains(test)) {
                wrong.push(format!("{}: `{package}` has no test `{test}`", row.number));
            } else if let Some(package) = RUN.iter().find(|one| **one == package) {
                to_run.entry(package).or_default().push(test);
            }
        }
    }
    let mut n_run = 0;
    for (package, names) in &to_run {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        let mut args = vec!["test", "--quiet", "--package", package, "--"];
        args.extend(names.iter().copied());
        // Several filters: whatever matches one of them runs.
        if !place.cargo(&args).stdout(std::process::Stdio::null()).status()?.success() {
            wrong.push(format!("tests of `{package}` fail"));
        }
        n_run += names.len();
    }
    let n_tests: usize = rows.iter().map(|row| row.tests.len()).sum();
    let n_open = rows.iter().filter(|row| row.tests.is_empty()).count();
    let n_partly = rows.iter().filter(|row| !row.tests.is_empty() && !row.open.is_empty()).count();
    let mut text = format!(
        "{} of {N} behaviours shown by {n_tests} tests ({n_partly} in part), {n_open} open; {n_run} tests run",
        rows.len() - n_open
    );
    if let Some(first) = wrong.first() {
        text.push_str(&format!("; {} wrong, the first: {first}", wrong.len()));
    }
    Ok(Figure { text, holds: wrong.is_empty() })
}

/// The rows of the table: number, article, behaviour, tests as `package::test`, what is open.
fn rows(page: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, article, _, tests, open] = cells.as_slice() else { continue };
        let Ok(number) = number.parse() else { continue };
        let mut named = Vec::new();
        for name in tests.split('`').skip(1).step_by(2) {
            let Some((package, test)) = name.split_once("::") else {
                bail!("docs/law.md: `{name}` is not PACKAGE::TEST");
            };
            named.push((package.to_owned(), test.to_owned()));
        }
        let open = (*open).trim_matches('–').trim().to_owned();
        rows.push(Row { number, article: (*article).to_owned(), tests: named, open });
    }
    Ok(rows)
}

/// The tests of every package, by name.
fn tests(place: &Place) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for wing in ["methods", "ground", "law", "facts", "answers", "doors"] {
        for room in std::fs::read_dir(place.root.join(wing))? {
            let room = room?;
            if !room.file_type()?.is_dir() {
                continue;
            }
            let names = known.entry(room.file_name().to_string_lossy().into_owned()).or_default();
            let mut folders = vec![room.path()];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(&folder)? {
                    let path = entry?.path();
                    if path.is_dir() && !path.ends_with("target") {
                        folders.push(path);
                    } else if path.extension().is_some_and(|end| end == "rs") {
                        names.extend(tests_in(&std::fs::read_to_string(&path)?));
                    }
                }
            }
        }
    }
    Ok(known)
}

/// The functions that follow a `#[test]`, other attributes between; in a `proptest!` as anywhere.
fn tests_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn ")) {
            if is_test {
                names.extend(rest.split(['(', '<']).next().map(|name| name.trim().to_owned()));
            }
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty() {
            is_test = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_tests_by_package_and_say_what_is_open() {
        let page = "| # | article | behaviour | tests | open |\n| --- | --- | --- | --- | --- |\n\
                    | 4 | Art. 6 | x | `house::a_b`, `policy::c` | – |\n| 5 | Art. 7 | y | | not built |\n";
        let rows = rows(page).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0].tests,
            [("house".to_owned(), "a_b".to_owned()), ("policy".to_owned(), "c".to_owned())]
        );
        assert!(rows[0].open.is_empty() && rows[1].tests.is_empty());
        assert_eq!(rows[1].open, "not built");
        assert!(super::rows("| 4 | a | b | `naked` | |").is_err());
    }

    #[test]
    fn only_tests_are_tests() {
        let text =
            "fn helper() {}\n#[test]\nfn one() {}\n#[test]\n#[should_panic]\nfn two() {}\nfn three() {}\n";
        assert_eq!(tests_in(text), ["one", "two"]);
    }
}
