//! Names on both sides: which of our things a dataset of an event is, and what ours are called in events.

use feature::Views;

use super::told::End;
use crate::{Kind, NodeId};

/// The namespace of the house's own things, unless the settings say otherwise.
pub const OURS: &str = "maschinenraum";

/// Translates names. `streams/orders` is a stream, `features/purchases` a view, `models/response` a model,
/// `decisions/next_order` what a use case decides, `traits/profile` what is known of people.
#[derive(Clone, Debug)]
pub struct Names {
    namespace: String,
}

impl Default for Names {
    fn default() -> Self {
        Self::new(OURS)
    }
}

impl Names {
    /// Our things lie in `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// The namespace of our things.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The dataset, and the column in it, that a thing of ours is in events.
    pub fn dataset_of(&self, id: &NodeId) -> Option<(String, Option<String>)> {
        let parts = |folder: &str| {
            let (first, rest) = id.name().split_once('.')?;
            Some((format!("{folder}/{first}"), Some(rest.to_owned())))
        };
        match id.kind() {
            Kind::Stream => Some((format!("streams/{}", id.name()), None)),
            Kind::Field => parts("streams"),
            Kind::Feature => parts("features"),
            Kind::Trait => Some(("traits/profile".to_owned(), Some(id.name().to_owned()))),
            Kind::Segment => Some((format!("segments/{}", id.name()), None)),
            Kind::Model => Some((format!("models/{}", id.name()), None)),
            Kind::UseCase => Some((format!("decisions/{}", id.name()), None)),
            _ => None,
        }
    }

    /// The nodes that an end of a told edge is: a thing of ours, all features of a view, or a thing of the tool's.
    pub fn nodes(&self, end: &End, views: &Views) -> Vec<NodeId> {
        match end {
            End::Job(namespace, name) => vec![NodeId::new(Kind::Job, format!("{namespace}/{name}"))],
            End::Dataset(namespace, name) if *namespace == self.namespace => {
                self.ours(name, None, views).unwrap_or_else(|| vec![external(namespace, name, None)])
            }
            End::Column(namespace, name, column) if *namespace == self.namespace => self
                .ours(name, Some(column), views)
                .unwrap_or_else(|| vec![external(namespace, name, Some(column))]),
            End::Dataset(namespace, name) => vec![external(namespace, name, None)],
            End::Column(namespace, name, column) => vec![external(namespace, name, Some(column))],
        }
    }

    fn ours(&self, name: &str, column: Option<&str>, views: &Views) -> Option<Vec<NodeId>> {
        let (folder, rest) = name.split_once('/')?;
        let one = |id: NodeId| Some(vec![id]);
        match (folder, column) {
            ("streams", None) => one(NodeId::stream(rest)),
            ("streams", Some(column)) => one(NodeId::field(rest, column)),
            ("features", Some(column)) => one(NodeId::feature(&plain(rest, views), column)),
            ("features", None) => {
                let plain = plain(rest, views);
                let view = views.find(rest)?;
                Some(view.features().iter().map(|f| NodeId::feature(&plain, f.name())).collect())
            }
            ("traits", Some(column)) => one(NodeId::new(Kind::Trait, column)),
            ("segments", _) => one(NodeId::new(Kind::Segment, rest)),
            ("models", _) => one(NodeId::new(Kind::Model, rest)),
            ("decisions", _) => one(NodeId::new(Kind::UseCase, rest)),
            _ => None,
        }
    }
}

/// A dataset or a column of another tool.
fn external(namespace: &str, name: &str, column: Option<&str>) -> NodeId {
    match column {
        Some(column) => NodeId::new(Kind::Column, format!("{namespace}/{name}#{column}")),
        None => NodeId::new(Kind::Dataset, format!("{namespace}/{name}")),
    }
}

/// A view's name in the graph: without its version where that is the newest.
pub(crate) fn plain(reference: &str, views: &Views) -> String {
    match views.find(reference) {
        Some(view) if views.get(view.name()).is_some_and(|newest| newest.version() == view.version()) => {
            view.name().to_owned()
        }
        Some(view) => view.reference(),
        None => reference.to_owned(),
    }
}
