//! What requests say for features that are computed then, and tests of features.

use std::collections::BTreeMap;
use std::path::Path;

use contract::Contracts;
use decide::{Input, Origin, UseCase};
use feature::{Context, View, Views};
use serde_json::{Map, Value};

use crate::finding::{Finding, finding};
use crate::modelspec::ModelSpec;
use crate::project::Project;

/// What a use case's features see of a request: the inputs that it declares as context, and nothing else, so that it
/// is recorded with the decision.
pub(crate) fn declared(use_case: &UseCase, context: &Map<String, Value>) -> Context {
    let names = use_case.inputs.iter().filter(|input| input.origin == Origin::Context);
    Context::of_json(names.filter_map(|input| context.get_key_value(&input.name)))
}

/// The same from inputs.
pub(crate) fn of_inputs(inputs: &[Input]) -> Context {
    let mut context = Context::default();
    for input in inputs.iter().filter(|input| input.origin == Origin::Context) {
        if let Some(value) = &input.value {
            context.insert(input.name.clone(), value.clone());
        }
    }
    context
}

/// The same from a record: what a request of that moment would have said.
pub(crate) fn of_record(fields: &Value) -> Context {
    fields.as_object().map(Context::of_json).unwrap_or_default()
}

/// True where a value of it may be made from what requests say, or from a segment, which may look at traits: nobody
/// classified that, so it counts as personal.
pub(crate) fn hears(view: &View, feature: &str) -> bool {
    let may = !view.context().is_empty() || !view.segments().is_empty();
    may && view.features().iter().any(|known| known.name() == feature && known.is_on_demand())
}

/// The names of the context that a feature needs, through whatever it is computed from.
fn needs(view: &View, feature: &str, depth: usize, out: &mut Vec<String>) {
    let Some(reads) = view.reads(feature) else { return };
    out.extend(reads.context);
    if depth > 0 {
        reads.features.iter().for_each(|other| needs(view, other, depth - 1, out));
    }
}

impl Project {
    /// What use cases and models leave out of what their features need of a request.
    pub(crate) fn missing_context(&self, findings: &mut Vec<Finding>) {
        let needed = |reference: &str| {
            let mut names = Vec::new();
            if let Some((view, feature)) = self.feature(reference) {
                needs(view, feature, view.features().len(), &mut names);
            }
            names.sort();
            names.dedup();
            names
        };
        for use_case in &self.use_cases {
            let says = |name: &str| {
                use_case.inputs.iter().any(|input| input.origin == Origin::Context && input.name == name)
            };
            for reference in use_case.features() {
                for name in needed(reference).iter().filter(|name| !says(name)) {
                    let message = format!(
                        "`{reference}` is computed from `{name}`, which the request says: declare it under \
                         `inputs: context:`"
                    );
                    let file = format!("usecases/{}.yaml", use_case.name);
                    findings.push(finding("MR5008", &file, 1, message));
                }
            }
        }
        for spec in &self.models {
            findings.extend(self.missing_of_model(spec, &needed));
        }
    }

    fn missing_of_model(&self, spec: &ModelSpec, needed: &dyn Fn(&str) -> Vec<String>) -> Vec<Finding> {
        let Some(contract) = self.contracts.newest_named(&spec.examples.stream) else { return Vec::new() };
        let has = |name: &str| contract.fields.iter().any(|field| field.name == name);
        let missing = spec.features.iter().flat_map(|reference| {
            let names = needed(reference).into_iter().filter(|name| !has(name));
            names.map(move |name| (reference, name))
        });
        missing
            .map(|(reference, name)| {
                let stream = &spec.examples.stream;
                let message = format!(
                    "`{reference}` is computed from `{name}`, which the request says; the examples' stream \
                     `{stream}` has no such field to learn from"
                );
                finding("MR7005", &format!("models/{}.yaml", spec.model), 1, message)
            })
            .collect()
    }

    /// Runs the tests in `features/tests`: how many files and values, and what is wrong.
    pub fn test_features(&self) -> (usize, usize, Vec<Finding>) {
        let mut findings = Vec::new();
        let tests = crate::project::files(&self.dir, "features/tests", &mut findings);
        let mut n_values = 0;
        for (file, text) in &tests {
            let tested = feature::run_fixture(text, file, &self.views, &self.contracts);
            n_values += tested.n_values;
            findings.extend(tested.findings);
        }
        (tests.len(), n_values, findings)
    }

    /// What tests each feature, by view reference (`orders@1`) and name: the file in `features/tests` in which every value
    /// that is expected of it comes out, under these views and contracts.
    pub(crate) fn tested_features(
        &self,
        views: &Views,
        contracts: &Contracts,
    ) -> BTreeMap<(String, String), String> {
        // What cannot be read tests nothing; `check` says so.
        let tests = crate::project::files(&self.dir, "features/tests", &mut Vec::new());
        let (mut by, mut failed) = (BTreeMap::new(), Vec::new());
        for (file, text) in &tests {
            let tested = feature::run_fixture(text, file, views, contracts);
            let Some(view) = tested.view else { continue };
            for name in tested.features {
                by.entry((view.clone(), name)).or_insert_with(|| file.clone());
            }
            failed.extend(tested.failed.into_iter().map(|name| (view.clone(), name)));
        }
        // One file in which it fails is enough.
        failed.iter().for_each(|feature| _ = by.remove(feature));
        by
    }

    /// True where the project has tests of features.
    pub fn has_feature_tests(&self) -> bool {
        Path::new(&self.dir).join("features/tests").is_dir()
    }
}
