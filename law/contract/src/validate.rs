//! Whether a contract says all that this house needs to act on it.

use event::Instant;

use crate::identifiers::PERSON_IDENTIFIERS;
use crate::model::{Contract, Currency, Field, Kind, LegalBasis, Path};
use crate::odcs::codes;
use crate::propose::is_money;
use crate::{Finding, Severity};

impl Contract {
    /// What is missing or wrong for our purposes: an owner, purposes with legal basis, a classification of every
    /// field, a subject key, and keys that name fields that exist. Errors among them break the user's build.
    pub fn validate(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        self.people_and_purposes(&mut out);
        if self.fields.is_empty() {
            self.say(
                &mut out,
                codes::NO_FIELDS,
                Severity::Error,
                None,
                self.line,
                "describes no fields".into(),
            );
        }
        self.unclassified(&self.fields, "", false, &mut out);
        self.keys(&mut out);
        self.open_identifiers(&mut out);
        self.currencies(&self.fields, "", &mut out);
        self.advice(&mut out);
        out
    }

    fn say(
        &self,
        out: &mut Vec<Finding>,
        code: &'static str,
        severity: Severity,
        field: Option<&str>,
        line: u32,
        message: String,
    ) {
        out.push(Finding {
            code,
            severity,
            stream: self.stream.to_string(),
            field: field.map(str::to_owned),
            message: format!("contract `{}` {message}", self.stream),
            file: Some(self.file.clone()),
            line: Some(line),
        });
    }

    fn people_and_purposes(&self, out: &mut Vec<Finding>) {
        if self.owner.is_none() {
            let message = "has no owner: name one under `team` or `customProperties: owner`".into();
            self.say(out, codes::OWNER, Severity::Error, None, self.line, message);
        }
        if self.purposes.is_empty() {
            let message =
                "has no purpose: list `purposes` with name and basis under `customProperties`".into();
            self.say(out, codes::PURPOSE, Severity::Error, None, self.line, message);
        }
        for purpose in &self.purposes {
            match purpose.basis {
                None => {
                    let message = format!("has no legal basis for the purpose `{}`", purpose.name);
                    self.say(out, codes::PURPOSE, Severity::Error, None, purpose.line, message);
                }
                Some(LegalBasis::NotPersonal) if self.has_sealed() => {
                    let message = format!(
                        "says `not_personal` for the purpose `{}` but has personal fields",
                        purpose.name
                    );
                    self.say(out, codes::PURPOSE, Severity::Error, None, purpose.line, message);
                }
                Some(_) => {}
            }
        }
    }

    /// True where any field is sealed.
    pub fn has_sealed(&self) -> bool {
        fn any(fields: &[Field]) -> bool {
            fields.iter().any(|f| {
                f.effective.is_sealed()
                    || match &f.kind {
                        Kind::Object(inner) => any(inner),
                        Kind::Array(Some(item)) => any(std::slice::from_ref(item)),
                        _ => false,
                    }
            })
        }
        any(&self.fields)
    }

    fn unclassified(&self, fields: &[Field], within: &str, covered: bool, out: &mut Vec<Finding>) {
        for field in fields {
            let path = format!("{within}{}", field.name);
            let covered = covered || field.classification.is_some();
            let inner = match &field.kind {
                Kind::Object(inner) => inner.as_slice(),
                Kind::Array(Some(item)) => std::slice::from_ref(item.as_ref()),
                _ => &[],
            };
            if !covered && inner.is_empty() {
                let message = format!(
                    "does not classify `{path}`: say public, internal, personal or special (until then it counts \
                     as personal)"
                );
                self.say(out, codes::UNCLASSIFIED, Severity::Error, Some(&path), field.line, message);
            }
            self.unclassified(inner, &format!("{path}."), covered, out);
        }
    }

    fn keys(&self, out: &mut Vec<Finding>) {
        if !self.subject_key.declared {
            let message =
                "does not say whom it is about: list fields under `subjectKey`, or say `none`".into();
            self.say(out, codes::SUBJECT_KEY, Severity::Error, None, self.line, message);
        } else if self.subject_key.fields.is_empty() && self.has_sealed() {
            let message =
                "has personal fields but no subject: they could not be erased with their person".into();
            self.say(out, codes::NOBODYS, Severity::Error, None, self.line, message);
        }
        let named = [("subjectKey", self.subject_key.fields.as_slice()), ("dedupKey", &self.dedup_key)];
        for (key, paths) in named {
            for path in paths {
                self.must_exist(key, path, out);
            }
        }
        for (key, path) in [("eventTime", &self.event_time), ("knownAt", &self.known_at)] {
            let Some(path) = path else { continue };
            self.must_exist(key, path, out);
            if let Some(field) = self.field(path.as_str())
                && !matches!(field.kind, Kind::Date | Kind::Timestamp)
            {
                let message = format!("takes `{}` for {key}, which is no date or timestamp", path.as_str());
                self.say(
                    out,
                    codes::NO_SUCH_FIELD,
                    Severity::Error,
                    Some(path.as_str()),
                    field.line,
                    message,
                );
            }
        }
    }

