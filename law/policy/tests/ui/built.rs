use policy::{Action, Grant};

fn main() {
    let _ = Grant {
        principal: "me".to_owned(),
        action: Action::Export,
        purpose: "ads".to_owned(),
        subjects: Box::new([]),
        consent_epoch: 0,
        issued_at: event::Instant::from_micros(0),
    };
}
