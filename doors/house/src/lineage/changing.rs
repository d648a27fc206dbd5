//! What a changed contract does to whatever is made from its stream, told before it is applied.

use std::sync::Arc;

use contract::diff::{self, Effect};
use contract::{Contract, Contracts, Finding, Severity};
use lineage::{Graph, Impact, Kind, NodeId, Touch, impact};
use serde::Serialize;

use crate::Error;
use crate::house::House;
use crate::project::Project;

/// A changed contract and what it reaches.
#[derive(Clone, Debug, Serialize)]
pub struct ContractChange {
    /// The stream.
    pub stream: String,
    /// The version in force.
    pub from: Option<String>,
    /// The version that is to come; `None` where the stream is to go.
    pub to: Option<String>,
    /// What is done to which field or stream.
    pub touches: Vec<Touch>,
    /// What that reaches.
    pub impact: Impact,
    /// The same as findings of the contract's file (MR2305).
    pub findings: Vec<Finding>,
}

/// What would follow if things were removed: `orders.total`, `stream:orders`, `feature:purchases.spent`.
///
/// # Errors
/// [`Error::Lineage`] where there is no such thing.
pub fn what_if(graph: &Graph, removed: &[String]) -> Result<Impact, Error> {
    let mut touches = Vec::new();
    for text in removed {
        let node = graph.find(text)?;
        let what = format!("{} `{}` is removed", node.id.kind().words(), node.id.name());
        touches.push(Touch { node: node.id.clone(), what: what.clone(), breaks: true });
        if node.id.kind() == Kind::Stream {
            let of_it = format!("{}.", node.id.name());
            let fields = graph.of_kind(Kind::Field).filter(|field| field.id.name().starts_with(&of_it));
            touches.extend(fields.map(|field| Touch {
                node: field.id.clone(),
                what: what.clone(),
                breaks: true,
            }));
        }
    }
    Ok(impact(graph, &touches))
}

impl Project {
    /// What the contracts as they are written would do to all that is made from those in force.
    ///
    /// * `in_force`: the newest contract of every stream, as applied last
    /// * `graph`: what is made from what by these
    pub fn changes(&self, in_force: &Contracts, graph: &Graph) -> Vec<ContractChange> {
        in_force
            .iter()
            .filter_map(|old| change(graph, old, self.contracts.newest(&old.stream)))
            .filter(|change| !change.touches.is_empty())
            .collect()
    }

    /// What the contracts as they are written would do to all that is made from those in force.
    ///
    /// # Errors
    /// [`Error::Internal`] where contracts that stood together no longer do.
    pub fn changes_to_come(&self) -> Result<Vec<ContractChange>, Error> {
        let in_force = match crate::applied::recall(self)? {
            Some(ledger) => ledger.in_force(),
            None => self.contracts_before()?,
        };
        Ok(self.changes(&in_force, &self.lineage_under(&in_force).build()))
    }

    /// The newest contracts of this project but for the streams that have an older version beside it: those as they were
    /// before.
    pub fn contracts_before(&self) -> Result<Contracts, Error> {
        let mut before = Contracts::new();
        for newest in self.contracts.iter() {
            let older = self.contracts.version_before(&newest.stream, newest.version);
            let contract: &Arc<Contract> = older.unwrap_or(newest);
            let internal = |error: contract::Error| Error::Internal { reason: error.to_string() };
            before.insert(contract.as_ref().clone()).map_err(internal)?;
        }
        Ok(before)
    }

    /// The same project with other contracts: its views are read again by them, so that the graph is the one in force
    /// although a file has moved on.
    pub fn lineage_under(&self, contracts: &Contracts) -> lineage::Builder {
        let views = crate::project::read_views(&self.dir, contracts, &mut Vec::new());
        self.lineage_of(contracts, &views)
    }
}

