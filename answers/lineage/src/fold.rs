//! The fold over `mr.lineage`: what other tools told, in the control partition.

use event::{Instant, Record};
use serde::{Deserialize, Serialize};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

use crate::openlineage::{DatasetTold, EdgeTold, JobTold, Told};

/// The stream of what other tools told. It belongs to nobody and lies open: only names, shapes and verdicts are kept.
pub const LINEAGE: &str = "mr.lineage";

/// The most things from outside that are kept. Who tells one dataset per day and partition runs into it, and is told so.
pub const MAX_NODES: u64 = 50_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known<T> {
    /// What was told latest, by the producer's clock.
    at: Instant,
    told: T,
}

/// All that other tools told, each list sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outside {
    /// Datasets.
    pub datasets: Vec<DatasetTold>,
    /// Jobs.
    pub jobs: Vec<JobTold>,
    /// What is made from what.
    pub edges: Vec<EdgeTold>,
}

impl From<Told> for Outside {
    fn from(told: Told) -> Self {
        Self { datasets: told.datasets, jobs: told.jobs, edges: told.edges }
    }
}

/// What other tools told.
pub struct Tables {
    datasets: Table<String, Known<DatasetTold>>,
    jobs: Table<String, Known<JobTold>>,
    edges: Table<String, EdgeTold>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            datasets: Table::open(scope, "lineage.datasets.1"),
            jobs: Table::open(scope, "lineage.jobs.1"),
            edges: Table::open(scope, "lineage.edges.1"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.datasets, &mut self.jobs, &mut self.edges]
    }

    /// Everything that was told.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn all(&self) -> Result<Outside, Error> {
        let mut all = Outside::default();
        self.datasets.scan(|_, known| all.datasets.push(known.told.clone()))?;
        self.jobs.scan(|_, known| all.jobs.push(known.told.clone()))?;
        self.edges.scan(|_, edge| all.edges.push(edge.clone()))?;
        Ok(all)
    }

    /// How many things there are: datasets, their columns, jobs, edges.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn n_nodes(&self) -> Result<u64, Error> {
        let mut n = 0_u64;
        self.datasets.scan(|_, known| n += 1 + known.told.columns.len() as u64)?;
        self.jobs.scan(|_, _| n += 1)?;
        self.edges.scan(|_, _| n += 1)?;
        Ok(n)
    }

    /// Whether an event still fits.
    ///
    /// # Errors
    /// [`crate::Error::Full`] where it does not; the store's error comes as the outer one.
    pub fn room_for(&self, told: &Told) -> Result<Result<(), crate::Error>, Error> {
        let (known, more) = (self.n_nodes()?, self.n_new(told)?);
        let fits = more == 0 || known + more <= MAX_NODES;
        Ok(if fits { Ok(()) } else { Err(crate::Error::Full { known, most: MAX_NODES, more }) })
    }

    fn n_new(&self, told: &Told) -> Result<u64, Error> {
        let mut n = 0_u64;
        for dataset in &told.datasets {
            let known = self.datasets.peek(&key(&dataset.namespace, &dataset.name))?;
            let has = |name: &str| known.iter().any(|k| k.told.columns.iter().any(|c| c.name == name));
            n += u64::from(known.is_none());
            n += dataset.columns.iter().filter(|column| !has(&column.name)).count() as u64;
        }
        for job in &told.jobs {
            n += u64::from(self.jobs.peek(&key(&job.namespace, &job.name))?.is_none());
        }
        for edge in &told.edges {
            n += u64::from(self.edges.peek(&edge_key(edge))?.is_none());
        }
        Ok(n)
    }
}

/// Folds `mr.lineage`; other streams leave it untouched.
///
/// What is told adds up: a later event replaces what it says anew of a dataset or job and keeps what it leaves out, an
/// edge once told stays. "Later" is by the events' own time, then by what they say, so the order of arrival does not
/// matter where a producer repeats itself.
pub struct LineageFold;

impl Fold<Record> for LineageFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        if record.stream.as_str() != LINEAGE {
            return Ok(());
        }
        let Ok(told) = serde_json::from_slice::<Told>(&record.payload.open) else { return Ok(()) };
        let at = told.at;
        for dataset in told.datasets {
            let key = key(&dataset.namespace, &dataset.name);
            let merged = match tables.datasets.get(&key)?.cloned() {
                None => Known { at, told: dataset },
                Some(known) if known.at > at => Known { at: known.at, told: over(dataset, known.told) },
                Some(known) => Known { at, told: over(known.told, dataset) },
            };
            tables.datasets.put(key, merged);
        }
        for job in told.jobs {
            let key = key(&job.namespace, &job.name);
            let merged = match tables.jobs.get(&key)?.cloned() {
                None => Known { at, told: job },
                Some(known) if known.at > at => Known { at: known.at, told: job_over(job, known.told) },
                Some(known) => Known { at, told: job_over(known.told, job) },
            };
            tables.jobs.put(key, merged);
        }
        for edge in told.edges {
            tables.edges.put(edge_key(&edge), edge);
        }
        Ok(())
    }
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}\u{1f}{name}")
}

fn edge_key(edge: &EdgeTold) -> String {
    // Derived names: two edges with the same ends and the same step are one.
    let ends = serde_json::to_string(&(&edge.from, &edge.to)).unwrap_or_default();
    format!("{ends}{}", edge.how.as_str())
}

/// `newer` over `older`: what it leaves out stays.
fn over(older: DatasetTold, newer: DatasetTold) -> DatasetTold {
    let mut columns = newer.columns;
    for column in older.columns {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => {
                known.personal |= column.personal;
                known.type_name = known.type_name.take().or(column.type_name);
                known.description = known.description.take().or(column.description);
            }
            None => columns.push(column),
        }
    }
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    DatasetTold {
        columns,
        description: newer.description.or(older.description),
        owner: newer.owner.or(older.owner),
        personal: newer.personal || older.personal,
        assertions: newer.assertions.or(older.assertions),
        namespace: newer.namespace,
        name: newer.name,
    }
}

fn job_over(older: JobTold, newer: JobTold) -> JobTold {
    let (state, run) =
        if newer.state.is_empty() { (older.state, older.run) } else { (newer.state, newer.run) };
    JobTold {
        description: newer.description.or(older.description),
        owner: newer.owner.or(older.owner),
        sort: newer.sort.or(older.sort),
        state,
        run,
        namespace: newer.namespace,
        name: newer.name,
    }
}
