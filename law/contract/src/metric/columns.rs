//! The same judgement column by column, for files that lie so: what [`Contract::check`] and [`super::Judge`] say of rows,
//! without making rows.
//!
//! A value that plainly keeps all rules of its field is only compared; whatever else comes goes through the very code that
//! judges records, so that there is one meaning. Contracts that look at several fields at once are judged by rows:
//! [`Contract::column_judge`] says so by giving nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

use serde_json::{Map, Value};

use super::glance::{Fast, Quiet};
use super::judge::MOST_DISTINCT;
use super::{Metric, Rule};
use crate::finding::codes;
use crate::limits::MAX_TEXT_BYTES;
use crate::model::{Contract, Currency, Field, Kind};
use crate::{check, names_somebody};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers.
    Ints,
    /// Numbers.
    Doubles,
    /// Truth values.
    Bools,
    /// Texts.
    Texts,
    /// Points in time, in microseconds since 1970, UTC.
    Micros,
}

/// Values of a column that are there, in the order of their rows.
#[derive(Clone, Copy, Debug)]
pub enum Values<'v> {
    /// Of [`ColumnKind::Ints`].
    Ints(&'v [i64]),
    /// Of [`ColumnKind::Doubles`]; what is no number is nothing.
    Doubles(&'v [f64]),
    /// Of [`ColumnKind::Bools`].
    Bools(&'v [bool]),
    /// Of [`ColumnKind::Texts`]: UTF-8.
    Texts(&'v [&'v str]),
    /// Of [`ColumnKind::Micros`].
    Micros(&'v [i64]),
}

/// Judges one column.
pub struct ColumnJudge<'c> {
    field: &'c Field,
    /// With their places among the contract's rules.
    rules: Vec<(usize, &'c Rule)>,
    is_event_time: bool,
    /// The type of identifier, where it names the subject; true where nobody may be named.
    subject: Option<(String, bool)>,
    fast: Fast,
    seen: Option<HashSet<u128, BuildHasherDefault<Mix>>>,
    /// What it came to.
    pub told: ColumnTold,
}

/// What a column came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnTold {
    /// What each rule counted, by its place among the contract's rules; `None` where there was too much to count.
    pub counts: BTreeMap<usize, Option<u64>>,
    /// Rows with an error by code and field.
    pub refused: BTreeMap<(String, String), u64>,
    /// The rows with an error, in order, counted from 0.
    pub bad_rows: Vec<u64>,
}

/// Spreads the bits of a key that is a number or a hash already.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(29) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }

    fn write_u128(&mut self, n: u128) {
        self.write_u64(n as u64);
        self.write_u64((n >> 64) as u64);
    }
}

impl Contract {
    /// A judge for each field, with the column it looks at; `None` where rows are needed to judge.
    ///
    /// * `kind_of`: what the column of this name holds; `None` where there is none, or one of another kind
    /// * `n_rows`: how many rows will come, about
    pub fn column_judges(
        &self,
        kind_of: impl Fn(&str) -> Option<ColumnKind>,
        n_rows: usize,
    ) -> Option<Vec<(String, ColumnJudge<'_>)>> {
        let key = &self.subject_key;
        if key.fields.len() > 1 || self.fields.is_empty() {
            return None;
        }
        let mut judges = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let mut parts = field.source.parts();
            let (Some(column), None) = (parts.next(), parts.next()) else { return None };
            if !fits(field, kind_of(column)?) || matches!(field.currency, Some(Currency::Field(_))) {
                return None;
            }
            let names = |path: &crate::Path| path.as_str() == field.name;
            let subject = key.fields.first().filter(|path| names(path)).map(|_| {
                let kind = self.identifiers.first().map(|(kind, _)| kind.clone()).unwrap_or_default();
                (kind, key.or_none)
            });
            if subject.is_some() && !matches!(field.kind, Kind::Text) {
                return None;
            }
            judges.push((
                column.to_owned(),
                ColumnJudge {
                    field,
                    rules: Vec::new(),
                    is_event_time: self.event_time.as_ref().is_some_and(names),
                    subject,
                    fast: Fast::of(field),
                    seen: None,
                    told: ColumnTold::default(),
                },
            ));
        }
        let is_there = |path: &crate::Path| judges.iter().any(|(_, judge)| judge.field.name == path.as_str());
        let all_there = key.fields.iter().chain(&self.event_time).all(is_there);
        if !all_there {
            return None;
        }
        for (at, rule) in self.rules.iter().enumerate() {
            if matches!(rule.metric, Metric::Rows) {
                continue;
            }
            let fields = rule.metric.fields();
            let ([path], false) = (fields.as_slice(), matches!(rule.metric, Metric::Breaking(_))) else {
                return None;
            };
            let judge = judges.iter_mut().find(|(_, judge)| judge.field.name == path.as_str());
            let (_, judge) = judge?;
            judge.rules.push((at, rule));
            judge.told.counts.insert(at, Some(0));
            if matches!(rule.metric, Metric::Duplicate(_)) && judge.seen.is_none() {
                let room = n_rows.min(MOST_DISTINCT);
                judge.seen = Some(HashSet::with_capacity_and_hasher(room, BuildHasherDefault::default()));
            }
        }
        Some(judges)
    }
}

