//! From an ODCS v3 file to contracts, one per schema object.
//!
//! What the standard knows and we do not use gives an info finding, never an error: the file stays the user's,
//! and other tools read it too.

mod contradictions;
mod custom;
mod promise;
pub(crate) mod property;
mod quality;
pub(crate) mod reading;
mod standard;

use std::sync::Arc;

use event::{StreamName, Version};

use crate::Pointer;
use crate::metric;
use crate::model::{Contract, Field, Kind, Path, Promised, SubjectKey, Zoned};
use crate::shape::Shape;
use crate::yaml::{self, Node};
use crate::{Classification, Error, Finding};
use custom::Custom;
pub(crate) use reading::codes;
use reading::{Defaults, Reading};
pub use standard::lacks_of_the_standard;

/// What a contract file holds.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The contract; of a file with several schema objects, the first one's.
    pub contract: Contract,
    /// The contracts of the other schema objects.
    pub others: Vec<Contract>,
    /// What the reader noticed about the file. Whether the contract is complete says [`Contract::validate`].
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// Every contract of the file.
    pub fn all(&self) -> impl Iterator<Item = &Contract> {
        std::iter::once(&self.contract).chain(&self.others)
    }

    /// Every contract of the file, by value.
    pub fn into_all(self) -> Vec<Contract> {
        std::iter::once(self.contract).chain(self.others).collect()
    }
}

const USED: [&str; 12] = [
    "apiVersion",
    "kind",
    "id",
    "version",
    "name",
    "description",
    "status",
    "schema",
    "team",
    "roles",
    "customProperties",
    "slaProperties",
];
const DESCRIPTIVE: [&str; 7] =
    ["tenant", "tags", "domain", "dataProduct", "authoritativeDefinitions", "contractCreatedTs", "support"];
const IGNORED: [&str; 3] = ["servers", "price", "slaDefaultElement"];

impl Contract {
    /// Reads an ODCS v3 file. `file` is its name for messages.
    ///
    /// # Errors
    /// [`Error::Yaml`] where it is no YAML, [`Error::NotAContract`] where it is no ODCS v3 contract. Everything
    /// else that is odd becomes a finding with its line.
    pub fn parse(yaml_text: &str, file: &str) -> Result<Parsed, Error> {
        let root = yaml::parse(yaml_text, file)?;
        let version = envelope(&root, file)?;
        let id = text_at(&root, "id").or_else(|| text_at(&root, "name"));
        let name = text_at(&root, "name").or(id).unwrap_or_else(|| "unnamed".into());
        let mut reading = Reading::new(file, &name);
        top_level_keys(&root, &mut reading);
        let yaml_text: Arc<str> = yaml_text.into();
        let objects = root.get("schema").map(Node::items).unwrap_or_default();
        let names = names_of(objects, &name);
        promise::strangers(&root, &names.iter().map(String::as_str).collect::<Vec<_>>(), &mut reading);
        let mut contracts = Vec::new();
        for object in objects {
            let stream = text_at(object, "name").unwrap_or_else(|| name.clone());
            contracts.push(contract(&root, Some(object), stream, version, &yaml_text, &mut reading));
        }
        if contracts.is_empty() {
            contracts.push(contract(&root, None, name, version, &yaml_text, &mut reading));
        }
        let mut contracts = contracts.into_iter();
        let Some(contract) = contracts.next() else {
            return Err(Error::NotAContract {
                file: file.to_owned(),
                line: Some(root.line),
                message: "it has no schema".into(),
            });
        };
        let mut findings = reading.findings;
        findings.sort_by_key(|f| f.line);
        Ok(Parsed { contract, others: contracts.collect(), findings })
    }
}

/// What the schema objects of a file are called, and the file itself.
fn names_of(objects: &[Node], file: &str) -> Vec<String> {
    let keys = ["name", "physicalName"];
    let names = objects.iter().flat_map(|object| keys.into_iter().filter_map(|key| text_at(object, key)));
    names.chain(std::iter::once(file.to_owned())).filter(|name| !name.is_empty()).collect()
}

