//! Rules of one field that cannot all be kept.

use serde_json::Value;

use super::reading::{Reading, codes};
use crate::model::{Field, Kind, Limit, Rules};
use crate::{Classification, Severity, check};

/// Says what contradicts itself: whatever is sent, nothing would pass, or a rule lists what another refuses.
pub(super) fn find(field: &Field, path: &str, reading: &mut Reading<'_>) {
    let mut complaints = Vec::new();
    let rules = &field.rules;
    if let (Some(min), Some(max)) = (&rules.min, &rules.max)
        && is_empty(min, max, matches!(field.kind, Kind::Integer))
    {
        let ends = |limit: &Limit| if limit.exclusive { ", itself excluded" } else { "" };
        complaints.push(format!(
            "nothing fits `{path}`: minimum {}{} is above maximum {}{}",
            min.written,
            ends(min),
            max.written,
            ends(max)
        ));
    }
    for (least, most, what) in
        [(rules.min_chars, rules.max_chars, "characters"), (rules.min_items, rules.max_items, "items")]
    {
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            complaints.push(format!("nothing fits `{path}`: at least {least} and at most {most} {what}"));
        }
    }
    let is_number = matches!(field.kind, Kind::Number | Kind::Integer);
    if field.scale.is_some() && !is_number {
        complaints.push(format!("`scale` of `{path}` means nothing for the type `{}`", field.kind.as_str()));
    }
    if field.currency.is_some() && !is_number {
        complaints
            .push(format!("`currency` of `{path}` means nothing for the type `{}`", field.kind.as_str()));
    }
    if rules.zone.is_some() && !matches!(field.kind, Kind::Timestamp | Kind::Date | Kind::Time) {
        complaints
            .push(format!("`timeZone` of `{path}` means nothing for the type `{}`", field.kind.as_str()));
    }
    if let (Some((least, most)), Some(text)) = (rules.width, out_of_width(rules)) {
        complaints.push(format!("nothing fits `{path}`: {text} lies outside of {least} to {most}"));
    }
    // Where nothing fits at all, no single value need be named.
    if complaints.is_empty() {
        listed(field, path, &mut complaints);
    }
    for message in complaints {
        reading.push(codes::RULE, Severity::Error, Some(path), field.line, message);
    }
}

fn is_empty(min: &Limit, max: &Limit, whole: bool) -> bool {
    let either_excluded = min.exclusive || max.exclusive;
    if let (Some(low), Some(high)) = (min.micros, max.micros) {
        return low > high || (low == high && either_excluded);
    }
    if let (true, Some(low), Some(high)) = (whole, min.whole, max.whole) {
        // The whole numbers that are left between the two.
        return low + i128::from(min.exclusive) > high - i128::from(max.exclusive);
    }
    min.number > max.number || (min.number == max.number && either_excluded)
}

/// A limit that the declared width cannot hold.
fn out_of_width(rules: &Rules) -> Option<String> {
    let (least, most) = rules.width?;
    let above = rules.min.as_ref().filter(|min| min.whole.is_some_and(|n| n > most));
    let below = rules.max.as_ref().filter(|max| max.whole.is_some_and(|n| n < least));
    above
        .map(|min| format!("the minimum {}", min.written))
        .or(below.map(|max| format!("the maximum {}", max.written)))
}

/// Allowed values that another rule of the same field refuses.
fn listed(field: &Field, path: &str, complaints: &mut Vec<String>) {
    let rules = &field.rules;
    for value in &rules.allowed {
        if rules.missing.contains(value) {
            complaints.push(format!("{value} of `{path}` is allowed and stands for missing"));
        } else if let Some(why) = refused(field, value) {
            complaints.push(format!("{value} of `{path}` is allowed, and another rule refuses it: {why}"));
        }
    }
}

fn refused(field: &Field, value: &Value) -> Option<String> {
    // What the list itself says is not the question.
    let mut alone = field.clone();
    alone.rules.allowed.clear();
    // What the file lists is nobody's value.
    alone.effective = Classification::Public;
    let findings = check::value(&alone, value);
    findings.into_iter().find(|finding| finding.is_error()).map(|finding| finding.message)
}
