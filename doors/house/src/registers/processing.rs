//! The record of processing activities (GDPR article 30), from contracts, purposes, use cases, models, segments, sources,
//! captures, deliveries and counts as they are now.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::Contract;
use register::{Activity, Document, Field, Language, Ropa, Stream, Text, UseCaseLine};

use crate::Error;
use crate::house::House;
use crate::sources::SourceKind;
use crate::streams::Count;

impl House {
    /// The record of processing activities as it is now.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn record_of_processing(&self) -> Result<Ropa, Error> {
        let counts = self.streams()?;
        let settings = self.settings();
        let taken = self.taken_out()?;
        let mut activities = Vec::new();
        for (name, purpose) in &settings.purposes {
            let project = self.project();
            let is_for_it = |one: &&Arc<Contract>| one.purposes.iter().any(|purpose| purpose.name == *name);
            let contracts = project.contracts.iter().filter(is_for_it);
            let streams =
                contracts.map(|one| self.stream_line(one, counts.get(one.stream.as_str()))).collect();
            let mut use_cases = Vec::new();
            for use_case in self.use_cases().iter().filter(|one| one.purposes().contains(&name.as_str())) {
                use_cases.push(self.use_case_line(use_case)?);
            }
            let models = project.models.iter().filter(|spec| spec.purpose == *name);
            let segments = project.segments.iter().filter(|segment| segment.purpose == *name);
            activities.push(Activity {
                purpose: name.clone(),
                basis: purpose.basis.clone(),
                description: purpose.description.clone(),
                recipients: self.recipients(name, !use_cases.is_empty(), &taken),
                use_cases,
                models: models.map(|spec| spec.model.clone()).collect(),
                segments: segments.map(|segment| segment.name.clone()).collect(),
                streams,
            });
        }
        Ok(Ropa {
            controller: settings.registers.as_controller(),
            at: self.now(),
            measures: self.measures()?,
            gaps: self.gaps(&activities),
            activities,
        })
    }

    /// The same as a document.
    ///
    /// # Errors
    /// As [`House::record_of_processing`].
    pub fn ropa(&self, language: Language) -> Result<Document, Error> {
        Ok(register::record_of_processing(&self.record_of_processing()?, language))
    }

    fn stream_line(&self, contract: &Contract, count: Option<&Count>) -> Stream {
        let name = contract.stream.as_str();
        let field = |path: String| {
            let class = contract.field(&path)?.effective.as_str().to_owned();
            Some(Field { name: path, class })
        };
        Stream {
            name: name.to_owned(),
            version: contract.version.to_string(),
            owner: contract.owner.clone().unwrap_or_default(),
            subject_kind: contract.subject_kind.clone(),
            fields: contract.declared_paths().into_iter().filter_map(field).collect(),
            retention: contract.retention.map(|span| span.to_string()),
            sources: self.sources_of(contract),
            n_records: count.map_or(0, |count| count.n_records),
            latest: count.and_then(|count| count.last_known_at),
        }
    }

    fn sources_of(&self, contract: &Contract) -> Vec<String> {
        let name = contract.stream.as_str();
        let mut sources: Vec<String> = contract.sources.clone();
        for (source, settings) in &self.settings().sources {
            let brings = settings.stream == name || settings.streams.values().any(|stream| stream == name);
            if brings {
                let kind = match settings.kind {
                    SourceKind::Key => "key",
                    SourceKind::Webhook => "webhook",
                    SourceKind::Folder => "folder",
                };
                sources.push(format!("{kind} {source}"));
            }
        }
        for (capture, settings) in &self.settings().captures {
            if settings.tables.values().chain(settings.deletes.values()).any(|stream| stream == name) {
                sources.push(format!("capture {capture}"));
            }
        }
        sources.sort();
        sources.dedup();
        sources
    }

    fn use_case_line(&self, use_case: &decide::UseCase) -> Result<UseCaseLine, Error> {
        let standing = self.use_case_standing(&use_case.name)?;
        let found = &standing.assessment;
        let signed = standing.state.signatures_on(&found.hash) >= found.eyes();
        let level = serde_json::to_value(use_case.security_level).unwrap_or_default();
        Ok(UseCaseLine {
            name: use_case.name.clone(),
            version: use_case.version.to_string(),
            responsible: use_case.responsible.clone(),
            description: use_case.description.clone(),
            security_level: level.as_str().unwrap_or_default().to_owned(),
            class: found.classification.class,
            dpia: match (found.dpia.is_due(), signed) {
                (false, _) => "not needed",
                (true, true) => "signed",
                (true, false) => "missing",
            }
            .to_owned(),
            stopped: standing.state.stop.is_some(),
        })
    }

    /// What protects the data, of what is switched on.
    fn measures(&self) -> Result<Vec<Text>, Error> {
        let mut measures = vec![
            Text::new(
                "Personal fields are sealed under a key of each person (XChaCha20-Poly1305) before they are written; \
                 destroying the key erases them in every copy.",
                "Personenbezogene Felder werden vor dem Schreiben mit einem Schlüssel je Person versiegelt \
                 (XChaCha20-Poly1305); wird er vernichtet, sind sie in jeder Kopie gelöscht.",
            ),
            Text::new(
                "People are known by keyed pseudonyms (HMAC-SHA-256); identifiers stand nowhere in clear.",
                "Personen sind nur unter Pseudonymen mit Schlüssel bekannt (HMAC-SHA-256); Kennungen stehen nirgends im Klartext.",
            ),
            Text::new(
                "Every read needs a grant for a purpose; without one it is denied.",
                "Jeder Zugriff braucht eine Erlaubnis für einen Zweck; ohne sie wird er abgelehnt.",
            ),
            Text::new(
                "What is accepted is durable; what is refused lies sealed in quarantine.",
                "Angenommenes ist dauerhaft gespeichert; Abgelehntes liegt versiegelt in Quarantäne.",
            ),
            Text::new(
                "Privileged acts stand in an audit log that outsiders can verify.",
                "Privilegierte Handlungen stehen in einem Protokoll, das Außenstehende prüfen können.",
            ),
        ];
        if !self.settings().server.tls_certificate.as_os_str().is_empty() {
            measures.push(Text::new("The server speaks TLS.", "Der Server spricht TLS."));
        }
        let proofs = self.proofs()?;
        if self.proves_calls() || proofs.n_kept > 0 {
            let (n, overdue) = (proofs.n_kept, proofs.n_overdue);
            measures.push(Text::new(
                &format!(
                    "Proofs of consents to calls (UWG section 7a) lie sealed under keys of their own, and are destroyed five \
                     years after the consent was given and last used: {n} kept, {overdue} overdue."
                ),
                &format!(
                    "Nachweise von Einwilligungen in Anrufe (§ 7a UWG) liegen unter eigenen Schlüsseln versiegelt und werden \
                     fünf Jahre nach Erteilung und letzter Verwendung vernichtet: {n} aufbewahrt, {overdue} überfällig."
                ),
            ));
        }
        Ok(measures)
    }

    /// What only people can add.
    fn gaps(&self, activities: &[Activity]) -> Vec<Text> {
        let mut gaps = Vec::new();
        let controller = self.settings().registers.as_controller();
        if controller.name.is_empty() {
            gaps.push(Text::new(
                "The controller is not named: [registers] controller in maschinenraum.toml.",
                "Der Verantwortliche ist nicht genannt: [registers] controller in maschinenraum.toml.",
            ));
        }
        if controller.officer.is_empty() {
            gaps.push(Text::new(
                "No data protection officer is named: [registers] data_protection_officer.",
                "Keine datenschutzbeauftragte Person ist genannt: [registers] data_protection_officer.",
            ));
        }
        let mut unlimited: BTreeMap<&str, ()> = BTreeMap::new();
        for stream in activities.iter().flat_map(|one| &one.streams) {
            let is_personal =
                stream.fields.iter().any(|field| field.class == "personal" || field.class == "special");
            if is_personal && stream.retention.is_none() {
                unlimited.insert(&stream.name, ());
            }
        }
        if !unlimited.is_empty() {
            let names = unlimited.keys().copied().collect::<Vec<_>>().join(", ");
            gaps.push(Text::new(
                &format!("Nobody says how long these are kept (article 30(1)(f)): {names}."),
                &format!("Niemand sagt, wie lange diese aufbewahrt werden (Art. 30 Abs. 1 lit. f): {names}."),
            ));
        }
        gaps
    }
}
