//! Folds decisions, outcomes and sends into state. Every step may see a record twice or in a surprising order
//! and then changes nothing, or notes a finding.

use event::{Instant, Record, RecordId, Span, Version};
use serde::Deserialize;
use store::{Emissions, Error, Fold};

use crate::budget::{BUDGETS, BudgetEvent};
use crate::finding::code;
use crate::fold_budget;
use crate::money::Cents;
use crate::outcome::{OUTCOMES, Outcome, SENDS, Send, SendStatus};
use crate::record::{DECISION_VERSION, DECISIONS};
use crate::rows::{Assigned, Contact, OpenReservation, OutcomeRow, SendState, Standing, StoredFinding, Used};
use crate::tables::{Due, Tables};
use crate::tally::{FormulaTally, Tally, kind_of};
use crate::usecase::{self, MAX_WINDOW, NO_ACTION};

/// The most outcomes one decision may have.
pub const MAX_OUTCOMES: usize = 1_000;
/// As long as a subject has fewer contacts than this, none is forgotten: a clock that jumps to the future and
/// back must not make caps forget.
const KEEP_CONTACTS: usize = 256;

/// The fold over `mr.decisions`, `mr.outcomes`, `mr.sends` and `mr.budgets`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecideFold;

impl DecideFold {
    /// The streams it folds.
    pub const STREAMS: [&'static str; 4] = [DECISIONS, OUTCOMES, SENDS, BUDGETS];
}

impl Fold<Record> for DecideFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, out: &mut Emissions) -> Result<(), Error> {
        match record.stream.as_str() {
            DECISIONS => match Slim::read(record) {
                Ok(decision) => decided(tables, record, decision),
                Err(reason) => note(tables, record, code::RECORD, reason),
            },
            OUTCOMES => match Outcome::from_payload(&record.payload.open) {
                Ok(outcome) => outcome_told(tables, record, &outcome),
                Err(error) => note(tables, record, code::RECORD, error.to_string()),
            },
            SENDS => match Send::from_payload(&record.payload.open) {
                Ok(send) => send_told(tables, record, &send),
                Err(error) => note(tables, record, code::RECORD, error.to_string()),
            },
            BUDGETS => match BudgetEvent::from_payload(&record.payload.open) {
                Ok(event) => fold_budget::fold(tables, record, event, out),
                Err(error) => note(tables, record, code::RECORD, error.to_string()),
            },
            _ => Ok(()),
        }
    }
}

/// Notes what is wrong with a record, under its id.
pub(crate) fn note(
    tables: &mut Tables,
    record: &Record,
    code: &'static str,
    message: String,
) -> Result<(), Error> {
    let finding = StoredFinding {
        code: code.to_owned(),
        stream: record.stream.as_str().to_owned(),
        subject: record.subject,
        message,
        known_at: record.known_at,
    };
    if !record.subject.is_none() {
        tables.of_subject.put((record.subject, record.id), String::new());
    }
    tables.findings.put(record.id, finding);
    Ok(())
}

/// What the fold needs of a decision. None of it is sealed.
#[derive(Deserialize)]
struct Slim {
    v: u16,
    decision: RecordId,
    use_case: String,
    members: Vec<event::Subject>,
    at: Instant,
    chosen: crate::record::Chosen,
    reservation: Option<crate::record::Reservation>,
    holdout: crate::record::HeldOut,
    goal: SlimGoal,
}

#[derive(Deserialize)]
struct SlimGoal {
    metric: String,
    formula_version: Version,
    success: Vec<String>,
    within: Span,
    value: Cents,
}

impl Slim {
    fn read(record: &Record) -> Result<Self, String> {
        let slim: Slim = serde_json::from_slice(&record.payload.open)
            .map_err(|e| format!("a record of stream `{DECISIONS}` cannot be read: {e}"))?;
        if slim.v == 0 || slim.v > DECISION_VERSION {
            return Err(format!(
                "the decision has version {}; this build reads 1 to {DECISION_VERSION}",
                slim.v
            ));
        }
        if slim.decision != record.id {
            return Err(format!(
                "the decision calls itself {}, but its record is {}",
                slim.decision, record.id
            ));
        }
        Ok(slim)
    }
}

