//! The client against a real server: log-in, looks, slots, copies, streams, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

mod postgres;

use std::sync::Arc;
use std::time::{Duration, Instant};

use capture::{
    Address, Assembler, Change, Client, Error, Feed, Login, Lsn, Step, Tls, Told, copied, copy_tables,
};
use postgres::{PASSWORD, Server};
use serde_json::{Value, json};

const TABLES: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, email text, total numeric(9,2), tags text[], \
    placed timestamptz, note text); ALTER TABLE orders OWNER TO capture; \
    CREATE TABLE whole (id int PRIMARY KEY, note text); ALTER TABLE whole REPLICA IDENTITY FULL; \
    ALTER TABLE whole OWNER TO capture";

fn login(server: &Server) -> Login {
    let address = Address::parse(&server.address()).unwrap();
    Login { address, password: Some(PASSWORD.to_owned().into()), tls: Tls::Off }
}

/// Takes what comes until `n` changes are there.
fn take(feed: &mut Feed, n: usize) -> (Vec<Change>, Vec<Step>, Lsn) {
    let mut assembler = Assembler::new(["public.orders".to_owned(), "public.whole".to_owned()]);
    let (mut changes, mut steps, mut end) = (Vec::new(), Vec::new(), Lsn(0));
    let until = Instant::now() + Duration::from_secs(20);
    while (changes.len() < n || assembler.is_inside()) && Instant::now() < until {
        if let Told::Message(message) = feed.next(Duration::from_millis(50)).unwrap() {
            match assembler.take(&message).unwrap() {
                Step::Change(change) => changes.push(*change),
                Step::Changes(more) => changes.extend(more),
                Step::Committed { end: at, .. } => end = at,
                step => steps.push(step),
            }
        }
    }
    assert_eq!(changes.len(), n, "{changes:?}");
    (changes, steps, end)
}

#[test]
fn a_changing_table_is_copied_and_streamed_the_same_each_time() {
    let Some(server) = Server::start("capture of a live server", &[]) else { return };
    server.sql(TABLES);
    server.sql("INSERT INTO orders VALUES (1, 'a@example.org', 12.50, '{a,\"b c\"}', '2026-01-31 12:00+01', E'tab\\there'), \
        (2, NULL, NULL, NULL, NULL, '\\N')");
    let names = ["public.orders".to_owned(), "public.whole".to_owned()];
    let mut client = Client::connect(&login(&server), true).unwrap();
    let system = client.system().unwrap();
    assert!(system.is_logical && system.database == "postgres" && system.version >= 120_000, "{system:?}");
    let tables = client.tables("p", &names, system.version).unwrap();
    assert!(tables.iter().all(|table| table.names_rows && table.is_readable && !table.is_partitioned));
    client.publish("p", &tables).unwrap();
    client.publish("p", &tables).unwrap();
    assert_eq!(client.slot("s").unwrap(), None);
    let slot = client.make_slot("s").unwrap();
    // Behind the snapshot: in the stream, not in the copy.
    server.sql("INSERT INTO orders VALUES (3)");
    let mut reader = Client::connect(&login(&server), false).unwrap();
    let mut rows = Vec::new();
    copy_tables(&mut reader, &slot, &tables, |number, line| {
        let table = Arc::new(tables[number].table.clone());
        rows.push(
            copied(&table, line, slot.from, rows.len() as u64, event::Instant::from_micros(0)).document,
        );
        Ok::<(), Error>(())
    })
    .unwrap();
    reader.close();
    let mut expected = json!({"id": 1, "email": "a@example.org", "total": 12.5, "tags": ["a", "b c"],
        "placed": "2026-01-31T11:00:00Z", "note": "tab\there", "__op": "snapshot", "__table": "public.orders",
        "__lsn": slot.from.0, "__seq": 0, "__at": "1970-01-01T00:00:00Z"});
    assert_eq!(rows[0], expected);
    assert_eq!((rows.len(), &rows[1]["note"], &rows[1]["email"]), (2, &json!("\\N"), &Value::Null));

    let mut feed = Feed::start(client, "s", "p", slot.from).unwrap();
    server.sql(
        "BEGIN; UPDATE orders SET total = 13 WHERE id = 1; UPDATE orders SET id = 4 WHERE id = 2; COMMIT",
    );
    server.sql("DELETE FROM orders WHERE id = 3");
    server
        .sql("INSERT INTO whole VALUES (1, repeat('x', 10)); UPDATE whole SET note = 'y'; DELETE FROM whole");
    server.sql("TRUNCATE orders, whole");
    let (first, _, _) = take(&mut feed, 9);
    // Nothing was confirmed: another connection is told the same, under the same names.
    feed.close();
    let client = Client::connect(&login(&server), true).unwrap();
    let mut feed = loop {
        // The server may not have missed the last reader yet.
        let client = Client::connect(&login(&server), true).unwrap();
        match Feed::start(client, "s", "p", slot.from) {
            Ok(feed) => break feed,
            Err(error) => assert!(error.retry_helps(), "{error}"),
        }
    };
    client.close();
    let (again, _, end) = take(&mut feed, 9);
    assert_eq!(first, again);
    let keys: Vec<String> = first.iter().map(Change::key).collect();
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len(), "{keys:?}");
    let ops: Vec<&str> = first.iter().map(|change| change.op.as_str()).collect();
    assert_eq!(
        ops,
        ["insert", "update", "update", "delete", "insert", "update", "delete", "truncate", "truncate"]
    );
    expected = first[2].document["__before"].clone();
    assert_eq!(expected, json!({"id": 2}));
    assert_eq!(first[5].document["__before"], json!({"id": 1, "note": "xxxxxxxxxx"}));
    assert_eq!(first[6].document["note"], json!("y"));
    assert_eq!((first[1].seq, first[2].seq), (0, 1));

    // What is confirmed is not told again, and the server lets go of it.
    feed.confirm(end).unwrap();
    server.sql(
        "ALTER TABLE orders ADD COLUMN channel text; INSERT INTO orders (id, channel) VALUES (9, 'web')",
    );
    let (after, steps, _) = take(&mut feed, 1);
    assert_eq!(after[0].document["channel"], json!("web"));
    let told = steps.iter().any(|step| matches!(step, Step::Table(table) if table.columns.len() == 7));
    assert!(told, "{steps:?}");
    feed.close();
    let until = Instant::now() + Duration::from_secs(10);
    let mut client = Client::connect(&login(&server), true).unwrap();
    while client.slot("s").unwrap().unwrap().is_active && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let stands = client.slot("s").unwrap().unwrap();
    assert!(stands.confirmed >= Some(end) && !stands.is_lost, "{stands:?}");
    client.drop_slot("s").unwrap();
    client.drop_slot("s").unwrap();
    client.unpublish("p").unwrap();
    assert_eq!(client.slot("s").unwrap(), None);
}

