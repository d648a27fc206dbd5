//! `lake`: data out as Parquet, and a whole instance out and in.

use anyhow::Context;
use house::{Exported, FileLayout};

use super::data::user;
use super::{Ctx, operator};
use crate::cli::Lake;
use crate::out::{self, Code};

/// Takes data out, or an instance in.
pub fn lake(ctx: &Ctx, args: &Lake) -> anyhow::Result<Code> {
    if let Lake::Load { from, master, partitions } = args {
        return load(ctx, from, master.as_deref(), *partitions);
    }
    let house = ctx.open()?;
    let who = operator(&user());
    match args {
        Lake::Stream { stream, purpose, to, raw } => {
            let layout = if *raw { FileLayout::Raw } else { FileLayout::Fields };
            told(ctx, &house.export_stream(&who, stream, purpose, layout, to)?, to)?;
        }
        Lake::Features { view, purpose, to, at } => {
            let at =
                at.as_deref().map(str::parse).transpose().context("--at takes a date, or a date and time")?;
            told(ctx, &house.export_features(&who, view, purpose, at, to)?, to)?;
        }
        Lake::Dataset { model, to } => told(ctx, &house.export_dataset(&who, model, to)?, to)?,
        Lake::Instance { to } => {
            house.audit(&::audit::Act::new("instance.export", &user()))?;
            let done = house.export_instance(to)?;
            if ctx.json {
                out::json(&done)?;
            } else {
                out::line(&format!(
                    "{} records, {:.1} MB, digest {} in {}; the master key is not in it",
                    done.n_records,
                    done.n_bytes as f64 / 1e6,
                    done.digest,
                    to.display()
                ));
            }
        }
        Lake::Load { .. } => {}
    }
    house.close();
    Ok(Code::Fine)
}

fn told(ctx: &Ctx, done: &Exported, to: &std::path::Path) -> anyhow::Result<()> {
    if ctx.json {
        return out::json(done);
    }
    let written = done.written;
    out::line(&format!(
        "{} rows, {:.1} MB in {}",
        written.n_rows,
        written.n_bytes as f64 / 1e6,
        to.display()
    ));
    if done.n_profiles_left_out > 0 {
        out::line(&format!(
            "{} left out with {}: they may not be used for this",
            out::count(done.n_profiles_left_out, "profile"),
            out::count(usize::try_from(done.n_rows_left_out).unwrap_or(usize::MAX), "row")
        ));
    }
    if written.n_unfit > 0 {
        out::line(&format!(
            "{} values are of another type than the contract says; left out",
            written.n_unfit
        ));
    }
    Ok(())
}

fn load(
    ctx: &Ctx,
    from: &std::path::Path,
    master: Option<&std::path::Path>,
    partitions: Option<u16>,
) -> anyhow::Result<Code> {
    std::fs::create_dir_all(&ctx.project)?;
    let loaded = house::load_instance(from, &ctx.project, master, partitions)?;
    house::owe_entry(&ctx.project, &::audit::Act::new("instance.load", &user()))?;
    if ctx.json {
        out::json(&serde_json::json!({ "loaded": loaded, "equal": loaded.holds() }))?;
    } else {
        out::line(&format!("{} records in {} partitions", loaded.exported.n_records, loaded.n_partitions));
        out::line(&format!("exported {}", loaded.exported.digest));
        out::line(&format!("loaded   {}", loaded.digest));
        out::line(if loaded.holds() { "the same" } else { "NOT the same" });
    }
    Ok(if loaded.holds() { Code::Fine } else { Code::Findings })
}
