//! Names as they come in a European shop: umlauts, accents, apostrophes, other scripts.

use crate::draws::Draws;

const FIRST: [&str; 24] = [
    "Anna",
    "Björn",
    "Çağla",
    "Daniel",
    "Elif",
    "François",
    "Greta",
    "Hüseyin",
    "Ines",
    "Jürgen",
    "Katarzyna",
    "Lars",
    "Márton",
    "Nadia",
    "Oğuz",
    "Petra",
    "Quentin",
    "Renée",
    "Søren",
    "Tomáš",
    "Ulrike",
    "Владимир",
    "Yasmin",
    "Zoë",
];
const LAST: [&str; 24] = [
    "Müller",
    "Schmidt",
    "Yılmaz",
    "Nowak",
    "O'Brien",
    "Groß",
    "Weiß",
    "Fischer",
    "von der Heide",
    "Šimić",
    "Köhler",
    "García-López",
    "Bauer",
    "Åkesson",
    "Hoffmann",
    "Dvořák",
    "Lefèvre",
    "Schäfer",
    "Öztürk",
    "Ivanova",
    "Meyer",
    "Krüger",
    "Bianchi",
    "Zimmermann",
];
/// City, country, language.
const CITIES: [(&str, &str, &str); 12] = [
    ("Berlin", "DE", "de"),
    ("München", "DE", "de"),
    ("Köln", "DE", "de"),
    ("Görlitz", "DE", "de"),
    ("Hamburg", "DE", "de"),
    ("Wien", "AT", "de"),
    ("Graz", "AT", "de"),
    ("Zürich", "CH", "de"),
    ("Genève", "CH", "fr"),
    ("Luxembourg", "LU", "fr"),
    ("Amsterdam", "NL", "en"),
    ("København", "DK", "en"),
];

/// Who somebody is on paper.
pub(crate) struct Name {
    pub(crate) first: &'static str,
    pub(crate) last: &'static str,
    pub(crate) city: &'static str,
    pub(crate) country: &'static str,
    pub(crate) language: &'static str,
}

/// Somebody's name and city.
pub(crate) fn draw(draws: &mut Draws) -> Name {
    let first = draws.one(&FIRST).copied().unwrap_or("Anna");
    let last = draws.one(&LAST).copied().unwrap_or("Müller");
    let (city, country, language) = draws.one(&CITIES).copied().unwrap_or(("Berlin", "DE", "de"));
    Name { first, last, city, country, language }
}
