use policy::Grant;

fn widen(grant: &mut Grant, subject: event::Subject) {
    grant.subjects = Box::new([subject]);
}

fn main() {}
