//! Licences and sources of everything in the lock file, against deny.toml.

use super::Findings;
use crate::place::Package;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

/// Every package's licence expression holds with the allowed licences only.
pub fn check(deny: &str, packages: &[Package], found: &mut Findings) -> Result<()> {
    let deny: Deny = toml::from_str(deny).context("deny.toml")?;
    for package in packages {
        let Package { name, version, license, .. } = package;
        match license {
            None => found.findings.push(format!("{name} {version}: states no licence")),
            Some(expression) if !holds(expression, &deny.licenses.allow) => {
                found
                    .findings
                    .push(format!("{name} {version}: licence `{expression}` is not allowed by deny.toml"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Cargo.lock takes crates from crates.io and from nowhere else.
pub fn check_sources(packages: &[Package], found: &mut Findings) {
    for package in packages {
        if let Some(source) = package.source.as_deref().filter(|source| *source != CRATES_IO) {
            found.findings.push(format!(
                "{} {}: comes from {source}, not from crates.io",
                package.name, package.version
            ));
        }
    }
}

/// SPDX with OR, AND, WITH and parentheses; `/` is the old way to write OR. AND binds closer than OR.
fn holds(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let mut parser = Parser { words: &mut words, allowed };
    let verdict = parser.any();
    verdict && words.next().is_none()
}

struct Parser<'a, 'w> {
    words: &'a mut std::iter::Peekable<std::str::SplitWhitespace<'w>>,
    allowed: &'a BTreeSet<String>,
}

impl Parser<'_, '_> {
    fn any(&mut self) -> bool {
        let mut verdict = self.all();
        while self.words.next_if_eq(&"OR").is_some() {
            verdict |= self.all();
        }
        verdict
    }

    fn all(&mut self) -> bool {
        let mut verdict = self.one();
        while self.words.next_if_eq(&"AND").is_some() {
            verdict &= self.one();
        }
        verdict
    }

    fn one(&mut self) -> bool {
        match self.words.next() {
            Some("(") => {
                let verdict = self.any();
                verdict & (self.words.next() == Some(")"))
            }
            Some(name) => {
                let mut name = name.to_owned();
                if self.words.next_if_eq(&"WITH").is_some() {
                    name = format!("{name} WITH {}", self.words.next().unwrap_or_default());
                }
                self.allowed.contains(&name)
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed =
            ["MIT", "Apache-2.0", "BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"].map(String::from).into();
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-2.0-only", true),
            ("MIT AND GPL-2.0-only", false),
            ("Unlicense/MIT", true),
            ("(GPL-2.0-only OR Apache-2.0) AND BSD-3-Clause", true),
            ("GPL-2.0-only OR Apache-2.0 AND LGPL-2.1-only", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH Classpath-exception-2.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(holds(expression, &allowed), expected, "{expression}");
        }
    }
}
