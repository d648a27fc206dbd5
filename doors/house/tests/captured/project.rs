//! A shop in a database, written to at random, and a project that captures it. Also used, by path, by the workshop.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may stop at the first surprise, and not each uses everything"
)]

use std::path::Path;

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

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    /// From 0 up to, and without, `below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// One transaction of a shop: mostly small, now and then larger than what is appended at once.
pub fn transaction(dice: &mut Dice, next: &mut u64) -> String {
    let mut sql = String::from("BEGIN;");
    match dice.roll(12) {
        0 => {
            let n = 6_000 + dice.roll(3_000);
            sql += &format!(
                "INSERT INTO orders SELECT n, 'c' || n % 50, n % 100, 'bulk' FROM generate_series({next}, {}) n;",
                *next + n - 1
            );
            *next += n;
        }
        1 => sql += "UPDATE orders SET total = total + 1 WHERE id % 97 = 3;",
        2 => sql += &format!("DELETE FROM orders WHERE id % 89 = {};", dice.roll(89)),
        3 => {
            sql +=
                &format!("INSERT INTO orders VALUES ({next}, 'never', 1, 'rolled back'); ROLLBACK; BEGIN;");
        }
        _ => {
            for _ in 0..1 + dice.roll(5) {
                sql += &format!(
                    "INSERT INTO orders VALUES ({next}, 'c{}', {}.25, 'one');",
                    dice.roll(50),
                    dice.roll(90)
                );
                sql += &format!("UPDATE orders SET note = 'again' WHERE id = {};", dice.roll(*next) + 1);
                *next += 1;
            }
        }
    }
    sql + "COMMIT"
}
