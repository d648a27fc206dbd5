//! Human oversight (AI Act article 14): a use case is stopped at once and goes on only when people say so; a decision is
//! approved or overruled; an impact assessment is signed. Everything by a named person, everything in the audit log.

use decide::{OpenReservation, UseCase};
use event::RecordId;
use register::{Assessment, Class, Error as Refusal, Event, Said, UseCaseState, Verdict};
use serde::Serialize;
use serde_json::json;

use crate::Error;
use crate::house::House;

/// The longest reason or note.
const MAX_REASON: usize = 2_000;

/// A use case, what was found of it, what people have said.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// What was found.
    pub assessment: Assessment,
    /// What people have said.
    pub state: UseCaseState,
    /// Whether it may decide now.
    pub may_decide: bool,
    /// Why not; empty where it may.
    pub why_not: String,
    /// Names why not; empty where it may.
    pub code: &'static str,
}

/// What became of what a person said.
#[derive(Clone, Debug, Serialize)]
pub struct Overseen {
    /// The use case.
    pub use_case: String,
    /// True where enough people have said so for it to have effect.
    pub in_effect: bool,
    /// How many must say so.
    pub needed: u8,
    /// How many have.
    pub said: u8,
}

/// What becomes of an action that is due.
pub(crate) enum Hold {
    /// It may leave.
    Go,
    /// Not yet: its use case is stopped, or nobody has approved it.
    Wait,
    /// Never: a person overruled it.
    Never,
}

