//! Incidents: opened with one query that counts whom and what they concern, told within their clocks, closed.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Subject};
use register::{
    Affected, Category, Document, Due, Error as Refusal, Event, Harm, Incident, IncidentKind, Language,
};
use serde_json::json;

use super::overseeing::said;
use crate::Error;
use crate::house::House;

/// An incident as somebody tells it.
#[derive(Clone, Debug)]
pub struct IncidentAsked {
    /// What kind.
    pub kind: IncidentKind,
    /// How bad.
    pub harm: Harm,
    /// What happened, in words. No names of those it concerns: this text is not sealed.
    pub what: String,
    /// What was and will be done.
    pub measures: String,
    /// The streams it concerns; with none, those of the use case; with neither, all with personal fields.
    pub streams: Vec<String>,
    /// The use case it concerns.
    pub use_case: Option<String>,
    /// Only records known from this instant on.
    pub from: Option<Instant>,
    /// Only records known before this instant.
    pub until: Option<Instant>,
    /// Since when it is known: clocks begin here. Now, where it is not said.
    pub aware_at: Option<Instant>,
    /// When it began.
    pub began_at: Option<Instant>,
}

impl House {
    /// Opens an incident: counts the people and categories it concerns, and starts its clocks.
    ///
    /// # Errors
    /// [`Error::Register`] for impossible dates or missing words, [`Error::UnknownStream`], [`Error::UnknownUseCase`].
    pub fn open_incident(&self, by: &str, asked: IncidentAsked) -> Result<Incident, Error> {
        let _turn = self.register_desk.turn.lock();
        let now = self.now();
        if let (Some(from), Some(until)) = (asked.from, asked.until)
            && from >= until
        {
            let reason = format!("nothing lies from {from} until {until}");
            return Err(Refusal::Incident { reason }.into());
        }
        let streams = self.concerned(&asked)?;
        let mut incident = Incident {
            id: String::new(),
            kind: asked.kind,
            harm: asked.harm,
            aware_at: asked.aware_at.unwrap_or(now),
            began_at: asked.began_at,
            by: said(by, "", false).map_err(|reason| Error::from(Refusal::Incident { reason }))?.by,
            what: asked.what,
            use_case: asked.use_case,
            streams: streams.iter().cloned().collect(),
            affected: Affected::default(),
            measures: asked.measures,
            told: Vec::new(),
            closed: None,
        };
        incident.check(now)?;
        incident.affected = self.affected(&streams, asked.from, asked.until)?;
        let year: String = incident.aware_at.to_string().chars().take(4).collect();
        let all = self.in_control(|rooms| rooms.registers.incidents())?;
        let n = all.iter().filter(|known| known.id.starts_with(&format!("{year}-"))).count();
        incident.id = format!("{year}-{:04}", n + 1);
        let mut act = audit::Act::new("incident.open", &incident.by);
        act.detail = json!({
            "incident": incident.id, "kind": incident.kind, "harm": incident.harm, "aware_at": incident.aware_at,
            "streams": incident.streams, "n_subjects": incident.affected.n_subjects,
        });
        self.note_register(&Event::IncidentOpened(Box::new(incident.clone())), Some(&act))?;
        Ok(incident)
    }

    fn concerned(&self, asked: &IncidentAsked) -> Result<BTreeSet<String>, Error> {
        let contracts = &self.project().contracts;
        for stream in &asked.streams {
            if contracts.newest_named(stream).is_none() {
                return Err(Error::UnknownStream {
                    name: stream.chars().take(64).collect(),
                    known: contracts.iter().map(|contract| contract.stream.to_string()).collect(),
                });
            }
        }
        let of_use_case = asked.use_case.as_deref().map(|name| self.use_case(name)).transpose()?;
        Ok(match (asked.streams.is_empty(), of_use_case) {
            (false, _) => asked.streams.iter().cloned().collect(),
            (true, Some(use_case)) => use_case.sources.iter().cloned().collect(),
            (true, None) => {
                contracts.iter().filter(|one| one.has_sealed()).map(|one| one.stream.to_string()).collect()
            }
        })
    }

    /// Whom and what records of some streams concern, counted over the journal: records of the past that are erased still
    /// count as records, their people no longer as people with data.
    ///
    /// # Errors
    /// Whatever the journal says.
    pub fn affected(
        &self,
        streams: &BTreeSet<String>,
        from: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<Affected, Error> {
        let mut affected = Affected::default();
        let mut people: BTreeSet<Subject> = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        self.each_record(streams, |record| {
            let in_time = from.is_none_or(|from| record.known_at >= from)
                && until.is_none_or(|until| record.known_at < until);
            if in_time {
                affected.n_records += 1;
                if !record.subject.is_none() {
                    people.insert(record.subject);
                }
                if !seen.contains(record.stream.as_str()) {
                    seen.insert(record.stream.to_string());
                }
            }
            Ok(())
        })?;
        affected.n_subjects = people.len() as u64;
        let mut kinds = BTreeSet::new();
        for contract in seen.iter().filter_map(|stream| self.project().contracts.newest_named(stream)) {
            kinds.insert(contract.subject_kind.clone());
            let mut by_class: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for path in contract.declared_paths() {
                let class = contract.field(&path).map(|field| field.effective);
                if let Some(class) = class.filter(|class| class.is_sealed()) {
                    by_class.entry(class.as_str()).or_default().push(path);
                }
            }
            affected.categories.extend(by_class.into_iter().map(|(class, fields)| Category {
                stream: contract.stream.to_string(),
                class: class.to_owned(),
                fields,
            }));
        }
        affected.subject_kinds = kinds.into_iter().collect();
        Ok(affected)
    }

    /// Every incident with its clocks, the latest first.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn incidents(&self, language: Language) -> Result<Vec<(Incident, Vec<Due>)>, Error> {
        let all = self.in_control(|rooms| rooms.registers.incidents())?;
        Ok(all.into_iter().map(|incident| self.with_clocks(incident, language)).collect())
    }

