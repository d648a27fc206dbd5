//! Consistency across streams: a field's values must occur in another stream's field.
//!
//! Neither side's values are all kept. Both keep those with the smallest hashes, by one hash: below the lower of the two
//! largest hashes each side knows *all* of its values, so what is missing there is missing in truth. The share of
//! orphans among them is that among all values, in bounded memory and whatever the order of arrival.

use contract::Contract;
use serde::{Deserialize, Serialize};

use crate::Values;

/// Keys kept per side of a relation.
pub(crate) const KEYS: usize = 4_096;

/// The keys of one side: open values only.
pub type KeySample = Values<KEYS>;

/// A field whose values must occur in another field: stream and path of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Where the values are used.
    pub from: (String, String),
    /// Where they must occur.
    pub to: (String, String),
}

/// How a relation holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationReport {
    /// `orders.product`
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

/// The relations a contract declares that compare one field with one. Of several fields at once says [`crate::unjudged`].
pub(crate) fn of(contract: &Contract) -> Vec<Relation> {
    let stream = contract.stream.as_str();
    let single =
        contract.relationships.iter().filter_map(|one| match (one.from.as_slice(), one.fields.as_slice()) {
            ([from], [to]) => Some(Relation {
                from: (stream.to_owned(), from.clone()),
                to: (one.stream.clone(), to.clone()),
            }),
            _ => None,
        });
    single.collect()
}

impl RelationReport {
    /// Holds one side against the other.
    pub fn of(relation: &Relation, from: Option<&KeySample>, to: Option<&KeySample>) -> Self {
        let name = |(stream, field): &(String, String)| format!("{stream}.{field}");
        let mut report = Self {
            from: name(&relation.from),
            to: name(&relation.to),
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
        let relation = Relation { from: ("a".into(), "x".into()), to: ("b".into(), "y".into()) };
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
}
