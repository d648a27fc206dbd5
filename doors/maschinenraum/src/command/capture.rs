//! `capture`: a PostgreSQL database's changes as records; shown, checked, run, ended.

use std::sync::atomic::AtomicBool;

use anyhow::bail;
use clap::Args;
use house::{CaptureState, CaptureView, House, Until};
use serde_json::json;

use super::Ctx;
use crate::command::data::user;
use crate::out::{self, Code};

/// `capture`
#[derive(Args, Debug)]
pub struct Capture {
    /// The capture, as `[captures.NAME]` of the settings has it; without it, all are shown.
    pub name: Option<String>,
    /// End once everything is here that was committed when the command began; for schedulers.
    #[arg(long, requires = "name")]
    pub once: bool,
    /// Only look whether the database can be captured; changes nothing.
    #[arg(long, requires = "name", conflicts_with = "once")]
    pub check: bool,
    /// End the capture: removes its slot and its own publication from the database. Its records stay.
    #[arg(long, requires = "name", conflicts_with_all = ["once", "check"])]
    pub drop: bool,
    /// With --drop: do not ask the database, which is gone.
    #[arg(long, requires = "drop")]
    pub forget: bool,
}

/// Runs, checks, ends or shows captures.
///
/// # Errors
/// Whatever the house says.
pub fn run(ctx: &Ctx, args: &Capture) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = match &args.name {
        None => list(ctx, &house),
        Some(name) if args.check => check(ctx, &house, name),
        Some(name) if args.drop => {
            house.drop_capture(name, args.forget, &user())?;
            out::say(&format!("capture {name} is ended; its records stay"));
            Ok(Code::Fine)
        }
        Some(name) => follow(ctx, &house, name, args.once),
    };
    house.close();
    done
}

fn follow(ctx: &Ctx, house: &House, name: &str, once: bool) -> anyhow::Result<Code> {
    let until = if once { Until::CaughtUp } else { Until::Stopped };
    let bar = out::bar(0, name);
    let before = house.captures()?.into_iter().find(|view| view.name == name).and_then(|view| view.state);
    let n_noticed = before.as_ref().map_or(0, |state| state.noticed.len());
    if !once {
        out::say("capturing until Ctrl-C; nothing is lost by it, the next run goes on where this one ends");
    }
    // Ctrl-C ends the process: what is durable is noted as such, the rest comes again.
    let state = house.capture(name, until, &AtomicBool::new(false), &mut |state| {
        bar.set_length(state.n_snapshot);
        bar.set_position(state.n_copied);
    })?;
    bar.finish_and_clear();
    if ctx.json {
        out::json(&state)?;
    } else {
        print(name, &state);
        for one in state.noticed.iter().skip(n_noticed) {
            out::line(&format!("  {} {}", one.code, one.message));
        }
    }
    Ok(Code::Fine)
}

fn print(name: &str, state: &CaptureState) {
    let counts = &state.counts;
    out::line(&format!(
        "{name}: {} accepted + {} quarantined, up to {}",
        counts.n_accepted, counts.n_quarantined, state.reached
    ));
    for (table, ops) in &counts.tables {
        out::line(&format!(
            "  {table}: {} there at first, {} inserts, {} updates, {} deletes, {} truncates",
            ops.snapshot, ops.insert, ops.update, ops.delete, ops.truncate
        ));
    }
    if counts.n_skipped > 0 {
        out::line(&format!("  {} changes of tables that the settings send nowhere", counts.n_skipped));
    }
}

fn check(ctx: &Ctx, house: &House, name: &str) -> anyhow::Result<Code> {
    let (system, noticed) = house.check_capture(name)?;
    if ctx.json {
        let database =
            json!({"system": system.identifier, "database": system.database, "version": system.version});
        out::json(&json!({"fits": true, "database": database, "noticed": noticed}))?;
        return Ok(Code::Fine);
    }
    let version = format!("{}.{}", system.version / 10_000, system.version % 10_000);
    out::line(&format!("{name}: database `{}` of PostgreSQL {version} can be captured", system.database));
    for one in &noticed {
        out::line(&format!("  {} {}", one.code, one.message));
    }
    Ok(Code::Fine)
}

fn list(ctx: &Ctx, house: &House) -> anyhow::Result<Code> {
    let views = house.captures()?;
    if views.is_empty() {
        bail!("there are no captures: [captures.NAME] of maschinenraum.toml describes one (docs/capture.md)");
    }
    if ctx.json {
        let all: Vec<_> = views
            .iter()
            .map(|view| json!({"name": view.name, "database": view.database, "state": view.state}))
            .collect();
        out::json(&all)?;
        return Ok(Code::Fine);
    }
    let row = |view: &CaptureView| {
        let Some(state) = &view.state else {
            let empty = std::iter::repeat_n(String::new(), 5);
            return [view.name.clone(), view.database.clone(), "new".to_owned()]
                .into_iter()
                .chain(empty)
                .collect();
        };
        let stage = match view.settings {
            Some(_) => format!("{:?}", state.stage).to_lowercase(),
            None => format!("{:?}, not in the settings", state.stage).to_lowercase(),
        };
        vec![
            view.name.clone(),
            view.database.clone(),
            stage,
            state.counts.n_accepted.to_string(),
            state.counts.n_quarantined.to_string(),
            state.reached.to_string(),
            state.noted_at.to_string(),
            state.noticed.last().map(|one| format!("{} {}", one.code, one.table)).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = views.iter().map(row).collect();
    out::table(
        &["capture", "database", "state", "accepted", "refused", "reached", "latest", "noticed"],
        &rows,
    );
    Ok(Code::Fine)
}
