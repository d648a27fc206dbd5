//! A TrueType font: which glyph a character has and how wide it is.

use std::collections::BTreeMap;

use pdf_writer::Rect;
use ttf_parser::Face;

/// What is shown for a character without a glyph.
const UNKNOWN: char = '\u{FFFD}';

pub(super) struct Font {
    pub(super) name: &'static str,
    pub(super) ascent: f32,
    pub(super) descent: f32,
    glyph_of: BTreeMap<char, u16>,
    widths: Vec<f32>,
    bounds: [f32; 4],
}

impl Font {
    pub(super) fn read(file: &[u8], name: &'static str) -> Option<Self> {
        let face = Face::parse(file, 0).ok()?;
        let scale = 1_000.0 / f32::from(face.units_per_em());
        let widths = (0..face.number_of_glyphs())
            .map(|glyph| f32::from(face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or(0)) * scale)
            .collect();
        let mut glyph_of = BTreeMap::new();
        for table in face.tables().cmap?.subtables.into_iter().filter(|table| table.is_unicode()) {
            table.codepoints(|code| {
                if let (Some(c), Some(glyph)) = (char::from_u32(code), table.glyph_index(code)) {
                    glyph_of.entry(c).or_insert(glyph.0);
                }
            });
        }
        let all = face.global_bounding_box();
        let bounds = [all.x_min, all.y_min, all.x_max, all.y_max].map(|n| f32::from(n) * scale);
        Some(Self {
            name,
            ascent: f32::from(face.ascender()) * scale,
            descent: f32::from(face.descender()) * scale,
            glyph_of,
            widths,
            bounds,
        })
    }

    fn glyph(&self, c: char) -> u16 {
        let known = |c: char| self.glyph_of.get(&c).copied();
        known(c).or_else(|| known(UNKNOWN)).unwrap_or(0)
    }

    /// The text as two bytes per glyph.
    pub(super) fn glyphs(&self, text: &str) -> Vec<u8> {
        text.chars().flat_map(|c| self.glyph(c).to_be_bytes()).collect()
    }

    /// How wide a text is at this size, in points.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.width_of(c)).sum::<f32>() * size / 1_000.0
    }

    fn width_of(&self, c: char) -> f32 {
        self.widths.get(usize::from(self.glyph(c))).copied().unwrap_or(0.0)
    }

    /// The width of each glyph.
    pub(super) fn widths(&self) -> impl Iterator<Item = f32> {
        self.widths.iter().copied()
    }

    /// Each glyph with its character.
    pub(super) fn characters(&self) -> impl Iterator<Item = (u16, char)> {
        let mut by_glyph: BTreeMap<u16, char> = BTreeMap::new();
        for (c, glyph) in &self.glyph_of {
            by_glyph.entry(*glyph).or_insert(*c);
        }
        by_glyph.into_iter()
    }

    pub(super) fn bounds(&self) -> Rect {
        let [a, b, c, d] = self.bounds;
        Rect::new(a, b, c, d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fonts_know_umlauts_and_what_they_do_not_know_is_shown() {
        let font = Font::read(super::super::REGULAR, "x").unwrap();
        for c in "äöüÄÖÜßẞ€„“–…éłžЖΩ".chars() {
            assert!(font.glyph_of.contains_key(&c), "{c}");
        }
        assert_eq!(font.glyph('漢'), font.glyph(UNKNOWN));
        assert!(font.width("Datenschutz", 10.0) > 50.0);
    }
}
