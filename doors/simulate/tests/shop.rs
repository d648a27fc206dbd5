//! The shop against itself: what its files say must be what its truth says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use event::{Instant, Span};
use serde_json::Value;
use simulate::{Action, Config, Decided, Faults, History, RESPONSE_DAYS, StreamCounts, World};

/// Dirty enough for every kind of dirt to show.
fn config() -> Config {
    let faults = Faults {
        duplicates: 0.02,
        late: 0.05,
        wrong_type: 0.004,
        missing_field: 0.004,
        not_a_number: 0.004,
        bad_encoding: 0.004,
        out_of_range: 0.004,
    };
    Config { seed: 11, n_customers: 1_500, faults, ..Config::default() }
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(config()).unwrap());
static HISTORY: LazyLock<History> = LazyLock::new(|| WORLD.history());

fn bytes(history: &History, path: &str) -> Vec<u8> {
    history.files().iter().find(|file| file.path == path).unwrap().bytes.clone()
}

/// The rows of a CSV file without quotes in it.
fn rows(path: &str) -> Vec<BTreeMap<String, String>> {
    let text = String::from_utf8(bytes(&HISTORY, path)).unwrap();
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            head.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
        })
        .collect()
}

/// The good documents of a stream, each once.
fn documents(stream: &str, id: &str) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let lines = bytes(&HISTORY, &format!("{stream}.ndjson"));
    let parsed =
        lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let good = parsed.filter(|value| !value[id].as_str().unwrap().starts_with("broken-"));
    good.filter(|value| seen.insert(value[id].to_string())).collect()
}

fn instant(value: &Value) -> Instant {
    value.as_str().unwrap().parse().unwrap()
}

/// Distance from an expected count in its own standard deviations.
fn deviations(found: f64, expected: f64, variance: f64) -> f64 {
    (found - expected).abs() / variance.sqrt()
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    let small = || World::new(Config { n_customers: 60, ..config() }).unwrap().history();
    let (one, two) = (small(), small());
    assert_eq!(one.files(), two.files());
    let other = World::new(Config { n_customers: 60, seed: 12, ..config() }).unwrap().history();
    assert_ne!(one.files(), other.files());
    // FNV-1a over everything. If this moves, WORLD_VERSION must.
    let all = one.files().iter().flat_map(|file| &file.bytes);
    let hash =
        all.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    assert_eq!((simulate::WORLD_VERSION, hash), (1, 12_390_003_684_547_771_316));
}

#[test]
fn more_customers_do_not_change_those_there_are() {
    let customers = |n_customers| World::new(Config { n_customers, ..config() }).unwrap().customers().len();
    assert_eq!(customers(10), 10);
    let (few, many) = (World::new(Config { n_customers: 10, ..config() }).unwrap(), &WORLD);
    for (a, b) in few.customers().iter().zip(many.customers()) {
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }
}

#[test]
fn lines_are_what_the_truth_counts() {
    for (stream, id, number, required, happened, recorded) in [
        ("orders", "order_id", "total_cents", "currency", "ordered_at", "recorded_at"),
        ("responses", "response_id", "value_cents", "kind", "responded_at", "recorded_at"),
        ("visits", "messageId", "timestamp", "type", "timestamp", "receivedAt"),
    ] {
        let mut found = StreamCounts::default();
        let mut seen = BTreeSet::new();
        let mut last = None;
        let lines = bytes(&HISTORY, &format!("{stream}.ndjson"));
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            found.lines += 1;
            let Ok(text) = std::str::from_utf8(line) else {
                found.broken.bad_encoding += 1;
                continue;
            };
            let Ok(value) = serde_json::from_str::<Value>(text) else {
                assert!(text.contains("NaN"), "{text}");
                found.broken.not_a_number += 1;
                continue;
            };
            let at = instant(&value[recorded]);
            assert!(last <= Some(at), "{stream} lies in order of recording");
            last = Some(at);
            if value[id].as_str().unwrap().starts_with("broken-") {
                match &value[number] {
                    _ if value[required].is_null() => found.broken.missing_field += 1,
                    Value::String(text) if text == "zwölf Euro" => found.broken.wrong_type += 1,
                    _ => found.broken.out_of_range += 1,
                }
            } else if seen.insert(value[id].to_string()) {
                found.good += 1;
                found.late += u64::from(at - instant(&value[happened]) >= Span::from_days(1));
            } else {
                found.duplicates += 1;
            }
        }
        let truth = HISTORY.truth().streams[stream];
        assert_eq!(found, truth, "{stream}");
        assert_eq!(found.lines, found.good + found.duplicates + found.broken.all());
        let faults = WORLD.config().faults;
        for (count, rate) in
            [(found.duplicates, faults.duplicates), (found.broken.not_a_number, faults.not_a_number)]
        {
            let n = found.good as f64;
            assert!(deviations(count as f64, n * rate, n * rate) < 4.0, "{stream}: {count} of {n} at {rate}");
        }
    }
}

