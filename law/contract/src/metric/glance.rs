//! Values that plainly keep all rules of their field, told by a comparison.

use regex::Regex;
use serde_json::Value;

use super::{Metric, Rule};
use crate::bind::MAX_EXACT;
use crate::model::{Field, Kind, Limit};

/// What can be seen of a value at a glance.
#[derive(Default)]
pub(super) struct Fast {
    low: Option<f64>,
    high: Option<f64>,
    low_whole: i64,
    high_whole: i64,
    /// True where a value within the range needs no closer look.
    pub(super) by_range: bool,
    /// True where a text of these lengths and this pattern needs no closer look.
    pub(super) by_text: bool,
}

impl Fast {
    pub(super) fn of(field: &Field) -> Self {
        let rules = &field.rules;
        let plain = rules.allowed.is_empty() && rules.missing.is_empty();
        let end = |limit: &Option<Limit>| limit.as_ref().map(|limit| limit.number);
        let micros = |limit: &Option<Limit>| limit.as_ref().map(|limit| limit.micros);
        // An end that is left out, or is no whole number, is looked at closely.
        let inside = |limit: &Option<Limit>, otherwise: i64, step: i64| match limit {
            None => Some(otherwise),
            Some(limit) => {
                let whole = i64::try_from(limit.whole?).ok()?;
                if limit.exclusive { whole.checked_add(step) } else { Some(whole) }
            }
        };
        let mut fast = Self { low: end(&rules.min), high: end(&rules.max), ..Self::default() };
        match field.kind {
            Kind::Integer => {
                let (least, most) = rules.width.unwrap_or((i64::MIN.into(), i64::MAX.into()));
                let (least, most) =
                    (i64::try_from(least).unwrap_or(i64::MIN), i64::try_from(most).unwrap_or(i64::MAX));
                let (low, high) = (inside(&rules.min, least, 1), inside(&rules.max, most, -1));
                fast.by_range = plain && rules.multiple_of.is_none() && low.is_some() && high.is_some();
                fast.low_whole = low.unwrap_or(i64::MAX).max(least);
                fast.high_whole = high.unwrap_or(i64::MIN).min(most);
            }
            Kind::Number => {
                let open = |limit: &Option<Limit>| limit.as_ref().is_none_or(|limit| !limit.exclusive);
                fast.by_range = plain
                    && rules.multiple_of.is_none()
                    && !rules.f32
                    && field.scale.is_none()
                    && open(&rules.min)
                    && open(&rules.max);
            }
            Kind::Timestamp => {
                fast.low_whole =
                    micros(&rules.min).flatten().unwrap_or(i64::MIN).max(event::Instant::EARLIEST.micros());
                fast.high_whole =
                    micros(&rules.max).flatten().unwrap_or(i64::MAX).min(event::Instant::END.micros() - 1);
                let exclusive = |limit: &Option<Limit>| limit.as_ref().is_some_and(|limit| limit.exclusive);
                fast.by_range = plain && !exclusive(&rules.min) && !exclusive(&rules.max);
            }
            Kind::Text => fast.by_text = plain && rules.format.is_none(),
            Kind::Boolean => fast.by_range = plain,
            _ => {}
        }
        fast
    }

    pub(super) fn takes_int(&self, n: i64) -> bool {
        self.by_range && self.low_whole <= n && n <= self.high_whole
    }

    pub(super) fn takes_number(&self, n: f64) -> bool {
        self.by_range
            && n.abs() < MAX_EXACT
            && self.low.is_none_or(|low| low <= n)
            && self.high.is_none_or(|high| n <= high)
    }
}

/// What a text must be so that no rule about many records counts it.
pub(super) struct Quiet<'r> {
    not_among: Vec<&'r str>,
    matches: Vec<&'r Regex>,
}

impl<'r> Quiet<'r> {
    /// `None` where that cannot be told by a comparison.
    ///
    /// * `known`: a pattern that every text was held against before
    pub(super) fn of(rules: impl Iterator<Item = &'r Rule>, known: Option<&Regex>) -> Option<Self> {
        let mut quiet = Self { not_among: Vec::new(), matches: Vec::new() };
        for rule in rules {
            match &rule.metric {
                Metric::Missing(_, values) => {
                    for value in values {
                        // A number stands for the text of it, too.
                        let Value::String(text) = value else { return None };
                        quiet.not_among.push(text);
                    }
                }
                Metric::Invalid { valid, pattern, .. } if valid.is_empty() => {
                    let other =
                        |pattern: &&Regex| known.is_none_or(|known| known.as_str() != pattern.as_str());
                    quiet.matches.extend(pattern.as_ref().filter(other));
                }
                Metric::Invalid { .. } => return None,
                Metric::Null(_) | Metric::Duplicate(_) | Metric::Rows | Metric::Breaking(_) => {}
            }
        }
        Some(quiet)
    }

    pub(super) fn passes(&self, text: &str) -> bool {
        !self.not_among.contains(&text) && self.matches.iter().all(|pattern| pattern.is_match(text))
    }
}
