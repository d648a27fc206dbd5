//! Decisions: what may be done for a person, what is best, and what came of it.
//!
//! ```text
//! UseCase (YAML) ─┐                      ┌─► DecisionRecord ─► mr.decisions ─► DecideFold ─► Tables
//! Situation ──────┴─► choose(seed) ─────┘                     mr.sends, mr.outcomes ──┘   │
//!    ▲ features, scores, consents: the caller                                             │
//!    └ cap counts, arm, allowance ◄── caps::counts, holdout::arm, Till::take ◄────────────┘
//! ```
//! First what is feasible (validity, eligibility, consent, caps, budget, holdout), then what is best, then a draw
//! with exact propensities. A decision is recorded before it is answered and reproduces from its record (LAW 6);
//! caps and budgets are reservations that fail closed (LAW 7).
//!
//! This room does not know how features are computed, how a model scores, how a consent was given, who asks, or
//! how an action is sent. It takes those as values and knows no clock, file, network or generator of chance.

mod budget;
pub mod caps;
mod check;
mod choose;
mod chore;
mod duties;
mod error;
mod explain;
mod explain_text;
mod finding;
mod fold;
mod fold_budget;
mod forget;
pub mod holdout;
mod money;
pub mod outbox;
mod outcome;
mod period;
mod policy;
mod read;
mod record;
mod recount;
mod report;
mod reproduce;
mod rng;
mod rows;
mod situation;
mod stats;
mod tables;
mod tally;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod till;
mod usecase;
mod value;
mod yaml;

pub use budget::{BUDGETS, BudgetEvent, home, spender};
pub use check::{Project, check};
pub use choose::{Candidate, Decision, Excluded, WhyNot, choose, gain};
pub use chore::{Chore, chores, release, set_budget};
pub use contract::LegalBasis;
pub use duties::{Duties, Effect, Review};
pub use error::Error;
pub use explain::{Explanation, Language, explain};
pub use feature::expr::{Expr, Facts, Truth};
pub use finding::{Finding, code};
pub use fold::{DecideFold, MAX_OUTCOMES};
pub use money::Cents;
pub use outcome::{OUTCOMES, Outcome, SENDS, Send, SendStatus};
pub use period::Period;
pub use policy::{Distribution, POLICY_VERSION, Policy};
pub use record::{
    Chosen, DECISION_VERSION, DECISIONS, DecisionRecord, EVIDENCE_COLUMN, Evidence, HeldOut, ModelUsed,
    Reservation, decision_id,
};
pub use report::{ChannelTally, Collector, Group, Report, Uplift};
pub use reproduce::{Mismatch, reproduce, reproduce_with};
pub use rows::{
    Account, Assigned, BudgetTerms, Contact, Grant, OpenReservation, OutcomeRow, Outstanding, Purse,
    SendState, Standing, StoredFinding, Used,
};
pub use situation::{Allowance, Arm, CapState, Consent, Score, Situation};
pub use stats::Estimate;
pub use tables::Tables;
pub use tally::{ActionTally, FormulaTally, KindTally, Tally};
pub use till::{Taken, Till};
pub use usecase::{
    Action, Budget, Cap, CapScope, Declared, Goal, Holdout, MAX_WINDOW, NO_ACTION, RiskClass, ScoreSource,
    SecurityLevel, UseCase,
};
pub use value::{Input, Observed, Origin, Value};
