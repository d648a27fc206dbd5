//! Where things are: the workspace, cargo's target folder, the data.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout this workshop works on.
pub struct Place {
    /// The workspace's folder.
    pub root: PathBuf,
    /// What `cargo metadata` says of the workspace.
    pub metadata: Metadata,
}

impl Place {
    /// The workspace this xtask runs in.
    pub fn find() -> Result<Self> {
        // Cargo says where it runs us; what was compiled in is where we were built, and checkouts may share a target folder.
        let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = told.filter(|told| told.ends_with("xtask"));
        let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = own.parent().context("xtask lies in no workspace")?.to_path_buf();
        let output = Command::new(cargo_path())
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(&root)
            .output()
            .context("cargo metadata does not start")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata =
            serde_json::from_slice(&output.stdout).context("cargo metadata speaks an unknown form")?;
        Ok(Self { root, metadata })
    }

    /// `cargo ARGS`, run in the workspace, with the data folder named where there is one.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_path());
        command.args(args).current_dir(&self.root);
        if let Some(data) = self.data() {
            command.env("MASCHINENRAUM_DATA", data);
        }
        command
    }

    /// Cargo's target folder.
    pub fn target(&self) -> &Path {
        &self.metadata.target_directory
    }

    /// The folder of real data: `MASCHINENRAUM_DATA`, else `../shared/data`; `None` if it is not there.
    pub fn data(&self) -> Option<PathBuf> {
        let named =
            std::env::var_os("MASCHINENRAUM_DATA").map_or(self.root.join("../shared/data"), PathBuf::from);
        named.canonicalize().ok().filter(|folder| folder.is_dir())
    }

    /// Reads a file of the workspace.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("{path} cannot be read"))
    }
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: Vec<String>,
    pub target_directory: PathBuf,
}

/// One package, ours or another's.
#[derive(Deserialize)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub source: Option<String>,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// One line under `[dependencies]`, of whatever kind.
#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    pub source: Option<String>,
}

fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
