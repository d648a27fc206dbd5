use event::{Instant, Subject};
use feature::{Reader, Values, View};

fn read(reader: &Reader<'_>, view: &View, members: &[Subject]) -> Option<Values> {
    reader.at(view, members, Instant::now()).ok()
}

fn main() {}
