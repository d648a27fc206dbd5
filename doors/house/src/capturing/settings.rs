//! `[captures.NAME]` of the settings: which database, which tables, into which streams.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use capture::{Address, Login, Tls, codes};
use contract::{Contracts, Finding};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::Error;
use crate::finding::finding;

/// One capture.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureSettings {
    /// `postgresql://USER@HOST:PORT/DATABASE`, without a password.
    pub address: String,
    /// `env:NAME` or `file:PATH` of the password; empty for none.
    #[serde(default)]
    pub password: String,
    /// Whether the way is protected by TLS; unless it is said, wherever it leaves this machine.
    #[serde(default)]
    pub tls: Option<Protection>,
    /// PEM file of the authorities that vouch for the server; empty for the public ones.
    #[serde(default)]
    pub tls_ca: PathBuf,
    /// The streams of tables: `"public.orders" = "orders"`.
    pub tables: BTreeMap<String, String>,
    /// The streams of deletes and truncates, where they are to go elsewhere than the other changes of their table.
    #[serde(default)]
    pub deletes: BTreeMap<String, String>,
    /// False to leave out the rows that are there already.
    #[serde(default = "yes")]
    pub snapshot: bool,
    /// False to leave it to `maschinenraum capture`; else the server runs it.
    #[serde(default = "yes")]
    pub serve: bool,
    /// The replication slot; empty for one named after this instance and capture.
    #[serde(default)]
    pub slot: String,
    /// The publication; empty for one named after the capture, made where it is not there.
    #[serde(default)]
    pub publication: String,
}

/// Whether a way is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// By TLS, the server's certificate verified.
    Verify,
    /// Not at all.
    Off,
}

fn yes() -> bool {
    true
}

impl CaptureSettings {
    /// How to log in.
    ///
    /// # Errors
    /// [`Error::Capture`] where the address is none; [`Error::Directory`] where a file cannot be read;
    /// [`Error::CaptureRefused`] where a secret is not there.
    pub(crate) fn login(&self, dir: &Path) -> Result<Login, Error> {
        let address = Address::parse(&self.address)?;
        let read = |path: &Path| {
            let path = dir.join(path);
            std::fs::read(&path).map_err(|e| Error::Directory { path, reason: e.to_string() })
        };
        let password = match self.password.split_once(':') {
            Some(("env", name)) => Some(std::env::var(name).map_err(|_| Error::CaptureRefused {
                reason: format!("the environment has no `{name}`, which should hold the password"),
            })?),
            Some(("file", path)) => {
                let bytes = Zeroizing::new(read(Path::new(path))?);
                Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned())
            }
            _ => None,
        };
        let verify = match self.tls {
            Some(said) => said == Protection::Verify,
            None => !address.is_local(),
        };
        let authorities = if self.tls_ca.as_os_str().is_empty() { None } else { Some(read(&self.tls_ca)?) };
        let tls = if verify { Tls::Verified { authorities } } else { Tls::Off };
        Ok(Login { address, password: password.map(Zeroizing::new), tls })
    }

    /// The publication's name.
    pub(crate) fn publication(&self, name: &str) -> String {
        if self.publication.is_empty() {
            format!("maschinenraum_{}", name.replace('-', "_"))
        } else {
            self.publication.clone()
        }
    }

    /// The stream of a change.
    pub(crate) fn stream(&self, table: &str, is_gone: bool) -> Option<&str> {
        let stream = self.deletes.get(table).filter(|_| is_gone).or_else(|| self.tables.get(table));
        stream.map(String::as_str)
    }

    fn streams(&self) -> impl Iterator<Item = &String> {
        self.tables.values().chain(self.deletes.values())
    }
}

/// What of the captures does not fit.
pub(crate) fn check(
    captures: &BTreeMap<String, CaptureSettings>,
    contracts: &Contracts,
    findings: &mut Vec<Finding>,
) {
    for (name, capture) in captures {
        let mut wrong = |message: String| {
            let message = format!("captures.{name}: {message}");
            findings.push(finding(codes::SETTINGS, "maschinenraum.toml", 1, message));
        };
        let is_word = |text: &str, most: usize| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
            !text.is_empty() && text.len() <= most && text.bytes().all(fits)
        };
        if !is_word(name, 32) {
            wrong("a capture's name has up to 32 of a-z, 0-9, `_` and `-`".to_owned());
        }
        if !capture.slot.is_empty() && (!is_word(&capture.slot, 63) || capture.slot.contains('-')) {
            wrong(format!("slot `{}` has other letters than a-z, 0-9 and `_`", shortened(&capture.slot)));
        }
        if let Err(error) = Address::parse(&capture.address) {
            wrong(error.to_string());
        }
        if !["", "env:", "file:"].iter().any(|start| match *start {
            "" => capture.password.is_empty(),
            start => capture.password.starts_with(start),
        }) {
            // The value is not quoted: it may be the secret itself.
            wrong("password must refer to a secret as `file:PATH` or `env:NAME`, not hold it".to_owned());
        }
        if capture.tables.is_empty() {
            wrong("no tables are named".to_owned());
        }
        for table in capture.tables.keys().chain(capture.deletes.keys()) {
            if !table.contains('.') {
                wrong(format!("table `{}` lacks its schema, like public.{0}", shortened(table)));
            }
        }
        for table in capture.deletes.keys().filter(|table| !capture.tables.contains_key(*table)) {
            wrong(format!("deletes of `{}` are named, but not the table", shortened(table)));
        }
        for stream in capture.streams().filter(|stream| contracts.newest_named(stream).is_none()) {
            wrong(format!("no contract describes the stream `{}`", shortened(stream)));
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let captures: BTreeMap<String, CaptureSettings> = toml::from_str(text).unwrap();
        let mut findings = Vec::new();
        check(&captures, &Contracts::new(), &mut findings);
        findings.iter().map(|finding| format!("{}\n", finding.message)).collect()
    }

    #[test]
    fn what_does_not_fit_is_said_and_no_secret_repeated() {
        let said = said(
            "[Shop]\naddress = \"postgresql://a:hunter2@b/c\"\npassword = \"hunter2\"\nslot = \"My-Slot\"\n\
             tables = { orders = \"orders\" }\ndeletes = { \"public.x\" = \"gone\" }\n",
        );
        for part in [
            "a capture's name",
            "slot `My-Slot`",
            "holds a password",
            "password must refer",
            "lacks its schema",
            "deletes of `public.x`",
            "stream `orders`",
            "stream `gone`",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hunter2"));
    }

    #[test]
    fn tls_is_off_only_where_the_way_stays_here_or_somebody_says_so() {
        let tls = |more: &str| {
            let text = format!("address = \"{more}\ntables = {{ \"p.o\" = \"o\" }}");
            toml::from_str::<CaptureSettings>(&text).unwrap().login(Path::new(".")).unwrap().tls
        };
        let verified = Tls::Verified { authorities: None };
        assert_eq!(tls("postgres://a@localhost/b\""), Tls::Off);
        assert_eq!(tls("postgres://a@db.example/b\""), verified);
        assert_eq!(tls("postgres://a@db.example/b\"\ntls = \"off\""), Tls::Off);
        assert_eq!(tls("postgres://a@localhost/b\"\ntls = \"verify\""), verified);
    }
}
