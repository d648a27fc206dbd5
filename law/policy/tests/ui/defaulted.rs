use policy::Grant;

fn main() {
    let _ = Grant::default();
}
