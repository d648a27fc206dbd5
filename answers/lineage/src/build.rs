//! From the project's parts to the graph.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Contract, Contracts, Field, Kind as FieldKind};
use decide::{Origin, UseCase};
use feature::{Use, Views};

use crate::openlineage::{DatasetTold, EdgeTold, End, Names, plain};
use crate::{Graph, How, Kind, Node, NodeId, Outside};

/// Collects what is made from what.
#[derive(Default)]
pub struct Builder {
    names: Names,
    views: Views,
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeSet<(NodeId, NodeId, How, Option<String>)>,
}

/// A model, as far as lineage follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The purpose it is trained for.
    pub purpose: String,
    /// The version that serves, if any does.
    pub version: Option<String>,
    /// What tests it.
    pub tested_by: Option<String>,
    /// The file that describes it.
    pub file: String,
    /// Features as `view.feature`.
    pub features: Vec<String>,
    /// What its examples are made from.
    pub examples: Recipe,
    /// What its labels are made from.
    pub labels: Recipe,
}

/// A segment, as far as lineage follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The purpose people are read for.
    pub purpose: String,
    /// The file that describes it.
    pub file: String,
    /// Features as `view.feature`.
    pub features: Vec<String>,
    /// Traits.
    pub traits: Vec<String>,
    /// Other segments.
    pub segments: Vec<String>,
}

/// A stream and the fields of it that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The stream.
    pub stream: String,
    /// The fields.
    pub fields: Vec<String>,
}

impl Builder {
    /// Nothing yet; our own things are called by `names` in what other tools tell.
    pub fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    fn edge(&mut self, from: &NodeId, to: &NodeId, how: How, via: Option<&str>) {
        self.edges.insert((from.clone(), to.clone(), how, via.map(str::to_owned)));
    }

    fn add(&mut self, node: Node) {
        self.nodes.insert(node.id.clone(), node);
    }

    /// The newest contract of every stream.
    pub fn contracts(&mut self, contracts: &Contracts) -> &mut Self {
        contracts.iter().for_each(|contract| self.contract(contract));
        self
    }

    fn contract(&mut self, contract: &Contract) {
        let name = contract.stream.as_str();
        let stream = NodeId::stream(name);
        let tested_by = Some(format!("contract {name} {}", contract.version));
        self.add(Node {
            description: contract.description.as_deref().map(|text| text.trim().to_owned()),
            owner: contract.owner.clone(),
            purposes: contract.purposes.iter().map(|purpose| purpose.name.clone()).collect(),
            version: Some(contract.version.to_string()),
            tested_by: tested_by.clone(),
            file: Some(contract.file.clone()).filter(|file| !file.is_empty()),
            ..Node::new(stream.clone())
        });
        let sources: Vec<NodeId> =
            contract.sources.iter().map(|source| NodeId::new(Kind::Source, source.as_str())).collect();
        for source in &sources {
            self.edge(source, &stream, How::Reads, None);
        }
        self.fields(contract, &contract.fields, "", "", &sources, tested_by.as_deref());
        if contract.traits {
            for field in &contract.fields {
                let known = NodeId::new(Kind::Trait, field.name.as_str());
                let (from, node) = (NodeId::field(name, &field.name), Node::new(known.clone()));
                self.nodes.entry(known.clone()).or_insert(Node {
                    description: field.description.clone(),
                    owner: contract.owner.clone(),
                    purposes: contract.purposes.iter().map(|purpose| purpose.name.clone()).collect(),
                    type_name: Some(field.kind.as_str().to_owned()),
                    tested_by: tested_by.clone(),
                    ..node
                });
                self.edge(&from, &known, How::Picked, Some("the last value known"));
            }
        }
    }

    fn fields(
        &mut self,
        contract: &Contract,
        fields: &[Field],
        path: &str,
        pointer: &str,
        sources: &[NodeId],
        tested_by: Option<&str>,
    ) {
        for field in fields {
            let name = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            let place = format!("{pointer}{}", field.source);
            let id = NodeId::field(contract.stream.as_str(), &name);
            let is_judged = !matches!(field.kind, FieldKind::Any);
            self.add(Node {
                description: field.description.as_deref().map(|text| text.trim().to_owned()),
                owner: contract.owner.clone(),
                purposes: contract.purposes.iter().map(|purpose| purpose.name.clone()).collect(),
                version: Some(contract.version.to_string()),
                type_name: Some(field.kind.as_str().to_owned()),
                classification: Some(field.effective.as_str().to_owned()),
                personal: field.effective.is_sealed(),
                tested_by: tested_by.filter(|_| is_judged).map(str::to_owned),
                file: Some(contract.file.clone()).filter(|file| !file.is_empty()),
                ..Node::new(id.clone())
            });
            // A text or anything stays as it came; other types are read from what came.
            let how =
                if matches!(field.kind, FieldKind::Text | FieldKind::Any) { How::Same } else { How::Derived };
            for source in sources {
                self.edge(source, &id, how, Some(&place));
            }
            if let FieldKind::Object(inner) = &field.kind {
                self.fields(contract, inner, &name, &place, sources, tested_by);
            }
        }
    }

