//! What came of decisions: outcomes told, decisions looked up and explained, use cases reported.

use std::collections::BTreeMap;

use decide::{
    Collector, DecisionRecord, Explanation, OUTCOMES, Outcome, Report, Send, SendState, SendStatus, Standing,
    Tally,
};
use event::{Cell, Instant, RecordId, Subject};
use policy::{Action, Principal};

use crate::Error;
use crate::house::{House, WAIT, system_record};

/// The schema version of sealed evidence.
pub(crate) const EVIDENCE_SCHEMA: u32 = 1;

/// An outcome as somebody tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The decision.
    pub decision: RecordId,
    /// What happened.
    pub kind: String,
    /// What it was worth, in cents.
    pub value: Option<decide::Cents>,
    /// When it happened; `None`: now.
    pub occurred_at: Option<Instant>,
    /// The teller's own id for it, so that telling twice is telling once.
    pub id: Option<String>,
}

impl House {
    /// Records outcomes; durable and folded when this returns. A late one counts, one that was told before does not.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown decision: then none of them was recorded.
    pub fn outcomes(&self, told: &[Told]) -> Result<(), Error> {
        let flight = self.clock().arrive();
        let mut records = Vec::with_capacity(told.len());
        for one in told {
            let (subject, _) = self.standing_of(one.decision)?;
            let occurred_at = one.occurred_at.unwrap_or(flight.known_at());
            let outcome = Outcome {
                v: 1,
                decision: one.decision,
                kind: one.kind.chars().take(64).collect(),
                value: one.value,
                occurred_at,
            };
            let payload = outcome.to_payload();
            let id = match &one.id {
                Some(id) => RecordId::external(OUTCOMES, format!("{} {id}", one.decision).as_bytes()),
                None => RecordId::external(OUTCOMES, &payload),
            };
            records.push(system_record(OUTCOMES, subject, id, Some(occurred_at), &flight, payload));
        }
        if !records.is_empty() {
            self.engine().append_folded(records, WAIT)?;
        }
        drop(flight);
        Ok(())
    }

    /// A decision by its id; its evidence is opened only for a principal who may read decisions' features for the
    /// use case's purpose.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`]
    pub fn decision(&self, principal: &Principal, id: RecordId) -> Result<DecisionRecord, Error> {
        let (subject, _) = self.standing_of(id)?;
        let missing = || Error::NotFound { what: "decision", id: id.to_string() };
        let at = self.in_partition(subject, |rooms| rooms.decisions.place_of(id))?.ok_or_else(missing)?;
        let mut tail = self.engine().journal().tail(self.partition_of(subject), at);
        let stored = tail.next(1, None).map_err(process::Error::from)?;
        let stored = stored.iter().map(|(_, record)| record).find(|record| record.id == id);
        let stored = stored.ok_or_else(missing)?;
        let record = DecisionRecord::from_parts(&stored.payload.open, None)?;
        let evidence =
            stored.payload.cells.iter().find(|cell| cell.column.as_ref() == decide::EVIDENCE_COLUMN);
        let Some(Cell { sealed, .. }) = evidence else { return Ok(record) };
        // LAW 3: evidence is personal, and opened under a grant only.
        let grant = self.grant(principal, Action::Decide, &record.purpose, subject)?;
        let opened = grant.unseal(self.vault(), subject, decide::EVIDENCE_COLUMN, EVIDENCE_SCHEMA, sealed)?;
        let opened = opened.as_ref().map(|plain| plain.as_slice());
        Ok(DecisionRecord::from_parts(&stored.payload.open, opened)?)
    }

    /// Why a decision came out as it did, and what came of it.
    ///
    /// # Errors
    /// As [`House::decision`].
    pub fn explain(&self, principal: &Principal, id: RecordId) -> Result<Explanation, Error> {
        let record = self.decision(principal, id)?;
        let detail = serde_json::json!({ "decision": id });
        let (purpose, subject) = (&record.purpose, record.members.first().copied());
        self.audit_look("decision.explain", principal, purpose, subject, detail)?;
        self.explained(&record, id)
    }

