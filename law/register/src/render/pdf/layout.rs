//! Lines on pages: words are wrapped, table heads are repeated, no row is cut unless it is longer than a page.

use super::font::Font;
use super::{HEIGHT, WIDTH};
use crate::document::{Block, Document, clean};
use crate::language::Language;

const MARGIN: f32 = 50.0;
const BOTTOM: f32 = 60.0;
const BODY: f32 = 9.5;
const CELL: f32 = 8.5;
const PAD: f32 = 4.0;
const INNER: f32 = WIDTH - 2.0 * MARGIN;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Something on a page, from its lower left corner.
pub(super) enum Drawn {
    Rule { x: f32, y: f32, width: f32 },
    Shade { x: f32, y: f32, width: f32, height: f32 },
    Text { x: f32, y: f32, size: f32, weight: Weight, text: String },
}

#[derive(Default)]
pub(super) struct Page {
    pub(super) drawn: Vec<Drawn>,
}

struct Pen<'f> {
    regular: &'f Font,
    bold: &'f Font,
    pages: Vec<Page>,
    page: Page,
    /// The top of what comes next.
    y: f32,
}

pub(super) fn pages(document: &Document, regular: &Font, bold: &Font) -> Vec<Page> {
    let mut pen = Pen { regular, bold, pages: Vec::new(), page: Page::default(), y: HEIGHT - MARGIN };
    pen.text(&document.title, 17.0, Weight::Bold, 0.0);
    pen.space(2.0);
    pen.text(&document.subtitle, BODY, Weight::Regular, 0.0);
    pen.space(8.0);
    for block in &document.blocks {
        match block {
            Block::Heading { level, text } => {
                let size = match level {
                    1 => 13.0,
                    2 => 11.0,
                    _ => 10.0,
                };
                // A heading does not stand alone at the foot of a page.
                pen.need(size + 40.0);
                pen.space(8.0);
                pen.text(text, size, Weight::Bold, 0.0);
                pen.space(3.0);
            }
            Block::Paragraph { text } => {
                pen.text(text, BODY, Weight::Regular, 0.0);
                pen.space(4.0);
            }
            Block::Warning { text } => {
                pen.text(&format!("! {}", clean(text)), BODY, Weight::Bold, 0.0);
                pen.space(4.0);
            }
            Block::List { items } => {
                for item in items {
                    pen.text(&format!("• {}", clean(item)), BODY, Weight::Regular, 10.0);
                }
                pen.space(4.0);
            }
            Block::Table { columns, rows } => pen.table(columns, rows),
        }
    }
    pen.finish(document)
}

