//! Intake over HTTP with durable acknowledgement, and what follows from a full journal: replay and restart.

use super::load::{self, Ask, Pace, Run};
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};
use anyhow::{Context, Result, bail};
use simulate::{LOAD_CONTRACT, Load};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const N_PER_BATCH: usize = 100;
/// Different batches per client; they come round again with new message ids.
const N_BATCHES: usize = 1_000;
/// Where the number stands in a message id: `load-SEED-` and twelve digits.
const N_DIGITS: usize = 12;

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "intake-sustained",
            title: "intake over HTTP: batches of 100 × 500 B, 20 % with personal fields, durable, 8 features \
                    folded, 4 clients on the same cores",
            bar: "≥ 25,000 events/s, fold lag ≤ 1 s",
            run: sustained,
        },
        Item {
            id: "intake-long",
            title: "the same at 27,500 events/s for ten minutes (`--minutes` for another time)",
            bar: "≥ 25,000 events/s for 10 minutes, fold lag ≤ 1 s",
            run: long,
        },
        Item {
            id: "intake-burst",
            title: "the same for 3 s from rest, 8 clients",
            bar: "≥ 50,000 events/s",
            run: burst,
        },
        Item {
            id: "intake-paced",
            title: "the same at 10,000 events/s, 4 clients, times from when a batch was due",
            bar: "p99 ≤ 50 ms",
            run: paced,
        },
        Item {
            id: "replay",
            title: "`replay --verify` of the journal that intake-long or intake-sustained left",
            bar: "≥ 150,000 events/s, same digest",
            run: replay,
        },
        Item {
            id: "replay-shop",
            title: "`replay --verify` of the demo's shop: identity, traits, consents, three feature views, decisions",
            bar: "≥ 150,000 events/s, same digest",
            run: replay_shop,
        },
        Item {
            id: "restart",
            title: "kill -9 under load, then start until ready, on the journal that intake-long or intake-sustained left",
            bar: "≤ 3 s (on 10 M events)",
            run: restart,
        },
    ]
}

/// A client's batches, made before the clock runs; each round gives their messages new ids.
struct Batches {
    bodies: Vec<(Vec<u8>, Vec<usize>)>,
    client: u64,
    n_clients: u64,
    first_id: u64,
}

impl Batches {
    /// Everything `n_clients` send; ids from `first_id` on.
    fn make(n_clients: u64, first_id: u64) -> Vec<Self> {
        let n_events = n_clients * (N_BATCHES * N_PER_BATCH) as u64;
        let mut load = Load::new(n_events, 1);
        let mark = b"\"messageId\":\"load-1-";
        let body = |body: Vec<u8>| {
            let found = body.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
            let places = found.map(|(at, _)| at + mark.len()).collect();
            (body, places)
        };
        (0..n_clients)
            .map(|client| {
                let bodies =
                    std::iter::from_fn(|| load.batch(N_PER_BATCH)).take(N_BATCHES).map(body).collect();
                Self { bodies, client, n_clients, first_id }
            })
            .collect()
    }

    /// The `number`-th batch with ids never used before.
    fn body(&mut self, number: u64) -> &[u8] {
        let first = self.first_id + (number * self.n_clients + self.client) * N_PER_BATCH as u64;
        let at = number as usize % self.bodies.len().max(1);
        let Some((body, places)) = self.bodies.get_mut(at) else { return &[] };
        for (place, id) in places.iter().zip(first..) {
            if let Some(digits) = body.get_mut(*place..*place + N_DIGITS) {
                digits.copy_from_slice(format!("{id:012}").as_bytes());
            }
        }
        body
    }
}

fn asks(batches: Vec<Batches>) -> Vec<Ask<'static>> {
    let ask = |mut batches: Batches| -> Ask<'static> {
        Box::new(move |client, number| {
            let answer = client.fetch("POST", "/v1/batch", batches.body(number))?;
            let all = format!("\"accepted\":{N_PER_BATCH},");
            if !String::from_utf8_lossy(&answer).contains(&all) {
                bail!("not all accepted: {}", String::from_utf8_lossy(&answer));
            }
            Ok(ControlFlow::Continue(()))
        })
    };
    batches.into_iter().map(ask).collect()
}

fn project(place: &Place, name: &str) -> Result<PathBuf> {
    let folder = super::folder(place, name)?;
    let settings =
        "[purposes.analytics]\nbasis = \"consent\"\ndescription = \"Understand what is looked at\"\n";
    std::fs::write(folder.join("maschinenraum.toml"), settings)?;
    std::fs::create_dir(folder.join("contracts"))?;
    std::fs::write(folder.join("contracts/load.yaml"), LOAD_CONTRACT)?;
    std::fs::create_dir(folder.join("features"))?;
    std::fs::write(folder.join("features/load.yaml"), place.read("bench/projects/load/load.yaml")?)?;
    Ok(folder)
}

/// A fresh server under load; what it stored is counted and compared before the figures are believed.
fn measure(
    place: &Place,
    name: &str,
    n_clients: u64,
    pace: Pace,
    lasting: Duration,
) -> Result<(Run, Duration)> {
    let binary = served::binary(place)?;
    let folder = project(place, name)?;
    let key = served::make_key(&binary, &folder)?;
    std::fs::write(folder.join("key"), &key)?;
    let clients = asks(Batches::make(n_clients, 0));
    let served = Served::start(&binary, &folder, &key)?;
    let run = load::run(&served, clients, pace, lasting)?;
    let settled = served.settle()?;
    let n_sent = run.per_second() * run.took.as_secs_f64() * N_PER_BATCH as f64;
    let n_folded = stored(&served)?;
    served.stop()?;
    if (n_sent - n_folded).abs() > 0.5 {
        bail!("{n_sent} acknowledged, {n_folded} stored");
    }
    Ok((run, settled))
}

