use feature::{Values, View};

fn forge(view: View) -> Values {
    Values::new(view, Vec::new())
}

fn main() {}
