//! A changing PostgreSQL table, both sides killed at random moments: each change here exactly once by the database's own
//! account; then refused rows mended, and the totals still the database's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::folder;
use crate::capturing::postgres::Server;
use crate::capturing::project::{Dice, SQL, transaction, write};
use crate::capturing::{catch_up, said};
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

/// How long both sides are killed.
const LASTS: Duration = Duration::from_secs(60);

/// The item.
pub const ITEM: Item = Item {
    id: "capture",
    title: "PostgreSQL's changes through a minute of kill -9 of either side, under a running server",
    bar: "every change here once, by table and operation, as triggers in the database counted them; refused rows mended: \
          the totals stay the database's",
    run,
};

fn run(place: &Place) -> Result<Figure> {
    let Some(mut server) = Server::start("captures", &[]) else { bail!("PostgreSQL is not installed") };
    let binary = served::binary(place)?;
    let project = folder(place, "capture")?;
    server.sql(SQL);
    server.sql("INSERT INTO orders SELECT n, 'c' || n % 50, 1, 'first' FROM generate_series(1, 20000) n");
    write(&project, &server, "");
    let key = served::make_key(&binary, &project)?;
    let (mut dice, mut next) = (Dice(7), 20_001);
    let (mut n_ours, mut n_theirs) = (0, 0);
    let mut running = Served::start(&binary, &project, &key)?;
    let began = Instant::now();
    while began.elapsed() < LASTS {
        for _ in 0..1 + dice.roll(4) {
            server.sql(&transaction(&mut dice, &mut next));
        }
        if dice.roll(3) == 0 {
            server.sql(&format!("INSERT INTO orders VALUES ({next}, 'ada', -1, 'refused')"));
            next += 1;
        }
        std::thread::sleep(Duration::from_millis(dice.roll(600)));
        if dice.roll(2) == 0 {
            running.kill()?;
            running = Served::start(&binary, &project, &key)?;
            n_ours += 1;
        } else {
            server.kill();
            server.go();
            n_theirs += 1;
        }
    }
    running.kill()?;
    let state = catch_up(&binary, &project)?;
    let mut wrong = Vec::new();
    let mut same = |what: &str, here: u64, there: u64| {
        if here != there {
            wrong.push(format!("{what}: {here} here, {there} there"));
        }
    };
    let here = |table: &str, op: &str| {
        state.counts.tables.get(table).and_then(|ops| ops.get(op)).copied().unwrap_or_default()
    };
    let n_first = here("public.audit", "snapshot");
    let after = format!("FROM (SELECT op FROM audit ORDER BY n OFFSET {n_first}) a");
    for op in ["insert", "update", "delete"] {
        let there = server.count(&format!("SELECT count(*) {after} WHERE op = '{op}'"));
        same(op, here("public.orders", op), there);
    }
    let n_changes = server.count(&format!("SELECT count(*) {after}"));
    let streams = streams(&binary, &project)?;
    let of = |name: &str| streams.get(name).copied().unwrap_or_default();
    let (accepted, refused) = of("orders");
    let n_orders = here("public.orders", "snapshot") + n_changes - here("public.orders", "delete");
    same("records of orders", accepted + refused, n_orders);
    same("records of orders_gone", of("orders_gone").0, here("public.orders", "delete"));
    same("records of audit", of("audit").0, server.count("SELECT count(*) FROM audit"));
    same("refused", refused, state.counts.n_quarantined);
    // Mended: what was refused becomes records, and the totals are still the database's.
    let path = project.join("contracts/orders.yaml");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("{minimum: 0}", "{minimum: -9}").replace("1.0.0", "1.0.1"))?;
    said(&binary, &project, &["quarantine", "--replay-all"])?;
    let mended = self::streams(&binary, &project)?.get("orders").copied().unwrap_or_default();
    same("records after mending", mended.0, n_orders);
    same("refused after mending", mended.1, 0);
    let text = format!(
        "{n_changes} changes through {n_ours} kills of ours and {n_theirs} of PostgreSQL, {refused} of them refused and \
         mended{}",
        if wrong.is_empty() {
            ": none lost, none twice".to_owned()
        } else {
            format!("; {}", wrong.join("; "))
        }
    );
    Ok(Figure { text, holds: wrong.is_empty() && n_ours > 0 && n_theirs > 0 && refused > 0 })
}

/// Records and refused records by stream.
fn streams(binary: &Path, project: &Path) -> Result<BTreeMap<String, (u64, u64)>> {
    let status: Value = serde_json::from_str(&said(binary, project, &["--json", "status"])?)?;
    let streams = status.get("streams").and_then(Value::as_object).context("status names no streams")?;
    let number = |count: &Value, name: &str| count.get(name).and_then(Value::as_u64).unwrap_or_default();
    let one = |(name, count): (&String, &Value)| {
        (name.clone(), (number(count, "n_records"), number(count, "n_refused")))
    };
    Ok(streams.iter().map(one).collect())
}
