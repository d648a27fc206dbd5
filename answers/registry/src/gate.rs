//! The gate: what a version must show before it may serve anybody (LAW 8).
//!
//! A [`GateReport`] holds figures and rules; its verdict is computed from them wherever it is asked for. A record
//! can hold wrong figures, but it cannot hold a verdict that its figures do not bear.

use learn::metric::{Comparison, Estimate, Metrics};
use serde::{Deserialize, Serialize};

use crate::{ContentHash, Gold};

/// A figure that two models can be compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How often a yes scores above a no; higher is better.
    Auc,
    /// Lower is better.
    LogLoss,
    /// Lower is better.
    Brier,
}

/// One thing a version must show on the test set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// At least so many rows.
    MinRows(u64),
    /// At least so many rows with outcome yes.
    MinPositives(u64),
    /// It ranks better than chance: the AUC's interval lies above one half.
    BetterThanChance,
    /// The expected calibration error is at most this.
    MaxCalibrationError(f64),
    /// It is ahead of every opponent on the same rows, and its interval leaves no room for being further behind
    /// than `margin`.
    NotWorse {
        /// By which figure.
        measure: Measure,
        /// How far behind the interval may reach.
        margin: f64,
    },
    /// On every gold set of a use case that asks it, it knows more than nothing.
    GoldSets,
}

/// The rules of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// All of them must hold.
    pub rules: Vec<Rule>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            rules: vec![
                Rule::MinRows(200),
                Rule::MinPositives(30),
                Rule::BetterThanChance,
                Rule::MaxCalibrationError(0.1),
                Rule::NotWorse { measure: Measure::Auc, margin: 0.02 },
                Rule::GoldSets,
            ],
        }
    }
}

/// What a version was trained to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The simple method that others must beat.
    Baseline,
    /// The method that wants to take its place.
    Challenger,
}

/// Another model on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opponent {
    /// `the baseline`, `the live v3`
    pub name: String,
    /// Its own figures.
    pub metrics: Metrics,
    /// The version minus the opponent.
    pub comparison: Comparison,
}

/// What a version showed, and by which rules it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// The hash of the model that was measured.
    pub artefact: ContentHash,
    /// What it was trained to be.
    pub role: Role,
    /// How the test rows were chosen.
    pub test: String,
    /// What it showed.
    pub metrics: Metrics,
    /// Whom it was compared with, on the same rows.
    pub opponents: Vec<Opponent>,
    /// By which rules.
    pub gate: Gate,
    /// What it showed on the gold sets of the use cases that ask it.
    #[serde(default)]
    pub gold: Vec<Gold>,
}

/// One rule's outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// Whether it holds.
    pub passed: bool,
    /// The figures, in a sentence.
    pub message: String,
}

impl GateReport {
    /// Each rule and whether it holds. A challenger without an opponent has shown nothing: that is a failed check.
    pub fn checks(&self) -> Vec<Check> {
        self.gate.rules.iter().flat_map(|rule| self.check(rule)).collect()
    }

    /// True where there are rules and all hold.
    pub fn passed(&self) -> bool {
        let checks = self.checks();
        !checks.is_empty() && checks.iter().all(|check| check.passed)
    }

    /// The verdict with its figures, in a sentence; how it compares with others comes first.
    pub fn verdict(&self) -> String {
        let mut checks = self.checks();
        checks.sort_by_key(|check| !matches!(check.rule, Rule::NotWorse { .. }));
        let failed: Vec<&str> = checks.iter().filter(|c| !c.passed).map(|c| c.message.as_str()).collect();
        match checks.first() {
            None => "refused: the gate has no rules".into(),
            Some(first) if failed.is_empty() => format!("passed: {}", first.message),
            Some(_) => format!("refused: {}", failed.join("; ")),
        }
    }

