//! The demo on the Complete Journey data.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use house::House;

use crate::cli::Demo;

/// Runs it.
pub fn run(_: &Demo, from: &Path, _: &Path) -> anyhow::Result<Arc<House>> {
    bail!("`{}` holds no data this build can demonstrate", from.display())
}
