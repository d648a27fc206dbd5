//! Draws: one independent stream per topic and id, equal on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of draws is for; a new topic never moves the draws of another.
#[derive(Clone, Copy)]
pub(crate) enum Topic {
    Customer = 1,
    Products = 2,
    Orders = 3,
    Contacts = 4,
    Visits = 5,
    Strangers = 6,
    Faults = 7,
    Respond = 8,
    Load = 9,
    Basket = 10,
}

/// A stream of draws.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of `topic` and `id` (and `part`) in the world of `seed`.
    pub(crate) fn of(seed: u64, topic: Topic, id: u64, part: u64) -> Self {
        let words = [seed, topic as u64, id, part].map(u64::to_le_bytes);
        let mut key = [0; 32];
        for (place, byte) in key.iter_mut().zip(words.as_flattened()) {
            *place = *byte;
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n; 0 for an empty range.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        (self.unit() * f64::from(n)) as u32
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Bell-shaped with mean 0 and deviation 1 (sum of twelve, no logarithm), within ±6.
    pub(crate) fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// One of the things, each as likely.
    pub(crate) fn one<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len() as u32) as usize)
    }

    /// An index, as likely as its weight; the last one where rounding leaves a rest.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if rest < *weight {
                return index;
            }
            rest -= weight;
        }
        weights.len().saturating_sub(1)
    }

    /// A random identifier in the form of a UUID, version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.word(), self.word());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_stable_and_independent() {
        let draw = |id, part| Draws::of(7, Topic::Orders, id, part).word();
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        // The first word for ever: a change here is a new WORLD_VERSION.
        assert_eq!(draw(1, 0), 15_766_793_361_395_993_109);
    }

    #[test]
    fn moments_are_right() {
        let mut draws = Draws::of(1, Topic::Load, 0, 0);
        let n = 20_000;
        let bells: Vec<_> = (0..n).map(|_| draws.bell()).collect();
        let mean = bells.iter().sum::<f64>() / f64::from(n);
        let variance = bells.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        let hits = (0..n).filter(|_| draws.weighted(&[1.0, 0.0, 3.0]) == 2).count();
        assert!((hits as f64 / f64::from(n) - 0.75).abs() < 0.02);
    }
}
