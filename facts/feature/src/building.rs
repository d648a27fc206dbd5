//! From a view's file and its stream's contract to a view: everything is checked here, nothing later.

use contract::{Classification, Contract, Contracts, Field, Finding, Severity};
use event::{RecordId, Span};
use serde_saphyr::Spanned;

use crate::calendar::{self, Calendar};
use crate::cell::Shape;
use crate::filter::{self, Filter};
use crate::ondemand;
use crate::path::FieldPath;
use crate::plan::{Keep, Op, Plan, Slot};
use crate::suggest::{nearest, nearest_stream, short};
use crate::value::{Kind, Reading, Value};
use crate::view::{Column, Feature, Formula, Inner, View};
use crate::yaml::{self, Agg, RawFeature, RawView, Scalar, Unit};

const MAX_FEATURES: usize = 500;
/// Bits of a row's filters, and of its values.
const MAX_FILTERS: usize = 64;
const MAX_COLUMNS: usize = 64;
const MAX_NAME_CHARS: usize = 64;
const MAX_SCALE: u8 = 15;

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
}

impl View {
    /// Reads a view and checks it against the newest contract of its stream. There is a view unless a finding is
    /// an error.
    pub fn parse(yaml: &str, file: &str, contracts: &Contracts) -> (Option<View>, Vec<Finding>) {
        let raw: RawView = match yaml::parse(yaml) {
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
        let mut building = Building::new(file, raw.stream.value.clone());
        let inner = building.view(raw, contracts);
        let is_wrong = building.findings.iter().any(Finding::is_error);
        (inner.filter(|_| !is_wrong).map(View::new), building.findings)
    }
}

pub(crate) struct Building<'f> {
    file: &'f str,
    stream: String,
    findings: Vec<Finding>,
    /// Whose calendar is meant.
    zone: Option<(String, jiff::tz::TimeZone)>,
    slots: Vec<Slot>,
    columns: Vec<Column>,
    /// As written in the one way there is, and ready to be applied.
    filters: Vec<(String, Filter)>,
    is_personal: bool,
    special: Vec<(u32, String)>,
    /// What the fingerprint is made from.
    canonical: String,
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
        self.on_demand(&raw.features, &context, &mut features, &mut formulas);
        self.limits(line(&raw.view));
        for (line, field) in std::mem::take(&mut self.special) {
            let message = format!(
                "field `{field}` is of a special category (GDPR article 9): it needs an explicit consent"
            );
            self.push(codes::SPECIAL, Severity::Warning, line, None, message);
        }
        let fingerprint = RecordId::external("feature view", self.canonical.as_bytes());
        let n_columns = self.columns.len();
        Some(Inner {
            name: raw.view.value,
            version: raw.version.value,
            id: crate::row::order(fingerprint),
            fingerprint: fingerprint.to_string(),
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

    /// The feature and where its value comes from; `None` where there are findings.
    fn feature(
        &mut self,
        raw: &RawFeature,
        all: &[RawFeature],
        contract: &Contract,
    ) -> Option<(Feature, Formula)> {
        let before = self.findings.len();
        self.keys(raw);
        let calendar = self.calendar(raw);
        let window = match &calendar {
            Some((calendar, _)) => Some(calendar.longest()),
            None => self.span(raw, raw.window.as_ref(), "window"),
        };
        let half_life = self.span(raw, raw.half_life.as_ref(), "half_life");
        let column = self.column(raw, contract);
        let filter = self.filter(raw, contract);
        let kind = match (raw.agg, column) {
            (Agg::Count | Agg::Distinct, _) => Kind::Integer,
            (Agg::Mean | Agg::TimeSince | Agg::Ratio | Agg::DecayedSum | Agg::Expr, _) => Kind::Number,
            (Agg::Sum, Some((_, kind))) if raw.scale.is_none() => kind,
            (Agg::Min | Agg::Max | Agg::First | Agg::Last, Some((_, kind))) => kind,
            (Agg::Sum | Agg::Min | Agg::Max | Agg::First | Agg::Last, _) => Kind::Number,
        };
        let default = self.default(raw, kind);
        let formula = match raw.agg {
            Agg::Ratio => self.ratio(raw, all)?,
            _ => {
                let scale = raw.scale.as_ref().map(|scale| scale.value);
                let (op, reading) = operation(raw.agg, kind, scale, half_life.unwrap_or(1), raw.unit);
                let column = column.map(|(column, _)| column);
                let piece = calendar.as_ref().map(|(calendar, _)| calendar.clone());
                let slot = Slot { op, column, filter, window, calendar: piece };
                let slot = self.slots.iter().position(|other| *other == slot).unwrap_or_else(|| {
                    self.slots.push(slot);
                    self.slots.len() - 1
                });
                Formula::Of { slot, reading }
            }
        };
        if self.findings.len() > before && self.findings.iter().skip(before).any(Finding::is_error) {
            return None;
        }
        let calendar = calendar.map(|(_, words)| words);
        self.remember(raw, kind, window, half_life);
        if let Some(words) = &calendar {
            self.canonical.push_str(&format!("{words}\n"));
        }
        let feature = Feature {
            name: raw.name.value.clone(),
            kind,
            window: window.map(Span::from_micros),
            calendar,
            is_on_demand: false,
            default,
            description: raw.description.clone(),
        };
        Some((feature, formula))
    }

    /// Every key that the aggregation needs is there, and none that it does not know.
    pub(crate) fn keys(&mut self, raw: &RawFeature) {
        let (agg, name, at) = (raw.agg, raw.name.value.clone(), line(&raw.name));
        let is_ratio = agg == Agg::Ratio;
        let is_expr = agg == Agg::Expr;
        let needs_of = !matches!(agg, Agg::Count | Agg::TimeSince | Agg::Ratio | Agg::Expr);
        let keys = [
            ("of", raw.of.is_some(), needs_of, needs_of || agg == Agg::Count),
            ("scale", raw.scale.is_some(), false, matches!(agg, Agg::Sum | Agg::Mean)),
            ("window", raw.window.is_some(), false, !is_ratio && !is_expr),
            ("where", raw.filter.is_some(), false, !is_ratio && !is_expr),
            ("half_life", raw.half_life.is_some(), agg == Agg::DecayedSum, agg == Agg::DecayedSum),
            ("numerator", raw.numerator.is_some(), is_ratio, is_ratio),
            ("denominator", raw.denominator.is_some(), is_ratio, is_ratio),
            ("unit", raw.unit.is_some(), false, agg == Agg::TimeSince),
            ("expr", raw.expr.is_some(), is_expr, is_expr),
        ];
        for (key, is_there, is_needed, is_known) in keys {
            if is_needed && !is_there {
                let message = match is_expr {
                    true => "a feature has an `agg`, like `count`, or an `expr`".to_owned(),
                    false => format!("`agg: {}` needs `{key}`", agg.as_str()),
                };
                self.error(codes::FEATURE, at, Some(&name), message);
            }
            if is_there && !is_known {
                let message = format!("`agg: {}` has no use for `{key}`", agg.as_str());
                self.error(codes::FEATURE, at, Some(&name), message);
            }
        }
        if let Some(scale) = raw.scale.as_ref().filter(|scale| scale.value > MAX_SCALE) {
            let message = format!("`scale` is {}; {MAX_SCALE} decimals are the most", scale.value);
            self.error(codes::FEATURE, line(scale), Some(&name), message);
        }
    }

    /// A window of the calendar, with its words.
    fn calendar(&mut self, raw: &RawFeature) -> Option<(Calendar, String)> {
        let word = raw.window.as_ref().filter(|word| calendar::WORDS.contains(&word.value.as_str()))?;
        let Some((zone, found)) = self.zone.clone() else {
            let message = format!(
                "`window: {}` begins with the {} of a place: say which with the view's `zone: Europe/Berlin`",
                word.value, word.value
            );
            self.error(codes::FEATURE, line(word), Some(&raw.name.value), message);
            return None;
        };
        Some((Calendar::find(&word.value, found)?, format!("{} in {zone}", word.value)))
    }

    fn span(&mut self, raw: &RawFeature, text: Option<&Spanned<String>>, key: &str) -> Option<i64> {
        let text = text?;
        let message = match text.value.parse::<Span>() {
            Ok(span) if span > Span::ZERO => return Some(span.micros()),
            Ok(_) => {
                format!("`{key}` is `{}`; more than nothing is expected, like `30d`", short(&text.value))
            }
            Err(error) => format!("`{key}`: {error}"),
        };
        self.error(codes::FEATURE, line(text), Some(&raw.name.value), message);
        None
    }

    fn column(&mut self, raw: &RawFeature, contract: &Contract) -> Option<(usize, Kind)> {
        let of = raw.of.as_ref()?;
        let name = &raw.name.value;
        let Some((path, field)) = FieldPath::find(contract, &of.value) else {
            let of_text = short(&of.value);
            let message = format!(
                "stream `{}` has no field `{of_text}`{}",
                contract.stream,
                nearest(contract, &of_text)
            );
            self.error(codes::FIELD, line(of), Some(name), message);
            return None;
        };
        let (mut shape, kind) = match field.kind {
            contract::Kind::Integer => (Shape::Number, Kind::Integer),
            contract::Kind::Number => (Shape::Number, Kind::Number),
            contract::Kind::Boolean => (Shape::Boolean, Kind::Boolean),
            contract::Kind::Text
            | contract::Kind::Date
            | contract::Kind::Timestamp
            | contract::Kind::Time => (Shape::Text, Kind::Text),
            contract::Kind::Object(_) | contract::Kind::Array(_) | contract::Kind::Any => {
                let message = format!(
                    "field `{}` is of type {}; a feature needs a text, a number or true/false",
                    of.value,
                    field.kind.as_str()
                );
                self.error(codes::TYPE, line(of), Some(name), message);
                return None;
            }
        };
        let needs_number = matches!(raw.agg, Agg::Sum | Agg::Mean | Agg::Min | Agg::Max | Agg::DecayedSum);
        if needs_number && shape != Shape::Number {
            let (agg, kind) = (raw.agg.as_str(), field.kind.as_str());
            let message = format!("`agg: {agg}` needs a number, but field `{}` is of type {kind}", of.value);
            self.error(codes::TYPE, line(of), Some(name), message);
            return None;
        }
        if let Some(scale) = &raw.scale {
            shape = Shape::Scaled(scale.value);
        }
        self.used(field, line(of));
        let column = Column { path, shape };
        let at = self.columns.iter().position(|other| *other == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        Some((at, kind))
    }

    /// LAW 4: what is derived from a personal field is personal.
    fn used(&mut self, field: &Field, line: u32) {
        self.is_personal |= field.effective.is_sealed();
        let is_known = self.special.iter().any(|(_, name)| *name == field.name);
        if field.effective == Classification::Special && !is_known {
            self.special.push((line, field.name.clone()));
        }
    }

    fn filter(&mut self, raw: &RawFeature, contract: &Contract) -> Option<u32> {
        let text = raw.filter.as_ref()?;
        let at = line(text);
        let mut used: Vec<&Field> = Vec::new();
        let read = filter::parse(&text.value).and_then(|expr| {
            let written = expr.to_string();
            expr.resolve(contract, &mut used).map(|resolved| (written, resolved))
        });
        let (written, resolved) = match read {
            Ok(read) => read,
            Err(mistake) => {
                let (filter, column, what) = (short(&text.value), mistake.column, mistake.message);
                let message = format!("filter `{filter}`, column {column}: {what}");
                self.error(codes::FILTER, at, Some(&raw.name.value), message);
                return None;
            }
        };
        for field in used {
            self.used(field, at);
        }
        let place = self.filters.iter().position(|(other, _)| *other == written).unwrap_or_else(|| {
            self.filters.push((written, resolved));
            self.filters.len() - 1
        });
        u32::try_from(place).ok().filter(|bit| *bit < MAX_FILTERS as u32)
    }

    pub(crate) fn default(&mut self, raw: &RawFeature, kind: Kind) -> Value {
        let Some(default) = &raw.default else { return Value::Missing };
        match (kind, &default.value) {
            (Kind::Integer, Scalar::Integer(n)) => Value::Integer(*n),
            (Kind::Number, Scalar::Integer(n)) => Value::Number(*n as f64),
            (Kind::Number, Scalar::Number(float)) if float.is_finite() => Value::Number(*float),
            (Kind::Text, Scalar::Text(text)) => Value::Text(text.as_str().into()),
            (Kind::Boolean, Scalar::Boolean(truth)) => Value::Boolean(*truth),
            _ => {
                let message = format!("its values are of type {}, its `default` is not", kind.as_str());
                self.error(codes::TYPE, line(default), Some(&raw.name.value), message);
                Value::Missing
            }
        }
    }

    fn ratio(&mut self, raw: &RawFeature, all: &[RawFeature]) -> Option<Formula> {
        let mut find = |of: Option<&Spanned<String>>| {
            let of = of?;
            let place = all.iter().position(|other| other.name.value == of.value);
            let name = Some(raw.name.value.as_str());
            match place.and_then(|place| all.get(place)) {
                None => {
                    let message = format!("there is no feature `{}` in this view", short(&of.value));
                    self.error(codes::FEATURE, line(of), name, message);
                    None
                }
                Some(other) if other.agg == Agg::Expr => {
                    let message =
                        format!("`{}` is computed on demand: divide in an `expr`", other.name.value);
                    self.error(codes::FEATURE, line(of), name, message);
                    None
                }
                Some(other) if other.agg == Agg::Ratio => {
                    let message = format!("`{}` is a ratio itself: take its parts", of.value);
                    self.error(codes::FEATURE, line(of), name, message);
                    None
                }
                Some(_) => place,
            }
        };
        let (numerator, denominator) = (find(raw.numerator.as_ref()), find(raw.denominator.as_ref()));
        Some(Formula::Ratio { numerator: numerator?, denominator: denominator? })
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

fn operation(agg: Agg, kind: Kind, scale: Option<u8>, half_life: i64, unit: Option<Unit>) -> (Op, Reading) {
    match agg {
        Agg::Count => (Op::Count, Reading::Count),
        Agg::Sum => (Op::Sum, Reading::Sum { scale, kind }),
        Agg::Mean => (Op::Sum, Reading::Mean { scale }),
        Agg::Min => (Op::Min, Reading::Row { kind }),
        Agg::Max => (Op::Max, Reading::Row { kind }),
        Agg::First => (Op::First, Reading::Row { kind }),
        Agg::Last => (Op::Last, Reading::Row { kind }),
        Agg::Distinct => (Op::Distinct, Reading::Distinct),
        Agg::DecayedSum => (Op::Decayed { half_life }, Reading::Decayed),
        Agg::TimeSince | Agg::Ratio | Agg::Expr => {
            (Op::Latest, Reading::Since { unit: unit.unwrap_or(Unit::Days).micros() })
        }
    }
}
