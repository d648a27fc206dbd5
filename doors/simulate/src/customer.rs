//! Who the customers are: what they let show, and what only the world knows.

use event::{Instant, Span};
use serde::Serialize;

use crate::action::Channel;
use crate::calendar::Day;
use crate::config::Config;
use crate::draws::{Draws, Topic};
use crate::names;
use crate::product::CATEGORIES;

/// Every purpose the shop asks consent for; whether it is granted depends on the channel it is about, if any.
const PURPOSES: [(&str, Option<Channel>); 5] = [
    ("analytics", None),
    ("personalisation", None),
    (Channel::Email.purpose(), Some(Channel::Email)),
    (Channel::Push.purpose(), Some(Channel::Push)),
    (Channel::Sms.purpose(), Some(Channel::Sms)),
];
const GRANTED: f64 = 0.85;
const WITHDRAWN: f64 = 0.08;
const GRANTED_AGAIN: f64 = 0.3;
const SHARED_DEVICE: f64 = 0.02;

/// What kind of customer somebody is; no record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// Orders often, reads e-mail, dislikes being texted.
    Loyal,
    /// Orders where something is off.
    Bargain,
    /// Looks around, likes news on the phone.
    Explorer,
    /// Hardly orders, hardly reads.
    Dormant,
}

/// A customer of the shop. Identity and consents are on record; segment, taste, sensitivity, rate and affinities are
/// the hidden truth.
#[derive(Clone, Debug)]
pub struct Customer {
    /// 1 for `c00001`.
    pub number: u32,
    /// The account: `c00001`.
    pub user_id: String,
    /// The address, unique.
    pub email: String,
    /// The telephone number, unique.
    pub phone: String,
    /// First name.
    pub first_name: &'static str,
    /// Last name.
    pub last_name: &'static str,
    /// Year of birth.
    pub birth_year: u32,
    /// City.
    pub city: &'static str,
    /// Country, two letters.
    pub country: &'static str,
    /// Language, two letters.
    pub language: &'static str,
    /// When the account was made; before the history's start for most.
    pub registered_at: Instant,
    /// Granted and withdrawn, in order; what campaigns caused comes on top.
    pub consents: Vec<ConsentChange>,
    /// Hidden: what kind of customer.
    pub segment: Segment,
    /// Hidden: weights of the categories, summing to 1.
    pub taste: Vec<f64>,
    /// Hidden: 0 (never looks at prices) to 1.
    pub price_sensitivity: f64,
    /// Hidden: chance of an order on an average day.
    pub order_rate: f64,
    /// The devices used; the last one may be another customer's.
    pub(crate) devices: Vec<String>,
    pub(crate) shares_device: bool,
    pub(crate) visits_per_order: f64,
    affinity: [f64; 3],
}

/// A consent given or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentChange {
    /// For what.
    pub purpose: &'static str,
    /// Given, or taken back.
    pub granted: bool,
    /// When.
    pub at: Instant,
    /// Where: `registration`, `preferences`, `unsubscribe_link`.
    pub source: &'static str,
}

impl Segment {
    /// Every segment with its share of the customers.
    const SHARES: [(Self, f64); 4] =
        [(Self::Loyal, 0.25), (Self::Bargain, 0.3), (Self::Explorer, 0.25), (Self::Dormant, 0.2)];

    /// Means of orders a day and of price sensitivity; how likely e-mail, push and text messages are the favourite
    /// channel; visits for every order.
    const fn nature(self) -> (f64, f64, [f64; 3], f64) {
        match self {
            Self::Loyal => (0.02, 0.25, [0.6, 0.3, 0.1], 2.0),
            Self::Bargain => (0.01, 0.8, [0.5, 0.2, 0.3], 3.0),
            Self::Explorer => (0.008, 0.35, [0.25, 0.65, 0.1], 7.0),
            Self::Dormant => (0.002, 0.5, [0.4, 0.2, 0.4], 3.0),
        }
    }
}

