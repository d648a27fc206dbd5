//! Purchases: real ones or made-up ones, some of them known late, some under a card instead of a customer's number.

use std::collections::BTreeMap;
use std::path::Path;

use event::Instant;
use serde_json::{Value, json};

/// SplitMix64: the same seed, the same world.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % n.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// One purchase. Times are microseconds.
#[derive(Clone, Debug)]
pub struct Row {
    pub stream: &'static str,
    pub row: i64,
    /// `user_id`, `card`, `household` or `product`
    pub kind: &'static str,
    pub value: String,
    pub customer: String,
    pub stock: String,
    pub note: Option<String>,
    pub quantity: i64,
    pub price: f64,
    pub country: String,
    pub at: i64,
    pub known: i64,
}

/// A card and its owner, linked once `at` is known.
#[derive(Clone, Debug)]
pub struct Link {
    pub user_id: String,
    pub card: String,
    pub at: i64,
}

/// The history that is imported.
pub struct History {
    pub rows: Vec<Row>,
    /// By customer.
    pub links: BTreeMap<String, Link>,
    /// Customers and the household each is said to belong to.
    pub homes: Vec<(String, String)>,
    pub n_late: usize,
    /// The first and the last event.
    pub span: (i64, i64),
}

const SECOND: i64 = 1_000_000;

impl Row {
    pub fn document(&self) -> Value {
        let mut document = json!({
            "row": self.row, "stock": self.stock, "note": self.note, "quantity": self.quantity, "price": self.price,
            "country": self.country, "at": instant(self.at), "known": instant(self.known),
        });
        document[self.kind] = self.value.as_str().into();
        document
    }
}

pub fn instant(micros: i64) -> String {
    Instant::from_micros(micros).to_string()
}

impl History {
    /// * `bought`: purchases as they happened, `row` and `known` to be given here
    pub fn new(mut bought: Vec<Row>, rng: &mut Rng) -> Self {
        bought.sort_by_key(|row| row.at);
        let span = (bought[0].at, bought[bought.len() - 1].at);
        let mut links: BTreeMap<String, Link> = BTreeMap::new();
        let mut has_card: BTreeMap<String, bool> = BTreeMap::new();
        let mut n_late = 0;
        for (row, number) in bought.iter_mut().zip(1_i64..) {
            row.row = number;
            // Unlike any other's of the same instant: the order of two rows is then said by their times alone.
            row.known = row.at + rng.below(60) as i64 * SECOND + number;
            if rng.chance(5) {
                n_late += 1;
                row.known += 3_600 * SECOND + rng.below(21 * 86_400) as i64 * SECOND;
            }
            if row.kind != "user_id"
                || !*has_card.entry(row.customer.clone()).or_insert_with(|| rng.chance(30))
            {
                continue;
            }
            let middle = span.0 + (span.1 - span.0) * (20 + rng.below(60) as i64) / 100;
            let link = links.entry(row.customer.clone()).or_insert_with(|| Link {
                user_id: row.customer.clone(),
                card: format!("k{}", row.customer),
                at: middle,
            });
            if rng.chance(50) {
                row.kind = "card";
                row.value = link.card.clone();
            }
        }
        Self { rows: bought, links, homes: Vec::new(), n_late, span }
    }
}

/// Purchases of nobody in particular, for a machine without data.
pub fn made_up(n: usize, rng: &mut Rng) -> Vec<Row> {
    let start: Instant = "2011-01-01".parse().unwrap();
    let countries = ["United Kingdom", "Germany", "Österreich"];
    let row = |_| {
        let customer = format!("{}", 12_000 + rng.below(40));
        Row {
            stream: "shop",
            row: 0,
            kind: "user_id",
            value: customer.clone(),
            customer,
            stock: format!("S{}", rng.below(30)),
            note: rng.chance(80).then(|| format!("note {}", rng.below(12))),
            quantity: rng.below(30) as i64 - 5,
            price: rng.below(4_000) as f64 / 100.0,
            country: (*rng.pick(&countries)).to_owned(),
            // whole minutes, as real invoices: many rows share one
            at: start.micros() + rng.below(120 * 1_440) as i64 * 60 * SECOND,
            known: 0,
        }
    };
    (0..n).map(row).collect()
}

/// Online Retail's rows that name a customer.
pub fn online_retail(data: &Path) -> Vec<Row> {
    let file =
        intake::file::inspect(&data.join("decide/online_retail_uci_240k_invoice.parquet"), |_| {}).unwrap();
    let text = |raw: &Value, name: &str| match &raw[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let rows = file.rows(0).unwrap().filter_map(|row| {
        let raw = row.unwrap().raw;
        let customer = text(&raw, "CustomerID")?.trim_end_matches(".0").to_owned();
        let at = invoice_date(raw["InvoiceDate"].as_str()?)?;
        Some(Row {
            stream: "shop",
            row: 0,
            kind: "user_id",
            value: customer.clone(),
            customer,
            stock: text(&raw, "StockCode")?,
            note: text(&raw, "Description"),
            quantity: raw["Quantity"].as_i64()?,
            price: raw["UnitPrice"].as_f64()?,
            country: text(&raw, "Country")?,
            at: at.micros(),
            known: 0,
        })
    });
    rows.collect()
}

/// `12/1/10 8:26`
fn invoice_date(text: &str) -> Option<Instant> {
    let (date, time) = text.split_once(' ')?;
    let [month, day, year] = date.split('/').collect::<Vec<_>>()[..] else { return None };
    format!("20{year}-{month:0>2}-{day:0>2}T{time:0>5}:00Z").parse().ok()
}

/// Who is one person at `at` under this identifier.
pub fn members(
    links: &BTreeMap<String, Link>,
    kind: &str,
    value: &str,
    at: i64,
) -> Vec<(&'static str, String)> {
    let Some(known) = ["user_id", "card", "household", "product"].into_iter().find(|known| *known == kind)
    else {
        panic!("no identifier `{kind}`")
    };
    let customer = value.trim_start_matches('k');
    match links.get(customer).filter(|link| ["user_id", "card"].contains(&known) && link.at <= at) {
        Some(link) => vec![("user_id", link.user_id.clone()), ("card", link.card.clone())],
        None => vec![(known, value.to_owned())],
    }
}
