use profile::Profiles;

fn explain(profiles: &Profiles<'_>, a: event::Subject, b: event::Subject) {
    let _ = profiles.explain(a, b);
}

fn main() {}
