//! PDF: lines laid out on A4 pages, two embedded fonts, every glyph with the character it stands for, so that the text
//! can be searched and copied.

mod font;
mod layout;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use self::font::Font;
use self::layout::{Drawn, Page, Weight};
use crate::document::{Document, clean};
use crate::error::Error;

const REGULAR: &[u8] = include_bytes!("../../../fonts/DejaVuSans-latin.ttf");
const BOLD: &[u8] = include_bytes!("../../../fonts/DejaVuSans-Bold-latin.ttf");
/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
/// More is a book.
const MAX_PAGES: usize = 5_000;
/// Objects of the catalogue, the page tree, the information and two fonts of five objects each.
const FIRST_PAGE: i32 = 20;

pub(super) fn write(document: &Document) -> Result<Vec<u8>, Error> {
    let broken =
        |reason: &str| Error::Asked { reason: format!("the embedded font cannot be read: {reason}") };
    let regular = Font::read(REGULAR, "DejaVuSans").ok_or_else(|| broken("regular"))?;
    let bold = Font::read(BOLD, "DejaVuSans-Bold").ok_or_else(|| broken("bold"))?;
    let pages = layout::pages(document, &regular, &bold);
    if pages.len() > MAX_PAGES {
        let reason = format!("{} pages are more than {MAX_PAGES}: ask for Markdown or HTML", pages.len());
        return Err(Error::Asked { reason });
    }
    let mut pdf = Pdf::new();
    let (catalog, tree, info) = (Ref::new(1), Ref::new(2), Ref::new(3));
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr(document.language.as_str()));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    let title = clean(&document.title);
    pdf.document_info(info).title(TextStr(&title)).producer(TextStr("Maschinenraum"));
    let numbers: Vec<(Ref, Ref)> = (0..pages.len())
        .map(|at| {
            let at = i32::try_from(at).unwrap_or(0) * 2 + FIRST_PAGE;
            (Ref::new(at), Ref::new(at + 1))
        })
        .collect();
    pdf.pages(tree)
        .kids(numbers.iter().map(|(page, _)| *page))
        .count(i32::try_from(pages.len()).unwrap_or(0));
    let (f1, f2) = (Ref::new(4), Ref::new(10));
    for ((page, content), drawn) in numbers.iter().zip(&pages) {
        let mut one = pdf.page(*page);
        one.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content);
        one.resources().fonts().pair(Name(b"F1"), f1).pair(Name(b"F2"), f2);
        one.finish();
        let bytes = deflated(&draw(drawn, &regular, &bold));
        pdf.stream(*content, &bytes).filter(Filter::FlateDecode);
    }
    embed(&mut pdf, f1, &regular, REGULAR);
    embed(&mut pdf, f2, &bold, BOLD);
    Ok(pdf.finish())
}

fn draw(page: &Page, regular: &Font, bold: &Font) -> Vec<u8> {
    let mut content = Content::new();
    for drawn in &page.drawn {
        match drawn {
            Drawn::Rule { x, y, width } => {
                content.set_stroke_gray(0.7);
                content.set_line_width(0.5);
                content.move_to(*x, *y).line_to(x + width, *y).stroke();
            }
            Drawn::Shade { x, y, width, height } => {
                content.set_fill_gray(0.93);
                content.rect(*x, *y, *width, *height).fill_nonzero();
                content.set_fill_gray(0.0);
            }
            Drawn::Text { x, y, size, weight, text } => {
                let (name, font) = match weight {
                    Weight::Regular => (Name(b"F1"), regular),
                    Weight::Bold => (Name(b"F2"), bold),
                };
                content.begin_text();
                content.set_font(name, *size);
                content.next_line(*x, *y);
                content.show(Str(&font.glyphs(text)));
                content.end_text();
            }
        }
    }
    content.finish().to_vec()
}

/// A font of five objects from `first` on.
fn embed(pdf: &mut Pdf, first: Ref, font: &Font, file: &[u8]) {
    let at = |n: i32| Ref::new(first.get() + n);
    let base = font.name.as_bytes();
    let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
    pdf.type0_font(first)
        .base_font(Name(base))
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(at(1))
        .to_unicode(at(3));
    let mut cid = pdf.cid_font(at(1));
    cid.subtype(CidFontType::Type2).base_font(Name(base)).system_info(system).font_descriptor(at(2));
    cid.default_width(0.0).cid_to_gid_map_predefined(Name(b"Identity"));
    cid.widths().consecutive(0, font.widths());
    cid.finish();
    pdf.font_descriptor(at(2))
        .name(Name(base))
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(font.bounds())
        .italic_angle(0.0)
        .ascent(font.ascent)
        .descent(font.descent)
        .cap_height(729.0)
        .stem_v(80.0)
        .font_file2(at(4));
    let mut cmap = UnicodeCmap::<u16>::new(Name(b"Custom"), system);
    for (glyph, c) in font.characters() {
        cmap.pair(glyph, c);
    }
    pdf.stream(at(3), &cmap.finish());
    let packed = deflated(file);
    let mut stream = pdf.stream(at(4), &packed);
    stream.filter(Filter::FlateDecode);
    stream.pair(Name(b"Length1"), i32::try_from(file.len()).unwrap_or(0));
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
