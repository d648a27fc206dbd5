//! The catalogue: everything that has a name, found by words, owner, purpose, field or kind.

use serde::Serialize;

use crate::{Direction, Graph, Kind, Node};

/// What to look for; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words; each must be in the name, the description or the type.
    pub text: String,
    /// Part of the owner's name.
    pub owner: Option<String>,
    /// A purpose, whole.
    pub purpose: Option<String>,
    /// A field's name, with or without its stream: fields and columns called so, and what is made from them.
    pub field: Option<String>,
    /// One kind.
    pub kind: Option<Kind>,
    /// Only what holds personal data, or only what does not.
    pub personal: Option<bool>,
    /// Only what nothing tests.
    pub untested: bool,
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found<'g> {
    /// The thing.
    #[serde(flatten)]
    pub node: &'g Node,
    /// How many things it is made from, one step up.
    pub n_up: usize,
    /// How many things are made from it, one step down.
    pub n_down: usize,
}

/// All that answers a query, the best first; equals by name.
pub fn search<'g>(graph: &'g Graph, query: &Query) -> Vec<Found<'g>> {
    let words: Vec<String> = query.text.split_whitespace().map(str::to_lowercase).collect();
    let owner = query.owner.as_deref().map(str::to_lowercase);
    let of_field = query.field.as_deref().map(|field| around(graph, field));
    let mut found: Vec<(u32, Found<'g>)> = graph
        .nodes()
        .filter(|node| query.kind.is_none_or(|kind| kind == node.id.kind()))
        .filter(|node| query.personal.is_none_or(|personal| personal == node.personal))
        .filter(|node| !query.untested || node.tested_by.is_none())
        .filter(|node| query.purpose.as_ref().is_none_or(|purpose| node.purposes.contains(purpose)))
        .filter(|node| {
            let known = node.owner.as_deref().map(str::to_lowercase).unwrap_or_default();
            owner.as_ref().is_none_or(|owner| known.contains(owner.as_str()))
        })
        .filter(|node| of_field.as_ref().is_none_or(|near| near.contains(&&node.id)))
        .filter_map(|node| {
            let n_up = graph.edges_of(&node.id, Direction::Up).count();
            let n_down = graph.edges_of(&node.id, Direction::Down).count();
            Some((score(node, &words)?, Found { node, n_up, n_down }))
        })
        .collect();
    found.sort_by(|(a, x), (b, y)| (b, &x.node.id).cmp(&(a, &y.node.id)));
    found.into_iter().map(|(_, found)| found).collect()
}

/// Fields and columns called so, and all that is made from them.
fn around<'g>(graph: &'g Graph, field: &str) -> Vec<&'g crate::NodeId> {
    let is_called = |node: &&Node| {
        let name = node.id.name();
        let last = match node.id.kind() {
            Kind::Field => name.split_once('.').map(|(_, path)| path),
            Kind::Column => name.rsplit_once('#').map(|(_, column)| column),
            _ => return false,
        };
        name == field || last == Some(field) || last.and_then(|path| path.rsplit('.').next()) == Some(field)
    };
    let mut near = Vec::new();
    for node in graph.nodes().filter(is_called) {
        near.push(&node.id);
        near.extend(graph.trace(&node.id, Direction::Down, usize::MAX).into_iter().map(|step| &step.node.id));
    }
    near
}

/// How well a thing answers; `None` where a word is nowhere.
fn score(node: &Node, words: &[String]) -> Option<u32> {
    let name = node.id.name().to_lowercase();
    let last = name.rsplit(['.', '#', '/']).next().unwrap_or(&name);
    let rest = [&node.description, &node.type_name, &node.classification];
    let rest = rest.iter().filter_map(|text| text.as_deref()).collect::<Vec<_>>().join(" ").to_lowercase();
    let of_word = |word: &String| match () {
        () if name == *word || last == word => Some(8),
        () if last.starts_with(word.as_str()) => Some(4),
        () if name.contains(word.as_str()) => Some(2),
        () if rest.contains(word.as_str()) || node.id.kind().as_str() == word => Some(1),
        () => None,
    };
    words.iter().map(of_word).sum()
}
