//! Requests: written down, listed with their deadlines, extended, refused, told on.

use event::Instant;
use register::{Error as Refusal, Event, Request, Right, Said, State};
use serde::Serialize;
use serde_json::json;

use super::refuse;
use crate::Error;
use crate::house::{House, Identifier};

/// Requests that may be open at once.
const MOST_OPEN: usize = 10_000;

/// A request as somebody brings it.
#[derive(Clone)]
pub struct RequestAsked {
    /// Which right.
    pub right: Right,
    /// Whose; that it is them was checked by whoever writes it down (article 12(6)).
    pub who: Identifier,
    /// When it came; now, where it is not said.
    pub received_at: Option<Instant>,
    /// A ticket's number or the like.
    pub reference: String,
}

/// A request and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestStanding {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// Where it stands.
    pub state: State,
    /// Until when it must be answered.
    pub due: Instant,
    /// From when on it is told that it is not.
    pub escalates: Instant,
    /// Recipients who are still to be told (article 19).
    pub to_tell: Vec<String>,
}

impl RequestStanding {
    fn of(request: Request, now: Instant) -> Self {
        Self {
            state: request.state(now),
            due: request.due(),
            escalates: request.escalates(),
            to_tell: request.to_tell().into_iter().map(str::to_owned).collect(),
            request,
        }
    }
}

impl House {
    /// Writes a request down: its month begins. The same right asked for twice by one person while the first is open is the
    /// same request.
    ///
    /// # Errors
    /// [`Error::Register`] for impossible dates, [`Error::BadIdentifier`].
    pub fn open_request(&self, by: &str, asked: &RequestAsked) -> Result<RequestStanding, Error> {
        let _turn = self.rights_desk.turn.lock();
        let now = self.now();
        let by = said(by, "", false)?.by;
        let reference: String = asked.reference.chars().filter(|c| !c.is_control()).collect();
        let subject = self.subject(&asked.who)?;
        let members = self.members(subject)?.subjects;
        let all = self.in_control(|rooms| rooms.registers.requests())?;
        let open = || all.iter().filter(|known| known.state(now).is_open());
        if let Some(same) =
            open().find(|known| known.right == asked.right && members.contains(&known.subject))
        {
            return Ok(RequestStanding::of(same.clone(), now));
        }
        if open().count() >= MOST_OPEN {
            return refuse(format!(
                "{MOST_OPEN} requests are open: answer some before more are written down"
            ));
        }
        let mut request = Request {
            id: String::new(),
            right: asked.right,
            subject,
            received_at: asked.received_at.unwrap_or(now),
            by,
            reference,
            extension: None,
            escalated: Vec::new(),
            fulfilled: None,
            refused: None,
            told: Vec::new(),
        };
        request.check(now)?;
        let year: String = request.received_at.to_string().chars().take(4).collect();
        let n = all.iter().filter(|known| known.id.starts_with(&format!("{year}-"))).count();
        request.id = format!("{year}-{:04}", n + 1);
        let mut act = audit::Act::new("request.open", &request.by);
        act.subject = Some(subject);
        act.detail = json!({
            "request": request.id, "right": request.right, "received_at": request.received_at,
            "reference": request.reference,
        });
        self.note_register(&Event::RequestOpened(Box::new(request.clone())), Some(&act))?;
        Ok(RequestStanding::of(request, now))
    }

