//! Every use case held against the rules: when the house opens, when a day begins, when something about it changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use decide::UseCase;
use event::{Instant, RecordId, Subject};
use register::{Assessment, Class, Error as Refusal, Event, Missing, REGISTERS, UseCaseState};

use super::facts;
use crate::Error;
use crate::house::House;

impl House {
    /// Holds every use case against the rules of today, and appends what is new of it. `count`: people are counted anew,
    /// which looks at every decision's tally.
    ///
    /// # Errors
    /// Whatever the journal or the state says; a use case that may not begin is none.
    pub(crate) fn assess_use_cases(&self, count: bool) -> Result<(), Error> {
        let at = super::today(self.now());
        let book = super::rulebook(self.project())?;
        let mut by_name = std::collections::BTreeMap::new();
        for use_case in self.use_cases() {
            let state = self.register_state(&use_case.name)?;
            let found = self.assess(&book, use_case, state.as_ref(), count, at)?;
            let before = state.as_ref().and_then(|state| state.assessed.as_ref());
            if before.is_none_or(|(_, before)| *before != found) {
                self.note_register(&Event::Assessed(Box::new(found.clone())), None)?;
            }
            let is_new = state.as_ref().is_none_or(|state| !state.runs(&found.hash));
            match register::activation(&found, state.as_ref()) {
                Ok(()) if is_new => self.note_activated(&found)?,
                Ok(()) => {}
                Err(refused) => {
                    let refused = Refusal::of(&use_case.name, refused);
                    tracing::warn!(code = refused.code(), %refused, "a use case may not begin");
                }
            }
            by_name.insert(use_case.name.clone(), Arc::new(found));
        }
        *self.register_desk.book.write() = book;
        let mut known = self.register_desk.known.write();
        known.day = Some(at);
        known.by_name = by_name;
        Ok(())
    }

    /// The same, where a new day has begun since.
    ///
    /// # Errors
    /// As [`House::assess_use_cases`].
    pub(crate) fn assess_daily(&self) -> Result<(), Error> {
        let today = super::today(self.now());
        let day = self.register_desk.known.read().day;
        if day.is_some_and(|day| day < today) { self.assess_use_cases(true) } else { Ok(()) }
    }

    fn assess(
        &self,
        book: &register::Rulebook,
        use_case: &UseCase,
        state: Option<&UseCaseState>,
        count: bool,
        at: Instant,
    ) -> Result<Assessment, Error> {
        let before = state.and_then(|state| state.assessed.as_ref());
        let was_large =
            before.is_some_and(|(_, one)| one.dpia.facts.iter().any(|(name, _)| name == "large_scale"));
        let is_large = was_large || (count && self.n_decided_for(use_case)? >= self.large_scale_people());
        let mut found = facts::assessment(self.project(), book, use_case, is_large, at);
        if found.classification.strictest() >= Class::High {
            found.missing = self.missing(book, use_case, at)?;
        }
        Ok(found)
    }

    fn large_scale_people(&self) -> usize {
        usize::try_from(self.settings().registers.large_scale_people).unwrap_or(usize::MAX)
    }

    /// How many people a use case has decided for.
    pub(crate) fn n_decided_for(&self, use_case: &UseCase) -> Result<usize, Error> {
        let mut people: BTreeSet<Subject> = BTreeSet::new();
        self.in_each_partition(|rooms| {
            rooms.decisions.tallies(&use_case.name, |subject, _| {
                people.insert(subject);
            })
        })?;
        Ok(people.len())
    }

