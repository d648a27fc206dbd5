use profile::Profiles;

fn read(profiles: &Profiles<'_>, subject: event::Subject) {
    let _ = profiles.read(subject);
}

fn main() {}
