//! A document as registers need one: headings, paragraphs, lists, tables. Texts in it are only texts; what a renderer
//! writes can never be taken for markup, whoever wrote the text.

use serde::Serialize;

use crate::language::Language;

/// One part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A heading.
    Heading {
        /// 1 to 3.
        level: u8,
        /// The text.
        text: String,
    },
    /// A paragraph.
    Paragraph {
        /// The text.
        text: String,
    },
    /// A paragraph that must not be overlooked.
    Warning {
        /// The text.
        text: String,
    },
    /// A list.
    List {
        /// Its items.
        items: Vec<String>,
    },
    /// A table.
    Table {
        /// The head of each column; all empty for none.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Below it; may be empty.
    pub subtitle: String,
    /// Its language.
    pub language: Language,
    /// Its parts.
    pub blocks: Vec<Block>,
}

impl Document {
    /// An empty one.
    pub fn new(title: String, language: Language) -> Self {
        Self { title, subtitle: String::new(), language, blocks: Vec::new() }
    }

    /// Adds a heading.
    pub fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(Block::Heading { level: level.clamp(1, 3), text: text.into() });
    }

    /// Adds a paragraph, unless it is empty.
    pub fn paragraph(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.blocks.push(Block::Paragraph { text });
        }
    }

    /// Adds a paragraph that must not be overlooked.
    pub fn warning(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Warning { text: text.into() });
    }

    /// Adds a list, unless it is empty.
    pub fn list(&mut self, items: Vec<String>) {
        if !items.is_empty() {
            self.blocks.push(Block::List { items });
        }
    }

    /// Adds a table, unless it is empty; each row gets as many cells as there are columns.
    pub fn table(&mut self, columns: &[&str], mut rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            return;
        }
        for row in &mut rows {
            row.resize(columns.len(), String::new());
        }
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.blocks.push(Block::Table { columns, rows });
    }
}

/// A text without what cannot be printed or would turn the direction of reading: on one line.
pub(crate) fn clean(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{2028}' | '\u{2029}')
    };
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    spaced.filter(|c| !is_unseen(*c)).collect::<String>().trim().to_owned()
}
