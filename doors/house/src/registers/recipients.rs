//! Who gets data (GDPR article 30(1)(d)): what the house sends by itself, what people took out of it, and what only the
//! settings know.

use std::collections::BTreeMap;

use event::Instant;
use policy::Reach;
use register::{Recipient, Text};

use crate::Error;
use crate::auditing::AuditSought;
use crate::house::House;

/// What was taken out: by whom, which kind, under which name, for which purpose.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    by: String,
    kind: String,
    name: String,
    purpose: Option<String>,
}

/// How often, and when last.
pub(super) type TakenOut = BTreeMap<Taken, (u64, Instant)>;

impl House {
    /// What the audit log knows of data that was taken out.
    pub(super) fn taken_out(&self) -> Result<TakenOut, Error> {
        let mut taken = TakenOut::new();
        for what in ["export.take", "instance.export"] {
            let sought = AuditSought { what: Some(what.to_owned()), ..AuditSought::default() };
            for entry in self.audit_entries(&sought, usize::MAX)?.into_iter().filter_map(|found| found.entry)
            {
                let text =
                    |name: &str| entry.detail.get(name).and_then(|value| value.as_str()).unwrap_or_default();
                let kind = if what == "instance.export" { "instance" } else { text("kind") };
                let one = Taken {
                    kind: kind.to_owned(),
                    name: text("name").to_owned(),
                    by: entry.by.clone(),
                    purpose: entry.purpose.clone(),
                };
                let (n, last) = taken.entry(one).or_insert((0, entry.at));
                *n += 1;
                *last = (*last).max(entry.at);
            }
        }
        Ok(taken)
    }

    /// Who gets data for a purpose.
    ///
    /// * `acts`: whether use cases decide for it
    pub(super) fn recipients(&self, purpose: &str, acts: bool, taken: &TakenOut) -> Vec<Recipient> {
        let settings = self.settings();
        let live = |name: String, what: Text| Recipient {
            name,
            what,
            country: String::new(),
            safeguards: String::new(),
            live: true,
        };
        let mut recipients = Vec::new();
        if let (Some(host), true) = (host(&settings.delivery.webhook), acts) {
            let what = Text::new(
                "chosen actions, with the identifier of the channel (webhook)",
                "gewählte Aktionen mit der Kennung des Kanals (Webhook)",
            );
            recipients.push(live(host, what));
        }
        for (one, (n, last)) in taken {
            // Actions are taken out for whatever decided; a whole instance holds every purpose.
            let is_for_it = match &one.purpose {
                Some(of) => of == purpose,
                None => acts || one.kind == "instance",
            };
            if is_for_it {
                recipients.push(live(one.by.clone(), what_was_taken(one, *n, *last)));
            }
        }
        if let Some(host) = host(&settings.telemetry.otlp) {
            let what = Text::new(
                "traces of requests (OTLP): method, route, status, duration, number of the request; no content, no addresses",
                "Spuren von Anfragen (OTLP): Methode, Route, Status, Dauer, Nummer der Anfrage; kein Inhalt, keine Adressen",
            );
            recipients.push(live(host, what));
        }
        for (name, one) in &settings.registers.recipients {
            if one.purposes.is_empty() || one.purposes.iter().any(|known| known == purpose) {
                recipients.push(Recipient {
                    name: name.clone(),
                    what: Text::new(&one.what, &one.what),
                    country: one.country.clone(),
                    safeguards: one.safeguards.clone(),
                    live: false,
                });
            }
        }
        recipients
    }

    /// Whether a use case calls people, so that consents to calls are proven.
    pub(super) fn proves_calls(&self) -> bool {
        let calls = |channel: &str| Reach::of(channel) == Reach::Call;
        self.use_cases().iter().any(|one| one.actions.iter().any(|action| calls(&action.channel)))
    }
}

fn what_was_taken(one: &Taken, n: u64, last: Instant) -> Text {
    let (en, de) = match one.kind.as_str() {
        "actions" => ("chosen actions as CSV", "gewählte Aktionen als CSV"),
        "segment" => ("a segment", "ein Segment"),
        "features" => ("features", "Merkmale"),
        "dataset" => ("a dataset", "einen Datensatz"),
        "stream" => ("a stream", "einen Strom"),
        "instance" => ("the whole instance", "die ganze Instanz"),
        other => (other, other),
    };
    let name = if one.name.is_empty() { String::new() } else { format!(" `{}`", one.name) };
    let last = last.to_string();
    let day = last.split('T').next().unwrap_or_default();
    let en_times = if n == 1 { "once".to_owned() } else { format!("{n} times") };
    Text::new(
        &format!("took out {en}{name}: {en_times}, last on {day} (audit log)"),
        &format!("entnahm {de}{name}: {n} Mal, zuletzt am {day} (Protokoll)"),
    )
}

/// The host of an address.
fn host(address: &str) -> Option<String> {
    let rest = address.split_once("://")?.1;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    Some(host.to_owned()).filter(|host| !host.is_empty())
}
