//! The spine's items: a consented event becomes a decision that can be explained.

use crate::table::Item;

/// In the order of the acceptance list.
pub fn items() -> Vec<Item> {
    vec![]
}