fn stored(served: &Served) -> Result<f64> {
    let streams: serde_json::Value =
        serde_json::from_slice(&served.client()?.fetch("GET", "/v1/streams", b"")?)?;
    streams.pointer("/streams/load/records").and_then(serde_json::Value::as_f64).context("no stream `load`")
}

fn sustained(place: &Place) -> Result<Figure> {
    at_pace(place, "intake", Pace::AsFastAsItGoes, Duration::from_secs(60))
}

fn long(place: &Place) -> Result<Figure> {
    let lasting = Duration::from_secs_f64(super::minutes() * 60.0);
    at_pace(place, "intake-long", Pace::PerSecond(27_500.0 / N_PER_BATCH as f64), lasting)
}

fn at_pace(place: &Place, folder: &str, pace: Pace, lasting: Duration) -> Result<Figure> {
    let (run, settled) = measure(place, folder, 4, pace, lasting)?;
    let rate = run.per_second() * N_PER_BATCH as f64;
    let lag = run.max_lag_records / rate;
    let text = format!(
        "{rate:.0} events/s for {:.0} s; p50 {:.1} ms, p99 {:.1} ms a batch; fold lag at most {:.0} records = {lag:.2} s, \
         all folded {:.2} s after the last; {:.1} µs of processor per event in the server; {:.0} MiB resident",
        run.took.as_secs_f64(),
        run.ms(0.5),
        run.ms(0.99),
        run.max_lag_records,
        settled.as_secs_f64(),
        run.processor_us() / N_PER_BATCH as f64,
        run.resident_bytes / 1_048_576.0
    );
    Ok(Figure { text, holds: rate >= 25_000.0 && lag <= 1.0 })
}

fn burst(place: &Place) -> Result<Figure> {
    let (run, settled) = measure(place, "burst", 8, Pace::AsFastAsItGoes, Duration::from_secs(3))?;
    let rate = run.per_second() * N_PER_BATCH as f64;
    let text = format!(
        "{rate:.0} events/s; p99 {:.1} ms a batch; all folded {:.2} s after the last; {:.1} µs of processor per event in the server",
        run.ms(0.99),
        settled.as_secs_f64(),
        run.processor_us() / N_PER_BATCH as f64
    );
    Ok(Figure { text, holds: rate >= 50_000.0 })
}

fn paced(place: &Place) -> Result<Figure> {
    let (run, _) = measure(place, "paced", 4, Pace::PerSecond(100.0), Duration::from_secs(15))?;
    let text = format!(
        "{:.0} events/s; p50 {:.1} ms, p99 {:.1} ms a batch",
        run.per_second() * N_PER_BATCH as f64,
        run.ms(0.5),
        run.ms(0.99)
    );
    Ok(Figure { text, holds: run.ms(0.99) <= 50.0 && run.per_second() >= 99.0 })
}

/// The project that the long run left, or else the sustained one.
fn left(place: &Place) -> Result<PathBuf> {
    let long = place.target().join("bench/intake-long");
    if long.join("key").exists() {
        return Ok(long);
    }
    let folder = place.target().join("bench/intake");
    if !folder.join("key").exists() {
        sustained(place)?;
    }
    Ok(folder)
}

fn replay(place: &Place) -> Result<Figure> {
    let folder = left(place)?;
    let (rate, text) = verify(&served::binary(place)?, &folder)?;
    Ok(Figure { text, holds: rate >= 150_000.0 })
}

fn replay_shop(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let (rate, text) = verify(&binary, &super::decide::shop(place, &binary)?)?;
    Ok(Figure { text, holds: rate >= 150_000.0 })
}

/// Rate and line of `replay --verify`.
pub fn verify(binary: &Path, project: &Path) -> Result<(f64, String)> {
    let output = Command::new(binary).arg("--project").arg(project).args(["replay", "--verify"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("records/s")).unwrap_or_default().to_owned();
    if !output.status.success() {
        bail!("the replay differs or failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    let rate = line.rsplit(", ").next().and_then(|last| last.split(' ').next()?.parse().ok());
    Ok((rate.with_context(|| format!("no rate in `{line}`"))?, line))
}

fn restart(place: &Place) -> Result<Figure> {
    let folder = left(place)?;
    let binary = served::binary(place)?;
    let key = std::fs::read_to_string(folder.join("key"))?;
    let served = Served::start(&binary, &folder, &key)?;
    let before = stored(&served)?;
    // Beyond every id that the sustained run can have used.
    let clients = asks(Batches::make(4, 100_000_000_000 + before as u64));
    let run = load::run(&served, clients, Pace::AsFastAsItGoes, Duration::from_secs(4))?;
    served.kill()?;
    let served = Served::start(&binary, &folder, &key)?;
    let ready = served.ready_after.as_secs_f64();
    let settled = served.settle()?.as_secs_f64();
    let n_sent = run.per_second() * run.took.as_secs_f64() * N_PER_BATCH as f64;
    let now = stored(&served)?;
    served.stop()?;
    if (now - before - n_sent).abs() > 0.5 {
        bail!("{before} records and {n_sent} acknowledged before the kill, {now} after it");
    }
    let text = format!(
        "ready after {ready:.2} s, all folded {settled:.2} s later, on {:.2} M events; every acknowledged event there once",
        now / 1e6
    );
    Ok(Figure { text, holds: ready <= 3.0 })
}
