//! `maschinenraum.toml`: every setting, checked whole, unknown keys refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file with every default, commented; `init` writes it.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The settings of a project.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the data lies and how it is split.
    pub instance: Instance,
    /// The master key.
    pub vault: Vault,
    /// The log of privileged acts.
    pub audit: Audit,
    /// What follows from an erasure.
    pub erasure: Erasure,
    /// The HTTP door.
    pub server: Server,
    /// The folded state.
    pub state: State,
    /// The journal.
    pub journal: Journal,
    /// Where chosen actions go.
    pub delivery: Delivery,
    /// What the server tells about itself.
    pub telemetry: Telemetry,
    /// Scheduled work.
    pub jobs: Jobs,
    /// Names for other tools' lineage.
    pub lineage: Lineage,
    /// Databases whose changes become records.
    pub captures: BTreeMap<String, crate::capturing::CaptureSettings>,
    /// Webhooks, watched folders, and what is expected of sources.
    pub sources: BTreeMap<String, crate::sources::SourceSettings>,
    /// Rules of identity resolution.
    pub identity: profile::Rules,
    /// How events, streams and fields are to be called.
    pub naming: crate::naming::Naming,
    /// What stands in the registers and only people know.
    pub registers: crate::registers::RegisterSettings,
    /// Named reasons for processing.
    pub purposes: BTreeMap<String, Purpose>,
    /// Roles of the project's own.
    pub policies: crate::permitting::PolicySettings,
    /// How people come in.
    pub login: crate::permitting::LoginSettings,
    /// What signals of consent tools mean.
    pub consent: crate::consenting::ConsentSettings,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

section!(
    /// Where the data lies and how it is split.
    Instance {
        /// The data directory, relative to the settings' file.
        data: PathBuf = PathBuf::from("data"),
        /// Partitions of the journal, fixed at creation.
        partitions: u16 = 4,
        /// Where the clock starts, to work on data of the past; empty: the machine's time.
        clock: String = String::new(),
    }
);
section!(
    /// The master key.
    Vault {
        /// `file:PATH`, `env:NAME`, or a passphrase in one of them: `passphrase:file:PATH`, `passphrase:env:NAME`.
        master: String = "file:master.key".to_owned(),
        /// Where the root's anchor lies: outside of the data directory and of its backups.
        anchor: PathBuf = PathBuf::from("root.anchor"),
    }
);
section!(
    /// What follows from an erasure.
    Erasure {
        /// From how many erased people on a model that learned from them is to be trained anew; 0: never.
        retrain_after: u64 = 1,
    }
);
section!(
    /// The log of privileged acts.
    Audit {
        /// Its name, a URL without scheme; empty: one made from its key.
        origin: String = String::new(),
    }
);
section!(
    /// The HTTP door.
    Server {
        /// Address and port.
        listen: String = "127.0.0.1:8600".to_owned(),
        /// PEM file of the certificate chain; empty for none.
        tls_certificate: PathBuf = PathBuf::new(),
        /// PEM file of the private key; empty for none.
        tls_key: PathBuf = PathBuf::new(),
        /// Mean requests per second and key.
        rate_per_second: u32 = 20_000,
        /// Requests at once and key.
        rate_burst: u32 = 40_000,
        /// Seconds until a request is given up.
        timeout_seconds: u64 = 30,
        /// Origins whose browsers may send events.
        browser_origins: Vec<String> = Vec::new(),
    }
);
section!(
    /// The folded state.
    State {
        /// Milliseconds between two commits.
        commit_every_ms: u64 = 1_000,
        /// Entries of each table and partition kept in memory.
        hot_entries: usize = 100_000,
        /// Positions back in which a duplicate is recognised.
        dedup_horizon: u64 = 1_000_000,
        /// Megabytes of block cache.
        cache_mb: u64 = 128,
    }
);
section!(
    /// The journal.
    Journal {
        /// Megabytes of one segment file.
        segment_mb: u64 = 256,
    }
);
section!(
    /// Where chosen actions go.
    Delivery {
        /// A URL that takes a POST; empty for none.
        webhook: String = String::new(),
        /// `env:NAME` or `file:PATH` of the signing secret.
        webhook_secret: String = String::new(),
        /// Seconds until an unsent reservation lapses.
        reservation_seconds: u64 = 86_400,
    }
);
section!(
    /// What the server tells about itself.
    Telemetry {
        /// An OTLP/HTTP collector; empty for none.
        otlp: String = String::new(),
    }
);
section!(
    /// Scheduled work.
    Jobs {
        /// Steps that the server does at once.
        at_once: usize = 2,
    }
);
section!(
    /// Names for other tools' lineage.
    Lineage {
        /// The namespace of this instance's datasets and jobs in OpenLineage events.
        namespace: String = lineage::openlineage::OURS.to_owned(),
    }
);

