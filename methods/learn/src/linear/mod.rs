//! The baseline: logistic regression with an L2 penalty.
//!
//! It is fitted by Newton's method to a checked minimum. The penalty keeps coefficients finite where a column
//! tells the outcomes apart perfectly; by default cross-validation chooses it.

mod cholesky;
mod design;
mod newton;

use serde::{Deserialize, Serialize};

use self::design::{Effect, Plan, Term};
use self::newton::covariance;
pub(crate) use self::newton::{Design, minimise};
use crate::math::log_loss_of_logit;
use crate::{Error, Fit, Frame, Predict, Schema, check_labels, split};

/// Penalties tried by cross-validation, strongest first so that each fit starts near the next.
const PENALTIES: [f64; 8] = [3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 1.0, 0.1];

/// Logistic regression before it has seen data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// How strongly coefficients are pulled towards zero.
    pub penalty: Penalty,
    /// Categories with fewer rows share one coefficient.
    pub min_level_rows: usize,
}

/// How strongly coefficients are pulled towards zero: `½ λ Σ β²` is added to the summed log loss, with numbers
/// in standard deviations; the intercept is free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Penalty {
    /// This λ, 0 or more.
    Fixed(f64),
    /// The λ with the least log loss on held-out folds.
    CrossValidated {
        /// How many folds, 2 or more.
        n_folds: usize,
        /// Decides which row is in which fold.
        seed: u64,
    },
}

impl Default for Logistic {
    fn default() -> Self {
        Self { penalty: Penalty::CrossValidated { n_folds: 5, seed: 0 }, min_level_rows: 10 }
    }
}

/// One coefficient, per unit of its column. A category's is against the middle of its levels; without a penalty,
/// against its most frequent level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// `age`, `age is missing`, `job = student`, `(intercept)`
    pub name: String,
    /// Log-odds per unit.
    pub value: f64,
    /// Standard error; `None` beyond 1,000 columns. Under a penalty the estimate is pulled towards zero, and the
    /// error measures its spread, not its pull. (le Cessie & van Houwelingen 1992, doi:10.2307/2347628)
    pub standard_error: Option<f64>,
}

/// Logistic regression after it has seen data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedLogistic {
    schema: Schema,
    base: f64,
    effects: Vec<Effect>,
    /// The penalty λ in use.
    pub penalty: f64,
    /// Mean held-out log loss of each λ tried; empty where λ was fixed.
    pub tried: Vec<(f64, f64)>,
    /// The intercept first.
    pub coefficients: Vec<Coefficient>,
}

impl Fit for Logistic {
    type Fitted = FittedLogistic;

    fn fit(&self, frame: &Frame, labels: &[bool]) -> Result<FittedLogistic, Error> {
        check_labels(frame, labels)?;
        let schema = Schema::of(frame, self.min_level_rows);
        let encoded = schema.encode(frame)?;
        let plan = Plan::of(&schema, &encoded, self.penalty == Penalty::Fixed(0.0));
        let design = plan.design(&encoded);
        let targets: Vec<f64> = labels.iter().map(|l| f64::from(u8::from(*l))).collect();
        let (penalty, tried) = match self.penalty {
            Penalty::Fixed(lambda) if lambda >= 0.0 && lambda.is_finite() => (lambda, Vec::new()),
            Penalty::Fixed(lambda) => {
                return Err(Error::BadParameter {
                    name: "penalty",
                    value: lambda.to_string(),
                    expected: "0 or more",
                });
            }
            Penalty::CrossValidated { n_folds, seed } => {
                let folds = split::stratified_folds(labels, n_folds, seed)?;
                choose_penalty(&design, &targets, &folds, n_folds)?
            }
        };
        let all: Vec<usize> = (0..targets.len()).collect();
        let penalties = by_column(&design, penalty);
        let start = vec![0.0; design.n_columns];
        let beta = minimise(&design, &targets, &all, &penalties, &start)?;
        let spread = covariance(&design, &targets, &all, &penalties, &beta)?;
        let coefficients = describe(&plan, &beta, spread.as_deref());
        let (base, effects) = plan.effects(&beta);
        Ok(FittedLogistic { schema, base, effects, penalty, tried, coefficients })
    }
}

