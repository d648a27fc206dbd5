//! Complete Journey: lines of baskets by shopper, what each household saved, and what was sold of each product. Real
//! rows; which shopper of a household a basket is of is made up, for the source does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use event::Instant;
use serde_json::Value;

use super::rows::{History, Rng, Row};

/// The history of all three entities.
pub fn journey(data: &Path, rng: &mut Rng) -> History {
    let folder = data.join("decide");
    let read = |name: &str| {
        let path = folder.join(format!("cj_{name}.parquet"));
        let file = intake::file::inspect(&path, |_| {}).unwrap();
        file.rows(0).unwrap().map(|row| row.unwrap().raw).collect::<Vec<Value>>()
    };
    let departments: BTreeMap<String, String> = read("products")
        .iter()
        .filter_map(|raw| Some((text(raw, "product_id")?, text(raw, "department")?)))
        .collect();
    let lines = read("transactions_sample").into_iter().filter_map(|raw| {
        let at: Instant =
            format!("{}Z", text(&raw, "transaction_timestamp")?.trim_end_matches('Z')).parse().ok()?;
        Some(Line {
            household: text(&raw, "household_id")?,
            basket: text(&raw, "basket_id")?,
            note: departments.get(&text(&raw, "product_id")?).cloned(),
            product: text(&raw, "product_id")?,
            store: text(&raw, "store_id")?,
            quantity: raw["quantity"].as_f64()? as i64,
            price: raw["sales_value"].as_f64()?,
            saved: cents(raw["retail_disc"].as_f64()? + raw["coupon_disc"].as_f64()?),
            at: at.micros(),
        })
    });
    let mut lines: Vec<Line> = lines.collect();
    for raw in read("coupon_redemptions") {
        let day = text(&raw, "redemption_date").unwrap();
        let at: Instant = format!("{}T23:59:59Z", &day[..10]).parse().unwrap();
        lines.push(Line {
            household: text(&raw, "household_id").unwrap(),
            basket: String::new(),
            product: text(&raw, "coupon_upc").unwrap(),
            note: text(&raw, "campaign_id").map(|id| format!("campaign {id}")),
            store: "none".to_owned(),
            quantity: 1,
            price: 0.0,
            saved: 1.0,
            at: at.micros(),
        });
    }
    history(&lines, rng)
}

/// The same of nobody in particular, for a machine without data.
pub fn made_up_journey(n: usize, rng: &mut Rng) -> History {
    let start: Instant = "2017-01-01".parse().unwrap();
    let line = |_| {
        // "0" names nobody.
        let household = 1 + rng.below(20);
        Line {
            household: format!("{household}"),
            basket: format!("b{}", rng.below(40)),
            product: format!("p{}", rng.below(25)),
            note: rng.chance(80).then(|| format!("DEPARTMENT {}", rng.below(6))),
            store: ["367", "309", "406"][rng.below(3) as usize].to_owned(),
            quantity: rng.below(4) as i64,
            price: rng.below(2_000) as f64 / 100.0,
            saved: rng.below(3) as f64 / 4.0,
            at: start.micros() + rng.below(120 * 86_400) as i64 * 1_000_000,
        }
    };
    let lines: Vec<Line> = (0..n).map(line).collect();
    history(&lines, rng)
}

struct Line {
    household: String,
    basket: String,
    product: String,
    note: Option<String>,
    store: String,
    quantity: i64,
    price: f64,
    saved: f64,
    at: i64,
}

/// Every line goes to the shopper and to the product; to the household where something was saved.
fn history(lines: &[Line], rng: &mut Rng) -> History {
    let mut rows = Vec::new();
    let mut homes: BTreeSet<(String, String)> = BTreeSet::new();
    for line in lines {
        let row = |stream, kind, customer: String, stock: &str, price| Row {
            stream,
            row: 0,
            kind,
            value: customer.clone(),
            customer,
            stock: stock.to_owned(),
            note: line.note.clone(),
            quantity: line.quantity,
            price,
            country: line.store.clone(),
            at: line.at,
            known: 0,
        };
        if !line.basket.is_empty() {
            let shopper = line.basket.bytes().map(u64::from).sum::<u64>() % 3;
            let user = format!("u{}-{shopper}", line.household);
            homes.insert((user.clone(), line.household.clone()));
            rows.push(row("baskets", "user_id", user, &line.product, line.price));
            rows.push(row("sales", "product", line.product.clone(), &line.basket, line.price));
        }
        if line.saved > 0.0 {
            rows.push(row("savings", "household", line.household.clone(), &line.product, line.saved));
        }
    }
    History { homes: homes.into_iter().collect(), ..History::new(rows, rng) }
}

fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn text(raw: &Value, name: &str) -> Option<String> {
    match &raw[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
