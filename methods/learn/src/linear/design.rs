//! Encoded rows as columns of a linear model, and back from its coefficients to effects of the columns.
//!
//! A number becomes its distance from the mean in standard deviations (missing: the mean, and a column that says
//! so where training had any). A category becomes one column of 0 and 1 per place, so that the penalty pulls rare
//! levels hardest, and all towards their common middle. Without a penalty that would leave one column too many, and
//! the most frequent place becomes the reference.

use serde::{Deserialize, Serialize};

use super::newton::Design;
use crate::schema::Encoded;
use crate::{Field, FieldKind, Schema};

/// How one input column enters.
pub(crate) enum Term {
    /// `column`: where its slope is (none where the column is constant); `missing`: where its shift is.
    Number { mean: f64, deviation: f64, column: Option<u32>, missing: Option<u32> },
    /// By place: its column (none for the reference, nor where no row is); shares of the rows, *missing* last.
    Category { columns: Vec<Option<u32>>, shares: Vec<f64> },
}

/// What one input column adds to the log-odds: of a number around its mean, of a category around its average over
/// the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Effect {
    Number { mean: f64, slope: f64, missing: f64 },
    Category { places: Vec<f64>, missing: f64 },
}

pub(crate) struct Plan {
    pub(crate) terms: Vec<Term>,
    /// By column of the design, the intercept first.
    pub(crate) names: Vec<String>,
}

impl Plan {
    pub(crate) fn of(schema: &Schema, encoded: &Encoded, with_reference: bool) -> Self {
        let mut names = vec!["(intercept)".to_owned()];
        let mut claim = |name: String| {
            names.push(name);
            (names.len() - 1) as u32
        };
        let columns = encoded.data.chunks(encoded.n_rows.max(1));
        let terms = schema.fields().iter().zip(columns).map(|(field, values)| {
            let n_missing = values.iter().filter(|v| v.is_nan()).count();
            let n_known = (values.len() - n_missing).max(1) as f64;
            if field.kind == FieldKind::Number {
                let known = || values.iter().copied().filter(|v| !v.is_nan());
                let mean = known().sum::<f64>() / n_known;
                let deviation = (known().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n_known).sqrt();
                let varies = deviation > mean.abs() * 1e-12 && deviation.is_finite();
                let column = varies.then(|| claim(field.name.to_string()));
                let some_missing = n_missing > 0 && n_missing < values.len();
                let missing = some_missing.then(|| claim(format!("{} is missing", field.name)));
                return Term::Number { mean, deviation, column, missing };
            }
            let mut n_rows_of = vec![0_usize; field.n_places() + 1];
            for value in values {
                let place = if value.is_nan() { field.n_places() } else { *value as usize };
                if let Some(n) = n_rows_of.get_mut(place) {
                    *n += 1;
                }
            }
            let most = n_rows_of.iter().copied().max().unwrap_or(0);
            let reference = n_rows_of.iter().position(|n| *n == most).unwrap_or(0);
            let columns = n_rows_of.iter().enumerate().map(|(place, n)| {
                let stands = *n > 0 && !(with_reference && place == reference);
                stands.then(|| claim(format!("{} = {}", field.name, place_name(field, place))))
            });
            Term::Category {
                columns: columns.collect(),
                shares: n_rows_of.iter().map(|n| *n as f64 / values.len().max(1) as f64).collect(),
            }
        });
        let terms = terms.collect();
        Self { terms, names }
    }

    pub(crate) fn design(&self, encoded: &Encoded) -> Design {
        let mut design = Design::new(self.names.len());
        for row in encoded.rows() {
            let entries = self.terms.iter().zip(row).filter_map(|(term, value)| match term {
                Term::Number { missing, .. } if value.is_nan() => missing.map(|c| (c, 1.0)),
                Term::Number { mean, deviation, column, .. } => {
                    column.map(|c| (c, (value - mean) / deviation))
                }
                Term::Category { columns, .. } => {
                    let place = if value.is_nan() { columns.len() - 1 } else { value as usize };
                    columns.get(place).copied().flatten().map(|c| (c, 1.0))
                }
            });
            design.push_row(std::iter::once((0, 1.0)).chain(entries));
        }
        design
    }

    /// Log-odds at the average row, and each input column's effect around it.
    pub(crate) fn effects(&self, beta: &[f64]) -> (f64, Vec<Effect>) {
        let of = |column: &Option<u32>| column.and_then(|c| beta.get(c as usize)).copied().unwrap_or(0.0);
        let mut base = beta.first().copied().unwrap_or(0.0);
        let effects = self.terms.iter().map(|term| match term {
            Term::Number { mean, deviation, column, missing } => {
                let slope = if column.is_some() { of(column) / deviation } else { 0.0 };
                Effect::Number { mean: *mean, slope, missing: of(missing) }
            }
            Term::Category { columns, shares } => {
                let raw: Vec<f64> = columns.iter().map(of).collect();
                let average: f64 = raw.iter().zip(shares).map(|(b, s)| b * s).sum();
                base += average;
                // what training never saw is taken for a level drawn at random: each counts alike, however rare
                let seen: Vec<f64> =
                    raw.iter().zip(shares).filter(|(_, s)| **s > 0.0).map(|(b, _)| *b).collect();
                let unseen = seen.iter().sum::<f64>() / seen.len().max(1) as f64;
                let of_place = |(b, s): (&f64, &f64)| if *s > 0.0 { b - average } else { unseen - average };
                let mut places: Vec<f64> = raw.iter().zip(shares).map(of_place).collect();
                let missing = places.pop().unwrap_or(0.0);
                Effect::Category { places, missing }
            }
        });
        let effects = effects.collect();
        (base, effects)
    }
}

impl Effect {
    pub(crate) fn of(&self, value: f64) -> f64 {
        match self {
            Effect::Number { missing, .. } | Effect::Category { missing, .. } if value.is_nan() => *missing,
            Effect::Number { mean, slope, .. } => slope * (value - mean),
            Effect::Category { places, .. } => places.get(value as usize).copied().unwrap_or(0.0),
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        match self {
            Effect::Number { mean, slope, missing } => [mean, slope, missing].iter().all(|v| v.is_finite()),
            Effect::Category { places, missing } => {
                missing.is_finite() && places.iter().all(|v| v.is_finite())
            }
        }
    }
}

fn place_name(field: &Field, place: usize) -> &str {
    match &field.kind {
        FieldKind::Category { levels, .. } if place < levels.len() => levels.get(place).map_or("", |l| l),
        _ if place + 1 == field.n_places() => "(other)",
        _ => "(missing)",
    }
}
