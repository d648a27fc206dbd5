//! The features that parity is shown for: every aggregation, with and without windows, filters and defaults. Each is
//! written once, as JSON, which YAML reads too; the house, the brute force and DuckDB compute it from that.

use serde_json::Value;

/// Over the imported history: windows of the calendar.
const SHOP: [&str; 25] = [
    r#"{"name": "n_7d", "agg": "count", "window": "7d"}"#,
    r#"{"name": "n_90d", "agg": "count", "window": "90d"}"#,
    r#"{"name": "n_bought_30d", "agg": "count", "window": "30d", "where": "quantity > 0 and price > 0"}"#,
    r#"{"name": "n_returned_90d", "agg": "count", "window": "90d", "where": "quantity < 0"}"#,
    r#"{"name": "n", "agg": "count"}"#,
    r#"{"name": "price_7d", "agg": "sum", "of": "price", "scale": 2, "window": "7d"}"#,
    r#"{"name": "price_raw_90d", "agg": "sum", "of": "price", "window": "90d"}"#,
    r#"{"name": "quantity", "agg": "sum", "of": "quantity"}"#,
    r#"{"name": "mean_price_30d", "agg": "mean", "of": "price", "scale": 2, "window": "30d", "default": 0}"#,
    r#"{"name": "mean_quantity", "agg": "mean", "of": "quantity"}"#,
    r#"{"name": "least_price_90d", "agg": "min", "of": "price", "window": "90d"}"#,
    r#"{"name": "least_quantity", "agg": "min", "of": "quantity"}"#,
    r#"{"name": "most_quantity_7d", "agg": "max", "of": "quantity", "window": "7d", "default": -1}"#,
    r#"{"name": "last_row", "agg": "last", "of": "row"}"#,
    r#"{"name": "last_country_30d", "agg": "last", "of": "country", "window": "30d", "default": "none"}"#,
    r#"{"name": "last_note", "agg": "last", "of": "note", "where": "quantity < 0"}"#,
    r#"{"name": "first_stock", "agg": "first", "of": "stock"}"#,
    r#"{"name": "first_row_90d", "agg": "first", "of": "row", "window": "90d"}"#,
    r#"{"name": "n_stock_30d", "agg": "distinct", "of": "stock", "window": "30d"}"#,
    r#"{"name": "n_notes", "agg": "distinct", "of": "note", "where": "not country == 'United Kingdom'"}"#,
    r#"{"name": "days_since", "agg": "time_since", "unit": "days"}"#,
    r#"{"name": "hours_since_return", "agg": "time_since", "unit": "hours", "window": "90d", "where": "quantity < 0"}"#,
    r#"{"name": "returned_share", "agg": "ratio", "numerator": "n_returned_90d", "denominator": "n_90d"}"#,
    r#"{"name": "interest", "agg": "decayed_sum", "of": "price", "half_life": "14d"}"#,
    r#"{"name": "interest_30d", "agg": "decayed_sum", "of": "price", "half_life": "3d", "window": "30d"}"#,
];

/// Over what is posted while decisions are made: windows of moments.
const TAPS: [&str; 13] = [
    r#"{"name": "n_50ms", "agg": "count", "window": "50ms"}"#,
    r#"{"name": "n_bought_300ms", "agg": "count", "window": "300ms", "where": "quantity > 0 and price > 0"}"#,
    r#"{"name": "n", "agg": "count"}"#,
    r#"{"name": "price_5s", "agg": "sum", "of": "price", "scale": 2, "window": "5s"}"#,
    r#"{"name": "mean_price", "agg": "mean", "of": "price"}"#,
    r#"{"name": "least_price_300ms", "agg": "min", "of": "price", "window": "300ms"}"#,
    r#"{"name": "most_quantity_5s", "agg": "max", "of": "quantity", "window": "5s"}"#,
    r#"{"name": "last_row", "agg": "last", "of": "row"}"#,
    r#"{"name": "first_stock_300ms", "agg": "first", "of": "stock", "window": "300ms"}"#,
    r#"{"name": "n_stock_5s", "agg": "distinct", "of": "stock", "window": "5s"}"#,
    r#"{"name": "seconds_since", "agg": "time_since", "unit": "seconds"}"#,
    r#"{"name": "price_per_tap", "agg": "ratio", "numerator": "price_5s", "denominator": "n", "default": 0}"#,
    r#"{"name": "interest", "agg": "decayed_sum", "of": "price", "half_life": "700ms"}"#,
];

