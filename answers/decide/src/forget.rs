//! An erased subject's decisions, caps and tallies go (LAW 4). What was spent stays spent: money is nobody's data.

use event::{RecordId, Subject};
use store::{Error, Key};

use crate::rows::{SendState, Used};
use crate::tables::Tables;

impl Tables {
    /// Forgets a subject: decisions with what became of them, contacts that count for caps, its arm in every holdout, its
    /// tallies, findings about its records. What was set aside for actions that are not sent yet is given back. Returns
    /// how many rows were removed.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn forget(&mut self, subject: Subject) -> Result<u64, Error> {
        let mut start = Vec::new();
        subject.write(&mut start);
        let mut records: Vec<(RecordId, String)> = Vec::new();
        self.of_subject.scan_from(&start, &mut |(_, record), salt| records.push((*record, salt.clone())))?;
        let mut n_rows = 0;
        for (record, salt) in &records {
            n_rows += self.forget_decision(subject, *record, salt)?;
            if self.findings.get(record)?.is_some() {
                self.findings.remove(record);
                n_rows += 1;
            }
            self.of_subject.remove(&(subject, *record));
        }
        if self.contacts.get(&subject)?.is_some() {
            self.contacts.remove(&subject);
            n_rows += 1;
        }
        Ok(n_rows)
    }

    fn forget_decision(&mut self, subject: Subject, record: RecordId, salt: &str) -> Result<u64, Error> {
        let mut n_rows = 0;
        if let Some(standing) = self.standings.get(&record)?.cloned() {
            self.drop_open(record, standing.expires)?;
            let is_open = matches!(standing.state, SendState::Reserved | SendState::Claimed { .. });
            if let Some(grant) = standing.grant.filter(|_| is_open) {
                self.used.0.update(&grant, |used: &mut Used| {
                    used.reserved -= standing.cost;
                    used.n_open = used.n_open.saturating_sub(1);
                })?;
            }
            let tally = (standing.use_case, subject);
            if self.tallies.get(&tally)?.is_some() {
                self.tallies.remove(&tally);
                n_rows += 1;
            }
            self.standings.remove(&record);
            n_rows += 1;
        }
        self.places.0.remove(&record);
        let assigned = (salt.to_owned(), subject);
        if self.holdouts.get(&assigned)?.is_some() {
            self.holdouts.remove(&assigned);
            n_rows += 1;
        }
        Ok(n_rows)
    }
}
