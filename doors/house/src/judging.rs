//! A file judged by a contract: what of it would be refused, and what the contract's rules about many records come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use contract::Contract;
use contract::metric::{ColumnTold, Judge, Metric, Verdict};
use intake::file::{self, Columns};
use parking_lot::Mutex;
use serde::Serialize;

use crate::Error;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileJudged {
    /// Its rows.
    pub n_rows: u64,
    /// Rows that are not well formed: they were saved as far as possible.
    pub n_torn: u64,
    /// Rows that would be refused.
    pub n_refused: u64,
    /// The same by code and field; one row may have several.
    pub refused: BTreeMap<String, u64>,
    /// What the rules about many records came to.
    pub verdicts: Vec<Verdict>,
    /// True where the file was judged column by column: the same figures, sooner.
    pub by_columns: bool,
}

/// Judges a file. Parquet is judged column by column on all cores where the contract looks at one field at a time;
/// everything else row by row.
///
/// # Errors
/// [`Error::Intake`] where the file cannot be read.
pub fn judge_file(
    contract: &Contract,
    path: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<FileJudged, Error> {
    if let Some(judged) = by_columns(contract, path)? {
        return Ok(judged);
    }
    let file = file::inspect(path, |_| {})?;
    let mut judge = Judge::new(contract);
    let (mut n_rows, mut n_torn, mut n_refused) = (0, 0, 0);
    let mut refused: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
    let mut rows = file.rows(0)?;
    while let Some(row) = rows.next() {
        let row = row?;
        n_rows += 1;
        if n_rows % 1_024 == 0 {
            progress(rows.progress().n_bytes, file.n_bytes());
        }
        n_torn += u64::from(row.finding.is_some());
        let bound = contract.bind(&row.raw);
        judge.take(&bound);
        let mut findings = contract.check_limits(&row.raw);
        findings.extend(row.finding);
        if findings.is_empty() {
            findings = contract.judge(&row.raw, &bound);
        }
        let grave = findings.into_iter().filter(contract::Finding::is_error);
        let why: std::collections::BTreeSet<_> = grave
            .map(|finding| {
                (finding.code, watch::without_places(finding.field.as_deref().unwrap_or_default()))
            })
            .collect();
        n_refused += u64::from(!why.is_empty());
        for why in why {
            *refused.entry(why).or_default() += 1;
        }
    }
    let refused = refused.into_iter().map(|((code, field), n)| (named(code, &field), n)).collect();
    Ok(FileJudged { n_rows, n_torn, n_refused, refused, verdicts: judge.verdicts(), by_columns: false })
}

fn named(code: &str, field: &str) -> String {
    format!("{code} {field}").trim_end().to_owned()
}

fn by_columns(contract: &Contract, path: &Path) -> Result<Option<FileJudged>, Error> {
    let Some(first) = Columns::open(path)? else { return Ok(None) };
    let n_rows = first.n_rows();
    let room = usize::try_from(n_rows).unwrap_or(usize::MAX);
    let Some(judges) = contract.column_judges(|name| first.kind(name), room) else { return Ok(None) };
    let n_columns = judges.len();
    let work: Vec<Mutex<Option<_>>> = judges.into_iter().map(|one| Mutex::new(Some(one))).collect();
    let (next, gave_up) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<ColumnTold>> = Mutex::new(Vec::with_capacity(n_columns));
    let n_workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 8)).min(n_columns);
    let worker = || -> Result<(), Error> {
        // Threads that share a file's handle would share its place in it, too.
        let Some(columns) = Columns::open(path)? else { return Ok(()) };
        while !gave_up.load(Ordering::Relaxed) {
            let Some(slot) = work.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let Some((name, mut judge)) = slot.lock().take() else { continue };
            if !columns.visit(&name, &mut |at, n, there, values| judge.take(at, n, there, values))? {
                gave_up.store(true, Ordering::Relaxed);
                break;
            }
            done.lock().push(std::mem::take(&mut judge.told));
        }
        Ok(())
    };
    let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    results.into_iter().collect::<Result<(), Error>>()?;
    let done = done.into_inner();
    if gave_up.into_inner() || done.len() < n_columns {
        return Ok(None);
    }
    Ok(Some(together(contract, n_rows, done)))
}

fn together(contract: &Contract, n_rows: u64, done: Vec<ColumnTold>) -> FileJudged {
    let mut counts: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut bad: Vec<u64> = Vec::new();
    for told in done {
        counts.extend(told.counts);
        for ((code, field), n) in told.refused {
            *refused.entry(named(&code, &field)).or_default() += n;
        }
        bad.extend(told.bad_rows);
    }
    bad.sort_unstable();
    bad.dedup();
    let rules = contract.rules.iter().enumerate();
    let verdicts = rules.map(|(at, rule)| {
        let n = if matches!(rule.metric, Metric::Rows) {
            Some(n_rows)
        } else {
            counts.get(&at).copied().flatten()
        };
        Verdict::of(rule, contract.version, n, n_rows)
    });
    FileJudged {
        n_rows,
        n_torn: 0,
        n_refused: bad.len() as u64,
        refused,
        verdicts: verdicts.collect(),
        by_columns: true,
    }
}
