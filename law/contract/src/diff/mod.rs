//! What changes from one version of a contract to the next, judged for both sides: *readers*, who were promised what
//! records look like, and *writers*, whose records must still be accepted.
//!
//! A promise that gets narrower breaks writers; one that gets wider breaks readers. A field that may be missing from now
//! on is a wider promise, so it is no breach for those who send and one for those who read.

mod fields;
mod promised;
mod rules;

use std::fmt;

use event::Version;
use serde::Serialize;

use crate::{Contract, Finding, Path, Severity};

/// What a change does to one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    None,
    /// It works on; what it means may have changed.
    Meaning,
    /// It no longer works for some records.
    Breaks,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The stream.
    pub stream: String,
    /// The field; `None` where the whole stream is meant.
    pub field: Option<String>,
    /// What changed, in words.
    pub message: String,
    /// What it does to those who read.
    pub readers: Effect,
    /// What it does to those who write.
    pub writers: Effect,
    /// True where what is made from it can no longer be made: it is removed, of another type, or about somebody else.
    pub shape: bool,
    /// The line in the newer file, or in the older one for what is removed.
    pub line: u32,
}

/// How much a version number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Not at all.
    Same,
    /// `1.0.0` to `1.0.1`: words for people.
    Patch,
    /// `1.0.0` to `1.1.0`: both sides go on.
    Minor,
    /// `1.0.0` to `2.0.0`: one side may not.
    Major,
    /// To an earlier version.
    Back,
}

/// Two versions of a contract file held against each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The older version.
    #[serde(serialize_with = "shown")]
    pub from: Version,
    /// The newer version.
    #[serde(serialize_with = "shown")]
    pub to: Version,
    /// Every change, by stream and field.
    pub changes: Vec<Change>,
    /// The step that the changes need.
    pub needs: Step,
    /// The step that the version numbers make.
    pub makes: Step,
}

fn shown<S: serde::Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

