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

/// The widest that each column gets; longer cells go on in the next line.
const WIDEST: [usize; 5] = [16, 30, 64, 36, 11];

/// The rows in aligned columns, long cells wrapped, so that a terminal shows a table.
pub fn render(rows: &[Row]) -> String {
    let head = ["item", "what", "figure", "bar", "verdict"];
    let cells = rows.iter().map(|row| [row.id, row.title, &row.figure, row.bar, row.verdict.word()]);
    let lines: Vec<[Vec<String>; 5]> = std::iter::once(head)
        .chain(cells)
        .map(|cells| {
            let mut wrapped = cells.into_iter().zip(WIDEST).map(|(cell, widest)| wrap(cell, widest));
            std::array::from_fn(|_| wrapped.next().unwrap_or_default())
        })
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column)).flatten();
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let height = line.iter().map(Vec::len).max().unwrap_or(0);
        if at > 0 && lines.iter().any(|line| line.iter().any(|cell| cell.len() > 1)) {
            text.push('\n');
        }
        for row in 0..height {
            let padded = line.iter().enumerate().map(|(column, cell)| {
                format!("{:<w$}", cell.get(row).map_or("", String::as_str), w = width(column))
            });
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A cell in lines of at most `widest` characters, broken between words where there are any.
fn wrap(cell: &str, widest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in cell.split_whitespace() {
        let Some(last) = lines.last_mut() else { continue };
        let room = widest.saturating_sub(last.chars().count());
        if last.is_empty() {
            last.push_str(word);
        } else if word.chars().count() < room {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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

    #[test]
    fn long_cells_go_on_in_the_next_line() {
        let figure = "word ".repeat(40);
        let row =
            Row { id: "1", title: "t", bar: "b", figure: figure.trim().into(), verdict: Verdict::Holds };
        let text = render(&[row]);
        assert!(text.lines().all(|line| line.chars().count() <= 160), "{text}");
        assert_eq!(text.matches("word").count(), 40);
    }
}
