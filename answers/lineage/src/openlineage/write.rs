//! The house in OpenLineage's words.

use std::collections::{BTreeMap, BTreeSet};

use event::{BatchId, Instant, RecordId};
use serde_json::{Map, Value, json};

use super::names::Names;
use crate::{Direction, Edge, Graph, How, Kind, Node, NodeId};

const SPEC: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs";
const FACETS: &str = "https://openlineage.io/spec/facets";

/// Writes events. Jobs of the house are called `feature/purchases`, `train/response`, `decide/next_order`,
/// `import/orders`.
pub struct Author {
    names: Names,
    producer: String,
    at: Instant,
}

/// One import, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRun {
    /// Names it; its 16 bytes are the run's id.
    pub batch: BatchId,
    /// The stream it fills.
    pub stream: String,
    /// The file's name.
    pub file: String,
    /// When it began.
    pub started_at: Instant,
    /// When it was last heard of.
    pub noted_at: Instant,
    /// `COMPLETE`, `RUNNING`, `ABORT`
    pub state: &'static str,
    /// Rows read.
    pub n_rows: u64,
    /// Rows that became records.
    pub n_accepted: u64,
    /// Rows refused.
    pub n_quarantined: u64,
}

/// One version of a model, as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingRun {
    /// The model.
    pub model: String,
    /// The version's number.
    pub version: u32,
    /// When it was registered.
    pub at: Instant,
    /// Names the dataset it learnt from.
    pub dataset: String,
    /// Rows of that dataset.
    pub n_rows: u64,
    /// Names its bytes.
    pub artefact: String,
    /// Whether its gate let it through; `None` where it was not judged.
    pub passed: Option<bool>,
}

impl Author {
    /// Writes under these names, as of `at`.
    pub fn new(names: Names, version: &str, at: Instant) -> Self {
        Self { names, producer: format!("urn:maschinenraum:{version}"), at }
    }

    /// The graph as job events: one for each thing of ours that is made from something.
    pub fn graph(&self, graph: &Graph) -> Vec<Value> {
        // (job, dataset it makes) → the columns it makes
        let mut made: BTreeMap<(String, String), Vec<&Node>> = BTreeMap::new();
        for node in graph.nodes() {
            let Some((dataset, _)) = self.names.dataset_of(&node.id) else { continue };
            let job = match node.id.kind() {
                Kind::Stream | Kind::Field => dataset.replacen("streams/", "intake/", 1),
                Kind::Feature => dataset.replacen("features/", "feature/", 1),
                Kind::Trait => "profile/traits".to_owned(),
                Kind::Segment => dataset.replacen("segments/", "segment/", 1),
                Kind::Model => dataset.replacen("models/", "train/", 1),
                Kind::UseCase => dataset.replacen("decisions/", "decide/", 1),
                _ => continue,
            };
            made.entry((job, dataset)).or_default().push(node);
        }
        made.iter().map(|((job, dataset), nodes)| self.job_event(graph, job, dataset, nodes)).collect()
    }

    fn job_event(&self, graph: &Graph, job: &str, dataset: &str, nodes: &[&Node]) -> Value {
        let whole =
            nodes.iter().find(|node| !matches!(node.id.kind(), Kind::Field | Kind::Feature | Kind::Trait));
        let about = whole.or(nodes.first());
        let mut inputs: BTreeSet<String> = BTreeSet::new();
        for node in nodes {
            let from =
                graph.edges_of(&node.id, Direction::Up).filter_map(|edge| self.names.dataset_of(&edge.from));
            inputs.extend(from.map(|(name, _)| name).filter(|name| name != dataset));
        }
        let mut facets = Map::new();
        self.about(about.copied(), &mut facets, "Dataset");
        let columns: Vec<&&Node> = nodes
            .iter()
            .filter(|n| matches!(n.id.kind(), Kind::Field | Kind::Feature | Kind::Trait))
            .collect();
        if !columns.is_empty() {
            facets.insert("schema".into(), self.schema(&columns));
            facets.extend(self.column_lineage(graph, &columns).map(|made| ("columnLineage".into(), made)));
            facets.extend(self.tags(&columns).map(|tags| ("tags".into(), tags)));
        } else if let Some(node) = about {
            facets.extend(self.whole_lineage(graph, node).map(|made| ("columnLineage".into(), made)));
        }
        let mut job_facets = Map::new();
        self.about(about.copied(), &mut job_facets, "Job");
        let kind = json!({"processingType": "STREAMING", "integration": "MASCHINENRAUM", "jobType": job.split('/').next().unwrap_or_default().to_uppercase()});
        job_facets
            .insert("jobType".into(), self.facet("2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", kind));
        let namespace = self.names.namespace();
        let inputs: Vec<Value> =
            inputs.into_iter().map(|name| json!({"namespace": namespace, "name": name})).collect();
        json!({
            "eventTime": self.at,
            "producer": self.producer,
            "schemaURL": format!("{SPEC}/JobEvent"),
            "job": {"namespace": namespace, "name": job, "facets": job_facets},
            "inputs": inputs,
            "outputs": [{"namespace": namespace, "name": dataset, "facets": facets}],
        })
    }

