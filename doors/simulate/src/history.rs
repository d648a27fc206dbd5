//! What happened in the shop and what its systems recorded: orders, campaigns, responses, consents.

use std::collections::BTreeSet;

use event::{Instant, Span};
use serde::Serialize;

use crate::action::{Action, Channel};
use crate::calendar::{CLOSE_SECS, CONTACT_SECS, Day, OPEN_SECS, stamp};
use crate::customer::{ConsentChange, Customer, granted, purposes};
use crate::draws::{Draws, Topic};
use crate::faults::{Good, Shape, Stream};
use crate::files::{Csv, File};
use crate::product::{Item, total_cents};
use crate::response::{RESPONSE_DAYS, base, discounted, order_chance, order_instant, react};
use crate::truth::Truth;
use crate::visits::Visits;
use crate::world::World;

const ORDERS: Shape = Shape {
    name: "orders",
    id: "order_id",
    number: "total_cents",
    required: "currency",
    recorded: "recorded_at",
};
const RESPONSES: Shape = Shape {
    name: "responses",
    id: "response_id",
    number: "value_cents",
    required: "kind",
    recorded: "recorded_at",
};

/// The recorded past of a world, ready as files.
pub struct History {
    files: Vec<File>,
    truth: Truth,
}

impl History {
    pub(crate) fn of(world: &World) -> Self {
        let mut recorder = Recorder::new(world);
        for customer in world.customers() {
            recorder.live(customer);
        }
        recorder.visits.strangers(world);
        recorder.finish()
    }

    /// The files: `customers.csv`, `consents.csv`, `campaigns.csv`, `orders.ndjson`, `visits.ndjson`,
    /// `responses.ndjson` and `truth.json`.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// How much of everything is in the files.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }
}

/// An order of the past.
struct Order {
    at: Instant,
    /// What brought it about; [`Action::None`] for one that came by itself.
    action: Action,
}

/// What lay in an order's basket: drawn from the order alone, so that whoever asks is told the same.
struct Bought<'w> {
    basket: Vec<Item<'w>>,
    full_cents: u64,
    total_cents: u64,
    draws: Draws,
}

impl<'w> Bought<'w> {
    fn of(world: &'w World, customer: &Customer, order: &Order) -> Self {
        let second = order.at.micros() as u64;
        let mut draws = Draws::of(world.config().seed, Topic::Basket, customer.number.into(), second);
        let basket = world.catalogue().basket(&customer.taste, &mut draws);
        let full_cents = total_cents(&basket);
        let coupon = draws.chance(customer.coupon_rate());
        Self { basket, full_cents, total_cents: discounted(full_cents, order.action, coupon), draws }
    }
}

#[derive(Serialize)]
struct OrderLine<'a> {
    order_id: String,
    user_id: &'a str,
    email: &'a str,
    ordered_at: String,
    currency: &'static str,
    total_cents: u64,
    discount_cents: u64,
    channel: &'static str,
    payment: &'static str,
    items: Vec<ItemLine<'a>>,
}

#[derive(Serialize)]
struct ItemLine<'a> {
    sku: &'a str,
    category: &'static str,
    quantity: u64,
    price_cents: u64,
}

#[derive(Serialize)]
struct ResponseLine<'a> {
    response_id: String,
    contact_id: &'a str,
    user_id: &'a str,
    kind: &'static str,
    channel: &'static str,
    value_cents: u64,
    responded_at: String,
}

/// A contact that was made, or by its draw was not.
struct Contact<'a> {
    customer: &'a Customer,
    id: &'a str,
    channel: &'static str,
}

/// Everything recorded so far.
struct Recorder<'w> {
    world: &'w World,
    start: Day,
    customers: Csv,
    consents: Vec<(Instant, String)>,
    contacts: Vec<(Instant, String)>,
    orders: Stream,
    responses: Stream,
    visits: Visits,
    truth: Truth,
}

impl<'w> Recorder<'w> {
    fn new(world: &'w World) -> Self {
        let config = world.config();
        Self {
            world,
            start: Day::of(config.start),
            customers: Csv::new(&[
                "user_id",
                "email",
                "phone",
                "first_name",
                "last_name",
                "birth_year",
                "city",
                "country",
                "language",
                "registered_at",
            ]),
            consents: Vec::new(),
            contacts: Vec::new(),
            orders: Stream::new(ORDERS, config),
            responses: Stream::new(RESPONSES, config),
            visits: Visits::new(config),
            truth: Truth::new(config),
        }
    }

