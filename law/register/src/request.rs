//! Requests of people under GDPR articles 15 to 21, and the month they are answered in (article 12(3)).

use event::{Instant, Span, Subject};
use jiff::{Timestamp, ToSpan, tz::Offset};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::incident::Told;
use crate::state::Signature;

/// Days after which a request that is not answered is told to whoever answers for data protection.
const ESCALATES_AFTER_DAYS: i64 = 25;
/// Days before an extended deadline at which it is told again.
const ESCALATES_BEFORE_DAYS: i64 = 5;
/// Months there are, and months that may be added with a reason.
const MONTHS: (i8, i8) = (1, 2);
/// A request that came longer ago was answered otherwise.
const OLDEST_DAYS: i64 = 366;
/// The longest reference.
const MAX_REFERENCE: usize = 200;

/// What somebody may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Everything that is known of them (article 15).
    Access,
    /// That something wrong is put right (article 16).
    Rectification,
    /// That everything is erased (article 17).
    Erasure,
    /// That their data are kept and not used (article 18).
    Restriction,
    /// What they gave, for another house (article 20).
    Portability,
    /// No direct marketing (article 21).
    Objection,
}

impl Right {
    /// All of them, in the order of their articles.
    pub const ALL: [Self; 6] = [
        Self::Access,
        Self::Rectification,
        Self::Erasure,
        Self::Restriction,
        Self::Portability,
        Self::Objection,
    ];

    /// As it is written in commands and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Rectification => "rectification",
            Self::Erasure => "erasure",
            Self::Restriction => "restriction",
            Self::Portability => "portability",
            Self::Objection => "objection",
        }
    }

    /// Where it stands in the GDPR.
    pub fn article(self) -> u8 {
        match self {
            Self::Access => 15,
            Self::Rectification => 16,
            Self::Erasure => 17,
            Self::Restriction => 18,
            Self::Portability => 20,
            Self::Objection => 21,
        }
    }

    /// Whether those who got the data are told (article 19).
    pub fn is_told_on(self) -> bool {
        matches!(self, Self::Rectification | Self::Erasure | Self::Restriction)
    }
}

impl std::str::FromStr for Right {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or_else(|| Error::Request {
            reason: format!(
                "`{}` is no right: {} is expected",
                crate::short(text),
                Self::ALL.map(Self::as_str).join(", ")
            ),
        })
    }
}

/// More time, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Months that were added: one or two.
    pub months: i8,
    /// Who, when and why; the person was told so within the first month.
    pub said: Signature,
}

/// What one store did for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDone {
    /// The store.
    pub store: String,
    /// How many things it is about.
    pub n: u64,
    /// In a sentence.
    pub what: String,
}

/// What was done for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilled {
    /// The request.
    pub request: String,
    /// Which right.
    pub right: Right,
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Hexadecimal SHA-256 of what was handed over; empty where nothing was.
    pub sha256: String,
    /// One for each store.
    pub stores: Vec<StoreDone>,
    /// Those who got the data before and are to be told (article 19).
    pub recipients: Vec<String>,
    /// All that as a signed note (C2SP).
    pub signed: String,
}

/// A request of a person. It names a pseudonym and no name; what was corrected lies sealed elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// Which right.
    pub right: Right,
    /// Whose: the pseudonym of the identifier it came with.
    pub subject: Subject,
    /// When it came: the month begins here.
    pub received_at: Instant,
    /// Who wrote it down.
    pub by: String,
    /// A ticket's number or the like.
    pub reference: String,
    /// More time.
    #[serde(default)]
    pub extension: Option<Extension>,
    /// When it was told that it is late.
    #[serde(default)]
    pub escalated: Vec<Instant>,
    /// What was done.
    #[serde(default)]
    pub fulfilled: Option<Fulfilled>,
    /// Why nothing was done (article 12(4), 12(5)).
    #[serde(default)]
    pub refused: Option<Signature>,
    /// Who of the recipients was told.
    #[serde(default)]
    pub told: Vec<Told>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has answered and the deadline is over.
    Overdue,
    /// Nobody has answered and the deadline is near.
    Escalated,
    /// Nobody has answered yet.
    Open,
    /// Done; some who got the data are still to be told.
    Telling,
    /// Done.
    Fulfilled,
    /// Refused with a reason.
    Refused,
}

