//! Is a share out of the range that earlier shares lead one to expect?

/// How many standard deviations a share must be off.
const Z: f64 = 5.0;
/// And by how much at least, whatever the deviation: fewer than five in a thousand are no news.
const LEAST: f64 = 0.005;
/// Fewer records than this tell nothing.
const MIN_NOW: u64 = 30;
const MIN_BEFORE: u64 = 100;

/// A share over time, as `(how many, of how many)` per bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    n: f64,
    of: f64,
    /// Sum of `of · share²`, for the variance between buckets.
    squares: f64,
    n_buckets: u32,
}

/// What a share was expected to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) middle: f64,
    /// How far the share is outside, in half widths of the range.
    pub(crate) surprise: f64,
}

impl History {
    pub(crate) fn add(&mut self, n: u64, of: u64) {
        if of == 0 {
            return;
        }
        let share = n as f64 / of as f64;
        self.n += n as f64;
        self.of += of as f64;
        self.squares += of as f64 * share * share;
        self.n_buckets += 1;
    }

    /// The expected range of a share among `of`, and how surprising `n` is; `None` where too little is known.
    ///
    /// A binomial share with the noise of both samples, widened by what the share varied between earlier buckets beyond
    /// that noise.
    pub(crate) fn judge(&self, n: u64, of: u64) -> Option<Range> {
        if of < MIN_NOW || self.of < MIN_BEFORE as f64 {
            return None;
        }
        let middle = (self.n + 0.5) / (self.of + 1.0);
        let noise = middle * (1.0 - middle) * (1.0 / of as f64 + 1.0 / self.of);
        let between = if self.n_buckets >= 3 {
            let variance = (self.squares / self.of - (self.n / self.of).powi(2)).max(0.0);
            let expected = middle * (1.0 - middle) * f64::from(self.n_buckets) / self.of;
            (variance - expected).max(0.0)
        } else {
            0.0
        };
        // Small counts are not normal: a whole record of noise, so that one broken record among thirty is no news.
        let grain = 1.0 / (of as f64 * of as f64);
        let half = (Z * (noise + between + grain).sqrt()).max(LEAST);
        let share = n as f64 / of as f64;
        Some(Range {
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
            middle,
            surprise: (share - middle).abs() / half,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_news_and_a_change_is() {
        let mut history = History::default();
        (0..20).for_each(|i| history.add(95 + i % 10, 1_000));
        assert!(history.judge(110, 1_000).is_some_and(|r| r.surprise < 1.0));
        assert!(history.judge(250, 1_000).is_some_and(|r| r.surprise > 2.0));
        assert_eq!(history.judge(5, 10), None);
        assert_eq!(History::default().judge(500, 1_000), None);
    }

    #[test]
    fn one_record_is_no_news_and_six_are() {
        let mut history = History::default();
        (0..40).for_each(|_| history.add(0, 30));
        assert!((0..=4).all(|n| history.judge(n, 31).is_some_and(|r| r.surprise < 1.0)));
        assert!(history.judge(6, 31).is_some_and(|r| r.surprise > 1.0));
        assert!(history.judge(16, 100).is_some_and(|r| r.surprise > 2.0));
    }

    #[test]
    fn what_always_varied_may_vary() {
        let mut history = History::default();
        (0..20).for_each(|i| history.add(if i % 2 == 0 { 100 } else { 400 }, 1_000));
        assert!(history.judge(420, 1_000).is_some_and(|r| r.surprise < 1.0));
    }
}
