//! `sources`: what records come by, and how each is; a look into a watched folder.

use anyhow::bail;
use clap::Args;
use house::{House, SourceView};
use serde_json::json;

use super::Ctx;
use crate::out::{self, Code};

/// `sources`
#[derive(Args, Debug)]
pub struct Sources {
    /// One source with its days; without it, all are shown.
    pub name: Option<String>,
    /// Look into this watched folder of `[sources]` once and import what rests there; for schedulers.
    #[arg(long, requires = "name")]
    pub look: bool,
}

/// Shows sources, or looks into a folder. Exit code 1 where something is wrong with what was asked for.
///
/// # Errors
/// Whatever the house says.
pub fn run(ctx: &Ctx, args: &Sources) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = match &args.name {
        Some(name) if args.look => look(ctx, &house, name),
        name => show(ctx, &house, name.as_deref()),
    };
    house.close();
    done
}

fn look(ctx: &Ctx, house: &House, name: &str) -> anyhow::Result<Code> {
    let mut files = Vec::new();
    let mut code = Code::Fine;
    let n_files = house.look(name, &|| false, &mut |one| match &one.done {
        Ok(done) => {
            if !ctx.json {
                super::data::print_import(&one.file, done);
            }
            files.push(json!({"file": one.file, "batch": done.batch, "counts": done.counts, "repeated": done.repeated}));
        }
        Err(error) => {
            out::say(&format!("{}: {error} ({})", one.file, error.code()));
            files.push(json!({"file": one.file, "code": error.code(), "error": error.to_string()}));
            code = Code::Findings;
        }
    })?;
    if ctx.json {
        out::json(&files)?;
    } else if n_files == 0 {
        out::line(&format!("{name}: no file rests there"));
    }
    Ok(code)
}

fn show(ctx: &Ctx, house: &House, name: Option<&str>) -> anyhow::Result<Code> {
    let mut views = house.sources()?;
    if let Some(name) = name {
        let known = views.iter().map(|view| view.name.clone()).collect::<Vec<_>>().join(", ");
        views.retain(|view| view.name == name);
        if views.is_empty() {
            bail!("there is no source `{}`; known: {known}", name.chars().take(64).collect::<String>());
        }
    }
    let code = if views.iter().any(|view| !view.wrong.is_empty()) { Code::Findings } else { Code::Fine };
    if ctx.json {
        let all: Vec<_> = views
            .iter()
            .map(|view| {
                let wrong: Vec<_> = view
                    .wrong
                    .iter()
                    .map(|(code, message)| json!({"code": code, "message": message}))
                    .collect();
                json!({"name": view.name, "kind": view.kind, "state": view.state, "wrong": wrong})
            })
            .collect();
        out::json(&all)?;
        return Ok(code);
    }
    if views.is_empty() {
        out::line("no source brought anything yet");
    }
    let rows: Vec<Vec<String>> = views.iter().map(row).collect();
    out::table(&["source", "kind", "records", "refused", "mended", "last seen", "wrong"], &rows);
    for view in &views {
        for (code, message) in &view.wrong {
            out::line(&format!("{}: {message} ({code})", view.name));
        }
    }
    if let (Some(_), Some(state)) = (name, views.first().and_then(|view| view.state.as_ref())) {
        let days = state.days.iter().map(|(day, of)| {
            let start = event::Instant::try_from_micros(i64::from(*day) * 86_400_000_000).unwrap_or_default();
            let date = start.to_string().chars().take(10).collect();
            vec![date, of.n_records.to_string(), of.n_refused.to_string(), of.n_ahead.to_string()]
        });
        out::table(&["day", "records", "refused", "from the future"], &days.collect::<Vec<_>>());
    }
    Ok(code)
}

fn row(view: &SourceView) -> Vec<String> {
    let state = view.state.clone().unwrap_or_default();
    vec![
        view.name.clone(),
        view.kind.to_owned(),
        state.n_records.to_string(),
        state.n_refused.to_string(),
        state.n_mended.to_string(),
        state.last_at.map(|at| at.to_string()).unwrap_or_default(),
        view.wrong.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(" "),
    ]
}
