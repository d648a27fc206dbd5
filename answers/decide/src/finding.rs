//! One thing wrong with a use case file or with a record: data about data, never an `Err`.

use std::fmt;

use serde::Serialize;

/// The codes of findings; each has a page in docs/errors.
pub mod code {
    /// The file cannot be read as YAML.
    pub const UNREADABLE: &str = "MR5001";
    /// A key that every use case needs is missing.
    pub const INCOMPLETE: &str = "MR5002";
    /// A key nobody knows.
    pub const UNKNOWN_KEY: &str = "MR5003";
    /// A value that is not what its key wants.
    pub const BAD_VALUE: &str = "MR5004";
    /// An eligibility expression that cannot be read.
    pub const EXPRESSION: &str = "MR5005";
    /// A name that the use case does not declare.
    pub const UNDECLARED: &str = "MR5006";
    /// Two parts that contradict each other.
    pub const CONFLICT: &str = "MR5007";
    /// Something the project does not have: a feature, stream, purpose, model or file.
    pub const NOT_IN_PROJECT: &str = "MR5008";
    /// A record of a system stream that cannot be read.
    pub const RECORD: &str = "MR5020";
    /// An outcome of a decision that its subject does not have.
    pub const OUTCOME_WITHOUT_DECISION: &str = "MR5021";
    /// A send of a decision that its subject does not have.
    pub const SEND_WITHOUT_DECISION: &str = "MR5022";
    /// Sent although the reservation had been given back.
    pub const SENT_UNRESERVED: &str = "MR5023";
    /// More outcomes than one decision may have.
    pub const TOO_MANY_OUTCOMES: &str = "MR5024";
}

/// One thing wrong with a use case file. Every one breaks the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `MR5002`, explained in docs/errors/MR5002.md.
    pub code: &'static str,
    /// The file.
    pub file: String,
    /// Counted from 1; 0 where the file has no lines to point at.
    pub line: u32,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        write!(f, " error {}: {}", self.code, self.message)
    }
}

/// A text as a message quotes it: at most 64 characters, and none that would hide what it is.
pub(crate) fn short(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == 64 {
            out.push('…');
            break;
        }
        let hides = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || hides { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// The known name that `given` most likely means.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = given.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replace = diagonal + usize::from(x != *y);
            diagonal = *cell;
            left = replace.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_no_stranger() {
        assert_eq!(nearest("chanel", ["name", "channel", "cost"]), Some("channel"));
        assert_eq!(nearest("valid_form", ["valid_from", "valid_until"]), Some("valid_from"));
        assert_eq!(nearest("zebra", ["name", "channel"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
