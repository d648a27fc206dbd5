//! Symmetric positive definite matrices: factor, solve, invert. Fixed order of operations.
#![allow(
    clippy::indexing_slicing,
    reason = "every index is below `n`, and `data` has n × n places by construction"
)]

/// A square matrix, row-major; only the lower triangle is used.
#[derive(Clone)]
pub(crate) struct Square {
    n: usize,
    data: Vec<f64>,
}

/// The lower factor `L` of `A = L Lᵀ`.
pub(crate) struct Factor(Square);

impl Square {
    pub(crate) fn zero(n: usize) -> Self {
        Self { n, data: vec![0.0; n * n] }
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        let (low, high) = if column <= row { (column, row) } else { (row, column) };
        self.data[high * self.n + low]
    }

    pub(crate) fn add(&mut self, row: usize, column: usize, value: f64) {
        self.data[row * self.n + column] += value;
    }

    /// Row `row` of the lower triangle.
    pub(crate) fn lower_row(&mut self, row: usize) -> &mut [f64] {
        &mut self.data[row * self.n..row * self.n + row + 1]
    }

    /// `None` where the matrix is not positive definite to working precision.
    pub(crate) fn factor(mut self) -> Option<Factor> {
        let n = self.n;
        for j in 0..n {
            let (done, rest) = self.data.split_at_mut(j * n);
            let row_j = &mut rest[..n];
            let scale = row_j[j].abs();
            for k in 0..j {
                let row_k = &done[k * n..k * n + k + 1];
                let dot: f64 = row_k[..k].iter().zip(&row_j[..k]).map(|(a, b)| a * b).sum();
                row_j[k] = (row_j[k] - dot) / row_k[k];
            }
            let pivot = row_j[j] - row_j[..j].iter().map(|v| v * v).sum::<f64>();
            // a pivot that lost 13 of its 16 digits is noise (NaN fails this test, too)
            if !(pivot > scale * 1e-13 && pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row_j[j] = pivot.sqrt();
        }
        Some(Factor(self))
    }
}

impl Factor {
    /// Solves `A x = b` in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let Square { n, data } = &self.0;
        for i in 0..*n {
            let dot: f64 = data[i * n..i * n + i].iter().zip(b.iter()).map(|(l, x)| l * x).sum();
            b[i] = (b[i] - dot) / data[i * n + i];
        }
        for i in (0..*n).rev() {
            b[i] /= data[i * n + i];
            let x = b[i];
            for (earlier, l) in b.iter_mut().zip(&data[i * n..i * n + i]) {
                *earlier -= l * x;
            }
        }
    }

    /// `A⁻¹`, full.
    pub(crate) fn inverse(&self) -> Vec<Vec<f64>> {
        (0..self.0.n)
            .map(|i| {
                let mut unit = vec![0.0; self.0.n];
                unit[i] = 1.0;
                self.solve(&mut unit);
                unit
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Square {
        let mut m = Square::zero(rows.len());
        for (i, row) in rows.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                m.add(i, j, *v);
            }
        }
        m
    }

    #[test]
    fn solves_by_hand() {
        // [4 2; 2 3] x = [8; 7]  =>  x = [1.25; 1.5]
        let factor = matrix(&[&[4.0], &[2.0, 3.0]]).factor().unwrap();
        let mut b = vec![8.0, 7.0];
        factor.solve(&mut b);
        assert!((b[0] - 1.25).abs() < 1e-15 && (b[1] - 1.5).abs() < 1e-15, "{b:?}");
        let inverse = factor.inverse();
        for (got, due) in inverse.concat().iter().zip([0.375, -0.25, -0.25, 0.5]) {
            assert!((got - due).abs() < 1e-15, "{inverse:?}");
        }
    }

    #[test]
    fn refuses_what_has_no_inverse() {
        assert!(matrix(&[&[1.0], &[2.0, 4.0]]).factor().is_none());
        assert!(matrix(&[&[-1.0]]).factor().is_none());
        assert!(matrix(&[&[f64::NAN]]).factor().is_none());
    }

    proptest::proptest! {
        #[test]
        fn undoes_multiplication(values in proptest::collection::vec(-3.0_f64..3.0, 25), x in proptest::collection::vec(-3.0_f64..3.0, 5)) {
            // A = V Vᵀ + I is positive definite
            let mut a = Square::zero(5);
            for i in 0..5 {
                for j in 0..=i {
                    let dot: f64 = (0..5).map(|k| values[i * 5 + k] * values[j * 5 + k]).sum();
                    a.add(i, j, dot + f64::from(u8::from(i == j)));
                }
            }
            let mut b: Vec<f64> = (0..5).map(|i| (0..5).map(|j| a.at(i, j) * x[j]).sum()).collect();
            a.factor().unwrap().solve(&mut b);
            for (got, due) in b.iter().zip(&x) {
                proptest::prop_assert!((got - due).abs() < 1e-9);
            }
        }
    }
}