    fn check(&self, rule: &Rule) -> Vec<Check> {
        let one = |passed: bool, message: String| vec![Check { rule: *rule, passed, message }];
        let m = &self.metrics;
        match rule {
            Rule::MinRows(least) => {
                one(m.n_rows as u64 >= *least, format!("{} test rows, {least} are due", m.n_rows))
            }
            Rule::MinPositives(least) => one(
                m.n_positives as u64 >= *least,
                format!("{} test rows with outcome yes, {least} are due", m.n_positives),
            ),
            Rule::BetterThanChance => one(m.auc.low > 0.5, format!("AUC {}, chance is 0.5", m.auc)),
            Rule::MaxCalibrationError(most) => one(
                m.calibration_error.value <= *most,
                format!("calibration error {}, {most} is allowed", m.calibration_error),
            ),
            Rule::GoldSets if self.gold.is_empty() => {
                one(true, "no use case that asks it has a gold set".into())
            }
            Rule::GoldSets => self
                .gold
                .iter()
                .map(|gold| Check { rule: *rule, passed: gold.passed(), message: gold.message() })
                .collect(),
            Rule::NotWorse { .. } if self.opponents.is_empty() => one(
                self.role == Role::Baseline,
                match self.role {
                    Role::Baseline => {
                        format!("it is the baseline, with AUC {}; nothing is live to compare it with", m.auc)
                    }
                    Role::Challenger => "a challenger was not compared with the baseline".into(),
                },
            ),
            Rule::NotWorse { measure, margin } => self
                .opponents
                .iter()
                .map(|opponent| {
                    let (passed, message) = duel(m, opponent, *measure, *margin);
                    Check { rule: *rule, passed, message }
                })
                .collect(),
        }
    }
}

/// Whether a version holds against an opponent, with the figures.
fn duel(own: &Metrics, opponent: &Opponent, measure: Measure, margin: f64) -> (bool, String) {
    let (name, their) = (&opponent.name, &opponent.metrics);
    let c = &opponent.comparison;
    let (label, mine, theirs, gain) = match measure {
        Measure::Auc => ("AUC", own.auc, their.auc, c.auc),
        Measure::LogLoss => ("log loss", own.log_loss, their.log_loss, turned(c.log_loss)),
        Measure::Brier => ("Brier score", own.brier, their.brier, turned(c.brier)),
    };
    // comparisons with NaN are false, so a figure that is none does not pass
    let ahead = gain.value >= 0.0;
    let certain = gain.low >= -margin;
    let verdict = if ahead && certain {
        format!("it is ahead of {name}")
    } else if gain.high < 0.0 {
        format!("{name} is better")
    } else if ahead {
        format!("it is ahead of {name}, but may be more than {margin} behind")
    } else {
        format!("it is behind {name}")
    };
    let figures = format!(
        "{label} {:.4} against {:.4}, gain {:+.4} (95 % interval {:+.4} to {:+.4})",
        mine.value, theirs.value, gain.value, gain.low, gain.high
    );
    (ahead && certain, format!("{verdict}: {figures}"))
}

