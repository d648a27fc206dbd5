//! A token bucket per key. Only keys that were verified get one, so there are never more buckets than keys.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Mean and burst, and the bucket of each key.
pub(crate) struct Rates {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    /// No key may do more than `per_second` in the mean and `burst` at once.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        Self { per_second: per_second.into(), burst: burst.into(), buckets: Mutex::default() }
    }

    /// The mean that is allowed.
    pub(crate) fn per_second(&self) -> u32 {
        self.per_second as u32
    }

    /// Takes one token of `key`, or says how long it takes until there is one.
    pub(crate) fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock();
        if !buckets.contains_key(key) {
            buckets.insert(key.to_owned(), Bucket { tokens: self.burst, filled: now });
        }
        let Some(bucket) = buckets.get_mut(key) else { return Ok(()) };
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * self.per_second).min(self.burst);
        bucket.filled = bucket.filled.max(now);
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_is_taken_then_the_mean_holds_per_key() {
        let rates = Rates::new(2, 3);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..3 {
            assert!(rates.take("a", at(0)).is_ok());
        }
        assert_eq!(rates.take("a", at(0)), Err(Duration::from_millis(500)));
        assert!(rates.take("b", at(0)).is_ok());
        assert!(rates.take("a", at(499)).is_err());
        assert!(rates.take("a", at(500)).is_ok());
        assert!(rates.take("a", at(500)).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_mean(steps in prop::collection::vec(0_u64..2_000, 1..200)) {
            let rates = Rates::new(5, 10);
            let start = Instant::now();
            let (mut passed_ms, mut taken) = (0, 0_u64);
            for step in steps {
                passed_ms += step;
                taken += u64::from(rates.take("a", start + Duration::from_millis(passed_ms)).is_ok());
                prop_assert!(taken <= 10 + 1 + passed_ms * 5 / 1_000);
            }
        }
    }
}
