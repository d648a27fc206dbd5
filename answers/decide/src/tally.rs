//! What a use case did with one subject, summed: the rows that reports add up.

use event::{Instant, Version};
use serde::{Deserialize, Serialize};

use crate::money::Cents;

/// What a use case did with one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// When the first decision was made.
    pub first_at: Option<Instant>,
    /// The arm of the first decision.
    pub held_out: bool,
    /// Decisions, with and without an action.
    pub n_decisions: u32,
    /// Decisions with at least one success.
    pub n_successful: u32,
    /// What successes were worth.
    pub value: Cents,
    /// What was spent on sent actions.
    pub cost: Cents,
    /// By action, sorted by name.
    pub actions: Vec<ActionTally>,
    /// By which formulas it is counted, sorted.
    pub formulas: Vec<FormulaTally>,
}

/// Decisions that are counted by one version of a metric's formula.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FormulaTally {
    /// The metric.
    pub metric: String,
    /// The version of its formula.
    pub version: Version,
    /// Decisions counted by it.
    pub n_decisions: u64,
}

/// The same by action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionTally {
    /// The action.
    pub action: String,
    /// Its channel; empty where nothing is done.
    pub channel: String,
    /// Decisions for it.
    pub n_decided: u64,
    /// Of them, sent.
    pub n_sent: u64,
    /// Of them, given back unsent.
    pub n_released: u64,
    /// What was spent on the sent ones.
    pub cost: Cents,
    /// Decisions for it with at least one success.
    pub n_successful: u64,
    /// What its successes were worth.
    pub value: Cents,
    /// Outcomes by kind, sorted by kind.
    pub outcomes: Vec<KindTally>,
}

/// Outcomes of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTally {
    /// The kind.
    pub kind: String,
    /// How many.
    pub n: u64,
    /// What they were worth.
    pub value: Cents,
}

impl Tally {
    pub(crate) fn action(&mut self, action: &str, channel: &str) -> &mut ActionTally {
        action_of(&mut self.actions, action, channel)
    }

    pub(crate) fn counted_by(&mut self, formula: &FormulaTally) {
        add_formula(&mut self.formulas, formula);
    }
}

/// Adds decisions to the formula they are counted by.
pub(crate) fn add_formula(formulas: &mut Vec<FormulaTally>, more: &FormulaTally) {
    let key = |one: &FormulaTally| (one.metric.clone(), one.version);
    let wanted = key(more);
    let fresh = || FormulaTally { n_decisions: 0, ..more.clone() };
    entry(formulas, |one| key(one).cmp(&wanted), fresh).n_decisions += more.n_decisions;
}

pub(crate) fn action_of<'a>(
    actions: &'a mut Vec<ActionTally>,
    action: &str,
    channel: &str,
) -> &'a mut ActionTally {
    let fresh =
        || ActionTally { action: action.to_owned(), channel: channel.to_owned(), ..Default::default() };
    // The channel belongs to the key: a later version of the use case may move an action to another one.
    entry(actions, |a| (a.action.as_str(), a.channel.as_str()).cmp(&(action, channel)), fresh)
}

pub(crate) fn kind_of<'a>(kinds: &'a mut Vec<KindTally>, kind: &str) -> &'a mut KindTally {
    entry(kinds, |k| k.kind.as_str().cmp(kind), || KindTally { kind: kind.to_owned(), ..Default::default() })
}

/// The item of a sorted list, made where it is missing.
fn entry<T>(
    list: &mut Vec<T>,
    compare: impl Fn(&T) -> std::cmp::Ordering,
    fresh: impl FnOnce() -> T,
) -> &mut T {
    let at = match list.binary_search_by(compare) {
        Ok(at) => at,
        Err(at) => {
            list.insert(at, fresh());
            at
        }
    };
    #[allow(clippy::indexing_slicing, reason = "`at` was found or inserted just above")]
    &mut list[at]
}

impl ActionTally {
    /// Adds another tally of the same action.
    pub(crate) fn add(&mut self, other: &ActionTally) {
        self.n_decided += other.n_decided;
        self.n_sent += other.n_sent;
        self.n_released += other.n_released;
        self.cost += other.cost;
        self.n_successful += other.n_successful;
        self.value += other.value;
        for kind in &other.outcomes {
            let mine = kind_of(&mut self.outcomes, &kind.kind);
            mine.n += kind.n;
            mine.value += kind.value;
        }
    }
}
