//! Everybody at one instant, column by column, so that rules are answered for a million people at once.
//!
//! A column holds each different value once and a code per person. A comparison is computed once per different value,
//! not once per person, and what comes out is a compressed set of people; `and`, `or` and `not` work on such sets. It is
//! the expression itself that is asked, so a segment and an eligibility rule cannot differ.

use std::collections::HashMap;

use event::{Instant, Subject};
use feature::expr::{Expr, Facts, Parts, Truth, Value};
use roaring::RoaringBitmap;

/// People and their values, as of an instant.
pub struct Audience {
    at: Instant,
    people: Vec<Subject>,
    places: HashMap<Subject, u32>,
    names: Vec<String>,
    columns: Vec<Column>,
    /// The places of whoever is in it no longer.
    gone: RoaringBitmap,
}

#[derive(Default)]
struct Column {
    /// One per person.
    codes: Vec<u32>,
    /// By code; the first is the missing value.
    values: Vec<Option<Value>>,
    known: HashMap<Word, u32>,
}

#[derive(PartialEq, Eq, Hash)]
enum Word {
    Flag(bool),
    Number(u64),
    Text(String),
}

impl Column {
    fn code(&mut self, value: Option<Value>) -> u32 {
        let Some(value) = value else { return 0 };
        let word = match &value {
            Value::Flag(flag) => Word::Flag(*flag),
            // Minus zero is zero.
            Value::Number(number) => Word::Number((number + 0.0).to_bits()),
            Value::Text(text) => Word::Text(text.clone()),
        };
        let next = u32::try_from(self.values.len()).unwrap_or(0);
        let code = *self.known.entry(word).or_insert(next);
        if code == next {
            self.values.push(Some(value));
        }
        code
    }

    fn value(&self, person: usize) -> Option<&Value> {
        let code = self.codes.get(person).copied().unwrap_or(0);
        self.values.get(code as usize).and_then(Option::as_ref)
    }
}

impl Audience {
    /// Nobody yet; `names` are the columns.
    pub fn new(at: Instant, names: Vec<String>) -> Self {
        let column = || Column { values: vec![None], ..Column::default() };
        let columns = names.iter().map(|_| column()).collect();
        Self { at, people: Vec::new(), places: HashMap::new(), names, columns, gone: RoaringBitmap::new() }
    }

    /// The instant its values are of.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Says that its values hold until this instant.
    pub fn is_of(&mut self, at: Instant) {
        self.at = at;
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many people there are.
    pub fn n_people(&self) -> u64 {
        self.places.len() as u64 - self.gone.len()
    }

    /// Takes somebody out; who comes back has the same place.
    pub fn remove(&mut self, person: Subject) {
        self.gone.extend(self.places.get(&person).copied());
    }

    /// Sets a person's values, one per column; whoever is new takes the next place.
    pub fn set(&mut self, person: Subject, values: impl IntoIterator<Item = Option<Value>>) {
        let next = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(person).or_insert(next);
        if place == next {
            self.people.push(person);
            self.columns.iter_mut().for_each(|column| column.codes.push(0));
        }
        self.gone.remove(place);
        for (column, value) in self.columns.iter_mut().zip(values) {
            let code = column.code(value);
            if let Some(held) = column.codes.get_mut(place as usize) {
                *held = code;
            }
        }
    }

    /// The places of those for whom `rule` holds; what is unknown does not.
    ///
    /// * `inputs`: the names of the rule's places; one that is no column is missing for everybody
    pub fn select(&self, rule: &Expr, inputs: &[String]) -> RoaringBitmap {
        let columns: Vec<Option<&Column>> = inputs
            .iter()
            .map(|input| self.names.iter().position(|name| name == input).and_then(|at| self.columns.get(at)))
            .collect();
        self.with(rule, &columns, Truth::True) - &self.gone
    }

    /// The people at these places.
    pub fn at_places<'a>(&'a self, places: &'a RoaringBitmap) -> impl Iterator<Item = Subject> + 'a {
        places.iter().filter_map(|place| self.people.get(place as usize).copied())
    }

    fn everybody(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..u32::try_from(self.people.len()).unwrap_or(u32::MAX));
        all
    }

    /// Those for whom `rule` is `wanted`: true or false.
    fn with(&self, rule: &Expr, columns: &[Option<&Column>], wanted: Truth) -> RoaringBitmap {
        let other = if wanted == Truth::True { Truth::False } else { Truth::True };
        let all = |parts: &[Expr]| {
            let mut sets = parts.iter().map(|part| self.with(part, columns, wanted));
            let first = sets.next().unwrap_or_else(|| self.everybody());
            sets.fold(first, |all, set| all & set)
        };
        let any = |parts: &[Expr]| {
            parts.iter().fold(RoaringBitmap::new(), |any, part| any | self.with(part, columns, wanted))
        };
        match rule.parts() {
            Parts::And(parts) if wanted == Truth::True => all(&parts),
            Parts::And(parts) => any(&parts),
            Parts::Or(parts) if wanted == Truth::True => any(&parts),
            Parts::Or(parts) => all(&parts),
            Parts::Not(part) => self.with(&part, columns, other),
            Parts::Whole => self.leaf(rule, columns, wanted),
        }
    }

