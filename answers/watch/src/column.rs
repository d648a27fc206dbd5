//! One column of a file: what its cells look like, how they spread, and what to look at.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::values::hash;
use crate::{Spread, Values};

/// Values kept per column.
const KEPT: usize = 2_048;
/// Patterns kept per column.
const PATTERNS: usize = 256;
/// Bars of a picture.
const BARS: usize = 24;

/// What a cell looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `42`
    Whole,
    /// `4.2`
    Number,
    /// `4,2` or `1.234,50`
    DecimalComma,
    /// `true`
    Truth,
    /// `2026-01-31`, also with a time behind it
    Day,
    /// Anything else.
    Text,
    /// A list or an object.
    Nested,
}

/// How often a shape came, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Came {
    n: u64,
    first_row: u64,
    last_row: u64,
}

/// Shares of the quantiles between least and greatest.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// 1900-01-01 and 2199-12-31, in days since 1970: what lies outside is a typing error, and counts as these.
const DAYS: (i32, i32) = (-25_567, 84_005);

/// Cells by day: at most as many as there are days in three hundred years.
#[derive(Clone, Debug, Default, PartialEq)]
struct Days(BTreeMap<i32, u64>);

impl Days {
    fn add(&mut self, day: i32) {
        *self.0.entry(day.clamp(DAYS.0, DAYS.1)).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (day, n) in &other.0 {
            *self.0.entry(*day).or_default() += n;
        }
    }

    fn quantile(&self, q: f64) -> Option<i32> {
        let n: u64 = self.0.values().sum();
        let rank = (q * n.saturating_sub(1) as f64).round() as u64;
        let mut seen = 0;
        let reached = self.0.iter().find(|(_, n)| {
            seen += **n;
            seen > rank
        });
        reached.map(|(day, _)| *day)
    }

    fn slices(&self, n: usize) -> Vec<u64> {
        let ends = self.0.first_key_value().zip(self.0.last_key_value());
        let Some(((first, _), (last, _))) = ends else { return Vec::new() };
        let width = f64::from(last - first + 1) / n as f64;
        let mut slices = vec![0; n];
        for (day, count) in &self.0 {
            let at = (f64::from(day - first) / width) as usize;
            if let Some(slice) = slices.get_mut(at.min(n - 1)) {
                *slice += count;
            }
        }
        slices
    }
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    n_empty: u64,
    n_placeholder: u64,
    shapes: BTreeMap<Shape, Came>,
    values: Values<KEPT>,
    patterns: Values<PATTERNS>,
    spread: Spread,
    days: Days,
    lengths: Option<(u32, u32)>,
    n_addresses: u64,
}

impl Column {
    /// Looks at the text of a cell.
    pub fn see(&mut self, row: u64, cell: &[u8]) {
        let cell = cell.trim_ascii();
        if cell.is_empty() {
            self.n_empty += 1;
            return;
        }
        if is_placeholder(cell) {
            self.n_placeholder += 1;
            return;
        }
        let text = String::from_utf8_lossy(cell);
        let shape = self.shape(cell, &text);
        self.note(shape, row);
        self.values.add_hashed(hash(cell), &text);
    }

    /// Looks at a value that has a type already.
    pub fn see_value(&mut self, row: u64, value: &Value) {
        match value {
            Value::Null => self.n_empty += 1,
            Value::String(text) => self.see(row, text.as_bytes()),
            Value::Bool(truth) => {
                self.note(Shape::Truth, row);
                self.values.add(if *truth { "true" } else { "false" });
            }
            Value::Number(number) => {
                let float = number.as_f64().unwrap_or(f64::NAN);
                let is_whole = number.is_i64() || number.is_u64() || float.fract() == 0.0;
                self.note(if is_whole { Shape::Whole } else { Shape::Number }, row);
                self.spread.add(float);
                self.values.add(&number.to_string());
            }
            Value::Array(_) | Value::Object(_) => {
                self.note(Shape::Nested, row);
                let text = value.to_string();
                self.values.add(&text);
            }
        }
    }

