//! Figures counted anew by a formula of the ledger.

use std::collections::BTreeMap;

use decide::{Collector, Report, Tally};
use event::{Instant, Subject, Version};

use crate::Error;
use crate::house::House;

impl House {
    /// What a use case did, every decision counted by one version of its metric's formula: to reproduce a figure that was
    /// reported under it, or to compare over a change of formula. [`House::report`] counts each decision by the formula
    /// it was made under.
    ///
    /// * `formula`: a version that is or was in force
    /// * `until`: as it was known then; the arms and the people are those of today
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`]; [`Error::NotFound`] where that version was never in force, naming those that were.
    pub fn report_by(
        &self,
        use_case: &str,
        formula: Version,
        until: Option<Instant>,
    ) -> Result<Report, Error> {
        let name = self.use_case(use_case)?.name.clone();
        let ledger = self.ledger()?;
        let Some(goal) = ledger.formula(&name, formula) else {
            let known = ledger.formula_versions(&name).join(", ");
            return Err(Error::NotFound { what: "formula", id: format!("{name} {formula}; known: {known}") });
        };
        let mut tallies: BTreeMap<Subject, Tally> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            // A subject's decisions all lie in its own partition.
            tallies.extend(rooms.decisions.recount(&name, goal, until)?);
            Ok(())
        })?;
        let mut collector = Collector::default();
        for (subject, tally) in &tallies {
            collector.add(self.members(*subject)?.id, *subject, tally);
        }
        Ok(collector.report(&name))
    }
}
