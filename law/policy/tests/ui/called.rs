use policy::{Action, Grant};

fn main() {
    let _ = Grant::new("me", Action::Export, "ads", vec![], 0, event::Instant::from_micros(0));
}
