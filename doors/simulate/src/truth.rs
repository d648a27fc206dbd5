//! The truth about a history: what a careful reader of its files must find.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::WORLD_VERSION;
use crate::config::Config;

/// Counts and expectations; `truth.json` holds the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Which making of the world.
    pub world_version: u32,
    /// What it was made from: [`crate::World::new`] makes it again.
    pub config: Config,
    /// Accounts.
    pub n_customers: u64,
    /// Orders that happened.
    pub n_orders: u64,
    /// Devices that were tracked.
    pub n_devices: u64,
    /// Devices on which somebody logged in while tracked.
    pub n_logged_in_devices: u64,
    /// Customers who also use another customer's device.
    pub n_shared_devices: u64,
    /// The streams with dirt: orders, responses, visits.
    pub streams: BTreeMap<String, StreamCounts>,
    /// How many customers grant each purpose when the history ends.
    pub consents_at_end: BTreeMap<String, u64>,
    /// The past campaigns' contacts by action.
    pub contacts: BTreeMap<String, ContactCounts>,
}

/// What is in one stream's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCounts {
    /// Lines of the file: `good + duplicates + broken`.
    pub lines: u64,
    /// Distinct good records.
    pub good: u64,
    /// Lines that repeat a good record.
    pub duplicates: u64,
    /// Good records recorded a day or more after they happened.
    pub late: u64,
    /// Broken lines.
    pub broken: BrokenCounts,
}

/// Broken lines by what is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenCounts {
    /// Text where a number or an instant belongs.
    pub wrong_type: u64,
    /// A required field is not there.
    pub missing_field: u64,
    /// `NaN`: not JSON.
    pub not_a_number: u64,
    /// Not UTF-8.
    pub bad_encoding: u64,
    /// A negative total, or the year 9999.
    pub out_of_range: u64,
}

/// One action in the past campaigns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactCounts {
    /// Contacts.
    pub n: u64,
    /// Contacts followed by an order in time.
    pub ordered: u64,
    /// The sum of the true probabilities of that.
    pub expected: f64,
    /// The sum of the true probabilities, had nothing been sent.
    pub expected_without: f64,
}

impl BrokenCounts {
    /// Every broken line.
    pub fn all(&self) -> u64 {
        self.wrong_type + self.missing_field + self.not_a_number + self.bad_encoding + self.out_of_range
    }
}

impl Truth {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            world_version: WORLD_VERSION,
            config: config.clone(),
            n_customers: 0,
            n_orders: 0,
            n_devices: 0,
            n_logged_in_devices: 0,
            n_shared_devices: 0,
            streams: BTreeMap::new(),
            consents_at_end: BTreeMap::new(),
            contacts: BTreeMap::new(),
        }
    }

    /// Lines of the streams with dirt.
    pub fn n_lines(&self) -> u64 {
        self.streams.values().map(|counts| counts.lines).sum()
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}
