//! HTML: one page, no script, nothing loaded, made to be printed.

use std::fmt::Write as _;

use crate::document::{Block, Document, clean};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem;margin:0}h2{font-size:1.3rem;margin:2rem 0 .5rem;border-bottom:1px solid #bbb}\
h3{font-size:1.1rem;margin:1.5rem 0 .4rem}h4{font-size:1rem;margin:1rem 0 .3rem}.sub{color:#555;margin:.3rem 0 1.5rem}\
table{border-collapse:collapse;width:100%;margin:.6rem 0 1.2rem;font-size:.92rem}\
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f0f0f0}.warn{border-left:4px solid #b00020;padding:.3rem .8rem;background:#fdf1f2;font-weight:600}\
@page{size:A4;margin:18mm}@media print{body{margin:0;max-width:none;font-size:10pt}h2,h3,h4{break-after:avoid}\
tr{break-inside:avoid}thead{display:table-header-group}}";

pub(super) fn write(page: &Document) -> String {
    let title = escaped(&page.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        page.language
    );
    let _ = writeln!(out, "<p class=\"sub\">{}</p>", escaped(&page.subtitle));
    for block in &page.blocks {
        let _ = match block {
            Block::Heading { level, text } => {
                let level = level + 1;
                writeln!(out, "<h{level}>{}</h{level}>", escaped(text))
            }
            Block::Paragraph { text } => writeln!(out, "<p>{}</p>", escaped(text)),
            Block::Warning { text } => writeln!(out, "<p class=\"warn\">{}</p>", escaped(text)),
            Block::List { items } => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>", escaped(item))).collect();
                writeln!(out, "<ul>{items}</ul>")
            }
            Block::Table { columns, rows } => table(&mut out, columns, rows),
        };
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn table(out: &mut String, columns: &[String], rows: &[Vec<String>]) -> std::fmt::Result {
    out.push_str("<table>");
    if columns.iter().any(|column| !column.is_empty()) {
        let head: String = columns.iter().map(|column| format!("<th>{}</th>", escaped(column))).collect();
        write!(out, "<thead><tr>{head}</tr></thead>")?;
    }
    out.push_str("<tbody>\n");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        writeln!(out, "<tr>{cells}</tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

fn escaped(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