    /// What class high asks for and is not there now.
    pub(super) fn missing(
        &self,
        book: &register::Rulebook,
        use_case: &UseCase,
        at: Instant,
    ) -> Result<Vec<Missing>, Error> {
        let mut missing = facts::missing_papers(self.project(), book, use_case, at);
        let Some(rules) = book.ai_act(at) else { return Ok(missing) };
        let class = rules.classify(&facts::facts(use_case), at);
        let models = crate::deciding::models_of(use_case);
        let all = self.models()?;
        let states: Vec<_> =
            models.iter().map(|name| all.iter().find(|(known, _)| known.as_str() == *name)).collect();
        let has_data = states.iter().all(|found| found.is_some_and(|(_, state)| !state.versions.is_empty()));
        let passed =
            |version: &registry::VersionState| version.judgements.last().is_some_and(|j| j.report.passed());
        let measured =
            states.iter().all(|found| found.is_some_and(|(_, state)| state.versions.iter().any(passed)));
        for one in rules.required(&class) {
            let lacks = match one.id.as_str() {
                "data_sheet" => !has_data,
                "metrics" => !measured,
                _ => false,
            };
            if lacks {
                missing.push(Missing {
                    id: one.id.clone(),
                    article: one.article.clone(),
                    text: one.text.clone(),
                });
            }
        }
        Ok(missing)
    }

    /// Whether a use case may decide now.
    ///
    /// # Errors
    /// [`Error::Register`]: a person stopped it, it is prohibited, it lacks what class high asks for, its impact assessment
    /// is not signed.
    pub(crate) fn cleared(&self, use_case: &UseCase) -> Result<(), Error> {
        let assessment = self.assessment_of(use_case)?;
        let state = self.in_control(|rooms| rooms.registers.use_case(&use_case.name))?;
        let verdict = register::clearance(&assessment, state.as_deref());
        verdict.map_err(|refused| Refusal::of(&use_case.name, refused).into())
    }

    /// Whether a model's version may go to traffic: every use case it scores for must be allowed to begin.
    ///
    /// # Errors
    /// As [`House::cleared`], for the first that may not.
    pub(crate) fn cleared_for_release(&self, model: &str) -> Result<(), Error> {
        for use_case in self.use_cases() {
            if !crate::deciding::models_of(use_case).contains(&model) {
                continue;
            }
            let assessment = self.assessment_of(use_case)?;
            let state = self.register_state(&use_case.name)?;
            let verdict = register::activation(&assessment, state.as_ref());
            verdict.map_err(|refused| Error::from(Refusal::of(&use_case.name, refused)))?;
        }
        Ok(())
    }

    /// What is found of a use case now. For class high, what it lacks is looked up anew: a model may have been measured
    /// since.
    ///
    /// # Errors
    /// Whatever the state says.
    pub(crate) fn assessment_of(&self, use_case: &UseCase) -> Result<Arc<Assessment>, Error> {
        let known = self.register_desk.known.read().by_name.get(&use_case.name).cloned();
        let unknown = || Error::Internal { reason: format!("use case `{}` was not assessed", use_case.name) };
        let mut known = known.ok_or_else(unknown)?;
        if known.classification.strictest() >= Class::High && !known.missing.is_empty() {
            let book = self.register_desk.book.read().clone();
            Arc::make_mut(&mut known).missing = self.missing(&book, use_case, super::today(self.now()))?;
        }
        Ok(known)
    }

    pub(super) fn register_state(&self, use_case: &str) -> Result<Option<UseCaseState>, Error> {
        let found = self.in_control(|rooms| rooms.registers.use_case(use_case))?;
        Ok(found.map(|state| (*state).clone()))
    }

    fn note_activated(&self, found: &Assessment) -> Result<(), Error> {
        let event = Event::Activated { use_case: found.use_case.clone(), hash: found.hash.clone() };
        self.note_register(&event, None)
    }

    /// Appends to the registers; what a person does is in the audit log too (LAW 10), both or none.
    pub(crate) fn note_register(&self, event: &Event, act: Option<&audit::Act<'_>>) -> Result<(), Error> {
        let payload = event.to_payload();
        let key = [payload.as_slice(), &self.now().micros().to_be_bytes()].concat();
        let id = RecordId::external(REGISTERS, &key);
        match act {
            Some(act) => self.append_audited(act, REGISTERS, Subject::NONE, id, None, payload)?,
            None => self.append_system(REGISTERS, Subject::NONE, id, None, payload)?,
        };
        Ok(())
    }
}
