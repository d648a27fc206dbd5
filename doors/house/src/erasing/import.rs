//! A file that was on its way in when somebody in it was erased: the rest of it does not bring them back.

use std::collections::BTreeMap;

use event::{Instant, Subject};
use intake::{Outcome, Refusal};

use crate::Error;
use crate::house::House;

/// A row whose subject was erased after its file began to come in.
pub(crate) const ERASED_SINCE: &str = "MR3311";

impl House {
    /// Refuses what belongs to somebody who was erased after `since`. Returns how many rows that were.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub(crate) fn without_erased(&self, outcomes: &mut [Outcome], since: Instant) -> Result<u64, Error> {
        let mut known: BTreeMap<Subject, bool> = BTreeMap::new();
        let mut n_refused = 0;
        for outcome in outcomes {
            let (Outcome::Accepted { record, .. } | Outcome::Quarantined { record, .. }) = &*outcome else {
                continue;
            };
            let subject = record.subject;
            if subject.is_none() {
                continue;
            }
            let gone = match known.get(&subject) {
                Some(gone) => *gone,
                None => {
                    let gone = self.erased_at(subject)?.is_some_and(|at| at >= since);
                    known.insert(subject, gone);
                    gone
                }
            };
            if gone {
                let message = "its subject was erased after this import began; nothing of the row is kept";
                *outcome = Outcome::Refused(Refusal::new(ERASED_SINCE, message));
                n_refused += 1;
            }
        }
        Ok(n_refused)
    }
}
