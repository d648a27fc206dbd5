//! What `check` finds without a server: rule files with errors, flows that stand in no register, classes that are said
//! too low, answers nobody gave.

use std::path::Path;

use decide::{Effect, LegalBasis, Review, UseCase};
use event::Instant;
use register::{Class, Rulebook};

use super::facts;
use crate::finding::{Finding, Severity, finding};
use crate::project::{Project, files};

/// The rule sets of this build with those of the project.
pub(crate) fn rules(dir: &Path, findings: &mut Vec<Finding>) -> Rulebook {
    let mut book = Rulebook::embedded().unwrap_or_else(|problems| {
        for problem in problems {
            findings.push(finding("MR3706", "the rules of this build", 1, problem.message));
        }
        Rulebook::default()
    });
    for (file, text) in files(dir, "rules", findings) {
        for problem in book.add(&text).err().into_iter().flatten() {
            let line = usize::try_from(problem.line).unwrap_or(1);
            findings.push(finding("MR3706", &file, line, problem.message));
        }
    }
    book
}

/// Everything that the registers find wrong in a project.
pub(crate) fn check(project: &Project, findings: &mut Vec<Finding>) {
    let book = rules(&project.dir, findings);
    // A project that is checked is checked against the law of now; the future is asked for with `register risk --at`.
    let at = super::today(project.starts_at.unwrap_or(Instant::EARLIEST));
    for use_case in &project.use_cases {
        let file = format!("usecases/{}.yaml", use_case.name);
        let mut say = |code, message: String| findings.push(finding(code, &file, 1, message));
        flows(project, use_case, &mut say);
        words(&book, use_case, at, &mut say);
        class(&book, use_case, at, &mut say);
        decisive(use_case, &mut say);
        if facts::classify(&book, use_case, at).strictest() >= Class::High {
            let missing = facts::missing_papers(project, &book, use_case, at);
            findings.extend(missing.into_iter().map(|one| {
                let text = format!(
                    "class high asks for {} ({}); it decides nothing until then",
                    one.text.en, one.article
                );
                Finding { severity: Severity::Warning, ..finding("MR3712", &file, 1, text) }
            }));
        }
    }
    for name in project.settings.registers.recipients.values().flat_map(|one| &one.purposes) {
        if !project.settings.purposes.contains_key(name) {
            let message =
                format!("[registers.recipients] names the purpose `{name}`, which is not in [purposes]");
            findings.push(finding("MR3701", "maschinenraum.toml", 1, message));
        }
    }
}

/// Article 30: a flow that the register could not show is an error.
fn flows(project: &Project, use_case: &UseCase, say: &mut impl FnMut(&'static str, String)) {
    let known = project.settings.purposes.get(&use_case.purpose);
    let said = use_case.legal_basis.as_str();
    if let Some(purpose) = known
        && purpose.basis != said
    {
        let message = format!(
            "it says its purpose `{}` rests on `{said}`, and maschinenraum.toml says `{}`",
            use_case.purpose, purpose.basis
        );
        say("MR3701", message);
    }
    for stream in &use_case.sources {
        let Some(contract) = project.contracts.newest_named(stream) else { continue };
        let allowed = contract.purposes.iter().any(|purpose| purpose.name == use_case.purpose);
        if !allowed && contract.has_sealed() {
            let names: Vec<&str> = contract.purposes.iter().map(|purpose| purpose.name.as_str()).collect();
            let message = format!(
                "it uses `{stream}` for `{}`, which `{}` does not list ({}): a flow in no register",
                use_case.purpose,
                contract.file,
                names.join(", ")
            );
            say("MR3701", message);
        }
    }
}

/// Words that no rule knows.
fn words(book: &Rulebook, use_case: &UseCase, at: Instant, say: &mut impl FnMut(&'static str, String)) {
    // A rule set of another day may know more: what none knows is a slip.
    if let Some(rules) = book.ai_act(at.max(Instant::now())) {
        let known = rules.uses();
        for name in use_case.duties.uses.iter().chain(&use_case.duties.not) {
            if !known.contains(name.as_str()) {
                let all = known.iter().copied().collect::<Vec<_>>().join(", ");
                say("MR3705", format!("`ai_act` names `{}`, a use no rule knows; known: {all}", short(name)));
            }
        }
    }
    if let Some(rules) = book.dpia(at.max(Instant::now())) {
        let known = rules.known();
        for name in &use_case.duties.dpia_facts {
            if !known.contains(name.as_str()) {
                let all = known.iter().copied().collect::<Vec<_>>().join(", ");
                say(
                    "MR3705",
                    format!("`dpia: facts` names `{}`, which no rule knows; known: {all}", short(name)),
                );
            }
        }
    }
}

/// The class it says, and the one it has.
fn class(book: &Rulebook, use_case: &UseCase, at: Instant, say: &mut impl FnMut(&'static str, String)) {
    let found = facts::classify(book, use_case, at);
    for open in &found.open {
        say(
            "MR3704",
            format!(
                "its words say “{}”: is it `{}`? Write `ai_act: {{uses: [{}]}}`, or `ai_act: {{not: [{}], because: …}}`; \
                 until then it counts as a yes",
                short(&open.words),
                open.about,
                open.about,
                open.about
            ),
        );
    }
    if !found.open.is_empty() {
        return;
    }
    let class = found.strictest();
    let reasons = || {
        let because = found.reasons.iter().filter(|reason| reason.class == class);
        let because =
            because.map(|r| format!("{} ({}), applies from {}", r.article, r.text.en, r.applies_from));
        because.collect::<Vec<_>>().join("; ")
    };
    if class == Class::Prohibited {
        say("MR3702", format!("is prohibited by {}: {}", found.rules, reasons()));
    } else if class > facts::declared(use_case) {
        say(
            "MR3703",
            format!(
                "says `risk_class: {}` and is {class} by {}: {}; write `risk_class: {class}`",
                facts::declared(use_case),
                found.rules,
                reasons()
            ),
        );
    }
}

/// GDPR article 22: what weighs on people is not decided by a machine alone.
fn decisive(use_case: &UseCase, say: &mut impl FnMut(&'static str, String)) {
    let duties = &use_case.duties;
    if duties.effect == Effect::None {
        return;
    }
    let has_ground = matches!(
        use_case.legal_basis,
        LegalBasis::Consent | LegalBasis::Contract | LegalBasis::LegalObligation
    );
    match duties.review {
        Review::Before => {}
        Review::OnRequest if has_ground => {}
        Review::OnRequest => say(
            "MR3713",
            format!(
                "its decisions weigh on people and `{}` is no ground of article 22(2): write `ai_act: {{review: before}}`",
                use_case.legal_basis.as_str()
            ),
        ),
        Review::None => say(
            "MR3713",
            "its decisions weigh on people and nobody can have a person look at them (article 22): write `ai_act: \
             {review: before}`, or `review: on_request` where consent, a contract or a law allows it"
                .to_owned(),
        ),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
