//! Figures of a version on cases with a known answer.

use learn::metric::{Estimate, Evaluation, evaluate};
use registry::Shown;

/// Rows of each outcome, or rows with choices, below which nothing can be said.
const LEAST: usize = 10;
/// Half a 95 % interval of a mean, in standard errors.
const TWO_SIDED_95: f64 = 1.959_964;

/// Of rows that say how they ended.
///
/// * `probabilities`, `outcomes`: one per row
pub fn outcomes(probabilities: &[f64], outcomes: &[bool], what: &Evaluation) -> Shown {
    let n_yes = outcomes.iter().filter(|yes| **yes).count();
    let n_no = outcomes.len() - n_yes;
    if n_yes < LEAST || n_no < LEAST {
        let reason = format!("{n_yes} rows with outcome yes and {n_no} with no; {LEAST} of each are due");
        return Shown::Nothing { reason };
    }
    match evaluate(probabilities, outcomes, what) {
        Ok(metrics) => {
            let share = n_yes as f64 / outcomes.len() as f64;
            let base_log_loss = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
            Shown::Outcomes { auc: metrics.auc, log_loss: metrics.log_loss, base_log_loss }
        }
        Err(error) => Shown::Nothing { reason: error.to_string() },
    }
}

/// Of rows that say what every action is worth.
///
/// * `rows`: of each row, (score, worth) of each action
pub fn choices(rows: &[Vec<(f64, f64)>]) -> Shown {
    if rows.len() < LEAST {
        return Shown::Nothing { reason: format!("{} rows with choices; {LEAST} are due", rows.len()) };
    }
    let (mut gains, mut chosen, mut best) = (Vec::new(), 0.0, 0.0);
    for row in rows {
        let n = row.len().max(1) as f64;
        let random = row.iter().map(|(_, worth)| worth).sum::<f64>() / n;
        let first = row.iter().fold(None, |first: Option<&(f64, f64)>, next| match first {
            Some(first) if first.0 >= next.0 => Some(first),
            _ => Some(next),
        });
        let own = first.map_or(f64::NAN, |(_, worth)| *worth);
        gains.push(own - random);
        chosen += own;
        best += row.iter().map(|(_, worth)| *worth).fold(f64::NEG_INFINITY, f64::max);
    }
    let n = rows.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = TWO_SIDED_95 * (variance / n).sqrt();
    let gain = Estimate { value: mean, low: mean - half, high: mean + half };
    Shown::Choices { gain, chosen: chosen / n, best: best / n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_counts_and_is_held_against_a_random_one() {
        // The second action is worth 1 more in every row; scores find it.
        let rows: Vec<_> = (0..20).map(|i| vec![(0.1, f64::from(i)), (0.2, f64::from(i) + 1.0)]).collect();
        let Shown::Choices { gain, chosen, best } = choices(&rows) else { panic!() };
        assert_eq!((gain.value, gain.low, gain.high), (0.5, 0.5, 0.5));
        assert_eq!((chosen, best), (10.5, 10.5));
        let worst: Vec<_> = rows.iter().map(|row| row.iter().map(|(s, w)| (-s, *w)).collect()).collect();
        let Shown::Choices { gain, .. } = choices(&worst) else { panic!() };
        assert_eq!(gain.value, -0.5);
    }

    #[test]
    fn outcomes_are_held_against_the_share_of_yes() {
        let labels: Vec<bool> = (0..40).map(|i| i % 4 == 0).collect();
        let knows: Vec<f64> = labels.iter().map(|yes| if *yes { 0.6 } else { 0.1 }).collect();
        let what = Evaluation { n_draws: 50, ..Evaluation::default() };
        let Shown::Outcomes { auc, log_loss, base_log_loss } = outcomes(&knows, &labels, &what) else {
            panic!()
        };
        assert_eq!(auc.value, 1.0);
        assert!((base_log_loss - 0.562_335).abs() < 1e-6, "{base_log_loss}");
        assert!(log_loss.value < base_log_loss);
    }

    #[test]
    fn too_few_rows_say_nothing() {
        let what = Evaluation::default();
        let few = outcomes(&[0.5; 30], &[true; 30], &what);
        assert!(matches!(few, Shown::Nothing { reason } if reason.contains("0 with no")));
        assert!(matches!(choices(&[]), Shown::Nothing { .. }));
    }
}
