//! Who belongs to a segment, taken out: to a file, or piece by piece for whoever streams it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use event::{Instant, Subject};
use policy::Principal;
use serde_json::{Map, Value, json};

use super::{SegmentCount, is_trait};
use crate::Error;
use crate::house::House;

/// How many profiles are read at a time.
const PIECE: usize = 1_000;

/// How lines of an export look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentFormat {
    /// A head, then a line a profile.
    Csv,
    /// An object a line.
    JsonLines,
}

impl SegmentFormat {
    /// By a file's ending.
    fn of(path: &Path) -> Self {
        let is_json = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
        if is_json { Self::JsonLines } else { Self::Csv }
    }

    /// What stands before the first line, with its end; nothing for some.
    pub fn head(self, traits: &[String]) -> String {
        match self {
            Self::JsonLines => String::new(),
            Self::Csv => {
                let names = std::iter::once("profile".to_owned()).chain(traits.iter().map(|name| cell(name)));
                names.collect::<Vec<_>>().join(",") + "\n"
            }
        }
    }

    /// A profile's line, with its end.
    pub fn line(self, row: &SegmentRow) -> String {
        let mut line = match self {
            Self::JsonLines => {
                let said: Map<String, Value> = row.traits.iter().cloned().collect();
                json!({ "profile": row.profile, "traits": said }).to_string()
            }
            Self::Csv => {
                let text = |(_, value): &(String, Value)| match value {
                    Value::Null => String::new(),
                    Value::String(text) => cell(text),
                    other => cell(&other.to_string()),
                };
                let cells = std::iter::once(row.profile.to_string()).chain(row.traits.iter().map(text));
                cells.collect::<Vec<_>>().join(",")
            }
        };
        line.push('\n');
        line
    }
}

/// One profile of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow {
    /// Its name, a pseudonym.
    pub profile: Subject,
    /// The traits asked for, in that order; null where nothing is known.
    pub traits: Vec<(String, Value)>,
}

impl House {
    /// Writes who belongs to a segment, one line a profile with the traits asked for: CSV, or JSON lines where the file's
    /// name ends so.
    ///
    /// # Errors
    /// As [`House::count_segment`]; [`Error::NotFound`] for a trait that no contract has; [`Error::Directory`] where the
    /// file cannot be written.
    pub fn export_segment(
        &self,
        principal: &Principal,
        name: &str,
        at: Option<Instant>,
        traits: &[String],
        path: &Path,
    ) -> Result<SegmentCount, Error> {
        self.known_traits(traits)?;
        let (count, profiles) = self.segment_profiles(principal, name, at)?;
        self.audit_export(principal, "segment", name, &self.segment(name)?.purpose)?;
        let failed = |e: std::io::Error| Error::Directory { path: path.to_path_buf(), reason: e.to_string() };
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(failed)?);
        let format = SegmentFormat::of(path);
        file.write_all(format.head(traits).as_bytes()).map_err(failed)?;
        for profiles in profiles.chunks(PIECE) {
            for row in self.segment_rows(principal, name, profiles, traits)? {
                file.write_all(format.line(&row).as_bytes()).map_err(failed)?;
            }
        }
        file.flush().map_err(failed)?;
        Ok(count)
    }

    /// The rows of some profiles of a segment; whoever said no since they were selected is left out.
    ///
    /// # Errors
    /// [`Error::UnknownSegment`]; [`Error::NotFound`] for a trait that no contract has; [`Error::Denied`] without the
    /// right to export.
    pub fn segment_rows(
        &self,
        principal: &Principal,
        name: &str,
        profiles: &[Subject],
        traits: &[String],
    ) -> Result<Vec<SegmentRow>, Error> {
        let segment = self.segment(name)?;
        self.known_traits(traits)?;
        let members = profiles.iter().map(|profile| Ok((*profile, self.members(*profile)?.subjects)));
        let members = members.collect::<Result<Vec<(Subject, Vec<Subject>)>, Error>>()?;
        // LAW 3: asked again, for a withdrawal may have come between the selection and these lines.
        let grant = self.grant_many(principal, &segment.purpose, members.iter().map(|(_, all)| all))?;
        let mut rows = Vec::with_capacity(members.len());
        for (profile, all) in members {
            if !all.iter().all(|member| grant.permits(*member)) {
                continue;
            }
            let known = if traits.is_empty() { BTreeMap::new() } else { self.traits_for(&grant, &all)? };
            let value = |name: &String| (name.clone(), known.get(name).cloned().unwrap_or_default());
            rows.push(SegmentRow { profile, traits: traits.iter().map(value).collect() });
        }
        Ok(rows)
    }

    /// Refuses a trait that no contract has.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub fn known_traits(&self, traits: &[String]) -> Result<(), Error> {
        match traits.iter().find(|name| !is_trait(self.project(), name)) {
            Some(odd) => Err(Error::NotFound { what: "trait", id: odd.chars().take(64).collect() }),
            None => Ok(()),
        }
    }
}

/// A cell of CSV.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
