//! From a view's file and its stream's contract to a view: everything is checked here, nothing later.

use contract::{Contract, Contracts, Finding, Severity};
use event::RecordId;
use serde_saphyr::Spanned;

use crate::filter::{self, Filter};
use crate::ondemand;
use crate::plan::{Keep, Plan, Slot};
use crate::suggest::{nearest_stream, short};
use crate::value::Kind;
use crate::view::{Column, Inner, View};
use crate::wording;
use crate::yaml::{self, Agg, RawFeature, RawView};

const MAX_FEATURES: usize = 500;
/// Bits of a row's filters, and of its values.
pub(crate) const MAX_FILTERS: usize = 64;
const MAX_COLUMNS: usize = 64;
const MAX_NAME_CHARS: usize = 64;

/// The codes of findings about view files; each has a page in docs/errors.
pub(crate) mod codes {
    pub(crate) const FILE: &str = "MR4001";
    pub(crate) const FILTER: &str = "MR4002";
    pub(crate) const STREAM: &str = "MR4003";
    pub(crate) const FIELD: &str = "MR4004";
    pub(crate) const TYPE: &str = "MR4005";
    pub(crate) const PURPOSE: &str = "MR4006";
    pub(crate) const FEATURE: &str = "MR4007";
    pub(crate) const LIMIT: &str = "MR4008";
    pub(crate) const SPECIAL: &str = "MR4013";
    pub(crate) const EXPRESSION: &str = "MR4016";
    pub(crate) const CURRENCY: &str = "MR4021";
}

impl View {
    /// Reads a view and checks it against the newest contract of its stream. There is a view unless a finding is
    /// an error.
    pub fn parse(yaml: &str, file: &str, contracts: &Contracts) -> (Option<View>, Vec<Finding>) {
        let mut raw: RawView = match yaml::parse(yaml) {
            Ok(raw) => raw,
            Err((line, message)) => {
                let finding = Finding {
                    code: codes::FILE,
                    severity: Severity::Error,
                    stream: String::new(),
                    field: None,
                    message: format!("not a feature view: {message}"),
                    file: Some(file.to_owned()),
                    line,
                };
                return (None, vec![finding]);
            }
        };
        raw.features.iter_mut().for_each(RawFeature::spell_out);
        let mut building = Building::new(file, raw.stream.value.clone());
        let inner = building.view(raw, contracts);
        let is_wrong = building.findings.iter().any(Finding::is_error);
        (inner.filter(|_| !is_wrong).map(View::new), building.findings)
    }
}

pub(crate) struct Building<'f> {
    file: &'f str,
    stream: String,
    pub(crate) findings: Vec<Finding>,
    /// Whose calendar is meant.
    pub(crate) zone: Option<(String, jiff::tz::TimeZone)>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) columns: Vec<Column>,
    /// As written in the one way there is, and ready to be applied.
    pub(crate) filters: Vec<(String, Filter)>,
    pub(crate) is_personal: bool,
    pub(crate) special: Vec<(u32, String)>,
    /// What the fingerprint is made from.
    pub(crate) canonical: String,
}

pub(crate) fn line<T>(of: &Spanned<T>) -> u32 {
    u32::try_from(of.referenced.line()).unwrap_or_default()
}

impl<'f> Building<'f> {
    fn new(file: &'f str, stream: String) -> Self {
        Self {
            file,
            stream,
            findings: Vec::new(),
            zone: None,
            slots: Vec::new(),
            columns: Vec::new(),
            filters: Vec::new(),
            is_personal: false,
            special: Vec::new(),
            canonical: String::new(),
        }
    }

    fn push(
        &mut self,
        code: &'static str,
        severity: Severity,
        line: u32,
        feature: Option<&str>,
        message: String,
    ) {
        self.findings.push(Finding {
            code,
            severity,
            stream: self.stream.clone(),
            field: feature.map(str::to_owned),
            message: feature.map_or(message.clone(), |name| format!("feature `{name}`: {message}")),
            file: Some(self.file.to_owned()),
            line: Some(line).filter(|line| *line > 0),
        });
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        line: u32,
        feature: Option<&str>,
        message: impl Into<String>,
    ) {
        self.push(code, Severity::Error, line, feature, message.into());
    }

