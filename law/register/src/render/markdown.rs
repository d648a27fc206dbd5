//! Markdown.

use std::fmt::Write as _;

use crate::document::{Block, Document, clean};

pub(super) fn write(page: &Document) -> String {
    let mut out = format!("# {}\n", escaped(&page.title));
    if !page.subtitle.is_empty() {
        let _ = write!(out, "\n{}\n", escaped(&page.subtitle));
    }
    for block in &page.blocks {
        out.push('\n');
        let _ = match block {
            Block::Heading { level, text } => {
                writeln!(out, "{} {}", "#".repeat(usize::from(*level) + 1), escaped(text))
            }
            Block::Paragraph { text } => writeln!(out, "{}", escaped(text)),
            Block::Warning { text } => writeln!(out, "> **{}**", escaped(text)),
            Block::List { items } => items.iter().try_for_each(|item| writeln!(out, "- {}", escaped(item))),
            Block::Table { columns, rows } => table(&mut out, columns, rows),
        };
    }
    out
}

fn table(out: &mut String, columns: &[String], rows: &[Vec<String>]) -> std::fmt::Result {
    let row = |out: &mut String, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))
    };
    row(out, columns)?;
    writeln!(out, "|{}", " --- |".repeat(columns.len()))?;
    rows.iter().try_for_each(|cells| row(out, cells))
}

/// A text in which nothing is markup: neither emphasis, link, code, HTML nor a link made by itself.
fn escaped(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for (at, c) in text.chars().enumerate() {
        let starts = at == 0 && matches!(c, '+' | '-' | '=' | '0'..='9');
        let is_markup = matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '&' | '~' | '!' | '@' | '$'
        );
        // `http://x`, `www.x` and `1. x` would become links and lists.
        let joins =
            (c == '/' && matches!(before, ':' | '/')) || (c == '.' && before.eq_ignore_ascii_case(&'w'));
        if is_markup || joins || (starts && !c.is_ascii_digit()) {
            out.push('\\');
        }
        if c == '.' && at > 0 && !joins && text.chars().take(at).all(|c| c.is_ascii_digit()) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}