impl Predict for FittedLogistic {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn logit_of(&self, row: &[f64]) -> f64 {
        self.base + self.effects.iter().zip(row).map(|(effect, value)| effect.of(*value)).sum::<f64>()
    }

    fn explain(&self, row: &[f64], contributions: &mut Vec<f64>) -> f64 {
        contributions.clear();
        contributions.extend(self.effects.iter().zip(row).map(|(effect, value)| effect.of(*value)));
        self.base
    }
}

impl FittedLogistic {
    /// Checks what was read from outside.
    pub(crate) fn is_sound(&self) -> bool {
        self.base.is_finite()
            && self.effects.len() == self.schema.fields().len()
            && self.effects.iter().all(Effect::is_finite)
    }
}

/// The intercept is free.
fn by_column(design: &Design, penalty: f64) -> Vec<f64> {
    (0..design.n_columns).map(|j| if j == 0 { 0.0 } else { penalty }).collect()
}

fn choose_penalty(
    design: &Design,
    targets: &[f64],
    folds: &[usize],
    n_folds: usize,
) -> Result<(f64, Vec<(f64, f64)>), Error> {
    let mut losses = [0.0; PENALTIES.len()];
    for fold in 0..n_folds {
        let rows = |held_out: bool| -> Vec<usize> {
            folds.iter().enumerate().filter(|(_, f)| (**f == fold) == held_out).map(|(i, _)| i).collect()
        };
        let (train, test) = (rows(false), rows(true));
        let mut beta = vec![0.0; design.n_columns];
        for (penalty, loss) in PENALTIES.iter().zip(&mut losses) {
            beta = minimise(design, targets, &train, &by_column(design, *penalty), &beta)?;
            *loss += test
                .iter()
                .map(|i| log_loss_of_logit(design.dot(*i, &beta), targets.get(*i).copied().unwrap_or(0.0)))
                .sum::<f64>();
        }
    }
    let tried: Vec<(f64, f64)> =
        PENALTIES.iter().zip(losses).map(|(p, loss)| (*p, loss / targets.len().max(1) as f64)).collect();
    let best = tried.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |(p, _)| p);
    Ok((best, tried))
}