    /// One incident with its clocks.
    ///
    /// # Errors
    /// [`Error::Register`] where there is none.
    pub fn incident(&self, id: &str, language: Language) -> Result<(Incident, Vec<Due>), Error> {
        let found = self.in_control(|rooms| rooms.registers.incident(id))?;
        let unknown = || Refusal::UnknownIncident { id: id.chars().take(64).collect() };
        Ok(self.with_clocks((*found.ok_or_else(unknown)?).clone(), language))
    }

    fn with_clocks(&self, incident: Incident, language: Language) -> (Incident, Vec<Due>) {
        let book = self.register_desk.book.read();
        let due = incident.clocks(book.clocks(incident.aware_at), self.now(), language);
        (incident, due)
    }

    /// The draft of the notification of an incident.
    ///
    /// # Errors
    /// [`Error::Register`] where there is none.
    pub fn incident_notification(&self, id: &str, language: Language) -> Result<Document, Error> {
        let (incident, due) = self.incident(id, language)?;
        let controller = self.settings().registers.as_controller();
        Ok(register::notification(&incident, &due, &controller, self.now(), language))
    }

    /// The register of incidents.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn incident_register(&self, language: Language) -> Result<Document, Error> {
        let controller = self.settings().registers.as_controller();
        Ok(register::overview(&self.incidents(language)?, &controller, self.now(), language))
    }

    /// Somebody was told of an incident: stops one of its clocks.
    ///
    /// # Errors
    /// [`Error::Register`] for an unknown incident or clock, or one that was stopped before.
    pub fn tell_incident(&self, id: &str, clock: &str, by: &str, reference: &str) -> Result<Incident, Error> {
        let _turn = self.register_desk.turn.lock();
        let (incident, due) = self.incident(id, Language::En)?;
        let said = said(by, reference, true).or_else(refuse)?;
        let Some(known) = due.iter().find(|one| one.clock == clock) else {
            let clocks: Vec<&str> = due.iter().map(|one| one.clock.as_str()).collect();
            let clock: String = clock.chars().take(64).collect();
            return refuse(format!(
                "incident `{}` has no clock `{clock}`; it has {}",
                incident.id,
                clocks.join(", ")
            ));
        };
        if known.proposed {
            return refuse(format!("`{clock}` is only proposed: nobody has to be told under it yet"));
        }
        if let Some(at) = known.told_at {
            return refuse(format!("clock `{clock}` of incident `{}` was stopped at {at}", incident.id));
        }
        let mut act = audit::Act::new("incident.tell", &said.by);
        act.detail = json!({ "incident": incident.id, "clock": clock, "reference": said.reason });
        let event = Event::IncidentTold {
            incident: incident.id.clone(),
            clock: clock.to_owned(),
            said: said.clone(),
        };
        self.note_register(&event, Some(&act))?;
        Ok(self.incident(id, Language::En)?.0)
    }

    /// An incident is over.
    ///
    /// # Errors
    /// [`Error::Register`] for an unknown one, one that is closed, or one whose clocks still run.
    pub fn close_incident(&self, id: &str, by: &str, reason: &str) -> Result<Incident, Error> {
        let _turn = self.register_desk.turn.lock();
        let (incident, due) = self.incident(id, Language::En)?;
        let said = said(by, reason, true).or_else(refuse)?;
        if let Some(closed) = &incident.closed {
            return refuse(format!(
                "incident `{}` was closed by {} at {}",
                incident.id, closed.by, closed.at
            ));
        }
        let open: Vec<&str> = due
            .iter()
            .filter(|one| one.told_at.is_none() && !one.proposed)
            .map(|one| one.clock.as_str())
            .collect();
        if !open.is_empty() {
            return refuse(format!(
                "incident `{}` has clocks that nobody has stopped: {}; `maschinenraum incident tell` stops one",
                incident.id,
                open.join(", ")
            ));
        }
        let mut act = audit::Act::new("incident.close", &said.by);
        act.detail = json!({ "incident": incident.id, "reason": said.reason });
        let event = Event::IncidentClosed { incident: incident.id.clone(), said: said.clone() };
        self.note_register(&event, Some(&act))?;
        Ok(self.incident(id, Language::En)?.0)
    }
}

fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Refusal::Incident { reason }.into())
}
