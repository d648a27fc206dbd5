//! Decisions and features over HTTP, on the synthetic shop with a model in use.

use super::load::{self, Ask, Pace, Run};
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};
use anyhow::{Context, Result, bail};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "decide-max",
            title: "decide over HTTP, durable: 9 actions and none, 23 features, caps and budget on, 16 clients",
            bar: "≥ 5,000/s",
            run: fastest,
        },
        Item {
            id: "decide-paced",
            title: "the same at 1,000/s, times from when a request was due",
            bar: "p99 ≤ 3 ms",
            run: paced,
        },
        Item {
            id: "features-paced",
            title: "three feature views of one person over HTTP at 1,000/s",
            bar: "p99 ≤ 1 ms",
            run: features,
        },
    ]
}

/// The demo's project, with money and caps that do not run out in a bench.
pub fn shop(place: &Place, binary: &Path) -> Result<PathBuf> {
    let folder = place.target().join("bench/shop");
    if folder.join("key").exists() {
        return Ok(folder);
    }
    let folder = super::folder(place, "shop")?;
    eprintln!("   the shop of the demo is made and a model trained (once)");
    let status = Command::new(binary)
        .args(["demo", "--no-serve", "--dir"])
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("the demo failed ({status})");
    }
    let file = folder.join("usecases/next_order.yaml");
    let text = std::fs::read_to_string(&file)?;
    let wide = text
        .replace("total: 50 EUR", "total: 1000000 EUR")
        .replace("max: 2, window: 7d", "max: 10000, window: 7d")
        .replace("max: 1, window: 30d", "max: 10000, window: 30d");
    if wide == text {
        bail!("the shop's use case is written otherwise than this bench knows");
    }
    std::fs::write(file, wide)?;
    std::fs::write(folder.join("key"), served::make_key(binary, &folder)?)?;
    Ok(folder)
}

/// Customers who agreed to something, as `user_id`.
fn people(folder: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("data-in/consents.csv"))?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().context("no consents")?.split(',').collect();
    let column =
        |name: &str| head.iter().position(|cell| *cell == name).with_context(|| format!("no column {name}"));
    let (value, purpose, status) = (column("user_id")?, column("purpose")?, column("status")?);
    let mut people: Vec<String> = lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let said = *cells.get(purpose)? == "personalisation" && *cells.get(status)? == "granted";
            said.then(|| cells.get(value).map(|value| (*value).to_owned()))?
        })
        .collect();
    people.sort_unstable();
    people.dedup();
    Ok(people)
}

fn measure(
    place: &Place,
    path: &'static str,
    body: impl Fn(&str) -> String,
    n_clients: usize,
    pace: Pace,
    lasting: Duration,
) -> Result<Run> {
    let binary = served::binary(place)?;
    // Each run starts from the same shop: contacts pile up, and a decision reads those in its caps' windows.
    let made = shop(place, &binary)?;
    let folder = super::folder(place, "shop-run")?;
    if !Command::new("cp").arg("-R").arg(made.join(".")).arg(&folder).status()?.success() {
        bail!("{} cannot be copied", made.display());
    }
    let key = std::fs::read_to_string(folder.join("key"))?;
    let people = people(&folder)?;
    let served = Served::start(&binary, &folder, &key)?;
    // Whoever withdrew is denied: a customer counts only if asked once with success.
    let mut client = served.client()?;
    let mut bodies = Vec::new();
    for person in &people {
        let body = body(person);
        if client.ask("POST", path, body.as_bytes())?.status == 200 {
            bodies.push(body);
        }
    }
    if bodies.len() < 100 {
        bail!("only {} of {} customers get an answer", bodies.len(), people.len());
    }
    let clients = (0..n_clients)
        .map(|at| -> Ask<'_> {
            let mut mine = bodies.iter().skip(at).step_by(n_clients).cycle();
            Box::new(move |client, _| {
                let Some(body) = mine.next() else { return Ok(ControlFlow::Break(())) };
                client.fetch("POST", path, body.as_bytes())?;
                Ok(ControlFlow::Continue(()))
            })
        })
        .collect();
    let run = load::run(&served, clients, pace, lasting)?;
    served.stop()?;
    Ok(run)
}

fn decision(person: &str) -> String {
    format!(r#"{{"use_case":"next_order","identifier":{{"kind":"user_id","value":"{person}"}}}}"#)
}

fn fastest(place: &Place) -> Result<Figure> {
    let run = measure(place, "/v1/decide", decision, 16, Pace::AsFastAsItGoes, Duration::from_secs(10))?;
    let text = shown(&run);
    Ok(Figure { text, holds: run.per_second() >= 5_000.0 })
}

fn paced(place: &Place) -> Result<Figure> {
    let run = measure(place, "/v1/decide", decision, 8, Pace::PerSecond(1_000.0), Duration::from_secs(10))?;
    Ok(at_pace(&run, 3.0))
}

fn features(place: &Place) -> Result<Figure> {
    let asked = |person: &str| {
        format!(
            r#"{{"identifier":{{"kind":"user_id","value":"{person}"}},"purpose":"personalisation","views":["orders","visits","responses"]}}"#
        )
    };
    let run = measure(place, "/v1/features", asked, 8, Pace::PerSecond(1_000.0), Duration::from_secs(10))?;
    Ok(at_pace(&run, 1.0))
}

fn at_pace(run: &Run, bar_ms: f64) -> Figure {
    Figure { text: shown(run), holds: run.ms(0.99) <= bar_ms && run.per_second() >= 990.0 }
}

fn shown(run: &Run) -> String {
    format!(
        "{:.0}/s; p50 {:.2} ms, p99 {:.2} ms; {:.0} µs of processor each in the server",
        run.per_second(),
        run.ms(0.5),
        run.ms(0.99),
        run.processor_us()
    )
}