impl Pen<'_> {
    fn font(&self, weight: Weight) -> &Font {
        match weight {
            Weight::Regular => self.regular,
            Weight::Bold => self.bold,
        }
    }

    fn turn(&mut self) {
        self.pages.push(std::mem::take(&mut self.page));
        self.y = HEIGHT - MARGIN;
    }

    /// Turns the page where less than `height` is left.
    fn need(&mut self, height: f32) {
        if self.y - height < BOTTOM && self.y < HEIGHT - MARGIN {
            self.turn();
        }
    }

    fn space(&mut self, height: f32) {
        self.y -= height;
    }

    fn put(&mut self, x: f32, y: f32, size: f32, weight: Weight, text: String) {
        if !text.is_empty() {
            self.page.drawn.push(Drawn::Text { x, y, size, weight, text });
        }
    }

    fn text(&mut self, text: &str, size: f32, weight: Weight, indent: f32) {
        let lines = wrapped(&clean(text), self.font(weight), size, INNER - indent);
        for line in lines {
            self.need(size * 1.4);
            self.y -= size * 1.4;
            self.put(MARGIN + indent, self.y + size * 0.3, size, weight, line);
        }
    }

    fn table(&mut self, columns: &[String], rows: &[Vec<String>]) {
        let widths = self.widths(columns, rows);
        let has_head = columns.iter().any(|column| !column.is_empty());
        if has_head {
            self.row(columns, &widths, Weight::Bold, None);
        }
        let head = has_head.then_some(columns);
        for row in rows {
            self.row(row, &widths, Weight::Regular, head);
        }
        self.space(8.0);
    }

    fn row(&mut self, cells: &[String], widths: &[f32], weight: Weight, head: Option<&[String]>) {
        let line = CELL * 1.35;
        let lines: Vec<Vec<String>> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrapped(&clean(cell), self.font(weight), CELL, width - 2.0 * PAD))
            .collect();
        let n_lines = lines.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let height = n_lines as f32 * line + 2.0 * PAD;
        let fits_nowhere = height > HEIGHT - MARGIN - BOTTOM - 40.0;
        if !fits_nowhere && self.y - height < BOTTOM {
            self.turn();
            if let Some(head) = head {
                self.row(head, widths, Weight::Bold, None);
            }
        }
        if weight == Weight::Bold {
            let (y, width) = (self.y - height, widths.iter().sum());
            self.page.drawn.push(Drawn::Shade { x: MARGIN, y, width, height });
        }
        self.y -= PAD;
        for at in 0..n_lines {
            if self.y - line < BOTTOM {
                self.turn();
            }
            self.y -= line;
            let mut x = MARGIN;
            for (cell, width) in lines.iter().zip(widths) {
                let text = cell.get(at).cloned().unwrap_or_default();
                self.put(x + PAD, self.y + CELL * 0.3, CELL, weight, text);
                x += width;
            }
        }
        self.y -= PAD;
        self.page.drawn.push(Drawn::Rule { x: MARGIN, y: self.y, width: widths.iter().sum() });
    }

    /// Each column gets what its texts want, as far as there is room, and room for its longest word first.
    fn widths(&self, columns: &[String], rows: &[Vec<String>]) -> Vec<f32> {
        let n = columns.len().max(1);
        let least = (INNER / n as f32).min(45.0);
        let wanted: Vec<f32> = (0..columns.len())
            .map(|at| {
                let head = columns.get(at).map(|text| self.bold.width(text, CELL)).unwrap_or_default();
                let cells = rows.iter().filter_map(|row| row.get(at));
                let widest = cells.map(|cell| self.regular.width(cell, CELL)).fold(head, f32::max);
                (widest + 2.0 * PAD).clamp(least, INNER)
            })
            .collect();
        let sum: f32 = wanted.iter().sum();
        if sum <= INNER {
            let more = (INNER - sum) / n as f32;
            return wanted.iter().map(|width| width + more).collect();
        }
        // The square root keeps one very long column from starving the others.
        let roots: Vec<f32> = wanted.iter().map(|width| (width - least).max(0.0).sqrt()).collect();
        let all: f32 = roots.iter().sum::<f32>().max(1.0);
        let rest = INNER - least * n as f32;
        roots.iter().map(|root| least + rest * root / all).collect()
    }

    fn finish(mut self, document: &Document) -> Vec<Page> {
        self.pages.push(std::mem::take(&mut self.page));
        let mut pages = std::mem::take(&mut self.pages);
        let n_pages = pages.len();
        let title = clean(&document.title);
        for (at, page) in pages.iter_mut().enumerate() {
            let text = match document.language {
                Language::En => format!("{title} · page {} of {n_pages}", at + 1),
                Language::De => format!("{title} · Seite {} von {n_pages}", at + 1),
            };
            let text = wrapped(&text, self.regular, 7.5, INNER).into_iter().next().unwrap_or_default();
            page.drawn.push(Drawn::Text { x: MARGIN, y: 34.0, size: 7.5, weight: Weight::Regular, text });
        }
        pages
    }
}

/// A text in lines that are not wider than `width`; a word that is wider is cut.
fn wrapped(text: &str, font: &Font, size: f32, width: f32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let space = font.width(" ", size);
    let mut used = 0.0;
    for word in text.split_whitespace() {
        let wide = font.width(word, size);
        if used > 0.0 && used + space + wide > width {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        if wide <= width {
            if used > 0.0 {
                line.push(' ');
                used += space;
            }
            line.push_str(word);
            used += wide;
            continue;
        }
        for c in word.chars() {
            let one = font.width(c.encode_utf8(&mut [0; 4]), size);
            if used > 0.0 && used + one > width {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            line.push(c);
            used += one;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
