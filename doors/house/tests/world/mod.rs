//! A house whose decisions, training rows and brute-force values can be held against each other (LAW 5).

mod brute;
mod journey;
mod plan;
mod project;
mod rows;
mod run;
mod views;

pub use brute::{Known, brute_force};
pub use journey::{journey, made_up_journey};
pub use plan::{Entity, World};
pub use rows::{History, Rng, Row, made_up, members, online_retail};
pub use run::{Home, Label, Outcome, Size, Word, belonging, run};
pub use views::ViewOf;

/// A feature's value, wherever it comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Missing,
    Number(f64),
    Text(String),
}

impl Value {
    /// Equal, or as near as decayed sums must be.
    pub fn agrees(&self, other: &Self, relative: f64) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b || (a - b).abs() <= relative * a.abs().max(b.abs()),
            _ => self == other,
        }
    }
}

/// How far apart two computations of a feature may lie: only decayed sums may differ at all.
pub fn tolerance(feature: &serde_json::Value) -> f64 {
    if feature["agg"] == "decayed_sum" { 1e-12 } else { 0.0 }
}
