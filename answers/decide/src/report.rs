//! What a use case did: decisions by action and channel, cost, outcomes, and the uplift against the holdout.
//!
//! The unit of comparison is the profile: its members' tallies are one, and it is in the arm it was assigned
//! first. Everybody who was decided for counts, also those for whom nothing was feasible (intention to treat):
//! leaving them out would compare the willing with everybody.

use std::collections::BTreeMap;

use event::{Instant, Subject};
use serde::Serialize;

use crate::money::Cents;
use crate::stats::{Estimate, Rate, Sums};
use crate::tally::{ActionTally, FormulaTally, Tally, action_of, add_formula};

/// What a use case did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The use case.
    pub use_case: String,
    /// By which versions of the metric's formula it is counted; of several, each decision by that of its own time.
    pub formulas: Vec<FormulaTally>,
    /// Decisions, with and without an action.
    pub n_decisions: u64,
    /// What was spent on sent actions.
    pub cost: Cents,
    /// By action and channel, sorted.
    pub actions: Vec<ActionTally>,
    /// By channel, sorted.
    pub channels: Vec<ChannelTally>,
    /// Treated against held out.
    pub uplift: Uplift,
}

/// What went through one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChannelTally {
    /// The channel; empty: nothing was done.
    pub channel: String,
    /// Decisions.
    pub n_decided: u64,
    /// Of them, sent.
    pub n_sent: u64,
    /// Of them, given back unsent.
    pub n_released: u64,
    /// What was spent on the sent ones.
    pub cost: Cents,
}

/// Treated against held out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Uplift {
    /// Those who could get something.
    pub treated: Group,
    /// Those who got nothing.
    pub held_out: Group,
    /// Share of successful profiles, treated minus held out (Newcombe).
    pub rate_difference: Estimate,
    /// Value per profile in cents, treated minus held out (Welch).
    pub value_difference_cents: Estimate,
}

/// One arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Profiles.
    pub n_profiles: u64,
    /// Of them, with at least one success.
    pub n_successful: u64,
    /// Their share (Wilson).
    pub rate: Estimate,
    /// What successes were worth.
    pub value: Cents,
    /// Value per profile in cents.
    pub mean_value_cents: f64,
    /// What was spent on them.
    pub cost: Cents,
}

/// Gathers tallies from all partitions; makes the report at the end.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    n_decisions: u64,
    cost: Cents,
    actions: Vec<ActionTally>,
    formulas: Vec<FormulaTally>,
    profiles: BTreeMap<Subject, Unit>,
}

#[derive(Clone, Debug)]
struct Unit {
    first: (Option<Instant>, Subject),
    held_out: bool,
    successful: bool,
    value: Cents,
    cost: Cents,
}

impl Collector {
    /// Adds one subject's tally ([`crate::Tables::tallies`]).
    ///
    /// * `profile`: any one subject that stands for the profile, the same for all its members
    pub fn add(&mut self, profile: Subject, subject: Subject, tally: &Tally) {
        self.n_decisions += u64::from(tally.n_decisions);
        self.cost += tally.cost;
        for formula in &tally.formulas {
            add_formula(&mut self.formulas, formula);
        }
        for action in &tally.actions {
            action_of(&mut self.actions, &action.action, &action.channel).add(action);
        }
        let first = (tally.first_at, subject);
        let unit = self.profiles.entry(profile).or_insert(Unit {
            first,
            held_out: tally.held_out,
            successful: false,
            value: Cents::ZERO,
            cost: Cents::ZERO,
        });
        if first < unit.first {
            unit.first = first;
            unit.held_out = tally.held_out;
        }
        unit.successful |= tally.n_successful > 0;
        unit.value += tally.value;
        unit.cost += tally.cost;
    }

