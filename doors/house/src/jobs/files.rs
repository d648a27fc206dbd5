//! Which files a step means: a path of the project, `{date}` filled in, `*` and `?` in the last part.

use std::path::{Path, PathBuf};

/// The files that `pattern` names below `dir`, by name. A pattern without `*` and `?` names one file, there or not.
///
/// # Errors
/// Where the folder cannot be read.
pub(super) fn find(dir: &Path, pattern: &str, date: &str) -> std::io::Result<Vec<PathBuf>> {
    let path = dir.join(pattern.replace("{date}", date));
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !last.contains(['*', '?']) {
        return Ok(vec![path]);
    }
    let folder = path.parent().unwrap_or(dir);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if fits(last.as_bytes(), name.to_string_lossy().as_bytes()) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// `*` is any text, `?` any byte.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, name),
        (Some((b'*', rest)), Some((_, shorter))) => fits(rest, name) || fits(pattern, shorter),
        (Some((b'?', rest)), Some((_, shorter))) => fits(rest, shorter),
        (Some((a, rest)), Some((b, shorter))) if a == b => fits(rest, shorter),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["orders-2.csv", "orders-1.csv", "orders.txt", ".orders-3.csv"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = find(dir.path(), pattern, "2026-11-24").unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("orders-*.csv"), ["orders-1.csv", "orders-2.csv"]);
        assert_eq!(names("orders-?.csv"), ["orders-1.csv", "orders-2.csv"]);
        assert_eq!(names("*2*"), ["orders-2.csv"]);
        assert_eq!(names("orders-{date}.csv"), ["orders-2026-11-24.csv"], "there or not");
        assert!(names("none*").is_empty());
        assert!(find(dir.path(), "missing/*.csv", "").is_err());
    }
}