#[test]
fn a_clean_world_has_no_dirt() {
    let history = World::new(Config { n_customers: 40, faults: Faults::NONE, ..config() }).unwrap().history();
    for counts in history.truth().streams.values() {
        assert_eq!(
            *counts,
            StreamCounts { lines: counts.lines, good: counts.lines, ..StreamCounts::default() }
        );
    }
}

#[test]
fn responses_are_the_orders_that_followed_contacts() {
    let mut orders: BTreeMap<String, Vec<(Instant, u64)>> = BTreeMap::new();
    for order in documents("orders", "order_id") {
        let user = order["user_id"].as_str().unwrap().to_owned();
        orders
            .entry(user)
            .or_default()
            .push((instant(&order["ordered_at"]), order["total_cents"].as_u64().unwrap()));
    }
    let responses: BTreeMap<_, _> = documents("responses", "response_id")
        .into_iter()
        .map(|response| (response["response_id"].as_str().unwrap().to_owned(), response))
        .collect();
    let contacts = rows("campaigns.csv");
    assert!(contacts.len() > 8_000);
    for contact in &contacts {
        let sent: Instant = contact["sent_at"].parse().unwrap();
        let window = sent..sent + Span::from_days(RESPONSE_DAYS);
        let first = orders
            .get(&contact["user_id"])
            .and_then(|all| all.iter().filter(|(at, _)| window.contains(at)).min());
        let response = responses.get(&format!("{}-order", contact["contact_id"]));
        let told = response.map(|r| (instant(&r["responded_at"]), r["value_cents"].as_u64().unwrap()));
        assert_eq!(first.copied(), told, "{contact:?}");
    }
}

#[test]
fn contacts_ordered_as_often_as_the_truth_says() {
    let contacts = &HISTORY.truth().contacts;
    assert_eq!(contacts.len(), 10);
    for (action, counts) in contacts {
        let n = counts.n as f64;
        let p = counts.expected / n;
        assert!(
            deviations(counts.ordered as f64, counts.expected, n * p * (1.0 - p)) < 4.0,
            "{action}: {counts:?}"
        );
    }
    // Chosen at random among what consent allows: by its propensity each action is as frequent as it should be.
    let rows = rows("campaigns.csv");
    let weight: f64 = rows
        .iter()
        .filter(|r| r["action"] == "no_action")
        .map(|r| 1.0 / r["propensity"].parse::<f64>().unwrap())
        .sum();
    assert!((weight / rows.len() as f64 - 1.0).abs() < 0.1, "{weight}");
}

#[test]
fn nobody_is_contacted_without_consent() {
    let mut consents: BTreeMap<(String, String), Vec<(Instant, bool)>> = BTreeMap::new();
    for row in rows("consents.csv") {
        let key = (row["user_id"].clone(), row["purpose"].clone());
        consents.entry(key).or_default().push((row["at"].parse().unwrap(), row["status"] == "granted"));
    }
    let granted = |user: &str, purpose: &str, at: Instant| {
        let changes = consents.get(&(user.to_owned(), purpose.to_owned()));
        changes.and_then(|all| all.iter().rfind(|(when, _)| *when <= at)).is_some_and(|(_, granted)| *granted)
    };
    for row in rows("campaigns.csv") {
        if let Some(channel) = Action::from_id(&row["action"]).unwrap().channel() {
            assert!(granted(&row["user_id"], channel.purpose(), row["sent_at"].parse().unwrap()), "{row:?}");
        }
    }
    for visit in documents("visits", "messageId") {
        if let Some(user) = visit["userId"].as_str() {
            assert!(granted(user, "analytics", instant(&visit["timestamp"])), "{visit}");
        }
    }
    for (purpose, n_granted) in &HISTORY.truth().consents_at_end {
        let users =
            WORLD.customers().iter().filter(|customer| granted(&customer.user_id, purpose, WORLD.end()));
        assert_eq!(users.count() as u64, *n_granted, "{purpose}");
    }
}

#[test]
fn devices_and_logins_are_what_the_truth_counts() {
    let mut devices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for visit in documents("visits", "messageId") {
        let users = devices.entry(visit["anonymousId"].as_str().unwrap().to_owned()).or_default();
        users.extend(visit["userId"].as_str().map(str::to_owned));
    }
    let truth = HISTORY.truth();
    assert_eq!(devices.len() as u64, truth.n_devices);
    assert_eq!(devices.values().filter(|users| !users.is_empty()).count() as u64, truth.n_logged_in_devices);
    let shared = devices.values().filter(|users| users.len() > 1).count() as u64;
    assert!(shared > 0 && shared <= truth.n_shared_devices);
}

