//! Incidents and their clocks: 72 hours for a breach (GDPR article 33), 15, 10 or 2 days for an incident of a system of
//! class high (AI Act article 73).

use event::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::Error;
use crate::language::{Language, day, minute};
use crate::rules::Clock;
use crate::state::Signature;

/// What kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A breach of personal data.
    Breach,
    /// A serious incident of an AI system.
    AiIncident,
}

/// How bad it is; which clocks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// No risk to people: written down, nobody is told.
    None,
    /// Of a clock: it always runs.
    Always,
    /// A risk.
    Risk,
    /// A high risk to people's rights.
    HighRisk,
    /// A widespread infringement, or critical infrastructure was disrupted.
    Widespread,
    /// Somebody died.
    Death,
}

/// Fields of one class that were affected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The stream.
    pub stream: String,
    /// `personal` or `special`.
    pub class: String,
    /// The fields.
    pub fields: Vec<String>,
}

/// Whom and what an incident concerns, counted when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Records.
    pub n_records: u64,
    /// People.
    pub n_subjects: u64,
    /// Kinds of people: `person`, `household`, …
    pub subject_kinds: Vec<String>,
    /// What was known of them.
    pub categories: Vec<Category>,
}

/// Somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The clock this stopped.
    pub clock: String,
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Under which reference.
    pub reference: String,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// What kind.
    pub kind: IncidentKind,
    /// How bad.
    pub harm: Harm,
    /// Since when it is known: the clocks begin here.
    pub aware_at: Instant,
    /// When it began, where that is known.
    pub began_at: Option<Instant>,
    /// Who opened it.
    pub by: String,
    /// What happened, in words.
    pub what: String,
    /// The use case, where it concerns one.
    pub use_case: Option<String>,
    /// The streams.
    pub streams: Vec<String>,
    /// Whom and what it concerns.
    pub affected: Affected,
    /// What was and will be done.
    pub measures: String,
    /// Who was told.
    pub told: Vec<Told>,
    /// Once it is over.
    pub closed: Option<Signature>,
}

/// A clock of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The clock.
    pub clock: String,
    /// Where it stands.
    pub article: String,
    /// Who is told.
    pub to: String,
    /// Until when; `None`: without undue delay.
    pub until: Option<Instant>,
    /// When they were told.
    pub told_at: Option<Instant>,
    /// True where it was, or is, too late.
    pub late: bool,
    /// Only proposed: shown, never counted as late.
    pub proposed: bool,
}

impl Incident {
    /// The clocks that run for it, as of `now`.
    pub fn clocks(&self, clocks: &[Clock], now: Instant, language: Language) -> Vec<Due> {
        let runs = |clock: &&Clock| {
            clock.kind == self.kind
                && clock.applies_from.is_none_or(|from| from.begins() <= self.aware_at)
                && match clock.when {
                    Harm::Always => self.harm != Harm::None,
                    Harm::Risk => self.harm >= Harm::Risk,
                    Harm::HighRisk => self.harm >= Harm::HighRisk,
                    exactly => self.harm == exactly,
                }
        };
        let due = |clock: &Clock| {
            let until = clock.hours.map(|hours| self.aware_at + Span::from_secs(i64::from(hours) * 3_600));
            let told_at = self.told.iter().find(|told| told.clock == clock.id).map(|told| told.at);
            Due {
                clock: clock.id.clone(),
                article: clock.article.clone(),
                to: clock.to.said(language).to_owned(),
                until,
                told_at,
                late: !clock.proposed && until.is_some_and(|until| told_at.unwrap_or(now) > until),
                proposed: clock.proposed,
            }
        };
        let mut all: Vec<Due> = clocks.iter().filter(runs).map(due).collect();
        all.sort_by_key(|due| (due.until.is_none(), due.until));
        all
    }

    /// What is wrong with an incident that is to be opened at `now`.
    ///
    /// # Errors
    /// [`Error::Incident`]
    pub fn check(&self, now: Instant) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Incident { reason });
        if self.what.trim().is_empty() || self.by.trim().is_empty() {
            return refuse("an incident needs what happened and who says so".to_owned());
        }
        if self.what.len() > 10_000 || self.measures.len() > 10_000 || self.by.len() > 200 {
            return refuse(
                "10,000 bytes are the most for what happened and what is done, 200 for a name".to_owned(),
            );
        }
        if self.aware_at > now {
            return refuse(format!(
                "it is known since {}, which is still to come (now: {now})",
                self.aware_at
            ));
        }
        if self.began_at.is_some_and(|began| began > self.aware_at) {
            let began = self.began_at.unwrap_or(now);
            return refuse(format!("it began at {began}, after it was known at {}", self.aware_at));
        }
        if now - self.aware_at > Span::from_days(3_660) {
            return refuse(format!("it is known since {}, more than ten years ago", self.aware_at));
        }
        if self.harm == Harm::Always {
            return refuse("`always` is no harm: none, risk, high_risk, widespread or death".to_owned());
        }
        Ok(())
    }
}

