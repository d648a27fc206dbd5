//! The technical documentation of a use case (AI Act article 11 and annex IV), and the papers of its assessment, from
//! what runs. What only people can write stands in files the use case names; what is missing is said.

use event::Instant;
use serde::Serialize;

use crate::assessment::Assessment;
use crate::document::Document;
use crate::language::{Language, day, minute};
use crate::ropa::Controller;
use crate::state::UseCaseState;

/// A model of the use case, as its card has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelPart {
    /// Model and version.
    pub name: String,
    /// Where it stands.
    pub stage: String,
    /// What it says.
    pub what: String,
    /// How it was fitted.
    pub method: String,
    /// What it is meant for.
    pub intended_use: String,
    /// What it must not be used for.
    pub limits: String,
    /// Who answers for it.
    pub owner: String,
    /// The hash of its data, and what it was made from.
    pub data: String,
    /// The columns it looks at.
    pub inputs: Vec<String>,
    /// Figure, value, segment.
    pub figures: Vec<(String, String, String)>,
    /// The gate's last word.
    pub gate: String,
    /// What happened to it, oldest first.
    pub history: Vec<String>,
}

/// Everything annex IV asks for that the house knows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TechnicalFile {
    /// Who provides it.
    pub provider: Controller,
    /// The use case.
    pub use_case: String,
    /// Its version.
    pub version: String,
    /// What it is about.
    pub description: String,
    /// Who answers for it.
    pub responsible: String,
    /// The purpose and its legal basis.
    pub purpose: String,
    /// The goal and its formula.
    pub goal: String,
    /// The build of the house.
    pub software: String,
    /// What it looks at.
    pub inputs: Vec<String>,
    /// What it gives.
    pub outputs: Vec<String>,
    /// What it can do: action, channel, conditions.
    pub actions: Vec<Vec<String>>,
    /// Where data come from.
    pub sources: Vec<String>,
    /// How one of several actions is chosen, what limits it.
    pub limits: Vec<String>,
    /// Who can stop it, and how.
    pub oversight: Vec<String>,
    /// Files that people wrote: what, path.
    pub papers: Vec<(String, String)>,
    /// What it did: decisions, outcomes.
    pub in_use: Vec<String>,
    /// The models.
    pub models: Vec<ModelPart>,
    /// What was found of it.
    pub assessment: Option<Assessment>,
    /// What people have said.
    pub state: UseCaseState,
    /// When it was generated.
    pub at: Instant,
}

/// The technical documentation as a document, in the order of annex IV.
pub fn technical_file(file: &TechnicalFile, language: Language) -> Document {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    let mut page = Document::new(
        format!("{}: {}", say("Technical documentation", "Technische Dokumentation"), file.use_case),
        language,
    );
    page.subtitle = format!(
        "{} · {} {} · {}",
        say("AI Act article 11, annex IV", "KI-Verordnung Art. 11, Anhang IV"),
        say("version", "Version"),
        file.version,
        minute(file.at)
    );
    page.heading(1, say("1 General description", "1 Allgemeine Beschreibung"));
    let rows = [
        (say("Intended purpose", "Zweckbestimmung"), &file.description),
        (say("Provider", "Anbieter"), &file.provider.name),
        (say("Responsible", "Verantwortlich"), &file.responsible),
        (say("Purpose and legal basis", "Zweck und Rechtsgrundlage"), &file.purpose),
        (say("Goal", "Ziel"), &file.goal),
        (say("Software", "Software"), &file.software),
    ];
    page.table(
        &["", ""],
        rows.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).clone()]).collect(),
    );
    page.heading(1, say("2 Elements and how it was made", "2 Bestandteile und Entwicklung"));
    page.paragraph(format!("{}: {}", say("Inputs", "Eingaben"), file.inputs.join(", ")));
    page.paragraph(format!("{}: {}", say("Outputs", "Ausgaben"), file.outputs.join(", ")));
    page.paragraph(format!("{}: {}", say("Data from", "Daten aus"), file.sources.join(", ")));
    page.table(
        &[
            say("Action", "Aktion"),
            say("Channel", "Kanal"),
            say("Purpose", "Zweck"),
            say("Score", "Bewertung"),
        ],
        file.actions.clone(),
    );
    page.list(file.limits.clone());
    for model in &file.models {
        write_model(&mut page, model, language);
    }
    page.heading(
        1,
        say("3 Monitoring, functioning and control", "3 Überwachung, Funktionsweise und Kontrolle"),
    );
    page.list(file.oversight.clone());
    page.list(file.in_use.clone());
    page.heading(1, say("4 Performance metrics", "4 Leistungskennzahlen"));
    let figures = file.models.iter().flat_map(|model| {
        model
            .figures
            .iter()
            .map(|(name, value, slice)| vec![model.name.clone(), name.clone(), value.clone(), slice.clone()])
    });
    page.table(
        &[say("Model", "Modell"), say("Figure", "Kennzahl"), say("Value", "Wert"), say("Segment", "Segment")],
        figures.collect(),
    );
    page.heading(1, say("5 Risk management", "5 Risikomanagement"));
    if let Some(found) = &file.assessment {
        risk_section(&mut page, found, language);
    }
    page.heading(1, say("6 Changes", "6 Änderungen"));
    let earlier = file.state.earlier.iter().map(|one| {
        let (day, class) = (day(one.at), one.class.said(language));
        format!("{day} · {} {} · {}: {class}", say("version", "Version"), one.version, say("class", "Klasse"))
    });
    page.list(earlier.collect());
    let history = file
        .models
        .iter()
        .flat_map(|model| model.history.iter().map(|line| format!("{}: {line}", model.name)));
    page.list(history.collect());
    page.heading(1, say("7–9 Standards, declaration, plan", "7–9 Normen, Erklärung, Plan"));
    page.table(
        &[say("Paper", "Unterlage"), say("File", "Datei")],
        file.papers.iter().map(|(what, path)| vec![what.clone(), path.clone()]).collect(),
    );
    page
}

