//! One feature of a view: its keys, its window, its field, its filter, and the formula that comes of them.

use contract::{Classification, Contract, Field, Finding};
use event::Span;
use serde_saphyr::Spanned;

use crate::building::{Building, MAX_FILTERS, codes, line};
use crate::calendar::{self, Calendar};
use crate::cell::Shape;
use crate::filter;
use crate::path::FieldPath;
use crate::plan::{Op, Slot};
use crate::suggest::{nearest, short};
use crate::value::{Kind, Reading, Value};
use crate::view::{Column, Feature, Formula};
use crate::yaml::{Agg, RawFeature, Scalar, Unit};

const MAX_SCALE: u8 = 15;

impl Building<'_> {
    /// The feature and where its value comes from; `None` where there are findings.
    pub(crate) fn feature(
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
            ("segment", raw.segment.is_some(), false, is_expr),
        ];
        for (key, is_there, is_needed, is_known) in keys {
            if is_needed && !is_there {
                let message = match is_expr {
                    true => "a feature has an `agg`, like `count`, an `expr` or a `segment`".to_owned(),
                    false => format!("`agg: {}` needs `{key}`", agg.as_str()),
                };
                self.error(codes::FEATURE, at, Some(&name), message);
            }
            if is_there && !is_known {
                let message = format!("`agg: {}` has no use for `{key}`", agg.as_str());
                self.error(codes::FEATURE, at, Some(&name), message);
            }
        }
        if let (Some(segment), Some(expr)) = (&raw.segment, &raw.expr)
            && segment.referenced != expr.referenced
        {
            let message = "a feature is of a `segment` or of an `expr`, not of both";
            self.error(codes::FEATURE, line(segment), Some(&name), message);
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