    fn facet(&self, schema: &str, body: Value) -> Value {
        let mut facet = json!({"_producer": self.producer, "_schemaURL": format!("{FACETS}/{schema}")});
        if let (Value::Object(facet), Value::Object(body)) = (&mut facet, body) {
            facet.extend(body);
        }
        facet
    }

    fn about(&self, node: Option<&Node>, facets: &mut Map<String, Value>, of: &str) {
        let Some(node) = node else { return };
        if let Some(text) = &node.description {
            let schema = format!("1-0-1/Documentation{of}Facet.json#/$defs/Documentation{of}Facet");
            facets.insert("documentation".into(), self.facet(&schema, json!({"description": text})));
        }
        if let Some(owner) = &node.owner {
            let schema = format!("1-0-1/Ownership{of}Facet.json#/$defs/Ownership{of}Facet");
            let owners = json!({"owners": [{"name": owner, "type": "RESPONSIBLE"}]});
            facets.insert("ownership".into(), self.facet(&schema, owners));
        }
    }

    fn schema(&self, columns: &[&&Node]) -> Value {
        let field = |node: &&&Node| {
            let mut field = json!({"name": self.column(&node.id), "type": node.type_name});
            if let (Some(text), Value::Object(field)) = (&node.description, &mut field) {
                field.insert("description".into(), text.as_str().into());
            }
            field
        };
        let fields: Vec<Value> = columns.iter().map(field).collect();
        self.facet("1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", json!({"fields": fields}))
    }

    fn column(&self, id: &NodeId) -> String {
        self.names.dataset_of(id).and_then(|(_, column)| column).unwrap_or_default()
    }

    fn column_lineage(&self, graph: &Graph, columns: &[&&Node]) -> Option<Value> {
        let mut fields = Map::new();
        for node in columns {
            let inputs = self.input_fields(graph, node);
            if !inputs.is_empty() {
                fields.insert(self.column(&node.id), json!({"inputFields": inputs}));
            }
        }
        if fields.is_empty() {
            return None;
        }
        let schema = "1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet";
        Some(self.facet(schema, json!({"fields": fields})))
    }

    /// What decides about all of a dataset alike: a model and a decision have no columns.
    fn whole_lineage(&self, graph: &Graph, node: &Node) -> Option<Value> {
        let inputs = self.input_fields(graph, node);
        if inputs.is_empty() {
            return None;
        }
        let schema = "1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet";
        Some(self.facet(schema, json!({"fields": {}, "dataset": inputs})))
    }

    fn input_fields(&self, graph: &Graph, node: &Node) -> Vec<Value> {
        let input = |edge: &Edge| {
            let (name, column) = self.names.dataset_of(&edge.from)?;
            let (sort, subtype) = step(edge.how);
            let transformation = json!({
                "type": sort, "subtype": subtype, "description": edge.how.as_str(),
                "masking": edge.how == How::Identifies,
            });
            Some(json!({
                "namespace": self.names.namespace(), "name": name, "field": column?,
                "transformations": [transformation],
            }))
        };
        graph.edges_of(&node.id, Direction::Up).filter_map(input).collect()
    }

    fn tags(&self, columns: &[&&Node]) -> Option<Value> {
        let mut tags = Vec::new();
        for node in columns {
            let column = self.column(&node.id);
            let mut tag = |key: &str, value: &str| {
                tags.push(json!({"key": key, "value": value, "source": "MASCHINENRAUM", "field": column}));
            };
            if node.personal {
                tag("pii", "true");
            }
            if let Some(word) = &node.classification {
                tag("classification", word);
            }
            for purpose in &node.purposes {
                tag("purpose", purpose);
            }
        }
        let schema = "1-0-0/TagsDatasetFacet.json#/$defs/TagsDatasetFacet";
        (!tags.is_empty()).then(|| self.facet(schema, json!({"tags": tags})))
    }

