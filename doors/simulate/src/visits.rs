//! Visits to the web shop, as a tracking client sends them: anonymous at first, then with the account.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Span};
use serde::Serialize;

use crate::action::Channel;
use crate::calendar::{CLOSE_SECS, Day, OPEN_SECS, stamp};
use crate::config::Config;
use crate::customer::{ConsentChange, Customer, granted};
use crate::draws::{Draws, Topic};
use crate::faults::{Good, Shape, Stream};
use crate::history::OrderTimes;
use crate::product::CATEGORIES;
use crate::response::order_chance;
use crate::world::World;

const VISITS: Shape =
    Shape { name: "visits", id: "messageId", number: "timestamp", required: "type", recorded: "receivedAt" };
const LOGIN: f64 = 0.35;
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Mobile Safari/537.36",
];

/// The tracked visits of everybody.
pub(crate) struct Visits {
    pub(crate) stream: Stream,
    /// Devices seen; true once somebody logged in on them.
    devices: BTreeMap<String, bool>,
    n_messages: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message_id: String,
    anonymous_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<Traits<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Properties<'a>>,
    context: Context<'a>,
    timestamp: String,
}

#[derive(Serialize)]
struct Traits<'a> {
    email: &'a str,
    first_name: &'a str,
}

#[derive(Serialize)]
struct Properties<'a> {
    category: &'static str,
    platform: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_cents: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    ip: String,
    user_agent: &'static str,
    locale: &'a str,
}

/// Who comes, and on what.
struct Visitor<'a> {
    device: &'a str,
    /// The account, if it is known on this device by the end of the visit.
    user: Option<&'a Customer>,
    /// Whether it becomes known during the visit.
    logs_in: bool,
    taste: &'a [f64],
    locale: &'a str,
    /// How likely the app is used, not the web shop.
    app: f64,
}

/// One visit under way.
struct Session<'a> {
    at: Instant,
    device: &'a str,
    /// The account, once logged in.
    user: Option<&'a Customer>,
    ip: String,
    agent: &'static str,
    locale: &'a str,
}

impl Visits {
    pub(crate) fn new(config: &Config) -> Self {
        Self { stream: Stream::new(VISITS, config), devices: BTreeMap::new(), n_messages: 0 }
    }

    /// How many devices were seen, and on how many of them somebody logged in.
    pub(crate) fn devices(&self) -> (u64, u64) {
        (self.devices.len() as u64, self.devices.values().filter(|logged_in| **logged_in).count() as u64)
    }

    /// A customer's visits; none is tracked without consent to analytics.
    pub(crate) fn live(
        &mut self,
        world: &World,
        customer: &Customer,
        consents: &[ConsentChange],
        orders: &OrderTimes,
    ) {
        let config = world.config();
        let mut draws = Draws::of(config.seed, Topic::Visits, customer.number.into(), 0);
        let mut logged_in = BTreeSet::new();
        for day in (0..i64::from(config.n_days)).map(|k| Day::of(config.start).plus(k)) {
            let visits = draws.chance((customer.visits_per_order * order_chance(customer, day)).min(0.7));
            let secs = draws.between(OPEN_SECS as f64, CLOSE_SECS as f64) as i64;
            let order = orders.range(day.at_secs(0)..day.plus(1).at_secs(0)).next();
            // Who orders was here before.
            let at = match order {
                Some(order) => *order - Span::from_secs(120 + i64::from(draws.below(1_800))),
                None => day.at_secs(secs),
            };
            let due = visits || order.is_some();
            if !due || at < customer.registered_at || !granted(consents, "analytics", at) {
                continue;
            }
            let Some(device) = draws.one(&customer.devices) else { continue };
            let logs_in = draws.chance(LOGIN) || order.is_some();
            let first = logs_in && logged_in.insert(device.clone());
            let user = logged_in.contains(device).then_some(customer);
            let (taste, locale, app) =
                (customer.taste.as_slice(), customer.language, customer.affinity(Channel::Push));
            self.session(
                world,
                at,
                &Visitor { device, user, logs_in: first, taste, locale, app },
                &mut draws,
            );
        }
    }

    /// People who look around and never log in.
    pub(crate) fn strangers(&mut self, world: &World) {
        let config = world.config();
        for number in 0..config.n_customers / 10 {
            let mut draws = Draws::of(config.seed, Topic::Strangers, number.into(), 0);
            let device = draws.uuid();
            let taste = CATEGORIES.map(|_| draws.unit());
            for _ in 0..1 + draws.below(3) {
                let day = Day::of(config.start).plus(i64::from(draws.below(config.n_days)));
                let at = day.at_secs(draws.between(OPEN_SECS as f64, CLOSE_SECS as f64) as i64);
                let visitor = Visitor {
                    device: &device,
                    user: None,
                    logs_in: false,
                    taste: &taste,
                    locale: "de",
                    app: 0.3,
                };
                self.session(world, at, &visitor, &mut draws);
            }
        }
    }

    fn session(&mut self, world: &World, at: Instant, visitor: &Visitor<'_>, draws: &mut Draws) {
        let Visitor { device, user, logs_in, taste, locale, app } = *visitor;
        let platform = if draws.chance(app) { "app" } else { "web" };
        let seen = self.devices.entry(device.to_owned()).or_default();
        *seen |= user.is_some();
        let mut session = Session {
            at,
            device,
            user: user.filter(|_| !logs_in),
            ip: format!("203.0.113.{}", draws.below(254) + 1),
            agent: draws.one(&AGENTS).unwrap_or(&""),
            locale,
        };
        for step in 0..1 + draws.below(3) {
            session.at = session.at + Span::from_secs(i64::from(3 + draws.below(30)));
            let Some(product) = world.catalogue().pick(taste, draws) else { continue };
            let category = product.category;
            if step == 0 {
                let properties = Properties { category, platform, sku: None, price_cents: None };
                self.send("page", None, Some(category), Some(properties), &session, draws);
            } else {
                let properties = Properties {
                    category,
                    platform,
                    sku: Some(&product.sku),
                    price_cents: Some(product.price_cents),
                };
                self.send("track", Some("Product Viewed"), None, Some(properties), &session, draws);
            }
            if step == 0 && logs_in {
                session.user = user;
                self.send("identify", None, None, None, &session, draws);
            }
        }
    }

    fn send(
        &mut self,
        kind: &'static str,
        event: Option<&'static str>,
        name: Option<&'static str>,
        properties: Option<Properties<'_>>,
        session: &Session<'_>,
        draws: &mut Draws,
    ) {
        self.n_messages += 1;
        let identify = session.user.filter(|_| kind == "identify");
        let line = Event {
            kind,
            message_id: format!("m{:07}-{:08x}", self.n_messages, draws.word() >> 32),
            anonymous_id: session.device,
            user_id: session.user.map(|user| user.user_id.as_str()),
            event,
            name,
            traits: identify.map(|user| Traits { email: &user.email, first_name: user.first_name }),
            properties,
            context: Context { ip: session.ip.clone(), user_agent: session.agent, locale: session.locale },
            timestamp: stamp(session.at),
        };
        self.stream.add(Good::new(session.at, &line));
    }
}
