//! How long one score takes, contributions included: 20 features, both methods.
//!
//! `cargo run --release -p learn --example score_speed`

use std::io::Write;
use std::time::Instant;

use learn::{Boosted, Calibrator, Column, Fit, Fitted, Frame, Logistic, Model, Value};

const N_ROWS: u64 = 20_000;
const N_SCORES: usize = 20_000;

/// Whole numbers that look like chance.
fn mix(row: u64, column: u64) -> u64 {
    let x = (row * 1_000 + column).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = (0..20).map(|i| format!("feature_{i}")).collect();
    let levels: Vec<String> = (0..30).map(|i| format!("level {i}")).collect();
    let columns = names.iter().zip(0_u64..).map(|(name, j)| {
        if j < 12 {
            Column::numbers(name, (0..N_ROWS).map(|i| (mix(i, j) % 10_000) as f64 / 100.0).collect())
        } else {
            let level = |i| levels.get((mix(i, j) % 30) as usize).map(String::as_str);
            Column::categories(name, (0..N_ROWS).map(level))
        }
    });
    let frame = Frame::new(columns.collect())?;
    let labels: Vec<bool> = (0..N_ROWS)
        .map(|i| mix(i, 0) % 100 + mix(i, 3) % 60 + mix(i, 14) % 30 * 3 > 90 + mix(i, 77) % 80)
        .collect();
    let rows: Vec<Vec<(&str, Value)>> = (0..N_ROWS as usize)
        .map(|i| frame.columns().iter().map(|c| (&**c.name(), c.value(i))).collect())
        .collect();
    let fitted = [
        Fitted::Logistic(Logistic::default().fit(&frame, &labels)?),
        Fitted::Boosted(Boosted::default().fit(&frame, &labels)?),
    ];
    for fitted in fitted {
        let size = if let Fitted::Boosted(trees) = &fitted {
            format!("{:?}", trees.summary())
        } else {
            String::new()
        };
        let model = Model { fitted, calibrator: Calibrator::Identity, threshold: 0.5 };
        let bytes = model.to_bytes()?;
        let start = Instant::now();
        Model::from_bytes(&bytes)?;
        let load = start.elapsed();
        let start = Instant::now();
        let mut sum = 0.0;
        for row in rows.iter().cycle().take(N_SCORES) {
            sum += model.score(row)?.probability;
        }
        let each = start.elapsed() / N_SCORES as u32;
        writeln!(
            std::io::stdout(),
            "{}: {each:.2?} a score (mean {:.4}), {} bytes read in {load:.1?} {size}",
            model.method_name(),
            sum / N_SCORES as f64,
            bytes.len(),
        )?;
    }
    Ok(())
}
