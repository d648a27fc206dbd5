//! A decision from request to reply: grant, gather, set money aside, choose, append, fold, answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use decide::{Arm, Consent, DecisionRecord, EVIDENCE_COLUMN, Input, Origin, ScoreSource, Situation, UseCase};
use event::{Cell, Instant, Payload, Record, Span, StreamName, Subject, Version};
use policy::{Action, ConsentView, Grant, LegalBasis, Principal, Status};
use serde_json::{Map, Value};

use crate::house::{House, Identifier};
use crate::outcomes::EVIDENCE_SCHEMA;
use crate::{Error, scoring};

/// How long a decision may wait to be durable and folded.
const WAIT: Duration = Duration::from_secs(20);

impl House {
    /// Decides for one person. The decision is durable and folded before this returns (LAW 6).
    ///
    /// * `context`: what the caller says about this moment, by input name
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`]; [`Error::Denied`] without consent for the use case's purpose; whatever the
    /// journal says. In none of these cases was anything decided.
    pub fn decide(
        &self,
        principal: &Principal,
        use_case: &str,
        identifier: &Identifier,
        context: &Map<String, Value>,
    ) -> Result<DecisionRecord, Error> {
        let subject = self.subject(identifier)?;
        self.decide_for(principal, use_case, subject, context)
    }

    /// As [`House::decide`], for a subject.
    ///
    /// # Errors
    /// As [`House::decide`].
    pub fn decide_for(
        &self,
        principal: &Principal,
        use_case: &str,
        subject: Subject,
        context: &Map<String, Value>,
    ) -> Result<DecisionRecord, Error> {
        let started = StdInstant::now();
        let use_case = self.use_case(use_case)?;
        // LAW 8: what a person stopped, what is forbidden, what nobody has signed decides nothing.
        self.cleared(use_case)?;
        // LAW 7: decisions of one profile run one after the other: each sees the contacts of the one before. Each
        // member's turn is taken, so that one that was made before a merge is seen by the first one after it.
        let mut members = self.members(subject)?;
        let _turns = loop {
            let turns = self.turns(&members.subjects);
            let now_members = self.members(subject)?;
            if now_members.subjects == members.subjects {
                break turns;
            }
            members = now_members;
        };
        // LAW 5: the decision is made as of an instant by which everything known is folded.
        let now = self.clock().settled();
        let grant = policy::authorize(
            principal,
            Action::Decide,
            &use_case.purpose,
            &members.subjects,
            &self.reading(self.project().seen.of_use_case(&use_case.name)),
            self.purposes(),
            now,
        )?;
        let inputs = self.inputs(&grant, use_case, &members.subjects, context, now)?;
        let scores = scoring::scores(self, &grant, use_case, members.id, &members.subjects, &inputs, now)?;
        let contacts = members
            .subjects
            .iter()
            .map(|member| self.in_partition(*member, |rooms| rooms.decisions.contacts(*member)))
            .collect::<Result<Vec<_>, _>>()?;
        let situation = Situation {
            subject,
            profile: members.id.to_string(),
            members: members.subjects.clone(),
            at: now,
            inputs,
            scores,
            consents: self.consents_on(use_case, &members.subjects, now)?,
            consent_epoch: grant.consent_epoch(),
            cap_counts: decide::caps::counts(use_case, contacts.iter().map(|list| list.as_slice()), now),
            allowance: None,
            holdout: self.holdout_arm(use_case, members.id, &members.subjects)?,
            reserve_for: self.reserve_for(),
        };
        let seed = self.draw_seed()?;
        // The decision's own id names what is held for it, so that a till can be reconciled with the tables.
        let ticket = decide::decision_id(&use_case.name, subject, now, seed);
        let partition = self.partition_of(subject);
        let taken = self.with_till(partition, |till| {
            self.in_partition(subject, |rooms| till.take(&rooms.decisions, use_case, ticket, now))
        })??;
        if let Some(ask) = taken.ask {
            // An ask may be lost without harm: it is made again.
            self.engine().append_with(vec![ask.record(now)], |_| {});
        }
        let situation = Situation { allowance: taken.allowance, ..situation };
        let decision = decide::choose(use_case, &situation, seed);
        let cost = decision.chosen().map(|candidate| candidate.cost).unwrap_or_default();
        self.with_till(partition, |till| till.keep(ticket, cost))?;
        let latency_us = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        let mut record = DecisionRecord::new(use_case, situation, decision, latency_us);
        let stored = match self.decision_as_record(&record) {
            Ok(stored) => stored,
            Err(error) => {
                self.with_till(partition, |till| till.give_back(ticket))?;
                return Err(error);
            }
        };
        // LAW 7: where an append fails, what is held stays held: it may yet be in the journal. `do_chores` reconciles
        // the till with what was folded.
        let receipts = self.engine().append(vec![stored])?;
        self.engine().wait_folded(&receipts, WAIT)?;
        self.with_till(partition, |till| till.give_back(ticket))?;
        record.position = receipts.first().map(|receipt| receipt.position);
        Ok(record)
    }

    /// A decision as a record: open, but for its evidence where that is personal.
    fn decision_as_record(&self, decision: &DecisionRecord) -> Result<Record, Error> {
        let broken =
            |e: serde_json::Error| Error::Internal { reason: format!("a decision has no JSON: {e}") };
        let open = serde_json::to_vec(decision).map_err(broken)?;
        let mut cells = Vec::new();
        let mut key_epoch = 0;
        if let Some(evidence) = decision.evidence.as_ref().filter(|evidence| evidence.is_personal()) {
            let vault = self.vault();
            vault.ensure(&[decision.subject])?;
            let plain = serde_json::to_vec(evidence).map_err(broken)?;
            let sealed = vault.seal(decision.subject, EVIDENCE_COLUMN, EVIDENCE_SCHEMA, &plain)?;
            key_epoch = vault.epoch(decision.subject).unwrap_or(0);
            cells.push(Cell { column: EVIDENCE_COLUMN.into(), sealed: sealed.into() });
        }
        Ok(Record {
            id: decision.decision,
            stream: StreamName::new(decide::DECISIONS),
            contract: Version::new(1, 0, 0),
            subject: decision.subject,
            occurred_at: decision.at,
            known_at: decision.at,
            batch: None,
            cause: None,
            source: None,
            key_epoch,
            payload: Payload { open: open.into(), cells },
        })
    }

    /// Values of a use case's inputs, for a grant.
    fn inputs(
        &self,
        grant: &Grant,
        use_case: &UseCase,
        members: &[Subject],
        context: &Map<String, Value>,
        now: Instant,
    ) -> Result<Vec<Input>, Error> {
        let mut inputs = Vec::with_capacity(use_case.inputs.len());
        let mut traits = None;
        let mut person = crate::segments::Person::new(self, grant, members, now);
        let names = use_case.features().map(str::to_owned).collect::<Vec<_>>();
        let said = crate::ondemand::declared(use_case, context);
        let mut features = self.feature_inputs(grant, &names, members, now, &said)?;
        for declared in &use_case.inputs {
            match declared.origin {
                Origin::Feature => {
                    let at = features.iter().position(|input| input.name == declared.name);
                    inputs.extend(at.map(|at| features.swap_remove(at)));
                }
                Origin::Trait => {
                    if traits.is_none() {
                        traits = Some(self.traits_for(grant, members)?);
                    }
                    let found = traits.as_ref().and_then(|traits| traits.get(&declared.name));
                    inputs.push(input(&declared.name, Origin::Trait, found, true));
                }
                Origin::Segment => {
                    let name = declared.name.strip_prefix(profile::SEGMENT).unwrap_or(&declared.name);
                    inputs.push(Input {
                        name: declared.name.clone(),
                        origin: Origin::Segment,
                        value: Some(decide::Value::Flag(person.holds(name)?)),
                        version: self.segment(name)?.version.to_string(),
                        // It may look at traits, which are.
                        personal: true,
                    });
                }
                Origin::Context => {
                    // What a caller says about a person's moment is treated as personal: nobody classified it.
                    let found = context.get(&declared.name);
                    inputs.push(input(&declared.name, Origin::Context, found, true));
                }
            }
        }
        Ok(inputs)
    }

    /// The standing of every purpose a use case asks about, as a whole and by each action's channel: any member's no is
    /// a no for all.
    pub(crate) fn consents_on(
        &self,
        use_case: &UseCase,
        members: &[Subject],
        now: Instant,
    ) -> Result<Vec<Consent>, Error> {
        let standings = Standings::of(self, members)?;
        let whole = use_case.purposes().into_iter().map(|purpose| (purpose, None));
        let by_channel = use_case.actions.iter().filter(|action| !action.channel.is_empty());
        let by_channel = by_channel.map(|action| (action.purpose.as_str(), Some(action.channel.as_str())));
        let asked: BTreeSet<(&str, Option<&str>)> = by_channel.collect();
        let mut consents = Vec::new();
        for (purpose, channel) in whole.chain(asked) {
            let (action, purposes) = (Action::Decide, self.purposes());
            let weighed = policy::weigh(action, purpose, channel, members, &standings, purposes, now);
            let (allowed, reason, by) = match weighed {
                Ok(weighed) if weighed.by_soft_opt_in => (true, "soft opt-in".to_owned(), None),
                Ok(weighed) => {
                    let basis = purposes.basis(purpose).filter(|basis| *basis != LegalBasis::Consent);
                    let reason =
                        basis.map_or_else(|| "granted".to_owned(), |basis| basis.as_str().to_owned());
                    (true, reason, weighed.by)
                }
                Err(policy::Denied::Unreadable(error)) => return Err(error.into()),
                Err(denied) => {
                    let word = standings.latest(purpose, channel.unwrap_or_default());
                    (false, denied.word().to_owned(), word)
                }
            };
            consents.push(Consent {
                purpose: purpose.to_owned(),
                channel: channel.unwrap_or_default().to_owned(),
                allowed,
                reason,
                notice_version: by.as_ref().map(|consent| consent.notice_version.clone()),
                since: by.as_ref().map(|consent| consent.at),
            });
        }
        Ok(consents)
    }

    fn holdout_arm(&self, use_case: &UseCase, profile: Subject, members: &[Subject]) -> Result<Arm, Error> {
        let salt = &use_case.holdout.salt;
        let assigned = members
            .iter()
            .map(|member| {
                let found = self.in_partition(*member, |rooms| rooms.decisions.assigned(salt, *member))?;
                Ok((*member, found))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(decide::holdout::arm(&use_case.holdout, profile, assigned))
    }

    /// Appends what is due: lapsed reservations, expired grants, and first allowances for every use case. Returns
    /// how many records that were.
    ///
    /// # Errors
    /// Whatever the journal or the state says.
    pub fn do_chores(&self) -> Result<usize, Error> {
        self.checkpoint_soon();
        self.assess_daily()?;
        self.tell_denials()?;
        self.escalate_requests()?;
        self.destroy_lapsed_proofs_daily();
        let now = self.now();
        let mut due = Vec::new();
        for index in 0..self.engine().n_partitions() {
            let partition = event::Partition(index);
            due.extend(self.with_till(partition, |till| {
                let look = |rooms: &crate::rooms::Rooms| -> Result<Vec<decide::Chore>, store::Error> {
                    till.reconcile(&rooms.decisions)?;
                    let mut due = decide::chores(&rooms.decisions, till, now, 1_000)?;
                    for use_case in self.use_cases() {
                        due.extend(till.prepare(&rooms.decisions, use_case, now)?);
                    }
                    Ok(due)
                };
                self.engine().read(partition, look).unwrap_or(Ok(Vec::new()))
            })??);
        }
        let n = due.len();
        if n > 0 {
            let records = due.into_iter().map(|chore| chore.record(now)).collect();
            self.engine().append_folded(records, WAIT)?;
            // What they ask for comes as a further record.
            self.engine().settle(WAIT)?;
        }
        Ok(n)
    }

    /// How long an unsent decision keeps its reservation.
    fn reserve_for(&self) -> Span {
        Span::from_secs(i64::try_from(self.settings().delivery.reservation_seconds).unwrap_or(i64::MAX))
    }
}

/// The standing of a profile's members, read once.
struct Standings(Vec<(Subject, Option<Arc<policy::Standing>>)>);

impl Standings {
    fn of(house: &House, members: &[Subject]) -> Result<Self, Error> {
        let read = |member: &Subject| Ok((*member, house.standing(*member)?));
        members.iter().map(read).collect::<Result<_, Error>>().map(Self)
    }

    /// The latest word of whichever member; a no before a yes.
    fn latest(&self, purpose: &str, channel: &str) -> Option<policy::Consent> {
        let said = self.0.iter().filter_map(|(_, standing)| standing.as_ref()?.on_channel(purpose, channel));
        said.max_by_key(|consent| (consent.status != Status::Granted, consent.at)).cloned()
    }
}

impl ConsentView for Standings {
    fn standing(&self, subject: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(self.0.iter().find(|(known, _)| *known == subject).and_then(|(_, standing)| standing.clone()))
    }
}

/// Whether any action of a use case is scored by a model.
pub(crate) fn models_of(use_case: &UseCase) -> Vec<&str> {
    let mut models = Vec::new();
    for action in &use_case.actions {
        if let ScoreSource::Model(name) = &action.score
            && !models.contains(&name.as_str())
        {
            models.push(name.as_str());
        }
    }
    models
}

fn input(name: &str, origin: Origin, value: Option<&Value>, personal: bool) -> Input {
    let value = value.and_then(|value| match value {
        Value::Bool(flag) => Some(decide::Value::from(*flag)),
        Value::Number(number) => number.as_f64().and_then(decide::Value::number),
        Value::String(text) => Some(decide::Value::from(text.as_str())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    Input { name: name.to_owned(), origin, value, version: String::new(), personal }
}