/// The draft of a notification, with what article 33(3) asks for.
pub fn notification(
    incident: &Incident,
    due: &[Due],
    controller: &crate::Controller,
    now: Instant,
    language: Language,
) -> Document {
    let say = |en: &'static str, de: &'static str| language.say(en, de).to_owned();
    let title = match incident.kind {
        IncidentKind::Breach => say(
            "Notification of a personal data breach (draft)",
            "Meldung einer Datenschutzverletzung (Entwurf)",
        ),
        IncidentKind::AiIncident => {
            say("Report of a serious incident (draft)", "Meldung eines schwerwiegenden Vorfalls (Entwurf)")
        }
    };
    let mut page = Document::new(title, language);
    page.subtitle = format!("{} · {}", incident.id, minute(now));
    page.table(
        &["", ""],
        vec![
            vec![say("Controller", "Verantwortlicher"), controller.name.clone()],
            vec![say("Contact", "Kontakt"), controller.contact.clone()],
            vec![say("Data protection officer", "Datenschutzbeauftragte Person"), controller.officer.clone()],
            vec![say("Known since", "Bekannt seit"), minute(incident.aware_at)],
            vec![
                say("Began", "Beginn"),
                incident.began_at.map_or_else(|| say("not known", "nicht bekannt"), minute),
            ],
            vec![
                say("Use case", "Anwendungsfall"),
                incident.use_case.clone().unwrap_or_else(|| "–".to_owned()),
            ],
        ],
    );
    page.heading(1, say("What happened", "Was geschehen ist"));
    page.paragraph(incident.what.clone());
    page.heading(1, say("Who and what is concerned", "Wer und was betroffen ist"));
    let affected = &incident.affected;
    page.paragraph(format!(
        "{}: {} · {}: {}",
        say("People (approximately)", "Personen (ungefähr)"),
        affected.n_subjects,
        say("Records", "Datensätze"),
        affected.n_records
    ));
    let rows = affected
        .categories
        .iter()
        .map(|category| vec![category.stream.clone(), category.class.clone(), category.fields.join(", ")]);
    page.table(
        &[
            language.say("Stream", "Datenstrom"),
            language.say("Class", "Klasse"),
            language.say("Fields", "Felder"),
        ],
        rows.collect(),
    );
    page.heading(1, say("Likely consequences", "Wahrscheinliche Folgen"));
    page.paragraph(match incident.harm {
        Harm::None | Harm::Always => {
            say("No risk to people is expected.", "Ein Risiko ist nicht zu erwarten.")
        }
        Harm::Risk => say("A risk to rights and freedoms.", "Ein Risiko für Rechte und Freiheiten."),
        Harm::HighRisk => say(
            "A high risk to rights and freedoms; the people concerned are told (article 34).",
            "Ein hohes Risiko; die Betroffenen werden benachrichtigt (Art. 34).",
        ),
        Harm::Widespread => say("A widespread infringement.", "Ein weitverbreiteter Verstoß."),
        Harm::Death => say("A person died.", "Ein Mensch ist gestorben."),
    });
    page.heading(1, say("Measures", "Maßnahmen"));
    page.paragraph(if incident.measures.is_empty() {
        say("To be added.", "Noch zu ergänzen.")
    } else {
        incident.measures.clone()
    });
    page.heading(1, say("Clocks", "Fristen"));
    clock_table(&mut page, due, language);
    page
}

/// The register of incidents.
pub fn overview(
    incidents: &[(Incident, Vec<Due>)],
    controller: &crate::Controller,
    now: Instant,
    language: Language,
) -> Document {
    let mut page =
        Document::new(language.say("Register of incidents", "Verzeichnis der Vorfälle").to_owned(), language);
    page.subtitle = format!("{} · {}", controller.name, minute(now));
    if incidents.is_empty() {
        page.paragraph(language.say("There are none.", "Es gibt keine.").to_owned());
    }
    for (incident, due) in incidents {
        let state = match &incident.closed {
            Some(closed) => format!("{} {}", language.say("closed", "geschlossen"), day(closed.at)),
            None => language.say("open", "offen").to_owned(),
        };
        page.heading(1, format!("{} · {} · {state}", incident.id, day(incident.aware_at)));
        page.paragraph(incident.what.clone());
        page.paragraph(format!(
            "{}: {} · {}: {}",
            language.say("People", "Personen"),
            incident.affected.n_subjects,
            language.say("Records", "Datensätze"),
            incident.affected.n_records
        ));
        clock_table(&mut page, due, language);
        let told = incident
            .told
            .iter()
            .map(|told| format!("{} · {} · {} · {}", told.clock, minute(told.at), told.by, told.reference));
        page.list(told.collect());
    }
    page
}

fn clock_table(page: &mut Document, due: &[Due], language: Language) {
    let rows = due.iter().map(|due| {
        let until = match due.until {
            _ if due.proposed => language.say("only proposed", "nur vorgeschlagen").to_owned(),
            Some(until) => minute(until),
            None => language.say("without undue delay", "unverzüglich").to_owned(),
        };
        let told = match (due.told_at, due.late) {
            (Some(at), false) => minute(at),
            (Some(at), true) => format!("{} ({})", minute(at), language.say("late", "verspätet")),
            (None, true) => language.say("OVERDUE", "ÜBERFÄLLIG").to_owned(),
            (None, false) => "–".to_owned(),
        };
        vec![due.article.clone(), due.to.clone(), until, told]
    });
    page.table(
        &[
            language.say("Article", "Artikel"),
            language.say("Who is told", "Wem"),
            language.say("Until", "Bis"),
            language.say("Told", "Gemeldet"),
        ],
        rows.collect(),
    );
}
