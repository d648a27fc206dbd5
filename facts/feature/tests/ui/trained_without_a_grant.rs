use std::num::NonZeroUsize;

use feature::{AsOf, Label, Matrix};

fn read(rows: &AsOf, labels: &[Label<'_>]) -> Option<Matrix> {
    rows.values(labels, NonZeroUsize::MIN).ok()
}

fn main() {}
