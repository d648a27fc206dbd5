use profile::TraitView;

fn write(view: &dyn TraitView, subject: event::Subject) -> String {
    serde_json::to_string(&view.traits(subject).unwrap().unwrap()).unwrap()
}

fn main() {}
