//! Penalised logistic likelihood over sparse rows: Newton's method with a safeguarded step.
//!
//! Minimises `Σ [ln(1 + e^η) − t η] + ½ Σ penalty_j β_j²`. Up to [`DENSE_LIMIT`] columns each step solves the
//! full system by Cholesky (iteratively reweighted least squares); beyond it by conjugate gradients, which never
//! builds the matrix (truncated Newton; Nocedal & Wright 2006, section 7.1).

use super::cholesky::Square;
use crate::Error;
use crate::math::{log_loss_of_logit, sigmoid};

/// Columns up to which the full matrix is built.
pub(crate) const DENSE_LIMIT: usize = 1_000;
const MAX_STEPS: usize = 100;
/// Half the squared Newton decrement (the expected gain of the next step) at which the fit has settled,
/// relative to the objective.
const TOLERANCE: f64 = 1e-13;

/// Sparse rows. Entries of a row are in rising column order.
pub(crate) struct Design {
    pub(crate) n_columns: usize,
    ends: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Design {
    pub(crate) fn new(n_columns: usize) -> Self {
        Self { n_columns, ends: Vec::new(), entries: Vec::new() }
    }

    pub(crate) fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        self.entries.extend(row);
        self.ends.push(self.entries.len());
    }

    fn row(&self, i: usize) -> &[(u32, f64)] {
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(i).copied().unwrap_or(start);
        self.entries.get(start..end).unwrap_or(&[])
    }

    pub(crate) fn dot(&self, i: usize, beta: &[f64]) -> f64 {
        self.row(i).iter().map(|(j, v)| v * beta.get(*j as usize).copied().unwrap_or(0.0)).sum()
    }

    fn add_to(&self, i: usize, factor: f64, out: &mut [f64]) {
        for (j, v) in self.row(i) {
            if let Some(place) = out.get_mut(*j as usize) {
                *place += factor * v;
            }
        }
    }
}

/// Minimises over the rows named, from `start`.
///
/// * `targets`: in [0, 1], by row of `design`
/// * `penalties`: by column
pub(crate) fn minimise(
    design: &Design,
    targets: &[f64],
    rows: &[usize],
    penalties: &[f64],
    start: &[f64],
) -> Result<Vec<f64>, Error> {
    let problem = Problem { design, targets, rows, penalties };
    let mut beta = start.to_vec();
    let mut value = problem.value(&beta);
    let largest_penalty = penalties.iter().copied().fold(0.0, f64::max);
    let not_converged = |n_iterations| Error::NotConverged { n_iterations, penalty: largest_penalty };
    for step in 0..MAX_STEPS {
        let (gradient, weights) = problem.gradient(&beta);
        let direction = problem.direction(&gradient, &weights)?;
        let decrement: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let settled = decrement * 0.5 <= TOLERANCE * (1.0 + value.abs());
        if settled {
            // the last step is taken whole: what it still gains is below the noise of the summed objective
            return Ok(beta.iter().zip(&direction).map(|(b, d)| b - d).collect());
        }
        let (next, next_value) =
            problem.step(&beta, &direction, value, decrement).ok_or_else(|| not_converged(step))?;
        (beta, value) = (next, next_value);
        // log-odds of 30 mean a probability within 1e-13 of certainty: some column separates the outcomes, and
        // without a penalty its coefficient would grow for ever
        if largest_penalty == 0.0 && problem.is_separated(&beta) {
            return Err(not_converged(step));
        }
    }
    Err(not_converged(MAX_STEPS))
}

/// Covariance of the penalised estimate at its minimum, `(H + λ)⁻¹ H (H + λ)⁻¹`; `None` beyond [`DENSE_LIMIT`].
pub(crate) fn covariance(
    design: &Design,
    targets: &[f64],
    rows: &[usize],
    penalties: &[f64],
    beta: &[f64],
) -> Result<Option<Vec<Vec<f64>>>, Error> {
    if design.n_columns > DENSE_LIMIT {
        return Ok(None);
    }
    let problem = Problem { design, targets, rows, penalties };
    let (_, weights) = problem.gradient(beta);
    let information = problem.information(&weights);
    let mut curved = information.clone();
    for (j, penalty) in penalties.iter().enumerate() {
        curved.add(j, j, *penalty);
    }
    let factor = curved.factor().ok_or(Error::Collinear)?;
    // inverse · H, row by row, then once more the inverse
    let rows = factor.inverse().into_iter().map(|row| {
        let mut product: Vec<f64> = (0..penalties.len())
            .map(|k| row.iter().enumerate().map(|(j, v)| v * information.at(j, k)).sum())
            .collect();
        factor.solve(&mut product);
        product
    });
    Ok(Some(rows.collect()))
}

struct Problem<'a> {
    design: &'a Design,
    targets: &'a [f64],
    rows: &'a [usize],
    penalties: &'a [f64],
}

