//! What can be wrong with a world or with a question to it.

use std::path::PathBuf;

/// A world that cannot be made or a question it cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR7090, explained in docs/errors/MR7090.md
    #[error("MR7090: the synthetic shop cannot be made: {field} is {found}, but must be {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What was given.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// MR7091, explained in docs/errors/MR7091.md
    #[error("MR7091: the synthetic shop has no customer `{user_id}`; its customers are c00001 to {last}")]
    UnknownCustomer {
        /// What was asked for.
        user_id: String,
        /// The last customer there is.
        last: String,
    },
    /// MR7092, explained in docs/errors/MR7092.md
    #[error("MR7092: the synthetic shop knows no action `{id}`; it knows {known}")]
    UnknownAction {
        /// What was asked for.
        id: String,
        /// Every action, comma-separated.
        known: String,
    },
    /// MR7093, explained in docs/errors/MR7093.md
    #[error("MR7093: `{}` cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
