//! What is known of a use case, for the rules: told by its file and by the running house.

use std::collections::BTreeSet;

use decide::{Effect, RiskClass, ScoreSource, UseCase};
use event::Instant;
use register::{Assessment, Class, Classification, Day, DpiaNeed, Facts, Missing, Rulebook};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::project::Project;

/// Papers of a use case that a person wrote.
pub(crate) fn paper(project: &Project, path: Option<&String>) -> Option<String> {
    let path = project.dir.join(path?);
    let small = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() < 4 << 20);
    let text = small.then(|| std::fs::read_to_string(&path).ok()).flatten()?;
    Some(text).filter(|text| !text.trim().is_empty())
}

/// What its class depends on.
pub(crate) fn facts(use_case: &UseCase) -> Facts {
    let duties = &use_case.duties;
    let day = |at: Instant| at.to_string().chars().take(10).collect::<String>().parse::<Day>().ok();
    Facts {
        uses: duties.uses.iter().cloned().collect(),
        not: duties.not.iter().cloned().collect(),
        narrow_task: duties.narrow_task.clone(),
        profiling: is_profiling(use_case),
        on_market_since: duties.on_market_since.and_then(day),
        words: words(use_case),
    }
}

/// Whether people are evaluated: anything known of a person decides.
pub(crate) fn is_profiling(use_case: &UseCase) -> bool {
    let is_model = |score: &ScoreSource| matches!(score, ScoreSource::Model(_) | ScoreSource::Input(_));
    !use_case.inputs.is_empty() || use_case.actions.iter().any(|action| is_model(&action.score))
}

fn words(use_case: &UseCase) -> String {
    let mut words = vec![
        use_case.name.as_str(),
        use_case.description.as_str(),
        use_case.purpose.as_str(),
        use_case.goal.metric.as_str(),
        use_case.goal.formula.as_str(),
    ];
    words.extend(use_case.goal.success.iter().map(String::as_str));
    words.extend(use_case.inputs.iter().map(|input| input.name.as_str()));
    words.extend(use_case.outputs.iter().chain(&use_case.models).map(String::as_str));
    for action in &use_case.actions {
        words.extend([
            action.name.as_str(),
            action.creative.as_str(),
            action.offer.as_str(),
            action.channel.as_str(),
        ]);
    }
    words.join("\n")
}

/// What is so, for an impact assessment.
pub(crate) fn dpia_facts(
    project: &Project,
    use_case: &UseCase,
    class: Class,
    is_large: bool,
) -> BTreeSet<String> {
    let mut facts: BTreeSet<String> = use_case.duties.dpia_facts.iter().cloned().collect();
    let mut so = |name: &str, is_so: bool| {
        if is_so {
            facts.insert(name.to_owned());
        }
    };
    so("scoring", is_profiling(use_case));
    so("significant_effect", use_case.duties.effect != Effect::None);
    let special = use_case.sources.iter().any(|stream| has_special(project, stream));
    so("special_categories", special);
    so("large_scale", is_large || project.settings.registers.large_scale);
    let talks = ["chat", "generated_content", "emotion_recognition", "biometric_categories"];
    so("new_technology", use_case.duties.uses.iter().any(|one| talks.contains(&one.as_str())));
    so("ai_high_risk", class >= Class::High);
    facts
}

/// Whether a stream has fields of a special category: what may be used counts, used or not.
pub(crate) fn has_special(project: &Project, stream: &str) -> bool {
    let Some(contract) = project.contracts.newest_named(stream) else { return false };
    let paths = contract.declared_paths();
    paths.iter().any(|path| {
        contract.field(path).is_some_and(|field| field.effective == contract::Classification::Special)
    })
}

/// The class of a use case as of an instant.
pub(crate) fn classify(book: &Rulebook, use_case: &UseCase, at: Instant) -> Classification {
    book.ai_act(at).map(|rules| rules.classify(&facts(use_case), at)).unwrap_or_default()
}

/// All that is found of a use case; `missing` is what a running house adds for class high.
pub(crate) fn assessment(
    project: &Project,
    book: &Rulebook,
    use_case: &UseCase,
    is_large: bool,
    at: Instant,
) -> Assessment {
    let classification = classify(book, use_case, at);
    let facts = dpia_facts(project, use_case, classification.strictest(), is_large);
    let dpia = book.dpia(at).map(|rules| rules.need(&facts)).unwrap_or_default();
    Assessment {
        use_case: use_case.name.clone(),
        version: use_case.version.to_string(),
        hash: hash(project, use_case, &classification, &dpia),
        missing: Vec::new(),
        classification,
        dpia,
    }
}

/// Names what people sign for. How many people it concerns is left out: that grows by itself.
fn hash(project: &Project, use_case: &UseCase, class: &Classification, dpia: &DpiaNeed) -> String {
    let actions: Vec<_> = use_case
        .actions
        .iter()
        .map(|one| json!([one.name, one.channel, one.purpose, one.score, one.eligible]))
        .collect();
    let facts: Vec<&str> =
        dpia.facts.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "large_scale").collect();
    let rules: Vec<&str> = class.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    let signed = json!({
        "name": use_case.name, "purpose": use_case.purpose, "basis": use_case.legal_basis,
        "inputs": use_case.inputs, "outputs": use_case.outputs, "sources": use_case.sources,
        "models": use_case.models, "actions": actions, "duties": use_case.duties,
        "class": class.strictest(), "rules": rules, "facts": facts,
        "paper": paper(project, use_case.duties.dpia_file.as_ref()),
    });
    let digest = Sha256::digest(signed.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The class a use case gives itself.
pub(crate) fn declared(use_case: &UseCase) -> Class {
    match use_case.risk_class {
        RiskClass::Minimal => Class::Minimal,
        RiskClass::Limited => Class::Limited,
        RiskClass::High => Class::High,
    }
}

/// What class high asks for and the project's files do not give. What only a running house knows is asked there.
pub(crate) fn missing_papers(
    project: &Project,
    book: &Rulebook,
    use_case: &UseCase,
    at: Instant,
) -> Vec<Missing> {
    let Some(rules) = book.ai_act(at) else { return Vec::new() };
    let class = rules.classify(&facts(use_case), at);
    let duties = &use_case.duties;
    let has = |path: Option<&String>| paper(project, path).is_some();
    let required = rules.required(&class).filter(|one| match one.id.as_str() {
        "risk_file" => !has(duties.risk_file.as_ref()),
        "instructions" => !has(duties.instructions.as_ref()),
        "fundamental_rights_file" => !has(duties.fundamental_rights_file.as_ref()),
        "oversight" => duties.oversight.iter().collect::<BTreeSet<_>>().len() < 2,
        "annex_iv" => use_case.description.trim().is_empty() || use_case.responsible.trim().is_empty(),
        _ => false,
    });
    required
        .map(|one| Missing { id: one.id.clone(), article: one.article.clone(), text: one.text.clone() })
        .collect()
}