/// A view of a world.
#[derive(Clone, Debug)]
pub struct ViewOf {
    pub name: String,
    pub stream: &'static str,
    pub features: Vec<Value>,
    /// Added later, and filled from the journal then.
    pub is_new: bool,
}

impl ViewOf {
    /// `view.feature`, all of them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.features.iter().map(|feature| format!("{}.{}", self.name, feature["name"].as_str().unwrap()))
    }
}

/// Two views, one over what is imported, one over what is posted.
pub fn retail() -> Vec<ViewOf> {
    let view = |stream: &'static str, features: &[&str]| ViewOf {
        name: stream.to_owned(),
        stream,
        features: features.iter().map(|feature| serde_json::from_str(feature).unwrap()).collect(),
        is_new: false,
    };
    vec![view("shop", &SHOP), view("taps", &TAPS)]
}

/// Features of one view of the thirty, by their places in [`SHOP`] and [`TAPS`].
const OF_HISTORY: [&[usize]; 5] =
    [&[0, 1, 3, 20, 22], &[2, 4, 5, 6, 7], &[8, 9, 10, 11, 12], &[13, 14, 15, 16, 17], &[18, 19, 21, 23, 24]];
const OF_LIVE: [&[usize]; 3] = [&[0, 2, 3, 10, 11], &[1, 4, 5, 6, 12], &[7, 8, 9]];

/// Other windows, so that no two views of a stream are the same.
const WINDOWS: [[(&str, &str); 6]; 2] = [
    [("7d", "7d"), ("30d", "30d"), ("90d", "90d"), ("50ms", "50ms"), ("300ms", "300ms"), ("5s", "5s")],
    [("7d", "2d"), ("30d", "12d"), ("90d", "200d"), ("50ms", "20ms"), ("300ms", "900ms"), ("5s", "2s")],
];

/// A stream, which features its views have, of which, and how many views there are.
type Stream = (&'static str, &'static [&'static [usize]], &'static [&'static str], usize);

/// Thirty views over six streams, every third of them new.
pub fn thirty() -> Vec<ViewOf> {
    let streams: [Stream; 6] = [
        ("baskets", &OF_HISTORY, &SHOP, 9),
        ("taps", &OF_LIVE, &TAPS, 3),
        ("savings", &OF_HISTORY, &SHOP, 5),
        ("calls", &OF_LIVE, &TAPS, 3),
        ("sales", &OF_HISTORY, &SHOP, 7),
        ("shelf", &OF_LIVE, &TAPS, 3),
    ];
    let mut all: Vec<ViewOf> = Vec::new();
    for (stream, groups, known, n) in streams {
        for i in 0..n {
            let windows = &WINDOWS[i / groups.len()];
            let features = groups[i % groups.len()].iter().map(|at| journey(known[*at], windows));
            let is_new = all.len() % 3 == 2;
            all.push(ViewOf { name: format!("{stream}_{i}"), stream, features: features.collect(), is_new });
        }
    }
    all
}

/// A feature of the shop as one of Complete Journey's, where nothing is returned and nobody is from abroad.
fn journey(feature: &str, windows: &[(&str, &str)]) -> Value {
    let mut feature: Value = serde_json::from_str(feature).unwrap();
    if let Some((_, other)) = windows.iter().find(|(from, _)| feature["window"] == *from) {
        feature["window"] = (*other).into();
    }
    if let Some(filter) = feature["where"].as_str() {
        let other = match filter {
            "quantity < 0" => "quantity > 1",
            "not country == 'United Kingdom'" => "not country == '367'",
            other => other,
        };
        feature["where"] = other.into();
    }
    feature
}
