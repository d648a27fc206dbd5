use policy::Grant;

fn twice(grant: &Grant) -> Grant {
    Grant::clone(grant)
}

fn main() {}
