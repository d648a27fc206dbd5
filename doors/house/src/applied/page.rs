//! The ledger as a page in the data directory, so that a change of files can be judged before it is applied, without
//! opening the instance. It is written from the records and never read back into them.

use contract::Contract;
use decide::Goal;
use event::{Instant, Version};
use serde::{Deserialize, Serialize};

use super::ledger::{AppliedContract, AppliedFeature, AppliedFormula, AppliedSegment, Ledger};
use crate::Error;
use crate::layout::{Layout, write_durably};
use crate::project::Project;

/// The file in the data directory.
const FILE: &str = "in_force.json";
/// What is written; format 1 knew only the newest contracts.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Page {
    format: u32,
    contracts: Vec<OfContract>,
    #[serde(default)]
    formulas: Vec<OfFormula>,
    #[serde(default)]
    segments: Vec<AppliedSegment>,
    #[serde(default)]
    features: Vec<AppliedFeature>,
}

#[derive(Serialize, Deserialize)]
struct OfContract {
    file: String,
    yaml: String,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    since: Option<Instant>,
    #[serde(default = "yes")]
    in_force: bool,
}

#[derive(Serialize, Deserialize)]
struct OfFormula {
    use_case: String,
    goal: Goal,
    since: Option<Instant>,
}

fn yes() -> bool {
    true
}

/// Writes the page, unless it says so already.
pub(super) fn write(ledger: &Ledger, layout: &Layout) -> Result<(), Error> {
    let contracts = ledger.contracts.iter().map(|((stream, version), applied)| OfContract {
        file: applied.file.clone(),
        yaml: applied.yaml.clone(),
        stream: Some(stream.clone()),
        version: Some(*version),
        since: applied.since,
        in_force: ledger.current.get(stream) == Some(version),
    });
    let formulas = ledger.formulas.iter().map(|one| OfFormula {
        use_case: one.use_case.clone(),
        goal: one.goal.clone(),
        since: one.since,
    });
    let segments = ledger.segments.clone();
    let page = Page {
        format: FORMAT,
        contracts: contracts.collect(),
        formulas: formulas.collect(),
        segments,
        features: ledger.features.clone(),
    };
    let path = layout.root().join(FILE);
    let broken = |e: serde_json::Error| Error::Directory { path: path.clone(), reason: e.to_string() };
    let text = serde_json::to_vec(&page).map_err(broken)?;
    if std::fs::read(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    write_durably(&path, &text)
}

/// What is in force; `None` where nothing was applied yet.
pub(crate) fn recall(project: &Project) -> Result<Option<Ledger>, Error> {
    let path = Layout::new(&project.data_dir()).root().join(FILE);
    let broken = |reason: String| Error::Directory { path: path.clone(), reason };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(broken(e.to_string())),
    };
    let page: Page = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
    if page.format > FORMAT {
        return Err(broken(format!("it has format {}; this build reads {FORMAT}", page.format)));
    }
    let mut ledger = Ledger::default();
    for one in page.contracts {
        let named = one.stream.zip(one.version).or_else(|| {
            let contract = Contract::parse(&one.yaml, &one.file).ok()?.contract;
            Some((contract.stream.to_string(), contract.version))
        });
        let Some((stream, version)) = named else { continue };
        if one.in_force {
            ledger.current.insert(stream.clone(), version);
        }
        let applied = AppliedContract { file: one.file, yaml: one.yaml, since: one.since };
        ledger.contracts.insert((stream, version), applied);
    }
    let formula =
        |one: OfFormula| AppliedFormula { use_case: one.use_case, goal: one.goal, since: one.since };
    ledger.segments = page.segments;
    ledger.features = page.features;
    ledger.formulas = page.formulas.into_iter().map(formula).collect();
    Ok(Some(ledger))
}