fn write_model(page: &mut Document, model: &ModelPart, language: Language) {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    page.heading(2, format!("{}: {}", say("Model", "Modell"), model.name));
    let inputs = model.inputs.join(", ");
    let rows = [
        (say("Stage", "Stufe"), &model.stage),
        (say("What it says", "Aussage"), &model.what),
        (say("Method", "Verfahren"), &model.method),
        (say("Intended use", "Vorgesehen für"), &model.intended_use),
        (say("Limits", "Grenzen"), &model.limits),
        (say("Owner", "Zuständig"), &model.owner),
        (say("Training data", "Trainingsdaten"), &model.data),
        (say("Looks at", "Betrachtet"), &inputs),
        (say("Gate", "Gate"), &model.gate),
    ];
    page.table(
        &["", ""],
        rows.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).clone()]).collect(),
    );
}

/// The class and its reasons; open questions and what is missing.
pub(crate) fn risk_section(page: &mut Document, found: &Assessment, language: Language) {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    let class = &found.classification;
    let mut line = format!("{}: {}", say("Class in force", "Klasse in Kraft"), class.class.said(language));
    if let Some(coming) = class.coming {
        line.push_str(&format!(" · {} {}: {}", say("from", "ab"), coming.from, coming.class.said(language)));
    }
    page.paragraph(format!("{line} · {}: {}", say("rules", "Regeln"), class.rules));
    let rows = class.reasons.iter().map(|reason| {
        vec![
            reason.article.clone(),
            reason.text.said(language).to_owned(),
            reason.class.said(language).to_owned(),
            reason.applies_from.to_string(),
            reason.because_of.clone(),
        ]
    });
    page.table(
        &[
            say("Article", "Artikel"),
            say("About", "Worum"),
            say("Class", "Klasse"),
            say("Applies from", "Gilt ab"),
            say("Because of", "Wegen"),
        ],
        rows.collect(),
    );
    for open in &class.open {
        page.warning(format!(
            "{} “{}”: {} `{}`",
            say("Nobody has answered, the words say", "Unbeantwortet, der Text sagt"),
            open.words,
            say("is it", "ist es"),
            open.about
        ));
    }
    for exempt in &class.exempt {
        let verdict = if exempt.granted {
            say("narrow task, article 6(3)", "enge Aufgabe, Art. 6 Abs. 3")
        } else {
            say(
                "claimed as a narrow task, in vain: people are profiled",
                "als enge Aufgabe beansprucht, vergeblich: es wird Profiling betrieben",
            )
        };
        page.paragraph(format!("{}: {verdict}: {}", exempt.article, exempt.because));
    }
    for missing in &found.missing {
        page.warning(format!(
            "{}: {} ({})",
            say("Missing", "Fehlt"),
            missing.text.said(language),
            missing.article
        ));
    }
}

