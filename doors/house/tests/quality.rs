//! Quality as it is folded: the same for any number of partitions, blind to what is sealed, and adding up through
//! quarantine and its mending.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use house::{House, Project, QualityAsked, Replayed, Which};
use serde_json::Value;
use watch::{By, Metric, Report};

const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: VERSION
status: active
schema:
  - name: orders
    logicalType: object
    relationships: [{type: foreignKey, from: [orders.product, orders.kind], to: [products.sku, products.kind]}]
    properties:
      - {name: id, logicalType: string, required: true, unique: true, classification: internal}
      - {name: kind, logicalType: string, classification: internal, logicalTypeOptions: {pattern: 'PATTERN'}}
      - {name: total, logicalType: number, classification: internal}
      - name: product
        logicalType: string
        classification: internal
        relationships: [{type: foreignKey, to: products.sku}]
      - {name: at, logicalType: timestamp, required: true, classification: internal}
      - {name: email, logicalType: string, classification: personal, customProperties: [{property: identifier, value: email}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [email, none]}
  - {property: eventTime, value: at}
  - {property: knownAt, value: at}
  - {property: liveSince, value: '2026-11-01'}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: marketing, basis: consent}]}
";

const PRODUCTS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: products
name: products
version: 1.0.0
status: active
schema:
  - name: products
    logicalType: object
    properties:
      - {name: sku, logicalType: string, required: true, primaryKey: true, classification: public}
      - {name: kind, logicalType: string, classification: public}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKind, value: product}
  - {property: subjectKey, value: none}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: stock, basis: not_personal}]}
";

fn contract(version: &str, pattern: &str) -> String {
    CONTRACT.replace("VERSION", version).replace("PATTERN", pattern)
}

fn project(dir: &Path, partitions: u16, contract: &str) -> Arc<House> {
    std::fs::create_dir_all(dir.join("contracts")).unwrap();
    let settings = format!(
        "[instance]\npartitions = {partitions}\n[state]\ncommit_every_ms = 20\n[purposes.marketing]\nbasis = \"consent\"\n[purposes.stock]\nbasis = \"not_personal\"\n"
    );
    std::fs::write(dir.join("maschinenraum.toml"), settings).unwrap();
    std::fs::write(dir.join("contracts/orders.yaml"), contract).unwrap();
    std::fs::write(dir.join("contracts/products.yaml"), PRODUCTS).unwrap();
    Arc::new(House::open(Project::load(dir).unwrap()).unwrap())
}

/// Sixty days; from the 41st on every fifth total is missing, and a kind appears that never was before.
fn rows() -> String {
    let mut csv = "id,kind,total,product,at,email\n".to_owned();
    for i in 0..6_000_u32 {
        let day = i / 100;
        let kind = match (day >= 40, i % 10) {
            (true, 3) => "gift",
            (_, 7) => "C-9",
            (_, n) if n % 2 == 0 => "sale",
            _ => "rent",
        };
        let total = if day >= 40 && i % 5 == 0 { String::new() } else { format!("{}.50", i % 90) };
        let email = if i % 4 == 0 { String::new() } else { format!("p{}@secret.example", i % 500) };
        let product = format!("sku-{}", i % 20);
        let date = By::Day.label(20_454 + i32::try_from(day).unwrap());
        writeln!(csv, "o{i},{kind},{total},{product},{date}T10:00:00Z,{email}").unwrap();
    }
    // A row that repeats another.
    csv.push_str("o1,rent,1.50,sku-1,2026-01-01T10:00:00Z,p1@secret.example\n");
    csv
}

fn import(house: &Arc<House>, dir: &Path) {
    std::fs::write(dir.join("orders.csv"), rows()).unwrap();
    std::fs::write(
        dir.join("products.csv"),
        // Even products are sold, the others rented; nothing is said of the third.
        (0..18).fold("sku,kind\n".to_owned(), |csv, i| {
            let kind = match i {
                3 => "",
                _ if i % 2 == 0 => "sale",
                _ => "rent",
            };
            csv + &format!("sku-{i},{kind}\n")
        }),
    )
    .unwrap();
    house.import(&dir.join("orders.csv"), "orders", |_| {}).unwrap();
    house.import(&dir.join("products.csv"), "products", |_| {}).unwrap();
}

fn report(house: &House, by: By) -> Report {
    house.quality(&QualityAsked { by, ..QualityAsked::default() }).unwrap()
}

/// Without what depends on the clock.
fn timeless(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    for stream in value["streams"].as_array_mut().unwrap() {
        let dimensions = stream["dimensions"].as_array_mut().unwrap();
        dimensions.retain(|one| one["name"] != "timeliness");
    }
    value
}

#[test]
fn partitions_and_replay_change_nothing_and_no_sealed_value_is_seen() {
    let mut said = Vec::new();
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        let house = project(dir.path(), partitions, &contract("1.0.0", "^[a-z]+$"));
        import(&house, dir.path());
        let live = timeless(&report(&house, By::Week));
        assert!(house.verify(|_| {}).unwrap().holds());
        house.close();
        drop(house);
        house::rebuild_state(dir.path()).unwrap();
        let house = Arc::new(House::open(Project::load(dir.path()).unwrap()).unwrap());
        assert_eq!(timeless(&report(&house, By::Week)), live, "replay = live (LAW 2)");
        house.close();
        assert!(!live.to_string().contains("secret"), "LAW 4: presence only");
        said.push(live);
    }
    assert_eq!(said[0], said[1], "LAW 2: any number of partitions");
    let orders = &said[0]["streams"][0];
    assert_eq!(
        (&orders["n_accepted"], &orders["n_refused"], &orders["n_repeated"]),
        (&5_400.into(), &600.into(), &1.into())
    );
    let email = orders["fields"].as_array().unwrap().iter().find(|f| f["field"] == "email").unwrap();
    assert_eq!((&email["sealed"], &email["n_distinct"]), (&true.into(), &Value::Null));
}

