//! Who gets nothing, to measure against: by hash of the subject, and whoever was assigned first stays there,
//! through merges and changes of the share.

use event::{RecordId, Subject};

use crate::rows::Assigned;
use crate::situation::Arm;
use crate::usecase::Holdout;

/// The arm of a profile.
///
/// * `primary`: the subject the decision is recorded under; it is assigned where nobody is yet
/// * `members`: what each member was assigned before ([`crate::Tables::assigned`])
pub fn arm(
    holdout: &Holdout,
    primary: Subject,
    members: impl IntoIterator<Item = (Subject, Option<Assigned>)>,
) -> Arm {
    match first(members) {
        Some(assigned) => Arm { held_out: assigned.held_out, since: Some(assigned.known_at) },
        None => Arm { held_out: draws(holdout, primary), since: None },
    }
}

/// The assignment that was known first; of two at the same moment the one of the smaller subject.
pub fn first(members: impl IntoIterator<Item = (Subject, Option<Assigned>)>) -> Option<Assigned> {
    let assigned = members.into_iter().filter_map(|(subject, found)| Some((found?, subject)));
    assigned.min_by_key(|(assigned, subject)| (assigned.known_at, *subject)).map(|(assigned, _)| assigned)
}

/// Whether a subject that was never assigned is held out. Depends on the salt and the subject only.
fn draws(holdout: &Holdout, subject: Subject) -> bool {
    let mut key = subject.as_bytes().to_vec();
    key.extend_from_slice(holdout.salt.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *RecordId::external("holdout", &key).as_bytes();
    let point = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11;
    (point as f64) < holdout.share * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Instant;

    fn subject(n: u32) -> Subject {
        Subject::from_bytes(*RecordId::external("subject", &n.to_be_bytes()).as_bytes())
    }

    fn holdout(share: f64, salt: &str) -> Holdout {
        Holdout { share, salt: salt.into() }
    }

    #[test]
    fn the_share_is_kept_and_salts_are_independent() {
        let held = |share, salt: &str| -> Vec<bool> {
            (0..20_000).map(|n| arm(&holdout(share, salt), subject(n), []).held_out).collect()
        };
        let count = |arms: &[bool]| arms.iter().filter(|held| **held).count();
        let (spring, autumn) = (held(0.1, "spring"), held(0.1, "autumn"));
        assert!((1_850..2_150).contains(&count(&spring)), "{}", count(&spring));
        let both = spring.iter().zip(&autumn).filter(|(a, b)| **a && **b).count();
        assert!((140..260).contains(&both), "{both}");
        assert_eq!(count(&held(0.0, "spring")), 0);
        assert_eq!(count(&held(1.0, "spring")), 20_000);
        // A higher share keeps everybody who was held out.
        assert!(spring.iter().zip(held(0.2, "spring")).all(|(few, more)| !few || more));
    }

    #[test]
    fn the_first_assigned_arm_stays_after_a_merge() {
        let assigned = |held_out, at| Some(Assigned { held_out, known_at: Instant::from_micros(at) });
        let all_in = holdout(1.0, "s");
        let got =
            arm(&all_in, subject(1), [(subject(1), assigned(true, 9)), (subject(2), assigned(false, 5))]);
        assert_eq!(got, Arm { held_out: false, since: Some(Instant::from_micros(5)) });
        let (low, high) = (subject(1).min(subject(2)), subject(1).max(subject(2)));
        let got = arm(&all_in, low, [(high, assigned(true, 5)), (low, assigned(false, 5))]);
        assert!(!got.held_out, "the smaller subject wins a tie");
        assert!(arm(&all_in, low, [(high, None), (low, None)]).held_out);
    }
}