/// The register of classes.
pub fn risk_register(
    found: &[(Assessment, UseCaseState)],
    sources: &[String],
    at: Instant,
    language: Language,
) -> Document {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    let mut page = Document::new(
        say("Risk classes under the AI Act", "Risikoklassen nach der KI-Verordnung").to_owned(),
        language,
    );
    page.subtitle = format!("{} {}", say("as of", "Stand"), minute(at));
    for (assessment, state) in found {
        page.heading(1, format!("{} {}", assessment.use_case, assessment.version));
        risk_section(&mut page, assessment, language);
        if let Some(stop) = &state.stop {
            page.warning(format!(
                "{} {} {}: {}",
                say("Stopped by", "Angehalten von"),
                stop.by,
                minute(stop.at),
                stop.reason
            ));
        }
        let earlier = state.earlier.iter().map(|one| {
            format!("{} · {} · {} · {}", day(one.at), one.version, one.class.said(language), one.rules)
        });
        page.list(earlier.collect());
    }
    page.heading(1, say("Sources of the rules", "Quellen der Regeln"));
    page.list(sources.to_vec());
    page
}

/// The impact assessment of a use case: what triggered it, what is done, who signed.
pub fn impact_assessment(file: &TechnicalFile, paper: Option<&str>, language: Language) -> Document {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    let mut page = Document::new(
        format!(
            "{}: {}",
            say("Data protection impact assessment", "Datenschutz-Folgenabschätzung"),
            file.use_case
        ),
        language,
    );
    page.subtitle = format!("{} · {}", say("GDPR article 35", "Art. 35 DSGVO"), minute(file.at));
    let Some(found) = &file.assessment else { return page };
    page.heading(1, say("Whether one is due", "Ob sie nötig ist"));
    if !found.dpia.is_due() {
        page.paragraph(say("None is due by the rules.", "Nach den Regeln ist keine nötig.").to_owned());
    }
    page.paragraph(format!("{}: {}", say("Rules", "Regeln"), found.dpia.rules));
    page.list(
        found.dpia.triggers.iter().map(|t| format!("{}: {}", t.article, t.text.said(language))).collect(),
    );
    page.list(
        found.dpia.facts.iter().map(|(name, text)| format!("{name}: {}", text.said(language))).collect(),
    );
    page.heading(1, say("What is done and what for", "Was geschieht und wozu"));
    let rows = [
        (say("What", "Was"), &file.description),
        (say("Purpose and legal basis", "Zweck und Rechtsgrundlage"), &file.purpose),
        (say("Goal", "Ziel"), &file.goal),
        (say("Responsible", "Verantwortlich"), &file.responsible),
    ];
    page.table(
        &["", ""],
        rows.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).clone()]).collect(),
    );
    page.paragraph(format!("{}: {}", say("Inputs", "Eingaben"), file.inputs.join(", ")));
    page.paragraph(format!("{}: {}", say("Data from", "Daten aus"), file.sources.join(", ")));
    page.heading(1, say("Risks, necessity, measures", "Risiken, Notwendigkeit, Maßnahmen"));
    match paper {
        Some(text) => text.split("\n\n").for_each(|part| page.paragraph(part.to_owned())),
        None => page.warning(
            say(
                "The use case names no file under `dpia: file`.",
                "Der Anwendungsfall nennt keine Datei unter `dpia: file`.",
            )
            .to_owned(),
        ),
    }
    page.list(file.oversight.clone());
    page.list(file.limits.clone());
    page.heading(1, say("Signatures", "Unterschriften"));
    page.paragraph(format!("{}: {}", say("For", "Für"), found.hash));
    let signed =
        file.state.dpia.iter().filter(|dpia| dpia.hash == found.hash).flat_map(|dpia| &dpia.signatures);
    let rows: Vec<Vec<String>> =
        signed.map(|one| vec![one.by.clone(), minute(one.at), one.note.clone()]).collect();
    if rows.is_empty() {
        page.paragraph(say("Nobody has signed.", "Niemand hat unterzeichnet.").to_owned());
    }
    page.table(&[say("Who", "Wer"), say("When", "Wann"), say("Note", "Anmerkung")], rows);
    page
}
