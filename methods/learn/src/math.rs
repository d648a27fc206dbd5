//! The few functions everything here is made of, written so that they neither overflow nor lose digits.

/// `1 / (1 + e^-x)`
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(p / (1 - p))`, finite: probabilities are kept 1e-15 away from 0 and 1.
pub fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-15, 1.0 - 1e-15);
    (p / (1.0 - p)).ln()
}

/// Negative log-likelihood of a target in [0, 1] under log-odds `x`: `ln(1 + e^x) - target * x`.
pub(crate) fn log_loss_of_logit(x: f64, target: f64) -> f64 {
    let softplus = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
    softplus - target * x
}

/// Negative log-likelihood of a label under a probability, which is kept 1e-15 away from 0 and 1.
pub(crate) fn log_loss(p: f64, label: bool) -> f64 {
    let p = p.clamp(1e-15, 1.0 - 1e-15);
    if label { -p.ln() } else { -(-p).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_stay_finite() {
        assert_eq!(sigmoid(-1e4), 0.0);
        assert_eq!(sigmoid(1e4), 1.0);
        assert!(log_loss_of_logit(1e4, 0.0).is_finite() && log_loss(0.0, true).is_finite());
        assert!(logit(0.0).is_finite() && logit(1.0).is_finite());
    }

    #[test]
    fn logit_undoes_sigmoid() {
        for x in [-20.0, -1.5, 0.0, 0.3, 12.0] {
            assert!((logit(sigmoid(x)) - x).abs() < 1e-6, "{x}");
        }
        for (x, label) in [(-3.0, true), (0.2, false), (5.0, true)] {
            let direct = log_loss(sigmoid(x), label);
            assert!((direct - log_loss_of_logit(x, f64::from(u8::from(label)))).abs() < 1e-12, "{x}");
        }
    }
}