impl House {
    /// What a contract that is to come would do. The house goes on under the one it has.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn impact_of(&self, new: &Contract) -> Result<ContractChange, Error> {
        let graph = self.lineage()?;
        let none = ContractChange {
            stream: new.stream.to_string(),
            from: None,
            to: Some(new.version.to_string()),
            touches: Vec::new(),
            impact: Impact::default(),
            findings: Vec::new(),
        };
        let Some(old) = self.project().contracts.newest(&new.stream) else { return Ok(none) };
        Ok(between(&graph, old, new)
            .unwrap_or(ContractChange { from: Some(old.version.to_string()), ..none }))
    }
}

fn change(graph: &Graph, old: &Contract, new: Option<&Arc<Contract>>) -> Option<ContractChange> {
    if let Some(new) = new {
        return between(graph, old, new);
    }
    let stream = old.stream.as_str();
    let impact = what_if(graph, &[NodeId::stream(stream).to_string()]).ok()?;
    let what = format!("stream `{stream}` is removed");
    Some(ContractChange {
        stream: stream.to_owned(),
        from: Some(old.version.to_string()),
        to: None,
        touches: vec![Touch { node: NodeId::stream(stream), what, breaks: true }],
        findings: impact.findings(stream, Some(&old.file)),
        impact,
    })
}

/// What is done on the way from one contract to another; `None` where nothing is.
fn between(graph: &Graph, old: &Contract, new: &Contract) -> Option<ContractChange> {
    if old.yaml() == new.yaml() {
        return None;
    }
    let touches = touches(graph, old, new);
    let impact = impact(graph, &touches);
    Some(ContractChange {
        stream: old.stream.to_string(),
        from: Some(old.version.to_string()),
        to: Some(new.version.to_string()),
        findings: told(&impact, old, new),
        touches,
        impact,
    })
}

/// Under a new major version a break is meant, and told as a warning: whatever still reads what is gone is an error of
/// its own file.
fn told(impact: &Impact, old: &Contract, new: &Contract) -> Vec<Finding> {
    let mut findings = impact.findings(old.stream.as_str(), Some(&new.file));
    for finding in findings.iter_mut().filter(|finding| finding.is_error()) {
        if new.version.major > old.version.major {
            finding.severity = Severity::Warning;
        } else {
            let next = old.version.major + 1;
            finding.message =
                format!("{}; that needs version {next}.0.0, not {}", finding.message, new.version);
        }
    }
    findings
}

/// What the change does to fields and to the stream, as `contract diff` tells it to readers.
fn touches(graph: &Graph, old: &Contract, new: &Contract) -> Vec<Touch> {
    let stream = old.stream.as_str();
    let told = diff::diff(std::slice::from_ref(old), std::slice::from_ref(new)).changes;
    let mut touches: Vec<Touch> = told
        .iter()
        .filter(|change| change.readers != Effect::None && (change.shape || change.field.is_some()))
        .map(|change| {
            let node = match &change.field {
                // A list is one thing in the graph, its items too.
                Some(field) => NodeId::field(stream, &field.replace("[]", "")),
                None => NodeId::stream(stream),
            };
            Touch { node, what: change.to_string(), breaks: change.shape }
        })
        .collect();
    for purpose in old.purposes.iter().filter(|old| !new.purposes.iter().any(|new| new.name == old.name)) {
        let what = format!("`{stream}` may no longer be used for `{}`", purpose.name);
        let made = graph.trace(&NodeId::stream(stream), lineage::Direction::Down, usize::MAX);
        let fields = old.declared_paths();
        let fields = fields
            .iter()
            .flat_map(|path| graph.trace(&NodeId::field(stream, path), lineage::Direction::Down, usize::MAX));
        for step in made.into_iter().chain(fields).filter(|step| step.node.purposes.contains(&purpose.name)) {
            touches.push(Touch { node: step.node.id.clone(), what: what.clone(), breaks: true });
        }
    }
    touches.sort_by(|a, b| (&a.node, &a.what).cmp(&(&b.node, &b.what)));
    touches.dedup();
    touches
}
