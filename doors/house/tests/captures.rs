//! Captures of a real PostgreSQL: both sides killed at random moments, and every change here exactly once by the
//! database's own account; and what stops a capture, said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

mod captured;
#[path = "../../../facts/capture/tests/postgres/mod.rs"]
mod postgres;
#[path = "captured/project.rs"]
mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use captured::{Row, open, rows};
use house::{CaptureStage, CaptureState, House, Until};
use postgres::Server;
use project::{Dice, SQL, settings, transaction, write};

/// Tells this program what to be when it is started as a child.
const PROJECT: &str = "MASCHINENRAUM_CAPTURES_PROJECT";

/// Not a test of its own: what the others start, so that there is something to kill.
#[test]
fn as_a_child() {
    let Ok(dir) = std::env::var(PROJECT) else { return };
    let house = open(Path::new(&dir));
    let stop = AtomicBool::new(false);
    let error = house.capture("shop", Until::Stopped, &stop, &mut |_| {}).err();
    eprintln!("the child ends: {error:?}");
}

fn catch_up(house: &House) -> Result<CaptureState, house::Error> {
    house.capture("shop", Until::CaughtUp, &AtomicBool::new(false), &mut |_| {})
}

/// Holds what is in the journal against what the database says, by three independent counts; what differs.
fn differences(server: &Server, rows: &[Row]) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |holds: bool, what: String| {
        if !holds {
            out.push(what);
        }
    };
    for row in rows {
        differ(row.stream != "mr.quarantine", format!("refused: {row:?}"));
        differ(row.source.as_deref() == Some("shop"), format!("came by another way: {row:?}"));
    }
    // Every line that the triggers wrote is here once.
    let audit: Vec<&Row> = rows.iter().filter(|row| row.stream == "audit").collect();
    let lines: BTreeSet<i64> = audit.iter().map(|row| row.number("n")).collect();
    differ(lines.len() == audit.len(), "a line is here twice".to_owned());
    let n_lines = server.count("SELECT count(*) FROM audit");
    differ(audit.len() as u64 == n_lines, format!("{} of {n_lines} lines are here", audit.len()));
    // What a trigger wrote after the snapshot belongs to a change after the snapshot.
    let mut written: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for row in audit.iter().filter(|row| row.text("__op") == "insert") {
        *written.entry((row.text("op"), row.number("id"))).or_default() += 1;
    }
    let orders = || rows.iter().filter(|row| row.stream.starts_with("orders"));
    for row in orders().filter(|row| row.text("__op") != "snapshot") {
        *written.entry((row.text("__op"), row.number("id"))).or_default() -= 1;
    }
    written.retain(|_, n| *n != 0);
    differ(written.is_empty(), format!("written down, but not told so often: {written:?}"));
    // One after the other they make the table as it is.
    let mut table: BTreeMap<i64, String> = BTreeMap::new();
    for row in orders() {
        let id = row.number("id");
        match row.text("__op") {
            "delete" => differ(table.remove(&id).is_some(), format!("{id} goes and was not there")),
            op => {
                let before = table.insert(id, format!("{id}|{}|{}", row.text("customer"), row.text("note")));
                differ(before.is_some() == (op == "update"), format!("{op} of {id}, which was {before:?}"));
            }
        }
    }
    let now = server.sql("SELECT id || '|' || customer || '|' || note FROM orders ORDER BY id");
    let told: Vec<String> = table.into_values().collect();
    differ(told.join("\n") == now, "the table that they make is another".to_owned());
    out
}

/// The counts find what a worse capture would do: lose a change, tell it twice, tell two in the wrong order.
fn check_planted(server: &Server, rows: &[Row]) {
    let place = |stream: &str, op: &str| {
        let is = |row: &Row| row.stream == stream && row.text("__op") == op;
        rows.iter().position(is).unwrap()
    };
    for (stream, op) in [
        ("orders", "snapshot"),
        ("orders", "insert"),
        ("orders", "update"),
        ("orders_gone", "delete"),
        ("audit", "insert"),
    ] {
        let at = place(stream, op);
        let mut lost = rows.to_vec();
        lost.remove(at);
        assert_ne!(differences(server, &lost), Vec::<String>::new(), "a lost {op} of {stream} is not found");
        let mut twice = rows.to_vec();
        twice.insert(at, rows[at].clone());
        assert_ne!(
            differences(server, &twice),
            Vec::<String>::new(),
            "a second {op} of {stream} is not found"
        );
    }
    let mut turned = rows.to_vec();
    let gone = place("orders_gone", "delete");
    let moved = turned.remove(gone);
    turned.insert(0, moved);
    assert_ne!(differences(server, &turned), Vec::<String>::new(), "a change out of its order is not found");
}

