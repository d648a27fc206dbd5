//! Online Retail as Parquet: judged column by column it comes to the same as row by row.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use contract::Contract;
use contract::metric::{Judge, Verdict};
use intake::file::{self, Columns};

const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: retail
version: 1.0.0
schema:
  - name: retail
    quality: [{metric: rowCount, mustBe: 240007}]
    properties:
      - {name: InvoiceNo, logicalType: string, required: true, logicalTypeOptions: {pattern: '^[0-9]{6}$'}, quality: [{metric: duplicateValues, mustBe: 0}]}
      - {name: StockCode, logicalType: string, required: true, logicalTypeOptions: {minLength: 5, maxLength: 6}}
      - {name: Description, logicalType: string, quality: [{metric: nullValues, mustBe: 901}, {metric: missingValues, arguments: {missingValues: ['?', damaged]}, mustBeLessThan: 900}]}
      - {name: Quantity, logicalType: integer, logicalTypeOptions: {minimum: 1}}
      - {name: UnitPrice, logicalType: number, logicalTypeOptions: {minimum: 0.001, maximum: 1000}, quality: [{metric: duplicateValues, mustBe: 0}]}
      - {name: CustomerID, logicalType: integer, quality: [{metric: nullValues, mustBeLessThan: 30, unit: percent}]}
      - {name: Country, logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [United Kingdom, Germany, France, EIRE]}, mustBe: 0}]}
customProperties: [{property: subjectKey, value: none}]
";

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED {name}: no data");
    None
}

#[test]
fn online_retail_by_columns_is_online_retail_by_rows() {
    let Some(path) = data("decide/online_retail_uci_240k_invoice.parquet") else { return };
    let contract = Contract::parse(CONTRACT, "retail.yaml").unwrap().contract;

    let mut judge = Judge::new(&contract);
    let (mut refused, mut n_refused) = (BTreeMap::<(String, String), u64>::new(), 0_u64);
    for row in file::inspect(&path, |_| {}).unwrap().rows(0).unwrap() {
        let raw = row.unwrap().raw;
        let bound = contract.bind(&raw);
        judge.take(&bound);
        let found = contract.judge(&raw, &bound);
        let why: BTreeSet<_> = found
            .iter()
            .filter(|one| one.is_error())
            .map(|one| (one.code.to_owned(), one.field.clone().unwrap()))
            .collect();
        n_refused += u64::from(!why.is_empty());
        why.into_iter().for_each(|why| *refused.entry(why).or_default() += 1);
    }

    let columns = Columns::open(&path).unwrap().unwrap();
    assert_eq!(columns.n_rows(), 240_007);
    assert_eq!(columns.kind("nothing"), None);
    let judges = contract.column_judges(|name| columns.kind(name), 240_007).unwrap();
    let (mut counts, mut by_column, mut bad) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for (name, mut judge) in judges {
        assert!(columns.visit(&name, &mut |at, n, there, values| judge.take(at, n, there, values)).unwrap());
        counts.extend(judge.told.counts);
        judge.told.refused.into_iter().for_each(|(why, n)| *by_column.entry(why).or_default() += n);
        bad.extend(judge.told.bad_rows);
    }
    assert_eq!((by_column, bad.len() as u64), (refused, n_refused));
    let told: Vec<Verdict> = judge.verdicts();
    assert_eq!(told[0].figure, Some(240_007.0));
    for (at, verdict) in told.iter().enumerate().skip(1) {
        let mine = Verdict::of(&contract.rules[at], contract.version, counts[&at], 240_007);
        assert_eq!(mine, *verdict);
    }
    // As pandas counts it.
    let figure = |rule: &str| told.iter().find(|one| one.rule == rule).unwrap().figure;
    assert_eq!(figure("nullValues of `Description`"), Some(901.0));
    assert!(n_refused > 0 && told.iter().any(|one| !one.holds));
}

#[test]
fn what_is_no_parquet_has_no_columns_and_a_torn_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("a.csv");
    std::fs::write(&csv, "a,b\n1,2\n").unwrap();
    assert!(Columns::open(&csv).unwrap().is_none());
    let torn = dir.path().join("torn.parquet");
    std::fs::write(&torn, b"PAR1 and then nothing of it PAR1").unwrap();
    assert!(Columns::open(&torn).is_err());
}
