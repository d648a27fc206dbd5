//! A use case counted anew by one formula: every decision by the same, whatever it was made under.
//!
//! The live tallies count each decision by the formula of its own time, which is what was promised then. A figure that is
//! to be compared over a change of formula, or reproduced as it was last year, is counted anew from the same rows: what
//! was decided, sent and told stays, only what counts as a success is asked again.

use std::collections::BTreeMap;

use event::{Instant, Subject};
use store::Error;

use crate::rows::{SendState, Standing};
use crate::tables::Tables;
use crate::tally::{FormulaTally, Tally, kind_of};
use crate::usecase::Goal;

impl Tables {
    /// What a use case did with each subject of this partition, counted by `goal` alone.
    ///
    /// * `until`: only what was decided and known by then; the releases of actions have no date and count whenever they
    ///   happened
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn recount(
        &self,
        use_case: &str,
        goal: &Goal,
        until: Option<Instant>,
    ) -> Result<BTreeMap<Subject, Tally>, Error> {
        let mut tallies: BTreeMap<Subject, Tally> = BTreeMap::new();
        self.standings.scan(|_, standing| {
            if standing.use_case == use_case && until.is_none_or(|until| standing.at <= until) {
                count(tallies.entry(standing.subject).or_default(), standing, goal, until);
            }
        })?;
        // Which decision came first, and so whose arm counts, is a matter of the order of the journal.
        self.tallies(use_case, |subject, live| {
            if let Some(tally) = tallies.get_mut(&subject) {
                tally.first_at = live.first_at;
                tally.held_out = live.held_out;
            }
        })?;
        Ok(tallies)
    }
}

fn count(tally: &mut Tally, standing: &Standing, goal: &Goal, until: Option<Instant>) {
    let is_known = |at: Instant| until.is_none_or(|until| at <= until);
    tally.n_decisions += 1;
    let formula = FormulaTally { metric: goal.metric.clone(), version: goal.formula_version, n_decisions: 1 };
    tally.counted_by(&formula);
    let (mut n_sent, mut n_released) = (0, 0);
    match &standing.state {
        SendState::Sent { at } if is_known(*at) => {
            n_sent = 1;
            tally.cost += standing.cost;
        }
        SendState::Released { .. } => n_released = 1,
        _ => {}
    }
    let told = standing.outcomes.iter().filter(|row| is_known(row.known_at));
    let mut succeeded = false;
    let mut earned = crate::Cents::ZERO;
    let by_action = tally.action(&standing.action, &standing.channel);
    by_action.n_decided += 1;
    by_action.n_sent += n_sent;
    by_action.n_released += n_released;
    if n_sent > 0 {
        by_action.cost += standing.cost;
    }
    for row in told {
        let success = goal.counts(&row.kind, standing.at, row.occurred_at);
        let worth = goal.worth(row.value, success);
        succeeded |= success;
        if success {
            earned += worth;
            by_action.value += worth;
        }
        let by_kind = kind_of(&mut by_action.outcomes, &row.kind);
        by_kind.n += 1;
        by_kind.value += worth;
    }
    by_action.n_successful += u64::from(succeeded);
    tally.n_successful += u32::from(succeeded);
    tally.value += earned;
}