    /// The report.
    pub fn report(self, use_case: &str) -> Report {
        let mut channels: BTreeMap<&str, ChannelTally> = BTreeMap::new();
        for action in &self.actions {
            let channel = channels
                .entry(&action.channel)
                .or_insert_with(|| ChannelTally { channel: action.channel.clone(), ..Default::default() });
            channel.n_decided += action.n_decided;
            channel.n_sent += action.n_sent;
            channel.n_released += action.n_released;
            channel.cost += action.cost;
        }
        let channels = channels.into_values().collect();
        let (mut treated, mut held_out) = (Sum::default(), Sum::default());
        for unit in self.profiles.values() {
            if unit.held_out { held_out.add(unit) } else { treated.add(unit) }
        }
        // Values are in parts of a cent; the estimate speaks cents.
        let parts = treated.values.minus(held_out.values);
        let cents = |x: f64| x / Cents::new(1).parts() as f64;
        Report {
            use_case: use_case.to_owned(),
            formulas: self.formulas,
            n_decisions: self.n_decisions,
            cost: self.cost,
            channels,
            actions: self.actions,
            uplift: Uplift {
                rate_difference: treated.rate().minus(held_out.rate()),
                value_difference_cents: Estimate {
                    value: cents(parts.value),
                    low: parts.low.map(cents),
                    high: parts.high.map(cents),
                },
                treated: treated.group(),
                held_out: held_out.group(),
            },
        }
    }
}

#[derive(Default)]
struct Sum {
    n_successful: u64,
    values: Sums,
    value: Cents,
    cost: Cents,
}

impl Sum {
    fn add(&mut self, unit: &Unit) {
        self.n_successful += u64::from(unit.successful);
        self.values.add(unit.value.parts());
        self.value += unit.value;
        self.cost += unit.cost;
    }

    fn rate(&self) -> Rate {
        Rate { successes: self.n_successful, n: self.values.n }
    }

    fn group(&self) -> Group {
        Group {
            n_profiles: self.values.n,
            n_successful: self.n_successful,
            rate: self.rate().estimate(),
            value: self.value,
            mean_value_cents: self.values.mean() / Cents::new(1).parts() as f64,
            cost: self.cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(n: u8) -> Subject {
        Subject::from_bytes([n; 16])
    }

    fn tally(at: i64, held_out: bool, n_successful: u32, value: i64) -> Tally {
        let mut tally = Tally {
            first_at: Some(Instant::from_micros(at)),
            held_out,
            n_decisions: 1,
            n_successful,
            value: Cents::new(value),
            ..Default::default()
        };
        tally
            .action(if held_out { "no_action" } else { "mail" }, if held_out { "" } else { "email" })
            .n_decided = 1;
        tally
    }

    #[test]
    fn profiles_are_the_unit_and_the_first_arm_stays() {
        let mut collector = Collector::default();
        // One profile of two subjects: held out first, treated after the merge.
        collector.add(subject(1), subject(1), &tally(9, false, 1, 500));
        collector.add(subject(1), subject(2), &tally(5, true, 0, 0));
        collector.add(subject(3), subject(3), &tally(5, false, 0, 0));
        let report = collector.report("spring");
        assert_eq!(report.n_decisions, 3);
        assert_eq!(report.uplift.held_out.n_profiles, 1);
        assert_eq!(report.uplift.held_out.n_successful, 1);
        assert_eq!(report.uplift.held_out.value, Cents::new(500));
        assert_eq!(report.uplift.treated.n_profiles, 1);
        assert_eq!(report.channels.len(), 2);
        assert_eq!(report.uplift.value_difference_cents.low, None, "one profile says nothing of spread");
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let tallies: Vec<_> = (0..40_u8)
            .map(|n| {
                (
                    subject(n / 2),
                    subject(n),
                    tally(i64::from(n % 7), n % 3 == 0, u32::from(n % 4), i64::from(n)),
                )
            })
            .collect();
        let report = |order: &mut dyn Iterator<Item = &(Subject, Subject, Tally)>| {
            let mut collector = Collector::default();
            order.for_each(|(profile, subject, tally)| collector.add(*profile, *subject, tally));
            collector.report("spring")
        };
        assert_eq!(report(&mut tallies.iter()), report(&mut tallies.iter().rev()));
    }
}
