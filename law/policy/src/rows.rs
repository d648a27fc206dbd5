//! Which rows of a bulk read may be used for which purposes: one bit per subject and purpose.

use event::Subject;

use crate::Grant;

/// The most purposes that are told apart at once: a subject's bits are one word.
pub const MOST_PURPOSES: usize = 64;

/// A bit per subject and purpose, made of grants. Whoever no grant covers, and whatever purpose there is no grant for,
/// is denied (LAW 3: unknown is no).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowBits {
    purposes: Vec<Box<str>>,
    /// Sorted by subject, without duplicates: one word per subject, one bit per purpose.
    rows: Box<[(Subject, u64)]>,
    /// Where the rows begin whose subjects begin with the same bits: pseudonyms are spread evenly, so it is a few of them.
    starts: Box<[u32]>,
    /// How many bits of a subject's lead are left out of that.
    shift: u32,
}

impl RowBits {
    /// The bits of some grants, at most [`MOST_PURPOSES`]; more are not allowed, so they are denied.
    pub fn new(grants: &[&Grant]) -> Self {
        let grants = grants.get(..MOST_PURPOSES).unwrap_or(grants);
        let row = |subject: &Subject| (*subject, 0_u64);
        let mut rows: Vec<(Subject, u64)> =
            grants.iter().flat_map(|grant| grant.subjects()).map(row).collect();
        if grants.len() > 1 {
            rows.sort_unstable();
            rows.dedup();
        }
        let mut purposes: Vec<Box<str>> = Vec::new();
        for grant in grants {
            let known = purposes.iter().position(|known| **known == *grant.purpose());
            let purpose = known.unwrap_or_else(|| {
                purposes.push(grant.purpose().into());
                purposes.len() - 1
            });
            // Both are sorted: one walk over them.
            let mut at = 0;
            for subject in grant.subjects() {
                while rows.get(at).is_some_and(|(known, _)| known < subject) {
                    at += 1;
                }
                if let Some((_, word)) = rows.get_mut(at) {
                    *word |= 1 << purpose;
                }
            }
        }
        let (starts, shift) = starts(&rows);
        Self { purposes, rows: rows.into(), starts, shift }
    }

    /// How many subjects have a bit at all.
    pub fn n_subjects(&self) -> usize {
        self.rows.len()
    }

    /// The place of a purpose, to ask for many rows with; `None` where there is no grant for it.
    pub fn place_of(&self, purpose: &str) -> Option<usize> {
        self.purposes.iter().position(|known| **known == *purpose)
    }

    /// True where a subject's row may be used for the purpose at this place.
    pub fn permits_at(&self, subject: Subject, purpose: usize) -> bool {
        let first = usize::try_from(lead(&subject) >> self.shift).unwrap_or(usize::MAX);
        let (Some(from), Some(to)) = (self.starts.get(first), self.starts.get(first.saturating_add(1)))
        else {
            return false;
        };
        let near = self.rows.get(*from as usize..*to as usize).unwrap_or_default();
        let found = near.binary_search_by(|(known, _)| known.cmp(&subject)).ok().and_then(|at| near.get(at));
        purpose < MOST_PURPOSES && found.is_some_and(|(_, word)| word >> purpose & 1 == 1)
    }

    /// True where a subject's row may be used for a purpose.
    pub fn permits(&self, subject: Subject, purpose: &str) -> bool {
        self.place_of(purpose).is_some_and(|purpose| self.permits_at(subject, purpose))
    }
}