    /// Every request with where it stands: those that wait first, the most urgent before the others.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn requests(&self) -> Result<Vec<RequestStanding>, Error> {
        let now = self.now();
        let all = self.in_control(|rooms| rooms.registers.requests())?;
        let mut all: Vec<_> = all.into_iter().map(|request| RequestStanding::of(request, now)).collect();
        all.sort_by_key(|one| {
            let is_over = matches!(one.state, State::Fulfilled | State::Refused);
            (is_over, if is_over { Instant::from_micros(-one.request.received_at.micros()) } else { one.due })
        });
        Ok(all)
    }

    /// One request with where it stands.
    ///
    /// # Errors
    /// [`Error::Register`] where there is none.
    pub fn request(&self, id: &str) -> Result<RequestStanding, Error> {
        let found = self.in_control(|rooms| rooms.registers.request(id))?;
        let unknown = || Refusal::UnknownRequest { id: id.chars().take(64).collect() };
        Ok(RequestStanding::of((*found.ok_or_else(unknown)?).clone(), self.now()))
    }

    /// Gives a request one or two months more; the person is told so by whoever says it.
    ///
    /// # Errors
    /// [`Error::Register`]: too late, too long, twice, without a reason.
    pub fn extend_request(
        &self,
        id: &str,
        months: i8,
        by: &str,
        reason: &str,
    ) -> Result<RequestStanding, Error> {
        let _turn = self.rights_desk.turn.lock();
        let known = self.request(id)?.request;
        let said = said(by, reason, true)?;
        known.may_extend(months, self.now())?;
        let mut act = audit::Act::new("request.extend", &said.by);
        act.subject = Some(known.subject);
        act.detail = json!({ "request": known.id, "months": months, "reason": said.reason });
        let event = Event::RequestExtended { request: known.id.clone(), months, said: said.clone() };
        self.note_register(&event, Some(&act))?;
        self.request(id)
    }

    /// Refuses a request, with the reason that the person is told (article 12(4)).
    ///
    /// # Errors
    /// [`Error::Register`] where it is answered already, or no reason is given.
    pub fn refuse_request(&self, id: &str, by: &str, reason: &str) -> Result<RequestStanding, Error> {
        let _turn = self.rights_desk.turn.lock();
        let known = self.request(id)?;
        let said = said(by, reason, true)?;
        if !known.state.is_open() {
            return refuse(format!("request `{id}` is {}", known.state.as_str()));
        }
        let mut act = audit::Act::new("request.refuse", &said.by);
        act.subject = Some(known.request.subject);
        act.detail = json!({ "request": known.request.id, "reason": said.reason });
        let event = Event::RequestRefused { request: known.request.id.clone(), said: said.clone() };
        self.note_register(&event, Some(&act))?;
        self.request(id)
    }

    /// Notes that somebody who got the data was told of what was done (article 19).
    ///
    /// # Errors
    /// [`Error::Register`] where there is nobody of that name to be told.
    pub fn tell_recipient(
        &self,
        id: &str,
        recipient: &str,
        by: &str,
        reference: &str,
    ) -> Result<RequestStanding, Error> {
        let _turn = self.rights_desk.turn.lock();
        let known = self.request(id)?;
        let said = said(by, reference, true)?;
        if !known.to_tell.iter().any(|name| name == recipient) {
            let left = if known.to_tell.is_empty() { "nobody".to_owned() } else { known.to_tell.join(", ") };
            let name: String = recipient.chars().take(64).collect();
            return refuse(format!("`{name}` is not to be told of request `{id}`; still to be told: {left}"));
        }
        let mut act = audit::Act::new("request.tell", &said.by);
        act.subject = Some(known.request.subject);
        act.detail = json!({ "request": known.request.id, "recipient": recipient, "reference": said.reason });
        let event = Event::RequestTold {
            request: known.request.id.clone(),
            recipient: recipient.to_owned(),
            said: said.clone(),
        };
        self.note_register(&event, Some(&act))?;
        self.request(id)
    }

    /// Tells of requests whose deadline is near: in the audit log, in the log, and to whoever lists them. Each once.
    ///
    /// # Errors
    /// Whatever the journal says.
    pub(crate) fn escalate_requests(&self) -> Result<(), Error> {
        let now = self.now();
        let due: Vec<Request> = self
            .in_control(|rooms| rooms.registers.requests())?
            .into_iter()
            .filter(|request| request.is_to_escalate(now))
            .collect();
        for request in due {
            let _turn = self.rights_desk.turn.lock();
            tracing::warn!(request = request.id, right = request.right.as_str(), due = %request.due(), "a request of a person is not answered yet");
            let mut act = audit::Act::new("request.escalate", "maschinenraum");
            act.subject = Some(request.subject);
            act.detail = json!({ "request": request.id, "right": request.right, "due": request.due() });
            let event = Event::RequestEscalated { request: request.id.clone() };
            self.note_register(&event, Some(&act))?;
        }
        Ok(())
    }
}

/// A name and a reason that can stand in a register.
pub(super) fn said(by: &str, reason: &str, needs_reason: bool) -> Result<Said, Error> {
    crate::registers::said(by, reason, needs_reason).or_else(refuse)
}