    fn note(&mut self, shape: Shape, row: u64) {
        let came = self.shapes.entry(shape).or_insert(Came { n: 0, first_row: row, last_row: row });
        came.n += 1;
        came.first_row = came.first_row.min(row);
        came.last_row = came.last_row.max(row);
    }

    fn shape(&mut self, cell: &[u8], text: &str) -> Shape {
        let starts_as_number = cell.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        if starts_as_number {
            if let Some(day) = day(cell) {
                self.days.add(day);
                return Shape::Day;
            }
            if let Some(whole) = whole(cell) {
                self.spread.add(whole as f64);
                return Shape::Whole;
            }
            if cell.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E' | b'+'))
                && let Ok(number) = text.parse::<f64>()
            {
                self.spread.add(number);
                return if number.fract() == 0.0 && !cell.contains(&b'.') {
                    Shape::Whole
                } else {
                    Shape::Number
                };
            }
            if let Some(number) = with_comma(text) {
                self.spread.add(number);
                return Shape::DecimalComma;
            }
        }
        if cell.len() <= 5 && [&b"true"[..], b"false"].iter().any(|word| cell.eq_ignore_ascii_case(word)) {
            return Shape::Truth;
        }
        let n = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.lengths = Some(self.lengths.map_or((n, n), |(least, most)| (least.min(n), most.max(n))));
        self.n_addresses += u64::from(looks_like_address(cell));
        let pattern = pattern(text);
        self.patterns.add(&pattern);
        Shape::Text
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.n_empty += other.n_empty;
        self.n_placeholder += other.n_placeholder;
        self.n_addresses += other.n_addresses;
        for (shape, theirs) in &other.shapes {
            let mine = self.shapes.entry(*shape).or_insert(Came { n: 0, ..theirs.clone() });
            mine.n += theirs.n;
            mine.first_row = mine.first_row.min(theirs.first_row);
            mine.last_row = mine.last_row.max(theirs.last_row);
        }
        self.values.merge(&other.values);
        self.patterns.merge(&other.patterns);
        self.spread.merge(&other.spread);
        self.days.merge(&other.days);
        self.lengths = match (self.lengths, other.lengths) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
}

fn is_placeholder(cell: &[u8]) -> bool {
    const WORDS: [&[u8]; 10] = [b"na", b"n/a", b"nan", b"null", b"none", b"nil", b"-", b"?", b"\\n", b"#n/a"];
    cell.len() <= 4 && WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn whole(cell: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match cell.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, cell),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut n = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        n = n * 10 + i64::from(digit - b'0');
    }
    Some(if is_negative { -n } else { n })
}

/// `2026-01-31`, alone or in front of a time.
fn day(cell: &[u8]) -> Option<i32> {
    let (date, rest) = cell.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    if !(rest.is_empty() || matches!(rest.first(), Some(b'T' | b' '))) {
        return None;
    }
    let digit = |b: u8| b.is_ascii_digit().then(|| i16::from(b - b'0'));
    let year = digit(y1)? * 1000 + digit(y2)? * 100 + digit(y3)? * 10 + digit(y4)?;
    let month = i8::try_from(digit(m1)? * 10 + digit(m2)?).ok()?;
    let day = i8::try_from(digit(d1)? * 10 + digit(d2)?).ok()?;
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    Some((date - jiff::civil::date(1970, 1, 1)).get_days())
}

/// `4,2` and `1.234,50`; `1,234` might as well be twelve hundred and thirty-four, and is no decimal comma here.
fn with_comma(text: &str) -> Option<f64> {
    let (whole, decimals) = text.split_once(',')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(decimals) || (decimals.len() == 3 && !whole.contains('.')) {
        return None;
    }
    let mut groups = whole.trim_start_matches('-').split('.');
    let first = groups.next().filter(|first| is_digits(first))?;
    let rest: Vec<&str> = groups.collect();
    if rest.iter().any(|group| group.len() != 3 || !is_digits(group)) || (!rest.is_empty() && first.len() > 3)
    {
        return None;
    }
    format!("{}.{decimals}", whole.replace('.', "")).parse().ok()
}

