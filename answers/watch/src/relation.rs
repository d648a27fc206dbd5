//! Consistency across streams: the values of a field, or of several together, must occur in another stream's.
//!
//! Neither side's values are all kept. Both keep those with the smallest hashes, by one hash: below the lower of the two
//! largest hashes each side knows *all* of its values, so what is missing there is missing in truth. The share of
//! orphans among them is that among all values, in bounded memory and whatever the order of arrival.

use contract::Contract;
use serde::{Deserialize, Serialize};

use crate::Values;
use crate::values::hash;

/// Keys kept per side of a relation.
pub(crate) const KEYS: usize = 4_096;

/// The keys of one side: open values only.
pub type KeySample = Values<KEYS>;

/// Fields whose values must occur together in other fields, as many: stream and paths of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Where the values are used.
    pub from: (String, Vec<String>),
    /// Where they must occur.
    pub to: (String, Vec<String>),
}

/// How a relation holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationReport {
    /// `orders.product`, of several fields `lines.order+shop`
    pub from: String,
    /// `products.id`
    pub to: String,
    /// Distinct values compared.
    pub n_compared: u64,
    /// Those that do not occur on the other side.
    pub n_orphans: u64,
    /// A few of them.
    pub examples: Vec<String>,
    /// True where every value was compared, not a sample of them.
    pub exact: bool,
    /// Why it cannot be judged, if it cannot.
    pub not_judged: Option<String>,
}

/// The relations a contract declares.
pub(crate) fn of(contract: &Contract) -> Vec<Relation> {
    let stream = contract.stream.as_str();
    let relations = contract.relationships.iter().map(|one| Relation {
        from: (stream.to_owned(), one.from.clone()),
        to: (one.stream.clone(), one.fields.clone()),
    });
    relations.collect()
}

/// What the key sample of one side is called: `orders.product`, `lines.order+shop`.
pub(crate) fn sample_name(stream: &str, fields: &[String]) -> String {
    format!("{stream}.{}", fields.join("+"))
}

/// Adds the values of one side. Several are one key by their lengths and texts: `a · b` with `c` is not `a` with `b · c`.
pub(crate) fn add(keys: &mut KeySample, values: &[String]) {
    let [value] = values else {
        let mut bytes = Vec::new();
        for value in values {
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        return keys.add_hashed(hash(&bytes), &values.join(" · "));
    };
    keys.add(value);
}

impl RelationReport {
    /// Holds one side against the other.
    pub fn of(relation: &Relation, from: Option<&KeySample>, to: Option<&KeySample>) -> Self {
        let mut report = Self {
            from: sample_name(&relation.from.0, &relation.from.1),
            to: sample_name(&relation.to.0, &relation.to.1),
            n_compared: 0,
            n_orphans: 0,
            examples: Vec::new(),
            exact: true,
            not_judged: None,
        };
        let (Some(from), Some(to)) = (from, to) else {
            let what = "one side is sealed, is not declared, or has no record yet".to_owned();
            report.not_judged = Some(what);
            return report;
        };
        let largest =
            |side: &KeySample| if side.is_exact() { None } else { side.iter().map(|(hash, ..)| hash).last() };
        let limit = [largest(from), largest(to)].into_iter().flatten().min();
        report.exact = limit.is_none();
        for (hash, value, _) in from.iter().filter(|(hash, ..)| limit.is_none_or(|limit| *hash <= limit)) {
            report.n_compared += 1;
            if to.count_of(hash) == 0 {
                report.n_orphans += 1;
                if report.examples.len() < 3 {
                    report.examples.push(value.to_owned());
                }
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_are_found_among_few_and_among_many() {
        let side = |stream: &str, field: &str| (stream.to_owned(), vec![field.to_owned()]);
        let relation = Relation { from: side("a", "x"), to: side("b", "y") };
        for n in [100_u32, 100_000] {
            let (mut from, mut to) = (KeySample::default(), KeySample::default());
            for i in 0..n {
                from.add(&i.to_string());
                if i % 10 != 0 {
                    to.add(&i.to_string());
                }
            }
            let report = RelationReport::of(&relation, Some(&from), Some(&to));
            let share = report.n_orphans as f64 / report.n_compared as f64;
            assert!((share - 0.1).abs() < 0.02, "{share}");
            assert_eq!(report.exact, n == 100);
        }
    }

    #[test]
    fn values_of_several_fields_are_one_key() {
        let side = |stream: &str| (stream.to_owned(), vec!["x".to_owned(), "y".to_owned()]);
        let relation = Relation { from: side("a"), to: side("b") };
        let sample = |rows: &[[&str; 2]]| {
            let mut keys = KeySample::default();
            rows.iter().for_each(|row| super::add(&mut keys, &row.map(str::to_owned)));
            keys
        };
        let there = sample(&[["1", "north"], ["2", "south"], ["a · b", "c"]]);
        // Each value occurs there, but not both together; and what only looks the same when written is another.
        let here = sample(&[["1", "north"], ["1", "south"], ["a", "b · c"]]);
        let report = RelationReport::of(&relation, Some(&here), Some(&there));
        assert_eq!((report.n_compared, report.n_orphans, report.from.as_str()), (3, 2, "a.x+y"));
        assert!(report.examples.contains(&"1 · south".to_owned()), "{report:?}");
    }
}