/// Where the rows of each lead begin, with the end of the last; and by how much a lead is shortened.
fn starts(rows: &[(Subject, u64)]) -> (Box<[u32]>, u32) {
    let n_bits = rows.len().max(4).ilog2() - 1;
    let shift = u64::BITS - n_bits;
    let mut starts = Vec::with_capacity((1 << n_bits) + 1);
    for (at, (subject, _)) in rows.iter().enumerate() {
        let first = usize::try_from(lead(subject) >> shift).unwrap_or(usize::MAX);
        while starts.len() <= first {
            starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }
    starts.resize((1 << n_bits) + 1, u32::try_from(rows.len()).unwrap_or(u32::MAX));
    (starts.into(), shift)
}

/// Where a subject stands among sorted ones. Pseudonyms are spread evenly, so a first guess is off by the square root of
/// their number, and one made from where that one lies by the square root of the distance: a few looks into memory instead
/// of twenty among a million. Of any other spread it is a binary search all the same.
pub(crate) fn place(subjects: &[Subject], subject: Subject) -> Option<usize> {
    let n = subjects.len();
    let last = n.checked_sub(1)?;
    let lead = lead(&subject);
    let mut guess = ((u128::from(lead) * n as u128) >> 64) as usize;
    for _ in 0..2 {
        let there = lead_at(subjects, guess);
        let far = ((u128::from(lead.abs_diff(there)) * n as u128) >> 64) as usize;
        guess = if lead < there { guess.saturating_sub(far) } else { guess.saturating_add(far).min(last) };
    }
    let is_before = |at: usize| subjects.get(at).is_some_and(|known| *known < subject);
    let (mut low, mut high, mut step) = (guess, guess, 4);
    if is_before(guess) {
        high = guess.saturating_add(step);
        while is_before(high) {
            low = high;
            step *= 2;
            high = high.saturating_add(step);
        }
    } else {
        low = guess.saturating_sub(step);
        while low > 0 && !is_before(low) {
            high = low;
            step *= 2;
            low = low.saturating_sub(step);
        }
    }
    let high = high.saturating_add(1).min(n);
    let window = subjects.get(low..high)?;
    window.binary_search(&subject).ok().map(|at| low + at)
}

/// The first half of a pseudonym as a number.
fn lead(subject: &Subject) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *subject.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn lead_at(subjects: &[Subject], at: usize) -> u64 {
    subjects.get(at).map_or(u64::MAX, lead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use event::Instant;
    use proptest::prelude::*;

    fn subject(bytes: [u8; 16]) -> Subject {
        Subject::from_bytes(bytes)
    }

    fn grant(purpose: &str, mut subjects: Vec<Subject>) -> Grant {
        subjects.sort_unstable();
        subjects.dedup();
        Grant::new("p", Action::Export, purpose, subjects, 0, Instant::from_micros(0))
    }

    #[test]
    fn unknown_is_no() {
        let (one, two) = (subject([1; 16]), subject([2; 16]));
        let (ads, mail) = (grant("ads", vec![one, two]), grant("mail", vec![two]));
        let bits = RowBits::new(&[&ads, &mail]);
        assert_eq!(bits.n_subjects(), 2);
        let said = |subject, purpose| bits.permits(subject, purpose);
        assert!(said(one, "ads") && said(two, "ads") && said(two, "mail"));
        assert!(!said(one, "mail") && !said(subject([3; 16]), "ads") && !said(one, "orders"));
        assert!(!bits.permits_at(one, MOST_PURPOSES) && !bits.permits_at(one, 63));
        assert!(!RowBits::default().permits(one, "ads"));
        let many: Vec<Grant> = (0..70).map(|i| grant(&format!("p{i}"), vec![one])).collect();
        let bits = RowBits::new(&many.iter().collect::<Vec<_>>());
        assert!(bits.permits(one, "p63") && !bits.permits(one, "p64"));
    }

    proptest! {
        /// Whatever the spread: it is found where it is, and only there.
        #[test]
        fn a_place_is_found(
            mut known in prop::collection::vec(prop::array::uniform16(0_u8..4), 0..200),
            spread in prop::collection::vec(any::<[u8; 16]>(), 0..200),
            asked in any::<[u8; 16]>(),
            near in prop::array::uniform16(0_u8..4),
        ) {
            known.extend(spread);
            let mut subjects: Vec<Subject> = known.iter().map(|bytes| subject(*bytes)).collect();
            subjects.sort_unstable();
            subjects.dedup();
            let whole = grant("ads", subjects.clone());
            let bits = RowBits::new(&[&whole]);
            for bytes in known.iter().copied().chain([asked, near, [0; 16], [255; 16]]) {
                prop_assert_eq!(bits.permits(subject(bytes), "ads"), subjects.contains(&subject(bytes)));
                prop_assert_eq!(place(&subjects, subject(bytes)), subjects.binary_search(&subject(bytes)).ok());
            }
        }

        #[test]
        fn bits_say_what_the_grants_say(
            grants in prop::collection::vec(prop::collection::vec(0_u8..20, 0..12), 0..6),
        ) {
            let made: Vec<Grant> = grants
                .iter()
                .enumerate()
                .map(|(i, ns)| grant(&format!("p{}", i % 4), ns.iter().map(|n| subject([*n; 16])).collect()))
                .collect();
            let bits = RowBits::new(&made.iter().collect::<Vec<_>>());
            for n in 0..22 {
                for purpose in ["p0", "p1", "p2", "p3", "p4"] {
                    let who = subject([n; 16]);
                    let any = made.iter().any(|grant| grant.purpose() == purpose && grant.permits(who));
                    prop_assert_eq!(bits.permits(who, purpose), any);
                }
            }
        }
    }
}
