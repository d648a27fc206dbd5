use policy::Grant;

fn main() {
    let _: Result<Grant, _> = serde_json::from_str("{}");
}
