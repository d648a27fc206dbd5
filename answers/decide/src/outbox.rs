//! How chosen actions leave: the pure part. Who sends asks here what to do next with an open reservation, looks
//! after every claim whether it holds it, and only then acts. So nothing is sent twice, nothing is sent whose
//! money was given back, and what was given back is never sent.
//!
//! ```text
//! open ── consent withdrawn, lapsed ──► append Released
//!   └───► append Claimed, wait until folded ── not ours ──► leave it
//!                       └── ours ──► send with the idempotency key ──► append Sent or Failed
//! ```
//! After `Sent` or `Failed` it leaves the action alone until that is folded; whoever said `Failed` never sends it.
//! A sender that dies between sending and `Sent` sends again under the same key: the receiver drops it.

use event::{Instant, RecordId};
use serde::Serialize;

use crate::chore::{self, Chore};
use crate::outcome::{SENDS, Send, SendStatus};
use crate::rows::{OpenReservation, SendState, Standing};

/// What to do next with an open reservation.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Append this claim; once it is folded, see [`holds_claim`].
    Claim(Chore),
    /// Append this release: it may not be sent any more.
    Release(Chore),
    /// It is this sender's: send it, again if need be, and say what became of it.
    SendNow,
    /// Somebody else has it.
    Leave,
}

/// What to do next.
///
/// * `claim`: the sender's or export's name, the same after a restart
/// * `allowed`: whether the action's purpose is allowed now, asked again under a grant for sending
pub fn next(decision: RecordId, open: &OpenReservation, claim: &str, allowed: bool, now: Instant) -> Next {
    if open.claim == claim && !claim.is_empty() {
        return Next::SendNow;
    }
    if !open.claim.is_empty() {
        return Next::Leave;
    }
    let release = |reason| {
        Next::Release(chore::release(decision, open.subject, &open.action, &open.channel, now, reason))
    };
    if !allowed {
        return release("consent was withdrawn before it was sent");
    }
    if now >= open.expires {
        return release("lapsed unsent");
    }
    Next::Claim(told(decision, open, SendStatus::Claimed, claim, now, ""))
}

/// True where the folded state says that this sender may send.
pub fn holds_claim(standing: &Standing, claim: &str) -> bool {
    matches!(&standing.state, SendState::Claimed { claim: holder } if holder == claim)
}

/// The record that says what became of a claimed action: `Sent` or `Failed`.
pub fn told(
    decision: RecordId,
    open: &OpenReservation,
    status: SendStatus,
    claim: &str,
    now: Instant,
    reason: &str,
) -> Chore {
    let send = Send {
        v: 1,
        decision,
        action: open.action.clone(),
        channel: open.channel.clone(),
        at: now,
        status,
        claim: claim.to_owned(),
        reason: reason.to_owned(),
    };
    let mut key = decision.as_bytes().to_vec();
    key.extend_from_slice(claim.as_bytes());
    Chore {
        id: RecordId::external(&format!("mr.sends/{status:?}"), &key),
        stream: SENDS,
        subject: open.subject,
        payload: send.to_payload(),
    }
}

/// What a channel tool gets: the body of a webhook, a line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The idempotency key: the decision's id. Whoever gets it twice does it once.
    pub idempotency_key: String,
    /// The use case.
    pub use_case: String,
    /// The action.
    pub action: String,
    /// The channel.
    pub channel: String,
    /// What is shown.
    pub creative: String,
    /// What is offered.
    pub offer: String,
    /// When it was decided.
    pub decided_at: Instant,
    /// The kind of identifier: `email`, `user_id`.
    pub identifier_kind: String,
    /// The identifier, opened under a grant for sending.
    pub identifier: String,
}

/// The first line of an export.
pub const CSV_HEADER: &str =
    "idempotency_key,use_case,action,channel,creative,offer,decided_at,identifier_kind,identifier";

impl Delivery {
    /// What to hand over for an open reservation.
    pub fn new(decision: RecordId, open: &OpenReservation, kind: &str, identifier: &str) -> Self {
        Self {
            idempotency_key: decision.to_string(),
            use_case: open.use_case.clone(),
            action: open.action.clone(),
            channel: open.channel.clone(),
            creative: open.creative.clone(),
            offer: open.offer.clone(),
            decided_at: open.at,
            identifier_kind: kind.to_owned(),
            identifier: identifier.to_owned(),
        }
    }

    /// A line of an export as RFC 4180 has it, without its end.
    pub fn csv_line(&self) -> String {
        let decided_at = self.decided_at.to_string();
        let fields = [
            &self.idempotency_key,
            &self.use_case,
            &self.action,
            &self.channel,
            &self.creative,
            &self.offer,
            &decided_at,
            &self.identifier_kind,
            &self.identifier,
        ];
        fields.map(|field| quoted(field)).join(",")
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ') {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Span, Subject};

    fn open(claim: &str) -> OpenReservation {
        let at = Instant::from_micros(0);
        OpenReservation {
            subject: Subject::from_bytes([1; 16]),
            members: Vec::new(),
            use_case: "spring".into(),
            action: "mail_10".into(),
            channel: "email".into(),
            creative: "big, \"bold\"".into(),
            offer: "ten".into(),
            purpose: "email_marketing".into(),
            at,
            expires: at + Span::from_days(1),
            amount: crate::Cents::new(10),
            grant: None,
            claim: claim.into(),
        }
    }

    #[test]
    fn a_sender_claims_releases_sends_or_leaves() {
        let id = RecordId::external("d", b"1");
        let (early, late) = (Instant::from_micros(5), Instant::from_micros(0) + Span::from_days(2));
        assert!(matches!(next(id, &open(""), "hook", true, early), Next::Claim(_)));
        assert!(matches!(next(id, &open(""), "hook", false, early), Next::Release(_)));
        assert!(matches!(next(id, &open(""), "hook", true, late), Next::Release(_)));
        assert_eq!(next(id, &open("hook"), "hook", true, late), Next::SendNow);
        assert_eq!(next(id, &open("export-7"), "hook", true, early), Next::Leave);
    }

    #[test]
    fn a_line_keeps_what_it_is_given() {
        let id = RecordId::external("d", b"1");
        let line = Delivery::new(id, &open(""), "email", "grete@example.com").csv_line();
        assert_eq!(
            line,
            format!(
                "{id},spring,mail_10,email,\"big, \"\"bold\"\"\",ten,1970-01-01T00:00:00Z,email,grete@example.com"
            )
        );
        assert_eq!(CSV_HEADER.split(',').count(), 9);
    }
}