#[test]
fn what_changed_first_is_said_first_and_relations_are_held() {
    let dir = tempfile::tempdir().unwrap();
    let house = project(dir.path(), 3, &contract("1.0.0", "^[a-z]+$"));
    import(&house, dir.path());
    let report = report(&house, By::Day);
    let first = &report.changes[0];
    assert_eq!(
        (first.metric, first.field.as_deref(), first.since.as_str()),
        (Metric::NewValue, Some("kind"), "2026-02-10")
    );
    assert_eq!((first.until.as_str(), first.n), ("2026-03-01", 200), "{}", first.message);
    assert!(first.message.contains("`gift`") && first.message.contains("200 of 1,800"), "{}", first.message);
    let second = &report.changes[1];
    assert_eq!((second.metric, second.field.as_deref(), second.gravity), (Metric::Missing, Some("total"), 2));
    let of_field = |name: &str| report.changes.iter().find(|change| change.field.as_deref() == Some(name));
    let orphans = of_field("product").unwrap();
    assert_eq!(orphans.metric, Metric::Orphans);
    // Products 7 and 17 come in refused orders only.
    assert_eq!((orphans.n, orphans.of), (2, 18), "{}", orphans.message);
    // Of 20 products 7 and 17 come in refused orders only; 18 and 19 are unknown; 3 has no kind there; 3 and 13 are sold as
    // gifts too, which no product is.
    let both = report.relations.iter().find(|one| one.from == "orders.product+kind").unwrap();
    assert_eq!((both.to.as_str(), both.n_compared, both.n_orphans), ("products.sku+kind", 20, 5), "{both:?}");
    assert!(both.exact && both.not_judged.is_none(), "{both:?}");
    let told = of_field("product+kind").unwrap();
    assert_eq!((told.metric, told.n, told.of), (Metric::Orphans, 5, 20), "{}", told.message);
    house.close();
}

#[test]
fn a_mended_contract_takes_in_what_waits_and_the_counts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let house = project(dir.path(), 3, &contract("1.0.0", "^[a-z]+$"));
    import(&house, dir.path());
    let totals = house.quarantine_totals().unwrap();
    assert_eq!((totals["orders"].refused, totals["orders"].waiting, totals["orders"].mended), (600, 600, 0));
    assert_eq!(totals["orders"].by_reason["MR1007 kind"], 600);
    let sample = house.sample_quarantine(&Which::default(), 5).unwrap();
    assert_eq!(sample.len(), 5);
    let ids: Vec<_> = sample.iter().map(|(id, _)| *id).collect();
    for shown in house.show_refused(&ids).unwrap() {
        let open = shown.open.unwrap();
        assert_eq!(open["kind"], "C-9");
        assert!(open.get("email").is_none() && !open.to_string().contains("secret"), "LAW 3: {open}");
    }
    assert!(house.show_refused(&[event::RecordId::external("x", b"y")]).is_err());
    house.close();
    drop(house);

    let house = project(dir.path(), 3, &contract("1.1.0", "^[a-zA-Z0-9-]+$"));
    let which = Which { stream: Some("orders".into()), code: Some("MR1007".into()), ..Which::default() };
    let tried = house.replay_quarantine(&which, true).unwrap();
    let want = Replayed { n_judged: 600, n_accepted: 600, ..Replayed::default() };
    assert_eq!(tried, want);
    assert_eq!(house.quarantine_totals().unwrap()["orders"].waiting, 600, "a test writes nothing");
    assert_eq!(house.replay_quarantine(&which, false).unwrap(), want);
    assert_eq!(house.replay_quarantine(&which, false).unwrap(), Replayed::default(), "once is enough");
    let totals = house.quarantine_totals().unwrap();
    assert_eq!((totals["orders"].refused, totals["orders"].waiting, totals["orders"].mended), (600, 0, 600));
    let report = report(&house, By::Month);
    let orders = &report.streams[0];
    assert_eq!(
        (orders.n_accepted, orders.n_refused, orders.n_mended, orders.n_arrived),
        (6_000, 600, 600, 6_001)
    );
    assert_eq!(house.streams().unwrap()["orders"].n_records, 6_000, "an independent count");
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
}

#[test]
fn an_import_that_is_taken_back_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let house = project(dir.path(), 2, &contract("1.0.0", "^[a-z]+$"));
    import(&house, dir.path());
    let batch = house.imports().unwrap().into_iter().find(|(_, import)| import.stream == "orders").unwrap().0;
    Arc::try_unwrap(house).ok().unwrap().undo_import(batch, "ada").unwrap();
    let house = Arc::new(House::open(Project::load(dir.path()).unwrap()).unwrap());
    let report = report(&house, By::Day);
    assert!(report.streams.iter().all(|stream| stream.stream != "orders"), "{:?}", report.streams);
    house.close();
}

#[test]
fn an_unknown_stream_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let house = project(dir.path(), 1, &contract("1.0.0", "^[a-z]+$"));
    let error = house
        .quality(&QualityAsked { stream: Some("ordres".into()), ..QualityAsked::default() })
        .unwrap_err();
    assert!(error.to_string().contains("ordres"), "{error}");
    house.close();
}
