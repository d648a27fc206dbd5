//! How actions leave in a world: by senders that claim, die, repeat themselves and fail.

use event::RecordId;

use super::World;
use crate::SendStatus;
use crate::outbox::{self, Next};

impl World {
    pub(super) fn claimed(&self) -> Vec<RecordId> {
        let mut claimed = Vec::new();
        for part in &self.parts {
            let visit = |id, open: &crate::OpenReservation| {
                if !open.claim.is_empty() {
                    claimed.push(id);
                }
            };
            part.tables.open_reservations(visit).unwrap();
        }
        claimed
    }

    pub(super) fn send(&mut self) {
        let acting: Vec<RecordId> = self.truth.keys().copied().collect();
        if !acting.is_empty() {
            let at = self.chance(acting.len());
            self.send_one(acting[at]);
        }
    }

    /// A sender takes one step with one decision.
    pub(super) fn send_one(&mut self, decision: RecordId) {
        let subject = self.truth[&decision].record.subject;
        if self.truth[&decision].failed {
            return;
        }
        let part = self.part_of(subject);
        let mut open = None;
        self.parts[part]
            .tables
            .open_reservations(|id, o| open = (id == decision).then(|| o.clone()).or(open.take()))
            .unwrap();
        let Some(open) = open else {
            if self.faults.send_unclaimed && self.truth[&decision].sent.is_none() {
                self.truth.get_mut(&decision).unwrap().sent = Some(self.now);
            }
            return;
        };
        let claim = if self.chance(5) == 0 { "export" } else { "hook" };
        let claim = if self.resting { open.claim.as_str() } else { claim };
        let allowed = self.chance(20) != 0;
        match outbox::next(decision, &open, claim, allowed, self.now) {
            Next::Leave => {}
            Next::Claim(chore) | Next::Release(chore) => {
                let chore = chore.record(self.now);
                self.append(chore);
            }
            Next::SendNow => {
                let standing = self.parts[part].tables.standing(decision).unwrap().unwrap();
                assert!(outbox::holds_claim(&standing, claim));
                let fails = self.chance(6) == 0 && self.truth[&decision].sent.is_none();
                if !fails {
                    // It leaves. Leaving again under the same key changes nothing.
                    self.truth.get_mut(&decision).unwrap().sent.get_or_insert(self.now.max(open.at));
                }
                // The sender may die before it says so.
                if self.resting || self.chance(3) != 0 {
                    let status = if fails { SendStatus::Failed } else { SendStatus::Sent };
                    let at = self.truth[&decision].sent.unwrap_or(self.now);
                    self.truth.get_mut(&decision).unwrap().failed = fails;
                    let told = outbox::told(decision, &open, status, claim, at, "").record(self.now);
                    self.append(told);
                }
            }
        }
    }
}
