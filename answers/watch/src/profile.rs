//! A file described, column by column, before any contract: in bounded memory, and in any number of parts.

use serde::Serialize;
use serde_json::Value;

use crate::column::{Column, ColumnReport};

/// Columns beyond this are counted and not described: JSON lines may invent names without end.
const MAX_COLUMNS: usize = 2_000;

/// The profile of a file, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    names: Vec<String>,
    columns: Vec<Column>,
    n_rows: u64,
    n_broken: u64,
    first_broken: Option<u64>,
    n_columns_left_out: u64,
}

impl Profile {
    /// Of a file with these columns; more may come with its rows.
    pub fn new(names: &[String]) -> Self {
        let names: Vec<String> = names.iter().take(MAX_COLUMNS).cloned().collect();
        let columns = vec![Column::default(); names.len()];
        Self { names, columns, ..Self::default() }
    }

    /// Looks at a row of cells in the order of the columns.
    pub fn see_row<'c>(&mut self, row: u64, cells: impl Iterator<Item = &'c [u8]>) {
        self.n_rows += 1;
        let mut n = 0;
        for cell in cells {
            if let Some(column) = self.columns.get_mut(n) {
                column.see(row, cell);
            }
            n += 1;
        }
        if n != self.columns.len() {
            self.broken(row);
        }
    }

    /// Looks at a row with named values; `is_broken` where the row itself could not be read as it should.
    pub fn see_document(&mut self, row: u64, document: &Value, is_broken: bool) {
        self.n_rows += 1;
        if is_broken {
            self.broken(row);
        }
        let Value::Object(members) = document else { return };
        for (name, value) in members {
            let at = self.names.iter().position(|known| known == name).or_else(|| {
                if self.names.len() >= MAX_COLUMNS {
                    self.n_columns_left_out += 1;
                    return None;
                }
                self.names.push(name.clone());
                self.columns.push(Column::default());
                Some(self.names.len() - 1)
            });
            if let Some(column) = at.and_then(|at| self.columns.get_mut(at)) {
                column.see_value(row, value);
            }
        }
    }

    fn broken(&mut self, row: u64) {
        self.n_broken += 1;
        self.first_broken = Some(self.first_broken.map_or(row, |first| first.min(row)));
    }

    /// Adds the profile of another part of the same file.
    pub fn merge(&mut self, other: &Self) {
        self.n_rows += other.n_rows;
        self.n_broken += other.n_broken;
        self.n_columns_left_out += other.n_columns_left_out;
        self.first_broken = match (self.first_broken, other.first_broken) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        for (name, theirs) in other.names.iter().zip(&other.columns) {
            match self.names.iter().position(|known| known == name) {
                Some(at) => self.columns.get_mut(at).into_iter().for_each(|mine| mine.merge(theirs)),
                None => {
                    self.names.push(name.clone());
                    self.columns.push(theirs.clone());
                }
            }
        }
    }

    /// What there is to say.
    pub fn report(&self, file: &str, n_bytes: u64) -> ProfileReport {
        let mut findings = Vec::new();
        if let Some(first) = self.first_broken {
            findings.push(format!(
                "{} rows are no whole rows (too few or too many cells, or not decodable), the first is row {first}",
                self.n_broken
            ));
        }
        if self.n_columns_left_out > 0 {
            findings.push(format!(
                "more than {MAX_COLUMNS} columns: {} values under further names are not described",
                self.n_columns_left_out
            ));
        }
        let columns: Vec<_> = self
            .names
            .iter()
            .zip(&self.columns)
            .map(|(name, column)| column.report(name, self.n_rows))
            .collect();
        for column in &columns {
            findings.extend(column.notes.iter().map(|note| format!("`{}` {note}", column.name)));
        }
        ProfileReport {
            file: file.to_owned(),
            n_bytes,
            n_rows: self.n_rows,
            n_broken: self.n_broken,
            findings,
            columns,
        }
    }
}

/// A file, described.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileReport {
    /// The file's name.
    pub file: String,
    /// Its size.
    pub n_bytes: u64,
    /// Its rows.
    pub n_rows: u64,
    /// Rows that are none.
    pub n_broken: u64,
    /// What to look at before a contract is written.
    pub findings: Vec<String>,
    /// By column.
    pub columns: Vec<ColumnReport>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn column(cells: &[&str]) -> ColumnReport {
        let mut profile = Profile::new(&["x".to_owned()]);
        for (at, cell) in cells.iter().enumerate() {
            profile.see_row(at as u64 + 1, std::iter::once(cell.as_bytes()));
        }
        profile.report("f", 0).columns.remove(0)
    }

    #[test]
    fn shapes_are_told_apart() {
        let check = |cell: &str, shape| assert_eq!(column(&[cell]).shape, Some(shape), "{cell}");
        check("42", Shape::Whole);
        check("-4.2e3", Shape::Number);
        check("1.234,50", Shape::DecimalComma);
        check("4,2", Shape::DecimalComma);
        check("1,234", Shape::Text);
        check("2026-01-31 10:00:00", Shape::Day);
        check("2026-02-31", Shape::Text);
        check("TRUE", Shape::Truth);
        check("12-b", Shape::Text);
        check("99999999999999999999", Shape::Whole);
    }

    #[test]
    fn parts_in_any_order_make_the_whole() {
        let names = ["a".to_owned(), "b".to_owned()];
        let mut whole = Profile::new(&names);
        let mut parts = [Profile::new(&names), Profile::new(&names), Profile::new(&names)];
        for row in 0..5_000_u64 {
            let (a, b) = (format!("{}", row % 700), format!("v{}", row * 7919 % 3_001));
            for profile in [&mut whole, &mut parts[(row % 3) as usize]] {
                profile.see_row(row + 1, [a.as_bytes(), b.as_bytes()].into_iter());
            }
        }
        let mut merged = Profile::new(&names);
        [2, 0, 1].iter().for_each(|at| merged.merge(&parts[*at]));
        assert_eq!(merged, whole);
    }

    #[test]
    fn drift_and_placeholders_are_named() {
        let mut cells = vec!["1"; 500];
        cells.extend(vec!["one"; 500]);
        cells.push("n/a");
        let report = column(&cells);
        assert!(report.notes.iter().any(|note| note.contains("text from row 501 on")), "{:?}", report.notes);
        assert_eq!(report.n_placeholder, 1);
    }

    #[test]
    fn values_of_people_are_not_shown() {
        let report = column(&["ann@example.org", "bob@example.org"]);
        assert!(report.looks_personal && report.top.is_empty());
    }
}
