use feature::Row;

fn look(row: &Row) {
    let _ = &row.cells;
    let _ = row.as_ref();
    let _ = serde_json::to_vec(row);
}

fn main() {}