    fn leaf(&self, rule: &Expr, columns: &[Option<&Column>], wanted: Truth) -> RoaringBitmap {
        let mut names = rule.names().into_iter();
        let holds = |row: &Row<'_>| rule.eval(row) == wanted;
        match (names.next(), names.next()) {
            (None, _) if holds(&Row { at: self.at, of: &|_| None }) => self.everybody(),
            (None, _) => RoaringBitmap::new(),
            (Some((slot, _)), None) => {
                let Some(column) = columns.get(slot).copied().flatten() else {
                    let row = Row { at: self.at, of: &|_| None };
                    return if holds(&row) { self.everybody() } else { RoaringBitmap::new() };
                };
                let verdict = |value: &Option<Value>| holds(&Row { at: self.at, of: &|_| value.as_ref() });
                let verdicts: Vec<bool> = column.values.iter().map(verdict).collect();
                places(&column.codes, |code| verdicts.get(*code as usize).copied().unwrap_or(false))
            }
            _ => {
                let people: Vec<usize> = (0..self.people.len()).collect();
                places(&people, |person| {
                    let of =
                        |slot: usize| columns.get(slot).copied().flatten().and_then(|c| c.value(*person));
                    holds(&Row { at: self.at, of: &of })
                })
            }
        }
    }
}

/// The places of the items that hold.
fn places<T>(items: &[T], holds: impl Fn(&T) -> bool) -> RoaringBitmap {
    let found = (0_u32..).zip(items).filter(|(_, item)| holds(item)).map(|(place, _)| place);
    let mut set = RoaringBitmap::new();
    // In order, so each is appended.
    set.extend(found);
    set
}

/// One person's values, or one value for whoever has it.
struct Row<'a> {
    at: Instant,
    of: &'a dyn Fn(usize) -> Option<&'a Value>,
}

impl Facts for Row<'_> {
    fn value(&self, slot: usize) -> Option<&Value> {
        (self.of)(slot)
    }

    fn consent(&self, _: &str) -> bool {
        // A segment has one purpose, and whoever said no to it is not in the audience.
        false
    }

    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;
    use proptest::prelude::*;

    fn person(n: u32) -> Subject {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Subject::from_bytes(bytes)
    }

    const RULES: [&str; 8] = [
        "o.n >= 2 and trait.city = 'Köln'",
        "not (o.n > 1 or trait.city = 'Bonn')",
        "o.n is missing or not trait.vip",
        "o.n > o.m",
        "o.n + o.m >= 3 and not trait.city in ['Bonn', 'Köln']",
        "trait.vip or (o.n < 2 and o.m > 1) or trait.city is not missing",
        "not not (o.n = 1)",
        "if(o.n > 1, trait.city = 'Köln', trait.vip)",
    ];

    fn any_person() -> impl Strategy<Value = [Option<Value>; 4]> {
        let number = || prop::option::of((0_u8..4).prop_map(|n| Value::Number(f64::from(n))));
        let city = prop::option::of(prop::sample::select(vec!["Köln", "Bonn", "Ulm"]));
        let city = city.prop_map(|city| city.map(|city| Value::Text(city.into())));
        let vip = prop::option::of(any::<bool>().prop_map(Value::Flag));
        (number(), number(), city, vip).prop_map(|(n, m, city, vip)| [n, m, city, vip])
    }

    proptest! {
        /// At once or one by one: the same people, also after values have changed.
        #[test]
        fn all_at_once_is_each_by_itself(
            people in prop::collection::vec(any_person(), 0..40),
            changed in prop::collection::vec(any_person(), 0..20),
            left in prop::collection::vec(0_u32..30, 0..4),
        ) {
            let names = ["o.n", "o.m", "trait.city", "trait.vip"].map(str::to_owned);
            let mut audience = Audience::new(Instant::from_micros(5), names.to_vec());
            let mut plain = people.clone();
            for (n, values) in (0..).zip(&people) {
                audience.set(person(n), values.clone());
            }
            for (n, values) in (0..).zip(&changed) {
                audience.set(person(n), values.clone());
                if (n as usize) < plain.len() { plain[n as usize] = values.clone() } else { plain.push(values.clone()) }
            }
            left.iter().for_each(|n| audience.remove(person(*n)));
            let n_left = (0..).zip(&plain).filter(|(n, _)| left.contains(n)).count();
            prop_assert_eq!(audience.n_people(), (plain.len() - n_left) as u64);
            for text in RULES {
                let yaml = format!("segment: s\nowner: a\npurpose: p\nrule: \"{text}\"\n");
                let segment = Segment::parse(&yaml, "s.yaml").unwrap_or_else(|f| panic!("{text}: {f:?}"));
                let got: Vec<u32> = audience.select(&segment.rule, &segment.inputs).iter().collect();
                let expected: Vec<u32> = (0..).zip(&plain).filter(|(n, _)| !left.contains(n)).filter(|(_, values)| {
                    let of = |slot: usize| {
                        let at = names.iter().position(|name| *name == segment.inputs[slot])?;
                        values[at].as_ref()
                    };
                    segment.rule.eval(&Row { at: Instant::from_micros(5), of: &of }) == Truth::True
                }).map(|(n, _)| n).collect();
                prop_assert_eq!(got, expected, "{}", text);
            }
        }
    }
}