#[test]
fn every_order_is_recorded() {
    assert_eq!(documents("orders", "order_id").len() as u64, HISTORY.truth().n_orders);
}

#[test]
fn orders_by_themselves_follow_weekdays_and_seasons() {
    // Without campaigns, whose orders follow a calendar of their own.
    let config = Config { n_campaigns: 0, n_customers: 4_000, faults: Faults::NONE, ..config() };
    let history = World::new(config).unwrap().history();
    let text = String::from_utf8(bytes(&history, "orders.ndjson")).unwrap();
    let days: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["ordered_at"].as_str().unwrap()[..10].to_owned()
        })
        .collect();
    let share = |holds: &dyn Fn(&str) -> bool| days.iter().filter(|day| holds(day)).count() as f64;
    let ratio = share(&|day| day.starts_with("2025-12")) / share(&|day| day.starts_with("2026-01"));
    assert!((ratio / (1.4 / 0.85) - 1.0).abs() < 0.1, "December to January: {ratio}");
    let weekday = |day: &str| (instant(&day.into()).micros() / 86_400_000_000 + 3) % 7;
    let ratio = share(&|day| weekday(day) == 5) / share(&|day| weekday(day) == 1);
    assert!((ratio / (1.2 / 0.85) - 1.0).abs() < 0.1, "Saturday to Tuesday: {ratio}");
}

#[test]
fn answers_come_as_often_as_their_probability() {
    let at = WORLD.end() + Span::from_secs(13 * 3_600);
    let n = 4_000;
    for (number, action) in [(3, Action::None), (7, Action::ALL[2]), (20, Action::ALL[8])] {
        let customer = &WORLD.customers()[number];
        let p = WORLD.probability(customer, action, at);
        let answers: Vec<_> =
            (0..n).map(|draw| WORLD.respond(&customer.user_id, action, at, draw).unwrap()).collect();
        let ordered = answers.iter().filter(|answer| answer.ordered).count() as f64;
        assert!(
            deviations(ordered, n as f64 * p, n as f64 * p * (1.0 - p)) < 4.0,
            "{action:?}: {ordered} of {n} at {p}"
        );
        for answer in &answers {
            assert_eq!(answer.ordered, answer.ordered_at.is_some());
            assert_eq!(answer.ordered, answer.value_cents > 0);
            let window = at..at + Span::from_days(RESPONSE_DAYS);
            assert!(answer.ordered_at.is_none_or(|when| window.contains(&when)));
        }
        let mean = answers.iter().map(|answer| answer.value_cents).sum::<u64>() as f64 / ordered;
        let expected = WORLD.mean_value_cents(customer, action);
        assert!((mean / expected - 1.0).abs() < 0.25, "{mean} {expected}");
    }
}

#[test]
fn a_holdout_measures_the_true_uplift() {
    let at = WORLD.end();
    let best = |customer| WORLD.best_action(customer, &Action::ALL, at);
    let decisions: Vec<_> = WORLD
        .customers()
        .iter()
        .map(|customer| Decided { user_id: customer.user_id.clone(), action: best(customer), at })
        .collect();
    let truth = WORLD.true_uplift(&decisions).unwrap();
    assert_eq!(truth.n_decisions, 1_500);
    assert!(truth.uplift > 0.05 && truth.uplift < 0.4, "{truth:?}");
    assert!(truth.value_cents > 0.0);
    let rate = |act: bool| {
        let ordered = |(draw, d): (usize, &Decided)| {
            let action = if act { d.action } else { Action::None };
            u32::from(WORLD.respond(&d.user_id, action, at, draw as u64 % 10).unwrap().ordered)
        };
        f64::from(decisions.iter().cycle().take(15_000).enumerate().map(ordered).sum::<u32>()) / 15_000.0
    };
    let measured = rate(true) - rate(false);
    assert!((measured - truth.uplift).abs() < 0.01, "{measured} {truth:?}");
    assert_eq!(WORLD.true_uplift(&[]).unwrap().uplift, 0.0);
}

#[test]
fn strangers_are_unknown() {
    for id in ["", "c", "c00000", "c0", "c1", "c01501", "x00001", "c99999999999", "🙂"] {
        let error = WORLD.respond(id, Action::None, WORLD.end(), 1).unwrap_err().to_string();
        assert!(error.contains("its customers are c00001 to c01500"), "{error}");
    }
}