fn check_rounds(seed: u64, n_rounds: u64) {
    let Some(mut server) = Server::start("captures through kills of both sides", &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    server.sql(SQL);
    server.sql("INSERT INTO orders SELECT n, 'c' || n % 50, 1, 'first' FROM generate_series(1, 7000) n");
    write(dir.path(), &server, "");
    open(dir.path()).close();
    let (mut dice, mut next) = (Dice(seed), 7_001);
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "as_a_child", "--nocapture", "--quiet"]).env(PROJECT, dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut running = child();
    for _ in 0..n_rounds {
        for _ in 0..1 + dice.roll(4) {
            let sql = transaction(&mut dice, &mut next);
            server.sql(&sql);
        }
        std::thread::sleep(Duration::from_millis(dice.roll(350)));
        if dice.roll(3) > 0 {
            running.kill().unwrap();
            running.wait().unwrap();
            running = child();
        } else {
            server.kill();
            server.go();
        }
    }
    running.kill().unwrap();
    running.wait().unwrap();
    server.sql("INSERT INTO orders VALUES (0, 'last', 1, 'last')");
    let house = open(dir.path());
    let state = catch_up(&house).unwrap();
    assert_eq!(state.stage, CaptureStage::Streaming);
    let found = rows(&house);
    assert_eq!(differences(&server, &found), Vec::<String>::new());
    check_planted(&server, &found);
    // The ledger counts the same.
    let total = state.counts.total();
    let n = total.snapshot + total.insert + total.update + total.delete;
    assert_eq!((n, state.counts.n_accepted, state.counts.n_quarantined), (found.len() as u64, n, 0));
    // Once more brings nothing, and the state is what a replay makes.
    catch_up(&house).unwrap();
    assert_eq!(rows(&house).len(), found.len());
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
}

#[test]
fn every_change_is_here_once_whoever_is_killed() {
    check_rounds(11, 10);
}

