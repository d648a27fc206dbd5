//! Tracking events by the million for benches: about 500 bytes each, every fifth with personal fields.

use event::{Instant, Span};

use crate::calendar::stamp;
use crate::draws::{Draws, Topic};

/// The contract of these events. A `userId` is personal by law, so every event has one sealed field; those with address
/// and telephone number have three.
pub const LOAD_CONTRACT: &str = include_str!("../project/load.yaml");

/// A stream of Segment `track` events as JSON; the same `n` and `seed` give the same bytes.
///
/// One event in five carries an e-mail address and a telephone number; users repeat, each about 20 times.
pub struct Load {
    seed: u64,
    draws: Draws,
    made: u64,
    n_events: u64,
    n_users: u32,
    at: Instant,
}

/// 2026-11-01
const FIRST: Instant = Instant::from_micros(1_793_491_200_000_000);
const PERSONAL_ONE_IN: u64 = 5;
const EVENTS_PER_USER: u64 = 20;
/// The stream's event name.
const EVENT: &str = "Product Viewed";

impl Load {
    /// `n_events` events.
    pub fn new(n_events: u64, seed: u64) -> Self {
        let n_users = u32::try_from(n_events / EVENTS_PER_USER).unwrap_or(u32::MAX).max(1);
        Self { seed, draws: Draws::of(seed, Topic::Load, 0, 0), made: 0, n_events, n_users, at: FIRST }
    }

    /// The body of one `POST /v1/batch` with up to this many events; `None` when all are made.
    pub fn batch(&mut self, n_events: usize) -> Option<Vec<u8>> {
        let events: Vec<_> = self.by_ref().take(n_events).collect();
        if events.is_empty() {
            return None;
        }
        let mut body = b"{\"batch\":[".to_vec();
        body.extend(events.join(&b','));
        body.extend_from_slice(b"]}");
        Some(body)
    }
}

impl Iterator for Load {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.made >= self.n_events {
            return None;
        }
        let number = self.made;
        self.made += 1;
        self.at = self.at + Span::from_micros(1_000);
        let user = self.draws.below(self.n_users);
        let word = self.draws.word();
        let price = 990 + word % 19_000;
        let (sku, page) = (word >> 16 & 0xfff, word >> 28 & 0xf_ffff);
        let personal = if number.is_multiple_of(PERSONAL_ONE_IN) {
            format!("\"email\":\"kunde.{user:08}@example.org\",\"phone\":\"+4915550{user:08}\",")
        } else {
            "\"campaign\":\"autumn-garden\",\"position\":12,\"coupon\":\"none\",\"list\":\"new\",".to_owned()
        };
        let (seed, at) = (self.seed, stamp(self.at));
        let event = format!(
            "{{\"type\":\"track\",\"event\":\"{EVENT}\",\"messageId\":\"load-{seed}-{number:012}\",\"userId\":\"u{user:08}\",\
             \"properties\":{{{personal}\"sku\":\"sku-{sku:04}\",\"category\":\"garden\",\"price_cents\":{price},\
             \"currency\":\"EUR\",\"url\":\"https://shop.example.org/garden/furniture/{page}\"}},\
             \"context\":{{\"locale\":\"de-DE\",\"timezone\":\"Europe/Berlin\",\"app\":{{\"name\":\"shop\",\"version\":\"26.11.3\"}},\
             \"library\":{{\"name\":\"load\",\"version\":\"1.0.0\"}}}},\"timestamp\":\"{at}\"}}",
        );
        Some(event.into_bytes())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = usize::try_from(self.n_events - self.made).unwrap_or(usize::MAX);
        (rest, Some(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_promised_size_and_share_of_personal_fields() {
        let events: Vec<_> = Load::new(1_000, 5).collect();
        let mean = events.iter().map(Vec::len).sum::<usize>() / events.len();
        assert!((480..=520).contains(&mean), "{mean}");
        let values: Vec<serde_json::Value> =
            events.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
        assert_eq!(values.iter().filter(|event| event["properties"]["email"].is_string()).count(), 200);
        let ids: std::collections::BTreeSet<_> =
            values.iter().map(|event| event["messageId"].to_string()).collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn batches_hold_all_events_once() {
        let mut load = Load::new(250, 5);
        let sizes: Vec<_> = std::iter::from_fn(|| load.batch(100))
            .map(|body| {
                serde_json::from_slice::<serde_json::Value>(&body).unwrap()["batch"].as_array().unwrap().len()
            })
            .collect();
        assert_eq!(sizes, [100, 100, 50]);
        assert_eq!(Load::new(3, 5).collect::<Vec<_>>(), Load::new(3, 5).collect::<Vec<_>>());
    }
}