/// Refuses what is no ODCS v3 contract, and takes its version.
fn envelope(root: &Node, file: &str) -> Result<Version, Error> {
    let refuse =
        |line: u32, message: String| Error::NotAContract { file: file.to_owned(), line: Some(line), message };
    if root.members().is_empty() {
        return Err(refuse(
            root.line,
            "it has no keys; `apiVersion: v3.1.0` and `kind: DataContract` are due".into(),
        ));
    }
    match root.get("kind") {
        Some(kind) if kind.text() == Some("DataContract") => {}
        Some(kind) => {
            return Err(refuse(kind.line, format!("`kind` is {}, not `DataContract`", kind.shown())));
        }
        None => return Err(refuse(root.line, "it does not say `kind: DataContract`".into())),
    }
    match root.get("apiVersion").map(|v| (v, v.scalar().unwrap_or_default())) {
        Some((_, version)) if version.trim_start_matches('v').split('.').next() == Some("3") => {}
        Some((node, _)) => {
            let shown = node.shown();
            return Err(refuse(node.line, format!("`apiVersion` is {shown}; version 3 of ODCS is read")));
        }
        None => return Err(refuse(root.line, "it does not say its `apiVersion`, like `v3.1.0`".into())),
    }
    let Some(node) = root.get("version") else {
        return Err(refuse(root.line, "it does not say its `version`, like `1.0.0`".into()));
    };
    node.scalar().unwrap_or_default().parse().map_err(|_| {
        refuse(node.line, format!("`version` is {}; three numbers are due, like `1.0.0`", node.shown()))
    })
}

fn top_level_keys(root: &Node, reading: &mut Reading<'_>) {
    for (key, value) in root.members() {
        let name = key.scalar().unwrap_or_default();
        if IGNORED.contains(&name.as_str()) {
            reading.info(
                codes::IGNORED,
                key.line,
                format!("`{name}` is read by other tools, not by this one"),
            );
        } else if !USED.contains(&name.as_str()) && !DESCRIPTIVE.contains(&name.as_str()) {
            reading.info(codes::UNKNOWN, key.line, format!("key {} is not known to ODCS v3", key.shown()));
        }
        if name == "schema" && !value.is_null() && !matches!(value.kind, yaml::Kind::List(_)) {
            reading.shape(value, "`schema`", "a list of objects");
        }
    }
}

fn text_at(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::scalar).filter(|t| !t.trim().is_empty())
}

fn contract(
    root: &Node,
    object: Option<&Node>,
    name: String,
    version: Version,
    yaml_text: &Arc<str>,
    reading: &mut Reading<'_>,
) -> Contract {
    reading.stream.clone_from(&name);
    reading.rules.clear();
    let custom = Custom::read(root, object, reading);
    if let Some(stream) = &custom.stream {
        reading.stream.clone_from(stream);
    }
    reading.defaults = Defaults {
        zone: custom.zone.clone(),
        decimal_comma: custom.decimal_comma,
        currency: custom.currency.clone(),
    };
    let base = base_pointer(&custom.sources);
    let mut fields = match object {
        Some(object) => schema_object(object, &base, reading),
        None => Vec::new(),
    };
    settle_classes(&mut fields, None, Classification::Public);
    let resolve = |path: Path| resolve(&fields, path);
    let dedup_key = match custom.dedup_key {
        Some(paths) => paths.into_iter().map(resolve).collect(),
        None => primary_key(&fields),
    };
    let mut subject_key = custom.subject_key.unwrap_or_default();
    subject_key.fields = subject_key.fields.into_iter().map(resolve).collect();
    let event_time = custom.event_time.map(resolve);
    let known_at = custom.known_at.map(resolve);
    let description = object.and_then(|o| text_at(o, "description")).or_else(|| description(root));
    let shape = Shape::new(&fields);
    let mut zoned = Vec::new();
    zoned_fields(&fields, "", &Pointer::default(), &mut zoned);
    let identifiers = identifiers(&fields, &subject_key);
    let rules = known_rules(std::mem::take(&mut reading.rules), &fields, reading);
    let stream = reading.stream.clone();
    let file_name = text_at(root, "name").unwrap_or_default();
    let all = names_of(root.get("schema").map(Node::items).unwrap_or_default(), &file_name);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let physical = object.and_then(|o| text_at(o, "physicalName")).unwrap_or_else(|| name.clone());
    let promises =
        promise::service_levels(root, &all, &[name.as_str(), physical.as_str(), stream.as_str()], reading);
    let kept = promises.iter().find(|one| one.what == Promised::Retention).map(|one| one.within);
    let relationships = object.map(|o| promise::relationships(o, &stream, reading)).unwrap_or_default();
    let line = object.map_or(root.line, |o| o.line).max(1);
    if let (Some(said), Some(promised)) =
        (custom.retention, promises.iter().find(|p| p.what == Promised::Retention))
        && said != promised.within
    {
        let message =
            format!("`{}` contradicts the custom property `retention`, which says {said}", promised.written);
        reading.error(codes::SERVICE_LEVEL, promised.line, message);
    }
    Contract {
        stream: StreamName::new(&reading.stream),
        version,
        description,
        owner: custom.owner.or_else(|| owner(root)),
        purposes: custom.purposes,
        retention: custom.retention.or(kept),
        live_since: custom.live_since,
        consent_basis: custom.consent_basis,
        sources: custom.sources,
        subject_key,
        subject_kind: custom.subject_kind.unwrap_or_else(|| "person".into()),
        event_time,
        known_at,
        allow_future: custom.allow_future,
        traits: custom.traits,
        dedup_key,
        fields,
        rules,
        promises,
        relationships,
        file: reading.file.to_owned(),
        line,
        yaml: Arc::clone(yaml_text),
        identifiers,
        shape,
        zoned,
        source_line: custom.source_line.unwrap_or(line),
    }
}

