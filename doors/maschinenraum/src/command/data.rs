//! `import`, `simulate`: data in.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use house::{House, Imported};
use simulate::{Config, World};

use super::Ctx;
use crate::cli::{Import, Simulate};
use crate::out::{self, Code};

/// Brings a file in, or shows and undoes imports.
pub fn import(ctx: &Ctx, args: &Import) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    if args.list {
        let imports = house.imports()?;
        if ctx.json {
            out::json(&imports)?;
        } else {
            let rows: Vec<Vec<String>> = imports
                .iter()
                .map(|(batch, import)| {
                    let counts = import.counts;
                    vec![
                        batch.to_string(),
                        import.stream.clone(),
                        import.file.clone(),
                        format!("{:?}", import.stage).to_lowercase(),
                        counts.n_rows.to_string(),
                        counts.n_accepted.to_string(),
                        counts.n_quarantined.to_string(),
                        import.started_at.to_string(),
                    ]
                })
                .collect();
            out::table(
                &["batch", "stream", "file", "stage", "rows", "accepted", "refused", "started"],
                &rows,
            );
        }
        house.close();
        return Ok(Code::Fine);
    }
    if let Some(batch) = &args.undo {
        let batch = batch.parse().context("--undo takes a batch as `import --list` shows it")?;
        let alone = Arc::try_unwrap(house).map_err(|_| anyhow::anyhow!("the house is in use"))?;
        alone.undo_import(batch, &user())?;
        out::say("taken back; folding the state anew without it");
        super::open(&ctx.project)?.close();
        return Ok(Code::Fine);
    }
    let file = args.file.as_deref().context("a file is missing")?;
    if args.consents {
        let done = house.import_consents(file)?;
        for (row, reason) in done.refused.iter().take(20) {
            out::say(&format!("row {row}: {reason}"));
        }
        if ctx.json {
            out::json(&done)?;
        } else {
            out::line(&format!("{} consents, {} rows refused", done.n_accepted, done.refused.len()));
        }
        house.close();
        return Ok(Code::Fine);
    }
    let stream = args.stream.as_deref().context("--stream is missing")?;
    let source = args.source.as_deref().map(event::SourceName::new);
    let done = import_file(&house, file, stream, source.as_ref())?;
    if ctx.json {
        out::json(&serde_json::json!({
            "batch": done.batch, "counts": done.counts, "reasons": done.reasons, "repeated": done.repeated,
        }))?;
    } else {
        print_import(stream, &done);
    }
    house.close();
    let nothing = done.counts.n_rows > 0 && done.counts.n_accepted + done.counts.n_duplicates == 0;
    Ok(if nothing { Code::Findings } else { Code::Fine })
}

/// Imports with a progress bar.
pub fn import_file(
    house: &House,
    file: &Path,
    stream: &str,
    source: Option<&event::SourceName>,
) -> anyhow::Result<Imported> {
    let bar = out::bar(std::fs::metadata(file).map_or(0, |meta| meta.len()), stream);
    let done = house.import_from(file, stream, source, |progress| bar.set_position(progress.n_bytes))?;
    bar.finish_and_clear();
    Ok(done)
}

/// One line per fact of an import.
pub fn print_import(stream: &str, done: &Imported) {
    let counts = done.counts;
    let before = if done.repeated { " (imported before; nothing to do)" } else { "" };
    out::line(&format!(
        "{stream}: {} rows = {} accepted + {} quarantined + {} duplicates{before}",
        counts.n_rows, counts.n_accepted, counts.n_quarantined, counts.n_duplicates
    ));
    for (code, (n, example)) in &done.reasons {
        out::line(&format!("  {code} × {n}, for example: {example}"));
    }
    if done.n_resumed > 0 && !done.repeated {
        out::line(&format!("  went on behind row {}", done.n_resumed));
    }
    out::line(&format!("  batch {} (take it back with `import --undo {0}`)", done.batch));
}

/// Writes a synthetic shop: project, data and truth.
pub fn simulate(args: &Simulate) -> anyhow::Result<Code> {
    let crate::cli::World::Shop = args.world;
    if args.out.join("maschinenraum.toml").exists() {
        bail!("`{}` is a project already", args.out.display());
    }
    let world = World::new(Config { n_customers: args.customers, seed: args.seed, ..Config::default() })?;
    write_shop(&world, &args.out)?;
    out::say(&format!("wrote a shop of {} customers to {}", args.customers, args.out.display()));
    Ok(Code::Fine)
}

/// Writes a world's project, and its data below `data-in/`.
pub fn write_shop(world: &World, dir: &Path) -> anyhow::Result<simulate::History> {
    simulate::write(&world.project_files(), dir)?;
    let history = world.history();
    simulate::write(history.files(), &dir.join("data-in"))?;
    Ok(history)
}

/// Who runs the command.
pub fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "cli".to_owned())
}
