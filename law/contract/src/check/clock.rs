//! Times on the wall: what a raw document says before a zone was given to it.

use serde_json::Value;

use crate::finding::{Findings, codes, quoted};
use crate::model::Contract;
use crate::time::{self, Reading};
use crate::{Finding, Severity};

impl Contract {
    /// What is wrong with a raw document and what [`Contract::bind`] made of it: all of [`Contract::check`], and times
    /// that their zone's clocks showed twice, which a bound record no longer tells.
    pub fn judge(&self, raw: &Value, bound: &Value) -> Vec<Finding> {
        let mut found = self.check(bound);
        if !self.zoned.is_empty() {
            let mut findings = Findings::new(self.stream.as_str());
            self.shown_twice(raw, &mut findings);
            found.extend(findings.finish());
        }
        found
    }

    fn shown_twice(&self, raw: &Value, findings: &mut Findings<'_>) {
        for field in &self.zoned {
            let Some(Value::String(text)) = field.source.follow(raw) else { continue };
            let Some(civil) = time::wall(text, field.format.as_ref()) else { continue };
            if time::reading(civil, &field.zone) != Reading::Twice {
                continue;
            }
            let zone = field.zone.iana_name().unwrap_or("the declared zone");
            let shown = if field.is_open { format!(" {}", quoted(text)) } else { String::new() };
            let message = format!(
                "field `{}` is a time{shown} that {zone} showed twice when its clocks went back: the first of both is taken",
                field.path
            );
            findings.push(codes::TWICE, Severity::Warning, Some(field.path.clone()), message);
        }
    }
}
