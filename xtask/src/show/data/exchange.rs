//! Exchange: streams and features as Parquet that DuckDB and Polars read as the source has them; what they write comes in; a
//! whole instance goes into fresh ones and folds to the same digest.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{folder, ran};
use crate::peers;
use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "exchange",
    title: "Exchange on Complete Journey: Parquet out and in, a whole instance into fresh ones",
    bar: "rows and sums read by DuckDB and Polars equal the source's; 1,000 rows written by each are accepted; the digest \
          is equal with 1 and with 7 partitions",
    run,
};

#[derive(Deserialize)]
struct Read {
    source: Sum,
    duckdb: Sum,
    polars: Sum,
}

#[derive(Deserialize)]
struct Sum {
    rows: u64,
    sum: f64,
}

#[derive(Deserialize)]
struct Imported {
    counts: Counts,
}

#[derive(Deserialize)]
struct Counts {
    n_rows: u64,
    n_accepted: u64,
}

fn run(place: &Place) -> Result<Figure> {
    let data = place.data().context("no data")?.join("decide");
    let binary = served::binary(place)?;
    let folder = folder(place, "exchange")?;
    let project = folder.join("project");
    let mut demo = Command::new(&binary);
    demo.args(["demo", "--no-serve", "--from"]).arg(&data).arg("--dir").arg(&project);
    ran(&mut demo, &[0])?;
    let at = |place: &std::path::Path, args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--project").arg(place).args(args);
        command
    };
    let out = folder.join("transactions.parquet").display().to_string();
    ran(
        &mut at(&project, &["lake", "stream", "transactions", "--purpose", "analytics", "--to", &out]),
        &[0],
    )?;
    let python = peers::python(place)?;
    let mut reading = Command::new(&python);
    reading.arg(place.root.join("bench/peers/exchange_read.py"));
    reading.arg(data.join("cj_transactions_sample.parquet")).arg(&out).arg(&folder);
    let read: Read = super::printed(&mut reading)?;
    let equal = |sum: &Sum| sum.rows == read.source.rows && (sum.sum - read.source.sum).abs() < 0.005;

    let whole = folder.join("whole").display().to_string();
    ran(&mut at(&project, &["lake", "instance", "--to", &whole]), &[0])?;
    let master = project.join("master.key").display().to_string();
    let mut same = true;
    for partitions in ["1", "7"] {
        let fresh = folder.join(format!("fresh-{partitions}"));
        let load = ["lake", "load", &whole, "--master", &master, "--partitions", partitions];
        same &= at(&fresh, &load).output()?.status.success();
    }
    let fresh = folder.join("fresh-7");
    let mut brought = 0;
    for tool in ["duckdb", "polars"] {
        let file = folder.join(format!("{tool}.parquet")).display().to_string();
        let said = ran(&mut at(&fresh, &["--json", "import", "--stream", "transactions", &file]), &[0])?;
        let done: Imported = serde_json::from_str(&said).context("`import --json` speaks an unknown form")?;
        brought += u64::from(done.counts.n_rows == 1_000 && done.counts.n_accepted == 1_000);
    }
    let holds = equal(&read.duckdb) && equal(&read.polars) && same && brought == 2;
    let text = format!(
        "source {} rows worth {:.2}; DuckDB reads {} worth {:.2}, Polars {} worth {:.2}; rows written by {brought} of 2 \
         tools came in whole; digests with 1 and 7 partitions: {}",
        read.source.rows,
        read.source.sum,
        read.duckdb.rows,
        read.duckdb.sum,
        read.polars.rows,
        read.polars.sum,
        if same { "equal" } else { "DIFFER" }
    );
    Ok(Figure { text, holds })
}