    /// One customer's whole past.
    fn live(&mut self, customer: &Customer) {
        let config = self.world.config();
        let mut draws = Draws::of(config.seed, Topic::Orders, customer.number.into(), 0);
        let mut consents = customer.consents.clone();
        let end = config.end();
        let mut orders = Vec::new();
        for day in (0..i64::from(config.n_days)).map(|k| self.start.plus(k)) {
            let ordered = draws.chance(order_chance(customer, day));
            let at = day.at_secs(draws.between(OPEN_SECS as f64, CLOSE_SECS as f64) as i64);
            if ordered && day > Day::of(customer.registered_at) {
                orders.push(Order { at, action: Action::None });
            }
        }
        for campaign in 0..config.n_campaigns {
            self.contact(customer, campaign, &mut orders, &mut consents);
        }
        orders.sort_by_key(|order| order.at);
        for (number, order) in (1..).zip(&orders) {
            self.order(customer, number, order);
        }
        self.visits.live(self.world, customer, &consents, &orders.iter().map(|order| order.at).collect());
        self.truth.n_orders += orders.len() as u64;
        self.truth.n_shared_devices += u64::from(customer.shares_device);
        for purpose in purposes().filter(|purpose| granted(&consents, purpose, end)) {
            *self.truth.consents_at_end.entry(purpose.to_owned()).or_default() += 1;
        }
        for change in consents.iter().filter(|change| change.at < end) {
            self.consent(customer, change);
        }
        self.customers.row(&[
            &customer.user_id,
            &customer.email,
            &customer.phone,
            customer.first_name,
            customer.last_name,
            &customer.birth_year.to_string(),
            customer.city,
            customer.country,
            customer.language,
            &stamp(customer.registered_at),
        ]);
    }

    /// One campaign reaches one customer, or by its draw does not.
    fn contact(
        &mut self,
        customer: &Customer,
        campaign: u32,
        orders: &mut Vec<Order>,
        consents: &mut Vec<ConsentChange>,
    ) {
        let config = self.world.config();
        let days = u64::from(config.n_days) * u64::from(campaign + 1) / u64::from(config.n_campaigns + 1);
        let day = self.start.plus(days as i64);
        let at = day.at_secs(CONTACT_SECS);
        if Day::of(customer.registered_at) >= day {
            return;
        }
        let allowed = |channel: Channel| granted(consents, channel.purpose(), at);
        let feasible: Vec<_> =
            Action::ALL.into_iter().filter(|action| action.channel().is_none_or(allowed)).collect();
        let mut draws = Draws::of(config.seed, Topic::Contacts, customer.number.into(), campaign.into());
        let action = draws.one(&feasible).copied().unwrap_or(Action::None);

        // Orders by themselves are there already: an action adds one or takes all, so that the chance of at least
        // one in the window is exactly the world's probability.
        let (by_itself, probability) = (base(customer, at), self.world.probability(customer, action, at));
        let in_window = |order: &Order| order.at >= at && order.at < at + Span::from_days(RESPONSE_DAYS);
        let (add, take) =
            ((probability - by_itself) / (1.0 - by_itself), (by_itself - probability) / by_itself);
        let (draw, extra) = (draws.unit(), order_instant(at, &mut draws));
        if draw < add {
            orders.push(Order { at: extra, action });
        } else if draw < take {
            orders.retain(|order| !in_window(order));
        }
        let first = orders.iter().filter(|order| in_window(order)).min_by_key(|order| order.at);

        let contact_id = format!("k{:02}-{}", campaign + 1, customer.user_id);
        let propensity = 1.0 / feasible.len() as f64;
        let (channel, offer) = match action {
            Action::None => ("none", "none"),
            Action::Send(channel, offer) => (channel.name(), offer.name()),
        };
        let (id, cost, user_id) = (action.id(), action.cost_cents(), &customer.user_id);
        let campaign_id = format!("k{:02}", campaign + 1);
        let row = format!(
            "{contact_id},{campaign_id},{user_id},{id},{channel},{offer},{cost},{propensity},{}\n",
            stamp(at)
        );
        self.contacts.push((at, row));
        let counts = self.truth.contacts.entry(id).or_default();
        counts.n += 1;
        counts.ordered += u64::from(first.is_some());
        counts.expected += probability;
        counts.expected_without += by_itself;

        let contact = Contact { customer, id: &contact_id, channel };
        if let Some(first) = first {
            let value = Bought::of(self.world, customer, first).total_cents;
            self.respond(&contact, "order", value, first.at);
        }
        let (clicked, left) = react(customer, action, at, &mut draws);
        if let Some(clicked) = clicked {
            self.respond(&contact, "click", 0, clicked);
        }
        if let Some((left, channel)) = left.zip(action.channel()) {
            self.respond(&contact, "unsubscribe", 0, left);
            let purpose = channel.purpose();
            consents.push(ConsentChange { purpose, granted: false, at: left, source: "unsubscribe_link" });
            consents.sort_by_key(|change| change.at);
        }
    }