impl Change {
    /// True where a side breaks.
    pub fn breaks(&self) -> bool {
        self.readers == Effect::Breaks || self.writers == Effect::Breaks
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{}.{field}` {}", self.stream, self.message),
            None => write!(f, "stream `{}` {}", self.stream, self.message),
        }
    }
}

impl Step {
    /// From one version to another.
    pub fn between(from: Version, to: Version) -> Self {
        match (to.major.cmp(&from.major), to.minor.cmp(&from.minor), to.patch.cmp(&from.patch)) {
            _ if to == from => Self::Same,
            _ if to < from => Self::Back,
            (std::cmp::Ordering::Greater, ..) => Self::Major,
            (_, std::cmp::Ordering::Greater, _) => Self::Minor,
            _ => Self::Patch,
        }
    }

    /// The lowest version after `from` that makes this step.
    pub fn after(self, from: Version) -> Version {
        match self {
            Self::Same | Self::Back => from,
            Self::Patch => Version::new(from.major, from.minor, from.patch + 1),
            Self::Minor => Version::new(from.major, from.minor + 1, 0),
            Self::Major => Version::new(from.major + 1, 0, 0),
        }
    }
}

impl Diff {
    /// The changes that break a side.
    pub fn breaking(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.breaks())
    }

    /// True where the version numbers say as much as the changes do.
    pub fn is_honest(&self) -> bool {
        self.makes != Step::Back && self.makes >= self.needs
    }

    /// What `check` and `apply` have to say of it: an error for each change that a new major version would be due for,
    /// and one (MR1130) where the version says less than the changes.
    pub fn findings(&self, file: &str) -> Vec<Finding> {
        let stream = |change: &Change| change.stream.clone();
        let mut findings = Vec::new();
        for change in self.breaking() {
            let severity = if self.makes == Step::Major { Severity::Warning } else { Severity::Error };
            let sides = match (change.readers, change.writers) {
                (Effect::Breaks, Effect::Breaks) => "readers and writers",
                (Effect::Breaks, _) => "readers",
                _ => "writers",
            };
            let message = format!("{change}: breaks {sides}");
            findings.push(Finding {
                code: "MR1131",
                severity,
                stream: stream(change),
                field: change.field.clone(),
                message,
                file: Some(file.to_owned()),
                line: Some(change.line),
            });
        }
        if !self.is_honest() {
            let due = self.needs.after(self.from);
            let message = match self.makes {
                Step::Back => format!("version {} is older than {}", self.to, self.from),
                _ => format!(
                    "version {} after {} says too little: these changes need {due}",
                    self.to, self.from
                ),
            };
            findings.push(Finding {
                code: "MR1130",
                severity: Severity::Error,
                stream: self.changes.first().map(stream).unwrap_or_default(),
                field: None,
                message,
                file: Some(file.to_owned()),
                line: Some(1),
            });
        }
        findings
    }
}

/// Holds the contracts of two versions of a file against each other.
pub fn diff(old: &[Contract], new: &[Contract]) -> Diff {
    let mut changes = Vec::new();
    for before in old {
        match new.iter().find(|after| after.stream == before.stream) {
            Some(after) => of_contract(before, after, &mut changes),
            None => changes.push(whole(before, "is removed", Effect::Breaks, Effect::Breaks)),
        }
    }
    for after in new.iter().filter(|after| !old.iter().any(|before| before.stream == after.stream)) {
        changes.push(whole(after, "is new", Effect::None, Effect::None));
    }
    changes.sort_by(|a, b| (&a.stream, &a.field, &a.message).cmp(&(&b.stream, &b.field, &b.message)));
    let version = |contracts: &[Contract]| contracts.first().map(|c| c.version).unwrap_or_default();
    let (from, to) = (version(old), version(new));
    let texts = |contracts: &[Contract]| contracts.first().map(|c| c.yaml.clone());
    let needs = match changes.iter().map(|change| change.readers.max(change.writers)).max() {
        Some(Effect::Breaks) => Step::Major,
        Some(_) => Step::Minor,
        None if same_but_for_the_version(texts(old).as_deref(), texts(new).as_deref()) => Step::Same,
        None => Step::Patch,
    };
    Diff { from, to, changes, needs, makes: Step::between(from, to) }
}

/// Whether two files differ in the line of their version alone.
fn same_but_for_the_version(old: Option<&str>, new: Option<&str>) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("version:")).map(str::to_owned).collect()
    };
    match (old, new) {
        (Some(old), Some(new)) => lines(old) == lines(new),
        _ => false,
    }
}

fn whole(contract: &Contract, message: &str, readers: Effect, writers: Effect) -> Change {
    let stream = contract.stream.to_string();
    Change {
        stream,
        field: None,
        message: message.to_owned(),
        readers,
        writers,
        // Of a whole stream both sides break only where it is another one.
        shape: readers == Effect::Breaks && writers == Effect::Breaks,
        line: contract.line,
    }
}

fn of_contract(old: &Contract, new: &Contract, out: &mut Vec<Change>) {
    let mut say = |message: String, readers, writers| out.push(whole(new, &message, readers, writers));
    let paths = |paths: &[Path]| paths.iter().map(Path::as_str).collect::<Vec<_>>().join(", ");
    let named = |list: String| if list.is_empty() { "nothing".to_owned() } else { format!("`{list}`") };
    let (was, is) = (paths(&old.subject_key.fields), paths(&new.subject_key.fields));
    if was != is {
        // Who a record is about decides where it is kept and whose consent counts: both sides meant somebody else.
        say(
            format!("is about whom {} names, no longer {}", named(is), named(was)),
            Effect::Breaks,
            Effect::Breaks,
        );
    }
    if old.subject_key.or_none && !new.subject_key.or_none {
        say("no longer takes records about nobody".to_owned(), Effect::None, Effect::Breaks);
    } else if new.subject_key.or_none && !old.subject_key.or_none {
        say("takes records about nobody".to_owned(), Effect::Breaks, Effect::None);
    }
    if old.subject_kind != new.subject_kind {
        let message = format!("is about a {}, no longer a {}", new.subject_kind, old.subject_kind);
        say(message, Effect::Breaks, Effect::Breaks);
    }
    let time = |path: &Option<Path>| path.as_ref().map_or(String::new(), |path| path.as_str().to_owned());
    if time(&old.event_time) != time(&new.event_time) {
        let message = format!(
            "happens when {} says, no longer {}",
            named(time(&new.event_time)),
            named(time(&old.event_time))
        );
        say(message, Effect::Breaks, Effect::Breaks);
    }
    if paths(&old.dedup_key) != paths(&new.dedup_key) {
        let message = format!(
            "tells duplicates by {}, no longer by {}",
            named(paths(&new.dedup_key)),
            named(paths(&old.dedup_key))
        );
        say(message, Effect::Meaning, Effect::Meaning);
    }
    if old.allow_future && !new.allow_future {
        say("no longer takes what lies in the future".to_owned(), Effect::None, Effect::Breaks);
    }
    for source in old.sources.iter().filter(|source| !new.sources.contains(source)) {
        say(format!("no longer takes `{source}`"), Effect::None, Effect::Breaks);
    }
    for purpose in old.purposes.iter().filter(|one| !new.purposes.iter().any(|other| other.name == one.name))
    {
        say(format!("may no longer be used for `{}`", purpose.name), Effect::Breaks, Effect::None);
    }
    for purpose in &new.purposes {
        match old.purposes.iter().find(|one| one.name == purpose.name) {
            None => say(format!("may also be used for `{}`", purpose.name), Effect::None, Effect::Meaning),
            Some(one) if one.basis != purpose.basis => {
                say(
                    format!("has another legal basis for `{}`", purpose.name),
                    Effect::Meaning,
                    Effect::Meaning,
                );
            }
            Some(_) => {}
        }
    }
    match (old.retention, new.retention) {
        (was, Some(is)) if was.is_none_or(|was| is < was) => {
            say(format!("is kept for {is} only"), Effect::Breaks, Effect::None);
        }
        (Some(was), is) if is != Some(was) => {
            let how = is.map_or("without an end".to_owned(), |is| format!("for {is}"));
            say(format!("is kept {how}, no longer for {was}"), Effect::None, Effect::Meaning);
        }
        _ => {}
    }
    for (message, readers, writers, line) in promised::changes(old, new) {
        out.push(Change { line, ..whole(new, &message, readers, writers) });
    }
    fields::changes(old, new, out);
}

#[cfg(test)]
mod tests;