fn decided(tables: &mut Tables, record: &Record, decision: Slim) -> Result<(), Error> {
    if tables.standings.get(&record.id)?.is_some() {
        return Ok(());
    }
    let subject = record.subject;
    tables.of_subject.put((subject, record.id), decision.holdout.salt.clone());
    // The first assigned arm stays, whatever a later decision says.
    let assigned = (decision.holdout.salt.clone(), subject);
    if tables.holdouts.get(&assigned)?.is_none() {
        let held_out = decision.holdout.arm.held_out;
        tables.holdouts.put(assigned, Assigned { held_out, known_at: record.known_at });
    }
    let acts = decision.chosen.action != NO_ACTION;
    tables.tallies.update(&(decision.use_case.clone(), subject), |tally: &mut Tally| {
        if tally.first_at.is_none() {
            tally.first_at = Some(decision.at);
            tally.held_out = decision.holdout.arm.held_out;
        }
        tally.n_decisions += 1;
        let (metric, version) = (decision.goal.metric.clone(), decision.goal.formula_version);
        tally.counted_by(&FormulaTally { metric, version, n_decisions: 1 });
        tally.action(&decision.chosen.action, &decision.chosen.channel).n_decided += 1;
    })?;
    let reservation = decision.reservation.filter(|_| acts);
    let standing = Standing {
        subject,
        use_case: decision.use_case.clone(),
        at: decision.at,
        action: decision.chosen.action.clone(),
        channel: decision.chosen.channel.clone(),
        cost: reservation.as_ref().map_or(Cents::ZERO, |r| r.amount),
        grant: reservation.as_ref().and_then(|r| r.grant),
        held_out: decision.holdout.arm.held_out,
        salt: decision.holdout.salt,
        success: decision.goal.success,
        within: decision.goal.within,
        success_value: decision.goal.value,
        // Without a reservation nothing is known of when it may lapse: it may at once.
        expires: reservation.as_ref().map_or(decision.at, |r| r.expires),
        state: if acts { SendState::Reserved } else { SendState::Nothing },
        outcomes: Vec::new(),
    };
    if acts {
        // LAW 7: from here on the contact counts and the money is set aside, sent or not.
        contact(tables, record.id, &standing, decision.at, false)?;
        if let Some(grant) = standing.grant {
            tables.used.0.update(&grant, |used: &mut Used| {
                used.reserved += standing.cost;
                used.n_open += 1;
            })?;
        }
        tables.set_open(
            record.id,
            OpenReservation {
                subject,
                members: decision.members,
                use_case: decision.use_case,
                action: decision.chosen.action,
                channel: decision.chosen.channel,
                creative: decision.chosen.creative,
                offer: decision.chosen.offer,
                purpose: decision.chosen.purpose,
                at: decision.at,
                expires: standing.expires,
                amount: standing.cost,
                grant: standing.grant,
                claim: String::new(),
            },
        )?;
    }
    tables.standings.put(record.id, standing);
    Ok(())
}

/// Enters or moves a contact, and forgets those that no cap can ask for.
fn contact(
    tables: &mut Tables,
    decision: RecordId,
    standing: &Standing,
    at: Instant,
    sent: bool,
) -> Result<(), Error> {
    tables.contacts.update(&standing.subject, |contacts: &mut Vec<Contact>| {
        match contacts.iter_mut().find(|contact| contact.decision == decision) {
            Some(contact) => {
                contact.at = at;
                contact.sent = sent;
            }
            None => contacts.push(Contact {
                decision,
                use_case: standing.use_case.clone(),
                action: standing.action.clone(),
                channel: standing.channel.clone(),
                at,
                sent,
            }),
        }
        if contacts.len() > KEEP_CONTACTS {
            contacts.retain(|contact| !contact.sent || contact.at > at - MAX_WINDOW);
        }
    })
}

fn outcome_told(tables: &mut Tables, record: &Record, outcome: &Outcome) -> Result<(), Error> {
    let found = tables.standings.get(&outcome.decision)?.filter(|s| s.subject == record.subject);
    let Some(standing) = found else {
        let message = format!(
            "outcome `{}` belongs to decision {}, which its subject does not have",
            crate::finding::short(&outcome.kind),
            outcome.decision
        );
        return note(tables, record, code::OUTCOME_WITHOUT_DECISION, message);
    };
    if standing.outcomes.iter().any(|row| row.id == record.id) {
        return Ok(());
    }
    if standing.outcomes.len() >= MAX_OUTCOMES {
        let message = format!("decision {} has {MAX_OUTCOMES} outcomes already", outcome.decision);
        return note(tables, record, code::TOO_MANY_OUTCOMES, message);
    }
    let (within, decided) = (standing.within, standing.at);
    let success = usecase::is_success(&standing.success, within, &outcome.kind, decided, outcome.occurred_at);
    let first_success = success && !standing.outcomes.iter().any(|row| row.success);
    let worth = usecase::worth(standing.success_value, outcome.value, success);
    let key = (standing.use_case.clone(), standing.subject);
    let (action, channel) = (standing.action.clone(), standing.channel.clone());
    tables.tallies.update(&key, |tally: &mut Tally| {
        tally.n_successful += u32::from(first_success);
        if success {
            tally.value += worth;
        }
        let by_action = tally.action(&action, &channel);
        by_action.n_successful += u64::from(first_success);
        if success {
            by_action.value += worth;
        }
        let by_kind = kind_of(&mut by_action.outcomes, &outcome.kind);
        by_kind.n += 1;
        by_kind.value += worth;
    })?;
    let row = OutcomeRow {
        id: record.id,
        kind: outcome.kind.clone(),
        value: outcome.value,
        occurred_at: outcome.occurred_at,
        known_at: record.known_at,
        success,
    };
    change(tables, outcome.decision, |standing| standing.outcomes.push(row))
}