    fn view(&mut self, raw: RawView, contracts: &Contracts) -> Option<Inner> {
        self.name(&raw.view, None);
        let Some(contract) = contracts.newest_named(&raw.stream.value) else {
            let stream = short(&raw.stream.value);
            let message = format!("stream `{stream}` has no contract{}", nearest_stream(contracts, &stream));
            self.error(codes::STREAM, line(&raw.stream), None, message);
            return None;
        };
        self.purposes(&raw, contract);
        self.zone(&raw);
        let context = self.context(&raw);
        if raw.features.is_empty() {
            self.error(codes::FEATURE, line(&raw.view), None, "the view has no features");
        }
        if raw.features.len() > MAX_FEATURES {
            let n = raw.features.len();
            let message = format!("the view has {n} features; {MAX_FEATURES} are the most");
            self.error(codes::LIMIT, line(&raw.view), None, message);
            return None;
        }
        self.canonical = format!("{}\n{}\n{}\n", raw.view.value, raw.version.value, raw.stream.value);
        let (mut features, mut formulas) = (Vec::new(), Vec::new());
        for (i, feature) in raw.features.iter().enumerate() {
            self.name(&feature.name, Some(&feature.name.value));
            let name = &feature.name.value;
            if raw.features.iter().take(i).any(|earlier| earlier.name.value == *name) {
                self.error(codes::FEATURE, line(&feature.name), Some(name), "there are two of this name");
            }
            let made = match feature.agg {
                // Computed from others: once all of them are known.
                Agg::Expr => Some(ondemand::placeholder(feature)),
                _ => self.feature(feature, &raw.features, contract),
            };
            if let Some((made, formula)) = made {
                features.push(made);
                formulas.push(formula);
            }
        }
        let segments = self.on_demand(&raw.features, &context, &mut features, &mut formulas);
        self.currencies(&raw.features, contract);
        self.limits(line(&raw.view));
        for (line, field) in std::mem::take(&mut self.special) {
            let message = format!(
                "field `{field}` is of a special category (GDPR article 9): it needs an explicit consent"
            );
            self.push(codes::SPECIAL, Severity::Warning, line, None, message);
        }
        let fingerprint = RecordId::external("feature view", self.canonical.as_bytes());
        let n_columns = self.columns.len();
        let wording = wording::of(&raw, &context);
        Some(Inner {
            name: raw.view.value,
            version: raw.version.value,
            id: crate::row::order(fingerprint),
            fingerprint: fingerprint.to_string(),
            file: self.file.to_owned(),
            wording,
            description: raw.description,
            stream: contract.stream.clone(),
            purposes: raw.purposes.into_iter().map(|purpose| purpose.value).collect(),
            is_personal: self.is_personal,
            features,
            formulas,
            filters: std::mem::take(&mut self.filters).into_iter().map(|(_, filter)| filter).collect(),
            columns: std::mem::take(&mut self.columns),
            plan: Plan { slots: std::mem::take(&mut self.slots), n_columns, keep: Keep::ONLINE },
            context,
            segments,
        })
    }

    fn zone(&mut self, raw: &RawView) {
        let Some(zone) = &raw.zone else { return };
        match jiff::tz::TimeZone::get(&zone.value) {
            Ok(found) => self.zone = Some((zone.value.clone(), found)),
            Err(_) => {
                let message = format!(
                    "`zone` is `{}`, which is no time zone; write one like Europe/Berlin",
                    short(&zone.value)
                );
                self.error(codes::FEATURE, line(zone), None, message);
            }
        }
    }

    pub(crate) fn name(&mut self, name: &Spanned<String>, feature: Option<&str>) {
        let text = &name.value;
        let is_fine = text.chars().count() <= MAX_NAME_CHARS
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_fine {
            let message = format!(
                "`{}` is no name: small letters a to z, digits and _ are expected, {MAX_NAME_CHARS} at most",
                short(text)
            );
            self.error(codes::FEATURE, line(name), feature.map(short).as_deref(), message);
        }
    }

    fn purposes(&mut self, raw: &RawView, contract: &Contract) {
        if raw.purposes.is_empty() {
            self.error(
                codes::PURPOSE,
                line(&raw.view),
                None,
                "the view names no purpose: nobody could read it",
            );
        }
        for purpose in &raw.purposes {
            // LAW 3: what is made from a stream is used for the stream's purposes and no others.
            if !contract.purposes.iter().any(|known| known.name == purpose.value) {
                let known: Vec<String> = contract.purposes.iter().map(|p| format!("`{}`", p.name)).collect();
                let message = format!(
                    "purpose `{}` is none of stream `{}`, whose contract allows {}",
                    short(&purpose.value),
                    contract.stream,
                    if known.is_empty() { "none".into() } else { known.join(", ") }
                );
                self.error(codes::PURPOSE, line(purpose), None, message);
            }
        }
    }

    fn limits(&mut self, line: u32) {
        for (n, most, what) in [
            (self.filters.len(), MAX_FILTERS, "different filters"),
            (self.columns.len(), MAX_COLUMNS, "different fields"),
        ] {
            if n > most {
                let message = format!("the view has {n} {what}; {most} are the most: make two views of it");
                self.error(codes::LIMIT, line, None, message);
            }
        }
    }

    pub(crate) fn remember_more(&mut self, text: &str) {
        self.canonical.push_str(text);
        self.canonical.push('\n');
    }

    pub(crate) fn remember(
        &mut self,
        raw: &RawFeature,
        kind: Kind,
        window: Option<i64>,
        half_life: Option<i64>,
    ) {
        let text = |of: Option<&Spanned<String>>| of.map(|of| of.value.clone()).unwrap_or_default();
        let filter = raw.filter.as_ref().and_then(|filter| filter::parse(&filter.value).ok());
        self.canonical.push_str(
            &[
                raw.name.value.clone(),
                raw.agg.as_str().to_owned(),
                kind.as_str().to_owned(),
                text(raw.of.as_ref()),
                raw.scale.as_ref().map(|scale| scale.value.to_string()).unwrap_or_default(),
                window.map(|window| window.to_string()).unwrap_or_default(),
                half_life.map(|half_life| half_life.to_string()).unwrap_or_default(),
                text(raw.numerator.as_ref()),
                text(raw.denominator.as_ref()),
                raw.unit.map(|unit| unit.micros().to_string()).unwrap_or_default(),
                format!("{:?}", raw.default.as_ref().map(|default| &default.value)),
                filter.map(|filter| filter.to_string()).unwrap_or_default(),
            ]
            .join("\u{1f}"),
        );
        self.canonical.push('\n');
    }
}