    fn run_event(
        &self,
        state: &str,
        at: Instant,
        run: &str,
        job: &str,
        inputs: Value,
        outputs: Value,
    ) -> Value {
        json!({
            "eventType": state,
            "eventTime": at,
            "producer": self.producer,
            "schemaURL": format!("{SPEC}/RunEvent"),
            "run": {"runId": run},
            "job": {"namespace": self.names.namespace(), "name": job},
            "inputs": inputs,
            "outputs": outputs,
        })
    }

    /// An import as run events: its start, and how it stands.
    pub fn import(&self, import: &ImportRun) -> Vec<Value> {
        let run = uuid(import.batch.as_bytes());
        let job = format!("import/{}", import.stream);
        let metrics = json!({"rowCount": import.n_rows, "columnMetrics": {}});
        let metrics = self.facet(
            "1-0-2/DataQualityMetricsInputDatasetFacet.json#/$defs/DataQualityMetricsInputDatasetFacet",
            metrics,
        );
        let schema = "1-0-1/DataQualityAssertionsDatasetFacet.json#/$defs/DataQualityAssertionsDatasetFacet";
        let held = self.facet(
            schema,
            json!({"assertions": [{"assertion": "contract", "success": import.n_quarantined == 0}]}),
        );
        let input = json!([{
            "namespace": "file", "name": import.file,
            "inputFacets": {"dataQualityMetrics": metrics, "dataQualityAssertions": held},
        }]);
        let statistics = self.facet(
            "1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet",
            json!({"rowCount": import.n_accepted}),
        );
        let output = json!([{
            "namespace": self.names.namespace(), "name": format!("streams/{}", import.stream),
            "outputFacets": {"outputStatistics": statistics},
        }]);
        let start = self.run_event("START", import.started_at, &run, &job, json!([]), json!([]));
        let last = self.run_event(import.state, import.noted_at, &run, &job, input, output);
        vec![start, last]
    }

    /// A training as a run event.
    pub fn training(&self, training: &TrainingRun) -> Value {
        let key = format!("{} {} {}", training.model, training.version, training.artefact);
        let run = uuid(RecordId::external("openlineage run", key.as_bytes()).as_bytes());
        let version = self.facet(
            "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
            json!({"datasetVersion": format!("{} {}", training.version, training.artefact)}),
        );
        let mut facets = Map::from_iter([("version".to_owned(), version)]);
        if let Some(passed) = training.passed {
            let schema =
                "1-0-1/DataQualityAssertionsDatasetFacet.json#/$defs/DataQualityAssertionsDatasetFacet";
            let held = self.facet(schema, json!({"assertions": [{"assertion": "gate", "success": passed}]}));
            facets.insert("dataQualityAssertions".into(), held);
        }
        let namespace = self.names.namespace();
        let metrics = self.facet(
            "1-0-2/DataQualityMetricsInputDatasetFacet.json#/$defs/DataQualityMetricsInputDatasetFacet",
            json!({"rowCount": training.n_rows, "columnMetrics": {}}),
        );
        let input = json!([{
            "namespace": namespace, "name": format!("datasets/{}", training.dataset),
            "inputFacets": {"dataQualityMetrics": metrics},
        }]);
        let output = json!([{
            "namespace": namespace, "name": format!("models/{}", training.model), "facets": facets,
        }]);
        self.run_event("COMPLETE", training.at, &run, &format!("train/{}", training.model), input, output)
    }
}

fn step(how: How) -> (&'static str, &'static str) {
    match how {
        How::Same => ("DIRECT", "IDENTITY"),
        How::Derived | How::Computed | How::Picked | How::Part | How::Reads | How::Acts => {
            ("DIRECT", "TRANSFORMATION")
        }
        How::Aggregated => ("DIRECT", "AGGREGATION"),
        How::Filters => ("INDIRECT", "FILTER"),
        How::Identifies => ("INDIRECT", "GROUP_BY"),
        How::Times => ("INDIRECT", "WINDOW"),
        How::Teaches | How::Labels | How::Informs | How::Scores => ("INDIRECT", "CONDITIONAL"),
    }
}

/// 16 bytes as a UUID is written.
fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut out = String::with_capacity(36);
    for (i, digit) in hex.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}