impl Problem<'_> {
    fn target(&self, row: usize) -> f64 {
        self.targets.get(row).copied().unwrap_or(0.0)
    }

    fn value(&self, beta: &[f64]) -> f64 {
        let loss: f64 =
            self.rows.iter().map(|i| log_loss_of_logit(self.design.dot(*i, beta), self.target(*i))).sum();
        loss + 0.5 * beta.iter().zip(self.penalties).map(|(b, p)| p * b * b).sum::<f64>()
    }

    /// The longest of the halved steps that lowers the objective enough (Armijo).
    fn step(&self, beta: &[f64], direction: &[f64], value: f64, decrement: f64) -> Option<(Vec<f64>, f64)> {
        let mut scales = std::iter::successors(Some(1.0), |scale| Some(scale * 0.5)).take(34);
        scales.find_map(|scale| {
            let trial: Vec<f64> = beta.iter().zip(direction).map(|(b, d)| b - scale * d).collect();
            let trial_value = self.value(&trial);
            // the last digits of a large sum are noise, so they are allowed for
            let enough = value - 1e-4 * scale * decrement + 1e-14 * value.abs();
            (trial_value <= enough).then_some((trial, trial_value))
        })
    }

    fn is_separated(&self, beta: &[f64]) -> bool {
        self.rows.iter().any(|i| self.design.dot(*i, beta).abs() > 30.0)
    }

    fn gradient(&self, beta: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut gradient: Vec<f64> = beta.iter().zip(self.penalties).map(|(b, p)| b * p).collect();
        let mut weights = Vec::with_capacity(self.rows.len());
        for i in self.rows {
            let p = sigmoid(self.design.dot(*i, beta));
            self.design.add_to(*i, p - self.target(*i), &mut gradient);
            weights.push(p * (1.0 - p));
        }
        (gradient, weights)
    }

    /// Solves `(XᵀWX + penalty) d = gradient`.
    fn direction(&self, gradient: &[f64], weights: &[f64]) -> Result<Vec<f64>, Error> {
        if self.design.n_columns > DENSE_LIMIT {
            return Ok(self.conjugate_gradients(gradient, weights));
        }
        let mut curved = self.information(weights);
        for (j, penalty) in self.penalties.iter().enumerate() {
            curved.add(j, j, *penalty);
        }
        let mut direction = gradient.to_vec();
        curved.factor().ok_or(Error::Collinear)?.solve(&mut direction);
        Ok(direction)
    }

    /// `XᵀWX`
    fn information(&self, weights: &[f64]) -> Square {
        let mut information = Square::zero(self.design.n_columns);
        for (i, weight) in self.rows.iter().zip(weights) {
            let row = self.design.row(*i);
            for (a, (j, v)) in row.iter().enumerate() {
                let scaled = weight * v;
                let lower = information.lower_row(*j as usize);
                for (k, u) in row.iter().take(a + 1) {
                    if let Some(place) = lower.get_mut(*k as usize) {
                        *place += scaled * u;
                    }
                }
            }
        }
        information
    }

    fn conjugate_gradients(&self, gradient: &[f64], weights: &[f64]) -> Vec<f64> {
        let times = |v: &[f64]| {
            let mut out: Vec<f64> = v.iter().zip(self.penalties).map(|(v, p)| v * p).collect();
            for (i, weight) in self.rows.iter().zip(weights) {
                self.design.add_to(*i, weight * self.design.dot(*i, v), &mut out);
            }
            out
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut x = vec![0.0; gradient.len()];
        let mut residual = gradient.to_vec();
        let mut towards = residual.clone();
        let mut square = dot(&residual, &residual);
        let enough = square * 1e-12;
        for _ in 0..gradient.len().min(500) {
            if square <= enough {
                break;
            }
            let image = times(&towards);
            let curvature = dot(&towards, &image);
            if curvature <= 0.0 {
                break;
            }
            let alpha = square / curvature;
            for (((x, r), t), m) in x.iter_mut().zip(&mut residual).zip(&towards).zip(&image) {
                *x += alpha * t;
                *r -= alpha * m;
            }
            let next = dot(&residual, &residual);
            for (t, r) in towards.iter_mut().zip(&residual) {
                *t = r + next / square * *t;
            }
            square = next;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up table with an intercept and `n` columns, some rows dense, some sparse.
    fn table(n_columns: u32) -> (Design, Vec<f64>, Vec<usize>) {
        let mut design = Design::new(n_columns as usize + 1);
        let mut targets = Vec::new();
        for i in 0..400_u32 {
            let entries = (1..=n_columns)
                .filter(|j| (i * 7 + j * 3) % 4 != 0)
                .map(|j| (j, f64::from((i * j * 31) % 17) / 8.0 - 1.0));
            let row: Vec<(u32, f64)> = std::iter::once((0, 1.0)).chain(entries).collect();
            targets.push(f64::from(u8::from((i * 13) % 7 < 3)));
            design.push_row(row);
        }
        (design, targets, (0..400).collect())
    }

    #[test]
    fn the_gradient_vanishes_at_the_minimum() {
        let (design, targets, rows) = table(6);
        let penalties = vec![0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let beta = minimise(&design, &targets, &rows, &penalties, &[0.0; 7]).unwrap();
        let problem = Problem { design: &design, targets: &targets, rows: &rows, penalties: &penalties };
        let (gradient, _) = problem.gradient(&beta);
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn both_solvers_give_the_same_direction() {
        let (design, targets, rows) = table(6);
        let penalties = vec![0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0];
        let problem = Problem { design: &design, targets: &targets, rows: &rows, penalties: &penalties };
        let (gradient, weights) = problem.gradient(&[0.1; 7]);
        let dense = problem.direction(&gradient, &weights).unwrap();
        for (a, b) in dense.iter().zip(problem.conjugate_gradients(&gradient, &weights)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn many_columns_settle_without_the_matrix() {
        let (design, targets, rows) = table(1_200);
        let mut penalties = vec![50.0; 1_201];
        penalties[0] = 0.0;
        let beta = minimise(&design, &targets, &rows, &penalties, &[0.0; 1_201]).unwrap();
        let problem = Problem { design: &design, targets: &targets, rows: &rows, penalties: &penalties };
        let (gradient, _) = problem.gradient(&beta);
        assert!(
            gradient.iter().all(|g| g.abs() < 1e-3),
            "{:?}",
            gradient.iter().copied().fold(0.0, f64::max)
        );
    }
}
