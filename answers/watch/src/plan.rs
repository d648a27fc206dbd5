//! What of a stream is watched: made once from its contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Contract, Contracts, Field, Kind, Pointer, Promised};
use event::{Span, StreamName};

use crate::relation::{self, Relation};
use crate::ruled::{self, How};

/// One watched field.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// The path in bound records, like `customer.email`.
    pub path: String,
    parts: Vec<String>,
    /// What it is.
    pub kind: &'static str,
    /// True where it must be there.
    pub required: bool,
    /// Where its cell lies in the raw record, if it is sealed: only whether it is there can be seen.
    pub sealed: Option<String>,
    /// True where its spread is that of numbers, not of lengths.
    pub is_number: bool,
    /// True where no two records may have the same value.
    pub unique: bool,
}

impl Watched {
    pub(crate) fn follow<'v>(&self, bound: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.parts.iter().try_fold(bound, |at, part| at.get(part.as_str()))
    }
}

/// What is watched of one stream.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The contract.
    pub contract: Arc<Contract>,
    /// Its fields, those inside of objects too; lists count as one.
    pub fields: Vec<Watched>,
    /// Groups of open fields that no two records may share, as places in `fields`.
    pub keys: Vec<Vec<usize>>,
    /// Open fields whose values, several as one key, are held against another stream, or that others are held against:
    /// places in `fields`, in the order of the relationship.
    pub related: Vec<Vec<usize>>,
    /// How each of the contract's rules about many records is counted.
    pub rules: Vec<How>,
    /// How long after it happened a record may be known, where that is promised.
    pub latency: Option<Span>,
    /// How old the youngest record may be, where that is promised.
    pub freshness: Option<Span>,
}

/// What is watched of every stream.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    streams: BTreeMap<StreamName, Plan>,
    /// Which fields must have their values in which others.
    pub relations: Vec<Relation>,
}

impl Plans {
    /// Plans for the newest contract of each stream.
    pub fn new(contracts: &Contracts) -> Self {
        let mut plans = Self::default();
        for contract in contracts.iter() {
            plans.streams.insert(contract.stream.clone(), Plan::new(contract));
            plans.relations.extend(relation::of(contract));
        }
        for relation in plans.relations.clone() {
            for (stream, fields) in [&relation.from, &relation.to] {
                let Some(plan) = plans.streams.get_mut(&StreamName::new(stream)) else { continue };
                let place =
                    |path: &String| plan.fields.iter().position(|f| f.path == *path && f.sealed.is_none());
                if let Some(places) = fields.iter().map(place).collect::<Option<Vec<_>>>()
                    && !plan.related.contains(&places)
                {
                    plan.related.push(places);
                }
            }
        }
        plans
    }

    /// The plan of a stream.
    pub fn get(&self, stream: &StreamName) -> Option<&Plan> {
        self.streams.get(stream)
    }

    /// The plan of the stream called `name`.
    pub fn named(&self, name: &str) -> Option<&Plan> {
        self.streams.get(&StreamName::new(name))
    }

    /// Every plan, by stream.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.streams.values()
    }
}

impl Plan {
    /// What is watched under a contract.
    pub fn new(contract: &Arc<Contract>) -> Self {
        let mut fields = Vec::new();
        collect(&contract.fields, &[], &Pointer::default(), None, &mut fields);
        let place = |path: &str| fields.iter().position(|f| f.path == path && f.sealed.is_none());
        let keys = contract.unique_keys();
        let mut keys: Vec<Vec<usize>> =
            keys.iter().filter_map(|key| key.iter().map(|path| place(path)).collect()).collect();
        let rules = ruled::plan(contract, &fields);
        for how in &rules {
            if let How::Keys(key) = how
                && !keys.contains(key)
            {
                keys.push(key.clone());
            }
        }
        let within = |what: Promised| contract.promises.iter().find(|p| p.what == what).map(|p| p.within);
        let (latency, freshness) = (within(Promised::Latency), within(Promised::Freshness));
        Self { contract: Arc::clone(contract), fields, keys, related: Vec::new(), rules, latency, freshness }
    }
}

fn collect(
    fields: &[Field],
    prefix: &[String],
    at: &Pointer,
    sealed_above: Option<&str>,
    out: &mut Vec<Watched>,
) {
    for field in fields {
        let mut parts = prefix.to_vec();
        parts.push(field.name.clone());
        let pointer = at.join(&field.source);
        // What lies in a sealed object is sealed with it, in the object's cell.
        let sealed = match sealed_above {
            Some(above) => Some(above.to_owned()),
            None => field.effective.is_sealed().then(|| pointer.to_string()),
        };
        if let (Kind::Object(inner), None) = (&field.kind, &sealed)
            && !inner.is_empty()
        {
            collect(inner, &parts, &pointer, None, out);
            continue;
        }
        let list_is_sealed = match &field.kind {
            Kind::Array(Some(item)) => has_sealed(item),
            _ => false,
        };
        out.push(Watched {
            path: parts.join("."),
            parts,
            kind: field.kind.as_str(),
            required: field.required,
            sealed: sealed.or_else(|| list_is_sealed.then(|| pointer.to_string())),
            is_number: matches!(field.kind, Kind::Integer | Kind::Number),
            unique: field.unique,
        });
    }
}

fn has_sealed(field: &Field) -> bool {
    field.effective.is_sealed()
        || match &field.kind {
            Kind::Object(inner) => inner.iter().any(has_sealed),
            Kind::Array(Some(item)) => has_sealed(item),
            _ => false,
        }
}
