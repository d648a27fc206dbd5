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

/// (view, its features).
pub fn views() -> [(&'static str, Vec<Value>); 2] {
    [("shop", read(&SHOP)), ("taps", read(&TAPS))]
}

fn read(features: &[&str]) -> Vec<Value> {
    features.iter().map(|feature| serde_json::from_str(feature).unwrap()).collect()
}

/// `view.feature`, all of them.
pub fn names() -> Vec<String> {
    let all = views();
    let names = |(view, features): &(&str, Vec<Value>)| -> Vec<String> {
        features.iter().map(|feature| format!("{view}.{}", feature["name"].as_str().unwrap())).collect()
    };
    all.iter().flat_map(names).collect()
}
