//! A small shop with people to erase, and a search of every byte it leaves on the disk.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod blocks;
pub mod learning;

use std::path::Path;
use std::sync::{Arc, mpsc};

use house::{House, Identifier, Project};
use intake::segment::Endpoint;
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};

const SETTINGS: &str = r#"
[instance]
partitions = PARTITIONS
[state]
commit_every_ms = 20
[purposes.service]
basis = "contract"
[purposes.marketing]
basis = "consent"
"#;

const PURPOSES: &str =
    "{property: purposes, value: [{name: service, basis: contract}, {name: marketing, basis: consent}]}";

const ORDERS: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: total_cents, logicalType: integer, required: true, classification: internal, logicalTypeOptions: {minimum: 0}}
      - {name: note, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: device, logicalType: string, classification: personal, customProperties: [{property: source, value: /anonymousId}, {property: identifier, value: anonymous_id}]}
customProperties:
  - {property: source, value: ["track:Order Completed"]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id, device]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - PURPOSES
"#;

const PEOPLE: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    logicalType: object
    properties:
      - {name: email, logicalType: string, classification: personal, customProperties: [{property: identifier, value: email}]}
      - {name: name, logicalType: string, classification: personal}
      - {name: phone, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [identify]}
  - {property: owner, value: Ada}
  - {property: traits, value: true}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - PURPOSES
"#;

const FILE: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: visit_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: page, logicalType: string, classification: internal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [visit_id]}
  - {property: retention, value: 3y}
  - PURPOSES
"#;

const VIEWS: [(&str, &str); 2] = [
    (
        "orders",
        "view: orders\nversion: 1\nstream: orders\npurposes: [service, marketing]\nfeatures:\n  - {name: n_30d, agg: count, window: 30d}\n  - {name: last_note, agg: last, of: note}\n",
    ),
    (
        "visits",
        "view: visits\nversion: 1\nstream: visits\npurposes: [service, marketing]\nfeatures:\n  - {name: n, agg: count}\n",
    ),
];

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n_30d, orders.last_note]}
outputs: [action]
sources: [orders]
purpose: service
legal_basis: contract
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 10 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 3, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, purpose: service, score: 0.5}
";

/// What nobody may find again, of the person who is erased.
pub const PLANTED: [&str; 4] = [
    "zoe.planted@example.test",
    "Zoë Zzyzxova",
    "+49 170 99887766",
    "the canary sang at the harbour at midnight",
];

pub fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub fn project(dir: &Path, partitions: u16) {
    write(dir, "maschinenraum.toml", &SETTINGS.replace("PARTITIONS", &partitions.to_string()));
    for (name, contract) in [("orders", ORDERS), ("people", PEOPLE), ("visits", FILE)] {
        write(dir, &format!("contracts/{name}.yaml"), &contract.replace("PURPOSES", PURPOSES));
    }
    for (name, view) in VIEWS {
        write(dir, &format!("features/{name}.yaml"), view);
    }
    write(dir, "usecases/next.yaml", USE_CASE);
    write(dir, "goldsets/next.jsonl", "");
    let (_, findings) = Project::read(dir).unwrap();
    let errors: Vec<String> = findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

pub fn open(dir: &Path) -> Result<Arc<House>, house::Error> {
    House::open(Project::load(dir).unwrap()).map(Arc::new)
}

pub fn all() -> Principal {
    Principal::new("test", Scope::ALL)
}

pub fn id(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.into(), value: value.into() }
}

pub fn user(value: &str) -> Identifier {
    id("user_id", value)
}

pub fn track(house: &Arc<House>, calls: &[Value]) -> Result<house::TrackReport, house::Error> {
    let (send, receive) = mpsc::channel();
    let body = serde_json::to_vec(&json!({ "batch": calls })).unwrap();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    receive.recv().unwrap()
}

pub fn order(n: u32, user: &str, device: &str, cents: i32, note: &str) -> Value {
    json!({"type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": user, "anonymousId": device,
        "properties": {"order_id": format!("o{n}"), "total_cents": cents, "note": note, "undeclared": note}})
}

pub fn identify(user: &str, email: &str, name: &str, phone: &str) -> Value {
    json!({"type": "identify", "messageId": format!("i{user}"), "userId": user,
        "traits": {"email": email, "name": name, "phone": phone, "hobby": name}})
}

/// Zoe, who will be erased, and her neighbours; decisions for all, one refused record of each.
pub fn people(house: &Arc<House>) {
    let [email, name, phone, text] = PLANTED;
    let mut calls = vec![identify("zoe", email, name, phone), order(0, "zoe", "dz", 1_000, text)];
    // Refused: kept whole, sealed.
    calls.push(order(1, "zoe", "dz", -1, text));
    for (n, who) in neighbours().enumerate() {
        let n = 10 * (n as u32 + 1);
        calls.push(identify(&who, &format!("{who}@example.test"), &format!("Name {who}"), "+49 30 1234"));
        calls.push(order(n, &who, &format!("d-{who}"), 2_000, "a note of no interest"));
        calls.push(order(n + 1, &who, &format!("d-{who}"), -1, "refused"));
    }
    track(house, &calls).unwrap();
    for who in neighbours().chain(["zoe".to_owned()]) {
        house.consent(&user(&who), "marketing", Status::Granted, "2026-01", "form", None).unwrap();
        while house.do_chores().unwrap() > 0 {}
        house.decide(&all(), "next", &user(&who), &Map::new()).unwrap();
    }
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
}

