//! LAW 7: frequency caps over exact sliding windows, added up over all members of a profile.
//!
//! A contact that is decided but not sent counts whatever the window, because it may be sent at any moment; a
//! sent one counts while it lies within the window. So whenever things are sent, no window ever holds more than
//! `max`: when the last of a window's contacts was decided, each other one was either still unsent or lay in the
//! window of that moment, and so was counted.

use event::Instant;

use crate::rows::Contact;
use crate::usecase::{Cap, CapScope, UseCase};

/// How many contacts lie in the window of each cap of a use case, at `now`, in the use case's order.
///
/// * `members`: the contacts of each member of the profile ([`crate::Tables::contacts`])
pub fn counts<'a>(
    use_case: &UseCase,
    members: impl Iterator<Item = &'a [Contact]> + Clone,
    now: Instant,
) -> Vec<u32> {
    use_case.caps.iter().map(|cap| count(use_case, cap, members.clone(), now)).collect()
}

fn count<'a>(
    use_case: &UseCase,
    cap: &Cap,
    members: impl Iterator<Item = &'a [Contact]>,
    now: Instant,
) -> u32 {
    let n = members
        .flatten()
        .filter(|contact| falls_under(use_case, cap, contact) && counts_at(cap, contact, now));
    u32::try_from(n.count()).unwrap_or(u32::MAX)
}

fn falls_under(use_case: &UseCase, cap: &Cap, contact: &Contact) -> bool {
    match &cap.scope {
        CapScope::All => true,
        CapScope::Channel(channel) => contact.channel == *channel,
        CapScope::Action(action) => contact.action == *action && contact.use_case == use_case.name,
    }
}

/// A contact from the future counts: after a clock was set back it is better to wait than to contact twice.
fn counts_at(cap: &Cap, contact: &Contact, now: Instant) -> bool {
    !contact.sent || contact.at > now - cap.window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::use_case;
    use event::{RecordId, Span};

    fn sent(at: i64, channel: &str, action: &str, use_case: &str) -> Contact {
        Contact {
            decision: RecordId::external("t", &at.to_be_bytes()),
            use_case: use_case.into(),
            action: action.into(),
            channel: channel.into(),
            at: Instant::from_micros(0) + Span::from_days(at),
            sent: true,
        }
    }

    /// `now` in days; the counts of the caps `all 3 in 7d`, `email 2 in 7d`, `mail_10 1 in 30d`.
    fn check(members: &[Vec<Contact>], now: i64, expected: [u32; 3]) {
        let now = Instant::from_micros(0) + Span::from_days(now);
        let got = counts(&use_case(), members.iter().map(Vec::as_slice), now);
        assert_eq!(got, expected);
    }

    #[test]
    fn windows_are_exact_and_members_add_up() {
        let a = vec![sent(1, "email", "mail_10", "spring"), sent(5, "post", "card", "spring")];
        let b = vec![sent(6, "email", "mail_10", "other")];
        check(&[a.clone(), b.clone()], 7, [3, 2, 1]);
        // The first is exactly seven days old: no longer in the window, which is open at its start.
        check(&[a.clone(), b], 8, [2, 1, 1]);
        check(&[a], 31, [0, 0, 0]);
        check(&[], 8, [0, 0, 0]);
    }

    #[test]
    fn what_is_unsent_or_from_the_future_counts() {
        let unsent = Contact { sent: false, ..sent(1, "email", "mail_10", "spring") };
        check(&[vec![unsent]], 300, [1, 1, 1]);
        check(&[vec![sent(50, "email", "mail_10", "spring")]], 2, [1, 1, 1]);
    }
}
