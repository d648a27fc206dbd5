//! What is handed over as tables (CSV, RFC 4180): a column for each place in the documents, in the order of first sight.

use serde_json::{Map, Value};

/// For whom a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Places are written `address.city`, and a text that a spreadsheet would compute gets an apostrophe before it.
    People,
    /// Places are written `/address/city` (RFC 6901), so that `import` puts them where they were; texts are as they are.
    Import,
}

/// Documents as a table.
pub(super) fn csv<'v>(rows: impl IntoIterator<Item = &'v Value>, reader: For) -> String {
    let mut columns: Vec<String> = Vec::new();
    let mut flat: Vec<Map<String, Value>> = Vec::new();
    for row in rows {
        let mut cells = Map::new();
        flatten(&mut Vec::new(), row, reader, &mut cells);
        for column in cells.keys() {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        flat.push(cells);
    }
    let mut out = String::new();
    let mut line = |cells: Vec<String>| {
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    };
    line(columns.iter().map(|column| quoted(column, reader)).collect());
    for cells in &flat {
        let shown = columns.iter().map(|column| match cells.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => quoted(text, reader),
            Some(other) => quoted_as_is(&other.to_string()),
        });
        line(shown.collect());
    }
    out
}

fn flatten<'v>(path: &mut Vec<&'v str>, value: &'v Value, reader: For, into: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                path.push(field);
                flatten(path, value, reader, into);
                path.pop();
            }
        }
        // Nothing is there, and an import would find a text.
        Value::Object(_) if reader == For::Import => {}
        other => {
            into.insert(name(path, other, reader), other.clone());
        }
    }
}

fn name(path: &[&str], value: &Value, reader: For) -> String {
    match (reader, path) {
        (_, []) => "value".to_owned(),
        (For::People, path) => path.join("."),
        (For::Import, [one]) if !value.is_array() && !one.starts_with('/') => (*one).to_owned(),
        (For::Import, path) => {
            path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
        }
    }
}

fn quoted(text: &str, reader: For) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if reader == For::People && is_formula { quoted_as_is(&format!("'{text}")) } else { quoted_as_is(text) }
}

fn quoted_as_is(text: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_become_a_table_and_nothing_in_it_computes() {
        let rows = [
            json!({"name": "Özil, \"M\"", "address": {"city": "Köln"}, "n": -3}),
            json!({"name": "=HYPERLINK(\"x\")", "tags": ["a", "b"], "note": "", "empty": {}}),
        ];
        assert_eq!(
            csv(&rows, For::People),
            "address.city,n,name,empty,note,tags\r\nKöln,-3,\"Özil, \"\"M\"\"\",,,\r\n\
             ,,\"'=HYPERLINK(\"\"x\"\")\",{},\"\",\"[\"\"a\"\",\"\"b\"\"]\"\r\n"
        );
        assert_eq!(
            csv(&rows, For::Import),
            "/address/city,n,name,/tags,note\r\nKöln,-3,\"Özil, \"\"M\"\"\",,\r\n\
             ,,\"=HYPERLINK(\"\"x\"\")\",\"[\"\"a\"\",\"\"b\"\"]\",\"\"\r\n"
        );
        assert_eq!(csv(&[], For::People), "\r\n");
    }
}