pub fn neighbours() -> impl Iterator<Item = String> {
    (0..12).map(|n| format!("n{n}"))
}

/// What is seen of somebody: traits and features, as text.
pub fn seen(house: &Arc<House>, who: &str) -> String {
    let profile = house.profile(&all(), &user(who), "service").unwrap();
    let (_, values) =
        house.features(&all(), &user(who), "service", &["orders".into(), "visits".into()]).unwrap();
    let values: Vec<String> =
        values.iter().flat_map(|v| v.iter()).map(|(f, v)| format!("{}={v:?}", f.name())).collect();
    format!("{} {}", serde_json::to_string(&profile.traits).unwrap(), values.join(" "))
}

pub fn neighbours_are_there(house: &Arc<House>) {
    for who in neighbours() {
        let seen = seen(house, &who);
        assert!(
            seen.contains(&format!("{who}@example.test")) && seen.contains("no interest"),
            "{who}: {seen}"
        );
    }
    let refused = house.quarantine(None, 100).unwrap();
    assert_eq!(refused.len(), 12, "neighbours' refused records");
}

/// Nobody finds Zoe: not in what is read, not in what is folded anew, not in any byte.
pub fn zoe_is_nowhere(house: &Arc<House>) {
    let seen = seen(house, "zoe");
    assert!(PLANTED.iter().all(|planted| !seen.contains(planted)), "{seen}");
    assert!(seen.contains("n_30d=Integer(0)") || !seen.contains("n_30d=Integer(1)"), "{seen}");
    let zoe = house.subject(&user("zoe")).unwrap();
    assert_eq!(house.members(zoe).unwrap().subjects, [zoe]);
    assert!(house.quarantine(None, 100).unwrap().iter().all(|(_, refused)| refused.subject != zoe));
    let verdict = house.verify(|_| {}).unwrap();
    assert!(verdict.holds(), "{verdict:?}");
}

/// Every way a text may lie on a disk without being sealed.
pub fn disguises(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let mut all = vec![
        ("plain", text.as_bytes().to_vec()),
        ("JSON", serde_json::to_string(text).unwrap().trim_matches('"').as_bytes().to_vec()),
        ("UTF-16 LE", utf16(u16::to_le_bytes)),
        ("UTF-16 BE", utf16(u16::to_be_bytes)),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
    ];
    // Base64 looks different at each of three places; what is the same wherever it begins is its middle.
    for shift in 0..3 {
        let padded = [&vec![0; shift][..], text.as_bytes()].concat();
        let whole = base64(&padded);
        all.push(("base64", whole.as_bytes()[4..whole.len() - 4].to_vec()));
    }
    all
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { digit as char } else { '=' });
        }
    }
    out
}

/// What was searched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Searched {
    pub n_files: usize,
    /// Compressed blocks and values of the databases, searched once more as what they are.
    pub n_blocks: usize,
}

impl std::ops::AddAssign for Searched {
    fn add_assign(&mut self, other: Self) {
        self.n_files += other.n_files;
        self.n_blocks += other.n_blocks;
    }
}

/// Looks into every file below `dir`, and into what lies compressed in it.
pub fn search(dir: &Path) -> Searched {
    let needles: Vec<_> =
        PLANTED.iter().flat_map(|text| disguises(text).into_iter().map(move |d| (*text, d))).collect();
    let (searched, found) = find(dir, &needles);
    assert!(found.is_none(), "{found:?}");
    searched
}

/// A text, how it is disguised, and the bytes of that.
pub type Needle<'t> = (&'t str, (&'static str, Vec<u8>));

/// As [`search`]: what was searched, and the first thing that was found.
pub fn find(dir: &Path, needles: &[Needle<'_>]) -> (Searched, Option<String>) {
    let mut begins = vec![false; 1 << 16];
    for (_, (_, needle)) in needles {
        begins[usize::from(needle[0]) << 8 | usize::from(needle[1])] = true;
    }
    // One pass: most bytes begin none of them.
    let look = |bytes: &[u8]| {
        let starts = bytes.windows(2).enumerate();
        let mut starts = starts.filter(|(_, pair)| begins[usize::from(pair[0]) << 8 | usize::from(pair[1])]);
        starts.find_map(|(at, _)| needles.iter().find(|(_, (_, needle))| bytes[at..].starts_with(needle)))
    };
    let (mut searched, mut found, mut open) = (Searched::default(), None, vec![dir.to_path_buf()]);
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            searched.n_files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let undone = blocks::undone(&bytes);
            searched.n_blocks += undone.len();
            for bytes in std::iter::once(&bytes).chain(&undone) {
                if let (None, Some((text, (disguise, _)))) = (&found, look(bytes)) {
                    found = Some(format!("`{text}` as {disguise} lies in {}", path.display()));
                }
            }
        }
    }
    (searched, found)
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
