//! The truth about every action: what a customer would have ordered, and what the message changes.

use event::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::action::{Action, Channel, Offer};
use crate::calendar::{CLOSE_SECS, Day, OPEN_SECS, share_after};
use crate::customer::{Customer, Segment};
use crate::draws::{Draws, Topic};
use crate::product::total_cents;
use crate::world::World;

/// An order counts as a response this many days (of 24 hours) after the decision.
pub const RESPONSE_DAYS: i64 = 7;

/// How a customer took an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether an order followed within [`RESPONSE_DAYS`].
    pub ordered: bool,
    /// What the order is worth to the shop; 0 without one.
    pub value_cents: u64,
    /// When it came.
    pub ordered_at: Option<Instant>,
    /// When the message was opened, if it was.
    pub clicked_at: Option<Instant>,
    /// When the channel's consent was withdrawn, if it was.
    pub unsubscribed_at: Option<Instant>,
}

/// What somebody decided for a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// For whom.
    pub user_id: String,
    /// What.
    pub action: Action,
    /// When.
    pub at: Instant,
}

/// The true effect of decisions, against doing nothing for the same customers at the same instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uplift {
    /// How many decisions.
    pub n_decisions: usize,
    /// Mean probability of an order with the actions.
    pub rate: f64,
    /// Mean probability had nothing been done.
    pub rate_without: f64,
    /// The difference: what a holdout measurement estimates.
    pub uplift: f64,
    /// Mean value gained per decision, in cents, before the actions' costs.
    pub value_cents: f64,
}

impl World {
    /// The probability of an order within [`RESPONSE_DAYS`] of `at` if this is done. With [`Action::None`]: of an
    /// order that comes by itself.
    pub fn probability(&self, customer: &Customer, action: Action, at: Instant) -> f64 {
        let base = base(customer, at);
        (base + lift(customer, action)).clamp(0.0, 1.0)
    }

    /// What an order after this action is worth on average, in cents.
    pub fn mean_value_cents(&self, customer: &Customer, action: Action) -> f64 {
        let basket = self.catalogue().mean_basket_cents(&customer.taste);
        match action {
            Action::Send(_, Offer::Discount10) => 0.9 * basket,
            Action::Send(_, Offer::FreeShipping) => basket * (1.0 - 0.1 * customer.coupon_rate()) - 490.0,
            Action::None | Action::Send(_, Offer::News) => basket * (1.0 - 0.1 * customer.coupon_rate()),
        }
    }

    /// How the customer takes an action. The same question gives the same answer; with the same `draw`, a customer who
    /// orders by chance `p` also orders by every greater chance, so that policies can be compared with little noise.
    ///
    /// # Errors
    /// [`Error::UnknownCustomer`] if the world has no such customer.
    pub fn respond(&self, user_id: &str, action: Action, at: Instant, draw: u64) -> Result<Outcome, Error> {
        let customer = self.customer(user_id)?;
        let mut draws = Draws::of(self.config().seed, Topic::Respond, customer.number.into(), draw);
        let ordered = draws.chance(self.probability(customer, action, at));
        let order = self.order_value(customer, action, &mut draws);
        let ordered_at = order_instant(at, &mut draws);
        let (clicked_at, unsubscribed_at) = react(customer, action, at, &mut draws);
        Ok(Outcome {
            ordered,
            value_cents: if ordered { order } else { 0 },
            ordered_at: ordered.then_some(ordered_at),
            clicked_at,
            unsubscribed_at,
        })
    }

    /// The true effect of what was decided: what a measurement against a holdout should find.
    ///
    /// # Errors
    /// [`Error::UnknownCustomer`] if a decision is about somebody the world does not have.
    pub fn true_uplift<'a>(&self, decisions: impl IntoIterator<Item = &'a Decided>) -> Result<Uplift, Error> {
        let mut sum = Uplift::default();
        for Decided { user_id, action, at } in decisions {
            let customer = self.customer(user_id)?;
            let (with, without) =
                (self.probability(customer, *action, *at), self.probability(customer, Action::None, *at));
            sum.n_decisions += 1;
            sum.rate += with;
            sum.rate_without += without;
            sum.value_cents += with * self.mean_value_cents(customer, *action)
                - without * self.mean_value_cents(customer, Action::None);
        }
        let n = sum.n_decisions.max(1) as f64;
        let (rate, rate_without) = (sum.rate / n, sum.rate_without / n);
        Ok(Uplift {
            rate,
            rate_without,
            uplift: rate - rate_without,
            value_cents: sum.value_cents / n,
            ..sum
        })
    }

    /// Of these actions, the one most likely to be followed by an order; the first of equals, [`Action::None`] of none.
    pub fn best_action(&self, customer: &Customer, feasible: &[Action], at: Instant) -> Action {
        let mut best = (Action::None, -1.0);
        for action in feasible {
            let probability = self.probability(customer, *action, at);
            if probability > best.1 {
                best = (*action, probability);
            }
        }
        best.0
    }

    /// What an order is worth under an action, with a coupon of the customer's own now and then.
    pub(crate) fn order_value(&self, customer: &Customer, action: Action, draws: &mut Draws) -> u64 {
        let total = total_cents(&self.catalogue().basket(&customer.taste, draws));
        let coupon = draws.chance(customer.coupon_rate());
        discounted(total, action, coupon)
    }
}

