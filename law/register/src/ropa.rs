//! The record of processing activities (GDPR article 30(1)), from what runs.

use event::Instant;
use serde::Serialize;

use crate::ai_act::Class;
use crate::document::Document;
use crate::language::{Language, Text, day, minute};

/// Who is responsible (article 30(1)(a)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Name and address.
    pub name: String,
    /// How they are reached.
    pub contact: String,
    /// The data protection officer.
    pub officer: String,
    /// The representative in the Union, where there must be one.
    pub representative: String,
    /// The authority that is competent.
    pub authority: String,
}

/// A field of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its path.
    pub name: String,
    /// `public`, `internal`, `personal`, `special`.
    pub class: String,
}

/// A stream of records that an activity uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// The contract's version.
    pub version: String,
    /// Who answers for it.
    pub owner: String,
    /// Whom it is about: `person`, …
    pub subject_kind: String,
    /// What is known, by field.
    pub fields: Vec<Field>,
    /// How long records are kept; `None` where nobody says.
    pub retention: Option<String>,
    /// Where records come from: a capture, a webhook, a folder, the tracking protocol.
    pub sources: Vec<String>,
    /// Records there are.
    pub n_records: u64,
    /// When the latest came.
    pub latest: Option<Instant>,
}

/// Somebody who gets data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// Who.
    pub name: String,
    /// What they get, and how.
    pub what: Text,
    /// The country, where it is known.
    pub country: String,
    /// What the transfer to a third country rests on.
    pub safeguards: String,
    /// True where the running house says so; false where only the settings do.
    pub live: bool,
}

/// A use case, in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UseCaseLine {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who answers for it.
    pub responsible: String,
    /// What it is about.
    pub description: String,
    /// How confidential.
    pub security_level: String,
    /// The class in force.
    pub class: Class,
    /// `not needed`, `signed`, `missing`.
    pub dpia: String,
    /// True while a person has stopped it.
    pub stopped: bool,
}

/// One processing activity: everything that is done for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// The purpose.
    pub purpose: String,
    /// The legal basis, as files have it.
    pub basis: String,
    /// In words.
    pub description: String,
    /// Use cases that decide for it.
    pub use_cases: Vec<UseCaseLine>,
    /// Models that are trained for it.
    pub models: Vec<String>,
    /// Segments that are made for it.
    pub segments: Vec<String>,
    /// Streams that may be used for it.
    pub streams: Vec<Stream>,
    /// Who gets data.
    pub recipients: Vec<Recipient>,
}

/// The whole record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ropa {
    /// Who is responsible.
    pub controller: Controller,
    /// When it was generated.
    pub at: Instant,
    /// What is done, by purpose.
    pub activities: Vec<Activity>,
    /// Technical and organisational measures (article 30(1)(g), 32), from the running house.
    pub measures: Vec<Text>,
    /// What the register lacks: where a person must add something.
    pub gaps: Vec<Text>,
}

/// The record as a document.
pub fn record_of_processing(ropa: &Ropa, language: Language) -> Document {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    let mut page = Document::new(
        say("Record of processing activities", "Verzeichnis von Verarbeitungstätigkeiten").to_owned(),
        language,
    );
    page.subtitle = format!(
        "{} · {} {}",
        say("GDPR article 30(1)", "Art. 30 Abs. 1 DSGVO"),
        say("generated from the running house at", "erzeugt aus dem laufenden System am"),
        minute(ropa.at)
    );
    page.heading(1, say("Controller", "Verantwortlicher"));
    let controller = &ropa.controller;
    let rows = [
        (say("Name", "Name"), &controller.name),
        (say("Contact", "Kontakt"), &controller.contact),
        (say("Data protection officer", "Datenschutzbeauftragte Person"), &controller.officer),
        (say("Representative", "Vertreter"), &controller.representative),
        (say("Authority", "Aufsichtsbehörde"), &controller.authority),
    ];
    let known = rows.iter().filter(|(_, value)| !value.is_empty());
    page.table(&["", ""], known.map(|(name, value)| vec![(*name).to_owned(), (*value).clone()]).collect());
    for gap in &ropa.gaps {
        page.warning(gap.said(language));
    }
    for activity in &ropa.activities {
        write(&mut page, activity, language);
    }
    page.heading(1, say("Security of processing", "Sicherheit der Verarbeitung"));
    page.list(ropa.measures.iter().map(|text| text.said(language).to_owned()).collect());
    page
}