/// A named reason for processing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// The legal basis.
    pub basis: String,
    /// What it is for, in words.
    #[serde(default)]
    pub description: String,
    /// Whether it is direct marketing; where it is not said: what rests on consent or legitimate interest.
    pub direct_marketing: Option<bool>,
    /// The channels that a consent covers which names none; empty: all but calls and fax.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Whether a yes counts only once it is confirmed.
    #[serde(default)]
    pub double_opt_in: bool,
    /// The fields that it sees, as `orders`, `orders.total`; without a list: those of every stream whose contract names it.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
}

/// A settings file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR7001, explained in docs/errors/MR7001.md
    #[error("settings `{}` cannot be read: {source}; `maschinenraum init` writes a new project", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// MR7002, explained in docs/errors/MR7002.md
    #[error("{}:{line}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

impl Settings {
    /// Reads the settings' file.
    ///
    /// # Errors
    /// [`Error`], naming file and line.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text, path)
    }

    /// Reads settings from text; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Invalid`]
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let invalid = |offset: usize, message: String| Error::Invalid {
            path: path.to_path_buf(),
            line: text.get(..offset).unwrap_or(text).matches('\n').count() + 1,
            message,
        };
        let settings: Settings = toml::from_str(text)
            .map_err(|e| invalid(e.span().map_or(0, |span| span.start), e.message().trim().to_owned()))?;
        let at = |needle: &str| text.find(needle).unwrap_or(0);
        if settings.instance.partitions == 0 || settings.instance.partitions > 1_024 {
            let message = format!("partitions = {} is not between 1 and 1024", settings.instance.partitions);
            return Err(invalid(at("partitions"), message));
        }
        if settings.state.commit_every_ms == 0 || settings.state.commit_every_ms > 60_000 {
            let message =
                format!("commit_every_ms = {} is not between 1 and 60000", settings.state.commit_every_ms);
            return Err(invalid(at("commit_every_ms"), message));
        }
        if settings.journal.segment_mb == 0 || settings.journal.segment_mb > 4_096 {
            let message = format!("segment_mb = {} is not between 1 and 4096", settings.journal.segment_mb);
            return Err(invalid(at("segment_mb"), message));
        }
        if settings.server.tls_certificate.as_os_str().is_empty()
            != settings.server.tls_key.as_os_str().is_empty()
        {
            let message = "tls_certificate and tls_key belong together: set both or none".to_owned();
            return Err(invalid(at("tls_"), message));
        }
        let origin = &settings.audit.origin;
        if origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') || origin.len() > 200 {
            let message =
                format!("origin = `{origin}` is no name of a log: up to 200 bytes without spaces and `+`");
            return Err(invalid(at("origin"), message));
        }
        if settings.server.listen.parse::<std::net::SocketAddr>().is_err() {
            let message =
                format!("listen = `{}` is no address and port, like 127.0.0.1:8600", settings.server.listen);
            return Err(invalid(at("listen"), message));
        }
        for (name, reference) in
            [("master", &settings.vault.master), ("webhook_secret", &settings.delivery.webhook_secret)]
        {
            let place = match name {
                "master" => reference.strip_prefix("passphrase:").unwrap_or(reference),
                _ => reference,
            };
            let fine = place.starts_with("file:") || place.starts_with("env:");
            let none = reference.is_empty() && name != "master";
            if !fine && !none {
                // The value is not quoted: it may be the secret itself.
                let message =
                    format!("{name} must refer to a secret as `file:PATH` or `env:NAME`, not hold it");
                return Err(invalid(at(name), message));
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = Settings::parse(text, Path::new("maschinenraum.toml")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_commented_file_is_the_defaults() {
        let written = Settings::parse(DEFAULTS, Path::new("defaults.toml")).unwrap();
        assert_eq!(format!("{written:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn bad_settings_name_file_line_and_value() {
        check("[instance]\npartitions = 0", "maschinenraum.toml:2: partitions = 0");
        check("[server]\nlisten = \"everywhere\"", "maschinenraum.toml:2: listen = `everywhere`");
        check("[server]\n\nport = 80", "maschinenraum.toml:3: unknown field `port`");
        check("[instance]\npartitions = \"four\"", "maschinenraum.toml:2: invalid type");
        check("[server]\ntls_key = \"k.pem\"", "belong together");
        check("[purposes.p]\nbasis = 3", "maschinenraum.toml:2");
        check("= 1", "maschinenraum.toml:1");
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        let error =
            Settings::parse("[vault]\nmaster = \"hunter2\"", Path::new("m.toml")).unwrap_err().to_string();
        assert!(error.contains("m.toml:2") && !error.contains("hunter2"), "{error}");
    }
}