    /// All feature views. `tested` says what tests a feature, by view reference (`purchases@1`) and name.
    pub fn views(
        &mut self,
        views: &Views,
        contracts: &Contracts,
        tested: &dyn Fn(&str, &str) -> Option<String>,
    ) -> &mut Self {
        self.views = views.clone();
        for view in views.iter() {
            let reference = view.reference();
            let name = plain(&reference, views);
            let contract = contracts.newest(view.stream());
            let stream = NodeId::stream(view.stream().as_str());
            for feature in view.features() {
                let id = NodeId::feature(&name, feature.name());
                self.add(Node {
                    description: feature.description().or(view.description()).map(str::to_owned),
                    owner: contract.and_then(|contract| contract.owner.clone()),
                    purposes: view.purposes().to_vec(),
                    version: Some(view.version().to_string()),
                    type_name: Some(feature.kind().as_str().to_owned()),
                    tested_by: tested(&reference, feature.name()),
                    file: None,
                    ..Node::new(id.clone())
                });
                let Some(reads) = view.reads(feature.name()) else { continue };
                let how = if reads.keeps_values { How::Picked } else { How::Aggregated };
                for read in &reads.fields {
                    let from = NodeId::field(view.stream().as_str(), &read.field);
                    let how = if read.used == Use::Filter { How::Filters } else { how };
                    self.edge(&from, &id, how, None);
                }
                for segment in &reads.segments {
                    self.edge(
                        &NodeId::new(Kind::Segment, segment.as_str()),
                        &id,
                        How::Computed,
                        Some("segment"),
                    );
                }
                for other in &reads.features {
                    self.edge(&NodeId::feature(&name, other), &id, How::Computed, Some("ratio"));
                }
                let asks = reads.features.is_empty() && reads.segments.is_empty();
                if asks && !reads.fields.iter().any(|read| read.used == Use::Value) {
                    self.edge(&stream, &id, How::Reads, Some("counts its records"));
                }
                if let Some(contract) = contract {
                    self.frame(contract, &id);
                }
            }
        }
        self
    }

    /// Whose a record is and when it happened goes into everything that is made from its stream.
    fn frame(&mut self, contract: &Contract, to: &NodeId) {
        let stream = contract.stream.as_str();
        let keys = contract.subject_key.fields.iter().map(|path| (path, How::Identifies));
        let times = contract.event_time.iter().chain(&contract.known_at).map(|path| (path, How::Times));
        for (path, how) in keys.chain(times) {
            self.edge(&NodeId::field(stream, path.as_str()), to, how, None);
        }
    }

    /// A segment.
    pub fn segment(&mut self, segment: &Audience) -> &mut Self {
        let id = NodeId::new(Kind::Segment, segment.name.as_str());
        self.add(Node {
            description: Some(segment.description.trim().to_owned()).filter(|text| !text.is_empty()),
            owner: Some(segment.owner.clone()),
            purposes: vec![segment.purpose.clone()],
            version: Some(segment.version.clone()),
            type_name: Some("boolean".to_owned()),
            file: Some(segment.file.clone()),
            ..Node::new(id.clone())
        });
        let features = segment.features.iter().map(|reference| self.feature(reference));
        let traits = segment.traits.iter().map(|name| NodeId::new(Kind::Trait, name.as_str()));
        let others = segment.segments.iter().map(|name| NodeId::new(Kind::Segment, name.as_str()));
        let from: Vec<NodeId> = features.chain(traits).chain(others).collect();
        for from in &from {
            self.edge(from, &id, How::Computed, Some("rule"));
        }
        self
    }

    /// A model.
    pub fn model(&mut self, model: &Model, contracts: &Contracts) -> &mut Self {
        let id = NodeId::new(Kind::Model, model.name.as_str());
        self.add(Node {
            description: Some(model.description.trim().to_owned()),
            owner: Some(model.owner.clone()),
            purposes: vec![model.purpose.clone()],
            version: model.version.clone(),
            tested_by: model.tested_by.clone(),
            file: Some(model.file.clone()),
            ..Node::new(id.clone())
        });
        for reference in &model.features {
            let from = self.feature(reference);
            self.edge(&from, &id, How::Teaches, None);
        }
        for (recipe, how) in [(&model.examples, How::Teaches), (&model.labels, How::Labels)] {
            self.edge(&NodeId::stream(&recipe.stream), &id, how, None);
            for field in &recipe.fields {
                self.edge(&NodeId::field(&recipe.stream, field), &id, how, None);
            }
            if let Some(contract) = contracts.newest_named(&recipe.stream) {
                self.frame(contract, &id);
            }
        }
        self
    }

