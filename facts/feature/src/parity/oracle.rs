//! A plain computation over all records ever sent, to compare with: brute force, nothing shared with the crate.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Sent, subject};
use crate::value::Value;

/// A plain computation, sharing nothing with the crate: filters and sums are written out by hand.
pub(super) struct Oracle<'a> {
    /// In order of (occurred, known, id), each once.
    rows: Vec<&'a Sent>,
    pub(super) at: i64,
}

impl<'a> Oracle<'a> {
    /// * `admit_late`: the mutant that does not ask when a record was known
    pub(super) fn new(sent: &'a [Sent], members: &[u8], at: i64, admit_late: bool) -> Self {
        let mut rows: Vec<&Sent> = Vec::new();
        for one in sent {
            let is_member = members.iter().any(|m| subject(*m) == one.record.subject);
            let is_known = one.record.known_at.micros() <= at || admit_late;
            let is_first = rows.iter().all(|other| other.record.id != one.record.id);
            if is_member && is_known && is_first && one.record.occurred_at.micros() <= at {
                rows.push(one);
            }
        }
        rows.sort_by_key(|one| (one.record.occurred_at, one.record.known_at, one.record.id));
        Self { rows, at }
    }

    fn within(&self, window: Option<i64>) -> impl Iterator<Item = &'a Sent> + '_ {
        let lower = window.map_or(i64::MIN, |window| self.at - window);
        self.rows.iter().copied().filter(move |one| one.record.occurred_at.micros() > lower)
    }

    fn numbers(&self, window: Option<i64>, field: &'static str) -> Vec<f64> {
        self.within(window).filter_map(|one| one.fields.get(field)?.as_f64()).collect()
    }

    fn cents(&self, window: Option<i64>) -> f64 {
        let cents =
            self.numbers(window, "total").iter().map(|total| (total * 100.0).round() as i64).sum::<i64>();
        cents as f64 / 100.0
    }

    /// (exact up to rounding, what it may differ by)
    fn decayed(&self, window: Option<i64>, field: &'static str, half_life: f64) -> (f64, f64) {
        let terms: Vec<f64> = self
            .within(window)
            .filter_map(|one| {
                let age = (self.at - one.record.occurred_at.micros()) as f64;
                Some(one.fields.get(field)?.as_f64()? * (-age / half_life).exp2())
            })
            .collect();
        (exact(&terms), 1e-12 * terms.iter().map(|term| term.abs()).sum::<f64>())
    }

    pub(super) fn values(&self) -> BTreeMap<&'static str, (Value, f64)> {
        let mut out = BTreeMap::new();
        let mut put = |name, value| out.insert(name, (value, 0.0));
        let is = |one: &Sent, status: &str| one.fields.get("status") == Some(&json!(status));
        let count = |n: usize| Value::Integer(n as i64);
        let number = |value: Option<f64>| value.map_or(Value::Missing, Value::Number);
        let fold = |numbers: Vec<f64>, pick: fn(f64, f64) -> f64| numbers.into_iter().reduce(pick);
        let text = |value: Option<&Json>| {
            value.and_then(Json::as_str).map_or(Value::Missing, |text| Value::Text(text.into()))
        };
        let integer =
            |value: Option<&Json>| value.and_then(Json::as_i64).map_or(Value::Missing, Value::Integer);
        let w20 = Some(20);
        let w35 = Some(35);

        let n_20 = self.within(w20).count();
        put("n_20", count(n_20));
        let is_paid = |one: &&Sent| {
            is(one, "paid") && one.fields.get("total").and_then(Json::as_f64).is_some_and(|total| total > 0.0)
        };
        put("n_paid_35", count(self.within(w35).filter(is_paid).count()));
        put("spend_20", Value::Number(self.cents(w20)));
        let n_totals = self.numbers(w20, "total").len();
        put("mean_20", Value::Number(if n_totals == 0 { -1.0 } else { self.cents(w20) / n_totals as f64 }));
        put("weight_35", Value::Number(exact(&self.numbers(w35, "weight"))));
        put("least_20", number(fold(self.numbers(w20, "weight"), f64::min)));
        let most = self.within(w20).filter_map(|one| one.fields.get("n")?.as_i64()).max();
        put("most_20", most.map_or(Value::Missing, Value::Integer));
        let last = self.within(w20).filter_map(|one| one.fields.get("status")).last();
        put("last_20", last.map_or(Value::Text("none".into()), |_| text(last)));
        let is_first = |one: &&Sent| {
            one.fields.get("gift") == Some(&json!(true))
                || matches!(one.fields.get("n"), Some(n) if n == 1 || n == 2)
        };
        put("first_35", integer(self.within(w35).filter(is_first).find_map(|one| one.fields.get("n"))));
        let distinct = |values: Vec<String>| {
            let set: std::collections::BTreeSet<String> = values.into_iter().collect();
            Value::Integer(set.len() as i64)
        };
        let texts = self.within(w20).filter_map(|one| Some(one.fields.get("status")?.to_string()));
        put("kinds_20", distinct(texts.collect()));
        let latest = self.within(w35).filter(|one| one.fields.get("status").is_some()).last();
        put("since_35", number(latest.map(|one| (self.at - one.record.occurred_at.micros()) as f64 / 1e6)));
        put("basket", if n_20 == 0 { Value::Missing } else { Value::Number(self.cents(w20) / n_20 as f64) });

