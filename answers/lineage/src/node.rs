//! Names of things in the graph: `field:orders.total`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::error::short;

/// What kind of thing a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// What a stream is filled by: `track:Order Completed`, `file`.
    Source,
    /// A stream with its contract.
    Stream,
    /// A field of a stream: `orders.total`.
    Field,
    /// A trait of profiles.
    Trait,
    /// A feature of a view: `purchases.n_30d`.
    Feature,
    /// A saved rule that says who belongs to an audience.
    Segment,
    /// A model.
    Model,
    /// A use case.
    UseCase,
    /// A channel that actions leave by.
    Channel,
    /// A dataset of another tool: `NAMESPACE/NAME`.
    Dataset,
    /// A column of such a dataset: `NAMESPACE/NAME#COLUMN`.
    Column,
    /// A job of another tool (a pipeline's task, a dashboard): `NAMESPACE/NAME`.
    Job,
}

impl Kind {
    /// Every kind, as a thing flows through the house.
    pub const ALL: [Self; 12] = [
        Self::Source,
        Self::Stream,
        Self::Field,
        Self::Trait,
        Self::Feature,
        Self::Segment,
        Self::Model,
        Self::UseCase,
        Self::Channel,
        Self::Dataset,
        Self::Column,
        Self::Job,
    ];

    /// The spelling in names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stream => "stream",
            Self::Field => "field",
            Self::Trait => "trait",
            Self::Feature => "feature",
            Self::Segment => "segment",
            Self::Model => "model",
            Self::UseCase => "use_case",
            Self::Channel => "channel",
            Self::Dataset => "dataset",
            Self::Column => "column",
            Self::Job => "job",
        }
    }

    /// The words of messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::UseCase => "use case",
            other => other.as_str(),
        }
    }

    /// True for what another tool told of.
    pub fn is_external(self) -> bool {
        matches!(self, Self::Dataset | Self::Column | Self::Job)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let asked = text.trim().to_lowercase().replace([' ', '-'], "_");
        Self::ALL.into_iter().find(|kind| kind.as_str() == asked).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{}` is no kind of thing: {known} are", short(text))
        })
    }
}

/// The name of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    kind: Kind,
    name: Box<str>,
}

impl NodeId {
    /// A node's name.
    pub fn new(kind: Kind, name: impl Into<Box<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// `orders`
    pub fn stream(name: &str) -> Self {
        Self::new(Kind::Stream, name)
    }

    /// `orders`, `total` → `field:orders.total`
    pub fn field(stream: &str, path: &str) -> Self {
        Self::new(Kind::Field, format!("{stream}.{path}"))
    }

    /// `purchases`, `n_30d` → `feature:purchases.n_30d`
    pub fn feature(view: &str, name: &str) -> Self {
        Self::new(Kind::Feature, format!("{view}.{name}"))
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name within its kind.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown { name: short(text), nearest: Vec::new() };
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        let kind: Kind = kind.parse().map_err(|_| unknown())?;
        if name.is_empty() { Err(unknown()) } else { Ok(Self::new(kind, name)) }
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_what_it_prints() {
        for kind in Kind::ALL {
            let id = NodeId::new(kind, "track:Order Completed");
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in ["", "orders", "field:", "table:orders"] {
            assert!(wrong.parse::<NodeId>().is_err(), "{wrong}");
        }
        assert_eq!("Use case:x".parse::<NodeId>(), Ok(NodeId::new(Kind::UseCase, "x")));
    }
}