impl House {
    /// Every use case with its class, its impact assessment and whether it may decide.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn use_case_standings(&self) -> Result<Vec<Standing>, Error> {
        self.use_cases().iter().map(|use_case| self.use_case_standing(&use_case.name)).collect()
    }

    /// The same of one.
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`]
    pub fn use_case_standing(&self, use_case: &str) -> Result<Standing, Error> {
        let use_case = self.use_case(use_case)?;
        let assessment = self.assessment_of(use_case)?;
        let state = self.register_state(&use_case.name)?.unwrap_or_default();
        let refused = register::clearance(&assessment, Some(&state)).err();
        let refused = refused.map(|refused| Refusal::of(&use_case.name, refused));
        Ok(Standing {
            may_decide: refused.is_none(),
            why_not: refused.as_ref().map(ToString::to_string).unwrap_or_default(),
            code: refused.as_ref().map(Refusal::code).unwrap_or_default(),
            assessment: (*assessment).clone(),
            state,
        })
    }

    /// A person signs the impact assessment of a use case as it is now; once enough have, it may begin.
    ///
    /// # Errors
    /// [`Error::Register`]: nobody by that name may sign, they have signed already, none is due, the use case is prohibited.
    pub fn sign_dpia(&self, use_case: &str, by: &str, note: &str) -> Result<Overseen, Error> {
        let _turn = self.register_desk.turn.lock();
        let use_case = self.use_case(use_case)?;
        let said = self.said(by, note, false).or_else(not_signed)?;
        let found = self.assessment_of(use_case)?;
        let name = &use_case.name;
        if found.classification.strictest() == Class::Prohibited {
            return not_signed(format!("use case `{name}` is prohibited: no signature lets it begin"));
        }
        if !found.dpia.is_due() {
            return not_signed(format!("by {} no impact assessment of `{name}` is due", found.dpia.rules));
        }
        let state = self.register_state(name)?.unwrap_or_default();
        let signatures =
            state.dpia.iter().filter(|dpia| dpia.hash == found.hash).flat_map(|dpia| &dpia.signatures);
        let mut signed = 0_u8;
        for signature in signatures {
            if signature.by == said.by {
                return not_signed(format!(
                    "{} has signed the impact assessment of `{name}` already; four eyes are two people",
                    said.by
                ));
            }
            signed += 1;
        }
        let mut act = audit::Act::new("dpia.sign", &said.by);
        act.detail = json!({ "use_case": name, "signed": found.hash, "note": said.reason });
        let event =
            Event::DpiaSigned { use_case: name.clone(), hash: found.hash.clone(), said: said.clone() };
        self.note_register(&event, Some(&act))?;
        let overseen = Overseen {
            use_case: name.clone(),
            in_effect: signed + 1 >= found.eyes(),
            needed: found.eyes(),
            said: signed + 1,
        };
        self.activate_where_cleared(use_case)?;
        Ok(overseen)
    }

    fn activate_where_cleared(&self, use_case: &UseCase) -> Result<(), Error> {
        let found = self.assessment_of(use_case)?;
        let state = self.register_state(&use_case.name)?;
        let is_new = state.as_ref().is_none_or(|state| !state.runs(&found.hash));
        if is_new && register::activation(&found, state.as_ref()).is_ok() {
            self.note_register(
                &Event::Activated { use_case: found.use_case.clone(), hash: found.hash.clone() },
                None,
            )?;
        }
        Ok(())
    }

    /// A person stops a use case: its next decision is refused, what is decided and not sent stays here. Anybody with the
    /// right to oversee may, alone and at once.
    ///
    /// # Errors
    /// [`Error::Register`] where it is stopped already, or no name or reason is given.
    pub fn stop_use_case(&self, use_case: &str, by: &str, reason: &str) -> Result<Overseen, Error> {
        let _turn = self.register_desk.turn.lock();
        let name = self.use_case(use_case)?.name.clone();
        let said = said(by, reason, true).or_else(refuse)?;
        if let Some(stop) = self.register_state(&name)?.and_then(|state| state.stop) {
            return refuse(format!("use case `{name}` is stopped already, by {} at {}", stop.by, stop.at));
        }
        let mut act = audit::Act::new("usecase.stop", &said.by);
        act.detail = json!({ "use_case": name, "reason": said.reason });
        self.note_register(&Event::Stopped { use_case: name.clone(), said: said.clone() }, Some(&act))?;
        Ok(Overseen { use_case: name, in_effect: true, needed: 1, said: 1 })
    }

    /// A person would let a stopped use case go on; where its class demands four eyes, it does when a second one says so.
    ///
    /// # Errors
    /// [`Error::Register`] where it is not stopped, or nobody by that name may say so, or they have already.
    pub fn resume_use_case(&self, use_case: &str, by: &str, reason: &str) -> Result<Overseen, Error> {
        let _turn = self.register_desk.turn.lock();
        let use_case = self.use_case(use_case)?;
        let name = use_case.name.clone();
        let said = self.said(by, reason, true).or_else(refuse)?;
        let Some(stop) = self.register_state(&name)?.and_then(|state| state.stop) else {
            return refuse(format!("use case `{name}` is not stopped"));
        };
        if stop.resumes.iter().any(|known| known.by == said.by) {
            return refuse(format!("{} has said so already; four eyes are two people", said.by));
        }
        let needed = self.assessment_of(use_case)?.eyes();
        let n_said = u8::try_from(stop.resumes.len()).unwrap_or(u8::MAX).saturating_add(1);
        let mut act = audit::Act::new("usecase.resume", &said.by);
        act.detail = json!({ "use_case": name, "reason": said.reason, "of": needed });
        self.note_register(
            &Event::Resumed { use_case: name.clone(), said: said.clone(), eyes: needed },
            Some(&act),
        )?;
        Ok(Overseen { use_case: name, in_effect: n_said >= needed, needed, said: n_said })
    }

    /// A person looks at one decision: approves it, or overrules it. What is overruled is never carried out; what left
    /// already did.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the decision; [`Error::Register`] where nobody by that name may, or it was overruled already.
    pub fn review_decision(
        &self,
        decision: RecordId,
        verdict: Verdict,
        by: &str,
        reason: &str,
    ) -> Result<Overseen, Error> {
        let _turn = self.register_desk.turn.lock();
        let said = self.said(by, reason, true).or_else(refuse)?;
        let name = self.standing_of(decision)?.1.use_case;
        let use_case = self.use_case(&name)?;
        let known = self.in_control(|rooms| rooms.registers.review(decision))?;
        if let Some(overruled) = known.as_ref().and_then(|review| review.overruled.as_ref()) {
            return refuse(format!(
                "decision `{decision}` was overruled by {} at {}",
                overruled.by, overruled.at
            ));
        }
        if verdict == Verdict::Approve
            && known.iter().flat_map(|one| &one.approvals).any(|one| one.by == said.by)
        {
            return refuse(format!("{} has approved it already; four eyes are two people", said.by));
        }
        let needed = match verdict {
            Verdict::Approve => self.assessment_of(use_case)?.eyes(),
            Verdict::Overrule => 1,
        };
        let n_before = known.as_ref().map_or(0, |review| review.approvals.len());
        let n_said = match verdict {
            Verdict::Approve => u8::try_from(n_before).unwrap_or(u8::MAX).saturating_add(1),
            Verdict::Overrule => 1,
        };
        let what = match verdict {
            Verdict::Approve => "decision.approve",
            Verdict::Overrule => "decision.overrule",
        };
        let mut act = audit::Act::new(what, &said.by);
        act.detail = json!({ "decision": decision, "use_case": name, "reason": said.reason });
        let event =
            Event::Reviewed { decision, use_case: name.clone(), verdict, said: said.clone(), eyes: needed };
        self.note_register(&event, Some(&act))?;
        Ok(Overseen { use_case: name, in_effect: n_said >= needed, needed, said: n_said })
    }

    /// What becomes of an action that was decided: it waits while its use case may not act, or a person must look first.
    pub(crate) fn hold(&self, decision: RecordId, open: &OpenReservation) -> Result<Hold, Error> {
        let Ok(use_case) = self.use_case(&open.use_case) else { return Ok(Hold::Go) };
        let review = self.in_control(|rooms| rooms.registers.review(decision))?;
        let verdict = review.and_then(|review| review.verdict());
        if verdict == Some(Verdict::Overrule) {
            return Ok(Hold::Never);
        }
        let must_look = use_case.duties.review == decide::Review::Before;
        if must_look && verdict != Some(Verdict::Approve) {
            return Ok(Hold::Wait);
        }
        match self.cleared(use_case) {
            Ok(()) => Ok(Hold::Go),
            Err(Error::Register(_)) => Ok(Hold::Wait),
            Err(other) => Err(other),
        }
    }

    /// A named person who may sign, resume, approve and overrule.
    pub(super) fn said(&self, by: &str, reason: &str, needs_reason: bool) -> Result<Said, String> {
        let said = said(by, reason, needs_reason)?;
        let may = &self.settings().registers.signatories;
        if may.is_empty() {
            return Err("nobody may sign: name who may under [registers] signatories of maschinenraum.toml"
                .to_owned());
        }
        if !may.contains(&said.by) {
            let names = may.join(", ");
            return Err(format!("`{}` is none of those who may sign: {names}", said.by));
        }
        Ok(said)
    }
}

/// A name and a reason that can stand in a register.
pub(crate) fn said(by: &str, reason: &str, needs_reason: bool) -> Result<Said, String> {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control() || *c == '\n').collect::<String>();
    let (by, reason) = (clean(by).trim().to_owned(), clean(reason).trim().to_owned());
    if by.is_empty() || by.len() > 200 {
        return Err("a person must be named, in up to 200 bytes".to_owned());
    }
    if needs_reason && reason.is_empty() {
        return Err("a reason must be given; it is kept".to_owned());
    }
    if reason.len() > MAX_REASON {
        return Err(format!("the reason has {} bytes; {MAX_REASON} are the most", reason.len()));
    }
    Ok(Said { by, reason })
}

fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Refusal::Oversight { reason }.into())
}

fn not_signed<T>(reason: String) -> Result<T, Error> {
    Err(Refusal::NotSigned { reason }.into())
}