        put("n_ever", count(self.within(None).count()));
        put("spend_ever", Value::Number(self.cents(None)));
        let weights = self.numbers(None, "weight");
        put("weight_ever", Value::Number(exact(&weights)));
        put("n_sum_ever", Value::Integer(self.numbers(None, "n").iter().map(|n| *n as i64).sum()));
        put("mean_ever", number((!weights.is_empty()).then(|| exact(&weights) / weights.len() as f64)));
        put("least_ever", number(fold(self.numbers(None, "total"), f64::min)));
        put("most_ever", number(fold(self.numbers(None, "total"), f64::max)));
        let gift = self.within(None).filter_map(|one| one.fields.get("gift")?.as_bool()).last();
        put("last_ever", gift.map_or(Value::Missing, Value::Boolean));
        put("first_ever", text(self.within(None).find_map(|one| one.fields.get("status"))));
        let known = |one: &&Sent| one.fields.get("status").is_some() && !is(one, "open");
        let kinds = self.within(None).filter(known).filter_map(|one| Some(one.fields.get("n")?.to_string()));
        put("kinds_ever", distinct(kinds.collect()));
        let latest = self.rows.last();
        let days = latest.map(|one| (self.at - one.record.occurred_at.micros()) as f64 / 86_400e6);
        put("since_ever", number(days));
        let (value, slack) = self.decayed(w35, "weight", 7.0);
        out.insert("interest_35", (Value::Number(value), slack));
        let (value, slack) = self.decayed(None, "total", 5.0);
        out.insert("interest_ever", (Value::Number(value), slack));
        out
    }
}

/// The exact sum, by another way than the crate's: all terms as multiples of the smallest float, in big integers
/// of base 2^32.
pub(super) fn exact(terms: &[f64]) -> f64 {
    // 2^-1074 × 2^(32 i): 72 digits reach beyond 1e308 for any number of terms here.
    let mut digits = [0_i128; 72];
    for term in terms {
        let bits = term.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
        let (shift, mantissa) =
            if exponent == 0 { (0, fraction) } else { (exponent - 1, fraction | 1 << 52) };
        let sign = if term.is_sign_negative() { -1 } else { 1 };
        let wide = i128::from(mantissa) << (shift % 32);
        for (place, part) in
            [wide & 0xffff_ffff, wide >> 32 & 0xffff_ffff, wide >> 64].into_iter().enumerate()
        {
            digits[shift / 32 + place] += sign * part;
        }
    }
    let carry = |digits: &mut [i128; 72]| {
        for i in 0..71 {
            let over = digits[i] >> 32;
            digits[i] -= over << 32;
            digits[i + 1] += over;
        }
        digits[71] < 0
    };
    let negative = carry(&mut digits);
    if negative {
        digits.iter_mut().for_each(|digit| *digit = -*digit);
        carry(&mut digits);
    }
    let Some(top) = (0..72).rev().find(|i| digits[*i] != 0) else { return 0.0 };
    // The leading 96 bits or more, and whether anything is left below: then rounded once, by the cast.
    let mut head = 0_u128;
    let low = top.saturating_sub(3);
    for i in (low..=top).rev() {
        head = head << 32 | digits[i] as u128;
    }
    if digits[..low].iter().any(|digit| *digit != 0) {
        head |= 1;
    }
    let mut value = head as f64;
    let mut exponent = low as i32 * 32 - 1074;
    // Two steps: 2^-1074 alone is not to be multiplied exactly into range.
    while exponent < -500 {
        value *= 2f64.powi(-500);
        exponent += 500;
    }
    value *= 2f64.powi(exponent);
    if negative { -value } else { value }
}