/// The rules whose fields there are; a rule about another one is an error.
fn known_rules(rules: Vec<metric::Rule>, fields: &[Field], reading: &mut Reading<'_>) -> Vec<metric::Rule> {
    let mut known = Vec::with_capacity(rules.len());
    for rule in rules {
        let missing = rule.metric.fields().into_iter().find(|path| !has(fields, path.as_str()));
        match missing.map(|path| path.as_str().to_owned()) {
            None => known.push(rule),
            Some(path) => {
                let message =
                    format!("the rule `{}` names the field `{path}`, which is not there", rule.name);
                reading.error(codes::NO_SUCH_FIELD, rule.line, message);
            }
        }
    }
    known
}

fn has(fields: &[Field], path: &str) -> bool {
    fields.iter().any(|field| {
        let within = path.strip_prefix(field.name.as_str());
        within == Some("")
            || match (&field.kind, within.and_then(|rest| rest.strip_prefix('.'))) {
                (Kind::Object(inner), Some(rest)) => inner.is_empty() || has(inner, rest),
                _ => false,
            }
    })
}

/// Where the fields of a tracking call lie, so that a mapping need not repeat it.
fn base_pointer(sources: &[String]) -> String {
    let call = sources.first().map(|s| s.split(':').next().unwrap_or_default());
    match call {
        Some("track" | "page" | "screen") => "/properties".into(),
        Some("identify" | "group") => "/traits".into(),
        _ => String::new(),
    }
}

fn schema_object(object: &Node, base: &str, reading: &mut Reading<'_>) -> Vec<Field> {
    const KNOWN: [&str; 14] = [
        "id",
        "name",
        "physicalType",
        "description",
        "businessName",
        "authoritativeDefinitions",
        "tags",
        "customProperties",
        "logicalType",
        "physicalName",
        "dataGranularityDescription",
        "properties",
        "relationships",
        "quality",
    ];
    reading.unknown_keys(object, &KNOWN, "a schema object");
    for rule in object.get("quality").map(Node::items).unwrap_or_default() {
        let rule = metric::on_rows(rule, reading);
        reading.rules.extend(rule);
    }
    property::read_list(object.get("properties"), base, None, reading)
}

/// An inner field is as sensitive as it says, or else as what it lies in; what lies in something sealed is sealed
/// with it, and a list is sealed as a whole where anything in it is.
fn settle_classes(fields: &mut [Field], outer: Option<Classification>, floor: Classification) {
    for field in fields {
        // Nobody said what it is: treated as personal until somebody does.
        let declared = field.classification.or(outer);
        field.effective = declared.unwrap_or(Classification::Personal).max(floor);
        let inner_floor = if field.effective.is_sealed() { field.effective } else { Classification::Public };
        match &mut field.kind {
            Kind::Object(inner) => settle_classes(inner, declared, inner_floor),
            Kind::Array(Some(item)) => {
                settle_classes(std::slice::from_mut(item), declared, inner_floor);
                let most = most_sensitive(item);
                if most.is_sealed() && most > field.effective {
                    field.effective = most;
                    settle_classes(std::slice::from_mut(item), declared, most);
                }
            }
            _ => {}
        }
    }
}