/// A difference where lower is better, as a gain.
fn turned(e: Estimate) -> Estimate {
    Estimate { value: -e.value, low: -e.high, high: -e.low }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Shown;
    use learn::metric::{Evaluation, compare, evaluate};
    use learn::{Calibration, Calibrator};

    /// Figures of two calibrated models over the same 600 rows; `edge` is how much more the second knows.
    pub(crate) fn report(edge: f64, role: Role) -> GateReport {
        let rows = 600_u32;
        let labels: Vec<bool> = (0..rows).map(|i| i % 3 == 0).collect();
        let noise = |i: u32, k: u32| f64::from(i.wrapping_mul(2_654_435_761).wrapping_mul(k) >> 22) / 1024.0;
        let scores = |knows: f64, k: u32| -> Vec<f64> {
            let raw = |i: u32| knows * f64::from(u8::from(labels[i as usize])) + noise(i, k);
            let raw: Vec<f64> = (0..rows).map(raw).collect();
            let curve = Calibrator::fit(Calibration::Platt, &raw, &labels).unwrap();
            raw.iter().map(|r| curve.probability(*r)).collect()
        };
        let (first, second) = (scores(0.5, 7), scores(0.5 + edge, 11));
        let what = Evaluation { n_draws: 100, ..Evaluation::default() };
        let opponent = Opponent {
            name: "the baseline".into(),
            metrics: evaluate(&first, &labels, &what).unwrap(),
            comparison: compare(&first, &second, &labels, &what).unwrap(),
        };
        GateReport {
            artefact: ContentHash::of(b"artefact"),
            role,
            test: "made up".into(),
            metrics: evaluate(&second, &labels, &what).unwrap(),
            opponents: vec![opponent],
            gate: Gate::default(),
            gold: Vec::new(),
        }
    }

    fn check(report: &GateReport, passed: bool, verdict: &str) {
        assert_eq!(report.passed(), passed, "{}", report.verdict());
        assert!(report.verdict().contains(verdict), "{}", report.verdict());
    }

    #[test]
    fn where_the_baseline_wins_the_challenger_is_refused_with_the_figures() {
        check(
            &report(0.5, Role::Challenger),
            true,
            "passed: it is ahead of the baseline: AUC 1.0000 against 0.8",
        );
        let lost = report(-0.5, Role::Challenger);
        check(&lost, false, "the baseline is better: AUC 0.");
        assert!(lost.verdict().contains("95 % interval -0."), "{}", lost.verdict());
        check(&report(0.05, Role::Challenger), false, "but may be more than 0.02 behind");
        check(&report(0.01, Role::Challenger), false, "behind the baseline");
    }

    #[test]
    fn every_rule_can_refuse() {
        let good = report(0.5, Role::Challenger);
        let with = |rule: Rule| GateReport { gate: Gate { rules: vec![rule] }, ..good.clone() };
        check(&with(Rule::MinRows(601)), false, "600 test rows, 601 are due");
        check(&with(Rule::MinRows(600)), true, "");
        check(&with(Rule::MinPositives(201)), false, "200 test rows with outcome yes");
        check(&with(Rule::MaxCalibrationError(0.0)), false, "calibration error");
        check(&with(Rule::NotWorse { measure: Measure::LogLoss, margin: 0.01 }), true, "log loss");
        check(&with(Rule::NotWorse { measure: Measure::Brier, margin: 0.01 }), true, "Brier");
        check(&GateReport { gate: Gate { rules: vec![] }, ..good.clone() }, false, "no rules");
        let mut nan = good.clone();
        nan.opponents[0].comparison.auc = Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN };
        check(&nan, false, "behind");
        let chance = GateReport {
            metrics: Metrics { auc: Estimate { value: 0.6, low: 0.49, high: 0.7 }, ..good.metrics.clone() },
            ..good
        };
        check(&chance, false, "chance is 0.5");
    }

    #[test]
    fn a_gold_set_can_refuse() {
        let estimate = |value: f64| Estimate { value, low: value - 0.1, high: value + 0.1 };
        let with = |shown| {
            let (use_case, file) = ("spring".to_owned(), "goldsets/spring.jsonl".to_owned());
            let gold = vec![Gold { use_case, file, n_rows: 40, n_left_out: 2, shown }];
            GateReport { gold, ..report(0.5, Role::Challenger) }
        };
        let outcomes =
            |auc, loss| Shown::Outcomes { auc: estimate(auc), log_loss: estimate(loss), base_log_loss: 0.5 };
        check(&with(outcomes(0.7, 0.4)), true, "passed: it is ahead");
        check(&with(outcomes(0.55, 0.4)), false, "gold set goldsets/spring.jsonl, 40 rows: AUC 0.5500");
        check(&with(outcomes(0.7, 0.6)), false, "the share of yes alone gives 0.5000");
        let choices = |gain| Shown::Choices { gain: estimate(gain), chosen: 0.3, best: 0.4 };
        check(&with(choices(0.2)), true, "passed");
        check(&with(choices(0.05)), false, "its choice is worth 0.3000, the best 0.4000");
        check(&with(choices(f64::NAN)), false, "NaN");
        check(&with(Shown::Nothing { reason: "it has no rows".into() }), false, "it has no rows");
    }

    #[test]
    fn only_a_baseline_may_stand_alone() {
        let alone = |role| GateReport { opponents: vec![], ..report(0.5, role) };
        check(&alone(Role::Baseline), true, "it is the baseline");
        check(&alone(Role::Challenger), false, "was not compared");
    }
}
