//! A profile as one page of HTML: pictures are SVG in it, nothing is loaded from anywhere.

use std::fmt::Write as _;

use crate::change::count;
use crate::column::ColumnReport;
use crate::profile::ProfileReport;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667;--line:#d8dce2;--bar:#2f6f9f;--bad:#b3492d;--paper:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#98a0aa;--line:#333a43;--bar:#69a8d6;--bad:#e08a6d;\
--paper:#14171b}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;margin:2rem auto;\
padding:0 1rem}h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:0;overflow-wrap:anywhere}\
.soft{color:var(--soft)}ul{padding-left:1.2rem}.grid{display:grid;gap:1rem;\
grid-template-columns:repeat(auto-fill,minmax(20rem,1fr))}article{border:1px solid var(--line);border-radius:8px;\
padding:.9rem}table{border-collapse:collapse;width:100%;font-size:.9rem}td{padding:.1rem 0;overflow-wrap:anywhere}\
td:last-child{text-align:right;padding-left:1rem;white-space:nowrap}svg{display:block;width:100%;height:auto;\
margin:.5rem 0}.note{color:var(--bad);font-size:.9rem;margin:.3rem 0}";

/// The page.
pub fn page(report: &ProfileReport) -> String {
    let mut out = String::new();
    let title = escaped(&report.file);
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p \
         class=\"soft\">{} rows, {} columns, {} bytes</p>",
        count(report.n_rows),
        report.columns.len(),
        count(report.n_bytes)
    );
    if !report.findings.is_empty() {
        out.push_str("<h2>Look at this first</h2><ul>");
        for finding in &report.findings {
            let _ = write!(out, "<li>{}</li>", escaped(finding));
        }
        out.push_str("</ul>");
    }
    out.push_str("<div class=\"grid\">");
    for column in &report.columns {
        article(&mut out, column, report.n_rows);
    }
    out.push_str("</div></html>\n");
    out
}

fn article(out: &mut String, column: &ColumnReport, n_rows: u64) {
    let shape = column.shape.map_or("empty", crate::Shape::words);
    let about = if column.exact { "" } else { "about " };
    let _ = write!(
        out,
        "<article><h2>{}</h2><div class=\"soft\">{shape}; {about}{} distinct</div>",
        escaped(&column.name),
        count(column.n_distinct)
    );
    presence(out, column, n_rows);
    if column.bars.iter().any(|n| *n > 0) {
        bars(out, column);
    } else if !column.top.is_empty() {
        top(out, column);
    }
    out.push_str("<table>");
    let names = ["least", "5 %", "25 %", "median", "75 %", "95 %", "greatest"];
    for (name, value) in names.iter().zip(&column.quantiles) {
        row(out, name, value);
    }
    if let Some(mean) = column.mean {
        row(out, "mean", &crate::change::short(mean));
    }
    for (name, n) in [
        ("empty", column.n_empty),
        ("placeholders", column.n_placeholder),
        ("zero", column.n_zero),
        ("negative", column.n_negative),
    ] {
        if n > 0 {
            row(out, name, &count(n));
        }
    }
    for (pattern, n) in &column.patterns {
        row(out, &format!("pattern {pattern}"), &count(*n));
    }
    out.push_str("</table>");
    for note in &column.notes {
        let _ = write!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    out.push_str("</article>");
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
}

/// One bar: what is there, and what is not.
fn presence(out: &mut String, column: &ColumnReport, n_rows: u64) {
    let width = column.n_present as f64 * 300.0 / n_rows.max(1) as f64;
    let percent = column.n_present as f64 * 100.0 / n_rows.max(1) as f64;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 300 6\" role=\"img\" aria-label=\"{percent:.1} % there\"><rect width=\"300\" height=\"6\" \
         fill=\"var(--line)\"/><rect width=\"{width:.1}\" height=\"6\" fill=\"var(--bar)\"/></svg>"
    );
}

fn bars(out: &mut String, column: &ColumnReport) {
    let most = column.bars.iter().max().copied().unwrap_or(1).max(1) as f64;
    let width = 300.0 / column.bars.len() as f64;
    out.push_str("<svg viewBox=\"0 0 300 80\" role=\"img\" aria-label=\"how the values spread\">");
    for (at, n) in column.bars.iter().enumerate() {
        let height = if *n == 0 { 0.0 } else { (*n as f64 * 78.0 / most).max(1.0) };
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"var(--bar)\"><title>{}</title></rect>",
            at as f64 * width + 0.5,
            80.0 - height,
            width - 1.0,
            count(*n)
        );
    }
    out.push_str("</svg>");
}

fn top(out: &mut String, column: &ColumnReport) {
    let most = column.top.first().map_or(1, |(_, n)| (*n).max(1)) as f64;
    let height = column.top.len() * 16;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 300 {height}\" role=\"img\" aria-label=\"the most frequent values\">"
    );
    for (at, (text, n)) in column.top.iter().enumerate() {
        let y = at * 16;
        let text: String = text.chars().take(28).collect();
        let _ = write!(
            out,
            "<rect y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"var(--bar)\" opacity=\".35\"/><text x=\"4\" y=\"{}\" \
             font-size=\"11\" fill=\"currentColor\">{}</text><text x=\"296\" y=\"{}\" font-size=\"11\" \
             text-anchor=\"end\" fill=\"currentColor\">{}</text>",
            *n as f64 * 300.0 / most,
            y + 11,
            escaped(&text),
            y + 11,
            count(*n)
        );
    }
    out.push_str("</svg>");
}

/// Nothing of a file may become part of the page's own language.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::Profile;

    #[test]
    fn a_page_holds_no_markup_of_the_file() {
        let mut profile = Profile::new(&["<script>".to_owned()]);
        (0..3).for_each(|row| profile.see_row(row, std::iter::once(&b"<b onload='x'>"[..])));
        let page = super::page(&profile.report("a & b.csv", 10));
        assert!(!page.contains("<script") && !page.contains("<b onload"), "{page}");
        assert!(page.contains("a &amp; b.csv") && page.contains("<svg"));
        assert!(!page.contains("http"), "nothing is loaded");
    }
}