impl State {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Escalated => "escalated",
            Self::Open => "open",
            Self::Telling => "telling",
            Self::Fulfilled => "fulfilled",
            Self::Refused => "refused",
        }
    }

    /// Whether the person still waits.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Overdue | Self::Escalated | Self::Open)
    }
}

impl Request {
    /// Until when it must be answered: the end of the day of the same number, one month on, or of the month's last
    /// (Regulation 1182/71, article 3); up to two more where the time was extended.
    pub fn due(&self) -> Instant {
        let more = self.extension.as_ref().map_or(0, |extension| extension.months);
        end_of_day_after(self.received_at, MONTHS.0.saturating_add(more))
    }

    /// From when on somebody must be told that it is not answered yet.
    pub fn escalates(&self) -> Instant {
        match self.extension {
            None => self.received_at + Span::from_days(ESCALATES_AFTER_DAYS),
            Some(_) => self.due() - Span::from_days(ESCALATES_BEFORE_DAYS),
        }
    }

    /// Where it stands as of `now`.
    pub fn state(&self, now: Instant) -> State {
        match (&self.fulfilled, &self.refused) {
            (Some(_), _) if !self.to_tell().is_empty() => State::Telling,
            (Some(_), _) => State::Fulfilled,
            (None, Some(_)) => State::Refused,
            (None, None) if now >= self.due() => State::Overdue,
            (None, None) if now >= self.escalates() => State::Escalated,
            (None, None) => State::Open,
        }
    }

    /// True where it is to be told now that it is not answered, and was not told yet.
    pub fn is_to_escalate(&self, now: Instant) -> bool {
        let since = self.escalates();
        self.state(now).is_open() && now >= since && !self.escalated.iter().any(|told| *told >= since)
    }

    /// Recipients who are still to be told.
    pub fn to_tell(&self) -> Vec<&str> {
        let done = self.fulfilled.iter().flat_map(|done| &done.recipients);
        done.filter(|name| !self.told.iter().any(|told| told.clock == **name)).map(String::as_str).collect()
    }

    /// What is wrong with a request that is written down at `now`.
    ///
    /// # Errors
    /// [`Error::Request`]
    pub fn check(&self, now: Instant) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Request { reason });
        if self.received_at > now {
            return refuse(format!("it came at {}, which is still to come (now: {now})", self.received_at));
        }
        if now - self.received_at > Span::from_days(OLDEST_DAYS) {
            return refuse(format!("it came at {}, more than a year ago", self.received_at));
        }
        if self.reference.len() > MAX_REFERENCE {
            let n = self.reference.len();
            return refuse(format!("the reference has {n} bytes; {MAX_REFERENCE} are the most"));
        }
        Ok(())
    }

    /// Whether its time may be extended by so many months at `now`.
    ///
    /// # Errors
    /// [`Error::Request`]: at most two months, once, and within the first (article 12(3)).
    pub fn may_extend(&self, months: i8, now: Instant) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Request { reason });
        let id = &self.id;
        if !self.state(now).is_open() {
            return refuse(format!("request `{id}` is {}", self.state(now).as_str()));
        }
        if !(1..=MONTHS.1).contains(&months) {
            return refuse(format!("{months} months: one or two may be added (GDPR article 12(3))"));
        }
        if let Some(known) = &self.extension {
            let (by, at) = (&known.said.by, known.said.at);
            return refuse(format!("request `{id}` was extended by {by} at {at}; it can be once"));
        }
        if now >= self.due() {
            let due = self.due();
            return refuse(format!(
                "request `{id}` was due at {due}: the person had to be told of more time by then"
            ));
        }
        Ok(())
    }
}