/// Changes a standing that is known to be there.
fn change(tables: &mut Tables, decision: RecordId, how: impl FnOnce(&mut Standing)) -> Result<(), Error> {
    if let Some(standing) = tables.standings.get(&decision)? {
        let mut standing = standing.clone();
        how(&mut standing);
        tables.standings.put(decision, standing);
    }
    Ok(())
}

/// What a send means for an action in a given state.
enum Step {
    Nothing,
    Claim,
    Send,
    Release,
    /// It left although what was set aside for it had been given back.
    SendUnreserved,
}

fn step(state: &SendState, send: &Send) -> Step {
    use SendStatus::{Claimed, Failed, Released, Sent};
    match (state, send.status) {
        (SendState::Reserved, Claimed) => Step::Claim,
        (SendState::Reserved, Sent) => Step::Send,
        (SendState::Reserved, Failed | Released) => Step::Release,
        // Only the one who claimed it may say it failed; and a claimed one no longer lapses.
        (SendState::Claimed { .. }, Sent) => Step::Send,
        (SendState::Claimed { claim }, Failed) if *claim == send.claim => Step::Release,
        (SendState::Claimed { .. }, Claimed | Failed | Released) => Step::Nothing,
        // What was sent is sent: a bounce gives neither the contact nor the money back.
        (SendState::Sent { .. } | SendState::Nothing, _) => Step::Nothing,
        (SendState::Released { .. }, Sent) => Step::SendUnreserved,
        // A claim that came too late: the claimer looks, sees it does not hold it, and does not send.
        (SendState::Released { .. }, _) => Step::Nothing,
    }
}

fn send_told(tables: &mut Tables, record: &Record, send: &Send) -> Result<(), Error> {
    let found = tables.standings.get(&send.decision)?;
    let found = found.filter(|s| s.subject == record.subject && s.state != SendState::Nothing);
    let Some(standing) = found.cloned() else {
        let message =
            format!("a send belongs to decision {}, which its subject does not have", send.decision);
        return note(tables, record, code::SEND_WITHOUT_DECISION, message);
    };
    let next = step(&standing.state, send);
    match next {
        Step::Nothing => return Ok(()),
        Step::Claim => {
            if let Some(open) = tables.open.get(&Due::new(standing.expires, send.decision))? {
                let claimed = OpenReservation { claim: send.claim.clone(), ..open.clone() };
                tables.set_open(send.decision, claimed)?;
            }
        }
        Step::Send | Step::SendUnreserved => {
            // A clock that was set back must not move a contact out of a window.
            contact(tables, send.decision, &standing, send.at.max(standing.at), true)?;
            tables.drop_open(send.decision, standing.expires)?;
        }
        Step::Release => {
            tables.contacts.update(&standing.subject, |contacts| {
                contacts.retain(|contact| contact.decision != send.decision);
            })?;
            tables.drop_open(send.decision, standing.expires)?;
        }
    }
    book(tables, &standing, &next)?;
    if matches!(next, Step::SendUnreserved) {
        let message = format!(
            "action `{}` of decision {} was sent after it had been given back; it counts for caps and costs {}",
            crate::finding::short(&standing.action),
            send.decision,
            standing.cost
        );
        note(tables, record, code::SENT_UNRESERVED, message)?;
    }
    let state = match next {
        Step::Claim => SendState::Claimed { claim: send.claim.clone() },
        Step::Release => SendState::Released { reason: send.reason.clone() },
        Step::Nothing | Step::Send | Step::SendUnreserved => SendState::Sent { at: send.at },
    };
    change(tables, send.decision, |standing| standing.state = state)
}

/// Books what a step does to money and counts.
fn book(tables: &mut Tables, standing: &Standing, step: &Step) -> Result<(), Error> {
    if let Some(grant) = standing.grant {
        tables.used.0.update(&grant, |used: &mut Used| {
            if matches!(step, Step::Send | Step::Release) {
                used.reserved -= standing.cost;
                used.n_open = used.n_open.saturating_sub(1);
            }
            if matches!(step, Step::Send | Step::SendUnreserved) {
                used.spent += standing.cost;
            }
        })?;
    }
    tables.tallies.update(&(standing.use_case.clone(), standing.subject), |tally: &mut Tally| {
        let sent = matches!(step, Step::Send | Step::SendUnreserved);
        if sent {
            tally.cost += standing.cost;
        }
        let by_action = tally.action(&standing.action, &standing.channel);
        match step {
            Step::Send => by_action.n_sent += 1,
            Step::SendUnreserved => {
                by_action.n_sent += 1;
                by_action.n_released = by_action.n_released.saturating_sub(1);
            }
            Step::Release => by_action.n_released += 1,
            Step::Nothing | Step::Claim => {}
        }
        if sent {
            by_action.cost += standing.cost;
        }
    })
}
