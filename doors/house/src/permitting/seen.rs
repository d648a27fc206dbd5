//! What each purpose may see: the fields that `[purposes.NAME] fields` lists, and the class of whatever a query reads.
//!
//! A field that is not listed is absent for the purpose, not masked (GDPR article 5(1)(c), 25(2)). A purpose without a
//! list sees the fields of every stream whose contract names it, as before there were lists.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Classification, Contract, Field, Kind};
use event::Subject;
use feature::View;
use profile::{OpaqueTraits, TraitView};
use roles::Classes;

use crate::finding::{Finding, finding};
use crate::house::House;
use crate::project::Project;

/// A field in a list does not exist, or something uses a field that its purpose does not see.
const CODE: &str = "MR3406";

/// One entry of a list: a stream, or a field of it.
type Entry = (String, Option<String>);

/// What purposes see of streams, views and traits.
#[derive(Default)]
pub(crate) struct Seen {
    /// The purposes that have a list.
    lists: BTreeMap<String, Vec<Entry>>,
    /// By view and feature: the fields it reads and their classes.
    views: BTreeMap<String, BTreeMap<String, Reads>>,
    /// Stream, name and class of every trait.
    traits: Vec<(String, String, Classification)>,
    /// By use case: the classes of its features.
    use_cases: BTreeMap<String, Classes>,
}

#[derive(Default)]
struct Reads {
    stream: String,
    fields: BTreeSet<String>,
    classes: Classes,
}

impl Seen {
    /// What the purposes of a project see.
    pub(crate) fn new(project: &Project) -> Self {
        let mut seen = Self::default();
        for (name, purpose) in &project.settings.purposes {
            if let Some(fields) = &purpose.fields {
                let entries = fields.iter().filter_map(|text| entry(project, text)).collect();
                seen.lists.insert(name.clone(), entries);
            }
        }
        for view in project.views.iter() {
            let contract = project.contracts.newest(view.stream()).map(|contract| &**contract);
            let features = view.features().iter().map(|feature| {
                let mut reads = Reads { stream: view.stream().to_string(), ..Reads::default() };
                gather(view, feature.name(), contract, view.features().len(), &mut reads);
                (feature.name().to_owned(), reads)
            });
            seen.views.insert(view.reference(), features.collect());
        }
        for use_case in &project.use_cases {
            let classes = seen.of_features(project, use_case.features());
            seen.use_cases.insert(use_case.name.clone(), classes);
        }
        for contract in project.contracts.iter().filter(|contract| contract.traits) {
            let stream = contract.stream.to_string();
            let known = contract.fields.iter();
            seen.traits.extend(known.map(|field| (stream.clone(), field.name.clone(), field.effective)));
        }
        seen
    }

    /// True where a purpose sees a field of a stream.
    pub(crate) fn sees(&self, purpose: &str, stream: &str, path: &str) -> bool {
        let Some(list) = self.lists.get(purpose) else { return true };
        list.iter().any(|(of, listed)| {
            of == stream && listed.as_ref().is_none_or(|listed| listed == path || is_inside(path, listed))
        })
    }

    /// True where a purpose sees every field that a feature reads.
    pub(crate) fn sees_feature(&self, purpose: &str, view: &View, feature: &str) -> bool {
        if !self.lists.contains_key(purpose) {
            return true;
        }
        let reads = self.views.get(&view.reference()).and_then(|features| features.get(feature));
        reads.is_some_and(|reads| reads.fields.iter().all(|path| self.sees(purpose, &reads.stream, path)))
    }

    /// True where a purpose sees a trait that some stream says.
    pub(crate) fn sees_trait(&self, purpose: &str, name: &str) -> bool {
        let mut said = self.traits.iter().filter(|(_, known, _)| known == name);
        said.any(|(stream, name, _)| self.sees(purpose, stream, name))
    }

