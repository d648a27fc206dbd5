//! What a view's file says of each feature, in one line: the same for every way of writing the same. Knows nothing of
//! contracts: a field's type may change under it.

use std::collections::BTreeMap;

use event::Span;

use crate::calendar::WORDS;
use crate::context::ContextField;
use crate::filter;
use crate::yaml::{Agg, RawFeature, RawView, Scalar};

/// By feature; what a request says stands under `context.NAME`.
pub(crate) fn of(view: &RawView, context: &[ContextField]) -> BTreeMap<String, String> {
    let features = view.features.iter().map(|one| (one.name.value.clone(), feature(one, view)));
    let said = context.iter().map(|one| (format!("context.{}", one.name), one.kind.as_str().to_owned()));
    features.chain(said).collect()
}

/// `sum of orders.total, where country = 'AT', window 30d`
fn feature(raw: &RawFeature, view: &RawView) -> String {
    let one_spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let (Agg::Expr, Some(expr)) = (raw.agg, &raw.expr) {
        let default = raw.default.as_ref().map(|default| format!(", default {}", scalar(&default.value)));
        return format!("{}{}", one_spaced(&expr.value), default.unwrap_or_default());
    }
    if let (Some(numerator), Some(denominator)) = (&raw.numerator, &raw.denominator) {
        let default = raw.default.as_ref().map(|default| format!(", default {}", scalar(&default.value)));
        return format!("{} / {}{}", numerator.value, denominator.value, default.unwrap_or_default());
    }
    let stream = &view.stream.value;
    let mut text = match &raw.of {
        Some(field) => format!("{} of {stream}.{}", raw.agg.as_str(), field.value),
        None => format!("{} of {stream}", raw.agg.as_str()),
    };
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(", {key} {value}"));
        }
    };
    let span = |text: &str| text.parse::<Span>().map_or_else(|_| text.to_owned(), |span| span.to_string());
    add(
        "where",
        raw.filter.as_ref().map(|one| {
            let parsed = filter::parse(&one.value).map(|parsed| parsed.to_string());
            // Messages quote the whole of it.
            parsed.unwrap_or_else(|_| one_spaced(&one.value)).replace('`', "")
        }),
    );
    add("window", raw.window.as_ref().map(|window| span(&window.value)));
    let of_calendar = raw.window.as_ref().is_some_and(|window| WORDS.contains(&window.value.as_str()));
    add("in", view.zone.as_ref().filter(|_| of_calendar).map(|zone| zone.value.clone()));
    add("half-life", raw.half_life.as_ref().map(|half_life| span(&half_life.value)));
    add("scale", raw.scale.as_ref().map(|scale| scale.value.to_string()));
    add("unit", raw.unit.map(|unit| Span::from_micros(unit.micros()).to_string()));
    add("default", raw.default.as_ref().map(|default| scalar(&default.value)));
    text
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Boolean(truth) => truth.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => format!("'{text}'"),
    }
}
