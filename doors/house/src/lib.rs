//! house
pub mod finding;
pub mod imports;
pub mod layout;
pub mod modelspec;
pub mod settings;
pub mod streams;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR7003, explained in docs/errors/MR7003.md
    #[error("`{}` cannot be used: {reason}", path.display())]
    Directory {
        /// The file or directory.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
    /// MR7004, explained in docs/errors/MR7004.md
    #[error("`{}` was made in format {found}; this build knows formats up to {known}", path.display())]
    Format {
        /// The data directory.
        path: std::path::PathBuf,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
}
