//! Items that measure something and hold it against a bar, and the table they print.

use crate::place::Place;
use anyhow::{Result, bail};
use std::time::Instant;

/// One line of an area's acceptance table or of the benches.
pub struct Item {
    /// Short and stable: what `--only` names.
    pub id: &'static str,
    /// What is measured.
    pub title: &'static str,
    /// What the figure must reach, in words.
    pub bar: &'static str,
    /// Measures; an error is a verdict too.
    pub run: fn(&Place) -> Result<Figure>,
}

/// What an item measured.
pub struct Figure {
    /// The figure with its unit, e.g. "AUC 0.793 [0.781, 0.805]".
    pub text: String,
    /// Whether it reaches the bar.
    pub holds: bool,
}

/// An item that ran.
pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    pub bar: &'static str,
    pub figure: String,
    pub verdict: Verdict,
}

/// How an item ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    FallsShort,
    Broke,
}

impl Verdict {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::FallsShort => "FALLS SHORT",
            Self::Broke => "BROKE",
        }
    }
}

/// Runs the items, all or those named.
pub fn run(place: &Place, items: &[Item], only: &[String]) -> Result<Vec<Row>> {
    if let Some(unknown) = only.iter().find(|id| !items.iter().any(|item| item.id == id.as_str())) {
        let known: Vec<_> = items.iter().map(|item| item.id).collect();
        bail!("there is no item `{unknown}`; known: {}", known.join(", "));
    }
    let mut rows = Vec::new();
    for item in items.iter().filter(|item| only.is_empty() || only.iter().any(|id| id == item.id)) {
        eprintln!("== {}  {}", item.id, item.title);
        let started = Instant::now();
        let (figure, verdict) = match (item.run)(place) {
            Ok(Figure { text, holds: true }) => (text, Verdict::Holds),
            Ok(Figure { text, holds: false }) => (text, Verdict::FallsShort),
            Err(error) => (format!("{error:#}"), Verdict::Broke),
        };
        eprintln!("   {} after {} s", verdict.word(), started.elapsed().as_secs());
        rows.push(Row { id: item.id, title: item.title, bar: item.bar, figure, verdict });
    }
    Ok(rows)
}

/// Whether every row holds, and there is one.
pub fn all_hold(rows: &[Row]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.verdict == Verdict::Holds)
}

/// The rows in aligned columns.
pub fn render(rows: &[Row]) -> String {
    let head = ["item", "what", "figure", "bar", "verdict"].map(str::to_owned);
    let cells = rows
        .iter()
        .map(|row| [row.id, row.title, &row.figure, row.bar, row.verdict.word()].map(str::to_owned));
    let lines: Vec<_> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<w$}", w = width(column).unwrap_or(0)));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let row =
            |id, figure: &str, verdict| Row { id, title: "t", bar: "≥ 1", figure: figure.into(), verdict };
        let text = render(&[row("1", "2 ms", Verdict::Holds), row("long", "–", Verdict::Broke)]);
        assert_eq!(
            text,
            "item  what  figure  bar  verdict\n1     t     2 ms    ≥ 1  holds\nlong  t     –       ≥ 1  BROKE\n"
        );
        assert!(!all_hold(&[]));
    }
}