#[test]
fn a_capture_says_what_it_notices_and_what_stops_it() {
    let Some(server) = Server::start("what stops a capture", &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    server.sql(SQL);
    server.sql(
        "CREATE TABLE other (id int PRIMARY KEY); ALTER TABLE other OWNER TO capture; \
        CREATE TABLE keyless (id int); ALTER TABLE keyless OWNER TO capture",
    );
    server.sql("INSERT INTO orders VALUES (1, 'ada', 5, 'x'), (2, 'bob', -5, 'refused')");
    write(dir.path(), &server, "");
    let house = open(dir.path());
    let (system, noticed) = house.check_capture("shop").unwrap();
    assert_eq!(system.database, "postgres");
    let codes: Vec<_> = noticed.iter().map(|one| (one.code.as_str(), one.table.as_str())).collect();
    // Deletes of orders go to a stream that asks for the key only; those of audit do not.
    assert_eq!(codes, [("MR2223", ""), ("MR2222", "public.audit")]);
    assert_eq!(
        house.capture("nowhere", Until::CaughtUp, &AtomicBool::new(false), &mut |_| {}).unwrap_err().code(),
        "MR2213"
    );
    let state = catch_up(&house).unwrap();
    assert_eq!((state.counts.n_accepted, state.counts.n_quarantined), (3, 1));

    // A table looks different: said, and nothing is lost; what the contract no longer knows is judged by it.
    server.sql(
        "ALTER TABLE orders ADD COLUMN channel text; INSERT INTO orders VALUES (3, 'cy', 1, 'y', 'web')",
    );
    server.sql(
        "ALTER TABLE orders ALTER COLUMN customer DROP NOT NULL; ALTER TABLE orders DROP COLUMN total; \
        INSERT INTO orders VALUES (4, 'di', 'z', 'shop')",
    );
    server.sql("ALTER PUBLICATION maschinenraum_shop ADD TABLE other; INSERT INTO other VALUES (1), (2)");
    let state = catch_up(&house).unwrap();
    let said: Vec<&str> = state.noticed.iter().map(|one| one.message.as_str()).collect();
    assert!(said.contains(&"table `public.orders` changed: `channel` (text) is new"), "{said:?}");
    assert!(said.contains(&"table `public.orders` changed: `total` is gone"), "{said:?}");
    assert!(state.noticed.iter().any(|one| one.code == "MR2221" && one.table == "public.other"), "{said:?}");
    assert_eq!((state.counts.n_quarantined, state.counts.n_skipped), (2, 2));
    let found = rows(&house);
    let third = found.iter().find(|row| row.stream == "orders" && row.number("id") == 3).unwrap();
    assert_eq!(third.text("channel"), "web");

    // Refused rows keep their names: mended, each becomes a record of its own.
    let contract = std::fs::read_to_string(dir.path().join("contracts/orders.yaml")).unwrap();
    let mended = contract.replace("{minimum: 0}", "{minimum: -9}").replace("1.0.0", "1.0.1");
    let mended = mended.replace("total, logicalType: number, required: true", "total, logicalType: number");
    std::fs::write(dir.path().join("contracts/orders.yaml"), mended).unwrap();
    house.close();
    drop(house);
    let house = std::sync::Arc::new(open(dir.path()));
    for (id, _) in house.quarantine(None, 10).unwrap() {
        let outcome = house.requeue(id).unwrap();
        assert!(matches!(outcome, intake::Outcome::Accepted { .. }), "{outcome:?}");
    }
    let ids: BTreeSet<i64> =
        rows(&house).iter().filter(|row| row.stream == "orders").map(|row| row.number("id")).collect();
    assert_eq!(ids, BTreeSet::from([1, 2, 3, 4]));

    // Somebody else reads the slot on, or removes it.
    server.sql("INSERT INTO orders VALUES (5, 'ed', 'z', 'shop')");
    let slot = server.sql("SELECT slot_name FROM pg_replication_slots");
    std::thread::sleep(Duration::from_millis(100));
    server.sql(&format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"));
    assert_eq!(catch_up(&house).unwrap_err().code(), "MR2211");
    server.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    let error = catch_up(&house).unwrap_err();
    assert!(error.code() == "MR2210" && !error.retry(), "{error}");
    house.drop_capture("shop", false, "test").unwrap();
    assert_eq!(server.count("SELECT count(*) FROM pg_publication"), 0);
    assert_eq!(house.captures().unwrap()[0].state.as_ref().unwrap().stage, CaptureStage::Dropped);
    let state = catch_up(&house).unwrap();
    assert_eq!(state.counts.total().snapshot, 5 + server.count("SELECT count(*) FROM audit"));
    house.drop_capture("shop", false, "test").unwrap();

    // A slot of somebody else's, a database that cannot be captured, a table that it would break.
    server.sql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    assert_eq!(catch_up(&house).unwrap_err().code(), "MR2209");
    server.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    house.close();
    drop(house);
    let text = std::fs::read_to_string(dir.path().join("maschinenraum.toml")).unwrap();
    let text = text.replace("\"public.audit\"", "\"public.keyless\"");
    std::fs::write(dir.path().join("maschinenraum.toml"), text).unwrap();
    let house = open(dir.path());
    let error = catch_up(&house).unwrap_err();
    assert!(error.code() == "MR2208" && error.to_string().contains("REPLICA IDENTITY FULL"), "{error}");
    assert_eq!(server.count("SELECT count(*) FROM pg_publication"), 0, "nothing was published");
    house.close();
}

#[test]
fn stopping_is_heard_and_the_database_can_stop_too() {
    let Some(mut server) = Server::start("stopping", &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    server.sql(SQL);
    settings(dir.path(), &server, "");
    write(dir.path(), &server, "snapshot = false\n");
    let house = open(dir.path());
    server.sql("INSERT INTO orders VALUES (1, 'ada', 5, 'before')");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| house.capture("shop", Until::Stopped, &stop, &mut |_| {}));
        let until = std::time::Instant::now() + Duration::from_secs(30);
        let connected = || house.captures().unwrap()[0].live.as_ref().is_some_and(|live| live.connected);
        while !connected() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(catch_up(&house).unwrap_err().code(), "MR2214", "it runs already");
        server.sql("INSERT INTO orders VALUES (2, 'ada', 5, 'after')");
        // A server that stops in an orderly way waits until its readers have everything: it must not wait for long.
        let began = std::time::Instant::now();
        server.stop();
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        server.go();
        server.sql("INSERT INTO orders VALUES (3, 'ada', 5, 'after')");
        let here = || rows(&house).iter().filter(|row| row.stream == "orders").count();
        while here() < 2 && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Release);
        let state = running.join().unwrap().unwrap();
        assert_eq!((state.counts.total().insert, state.counts.total().snapshot), (4, 0));
    });
    house.close();
}
