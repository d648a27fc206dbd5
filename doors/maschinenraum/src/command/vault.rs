//! `vault`: keys renewed and copied, pseudonyms by purpose.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use house::Rotation;
use vault::Pseudonym;

use super::{Ctx, identifier};
use crate::command::data::user;
use crate::out::{self, Code};

/// `vault`
#[derive(Subcommand, Debug)]
pub enum Vault {
    /// Makes keys new. A running server does it by POST /v1/vault/rotate while it serves.
    ///
    /// Example: maschinenraum vault rotate master --to file:new-master.key
    Rotate {
        /// What.
        what: What,
        /// For `master`: where the new one is, as in the settings: file:PATH, env:NAME, passphrase:file:PATH.
        #[arg(long, value_name = "REFERENCE", required_if_eq("what", "master"))]
        to: Option<String>,
    },
    /// Makes a new random master key in a new file that only its owner may read.
    NewMaster {
        /// The file.
        file: PathBuf,
    },
    /// Copies wrapped keys and anchor into an empty directory: what backups do not hold, and what an erasure makes worthless.
    ///
    /// Example: maschinenraum vault copy /mnt/keys/2026-11-24
    Copy {
        /// The directory.
        to: PathBuf,
    },
    /// What a purpose calls somebody.
    Pseudonym {
        /// Who, as TYPE=VALUE.
        id: String,
        /// The purpose.
        #[arg(long)]
        purpose: String,
    },
    /// What pseudonyms of one purpose are called by another; it is in the audit log before it is done.
    Link {
        /// The pseudonyms.
        #[arg(required = true)]
        ids: Vec<Pseudonym>,
        /// The purpose they are of.
        #[arg(long)]
        from: String,
        /// The purpose whose pseudonyms are wanted.
        #[arg(long)]
        to: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Rewrites state and vault without what was overwritten or removed.
    Compact,
}

/// What is made new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The root and its anchor.
    Root,
    /// The root, its anchor and every bucket key.
    Buckets,
    /// The master key.
    Master,
}

/// Does what is asked.
///
/// # Errors
/// Whatever the house says.
pub fn run(ctx: &Ctx, args: &Vault) -> anyhow::Result<Code> {
    if let Vault::NewMaster { file } = args {
        vault::Master::create_file(file)?;
        out::say(&format!("made {}; keep a copy outside of this machine", file.display()));
        return Ok(Code::Fine);
    }
    let house = ctx.open()?;
    match args {
        Vault::NewMaster { .. } => {}
        Vault::Rotate { what, to } => {
            let what = match what {
                What::Root => Rotation::Root,
                What::Buckets => Rotation::Buckets,
                What::Master => Rotation::Master(to.clone().unwrap_or_default()),
            };
            let done = house.rotate(&what, &user())?;
            if ctx.json {
                out::json(&serde_json::json!({
                    "root_epoch": done.root_epoch, "n_buckets": done.n_buckets, "n_rewrapped": done.n_rewrapped,
                }))?;
            } else if let Rotation::Master(reference) = &what {
                out::line(&format!(
                    "the master key is `{reference}` now: write that into [vault] of maschinenraum.toml"
                ));
            } else {
                out::line(&format!("root {}; {} keys wrapped anew", done.root_epoch, done.n_rewrapped));
                out::say(
                    "copies of the keys from before open nothing now: make a new one with `maschinenraum vault copy`",
                );
            }
        }
        Vault::Copy { to } => {
            house.copy_keys(to, &user())?;
            out::say(&format!("keys and anchor are in {}; the master key is not", to.display()));
        }
        Vault::Pseudonym { id, purpose } => {
            let pseudonym = house.pseudonym(&identifier(id)?, purpose)?;
            if ctx.json {
                out::json(&serde_json::json!({ "purpose": purpose, "pseudonym": pseudonym.to_string() }))?;
            } else {
                out::line(&pseudonym.to_string());
            }
        }
        Vault::Link { ids, from, to, reason } => {
            let linked = house.link_pseudonyms(ids, from, to, &user(), reason)?;
            let named = |id: &Option<Pseudonym>| id.map(|id| id.to_string());
            if ctx.json {
                out::json(&linked.iter().map(named).collect::<Vec<_>>())?;
            } else {
                linked.iter().for_each(|id| out::line(&named(id).unwrap_or_else(|| "-".to_owned())));
            }
        }
        Vault::Compact => house.compact()?,
    }
    house.close();
    Ok(Code::Fine)
}
