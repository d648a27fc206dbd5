//! How long the synthetic shop takes to make.

use crate::place::Place;
use crate::table::{Figure, Item};
use anyhow::Result;
use std::time::Instant;

/// The benches of `simulate`.
pub fn items() -> Vec<Item> {
    vec![Item {
        id: "simulate-shop",
        title: "make the default synthetic shop: 5,000 customers, 18 months, every file in memory",
        bar: "≤ 2 s",
        run: shop,
    }]
}

fn shop(_: &Place) -> Result<Figure> {
    let started = Instant::now();
    let world = simulate::World::new(simulate::Config::default())?;
    let history = world.history();
    let files = history.files();
    let seconds = started.elapsed().as_secs_f64();
    let n_bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    let n_lines = history.truth().n_lines();
    Ok(Figure {
        text: format!("{seconds:.2} s for {n_lines} lines, {} MB", n_bytes / 1_000_000),
        holds: seconds <= 2.0,
    })
}