    /// A use case; `tested_by`: its gold set, where that holds anything.
    pub fn use_case(&mut self, use_case: &UseCase, tested_by: Option<String>) -> &mut Self {
        let id = NodeId::new(Kind::UseCase, use_case.name.as_str());
        self.add(Node {
            description: Some(use_case.description.trim().to_owned()).filter(|text| !text.is_empty()),
            owner: Some(use_case.responsible.clone()),
            purposes: use_case.purposes().into_iter().map(str::to_owned).collect(),
            version: Some(use_case.version.to_string()),
            tested_by,
            file: Some(format!("usecases/{}.yaml", use_case.name)),
            ..Node::new(id.clone())
        });
        for input in &use_case.inputs {
            let from = match input.origin {
                Origin::Feature => self.feature(&input.name),
                Origin::Trait => NodeId::new(Kind::Trait, input.name.as_str()),
                Origin::Segment => {
                    let name = input.name.strip_prefix(feature::SEGMENT).unwrap_or(&input.name);
                    NodeId::new(Kind::Segment, name)
                }
                Origin::Context => continue,
            };
            self.edge(&from, &id, How::Informs, None);
        }
        for model in &use_case.models {
            self.edge(&NodeId::new(Kind::Model, model.as_str()), &id, How::Scores, None);
        }
        let channels: BTreeSet<&str> =
            use_case.actions.iter().map(|action| action.channel.as_str()).filter(|c| !c.is_empty()).collect();
        for channel in channels {
            self.edge(&id, &NodeId::new(Kind::Channel, channel), How::Acts, None);
        }
        self
    }

    /// What other tools told.
    pub fn told(&mut self, outside: &Outside) -> &mut Self {
        let Outside { datasets, jobs, edges } = outside;
        let ours = self.names.namespace().to_owned();
        for dataset in datasets.iter().filter(|dataset| dataset.namespace != ours) {
            self.dataset(dataset);
        }
        // What the house told of itself is here already, and as it is now.
        let is_ours = |end: &End| match end {
            End::Job(namespace, _) => *namespace == ours,
            End::Dataset(..) | End::Column(..) => false,
        };
        let between_ours = |edge: &EdgeTold| {
            let of_us = |end: &End| match end {
                End::Dataset(namespace, _) | End::Column(namespace, ..) | End::Job(namespace, _) => {
                    *namespace == ours
                }
            };
            of_us(&edge.from) && of_us(&edge.to)
        };
        for job in jobs.iter().filter(|job| job.namespace != ours) {
            let id = NodeId::new(Kind::Job, format!("{}/{}", job.namespace, job.name));
            self.add(Node {
                description: job.description.clone(),
                owner: job.owner.clone(),
                type_name: job.sort.as_deref().map(str::to_lowercase),
                ..Node::new(id)
            });
        }
        for edge in
            edges.iter().filter(|edge| !between_ours(edge) && !is_ours(&edge.from) && !is_ours(&edge.to))
        {
            let from = self.names.nodes(&edge.from, &self.views);
            let to = self.names.nodes(&edge.to, &self.views);
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                self.edge(from, to, edge.how, edge.via.as_deref());
            }
        }
        self
    }

    fn dataset(&mut self, dataset: &DatasetTold) {
        let id = NodeId::new(Kind::Dataset, format!("{}/{}", dataset.namespace, dataset.name));
        let tested_by = match dataset.assertions {
            Some((n_held, 0)) if n_held > 0 => Some(format!("{n_held} assertions of its own tool")),
            _ => None,
        };
        for column in &dataset.columns {
            let of = NodeId::new(Kind::Column, format!("{}#{}", id.name(), column.name));
            self.edge(&of, &id, How::Part, None);
            self.add(Node {
                description: column.description.clone(),
                owner: dataset.owner.clone(),
                type_name: column.type_name.clone(),
                personal: column.personal || dataset.personal,
                tested_by: tested_by.clone(),
                ..Node::new(of)
            });
        }
        self.add(Node {
            description: dataset.description.clone(),
            owner: dataset.owner.clone(),
            personal: dataset.personal,
            tested_by,
            ..Node::new(id)
        });
    }

    /// The node of `view.feature` or `view@1.feature`.
    fn feature(&self, reference: &str) -> NodeId {
        match reference.rsplit_once('.') {
            Some((view, feature)) => NodeId::feature(&plain(view, &self.views), feature),
            None => NodeId::new(Kind::Feature, reference),
        }
    }

    /// The graph.
    pub fn build(&self) -> Graph {
        Graph::new(self.nodes.clone(), self.edges.clone())
    }
}