    /// The classes of what a purpose sees of a view.
    pub(crate) fn of_view(&self, purpose: &str, view: &View) -> Classes {
        let Some(features) = self.views.get(&view.reference()) else { return Classes::PERSONAL };
        let seen = features.iter().filter(|(name, _)| self.sees_feature(purpose, view, name));
        seen.fold(Classes::INTERNAL, |classes, (_, reads)| classes.and(reads.classes))
    }

    /// The classes of features, by `view.feature`.
    pub(crate) fn of_features<'r>(
        &self,
        project: &Project,
        references: impl IntoIterator<Item = &'r str>,
    ) -> Classes {
        references.into_iter().fold(Classes::INTERNAL, |classes, reference| {
            let found = project.feature(reference).and_then(|(view, feature)| {
                self.views.get(&view.reference())?.get(feature).map(|reads| reads.classes)
            });
            classes.and(found.unwrap_or(Classes::PERSONAL))
        })
    }

    /// The classes of what a use case reads.
    pub(crate) fn of_use_case(&self, name: &str) -> Classes {
        self.use_cases.get(name).copied().unwrap_or(Classes::PERSONAL)
    }

    /// The classes of the traits that a purpose sees.
    pub(crate) fn of_traits(&self, purpose: &str) -> Classes {
        let seen = self.traits.iter().filter(|(stream, name, _)| self.sees(purpose, stream, name));
        seen.fold(Classes::INTERNAL, |classes, (.., class)| classes.with(*class))
    }

    /// A contract with the fields that a purpose sees, and their classes.
    pub(crate) fn narrowed(&self, purpose: &str, contract: &Contract) -> (Contract, Classes) {
        let mut narrow = contract.clone();
        if let Some(list) = self.lists.get(purpose) {
            let of_stream: Vec<&Option<String>> = list
                .iter()
                .filter(|(stream, _)| contract.stream.as_str() == stream)
                .map(|(_, path)| path)
                .collect();
            if !of_stream.iter().any(|path| path.is_none()) {
                let paths: Vec<&str> = of_stream.iter().filter_map(|path| path.as_deref()).collect();
                prune(&mut narrow.fields, "", &paths);
            }
        }
        let classes = classes_of(&narrow.fields, Classes::INTERNAL);
        (narrow, classes)
    }

    /// What is wrong with lists, and what uses fields that its purpose does not see.
    pub(crate) fn check(&self, project: &Project, findings: &mut Vec<Finding>) {
        if project.settings.purposes.values().all(|purpose| purpose.fields.is_none()) {
            return;
        }
        let text = std::fs::read_to_string(project.dir.join("maschinenraum.toml")).unwrap_or_default();
        for (name, purpose) in &project.settings.purposes {
            for listed in purpose.fields.iter().flatten() {
                if entry(project, listed).is_none() {
                    let line = super::read::line_of(&text, &format!("\"{listed}\""));
                    let message = format!(
                        "[purposes.{name}] fields: `{listed}` is neither a stream nor STREAM.FIELD of a contract"
                    );
                    findings.push(finding(CODE, "maschinenraum.toml", line, message));
                }
            }
        }
        let mut unseen = |file: String, purpose: &str, reference: &str| {
            let Some((view, feature)) = project.feature(reference) else { return };
            if self.sees_feature(purpose, view, feature) {
                return;
            }
            let reads = self.views.get(&view.reference()).and_then(|features| features.get(feature));
            let hidden: Vec<&str> = reads
                .into_iter()
                .flat_map(|reads| reads.fields.iter().filter(|path| !self.sees(purpose, &reads.stream, path)))
                .map(String::as_str)
                .collect();
            let message = format!(
                "`{reference}` reads {}, which [purposes.{purpose}] fields does not list",
                hidden
                    .iter()
                    .map(|path| format!("`{}.{path}`", view.stream()))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            findings.push(finding(CODE, &file, 1, message));
        };
        for use_case in &project.use_cases {
            for reference in use_case.features() {
                unseen(format!("usecases/{}.yaml", use_case.name), &use_case.purpose, reference);
            }
        }
        for spec in &project.models {
            for reference in &spec.features {
                unseen(format!("models/{}.yaml", spec.model), &spec.purpose, reference);
            }
        }
        for segment in &project.segments {
            for reference in segment.features() {
                unseen(format!("segments/{}.yaml", segment.name), &segment.purpose, reference);
            }
        }
        for segment in &project.segments {
            for name in segment.traits().filter(|name| !self.sees_trait(&segment.purpose, name)) {
                let message =
                    format!("trait `{name}` is not listed under [purposes.{}] fields", segment.purpose);
                findings.push(finding(CODE, &format!("segments/{}.yaml", segment.name), 1, message));
            }
        }
    }
}

