//! Rows of files behind records: the file is recognised by its content, the row by the name its record has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::Contracts;
use event::{BatchId, RecordId, StreamName};
use intake::{Arrival, file};

use crate::house::House;
use crate::{Error, Import};

/// How deep folders are looked into, and how many files are looked at.
const MAX_DEPTH: usize = 4;
const MAX_FILES: usize = 10_000;

/// The files of a folder, by name.
pub(super) struct Search {
    files: BTreeMap<String, Vec<PathBuf>>,
}

impl Search {
    /// Lists a folder.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, Error> {
        let told = |e: std::io::Error| Error::Directory { path: folder.to_path_buf(), reason: e.to_string() };
        let mut search = Self { files: BTreeMap::new() };
        let mut waiting = vec![(folder.to_path_buf(), 0)];
        let mut n_files = 0;
        std::fs::read_dir(folder).map_err(told)?;
        while let Some((dir, depth)) = waiting.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let kind = entry.file_type();
                if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) && depth < MAX_DEPTH {
                    waiting.push((path, depth + 1));
                } else if kind.is_ok_and(|kind| kind.is_file()) && n_files < MAX_FILES {
                    n_files += 1;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    search.files.entry(name).or_default().push(path);
                }
            }
        }
        Ok(search)
    }

    /// The row of each wanted record in the file of an import; empty where no file here has that content.
    pub(super) fn rows(
        &self,
        house: &House,
        batch: BatchId,
        import: &Import,
        wanted: &BTreeSet<RecordId>,
    ) -> Result<BTreeMap<RecordId, u64>, Error> {
        let mut found = BTreeMap::new();
        for path in self.files.get(&import.file).into_iter().flatten() {
            let file = file::inspect(path, |_| {})?;
            if BatchId::of(&import.stream, import.contract, file.sha256()) != batch {
                continue;
            }
            let stream = StreamName::new(&import.stream);
            // By the contract that named the records, where it is still there.
            let mut contracts = Contracts::new();
            let all = &house.composition().contracts;
            if let Some(contract) = all.get(&stream, import.contract).or_else(|| all.newest(&stream)) {
                contracts
                    .insert(contract.as_ref().clone())
                    .map_err(|error| Error::Internal { reason: error.to_string() })?;
            }
            let arrival = Arrival { received_at: import.noted_at, batch: Some(batch), source: None };
            for row in file.rows(0)? {
                let row = row?;
                let number = row.number;
                let id = house.intake.id_of(&contracts, row.into_incoming(stream.clone()), &arrival);
                if wanted.contains(&id) {
                    found.entry(id).or_insert(number);
                    if found.len() == wanted.len() {
                        break;
                    }
                }
            }
            break;
        }
        Ok(found)
    }
}
