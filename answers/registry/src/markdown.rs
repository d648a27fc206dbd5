//! The model card as Markdown. Text that people or data brought in is escaped: a segment's name cannot make a link.

use std::fmt::Write;

use learn::metric::{Estimate, Metrics};

use crate::{Card, Role, Stage};

impl Card {
    /// The card as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // writing to a String cannot fail
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let role = match self.role {
            Role::Baseline => "baseline",
            Role::Challenger => "challenger",
        };
        writeln!(out, "# {} {}\n", self.model, self.version)?;
        writeln!(out, "{}\n", or(&self.about.what, "Nothing is said about what it is."))?;
        let share = self.share_percent.map_or(String::new(), |s| format!(", {s} % of the profiles"));
        writeln!(out, "| | |\n|---|---|")?;
        writeln!(out, "| stage | {}{share} |", self.stage)?;
        writeln!(out, "| method | {} ({role}) |", escape(&self.about.method))?;
        writeln!(out, "| answers for it | {} |", escape(&self.about.owner))?;
        writeln!(out, "| registered | {} by {} |", self.registered_at, escape(&self.registered_by))?;
        writeln!(out, "\n## Use\n")?;
        writeln!(out, "Meant for: {}\n", or(&self.about.intended_use, "nothing is said."))?;
        writeln!(out, "Limits: {}", or(&self.about.limits, "nothing is said."))?;
        self.write_figures(out)?;
        self.write_gates(out)?;
        self.write_data(out)?;
        writeln!(out, "\n## History\n")?;
        for entry in &self.history {
            let reason =
                if entry.reason.is_empty() { String::new() } else { format!(": {}", escape(&entry.reason)) };
            writeln!(out, "- {} {} ({}){reason}", entry.at, escape(&entry.what), escape(&entry.by))?;
        }
        Ok(())
    }

    fn write_figures(&self, out: &mut String) -> std::fmt::Result {
        let m = &self.metrics;
        writeln!(out, "\n## Figures\n\nOn the test set, with 95 % intervals.\n")?;
        writeln!(
            out,
            "| on | rows | yes | AUC | log loss | Brier | calibration error | lift at {} % |",
            100.0 * m.lift_share
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        let segments = self.segments.iter().map(|s| (escape(&s.name), &s.metrics));
        for (name, m) in std::iter::once(("all".to_owned(), m)).chain(segments) {
            let Metrics { n_rows, n_positives, auc, log_loss, brier, calibration_error, lift, .. } = m;
            writeln!(
                out,
                "| {name} | {n_rows} | {n_positives} | {} | {} | {} | {} | {} |",
                cell(auc),
                cell(log_loss),
                cell(brier),
                cell(calibration_error),
                cell(lift)
            )?;
        }
        let precision = m.precision.as_ref().map_or("undefined (it never acts)".into(), cell);
        writeln!(
            out,
            "\nActing from a probability of {:.3} on: precision {precision}, recall {}, cost per row {}.",
            m.threshold,
            cell(&m.recall),
            cell(&m.cost)
        )
    }

    fn write_gates(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n## Gate\n")?;
        if self.gates.is_empty() {
            writeln!(out, "Never judged, so it may serve nobody.")?;
        }
        for gate in &self.gates {
            writeln!(out, "{} by {}, {}:\n", gate.at, escape(&gate.by), escape(&gate.test))?;
            for check in &gate.checks {
                writeln!(
                    out,
                    "- {} {}",
                    if check.passed { "passed:" } else { "**refused:**" },
                    escape(&check.message)
                )?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_data(&self, out: &mut String) -> std::fmt::Result {
        let data = &self.manifest.dataset;
        let features: Vec<String> =
            data.features.iter().map(|f| format!("{}@{}", f.view, f.version)).collect();
        writeln!(out, "## Data\n\n| | |\n|---|---|")?;
        writeln!(out, "| dataset | `{}` |", self.dataset)?;
        writeln!(out, "| rows | {}, {} with outcome yes |", data.n_rows, data.n_positives)?;
        writeln!(out, "| as of | {} to {} |", data.earliest, data.latest)?;
        writeln!(out, "| purpose | {}, consent epoch {} |", escape(&data.purpose), data.consent_epoch)?;
        writeln!(out, "| feature views | {} |", escape(&features.join(", ")))?;
        writeln!(out, "| columns | {} |", escape(&data.columns.join(", ")))?;
        for range in &data.journal {
            writeln!(out, "| journal, partition {} | {} to {} |", range.partition, range.from, range.until)?;
        }
        writeln!(out, "| rows' hash | `{}` |", data.rows)?;
        writeln!(out, "| seed | {} |", data.seed)?;
        writeln!(out, "| code | {} |", escape(&self.manifest.code))?;
        writeln!(out, "| parameters | {} |", escape(&self.manifest.parameters))?;
        writeln!(out, "| model's hash | `{}` |", self.manifest.artefact)
    }

    /// True where it serves somebody.
    pub fn serves(&self) -> bool {
        matches!(self.stage, Stage::Canary | Stage::Live)
    }
}

fn cell(e: &Estimate) -> String {
    format!("{:.4} ({:.4}–{:.4})", e.value, e.low, e.high)
}

fn or(text: &str, otherwise: &str) -> String {
    if text.trim().is_empty() { otherwise.to_owned() } else { escape(text) }
}

/// Takes the meaning from characters that Markdown or HTML would act on.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '!' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
