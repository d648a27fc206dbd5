//! A document as Markdown, HTML, PDF or JSON.

mod html;
mod markdown;
mod pdf;

use crate::document::Document;
use crate::error::Error;

impl Document {
    /// As Markdown: CommonMark with the tables of GitHub.
    pub fn to_markdown(&self) -> String {
        markdown::write(self)
    }

    /// As one HTML page that needs nothing else and may load nothing.
    pub fn to_html(&self) -> String {
        html::write(self)
    }

    /// As PDF, A4, fonts embedded. What the fonts have no glyph for is shown as `\u{FFFD}`.
    ///
    /// # Errors
    /// [`Error::Asked`] where the document is too long for one PDF.
    pub fn to_pdf(&self) -> Result<Vec<u8>, Error> {
        pdf::write(self)
    }

    /// As JSON: title, language, blocks.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use proptest::prelude::*;

    const HOSTILE: &str = "<script>alert(1)</script> | [x](javascript:alert(1)) ![i](http://evil/x.png) `c` \
                           </td></table> *b* _i_ # h\n\n- item\r\n> q & \u{202e}gpj.exe \"'";

    fn with(text: &str) -> Document {
        let mut page = Document::new(text.to_owned(), Language::De);
        page.subtitle = text.to_owned();
        page.heading(1, text);
        page.paragraph(text);
        page.warning(text);
        page.list(vec![text.to_owned(), text.to_owned()]);
        page.table(&["a", text], vec![vec![text.to_owned(), text.to_owned()], vec!["x".to_owned()]]);
        page
    }

    #[test]
    fn hostile_texts_stay_texts() {
        let html = with(HOSTILE).to_html();
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{202e}'), "{html}");
        assert!(html.contains("&lt;script&gt;"));
        assert_eq!(html.matches("<table>").count(), 1);
        let markdown = with(HOSTILE).to_markdown();
        assert!(
            !markdown.replace("\\<", "").contains('<') && markdown.contains("\\<script\\>"),
            "{markdown}"
        );
        let bare = markdown.replace("\\]", "").replace("\\[", "").replace("\\!", "");
        assert!(!bare.contains("](") && !bare.contains("![") && !markdown.contains("http://"), "{markdown}");
        for line in markdown.lines().filter(|line| line.starts_with('|')) {
            let bars = line.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 3, "{line}");
        }
        assert!(with(HOSTILE).to_pdf().unwrap().starts_with(b"%PDF-1.7"));
    }

    #[test]
    fn a_document_without_anything_is_one_too() {
        let page = Document::new(String::new(), Language::En);
        assert!(page.to_pdf().unwrap().ends_with(b"%%EOF") || page.to_pdf().unwrap().ends_with(b"%%EOF\n"));
        assert!(page.to_html().starts_with("<!doctype html>"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_becomes_markup(text in "x\\PC{0,80}") {
            let html = with(&text).to_html();
            let tags = html.matches('<').count();
            prop_assert_eq!(tags, with("plain").to_html().matches('<').count());
            with(&text).to_markdown();
            with(&text).to_pdf().unwrap();
        }
    }
}
