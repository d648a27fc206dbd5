//! The commands, each in its room; here they are told apart.

pub mod audit;
pub mod capture;
pub mod consent;
pub mod contract;
mod cosigning;
mod data;
mod decisions;
mod demo;
mod demo_cj;
mod doors;
pub mod erase;
mod exchange;
pub mod features;
pub mod jobs;
mod learning;
mod lineage;
pub mod people;
mod project;
mod quality;
pub mod registers;
pub mod requests;
pub mod roles;
mod running;
pub mod segments;
pub mod sources;
pub mod vault;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use house::{House, Identifier, Project};
use policy::{Principal, Scope};

use crate::cli::{Cli, Command};
use crate::out::Code;

/// Runs a command.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn run(cli: Cli) -> anyhow::Result<Code> {
    let ctx = Ctx { project: cli.project, json: cli.json, door: doors::of(&cli.command) };
    match cli.command {
        Command::Init(args) => project::init(&args),
        Command::Check { files, most } => project::check(&ctx, &files, most),
        Command::Apply => project::apply(&ctx),
        Command::Serve { listen } => running::serve(&ctx, listen.as_deref()),
        Command::Import(args) => data::import(&ctx, &args),
        Command::Simulate(args) => data::simulate(&args),
        Command::Train { model } => learning::train(&ctx, &model),
        Command::Models { model, version } => learning::models(&ctx, model.as_deref(), version),
        Command::Promote { model, version, to, share, reason, by } => {
            learning::promote(&ctx, &model, version, to, share, &reason, &by)
        }
        Command::Rollback { model, reason, by } => learning::rollback(&ctx, &model, &reason, &by),
        Command::Decide { use_case, id, list, context } => {
            decisions::decide(&ctx, &use_case, id.as_deref(), list.as_deref(), &context)
        }
        Command::Explain { decision, lang } => decisions::explain(&ctx, &decision, lang),
        Command::Outcome { decision, kind, value_cents, at } => {
            decisions::outcome(&ctx, &decision, &kind, value_cents, at.as_deref())
        }
        Command::Consent(args) => consent::run(&ctx, *args),
        Command::Report { use_case, formula, until } => decisions::report(&ctx, &use_case, formula, until),
        Command::Export { claim } => decisions::export(&ctx, &claim),
        Command::Deliver => decisions::deliver(&ctx),
        Command::Replay { verify } => running::replay(&ctx, verify),
        Command::Quality(args) => quality::quality(&ctx, &args),
        Command::Profile(args) => quality::profile(&ctx, &args),
        Command::Quarantine(args) => quality::quarantine(&ctx, &args),
        Command::Lineage(args) => lineage::lineage(&ctx, &args),
        Command::Catalogue(args) => lineage::catalogue(&ctx, &args),
        Command::Impact(args) => lineage::impact(&ctx, &args),
        Command::Lake(args) => exchange::lake(&ctx, &args),
        Command::Jobs(args) => jobs::run(&ctx, &args),
        Command::Contract(args) => contract::run(&ctx, &args),
        Command::Capture(args) => capture::run(&ctx, &args),
        Command::Sources(args) => sources::run(&ctx, &args),
        Command::Features(args) => features::run(&ctx, &args),
        Command::People(args) => people::run(&ctx, &args),
        Command::Segments(args) => segments::run(&ctx, &args),
        Command::Erase(args) => erase::erase(&ctx, &args),
        Command::Retrain { dry_run } => erase::retrain(&ctx, dry_run),
        Command::Vault(args) => vault::run(&ctx, &args),
        Command::Register(args) => registers::register(&ctx, &args),
        Command::Dpia(args) => registers::dpia(&ctx, &args),
        Command::Oversight(args) => registers::oversight(&ctx, &args),
        Command::Request(args) => requests::run(&ctx, &args),
        Command::Incident(args) => registers::incidents(&ctx, &args),
        Command::Audit(args) => self::audit::run(&ctx, &args),
        Command::Keys(args) => running::keys(&ctx, args),
        Command::Roles(args) => roles::run(&ctx, &args),
        Command::Status => running::status(&ctx),
        Command::Backup { to, server } => running::backup(&ctx, &to, server.as_deref()),
        Command::Restore { from, keys } => running::restore(&ctx, &from, keys.as_deref()),
        Command::Demo(args) => demo::run(&ctx, &args),
    }
}

/// What every command is told.
pub struct Ctx {
    /// The project directory.
    pub project: std::path::PathBuf,
    /// Data as JSON.
    pub json: bool,
    /// What the command needs where it opens the house.
    pub door: Scope,
}

impl Ctx {
    /// Opens the project's house.
    pub fn open(&self) -> anyhow::Result<Arc<House>> {
        self.let_in(open(&self.project)?)
    }

    /// Opens the project's house at once; new feature views are still to be filled.
    pub fn open_unfilled(&self) -> anyhow::Result<Arc<House>> {
        self.let_in(open_with(&self.project, House::open_unfilled)?)
    }

    /// The operator is let in by the project's policies, too.
    fn let_in(&self, house: Arc<House>) -> anyhow::Result<Arc<House>> {
        if let Err(denied) = house.let_in(&operator(&data::user()), self.door) {
            house.close();
            return Err(denied.into());
        }
        Ok(house)
    }
}

/// Opens a project's house.
pub fn open(dir: &Path) -> anyhow::Result<Arc<House>> {
    open_with(dir, House::open)
}

fn open_with(
    dir: &Path,
    open: impl FnOnce(Project) -> Result<House, house::Error>,
) -> anyhow::Result<Arc<House>> {
    let project = Project::load(dir)?;
    let house = open(project).map_err(|error| {
        // The databases say so in their own words.
        let is_open = error.to_string().contains("Locked");
        let error = anyhow::Error::from(error);
        if is_open {
            let what = format!(
                "another process has `{}` open; end it, or ask the server if it is one",
                dir.display()
            );
            return error.context(what);
        }
        error
    })?;
    Ok(Arc::new(house))
}

/// Whoever has the command line has the machine: all scopes in the role `operator`, under the name of the person.
pub fn operator(name: &str) -> Principal {
    ::roles::Roles::operator(name)
}

/// `user_id=c00001`
pub fn identifier(text: &str) -> anyhow::Result<Identifier> {
    let (kind, value) =
        text.split_once('=').with_context(|| format!("`{text}` is not TYPE=VALUE, like user_id=c00001"))?;
    if kind.is_empty() || value.is_empty() {
        bail!("`{text}` is not TYPE=VALUE, like user_id=c00001");
    }
    Ok(Identifier { kind: kind.to_owned(), value: value.to_owned() })
}