    pub(crate) fn explained(&self, record: &DecisionRecord, id: RecordId) -> Result<Explanation, Error> {
        let (_, standing) = self.standing_of(id)?;
        let outcomes: Vec<Outcome> = standing
            .outcomes
            .iter()
            .map(|row| Outcome {
                v: 1,
                decision: id,
                kind: row.kind.clone(),
                value: row.value,
                occurred_at: row.occurred_at,
            })
            .collect();
        Ok(decide::explain(record, &outcomes, &sends(id, &standing)))
    }

    /// Checks that a decision comes out of its record again, bit for bit (LAW 6).
    ///
    /// # Errors
    /// As [`House::decision`]; [`Error::Internal`] where it does not.
    pub fn reproduce(&self, principal: &Principal, id: RecordId) -> Result<DecisionRecord, Error> {
        let record = self.decision(principal, id)?;
        decide::reproduce(&record).map_err(|mismatch| Error::Internal { reason: mismatch.to_string() })?;
        Ok(record)
    }

    /// What a use case did so far.
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`], [`Error::Store`]
    pub fn report(&self, use_case: &str) -> Result<Report, Error> {
        let name = &self.use_case(use_case)?.name;
        let mut tallies: Vec<(Subject, Tally)> = Vec::new();
        self.in_each_partition(|rooms| {
            rooms.decisions.tallies(name, |subject, tally| tallies.push((subject, tally.clone())))
        })?;
        tallies.sort_by_key(|(subject, _)| *subject);
        let mut collector = Collector::default();
        for (subject, tally) in &tallies {
            collector.add(self.members(*subject)?.id, *subject, tally);
        }
        Ok(collector.report(name))
    }

    /// What is left of each use case's budget now: (use case, currency, total, spent or set aside).
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn budgets(&self) -> Result<Vec<BudgetState>, Error> {
        let now = self.now();
        let mut states = Vec::new();
        for use_case in self.use_cases() {
            let account = use_case.account(now);
            let mut state = BudgetState {
                use_case: use_case.name.clone(),
                currency: use_case.budget.currency.clone(),
                total: use_case.budget.total,
                granted: decide::Cents::ZERO,
                spent: decide::Cents::ZERO,
            };
            let home = decide::home(&use_case.budget.name);
            let found = self.in_partition(home, |rooms| rooms.decisions.account(&account))?;
            if let Some(found) = found {
                state.granted = found.outstanding;
                state.spent = found.spent;
            }
            states.push(state);
        }
        Ok(states)
    }

    pub(crate) fn standing_of(&self, id: RecordId) -> Result<(Subject, Standing), Error> {
        let mut found = None;
        self.in_each_partition(|rooms| {
            if let Some(standing) = rooms.decisions.standing(id)? {
                found = Some((standing.subject, (*standing).clone()));
            }
            Ok(())
        })?;
        found.ok_or_else(|| Error::NotFound { what: "decision", id: id.to_string() })
    }

    /// How many open reservations there are, by channel.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn waiting(&self) -> Result<BTreeMap<String, u64>, Error> {
        let mut waiting = BTreeMap::new();
        self.in_each_partition(|rooms| {
            rooms.decisions.open_reservations(|_, open| {
                *waiting.entry(open.channel.clone()).or_default() += 1;
            })
        })?;
        Ok(waiting)
    }
}

/// A budget's account in its current period.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BudgetState {
    /// The use case.
    pub use_case: String,
    /// Three letters.
    pub currency: String,
    /// The most that may be spent.
    pub total: decide::Cents,
    /// What partitions hold to spend.
    pub granted: decide::Cents,
    /// What was settled as spent.
    pub spent: decide::Cents,
}

fn sends(id: RecordId, standing: &Standing) -> Vec<Send> {
    let send = |status, at, claim: &str, reason: &str| {
        vec![Send {
            v: 1,
            decision: id,
            action: standing.action.clone(),
            channel: standing.channel.clone(),
            at,
            status,
            claim: claim.to_owned(),
            reason: reason.to_owned(),
        }]
    };
    match &standing.state {
        SendState::Nothing | SendState::Reserved => Vec::new(),
        SendState::Claimed { claim } => send(SendStatus::Claimed, standing.at, claim, ""),
        SendState::Sent { at } => send(SendStatus::Sent, *at, "", ""),
        SendState::Released { reason } => send(SendStatus::Released, standing.at, "", reason),
    }
}