/// A subject's traits, without the words that a purpose may not hear.
pub(crate) struct SeenTraits<'h> {
    pub(crate) traits: &'h dyn TraitView,
    pub(crate) house: &'h House,
    pub(crate) purpose: &'h str,
}

impl TraitView for SeenTraits<'_> {
    fn traits(&self, subject: Subject) -> Result<Option<OpaqueTraits>, store::Error> {
        let seen = &self.house.project().seen;
        let found = self.traits.traits(subject)?;
        Ok(found.map(|traits| traits.only(|name, stream| seen.sees(self.purpose, stream, name))))
    }
}

/// The fields that a feature reads, through whatever it is computed from.
fn gather(view: &View, feature: &str, contract: Option<&Contract>, depth: usize, reads: &mut Reads) {
    let Some(found) = view.reads(feature) else { return };
    for read in found.fields {
        let class = contract.and_then(|contract| contract.field(&read.field)).map(|field| field.effective);
        // What no contract classifies counts as personal.
        reads.classes = reads.classes.with(class.unwrap_or(Classification::Personal));
        reads.fields.insert(read.field);
    }
    if !found.context.is_empty() {
        reads.classes = reads.classes.with(Classification::Personal);
    }
    if depth > 0 {
        found.features.iter().for_each(|other| gather(view, other, contract, depth - 1, reads));
    }
}

/// `orders`, `orders.*` or `orders.total`; `None` where there is no such thing.
fn entry(project: &Project, text: &str) -> Option<Entry> {
    if let Some(contract) = project.contracts.newest_named(text.strip_suffix(".*").unwrap_or(text)) {
        return Some((contract.stream.to_string(), None));
    }
    // Names of streams may hold dots themselves.
    let mut cuts = text.match_indices('.').map(|(at, _)| at);
    cuts.find_map(|at| {
        let (stream, path) = (text.get(..at)?, text.get(at + 1..)?);
        let contract = project.contracts.newest_named(stream)?;
        contract.field(path)?;
        Some((contract.stream.to_string(), Some(path.to_owned())))
    })
}

/// `customer.city` lies inside `customer`.
fn is_inside(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'))
}

/// Leaves the listed fields, and of objects the listed parts.
fn prune(fields: &mut Vec<Field>, prefix: &str, paths: &[&str]) {
    fields.retain_mut(|field| {
        let path = format!("{prefix}{}", field.name);
        if paths.iter().any(|listed| *listed == path || is_inside(&path, listed)) {
            return true;
        }
        if !paths.iter().any(|listed| is_inside(listed, &path)) {
            return false;
        }
        match &mut field.kind {
            Kind::Object(inner) => {
                prune(inner, &format!("{path}."), paths);
                !inner.is_empty()
            }
            _ => false,
        }
    });
}

fn classes_of(fields: &[Field], classes: Classes) -> Classes {
    fields.iter().fold(classes, |classes, field| {
        let classes = classes.with(field.effective);
        match &field.kind {
            Kind::Object(inner) => classes_of(inner, classes),
            Kind::Array(Some(item)) => classes_of(std::slice::from_ref(&**item), classes),
            _ => classes,
        }
    })
}