fn write(page: &mut Document, activity: &Activity, language: Language) {
    let say = |en: &'static str, de: &'static str| language.say(en, de);
    page.heading(1, format!("{}: {}", say("Purpose", "Zweck"), activity.purpose));
    page.paragraph(activity.description.clone());
    page.paragraph(format!(
        "{}: {}",
        say("Legal basis", "Rechtsgrundlage"),
        basis(&activity.basis, language)
    ));
    if !activity.use_cases.is_empty() {
        page.heading(2, say("Use cases", "Anwendungsfälle"));
        let rows = activity.use_cases.iter().map(|one| {
            let state = if one.stopped { say("stopped", "angehalten") } else { say("runs", "läuft") };
            vec![
                format!("{} {}", one.name, one.version),
                one.description.clone(),
                one.responsible.clone(),
                one.class.said(language).to_owned(),
                dpia(&one.dpia, language).to_owned(),
                state.to_owned(),
            ]
        });
        page.table(
            &[
                say("Use case", "Anwendungsfall"),
                say("What", "Was"),
                say("Responsible", "Verantwortlich"),
                say("AI Act class", "Klasse KI-VO"),
                say("Impact assessment", "Folgenabschätzung"),
                say("State", "Zustand"),
            ],
            rows.collect(),
        );
    }
    let mut made: Vec<String> =
        activity.models.iter().map(|name| format!("{}: {name}", say("model", "Modell"))).collect();
    made.extend(activity.segments.iter().map(|name| format!("{}: {name}", say("segment", "Segment"))));
    page.list(made);
    page.heading(2, say("People and data", "Betroffene und Daten"));
    if activity.streams.is_empty() {
        page.paragraph(
            say("No stream may be used for it.", "Kein Datenstrom darf dafür benutzt werden.").to_owned(),
        );
    }
    let rows = activity.streams.iter().map(|stream| {
        let named = |class: &str| {
            let names =
                stream.fields.iter().filter(|field| field.class == class).map(|field| field.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let special = named("special");
        let personal = named("personal");
        let data = match (personal.is_empty(), special.is_empty()) {
            (true, true) => say("none personal", "keine personenbezogenen").to_owned(),
            (_, true) => personal,
            (true, false) => format!("{}: {special}", say("ARTICLE 9", "ART. 9")),
            (false, false) => format!("{personal}; {}: {special}", say("ARTICLE 9", "ART. 9")),
        };
        vec![
            format!("{} {}", stream.name, stream.version),
            stream.subject_kind.clone(),
            data,
            stream.retention.clone().unwrap_or_else(|| say("not said", "nicht festgelegt").to_owned()),
            stream.sources.join(", "),
            format!(
                "{}{}",
                stream.n_records,
                stream.latest.map(|at| format!(" ({} {})", say("to", "bis"), day(at))).unwrap_or_default()
            ),
            stream.owner.clone(),
        ]
    });
    page.table(
        &[
            say("Stream", "Datenstrom"),
            say("About", "Betroffene"),
            say("Personal data", "Personenbezogene Daten"),
            say("Kept for", "Aufbewahrung"),
            say("From", "Herkunft"),
            say("Records", "Datensätze"),
            say("Owner", "Zuständig"),
        ],
        rows.collect(),
    );
    page.heading(2, say("Recipients", "Empfänger"));
    if activity.recipients.is_empty() {
        page.paragraph(say("None.", "Keine.").to_owned());
    }
    let rows = activity.recipients.iter().map(|one| {
        vec![
            one.name.clone(),
            one.what.said(language).to_owned(),
            one.country.clone(),
            one.safeguards.clone(),
        ]
    });
    page.table(
        &[say("Who", "Wer"), say("What", "Was"), say("Country", "Land"), say("Safeguards", "Garantien")],
        rows.collect(),
    );
}

/// A legal basis in words.
fn basis(word: &str, language: Language) -> String {
    let (en, de) = match word {
        "consent" => ("consent, article 6(1)(a)", "Einwilligung, Art. 6 Abs. 1 lit. a"),
        "contract" => ("contract, article 6(1)(b)", "Vertrag, Art. 6 Abs. 1 lit. b"),
        "legal_obligation" => {
            ("legal obligation, article 6(1)(c)", "rechtliche Verpflichtung, Art. 6 Abs. 1 lit. c")
        }
        "vital_interests" => {
            ("vital interests, article 6(1)(d)", "lebenswichtige Interessen, Art. 6 Abs. 1 lit. d")
        }
        "public_task" => ("public task, article 6(1)(e)", "öffentliche Aufgabe, Art. 6 Abs. 1 lit. e"),
        "legitimate_interest" => {
            ("legitimate interest, article 6(1)(f)", "berechtigtes Interesse, Art. 6 Abs. 1 lit. f")
        }
        "not_personal" => ("nothing in it is personal", "nicht personenbezogen"),
        other => (other, other),
    };
    language.say(en, de).to_owned()
}

fn dpia(word: &str, language: Language) -> &str {
    match word {
        "not needed" => language.say("not needed", "nicht nötig"),
        "signed" => language.say("signed", "unterzeichnet"),
        "missing" => language.say("MISSING", "FEHLT"),
        other => other,
    }
}