/// True where binding leaves a value of the column as it is.
fn fits(field: &Field, kind: ColumnKind) -> bool {
    matches!(
        (&field.kind, kind),
        (Kind::Integer, ColumnKind::Ints)
            | (Kind::Number, ColumnKind::Ints | ColumnKind::Doubles)
            | (Kind::Boolean, ColumnKind::Bools)
            | (Kind::Text, ColumnKind::Texts)
            | (Kind::Timestamp, ColumnKind::Micros)
    )
}

impl ColumnJudge<'_> {
    /// Takes some rows.
    ///
    /// * `first_row`: the number of the first of them, counted from 0
    /// * `is_there`: for each row whether it has a value; `None` where all have
    pub fn take(&mut self, first_row: u64, n: usize, is_there: Option<&[bool]>, values: Values<'_>) {
        let mut bad: Vec<usize> = Vec::new();
        let mut nothing: Vec<usize> = Vec::new();
        match values {
            Values::Ints(values) if matches!(self.field.kind, Kind::Integer) => {
                self.each(values, &mut bad, &mut nothing, Fast::takes_int, int_value, |n| Some(int_key(*n)));
            }
            Values::Ints(values) => {
                let takes = |fast: &Fast, n: i64| fast.takes_number(n as f64);
                self.each(values, &mut bad, &mut nothing, takes, int_value, |n| Some(int_key(*n)));
            }
            Values::Doubles(values) => {
                self.each(values, &mut bad, &mut nothing, Fast::takes_number, double_value, |n| {
                    (!n.is_nan()).then(|| double_key(*n))
                });
            }
            Values::Micros(values) => {
                self.each(values, &mut bad, &mut nothing, Fast::takes_int, micros_value, |n| {
                    Some(int_key(*n))
                });
            }
            Values::Bools(values) => {
                let takes = |fast: &Fast, _: bool| fast.by_range;
                self.each(values, &mut bad, &mut nothing, takes, Value::from, |n| Some(u128::from(*n)));
            }
            Values::Texts(values) => self.texts(values, &mut bad),
        }
        self.rows(first_row, n, is_there, &bad, &nothing);
    }

    fn each<T: Copy>(
        &mut self,
        values: &[T],
        bad: &mut Vec<usize>,
        nothing: &mut Vec<usize>,
        takes: impl Fn(&Fast, T) -> bool,
        value: impl Fn(T) -> Value,
        key: impl Fn(&T) -> Option<u128>,
    ) {
        let looks = self
            .rules
            .iter()
            .any(|(_, rule)| matches!(rule.metric, Metric::Missing(..) | Metric::Invalid { .. }));
        for (at, one) in values.iter().enumerate() {
            let Some(key) = key(one) else {
                nothing.push(at);
                continue;
            };
            self.repeats(key);
            if looks || !takes(&self.fast, *one) {
                let value = value(*one);
                if self.closely(&value) {
                    bad.push(at);
                }
            }
        }
    }

    fn texts(&mut self, values: &[&str], bad: &mut Vec<usize>) {
        let rules = &self.field.rules;
        let (pattern, min, max) = (rules.pattern.clone(), rules.min_chars, rules.max_chars);
        let quiet = Quiet::of(self.rules.iter().map(|(_, rule)| *rule), pattern.as_ref());
        // Values of a list come again and again: each is looked at once.
        let mut known: HashMap<&str, (bool, Vec<usize>), BuildHasherDefault<Mix>> = HashMap::default();
        for (at, text) in values.iter().enumerate() {
            if self.seen.is_some() {
                self.repeats(text_key(text));
            }
            let plain = self.fast.by_text
                && text.len() <= MAX_TEXT_BYTES
                && max.is_none_or(|max| text.len() <= max)
                && min.is_none_or(|min| text.is_ascii() && text.len() >= min)
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
                && quiet.as_ref().is_some_and(|quiet| quiet.passes(text));
            let named = self.subject.as_ref().is_none_or(|(kind, _)| names_somebody(kind, text));
            if plain && named {
                continue;
            }
            if let Some((is_bad, counted)) = known.get(text).filter(|_| named) {
                for at in counted {
                    self.count(*at, 1);
                }
                if *is_bad {
                    self.again(text);
                    bad.push(at);
                }
                continue;
            }
            let value = Value::from(*text);
            let before: Vec<Option<u64>> = self.told.counts.values().copied().collect();
            let mut is_bad = self.closely(&value);
            if !named && !self.subject.as_ref().is_some_and(|(_, or_none)| *or_none) {
                self.refuse(codes::SUBJECT, "");
                is_bad = true;
            }
            if is_bad {
                bad.push(at);
            }
            if named && known.len() < 4_096 {
                let after = self.told.counts.iter().zip(before);
                let counted = after.filter(|((_, now), before)| **now != *before).map(|((at, _), _)| *at);
                known.insert(text, (is_bad, counted.collect()));
            }
        }
    }

    /// A value that was refused before is refused again for the same reasons.
    fn again(&mut self, text: &str) {
        for finding in check::value(self.field, &Value::from(text)).iter().filter(|one| one.is_error()) {
            self.refuse(finding.code, finding.field.as_deref().unwrap_or_default());
        }
    }

    /// Whether a value is refused, by the code that judges records; counts it for the rules that look at values.
    fn closely(&mut self, value: &Value) -> bool {
        let looking = self
            .rules
            .iter()
            .filter(|(_, rule)| matches!(rule.metric, Metric::Missing(..) | Metric::Invalid { .. }));
        let looking: Vec<(usize, &Rule)> = looking.map(|(at, rule)| (*at, *rule)).collect();
        if !looking.is_empty() {
            let mut bound = Map::new();
            bound.insert(self.field.name.clone(), value.clone());
            let bound = Value::Object(bound);
            for (at, rule) in looking {
                if rule.metric.counts(&bound) {
                    self.count(at, 1);
                }
            }
        }
        let mut is_bad = false;
        for finding in check::value(self.field, value).iter().filter(|one| one.is_error()) {
            self.refuse(finding.code, finding.field.as_deref().unwrap_or_default());
            is_bad = true;
        }
        is_bad
    }

    fn refuse(&mut self, code: &str, field: &str) {
        *self.told.refused.entry((code.to_owned(), field.to_owned())).or_default() += 1;
    }

    fn count(&mut self, at: usize, n: u64) {
        if let Some(Some(count)) = self.told.counts.get_mut(&at) {
            *count += n;
        }
    }

    fn repeats(&mut self, key: u128) {
        let Some(seen) = &mut self.seen else { return };
        let is_new = seen.insert(key);
        let is_full = seen.len() > MOST_DISTINCT;
        if is_new && !is_full {
            return;
        }
        if is_full {
            self.seen = None;
        }
        let duplicates = self.rules.iter().filter(|(_, rule)| matches!(rule.metric, Metric::Duplicate(_)));
        let duplicates: Vec<usize> = duplicates.map(|(at, _)| *at).collect();
        for at in duplicates {
            if is_full {
                self.told.counts.insert(at, None);
            } else {
                self.count(at, 1);
            }
        }
    }

    /// What lacks a value, and which rows the refused values belong to.
    fn rows(
        &mut self,
        first_row: u64,
        n: usize,
        is_there: Option<&[bool]>,
        bad: &[usize],
        nothing: &[usize],
    ) {
        let absent = is_there.map_or(0, |is_there| is_there.iter().filter(|there| !**there).count());
        let n_absent = (absent + nothing.len()) as u64;
        let mut refuses_nothing = false;
        if n_absent > 0 {
            let counting = self
                .rules
                .iter()
                .filter(|(_, rule)| matches!(rule.metric, Metric::Null(_) | Metric::Missing(..)));
            let counting: Vec<usize> = counting.map(|(at, _)| *at).collect();
            counting.into_iter().for_each(|at| self.count(at, n_absent));
            let name = self.field.name.clone();
            let mut refuse = |code: &str, field: &str| {
                *self.told.refused.entry((code.to_owned(), field.to_owned())).or_default() += n_absent;
                refuses_nothing = true;
            };
            if self.field.required {
                refuse(codes::MISSING, &name);
            }
            if self.is_event_time {
                refuse(codes::EVENT_TIME, &name);
            }
            if self.subject.as_ref().is_some_and(|(_, or_none)| !or_none) {
                refuse(codes::SUBJECT, "");
            }
        }
        if bad.is_empty() && !refuses_nothing {
            return;
        }
        let (mut bad, mut nothing) = (bad.iter().peekable(), nothing.iter().peekable());
        let mut value = 0_usize;
        for at in 0..n {
            let there = is_there.is_none_or(|is_there| is_there.get(at).copied().unwrap_or_default());
            let mut is_bad = !there && refuses_nothing;
            if there {
                is_bad |= bad.next_if(|one| **one == value).is_some();
                is_bad |= nothing.next_if(|one| **one == value).is_some() && refuses_nothing;
                value += 1;
            }
            if is_bad {
                self.told.bad_rows.push(first_row + at as u64);
            }
        }
    }
}

fn int_value(n: i64) -> Value {
    n.into()
}

fn double_value(n: f64) -> Value {
    if n.is_infinite() {
        return Value::from(if n > 0.0 { "Infinity" } else { "-Infinity" });
    }
    Value::from(n)
}

fn micros_value(n: i64) -> Value {
    Value::from(event::Instant::from_micros(n).to_string())
}

fn int_key(n: i64) -> u128 {
    n as u64 as u128
}

/// 0 and -0 are one number.
fn double_key(n: f64) -> u128 {
    u128::from((n + 0.0).to_bits())
}

/// 128 bits: two of 50 million texts agree by chance once in 10^23.
fn text_key(text: &str) -> u128 {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(text.as_bytes());
        hasher.finish()
    };
    (u128::from(hash(1)) << 64) | u128::from(hash(2))
}
