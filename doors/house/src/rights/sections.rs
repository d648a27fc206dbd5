//! What is handed over as tables (CSV, RFC 4180): a column for each place in the documents, in the order of first sight.

use serde_json::{Map, Value};

/// Documents as a table.
///
/// * `guarded`: texts that a spreadsheet would compute get an apostrophe before them; for people to look at. Where a machine
///   reads the file again it must not be.
pub(super) fn csv<'v>(rows: impl IntoIterator<Item = &'v Value>, guarded: bool) -> String {
    let mut columns: Vec<String> = Vec::new();
    let mut flat: Vec<Map<String, Value>> = Vec::new();
    for row in rows {
        let mut cells = Map::new();
        flatten("", row, &mut cells);
        for column in cells.keys() {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        flat.push(cells);
    }
    let mut out = String::new();
    let head: Vec<String> = columns.iter().map(|column| quoted(column, guarded)).collect();
    out.push_str(&head.join(","));
    out.push_str("\r\n");
    for cells in &flat {
        let line = columns.iter().map(|column| match cells.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => quoted(text, guarded),
            Some(Value::Array(items)) => quoted(&Value::Array(items.clone()).to_string(), guarded),
            // Numbers and truth values mean themselves.
            Some(other) => quoted(&other.to_string(), false),
        });
        out.push_str(&line.collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    out
}

fn flatten(name: &str, value: &Value, into: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let path = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&path, value, into);
            }
        }
        other => {
            into.insert(if name.is_empty() { "value".to_owned() } else { name.to_owned() }, other.clone());
        }
    }
}

fn quoted(text: &str, guarded: bool) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if guarded && is_formula { "'" } else { "" };
    if guard.is_empty() && !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_become_a_table_and_nothing_in_it_computes() {
        let rows = [
            json!({"name": "Özil, \"M\"", "address": {"city": "Köln"}, "n": -3}),
            json!({"name": "=HYPERLINK(\"x\")", "tags": ["a", "b"], "note": ""}),
        ];
        assert_eq!(
            csv(&rows, true),
            "name,address.city,n,tags,note\r\n\"Özil, \"\"M\"\"\",Köln,-3,,\r\n\
             \"'=HYPERLINK(\"\"x\"\")\",,,\"[\"\"a\"\",\"\"b\"\"]\",\"\"\r\n"
        );
        assert!(csv(&rows, false).contains("\"=HYPERLINK"));
        assert_eq!(csv(&[], true), "\r\n");
    }
}
