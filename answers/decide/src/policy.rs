//! How one of the feasible actions is drawn: a policy gives a distribution, the distribution is drawn from.
//!
//! That is the seam for learners: a new policy is a new variant of [`Policy`] that turns expected gains into
//! shares; the draw, the propensities and reproduction stay as they are.

use serde::{Deserialize, Serialize};

use crate::rng::splitmix64;

/// The version of the policies' arithmetic and of the draw. A change that could alter any propensity or draw
/// needs a new number, and the old arithmetic kept beside it.
pub const POLICY_VERSION: u16 = 1;

/// How one of the feasible actions is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Policy {
    /// The action of highest expected gain, except that a share `epsilon` is spread evenly over all.
    EpsilonGreedy {
        /// The share that explores, 0 to 1.
        epsilon: f64,
    },
}

/// Probabilities in whole parts of 2^53. They add up to one exactly, as integers and as floats in any order:
/// each part and each partial sum is a multiple of 2^-53 up to 1, which an f64 holds without rounding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution(Vec<u64>);

impl Distribution {
    /// All of it.
    pub const ONE: u64 = 1 << 53;

    /// `each` for everybody but `best`, who gets what is left.
    fn rest_to(best: usize, each: u64, n: usize) -> Self {
        let others = each.saturating_mul(n.saturating_sub(1) as u64);
        let rest = Self::ONE.saturating_sub(others);
        Self((0..n).map(|at| if at == best { rest } else { each }).collect())
    }

    /// The probability of the action at a place.
    pub fn probability(&self, at: usize) -> f64 {
        // Both numbers are exact: at most 2^53, and a power of two.
        self.0.get(at).map_or(0.0, |share| *share as f64 / Self::ONE as f64)
    }

    /// How many actions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place drawn with this seed.
    pub fn draw(&self, seed: u64) -> usize {
        let point = splitmix64(seed) >> 11;
        let mut upto = 0;
        for (at, share) in self.0.iter().enumerate() {
            upto += share;
            if point < upto {
                return at;
            }
        }
        self.0.len().saturating_sub(1)
    }
}

impl Policy {
    /// The distribution over feasible actions with these expected gains, in the order of the use case. Of equal
    /// gains the first is the best.
    pub fn distribution(&self, gains: &[f64]) -> Distribution {
        match self {
            Policy::EpsilonGreedy { epsilon } => {
                let mut best = 0;
                let mut highest = f64::NEG_INFINITY;
                for (at, gain) in gains.iter().enumerate() {
                    if *gain > highest {
                        (best, highest) = (at, *gain);
                    }
                }
                // Scaling by 2^53 is exact; the cast cuts what is below one part.
                let explored = (epsilon.clamp(0.0, 1.0) * Distribution::ONE as f64) as u64;
                let each = explored / (gains.len().max(1) as u64);
                Distribution::rest_to(best, each, gains.len())
            }
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Policy::EpsilonGreedy { .. } => "epsilon_greedy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(epsilon: f64, gains: &[f64], expected: &[f64]) {
        let distribution = Policy::EpsilonGreedy { epsilon }.distribution(gains);
        let got: Vec<f64> = (0..gains.len()).map(|at| distribution.probability(at)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn the_best_gets_what_exploration_leaves() {
        check(0.0, &[0.0, 2.0, 1.0], &[0.0, 1.0, 0.0]);
        check(0.5, &[0.0, 2.0], &[0.25, 0.75]);
        check(1.0, &[0.0, 2.0, 1.0, 0.5], &[0.25; 4]);
        check(0.05, &[0.0], &[1.0]);
        check(0.0, &[1.0, 1.0], &[1.0, 0.0]);
        check(0.0, &[-1.0, f64::NAN, -2.0], &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let distribution = Policy::EpsilonGreedy { epsilon: 0.3 }.distribution(&[0.0, 2.0, 1.0]);
        let mut counts = [0_u32; 3];
        for seed in 0..100_000 {
            counts[distribution.draw(seed)] += 1;
        }
        for (at, count) in counts.iter().enumerate() {
            let expected = distribution.probability(at) * 100_000.0;
            assert!((f64::from(*count) - expected).abs() < 4.0 * expected.sqrt(), "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_to_one_exactly(
            epsilon in 0.0..=1.0_f64,
            gains in prop::collection::vec(-1e6..1e6_f64, 1..60),
            seed in any::<u64>(),
        ) {
            let distribution = Policy::EpsilonGreedy { epsilon }.distribution(&gains);
            prop_assert_eq!(distribution.0.iter().sum::<u64>(), Distribution::ONE);
            let forward: f64 = (0..gains.len()).map(|at| distribution.probability(at)).sum();
            let backward: f64 = (0..gains.len()).rev().map(|at| distribution.probability(at)).sum();
            prop_assert_eq!((forward, backward), (1.0, 1.0));
            let drawn = distribution.draw(seed);
            prop_assert!(distribution.probability(drawn) > 0.0);
        }
    }
}