    fn must_exist(&self, key: &str, path: &Path, out: &mut Vec<Finding>) {
        if self.field(path.as_str()).is_none() {
            let message = format!("names `{}` in {key}, but describes no such field", path.as_str());
            self.say(out, codes::NO_SUCH_FIELD, Severity::Error, Some(path.as_str()), self.line, message);
        }
    }

    /// LAW 4: an identifier of a person that lies open would outlive the erasure.
    fn open_identifiers(&self, out: &mut Vec<Finding>) {
        let n_subject = self.subject_key.fields.len();
        for (i, (kind, path)) in self.identifiers.iter().enumerate() {
            let Some(field) = self.field(path.as_str()) else { continue };
            let names_a_person = PERSON_IDENTIFIERS.contains(&kind.as_str())
                || (i < n_subject && self.subject_kind == "person");
            if names_a_person && !field.effective.is_sealed() {
                let message = format!(
                    "lets the identifier `{}` lie open: classify it personal, or say `subjectKind` where no \
                     person is meant",
                    path.as_str()
                );
                self.say(
                    out,
                    codes::OPEN_IDENTIFIER,
                    Severity::Error,
                    Some(path.as_str()),
                    field.line,
                    message,
                );
            }
        }
    }

    /// An amount without a currency is a number that looks like money.
    fn currencies(&self, fields: &[Field], within: &str, out: &mut Vec<Finding>) {
        for field in fields {
            let path = format!("{within}{}", field.name);
            match &field.currency {
                Some(Currency::Field(other)) => {
                    let found = fields.iter().find(|one| one.name == *other);
                    let what = match found.map(|one| &one.kind) {
                        Some(Kind::Text | Kind::Any) => None,
                        Some(kind) => Some(format!("which is of the type `{}`, not a text", kind.as_str())),
                        None => Some("which is no field beside it".to_owned()),
                    };
                    if let Some(what) = what {
                        let message = format!("takes the currency of `{path}` from `{other}`, {what}");
                        let code = codes::NO_SUCH_FIELD;
                        self.say(out, code, Severity::Error, Some(&path), field.line, message);
                    }
                }
                None if field.scale.is_some() && is_money(&field.name) => {
                    let message = format!(
                        "does not say what the amounts of `{path}` are in: `currency: EUR`, or `currencyField` where \
                         each record says it"
                    );
                    self.say(out, codes::CURRENCY, Severity::Warning, Some(&path), field.line, message);
                }
                Some(Currency::Code(_)) | None => {}
            }
            match &field.kind {
                Kind::Object(inner) => self.currencies(inner, &format!("{path}."), out),
                Kind::Array(Some(item)) => {
                    self.currencies(std::slice::from_ref(item.as_ref()), &format!("{path}."), out);
                }
                _ => {}
            }
        }
    }

    fn advice(&self, out: &mut Vec<Finding>) {
        if self.retention.is_none() {
            let message = "does not say how long records are kept: `retention`, like `3y`".into();
            self.say(out, codes::INCOMPLETE, Severity::Warning, None, self.line, message);
        }
        let from_calls = self.sources.iter().any(|s| s != "file");
        if self.event_time.is_none() && !from_calls {
            let message = "has no `eventTime`: records count from when they arrive".into();
            self.say(out, codes::INCOMPLETE, Severity::Warning, None, self.line, message);
        }
        if self.dedup_key.is_empty() && !from_calls {
            let message = "has no `dedupKey` or primary key: two equal records count as one".into();
            self.say(out, codes::INCOMPLETE, Severity::Warning, None, self.line, message);
        }
        if self.live_since.is_some_and(|at| at >= Instant::END) {
            let message = "has a `liveSince` beyond the year 2199".into();
            self.say(out, codes::INCOMPLETE, Severity::Warning, None, self.line, message);
        }
    }
}
