//! Printing: data on stdout, everything else on stderr, progress bars where somebody looks.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Fine,
    /// Done, and something does not hold.
    Findings,
    /// Not done.
    Error,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(match code {
            Code::Fine => 0,
            Code::Findings => 1,
            Code::Error => 3,
        })
    }
}

/// Logs go to stderr; `RUST_LOG` overrides.
pub fn start_logging(verbose: u8, json: bool) {
    let level = match verbose {
        0 => "warn,maschinenraum=info,serve=info,house=info",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let start = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if json { start.json().init() } else { start.with_target(false).init() }
}

/// Prints an error with what caused it.
pub fn complain(error: &anyhow::Error) {
    let code = error.downcast_ref::<house::Error>().map(house::Error::code);
    let mut said = error.to_string();
    say(&format!("error: {said}"));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many messages end with their cause.
        if !said.contains(&cause) {
            say(&format!("  because: {cause}"));
            said = cause;
        }
    }
    match code {
        Some(code) if said.contains(code) => say(&format!("  explained in docs/errors/{code}.md")),
        Some(code) => say(&format!("  {code}, explained in docs/errors/{code}.md")),
        None => {}
    }
}

/// A count with its noun: `1 model`, `2 models`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// A line on stderr.
pub fn say(line: &str) {
    // Nobody is left to tell where stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A line on stdout. A reader that went away ends the output quietly, as `head` expects.
pub fn line(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// JSON on stdout.
///
/// # Errors
/// Where the value has none.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// A table with aligned columns; numbers to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(head.get(at).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let is_number = |at: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some()
            && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+'))
    };
    let print = |row: &[String]| {
        let cells = row.iter().enumerate().map(|(at, cell)| {
            let pad = " ".repeat(width(at).saturating_sub(cell.chars().count()));
            if is_number(at) { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    print(&(0..head.len()).map(|at| "─".repeat(width(at))).collect::<Vec<_>>());
    for row in rows {
        print(row);
    }
}
