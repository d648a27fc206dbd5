//! bench/RESULTS.md: one row per bench with machine and date; a run replaces only the rows it measured.

use crate::table::{Item, Row};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const HEAD: &str = "# Results\n\nWritten by `cargo xtask bench`; a row is replaced when its bench runs again, nothing is edited by hand.\n\n\
    | bench | what | figure | bar | verdict | date | machine |\n|---|---|---|---|---|---|---|\n";

/// Merges the rows just measured into the page.
pub fn write(page: &Path, items: &[Item], rows: &[Row]) -> Result<()> {
    let old = std::fs::read_to_string(page).unwrap_or_default();
    Ok(std::fs::write(page, merge(&old, items, rows, &today()?, &machine()))?)
}

fn merge(old: &str, items: &[Item], rows: &[Row], date: &str, machine: &str) -> String {
    let kept =
        old.lines().filter_map(|line| Some((line.strip_prefix("| `")?.split_once('`')?.0, line.to_owned())));
    let mut lines: BTreeMap<&str, String> = kept.collect();
    for Row { id, title, bar, figure, verdict } in rows {
        let cells =
            [title, figure.as_str(), bar, verdict.word(), date, machine].map(|cell| cell.replace('|', "/"));
        lines.insert(id, format!("| `{id}` | {} |", cells.join(" | ")));
    }
    let ordered = items.iter().filter_map(|item| lines.get(item.id)).map(|line| format!("{line}\n"));
    std::iter::once(HEAD.to_owned()).chain(ordered).collect()
}

fn today() -> Result<String> {
    Ok(String::from_utf8(Command::new("date").args(["--utc", "+%F"]).output()?.stdout)?.trim().to_owned())
}

/// Cores, processor and memory, as Linux tells them.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let kib =
        field("/proc/meminfo", "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
    format!("{cores} cores, {processor}, {} GiB", kib.unwrap_or(0).div_ceil(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Figure, Verdict};

    #[test]
    fn a_run_replaces_only_its_rows() {
        let run = |_: &crate::place::Place| Ok(Figure { text: String::new(), holds: true });
        let item = |id| Item { id, title: "t", bar: "b", run };
        let row = |id, figure: &str| Row {
            id,
            title: "t",
            bar: "b",
            figure: figure.into(),
            verdict: Verdict::Holds,
        };
        let items = [item("a"), item("b")];
        let first = merge("", &items, &[row("a", "1"), row("b", "2")], "d1", "m");
        let second = merge(&first, &items, &[row("b", "3|4")], "d2", "m");
        assert!(
            second
                .ends_with("| `a` | t | 1 | b | holds | d1 | m |\n| `b` | t | 3/4 | b | holds | d2 | m |\n")
        );
    }
}
