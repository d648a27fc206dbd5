//! `segments`: who belongs to a saved rule; counted, listed, taken out.

use std::path::PathBuf;

use clap::Subcommand;
use event::Instant;
use house::SegmentCount;

use super::{Ctx, identifier, operator};
use crate::command::data::user;
use crate::out::{self, Code};

/// `segments`
#[derive(Subcommand, Debug)]
pub enum Segments {
    /// Every segment with its count.
    List,
    /// How many belong to a segment, now or as of a past instant.
    Count {
        /// The segment.
        name: String,
        /// As of this instant, like 2026-03-01T00:00:00Z.
        #[arg(long)]
        at: Option<Instant>,
    },
    /// To which segments somebody belongs.
    Of {
        /// Who, as TYPE=VALUE.
        id: String,
        /// For what they are read: segments of this purpose are asked.
        #[arg(long)]
        purpose: String,
    },
    /// Writes who belongs to a segment: CSV, or JSON lines where the file ends with .jsonl.
    Export {
        /// The segment.
        name: String,
        /// The file.
        to: PathBuf,
        /// A trait beside the profile's pseudonym; may be repeated.
        #[arg(long = "trait")]
        traits: Vec<String>,
        /// As of this instant: who belonged to it then; traits are those of today.
        #[arg(long)]
        at: Option<Instant>,
    },
}

/// Does what is asked.
///
/// # Errors
/// Whatever the house says.
pub fn run(ctx: &Ctx, args: &Segments) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let me = operator(&user());
    let done = match args {
        Segments::List => {
            let names: Vec<String> = house.project().segments.iter().map(|s| s.name.clone()).collect();
            let counts = names.iter().map(|name| house.count_segment(&me, name, None));
            let counts = counts.collect::<Result<Vec<_>, _>>()?;
            if ctx.json {
                // A list, however many there are.
                out::json(&counts)?;
                house.close();
                return Ok(Code::Fine);
            }
            if counts.is_empty() {
                out::say("no segments yet: each is a file segments/NAME.yaml (docs/segments.md)");
                house.close();
                return Ok(Code::Fine);
            }
            told(ctx, &counts)
        }
        Segments::Of { id, purpose } => of(ctx, &house, id, purpose),
        Segments::Count { name, at } => told(ctx, &[house.count_segment(&me, name, *at)?]),
        Segments::Export { name, to, traits, at } => {
            told(ctx, &[house.export_segment(&me, name, *at, traits, to)?])
        }
    };
    house.close();
    done
}

fn of(ctx: &Ctx, house: &house::House, id: &str, purpose: &str) -> anyhow::Result<Code> {
    let (at, segments) = house.segments_of(&operator(&user()), &identifier(id)?, purpose)?;
    if ctx.json {
        out::json(&serde_json::json!({ "at": at, "segments": segments }))?;
        return Ok(Code::Fine);
    }
    if segments.is_empty() {
        out::say(&format!("no segment is made for `{purpose}`"));
    }
    let row = |(name, holds): (String, bool)| vec![name, if holds { "yes" } else { "no" }.to_owned()];
    out::table(&["segment", "belongs"], &segments.into_iter().map(row).collect::<Vec<_>>());
    Ok(Code::Fine)
}

fn told(ctx: &Ctx, counts: &[SegmentCount]) -> anyhow::Result<Code> {
    if ctx.json {
        match counts {
            [one] => out::json(one)?,
            all => out::json(&all)?,
        }
        return Ok(Code::Fine);
    }
    let row = |count: &SegmentCount| {
        vec![
            count.segment.clone(),
            count.purpose.clone(),
            count.n_profiles.to_string(),
            count.n_of.to_string(),
            count.at.to_string(),
        ]
    };
    out::table(
        &["segment", "purpose", "profiles", "of", "as of"],
        &counts.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(Code::Fine)
}
