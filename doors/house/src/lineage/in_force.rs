//! The contracts that were applied last, so that a change of their files can be judged before it is applied, without
//! opening the instance.

use contract::{Contract, Contracts};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::layout::{Layout, write_durably};
use crate::project::Project;

/// The file in the data directory.
const FILE: &str = "in_force.json";

#[derive(Serialize, Deserialize)]
struct InForce {
    format: u32,
    contracts: Vec<Applied>,
}

#[derive(Serialize, Deserialize)]
struct Applied {
    file: String,
    yaml: String,
}

/// Keeps the newest contract of every stream as what is in force.
pub(crate) fn remember(project: &Project, layout: &Layout) -> Result<(), Error> {
    let contracts = project
        .contracts
        .iter()
        .map(|contract| Applied { file: contract.file.clone(), yaml: contract.yaml().to_owned() })
        .collect();
    let path = layout.root().join(FILE);
    let broken = |e: serde_json::Error| Error::Directory { path: path.clone(), reason: e.to_string() };
    let text = serde_json::to_vec(&InForce { format: 1, contracts }).map_err(broken)?;
    if std::fs::read(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    write_durably(&path, &text)
}

/// What is in force; `None` where nothing was applied yet.
pub(super) fn recall(project: &Project) -> Result<Option<Contracts>, Error> {
    let path = Layout::new(&project.data_dir()).root().join(FILE);
    let broken = |reason: String| Error::Directory { path: path.clone(), reason };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(broken(e.to_string())),
    };
    let known: InForce = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
    let mut contracts = Contracts::new();
    for one in known.contracts {
        // What an older build took may be refused by this one: then there is nothing to compare with.
        let Ok(parsed) = Contract::parse(&one.yaml, &one.file) else { continue };
        if let Err(error) = contracts.insert(parsed.contract) {
            tracing::warn!(file = one.file, %error, "a contract in force is not compared");
        }
    }
    Ok(Some(contracts))
}