fn looks_like_address(cell: &[u8]) -> bool {
    let mut parts = cell.splitn(2, |b| *b == b'@');
    let (Some(name), Some(host)) = (parts.next(), parts.next()) else { return false };
    !name.is_empty() && host.contains(&b'.') && !host.contains(&b'@') && !cell.contains(&b' ')
}

/// Names of columns that usually hold what names or describes a person.
fn sounds_personal(name: &str) -> bool {
    const WORDS: [&str; 27] = [
        "email",
        "mail",
        "phone",
        "mobile",
        "telefon",
        "firstname",
        "lastname",
        "surname",
        "fullname",
        "vorname",
        "nachname",
        "address",
        "adresse",
        "street",
        "strasse",
        "birth",
        "birthday",
        "geburtstag",
        "dob",
        "iban",
        "ssn",
        "ip",
        "customerid",
        "userid",
        "passport",
        "anonymousid",
        "personid",
    ];
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    WORDS.contains(&plain.as_str()) || words.any(|word| WORDS.contains(&word.as_str()))
}

/// `Order 123` → `Aa 9`: runs of one kind as one letter.
fn pattern(text: &str) -> String {
    let mut out = String::new();
    let mut last = '\0';
    for c in text.chars().take(48) {
        let class = match c {
            _ if c.is_numeric() => '9',
            _ if c.is_uppercase() => 'A',
            _ if c.is_alphabetic() => 'a',
            _ => c,
        };
        if class != last || !matches!(class, '9' | 'A' | 'a') {
            out.push(class);
        }
        last = class;
    }
    out
}

/// A column, described.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// What most of its cells look like.
    pub shape: Option<Shape>,
    /// Cells with something in them.
    pub n_present: u64,
    /// Empty cells, and rows without the column.
    pub n_empty: u64,
    /// `NA`, `null`, `-` and the like.
    pub n_placeholder: u64,
    /// Distinct values.
    pub n_distinct: u64,
    /// True where that is exact; else it is within 3 %.
    pub exact: bool,
    /// Least, 5 %, 25 %, median, 75 %, 95 %, greatest; of numbers, or of days as text.
    pub quantiles: Vec<String>,
    /// The mean of numbers.
    pub mean: Option<f64>,
    /// Zeros and negative numbers.
    pub n_zero: u64,
    /// Numbers below zero.
    pub n_negative: u64,
    /// Counts of equal slices between least and greatest.
    pub bars: Vec<u64>,
    /// The most frequent values; none where a person may be behind them, or where they are too many to tell.
    pub top: Vec<(String, u64)>,
    /// The most frequent patterns of texts: `A` capitals, `a` small letters, `9` digits.
    pub patterns: Vec<(String, u64)>,
    /// Least and greatest length of texts.
    pub lengths: Option<(u32, u32)>,
    /// True where name or values look like those of people: values are not shown.
    pub looks_personal: bool,
    /// What to look at.
    pub notes: Vec<String>,
}

