//! Captures: how fast a slot's backlog, and the tables as they are, become durable, folded records.

use std::time::Instant;

use anyhow::{Result, bail};

use super::folder;
use crate::capturing::postgres::Server;
use crate::capturing::project::{SQL, write};
use crate::capturing::{catch_up, said};
use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

const N_ROWS: u64 = 400_000;
const BAR: f64 = 20_000.0;

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "capture-stream",
            title: "changes of a PostgreSQL 15 table (400,000 of 120 B, a personal field, transactions of 1,000) waiting in \
                    a slot: decoded, judged, sealed, durable, folded; PostgreSQL on the same cores",
            bar: "≥ 20,000 rows/s",
            run: stream,
        },
        Item {
            id: "capture-snapshot",
            title: "the same rows as they are in the table when a capture begins: copied, spooled sealed, appended",
            bar: "≥ 20,000 rows/s",
            run: snapshot,
        },
    ]
}

fn stream(place: &Place) -> Result<Figure> {
    measure(place, "capture-stream", true)
}

fn snapshot(place: &Place) -> Result<Figure> {
    measure(place, "capture-snapshot", false)
}

fn measure(place: &Place, name: &str, stream: bool) -> Result<Figure> {
    let Some(server) = Server::start(name, &["shared_buffers=256MB"]) else {
        bail!("PostgreSQL is not installed")
    };
    let binary = served::binary(place)?;
    let project = folder(place, name)?;
    server.sql(SQL);
    // The triggers are the tests' independent count; here they would be measured too.
    server.sql("ALTER TABLE orders DISABLE TRIGGER t");
    write(&project, &server, "");
    let before = if stream { catch_up(&binary, &project)?.counts.n_accepted } else { 0 };
    for chunk in 0..N_ROWS / 1_000 {
        let first = chunk * 1_000 + 1;
        server.sql(&format!(
            "INSERT INTO orders SELECT n, 'customer-' || n % 20000, n % 1000 + 0.25, repeat('x', 80) \
             FROM generate_series({first}, {}) n",
            first + 999
        ));
    }
    if !stream {
        // The vault and the journal are made before the clock runs, as they are for the stream.
        said(&binary, &project, &["status"])?;
    }
    let began = Instant::now();
    let state = catch_up(&binary, &project)?;
    let took = began.elapsed().as_secs_f64();
    let n = state.counts.n_accepted - before;
    if n != N_ROWS || state.counts.n_quarantined > 0 {
        bail!("{n} of {N_ROWS} rows were accepted, {} refused", state.counts.n_quarantined);
    }
    let rate = N_ROWS as f64 / took;
    Ok(Figure {
        text: format!("{rate:.0} rows/s ({took:.1} s, start and end of the process included)"),
        holds: rate >= BAR,
    })
}