fn most_sensitive(field: &Field) -> Classification {
    let inner = match &field.kind {
        Kind::Object(inner) => inner.iter().map(most_sensitive).max(),
        Kind::Array(Some(item)) => Some(most_sensitive(item)),
        _ => None,
    };
    // An object of open fields is not sealed because nobody classified the object itself.
    match (inner, field.classification) {
        (Some(inner), None) => inner,
        (Some(inner), Some(_)) => inner.max(field.effective),
        (None, _) => field.effective,
    }
}

fn primary_key(fields: &[Field]) -> Vec<Path> {
    let mut key: Vec<(u32, &str)> =
        fields.iter().filter_map(|f| Some((f.primary_key?, f.name.as_str()))).collect();
    key.sort_by_key(|(position, _)| *position);
    key.into_iter().map(|(_, name)| Path::of_name(name)).collect()
}

/// A column's name may contain dots; a path that is a name is that name.
fn resolve(fields: &[Field], path: Path) -> Path {
    if fields.iter().any(|f| f.name == path.as_str()) { Path::of_name(path.as_str()) } else { path }
}

/// Those of the subject key in its order, then every other field that holds an identifier.
fn identifiers(fields: &[Field], key: &SubjectKey) -> Vec<(String, Path)> {
    let mut all = Vec::new();
    paths(fields, "", &mut all);
    let mut out: Vec<(String, Path)> = Vec::new();
    for path in &key.fields {
        let declared = all.iter().find(|(p, _)| p == path).and_then(|(_, kind)| kind.clone());
        out.push((declared.unwrap_or_else(|| path.as_str().to_owned()), path.clone()));
    }
    for (path, kind) in all {
        if let Some(kind) = kind
            && !key.fields.contains(&path)
        {
            out.push((kind, path));
        }
    }
    out
}

/// Every field outside of lists, with the identifier it holds.
fn paths(fields: &[Field], prefix: &str, out: &mut Vec<(Path, Option<String>)>) {
    for field in fields {
        let text = format!("{prefix}{}", field.name);
        let path = if prefix.is_empty() { Path::of_name(&field.name) } else { Path::new(&text) };
        if let Kind::Object(inner) = &field.kind {
            paths(inner, &format!("{text}."), out);
        }
        out.push((path, field.identifier.clone()));
    }
}

/// The timestamps that are read in a declared zone, those inside of lists left out.
fn zoned_fields(fields: &[Field], prefix: &str, at: &Pointer, out: &mut Vec<Zoned>) {
    for field in fields {
        let (path, source) = (format!("{prefix}{}", field.name), at.join(&field.source));
        match (&field.kind, &field.rules.zone) {
            (Kind::Object(inner), _) => zoned_fields(inner, &format!("{path}."), &source, out),
            (Kind::Timestamp, Some(zone)) => {
                let (format, zone) = (field.rules.time.clone(), zone.clone());
                out.push(Zoned { path, source, format, zone, is_open: !field.effective.is_sealed() });
            }
            _ => {}
        }
    }
}

fn description(root: &Node) -> Option<String> {
    let node = root.get("description")?;
    node.scalar().or_else(|| text_at(node, "purpose"))
}

/// The member of the team who is its owner and has not left, else the team's name, else who has the role.
fn owner(root: &Node) -> Option<String> {
    let team = root.get("team");
    // v3.0 has a list of members, v3.1 an object around it.
    let members = team.map(|t| t.get("members").map_or_else(|| t.items(), Node::items)).unwrap_or_default();
    let is_owner = |text: Option<String>| text.is_some_and(|t| t.to_lowercase().contains("owner"));
    let present = members.iter().filter(|m| text_at(m, "dateOut").is_none());
    let by_role = present.clone().find(|m| is_owner(text_at(m, "role")));
    let named = |node: &Node| text_at(node, "username").or_else(|| text_at(node, "name"));
    by_role.and_then(named).or_else(|| team.and_then(|t| text_at(t, "name"))).or_else(|| {
        let roles = root.get("roles").map(Node::items).unwrap_or_default();
        let role = roles.iter().find(|r| is_owner(text_at(r, "role")))?;
        text_at(role, "firstLevelApprovers").or_else(|| text_at(role, "role"))
    })
}
