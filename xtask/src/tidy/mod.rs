//! `cargo xtask tidy`: the architecture as far as a machine can check it, one line per finding.

mod licences;
mod pages;
mod sources;
mod wings;

use crate::place::Place;
use anyhow::{Context, Result};

/// What the rules found: findings fail, notes only say where to look.
#[derive(Default)]
pub struct Findings {
    pub findings: Vec<String>,
    pub notes: Vec<String>,
}

/// One of our crates.
#[derive(Debug, Clone)]
pub struct Room {
    pub name: String,
    /// Folder from the workspace's root with `/`, e.g. `law/vault`.
    pub folder: String,
    /// Our own crates it names under any kind of dependency.
    pub rooms: Vec<String>,
    /// Everybody else's crates it names.
    pub externals: Vec<String>,
}

/// Checks everything and prints it; `true` if nothing was found.
pub fn run(place: &Place) -> Result<bool> {
    let rooms = rooms(place)?;
    let files = sources::read(place, &rooms)?;
    let mut found = Findings::default();
    wings::check(&rooms, &mut found);
    sources::check(&files, &mut found);
    sources::check_shares(&rooms, &files, &mut found);
    pages::check_map(&place.read("ARCHITECTURE.md")?, &rooms, &mut found);
    pages::check_dependencies(&place.read("docs/dependencies.md")?, &rooms, &mut found);
    pages::check_codes(&pages::codes(place)?, &files, &mut found);
    licences::check(&place.read("deny.toml")?, &place.metadata.packages, &mut found)?;
    licences::check_sources(&place.metadata.packages, &mut found);

    for note in &found.notes {
        println!("note: {note}");
    }
    for finding in &found.findings {
        println!("tidy: {finding}");
    }
    println!("tidy: {} crates, {} files, {} findings", rooms.len(), files.len(), found.findings.len());
    Ok(found.findings.is_empty())
}

fn rooms(place: &Place) -> Result<Vec<Room>> {
    let metadata = &place.metadata;
    let own = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
    let mut rooms = Vec::new();
    for package in own {
        let folder = package.manifest_path.parent().context("a manifest lies in no folder")?;
        let folder = folder.strip_prefix(&place.root).context("a crate lies outside the workspace")?;
        let named = |ours: bool| {
            let lines = package.dependencies.iter().filter(|line| line.source.is_none() == ours);
            let mut names: Vec<_> = lines.map(|line| line.name.clone()).collect();
            names.sort();
            names.dedup();
            names
        };
        rooms.push(Room {
            name: package.name.clone(),
            folder: folder.to_string_lossy().replace('\\', "/"),
            rooms: named(true),
            externals: named(false),
        });
    }
    rooms.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(rooms)
}