    fn respond(&mut self, contact: &Contact<'_>, kind: &'static str, value_cents: u64, at: Instant) {
        self.responses.add(Good::new(
            at,
            &ResponseLine {
                response_id: format!("{}-{kind}", contact.id),
                contact_id: contact.id,
                user_id: &contact.customer.user_id,
                kind,
                channel: contact.channel,
                value_cents,
                responded_at: stamp(at),
            },
        ));
    }

    fn order(&mut self, customer: &Customer, number: u32, order: &Order) {
        let Bought { basket, full_cents, total_cents, mut draws } = Bought::of(self.world, customer, order);
        let line = |item: &Item<'w>| ItemLine {
            sku: &item.product.sku,
            category: item.product.category,
            quantity: item.quantity,
            price_cents: item.product.price_cents,
        };
        self.orders.add(Good::new(
            order.at,
            &OrderLine {
                order_id: format!("o{:05}-{number:03}", customer.number),
                user_id: &customer.user_id,
                email: &customer.email,
                ordered_at: stamp(order.at),
                currency: "EUR",
                total_cents,
                discount_cents: full_cents - total_cents,
                channel: order_channel(customer, &mut draws),
                payment: draws.one(&["card", "invoice", "paypal"]).unwrap_or(&"card"),
                items: basket.iter().map(line).collect(),
            },
        ));
    }

    fn consent(&mut self, customer: &Customer, change: &ConsentChange) {
        let status = match change {
            ConsentChange { granted: true, .. } => "granted",
            ConsentChange { source: "registration", .. } => "denied",
            ConsentChange { .. } => "withdrawn",
        };
        // The notice was reworded once.
        let notice = if stamp(change.at).as_str() < "2026" { "2024-11" } else { "2026-01" };
        let ConsentChange { purpose, at, source, .. } = change;
        let row = format!("{},{purpose},{status},{notice},{source},{}\n", customer.user_id, stamp(*at));
        self.consents.push((*at, row));
    }

    fn finish(mut self) -> History {
        let config = self.world.config();
        self.truth.n_customers = config.n_customers.into();
        let mut files = vec![
            File::new("customers.csv", self.customers.finish()),
            File::new(
                "consents.csv",
                in_order("user_id,purpose,status,notice_version,source,at\n", self.consents),
            ),
            File::new(
                "campaigns.csv",
                in_order(
                    "contact_id,campaign_id,user_id,action,channel,offer,cost_cents,propensity,sent_at\n",
                    self.contacts,
                ),
            ),
        ];
        (self.truth.n_devices, self.truth.n_logged_in_devices) = self.visits.devices();
        for stream in [self.orders, self.responses, self.visits.stream] {
            let (file, counts) = stream.finish();
            self.truth.streams.insert(file.path.trim_end_matches(".ndjson").to_owned(), counts);
            files.push(file);
        }
        files.push(File::new("truth.json", self.truth.to_json()));
        History { files, truth: self.truth }
    }
}

/// Who likes the phone's messages orders in the app: how customers order tells how to reach them.
fn order_channel(customer: &Customer, draws: &mut Draws) -> &'static str {
    let weights = Channel::ALL.map(|channel| customer.affinity(channel));
    ["web", "app", "store"].get(draws.weighted(&weights)).unwrap_or(&"web")
}

/// CSV rows by time, those of one instant in the order they were made.
fn in_order(head: &str, mut rows: Vec<(Instant, String)>) -> Vec<u8> {
    rows.sort_by_key(|(at, _)| *at);
    std::iter::once(head).chain(rows.iter().map(|(_, row)| row.as_str())).collect::<String>().into_bytes()
}

/// The instants of a customer's orders.
pub(crate) type OrderTimes = BTreeSet<Instant>;
