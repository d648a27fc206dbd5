use profile::TraitView;

fn look(view: &dyn TraitView, subject: event::Subject) {
    let traits = view.traits(subject).unwrap().unwrap();
    for (name, _) in traits.0.iter() {
        println!("{name}");
    }
}

fn main() {}
