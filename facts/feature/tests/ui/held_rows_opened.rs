use feature::Held;

fn open(held: &Held) {
    let _ = held.rows();
    let _ = &held.rows;
    let _ = serde_json::to_vec(held);
}

fn main() {}