/// Coefficients per unit of the column. The intercept moves from the average row to the row of zeros, and its
/// error with it.
fn describe(plan: &Plan, beta: &[f64], covariance: Option<&[Vec<f64>]>) -> Vec<Coefficient> {
    let mut scales = vec![1.0; beta.len()];
    let mut intercept = vec![0.0; beta.len()];
    if let Some(first) = intercept.first_mut() {
        *first = 1.0;
    }
    for term in &plan.terms {
        if let Term::Number { mean, deviation, column: Some(column), .. } = term {
            let place = *column as usize;
            if let (Some(scale), Some(shift)) = (scales.get_mut(place), intercept.get_mut(place)) {
                *scale = 1.0 / deviation;
                *shift = -mean / deviation;
            }
        }
    }
    let variance = |weights: &[(usize, f64)]| {
        covariance.map(|c| {
            let sum: f64 = weights
                .iter()
                .flat_map(|(i, a)| weights.iter().map(move |(j, b)| (i, j, a * b)))
                .map(|(i, j, ab)| ab * c.get(*i).and_then(|row| row.get(*j)).copied().unwrap_or(0.0))
                .sum();
            sum.max(0.0).sqrt()
        })
    };
    plan.names
        .iter()
        .zip(beta.iter().zip(&scales))
        .enumerate()
        .map(|(j, (name, (b, scale)))| {
            if j > 0 {
                return Coefficient {
                    name: name.clone(),
                    value: b * scale,
                    standard_error: variance(&[(j, *scale)]),
                };
            }
            let weights: Vec<(usize, f64)> =
                intercept.iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect();
            let value = beta.iter().zip(&intercept).map(|(b, w)| b * w).sum();
            Coefficient { name: name.clone(), value, standard_error: variance(&weights) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Column;

    /// The 23 shuttle flights before the Challenger: temperature at launch (°F), and whether an O-ring was damaged.
    const FLIGHTS: [(f64, bool); 23] = [
        (66.0, false),
        (70.0, true),
        (69.0, false),
        (68.0, false),
        (67.0, false),
        (72.0, false),
        (73.0, false),
        (70.0, false),
        (57.0, true),
        (63.0, true),
        (70.0, true),
        (78.0, false),
        (67.0, false),
        (53.0, true),
        (67.0, false),
        (75.0, false),
        (70.0, false),
        (81.0, false),
        (76.0, false),
        (79.0, false),
        (75.0, true),
        (76.0, false),
        (58.0, true),
    ];

    fn fixed(penalty: f64) -> Logistic {
        Logistic { penalty: Penalty::Fixed(penalty), min_level_rows: 1 }
    }

    fn check(fitted: &FittedLogistic, expected: &[(&str, f64, f64)], tolerance: f64) {
        let got: Vec<_> = fitted
            .coefficients
            .iter()
            .map(|c| (c.name.as_str(), c.value, c.standard_error.unwrap()))
            .collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, due) in got.iter().zip(expected) {
            let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
            assert!(got.0 == due.0 && near(got.1, due.1) && near(got.2, due.2), "{got:?} {due:?}");
        }
    }

    /// Published: 15.0429 (7.3786) and −0.2322 (0.1082), the textbook fit of Dalal, Fowlkes & Hoadley's data (1989,
    /// doi:10.1080/01621459.1989.10478858) by R's glm.
    #[test]
    fn agrees_with_the_published_fit_of_the_o_rings() {
        let frame = Frame::new(vec![Column::numbers("temperature", FLIGHTS.map(|f| f.0).to_vec())]).unwrap();
        let fitted = fixed(0.0).fit(&frame, &FLIGHTS.map(|f| f.1)).unwrap();
        check(&fitted, &[("(intercept)", 15.0429, 7.3786), ("temperature", -0.2322, 0.1082)], 5e-5);
    }

    /// Closed form: with one yes/no column the coefficient is the log odds ratio, its variance the sum of the
    /// four reciprocals (Woolf 1955).
    #[test]
    fn agrees_with_the_closed_form_of_a_two_by_two_table() {
        let (a, b, c, d) = (30, 70, 60, 40); // yes and no at x = 1; yes and no at x = 0
        let rows = [(1.0, true, a), (1.0, false, b), (0.0, true, c), (0.0, false, d)];
        let (x, y): (Vec<f64>, Vec<bool>) =
            rows.iter().flat_map(|(x, y, n)| std::iter::repeat_n((*x, *y), *n)).unzip();
        let fitted = fixed(0.0).fit(&Frame::new(vec![Column::numbers("x", x)]).unwrap(), &y).unwrap();
        let [a, b, c, d] = [a, b, c, d].map(|n| n as f64);
        let ratio = ((a * d) / (b * c)).ln();
        let error = (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
        let expected = [("(intercept)", (c / d).ln(), (1.0 / c + 1.0 / d).sqrt()), ("x", ratio, error)];
        check(&fitted, &expected, 1e-9);
    }

    #[test]
    fn separated_data_need_a_penalty() {
        let frame = Frame::new(vec![Column::numbers("x", (0..20).map(f64::from).collect())]).unwrap();
        let labels: Vec<bool> = (0..20).map(|i| i >= 10).collect();
        let error = fixed(0.0).fit(&frame, &labels).unwrap_err().to_string();
        assert!(error.starts_with("MR4508"), "{error}");
        let fitted = Logistic::default().fit(&frame, &labels).unwrap();
        let p = fitted.predict(&frame).unwrap();
        assert!(p[0] < 0.5 && p[19] > 0.5 && fitted.coefficients[1].value.is_finite());
    }

    #[test]
    fn twins_need_a_penalty() {
        let x: Vec<f64> = FLIGHTS.map(|f| f.0).to_vec();
        let frame = Frame::new(vec![Column::numbers("a", x.clone()), Column::numbers("b", x)]).unwrap();
        let labels = FLIGHTS.map(|f| f.1);
        assert_eq!(fixed(0.0).fit(&frame, &labels).unwrap_err(), Error::Collinear);
        let fitted = fixed(1.0).fit(&frame, &labels).unwrap();
        assert!((fitted.coefficients[1].value - fitted.coefficients[2].value).abs() < 1e-9);
    }

    #[test]
    fn constant_and_empty_columns_do_no_harm() {
        let frame = Frame::new(vec![
            Column::numbers("constant", vec![3.0; 23]),
            Column::numbers("unknown", vec![f64::NAN; 23]),
            Column::categories("nothing", vec![None; 23]),
            Column::numbers("temperature", FLIGHTS.map(|f| f.0).to_vec()),
        ])
        .unwrap();
        let fitted = fixed(0.0).fit(&frame, &FLIGHTS.map(|f| f.1)).unwrap();
        check(&fitted, &[("(intercept)", 15.0429, 7.3786), ("temperature", -0.2322, 0.1082)], 5e-5);
        assert!(fitted.predict(&frame).unwrap().iter().all(|p| p.is_finite()));
    }

    #[test]
    fn contributions_add_up_and_average_out() {
        let n = 300;
        let frame = Frame::new(vec![
            Column::numbers(
                "x",
                (0..n).map(|i| if i % 11 == 0 { f64::NAN } else { f64::from(i % 13) }).collect(),
            ),
            Column::categories("c", (0..n).map(|i| ["a", "b", "c", "d"].get(i as usize % 5).copied())),
        ])
        .unwrap();
        let labels: Vec<bool> = (0..n).map(|i| (i * 7) % 13 + i % 5 > 9).collect();
        let fitted = fixed(1.0).fit(&frame, &labels).unwrap();
        let encoded = fitted.schema.encode(&frame).unwrap();
        let mut sums = [0.0; 2];
        for row in encoded.rows() {
            let mut parts = Vec::new();
            let base = fitted.explain(&row, &mut parts);
            assert!((base + parts.iter().sum::<f64>() - fitted.logit_of(&row)).abs() < 1e-12);
            sums[1] += parts[1];
        }
        assert!(sums[1].abs() < 1e-9, "{sums:?}");
        // penalised maximum likelihood with a free intercept: predictions average to the share of yes
        let mean = fitted.predict(&frame).unwrap().iter().sum::<f64>() / f64::from(n);
        let share = labels.iter().filter(|l| **l).count() as f64 / f64::from(n);
        assert!((mean - share).abs() < 1e-9, "{mean} {share}");
    }

    #[test]
    fn bad_parameters_are_named() {
        let frame = Frame::new(vec![Column::numbers("x", vec![1.0, 2.0])]).unwrap();
        let message = |penalty, labels: &[bool]| {
            let method = Logistic { penalty, min_level_rows: 1 };
            method.fit(&frame, labels).unwrap_err().to_string()
        };
        assert!(message(Penalty::Fixed(-1.0), &[true, false]).contains("penalty"));
        assert!(message(Penalty::Fixed(f64::NAN), &[true, false]).contains("penalty"));
        assert!(message(Penalty::CrossValidated { n_folds: 1, seed: 0 }, &[true, false]).contains("n_folds"));
        assert!(message(Penalty::CrossValidated { n_folds: 5, seed: 0 }, &[true, false]).contains("MR4510"));
        assert!(message(Penalty::Fixed(1.0), &[true]).contains("MR4502"));
        assert!(message(Penalty::Fixed(1.0), &[true, true]).contains("MR4505"));
    }
}
