//! Files in memory, CSV cells, and writing them out.

use std::path::{Path, PathBuf};

use crate::Error;

/// A file, not yet written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path with `/`, relative to wherever it is written.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), bytes }
    }
}

/// Writes the files below `folder`, making folders as needed, and says where they are.
///
/// # Errors
/// [`Error::Write`] with the path that could not be written.
pub fn write(files: &[File], folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        let wrong = |source| Error::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        std::fs::write(&path, &file.bytes).map_err(wrong)?;
        written.push(path);
    }
    Ok(written)
}

/// CSV with commas, quotes where needed.
pub(crate) struct Csv(String);

impl Csv {
    pub(crate) fn new(head: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.row(head);
        csv
    }

    pub(crate) fn row(&mut self, cells: &[&str]) {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            if cell.contains([',', '"', '\n']) {
                self.0.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
            } else {
                self.0.push_str(cell);
            }
        }
        self.0.push('\n');
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_needed() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(&["1,5", "say \"no\""]);
        assert_eq!(csv.finish(), b"a,b\n\"1,5\",\"say \"\"no\"\"\"\n");
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("taken"), "").unwrap();
        let error = write(&[File::new("taken/a.csv", vec![])], folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("MR7093: `") && error.contains("taken/a.csv` cannot be written"),
            "{error}"
        );
    }
}