/// What a basket of `total` cents brings: 10 % off once, by the offer or by a coupon.
pub(crate) fn discounted(total_cents: u64, action: Action, coupon: bool) -> u64 {
    match action {
        Action::Send(_, Offer::Discount10) => action.value_cents(total_cents),
        _ if coupon => action.value_cents(Offer::Discount10.value_cents(total_cents)),
        _ => action.value_cents(total_cents),
    }
}

/// The chance of an order on one day, by itself.
pub(crate) fn order_chance(customer: &Customer, day: Day) -> f64 {
    (customer.order_rate * day.factor()).min(0.9)
}

/// The probability of at least one order by itself in the window after `at`.
pub(crate) fn base(customer: &Customer, at: Instant) -> f64 {
    let first = Day::of(at);
    let end = at + Span::from_days(RESPONSE_DAYS);
    let none: f64 = (0..=RESPONSE_DAYS)
        .map(|k| {
            let covered = match k {
                0 => share_after(at),
                RESPONSE_DAYS => 1.0 - share_after(end),
                _ => 1.0,
            };
            1.0 - order_chance(customer, first.plus(k)) * covered
        })
        .product();
    1.0 - none
}

/// What an action adds to the probability of an order; negative where it only annoys.
fn lift(customer: &Customer, action: Action) -> f64 {
    let Action::Send(channel, offer) = action else { return 0.0 };
    let affinity = customer.affinity(channel);
    affinity * appeal(customer, offer) - (1.0 - affinity) * annoyance(customer.segment, channel)
}

fn appeal(customer: &Customer, offer: Offer) -> f64 {
    match (offer, customer.segment) {
        (Offer::News, Segment::Explorer) => 0.4,
        (Offer::News, Segment::Loyal) => 0.2,
        (Offer::News, Segment::Bargain | Segment::Dormant) => 0.02,
        (Offer::Discount10, _) => 0.6 * customer.price_sensitivity * customer.price_sensitivity,
        (Offer::FreeShipping, _) => 0.15,
    }
}

fn annoyance(segment: Segment, channel: Channel) -> f64 {
    match (channel, segment) {
        (Channel::Sms, Segment::Loyal) => 0.05,
        (Channel::Sms, _) => 0.02,
        (Channel::Push, _) => 0.01,
        (Channel::Email, _) => 0.0,
    }
}

/// When within the window an order comes, as orders by themselves would: on one of the open hours still covered.
pub(crate) fn order_instant(at: Instant, draws: &mut Draws) -> Instant {
    let open = Day::of(at).at_secs(OPEN_SECS).max(at);
    let day = Day::of(open);
    let k = draws.below(RESPONSE_DAYS as u32);
    let secs = draws.between(OPEN_SECS as f64, CLOSE_SECS as f64) as i64;
    let drawn = day.plus(i64::from(k)).at_secs(secs);
    // On the first day only what is left of it.
    if drawn < open { drawn + Span::from_days(RESPONSE_DAYS) } else { drawn }
        .min(at + Span::from_days(RESPONSE_DAYS) - Span::from_secs(1))
}

/// Whether the message is opened, and whether it is one too many.
pub(crate) fn react(
    customer: &Customer,
    action: Action,
    at: Instant,
    draws: &mut Draws,
) -> (Option<Instant>, Option<Instant>) {
    let (click, leave) = (draws.unit(), draws.unit());
    let (click_secs, leave_secs) = (60 + draws.below(86_400), 60 + draws.below(3 * 86_400));
    let Action::Send(channel, offer) = action else { return (None, None) };
    let affinity = customer.affinity(channel);
    let clicked = click < affinity * (0.1 + 2.0 * appeal(customer, offer));
    let left = leave < 0.002 + 0.02 * (1.0 - affinity) * (1.0 - affinity);
    let after = |secs: u32| at + Span::from_secs(secs.into());
    (clicked.then(|| after(click_secs)), left.then(|| after(leave_secs)))
}
