//! Roles by name.

/// The roles that every project has. `operator`, `house` and `machine` are given by the house itself; a person or a key
/// may have the others, and those that the project adds.
pub const BUILT_IN_ROLES: [&str; 6] =
    ["admin", "engineer", "analyst", "marketer", "data_protection_officer", "source"];

/// Whoever has the command line.
pub(crate) const OPERATOR: &str = "operator";
/// A part of the house.
pub(crate) const HOUSE: &str = "house";
/// An API key without a role.
pub(crate) const MACHINE: &str = "machine";

/// Roles that nobody can be given.
pub(crate) const GIVEN: [&str; 3] = [OPERATOR, HOUSE, MACHINE];

/// True where a project may call a role of its own so.
pub(crate) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && text.len() <= 64
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