impl Column {
    pub(crate) fn report(&self, name: &str, n_rows: u64) -> ColumnReport {
        let n_present: u64 = self.shapes.values().map(|came| came.n).sum();
        let shape = self.shapes.iter().max_by_key(|(shape, came)| (came.n, std::cmp::Reverse(**shape)));
        let shape = shape.map(|(shape, _)| *shape);
        let is_day = shape == Some(Shape::Day);
        let spread = &self.spread;
        let ends = spread
            .ends()
            .filter(|_| !matches!(shape, Some(Shape::Day | Shape::Text | Shape::Truth | Shape::Nested)));
        let mut quantiles = ends.map_or(Vec::new(), |(low, high)| {
            let inner = QUANTILES.iter().filter_map(|q| spread.quantile(*q));
            std::iter::once(low).chain(inner).chain([high]).map(crate::change::short).collect()
        });
        if is_day {
            let at = [0.0].iter().chain(&QUANTILES).chain(&[1.0]).filter_map(|q| self.days.quantile(*q));
            quantiles = at.map(|day| crate::By::Day.label(day)).collect();
        }
        let looks_personal = sounds_personal(name) || self.n_addresses * 2 > n_present.max(1);
        let shown = self.values.is_exact() && !looks_personal;
        let top = self.values.top();
        ColumnReport {
            name: name.to_owned(),
            shape,
            n_present,
            n_empty: n_rows.saturating_sub(n_present + self.n_placeholder),
            n_placeholder: self.n_placeholder,
            n_distinct: self.values.n_distinct().min(n_present),
            exact: self.values.is_exact(),
            quantiles,
            mean: spread.mean().filter(|_| ends.is_some()),
            n_zero: if ends.is_some() { spread.n_zero() } else { 0 },
            n_negative: if ends.is_some() { spread.n_negative() } else { 0 },
            bars: if is_day {
                self.days.slices(BARS)
            } else {
                ends.map_or(Vec::new(), |(low, high)| spread.slices(low, high, BARS))
            },
            top: if shown {
                top.iter().take(8).map(|(text, n)| ((*text).to_owned(), *n)).collect()
            } else {
                Vec::new()
            },
            patterns: self.patterns.top().iter().take(4).map(|(text, n)| ((*text).to_owned(), *n)).collect(),
            lengths: self.lengths,
            looks_personal,
            notes: self.notes(n_present, n_rows, looks_personal),
        }
    }

    fn notes(&self, n_present: u64, n_rows: u64, looks_personal: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let percent = |n: u64| format!("{:.1} %", n as f64 * 100.0 / n_rows.max(1) as f64);
        if n_present == 0 {
            notes.push("is empty in every row".to_owned());
        }
        if self.n_placeholder > 0 {
            let n = self.n_placeholder;
            notes.push(format!(
                "says `NA`, `null`, `-` or the like instead of nothing in {n} rows ({})",
                percent(n)
            ));
        }
        if let Some(came) = self.shapes.get(&Shape::DecimalComma) {
            notes.push(format!(
                "has decimal commas in {} rows: declare `decimalComma` in the contract",
                came.n
            ));
        }
        let is_number = |shape: Shape| matches!(shape, Shape::Whole | Shape::Number);
        for (shape, came) in &self.shapes {
            let others = n_present - came.n;
            // Whole numbers among numbers are numbers.
            let fits = is_number(*shape) && self.shapes.keys().all(|other| is_number(*other));
            if others == 0 || fits {
                continue;
            }
            if came.n * 20 >= n_present && came.first_row > n_rows / 10 && came.n >= 10 {
                notes.push(format!(
                    "changes in the midst of the file: {} from row {} on",
                    shape.words(),
                    came.first_row
                ));
            } else if came.n * 20 < n_present {
                let n = came.n;
                notes.push(format!(
                    "is {} in {n} rows only, the first is row {}",
                    shape.words(),
                    came.first_row
                ));
            }
        }
        if self.values.is_exact() && self.values.n_distinct() == 1 && n_present == n_rows && n_rows > 1 {
            notes.push("has the same value in every row".to_owned());
        }
        if looks_personal {
            notes.push("looks personal: values are not shown; classify it in the contract".to_owned());
        }
        notes
    }
}

impl Shape {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::DecimalComma => "a number with a decimal comma",
            Self::Truth => "true or false",
            Self::Day => "a day or time",
            Self::Text => "text",
            Self::Nested => "a list or an object",
        }
    }
}
