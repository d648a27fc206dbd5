//! The explanation as text. Every sentence stands here once in each language.

use std::fmt::Write;

use crate::choose::WhyNot;
use crate::explain::{Explanation, Language};
use crate::finding::short;
use crate::money::Cents;
use crate::outcome::SendStatus;
use crate::usecase::{Cap, CapScope, NO_ACTION, ScoreSource};
use crate::value::{Observed, Origin, Value};

pub(crate) fn write(explanation: &Explanation, language: Language) -> String {
    let mut text = Text { out: String::new(), language, currency: explanation.currency.clone() };
    text.head(explanation);
    text.feasible(explanation);
    text.why_not(explanation);
    text.inputs(explanation);
    text.rules(explanation);
    text.aftermath(explanation);
    text.out
}

struct Text {
    out: String,
    language: Language,
    currency: String,
}

impl Text {
    /// The one of two texts in this language.
    fn say<'t>(&self, english: &'t str, german: &'t str) -> &'t str {
        match self.language {
            Language::English => english,
            Language::German => german,
        }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.out.push_str(line.as_ref().trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, english: &str, german: &str) {
        let heading = self.say(english, german).to_owned();
        self.line("");
        self.line(heading);
    }

    /// A number as the language writes it.
    fn number(&self, number: impl ToString) -> String {
        let number = number.to_string();
        match self.language {
            Language::English => number,
            Language::German => number.replace('.', ","),
        }
    }

    fn fixed(&self, number: f64, decimals: usize) -> String {
        self.number(format!("{number:.decimals$}"))
    }

    fn percent(&self, share: f64) -> String {
        self.fixed(share * 100.0, 2) + self.say("%", " %")
    }

    fn money(&self, amount: Cents) -> String {
        format!("{} {}", self.number(amount.in_units()), self.currency)
    }

    fn name(&self, action: &str) -> String {
        if action == NO_ACTION { self.say("(do nothing)", "(nichts tun)").to_owned() } else { short(action) }
    }

    fn head(&mut self, e: &Explanation) {
        let line = match self.language {
            Language::English => format!("Decision {} of {} {}", e.decision, e.use_case, e.use_case_version),
            Language::German => {
                format!("Entscheidung {} von {} {}", e.decision, e.use_case, e.use_case_version)
            }
        };
        self.line(line);
        let line = match self.language {
            Language::English => {
                format!("made at {} for profile {} ({})", e.at, short(&e.profile), e.purpose)
            }
            Language::German => {
                format!("getroffen am {} für Profil {} ({})", e.at, short(&e.profile), e.purpose)
            }
        };
        self.line(line);
        self.line("");
        let (name, probability, cost) =
            (self.name(&e.chosen.action), self.percent(e.chosen.propensity), self.money(e.cost));
        let line = match (self.language, e.chosen.channel.is_empty()) {
            (Language::English, true) => format!("Chosen: {name}, drawn with probability {probability}."),
            (Language::German, true) => {
                format!("Gewählt: {name}, gezogen mit Wahrscheinlichkeit {probability}.")
            }
            (Language::English, false) => format!(
                "Chosen: {name} by {} (creative {}, offer {}), drawn with probability {probability}; it costs {cost}.",
                e.chosen.channel,
                short(&e.chosen.creative),
                short(&e.chosen.offer)
            ),
            (Language::German, false) => format!(
                "Gewählt: {name} über {} (Motiv {}, Angebot {}), gezogen mit Wahrscheinlichkeit {probability}; Kosten {cost}.",
                e.chosen.channel,
                short(&e.chosen.creative),
                short(&e.chosen.offer)
            ),
        };
        self.line(line);
        if e.holdout.arm.held_out {
            let line = self.say(
                "The profile is held out to measure against: it gets nothing.",
                "Das Profil gehört zur Vergleichsgruppe: Es bekommt nichts.",
            );
            self.line(line);
        }
        let line = match e.reproduces {
            Some(true) => self.say(
                "The draw was reproduced from the record, bit for bit.",
                "Die Ziehung wurde aus dem Datensatz bitgenau nachgerechnet.",
            ),
            Some(false) => self.say(
                "WARNING: the record does not reproduce (MR5030).",
                "WARNUNG: Der Datensatz lässt sich nicht nachrechnen (MR5030).",
            ),
            None => self.say(
                "The evidence is sealed or erased: values, scores and reasons are not shown.",
                "Die Belege sind versiegelt oder gelöscht: Werte, Scores und Gründe fehlen hier.",
            ),
        };
        self.line(line);
    }

    fn feasible(&mut self, e: &Explanation) {
        if e.feasible.is_empty() {
            return;
        }
        self.heading("What was feasible", "Was möglich war");
        let titles = match self.language {
            Language::English => ["action", "score", "value", "cost", "expected gain", "probability"],
            Language::German => {
                ["Aktion", "Score", "Wert", "Kosten", "Gewinn (erwartet)", "Wahrscheinlichkeit"]
            }
        };
        let mut rows = vec![titles.map(str::to_owned)];
        for candidate in &e.feasible {
            rows.push([
                self.name(&candidate.action),
                candidate.score.map_or_else(|| "–".to_owned(), |score| self.fixed(score, 4)),
                self.money(candidate.value),
                self.money(candidate.cost),
                format!("{} {}", self.fixed(candidate.gain / 100.0, 4), self.currency),
                self.percent(candidate.propensity),
            ]);
        }
        self.table(&rows);
    }

    /// Columns as wide as their widest cell; the first to the left, numbers to the right.
    fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        let width = |at: usize| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        for row in rows {
            let mut line = String::from(" ");
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a String cannot fail.
                let _ =
                    if at == 0 { write!(line, " {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            self.line(line);
        }
    }

    fn why_not(&mut self, e: &Explanation) {
        if e.why_not.is_empty() {
            return;
        }
        self.heading("Why not", "Warum nicht");
        for excluded in &e.why_not {
            let reasons: Vec<String> = excluded.reasons.iter().map(|reason| self.reason(reason)).collect();
            let line = format!("  {}: {}", self.name(&excluded.action), reasons.join("; "));
            self.line(line);
        }
    }

    fn reason(&self, reason: &WhyNot) -> String {
        let german = self.language == Language::German;
        match reason {
            WhyNot::HeldOut => self.say("the profile is held out", "Vergleichsgruppe").to_owned(),
            WhyNot::NotYetValid { from } if german => format!("gilt erst ab {from}"),
            WhyNot::NotYetValid { from } => format!("valid only from {from}"),
            WhyNot::NoLongerValid { until } if german => format!("galt nur bis {until}"),
            WhyNot::NoLongerValid { until } => format!("was valid until {until}"),
            WhyNot::NotEligible { condition, observed } => {
                let values: Vec<String> = observed.iter().map(|o| self.observed(o)).collect();
                let values =
                    if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
                if german {
                    format!("nicht berechtigt: `{condition}` gilt nicht{values}")
                } else {
                    format!("not eligible: `{condition}` does not hold{values}")
                }
            }
            WhyNot::NoConsent { purpose } if german => format!("Zweck `{purpose}` ist nicht erlaubt"),
            WhyNot::NoConsent { purpose } => format!("purpose `{purpose}` is not allowed"),
            WhyNot::ChannelNotAllowed { purpose, channel } if german => {
                format!("Zweck `{purpose}` ist über `{channel}` nicht erlaubt")
            }
            WhyNot::ChannelNotAllowed { purpose, channel } => {
                format!("purpose `{purpose}` is not allowed by `{channel}`")
            }
            WhyNot::CapReached { cap, count } if german => {
                format!("Grenze erreicht: {}, bisher {count}", self.cap(cap))
            }
            WhyNot::CapReached { cap, count } => format!("cap reached: {}, so far {count}", self.cap(cap)),
            WhyNot::CapUnknown { cap } if german => format!("Stand der Grenze unbekannt: {}", self.cap(cap)),
            WhyNot::CapUnknown { cap } => format!("use of the cap is not known: {}", self.cap(cap)),
            WhyNot::NoBudget { cost, allowed } if german => {
                format!("kostet {}, frei sind {}", self.money(*cost), self.money(*allowed))
            }
            WhyNot::NoBudget { cost, allowed } => {
                format!("costs {}, but {} may be spent", self.money(*cost), self.money(*allowed))
            }
            WhyNot::NoScore { source } => {
                let source = match source {
                    ScoreSource::Model(name) if german => format!("von Modell `{name}`"),
                    ScoreSource::Model(name) => format!("from model `{name}`"),
                    ScoreSource::Input(name) if german => format!("aus Eingabe `{name}`"),
                    ScoreSource::Input(name) => format!("from input `{name}`"),
                    ScoreSource::Constant(_) => String::new(),
                };
                format!("{} {source}", self.say("there is no score", "kein Score")).trim_end().to_owned()
            }
        }
    }

    fn observed(&self, observed: &Observed) -> String {
        format!("{} = {}", observed.name, self.value(observed.value.as_ref()))
    }

    fn value(&self, value: Option<&Value>) -> String {
        match value {
            None => self.say("missing", "fehlt").to_owned(),
            Some(Value::Number(number)) => self.number(number),
            Some(Value::Flag(flag)) => self
                .say(if *flag { "true" } else { "false" }, if *flag { "wahr" } else { "falsch" })
                .to_owned(),
            Some(text) => text.to_string(),
        }
    }

    fn cap(&self, cap: &Cap) -> String {
        let scope = match (&cap.scope, self.language) {
            (CapScope::All, _) => String::new(),
            (CapScope::Channel(channel), Language::English) => format!(" by {channel}"),
            (CapScope::Channel(channel), Language::German) => format!(" über {channel}"),
            (CapScope::Action(action), Language::English) => format!(" of {action}"),
            (CapScope::Action(action), Language::German) => format!(" von {action}"),
        };
        match self.language {
            Language::English => format!("at most {}{scope} in {}", cap.max, cap.window),
            Language::German => format!("höchstens {}{scope} in {}", cap.max, cap.window),
        }
    }

    fn inputs(&mut self, e: &Explanation) {
        if e.inputs.is_empty() {
            return;
        }
        self.heading("What it looked at", "Worauf sie sich stützt");
        let mut rows = Vec::new();
        for input in &e.inputs {
            let origin = match input.origin {
                Origin::Feature => self.say("feature", "Merkmal"),
                Origin::Trait => self.say("trait", "Eigenschaft"),
                Origin::Context => self.say("context", "Kontext"),
                Origin::Segment => self.say("segment", "Segment"),
            };
            let version =
                if input.version.is_empty() { String::new() } else { format!("v{}", input.version) };
            rows.push([short(&input.name), self.value(input.value.as_ref()), origin.to_owned(), version]);
        }
        self.table(&rows);
    }

    fn rules(&mut self, e: &Explanation) {
        self.heading("Rules", "Regeln");
        let explores = self.percent(e.exploration);
        let line = match self.language {
            Language::English => {
                format!("  policy {}: {explores} explores evenly, the rest takes the best", e.policy)
            }
            Language::German => {
                format!("  Verfahren {}: {explores} erkundet gleichmäßig, der Rest nimmt das Beste", e.policy)
            }
        };
        self.line(line);
        for model in &e.models {
            let line = match self.language {
                Language::English => {
                    format!("  model {} version {} ({})", model.model, model.version, model.release)
                }
                Language::German => {
                    format!("  Modell {} Version {} ({})", model.model, model.version, model.release)
                }
            };
            self.line(line);
        }
        for consent in &e.consents {
            let standing = match consent.allowed {
                true => self.say("allowed", "erlaubt"),
                false => self.say("not allowed", "nicht erlaubt"),
            };
            let purpose = self.say("purpose", "Zweck");
            let by = if consent.channel.is_empty() {
                String::new()
            } else {
                format!(" {} {}", self.say("by", "über"), short(&consent.channel))
            };
            let mut line =
                format!("  {purpose} {}{by}: {standing}, {}", consent.purpose, short(&consent.reason));
            if let Some(since) = consent.since {
                let _ = write!(line, ", {} {since}", self.say("since", "seit"));
            }
            if let Some(notice) = &consent.notice_version {
                let _ = write!(line, ", {} {}", self.say("notice", "Hinweis"), short(notice));
            }
            self.line(line);
        }
        for state in &e.caps {
            let count = state.count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            let line = match self.language {
                Language::English => format!("  cap {}: {count} before this", self.cap(&state.cap)),
                Language::German => format!("  Grenze {}: {count} zuvor", self.cap(&state.cap)),
            };
            self.line(line);
        }
        if let Some(allowed) = e.allowed {
            let allowed = self.money(allowed);
            let line = match self.language {
                Language::English => format!("  budget: up to {allowed} might be spent on this decision"),
                Language::German => format!("  Budget: bis zu {allowed} durfte diese Entscheidung kosten"),
            };
            self.line(line);
        }
        let share = self.percent(e.holdout.share);
        let line = match self.language {
            Language::English => {
                format!("  holdout `{}`: {share} of people get nothing", short(&e.holdout.salt))
            }
            Language::German => {
                format!("  Vergleichsgruppe `{}`: {share} bekommen nichts", short(&e.holdout.salt))
            }
        };
        self.line(line);
    }

    fn aftermath(&mut self, e: &Explanation) {
        if e.sends.is_empty() && e.outcomes.is_empty() {
            self.heading("Nothing followed yet.", "Bisher folgte nichts.");
            return;
        }
        self.heading("What followed", "Was folgte");
        for send in &e.sends {
            let status = match send.status {
                SendStatus::Claimed => self.say("about to be sent", "wird verschickt"),
                SendStatus::Sent => self.say("sent", "verschickt"),
                SendStatus::Failed => self.say("failed", "fehlgeschlagen"),
                SendStatus::Released => self.say("called off", "zurückgenommen"),
            };
            let reason =
                if send.reason.is_empty() { String::new() } else { format!(" ({})", short(&send.reason)) };
            let line = format!("  {} {status}{reason}", send.at);
            self.line(line);
        }
        for outcome in &e.outcomes {
            let value = outcome.value.map(|v| format!(" {}", self.money(v))).unwrap_or_default();
            let line = format!("  {} {}{value}", outcome.occurred_at, short(&outcome.kind));
            self.line(line);
        }
    }
}
