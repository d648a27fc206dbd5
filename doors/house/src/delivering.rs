//! Chosen actions on their way out: claimed, consent asked again, identifiers opened under a grant, handed over
//! once.

use std::collections::BTreeSet;

use decide::outbox::{self, Delivery, Next};
use decide::{OpenReservation, SendStatus};
use event::{Partition, RecordId};
use policy::{Action, Principal, Scope};

use crate::Error;
use crate::house::{House, WAIT};
use crate::registers::Hold;

/// Decisions handed over at once.
const BATCH: usize = 500;

/// What a round of delivery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Delivered {
    /// Handed over.
    pub n_sent: u64,
    /// Given back: consent withdrawn since, or lapsed.
    pub n_released: u64,
    /// Could not be handed over for good.
    pub n_failed: u64,
    /// Left to others or to a later round.
    pub n_left: u64,
}

/// What became of handing one over.
pub enum Handed {
    /// It left.
    Sent,
    /// It never will; the reason.
    Failed(String),
    /// Not now; it is tried again under the same key.
    Later(String),
}

impl House {
    /// Hands over what is decided and committed, through `hand`. `claim` names the sender; the same name after a
    /// crash goes on where it stopped, and receivers drop what they already got by its idempotency key.
    ///
    /// # Errors
    /// Whatever the journal or the state says.
    pub fn deliver(
        &self,
        claim: &str,
        mut hand: impl FnMut(&Delivery) -> Handed,
    ) -> Result<Delivered, Error> {
        let sender = roles::Roles::part(claim, &[Scope::Send]);
        let mut done = Delivered::default();
        for index in 0..self.n_partitions() {
            let open = self.open_reservations(Partition(index))?;
            for chunk in open.chunks(BATCH) {
                self.deliver_some(&sender, claim, chunk, &mut hand, &mut done)?;
            }
        }
        Ok(done)
    }

    fn open_reservations(&self, partition: Partition) -> Result<Vec<(RecordId, OpenReservation)>, Error> {
        // External effects wait for the commit: what is not yet on disk could still be folded anew.
        self.engine().settle(WAIT)?;
        let mut open = Vec::new();
        let look = |rooms: &crate::rooms::Rooms| {
            rooms.decisions.open_reservations(|id, reservation| open.push((id, reservation.clone())))
        };
        if let Some(result) = self.engine().read(partition, look) {
            result?;
        }
        open.sort_by_key(|(id, reservation)| (reservation.at, *id));
        Ok(open)
    }

    fn deliver_some(
        &self,
        sender: &Principal,
        claim: &str,
        open: &[(RecordId, OpenReservation)],
        hand: &mut impl FnMut(&Delivery) -> Handed,
        done: &mut Delivered,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut records = Vec::new();
        // Claimed in an earlier round or before a crash: it may have left already.
        let mut may_have_left = BTreeSet::new();
        let mut held = BTreeSet::new();
        for (id, reservation) in open {
            // A person comes before the machine: what is stopped or not looked at waits, what is overruled never leaves.
            let hold = self.hold(*id, reservation)?;
            if matches!(hold, Hold::Wait) {
                done.n_left += 1;
                held.insert(*id);
                continue;
            }
            let allowed = matches!(hold, Hold::Go) && self.send_grant(sender, reservation).is_ok();
            match outbox::next(*id, reservation, claim, allowed, now) {
                Next::Claim(chore) => records.push(chore.record(now)),
                Next::Release(chore) => {
                    done.n_released += 1;
                    records.push(chore.record(now));
                }
                Next::SendNow => {
                    may_have_left.insert(*id);
                }
                Next::Leave => done.n_left += 1,
            }
        }
        if !records.is_empty() {
            self.engine().append_folded(records, WAIT)?;
            self.engine().settle(WAIT)?;
        }
        let mut told = Vec::new();
        for (id, reservation) in open {
            let (_, standing) = self.standing_of(*id)?;
            if held.contains(id) || !outbox::holds_claim(&standing, claim) {
                continue;
            }
            if !matches!(self.hold(*id, reservation)?, Hold::Go) {
                done.n_left += 1;
                continue;
            }
            // Asked again at the last moment: consent may have gone between claim and hand-over.
            let handed = match self.identifier(sender, reservation) {
                Ok((kind, value)) => hand(&Delivery::new(*id, reservation, &kind, &value)),
                // LAW 7: nobody knows whether it left. It is not sent (again), and counts as if it had been.
                Err(Error::Denied(denied)) if may_have_left.contains(id) => Handed::Later(denied.to_string()),
                Err(Error::Denied(denied)) => Handed::Failed(denied.to_string()),
                Err(gone @ Error::UnknownUseCase { .. }) => Handed::Failed(gone.to_string()),
                Err(Error::NotFound { what, .. }) => Handed::Failed(format!("the profile has no {what}")),
                Err(other) => return Err(other),
            };
            let (status, reason) = match handed {
                Handed::Sent => {
                    done.n_sent += 1;
                    (SendStatus::Sent, String::new())
                }
                Handed::Failed(reason) => {
                    done.n_failed += 1;
                    (SendStatus::Failed, reason)
                }
                Handed::Later(reason) => {
                    tracing::warn!(decision = %id, %reason, "not delivered yet");
                    done.n_left += 1;
                    continue;
                }
            };
            told.push(outbox::told(*id, reservation, status, claim, self.now(), &reason).record(self.now()));
            if status == SendStatus::Sent {
                // UWG § 7a: each use of a consent to calls is proof that must be kept.
                told.extend(self.use_of_consent(*id, reservation)?);
            }
        }
        if !told.is_empty() {
            self.engine().append_folded(told, WAIT)?;
        }
        Ok(())
    }

    /// LAW 3: what is sent needs both purposes still: the one it was chosen for, and the action's own by its channel.
    fn send_grant(&self, sender: &Principal, open: &OpenReservation) -> Result<policy::Grant, Error> {
        let chosen_for = &self.use_case(&open.use_case)?.purpose;
        self.grant(sender, Action::Send, chosen_for, open.subject)?;
        let channel = Some(open.channel.as_str()).filter(|channel| !channel.is_empty());
        self.grant_on(sender, Action::Send, &open.purpose, channel, open.subject)
    }

    /// What a person is called by in a channel, opened under a grant for sending.
    fn identifier(&self, sender: &Principal, open: &OpenReservation) -> Result<(String, String), Error> {
        let grant = self.send_grant(sender, open)?;
        let profile = self.read_profile(&grant, open.subject)?;
        for kind in kinds_of(&open.channel) {
            let found = profile.traits.get(*kind).map(|found| &found.value);
            let value = match found {
                Some(serde_json::Value::String(text)) if !text.is_empty() => text.clone(),
                Some(serde_json::Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            // Art. 21(3): the address itself may be suppressed, whoever it is held to belong to now.
            self.refuse_suppressed(&open.purpose, kind, &value)?;
            return Ok(((*kind).to_owned(), value));
        }
        Err(Error::NotFound { what: "identifier for this channel", id: open.channel.clone() })
    }
}

/// The traits that name a person in a channel, the fitting one first.
fn kinds_of(channel: &str) -> &'static [&'static str] {
    match channel {
        "email" => &["email"],
        "sms" | "phone" | "whatsapp" => &["phone"],
        "post" | "letter" => &["customer_id", "user_id", "household_id"],
        _ => &["device_token", "user_id", "customer_id", "household_id"],
    }
}