fn end_of_day_after(at: Instant, months: i8) -> Instant {
    let day = Timestamp::from_microsecond(at.micros()).map(|at| Offset::UTC.to_datetime(at).date());
    let due = day.and_then(|day| day.checked_add(months.months())?.checked_add(1.day()));
    let due = due.and_then(|day| Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)));
    // A date beyond the calendar is far off.
    due.map_or(Instant::END, |due| Instant::from_micros(due.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn received(text: &str) -> Request {
        Request {
            id: "2026-0001".to_owned(),
            right: Right::Access,
            subject: Subject::NONE,
            received_at: at(text),
            by: "Mara".to_owned(),
            reference: String::new(),
            extension: None,
            escalated: Vec::new(),
            fulfilled: None,
            refused: None,
            told: Vec::new(),
        }
    }

    fn signature(when: &str) -> Signature {
        Signature { by: "Mara".to_owned(), at: at(when), note: "two archives".to_owned() }
    }

    #[test]
    fn art_12_3_a_month_ends_with_the_day_of_the_same_number_or_the_months_last() {
        for (came, due) in [
            ("2026-03-15T10:00:00Z", "2026-04-16T00:00:00Z"),
            ("2026-01-31T23:59:59Z", "2026-03-01T00:00:00Z"),
            ("2028-01-31T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2026-12-31T12:00:00Z", "2027-02-01T00:00:00Z"),
        ] {
            assert_eq!(received(came).due(), at(due), "{came}");
        }
    }

    #[test]
    fn art_12_3_day_25_escalates_once_and_again_before_an_extended_deadline() {
        let mut request = received("2026-03-01T08:00:00Z");
        let day_25 = at("2026-03-26T08:00:00Z");
        assert_eq!(request.state(at("2026-03-26T07:59:59Z")), State::Open);
        assert!(!request.is_to_escalate(at("2026-03-26T07:59:59Z")));
        assert_eq!(request.state(day_25), State::Escalated);
        assert!(request.is_to_escalate(day_25));
        request.escalated.push(day_25);
        assert!(!request.is_to_escalate(at("2026-03-30T00:00:00Z")));
        assert_eq!(request.state(at("2026-04-02T00:00:00Z")), State::Overdue);

        request.extension = Some(Extension { months: 2, said: signature("2026-03-27T00:00:00Z") });
        assert_eq!(request.due(), at("2026-06-02T00:00:00Z"));
        assert_eq!(request.state(at("2026-05-27T00:00:00Z")), State::Open);
        assert!(!request.is_to_escalate(at("2026-05-27T00:00:00Z")));
        assert!(request.is_to_escalate(at("2026-05-28T00:00:00Z")));
    }

    #[test]
    fn art_12_3_time_is_extended_once_by_at_most_two_months_and_in_time() {
        let mut request = received("2026-03-01T08:00:00Z");
        let refused = |request: &Request, months, when: &str| {
            request.may_extend(months, at(when)).unwrap_err().to_string()
        };
        request.may_extend(2, at("2026-03-31T00:00:00Z")).unwrap();
        assert!(refused(&request, 3, "2026-03-31T00:00:00Z").contains("3 months"));
        assert!(refused(&request, 0, "2026-03-31T00:00:00Z").contains("0 months"));
        assert!(refused(&request, 1, "2026-04-02T00:00:00Z").contains("was due at"));
        request.extension = Some(Extension { months: 1, said: signature("2026-03-30T00:00:00Z") });
        assert!(refused(&request, 1, "2026-03-31T00:00:00Z").contains("it can be once"));
        request.refused = Some(signature("2026-03-31T00:00:00Z"));
        assert!(refused(&request, 1, "2026-04-01T00:00:00Z").contains("is refused"));
    }

    #[test]
    fn art_19_it_is_done_once_everybody_who_got_the_data_is_told() {
        let mut request = received("2026-03-01T08:00:00Z");
        request.fulfilled = Some(Fulfilled {
            request: request.id.clone(),
            right: Right::Erasure,
            at: at("2026-03-02T08:00:00Z"),
            by: "Mara".to_owned(),
            sha256: String::new(),
            stores: Vec::new(),
            recipients: vec!["Mailer".to_owned(), "Printer".to_owned()],
            signed: String::new(),
        });
        let now = at("2026-05-01T00:00:00Z");
        assert_eq!((request.state(now), request.to_tell()), (State::Telling, vec!["Mailer", "Printer"]));
        for name in ["Printer", "Mailer"] {
            request.told.push(Told {
                clock: name.to_owned(),
                at: now,
                by: "Mara".to_owned(),
                reference: "mail".to_owned(),
            });
        }
        assert_eq!(request.state(now), State::Fulfilled);
    }

    #[test]
    fn rights_read_back_and_dates_are_looked_at() {
        for right in Right::ALL {
            assert_eq!(right.as_str().parse::<Right>().unwrap(), right);
        }
        assert!("delete".parse::<Right>().unwrap_err().to_string().contains("`delete`"));
        let request = received("2026-03-01T08:00:00Z");
        request.check(at("2026-03-01T08:00:00Z")).unwrap();
        assert!(request.check(at("2026-02-01T00:00:00Z")).unwrap_err().to_string().contains("still to come"));
        assert!(request.check(at("2028-02-01T00:00:00Z")).unwrap_err().to_string().contains("year ago"));
    }
}
