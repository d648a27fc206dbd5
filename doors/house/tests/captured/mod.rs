//! A project that captures, and what its journal then holds.

use std::collections::BTreeMap;
use std::path::Path;

use event::{Partition, Position};
use house::{House, Project};
use serde_json::Value;

use super::postgres::{PASSWORD, Server};

/// Tables, and triggers that write down every change in the same transaction: the independent count.
pub const SQL: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, total numeric(9,2) NOT NULL, note text);
    CREATE TABLE audit (n bigserial PRIMARY KEY, op text NOT NULL, id bigint NOT NULL);
    CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO audit (op, id) VALUES (lower(TG_OP), CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END);
      RETURN NULL; END $$;
    CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION write_down();
    ALTER TABLE orders OWNER TO capture; ALTER TABLE audit OWNER TO capture;
    GRANT ALL ON SCHEMA public TO capture";

const MARKS: &str = "
      - {name: op, logicalType: string, required: true, classification: internal, customProperties: [{property: source, value: __op}]}
      - {name: lsn, logicalType: integer, required: true, classification: internal, customProperties: [{property: source, value: __lsn}]}
      - {name: seq, logicalType: integer, required: true, classification: internal, customProperties: [{property: source, value: __seq}]}
";

const ORDER: &str = "
      - {name: customer, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
      - {name: total, logicalType: number, required: true, classification: internal, logicalTypeOptions: {minimum: 0}}
      - {name: note, logicalType: string, classification: internal}
";

fn contract(name: &str, key: &str, fields: &str, subject: &str) -> String {
    let fields: String = fields.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("{l}\n")).collect();
    let marks: String = MARKS.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("{l}\n")).collect();
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\nstatus: active\n\
         team:\n  name: shop\n  members:\n    - {{username: ada, role: Owner}}\n\
         schema:\n  - name: {name}\n    logicalType: object\n    properties:\n\
         \x20     - {{name: {key}, logicalType: integer, required: true, primaryKey: true, classification: internal}}\n\
         {fields}{marks}\
         customProperties:\n  - {{property: subjectKey, value: [{subject}]}}\n  - {{property: retention, value: 9y}}\n\
         \x20 - {{property: purposes, value: [{{name: fulfilment, basis: contract}}]}}\n"
    )
}

/// Writes a project that captures `server`; `more` goes below the capture's settings.
pub fn write(dir: &Path, server: &Server, more: &str) {
    let put = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("password", PASSWORD);
    put("contracts/orders.yaml", &contract("orders", "id", ORDER, "customer"));
    put("contracts/orders_gone.yaml", &contract("orders_gone", "id", "", "none"));
    let op = "      - {name: what, logicalType: string, required: true, classification: internal, \
              customProperties: [{property: source, value: /op}]}\n";
    put("contracts/audit.yaml", &contract("audit", "n", op, "none"));
    settings(dir, server, more);
}

/// The settings alone.
pub fn settings(dir: &Path, server: &Server, more: &str) {
    let text = format!(
        "[instance]\npartitions = 3\n[purposes.fulfilment]\nbasis = \"contract\"\n[captures.shop]\n\
         address = \"{}\"\npassword = \"file:password\"\n\
         tables = {{ \"public.orders\" = \"orders\", \"public.audit\" = \"audit\" }}\n\
         deletes = {{ \"public.orders\" = \"orders_gone\" }}\n{more}",
        server.address()
    );
    std::fs::write(dir.join("maschinenraum.toml"), text).unwrap();
}

/// Opens a project; what is wrong with it is said whole.
pub fn open(dir: &Path) -> House {
    let (_, findings) = Project::read(dir).unwrap();
    let broken: Vec<String> = findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    House::open(Project::load(dir).unwrap()).unwrap()
}

/// One captured row, as it lies in the journal.
#[derive(Clone, Debug)]
pub struct Row {
    pub stream: String,
    pub document: Value,
    pub source: Option<String>,
}

impl Row {
    pub fn text(&self, name: &str) -> &str {
        self.document.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.document.get(name).and_then(Value::as_i64).unwrap_or(i64::MIN)
    }
}

/// Every record of a project's streams in the journal, quarantine included, in the order of the database's log. Each id
/// is there once.
pub fn rows(house: &House) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut ids = BTreeMap::new();
    for partition in 0..house.n_partitions() {
        let partition = Partition(partition);
        let end = house.engine().journal().end(partition);
        let mut tail = house.engine().journal().tail(partition, Position(0));
        let mut next = Position(0);
        while next < end {
            for (position, record) in tail.next(1_000, None).unwrap() {
                next = Position(position.0 + 1);
                let stream = record.stream.to_string();
                if stream.starts_with("mr.") && stream != "mr.quarantine" {
                    continue;
                }
                let twice = ids.insert(record.id, stream.clone());
                assert!(twice.is_none(), "{stream} holds {} twice", record.id);
                let document = intake::raw(house.vault(), &record).unwrap();
                let source = record.source.as_ref().map(ToString::to_string);
                rows.push(Row { stream, document, source });
            }
        }
    }
    rows.sort_by_key(|row| (row.number("__lsn"), row.text("__op") != "snapshot", row.number("__seq")));
    rows
}