#[test]
fn tls_is_verified_or_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let mut command = std::process::Command::new("openssl");
        command.args(line.split(' ')).current_dir(dir.path()).stderr(std::process::Stdio::null()).status()
    };
    if openssl("version").is_err() {
        eprintln!("SKIPPED TLS towards a database: openssl is not installed");
        return;
    }
    std::fs::write(dir.path().join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san",
    ] {
        assert!(openssl(line).unwrap().success(), "{line}");
    }
    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let Some(mut server) = Server::start("TLS towards a database", &[]) else { return };
    server.stop();
    let (key, certificate) =
        (server.give("server.key", &text("server.key")), server.give("server.pem", &text("server.pem")));
    server.set("ssl=on");
    server.set(&format!("ssl_key_file={}", key.display()));
    server.set(&format!("ssl_cert_file={}", certificate.display()));
    server.go();
    let mut login = login(&server);
    let reach = |login: &Login| Client::connect(login, true).and_then(|mut client| client.system());
    login.address.host = "localhost".to_owned();
    login.tls = Tls::Verified { authorities: Some(text("ca.pem").into_bytes()) };
    reach(&login).unwrap();
    let sql = "SELECT count(*) FROM pg_stat_ssl WHERE ssl";
    let mut client = Client::connect(&login, false).unwrap();
    assert_ne!(client.query("look", sql).unwrap(), [[Some("0".to_owned())]]);
    // Not by name, not by a public authority, not by a file without one.
    login.address.host = "127.0.0.1".to_owned();
    assert_eq!(reach(&login).unwrap_err().code(), "MR2205");
    login.address.host = "localhost".to_owned();
    for authorities in [None, Some(b"nothing".to_vec())] {
        login.tls = Tls::Verified { authorities };
        let error = reach(&login).unwrap_err();
        assert!(error.code() == "MR2205" && !error.retry_helps(), "{error}");
    }
}

#[test]
fn who_may_not_in_is_told_why() {
    let Some(server) = Server::start("log-in", &[]) else { return };
    let mut wrong = login(&server);
    wrong.password = Some("wrong".to_owned().into());
    let error = Client::connect(&wrong, true).err().unwrap();
    assert_eq!(error.code(), "MR2206", "{error}");
    assert!(!error.to_string().contains("wrong") && !error.retry_helps(), "{error}");
    wrong.password = None;
    let error = Client::connect(&wrong, true).err().unwrap();
    assert!(error.to_string().contains("the settings name none"), "{error}");
    // The socket trusts us without one.
    wrong.address = Address::parse(&server.socket_address()).unwrap();
    let mut client = Client::connect(&wrong, false).unwrap();
    let error = client.query("look", "SELECT * FROM nowhere").unwrap_err();
    assert_eq!(error.code(), "MR2204");
    assert!(error.to_string().contains("(SQLSTATE 42P01)"), "{error}");
    assert_eq!(client.query("look", "SELECT 1, NULL").unwrap(), [[Some("1".to_owned()), None]]);
    let error = client.tables("p", &["public.nowhere".to_owned()], 150_000).unwrap_err();
    assert_eq!(error.code(), "MR2208", "{error}");
    // Nobody there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    wrong.address = Address::parse(&format!("postgres://a@127.0.0.1:{port}/b")).unwrap();
    let error = Client::connect(&wrong, true).err().unwrap();
    assert!(error.code() == "MR2203" && error.retry_helps(), "{error}");
    // A server without TLS is not talked to in clear text where TLS was asked for.
    let mut wrong = login(&server);
    wrong.tls = Tls::Verified { authorities: None };
    let error = Client::connect(&wrong, true).err().unwrap();
    assert!(error.code() == "MR2205" && error.to_string().contains("offers none"), "{error}");
}
