//! What goes wrong with a contract file as a whole.

use event::Version;

/// A contract that cannot be read at all, or cannot stand beside the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// MR1101, explained in docs/errors/MR1101.md
    #[error("{}: not readable as YAML: {message} (MR1101)", place(.file, .line))]
    Yaml {
        /// The file.
        file: String,
        /// Where in it, if known.
        line: Option<u32>,
        /// What the reader says.
        message: String,
    },
    /// MR1102, explained in docs/errors/MR1102.md
    #[error("{}: not a data contract: {message} (MR1102)", place(.file, .line))]
    NotAContract {
        /// The file.
        file: String,
        /// Where in it, if known.
        line: Option<u32>,
        /// What is not as a contract has it.
        message: String,
    },
    /// MR1120, explained in docs/errors/MR1120.md
    #[error(
        "{file}: contract `{stream}` {version} is there already, from {other}, and says something else (MR1120)"
    )]
    Conflict {
        /// The stream both speak about.
        stream: String,
        /// The version both bear.
        version: Version,
        /// The file that came later.
        file: String,
        /// The file that came first.
        other: String,
    },
    /// MR1121, explained in docs/errors/MR1121.md
    #[error(
        "{file}: contract `{stream}` wants the source `{source_key}`, which belongs to `{other}` (MR1121)"
    )]
    SourceTaken {
        /// The stream that wants it.
        stream: String,
        /// The source.
        source_key: String,
        /// The file that wants it.
        file: String,
        /// The stream that has it.
        other: String,
    },
}

fn place(file: &str, line: &Option<u32>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}