impl Customer {
    pub(crate) fn new(config: &Config, number: u32) -> Self {
        let mut draws = Draws::of(config.seed, Topic::Customer, number.into(), 0);
        let shares = Segment::SHARES.map(|(_, share)| share);
        let segment =
            Segment::SHARES.get(draws.weighted(&shares)).map_or(Segment::Loyal, |(segment, _)| *segment);
        let (rate, sensitivity, favourites, visits_per_order) = segment.nature();
        let weights: Vec<f64> = CATEGORIES.map(|_| draws.unit()).iter().map(|u| 0.02 + u * u * u).collect();
        let sum: f64 = weights.iter().sum();
        let name = names::draw(&mut draws);
        let start = Day::of(config.start);
        let registered_at = if draws.chance(0.6) {
            start.plus(-i64::from(1 + draws.below(900))).at_secs(i64::from(draws.below(86_400)))
        } else {
            start.plus(i64::from(draws.below(config.n_days * 7 / 10))).at_secs(i64::from(draws.below(86_400)))
        };
        let favourite = draws.weighted(&favourites);
        let mut channel = 0;
        let affinity = favourites.map(|_| {
            let mean = if channel == favourite { 0.8 } else { 0.15 };
            channel += 1;
            (mean + 0.07 * draws.bell()).clamp(0.02, 0.98)
        });
        let mut customer = Self {
            number,
            user_id: user_id(number),
            email: format!("kunde.{number:05}@example.org"),
            phone: format!("+491555{number:07}"),
            first_name: name.first,
            last_name: name.last,
            birth_year: 1945 + draws.below(62),
            city: name.city,
            country: name.country,
            language: name.language,
            registered_at,
            consents: Vec::new(),
            segment,
            taste: weights.iter().map(|weight| weight / sum).collect(),
            price_sensitivity: (sensitivity + 0.15 * draws.bell()).clamp(0.0, 1.0),
            order_rate: rate * draws.between(0.4, 1.6),
            devices: Vec::new(),
            shares_device: false,
            visits_per_order,
            affinity,
        };
        customer.draw_consents(config, &mut draws);
        customer.draw_devices(config, &mut draws);
        customer
    }

    /// Hidden: how likely a message through this channel is noticed and welcome, 0 to 1.
    pub fn affinity(&self, channel: Channel) -> f64 {
        let [email, push, sms] = self.affinity;
        match channel {
            Channel::Email => email,
            Channel::Push => push,
            Channel::Sms => sms,
        }
    }

    /// Hidden: how often an order uses a 10 % coupon of its own.
    pub fn coupon_rate(&self) -> f64 {
        0.02 + 0.8 * self.price_sensitivity * self.price_sensitivity
    }

    fn draw_consents(&mut self, config: &Config, draws: &mut Draws) {
        let remaining = (config.end() - self.registered_at).micros();
        for (purpose, channel) in PURPOSES {
            // Who likes a channel agrees to it.
            let share = channel.map_or(GRANTED, |channel| 0.3 + 0.6 * self.affinity(channel));
            let (granted, withdrawn, again) =
                (draws.chance(share), draws.chance(WITHDRAWN), draws.chance(GRANTED_AGAIN));
            let (first, second) = (draws.unit(), draws.unit());
            let mut change =
                |granted, at, source| self.consents.push(ConsentChange { purpose, granted, at, source });
            change(granted, self.registered_at, "registration");
            if granted && withdrawn {
                let gone = (remaining as f64 * first) as i64;
                let at = self.registered_at + Span::from_micros(gone);
                change(false, at, "preferences");
                if again {
                    change(
                        true,
                        at + Span::from_micros(((remaining - gone) as f64 * second) as i64),
                        "preferences",
                    );
                }
            }
        }
        self.consents.sort_by_key(|change| change.at);
    }

    fn draw_devices(&mut self, config: &Config, draws: &mut Draws) {
        let n_own = 1 + u64::from(draws.chance(0.5)) + u64::from(draws.chance(0.2));
        self.devices = (0..n_own).map(|k| device(config.seed, self.number, k)).collect();
        // A household's tablet: two accounts on one device.
        self.shares_device = draws.chance(SHARED_DEVICE) && self.number > 1;
        if self.shares_device {
            self.devices.push(device(config.seed, self.number - 1, 0));
        }
    }
}

/// Whether a purpose is granted at an instant, after these changes in order.
pub(crate) fn granted(changes: &[ConsentChange], purpose: &str, at: Instant) -> bool {
    let last = changes.iter().rfind(|change| change.purpose == purpose && change.at <= at);
    last.is_some_and(|change| change.granted)
}

/// The names of the purposes.
pub(crate) fn purposes() -> impl Iterator<Item = &'static str> {
    PURPOSES.into_iter().map(|(purpose, _)| purpose)
}

pub(crate) fn user_id(number: u32) -> String {
    format!("c{number:05}")
}

fn device(seed: u64, number: u32, k: u64) -> String {
    Draws::of(seed, Topic::Customer, number.into(), 1 + k).uuid()
}
