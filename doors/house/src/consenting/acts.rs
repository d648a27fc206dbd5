//! What stands over a person as a whole: restriction (Art. 18), objection to direct marketing (Art. 21), and the facts under
//! which the law lets advertise by electronic mail without consent (UWG § 7(3)).

use std::collections::BTreeSet;

use event::{RecordId, Subject};
use policy::{Act, Action, ConsentView as _, Mark, Order, Ordered, SoftOptIn};
use serde_json::{Value, json};

use super::given::{Word, entry_id};
use crate::Error;
use crate::house::{House, Identifier, WAIT};

/// Traits that hold addresses at which people are written to or called.
const ADDRESSES: [&str; 2] = ["email", "phone"];

/// The four facts of UWG § 7(3).
#[derive(Clone, Copy, Debug, Default)]
pub struct FourFacts {
    /// The address came from the customer with a sale.
    pub from_sale: bool,
    /// It is used for one's own similar goods or services.
    pub similar_goods: bool,
    /// The customer has not objected.
    pub not_objected: bool,
    /// The right to object was pointed out when the address was taken, and is at each use.
    pub informed: bool,
}

impl House {
    /// Restricts the processing of a person's data (Art. 18): from the next request on every read is refused but to keep,
    /// prove and defend. Gives the records, one for each member of the profile.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; whatever the journal says.
    pub fn restrict(&self, who: &Identifier, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over(who, "consent.restrict", order, Act::Restricted, false)
    }

    /// Ends a restriction.
    ///
    /// # Errors
    /// As [`House::restrict`].
    pub fn lift_restriction(&self, who: &Identifier, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over(who, "consent.restrict_end", order, Act::RestrictionLifted, false)
    }

    /// Records an objection to direct marketing (Art. 21(2)): sends and profiling for it stop. The entry stands under the
    /// keyed hash of every identifier of the profile and of every address that its traits hold, so it is there still when
    /// the person was erased and one of them is imported anew.
    ///
    /// # Errors
    /// As [`House::restrict`].
    pub fn object(&self, who: &Identifier, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over(who, "consent.object", order, Act::Objected, true)
    }

    /// Takes an objection back.
    ///
    /// # Errors
    /// As [`House::restrict`].
    pub fn lift_objection(&self, who: &Identifier, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over(who, "consent.object_end", order, Act::ObjectionLifted, true)
    }

    fn put_over(
        &self,
        who: &Identifier,
        what: &str,
        order: &Order<'_>,
        act: fn(Ordered) -> Act,
        with_addresses: bool,
    ) -> Result<Vec<RecordId>, Error> {
        self.put_over_of(self.subject(who)?, what, order, act, with_addresses)
    }

    /// As [`House::restrict`], for a subject.
    pub(crate) fn restrict_of(&self, subject: Subject, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over_of(subject, "consent.restrict", order, Act::Restricted, false)
    }

    /// As [`House::object`], for a subject.
    pub(crate) fn object_of(&self, subject: Subject, order: &Order<'_>) -> Result<Vec<RecordId>, Error> {
        self.put_over_of(subject, "consent.object", order, Act::Objected, true)
    }

    fn put_over_of(
        &self,
        subject: Subject,
        what: &str,
        order: &Order<'_>,
        act: fn(Ordered) -> Act,
        with_addresses: bool,
    ) -> Result<Vec<RecordId>, Error> {
        let mut subjects: BTreeSet<Subject> = self.members(subject)?.subjects.into_iter().collect();
        if with_addresses {
            subjects.extend(self.addresses_of(subject, order.by)?);
        }
        let payload = act(Ordered::from(order)).to_payload();
        let at = self.now();
        let ids: Vec<RecordId> = subjects.iter().map(|subject| entry_id(*subject, &payload, at)).collect();
        let detail = json!({ "records": ids, "reference": Ordered::from(order).reference });
        self.audit(&audit::Act { subject: Some(subject), detail, ..audit::Act::new(what, order.by) })?;
        let flight = self.clock().arrive();
        let entry = |(subject, id): (&Subject, &RecordId)| {
            self.consent_record(*subject, *id, at, payload.clone(), &flight)
        };
        let records = subjects.iter().zip(&ids).map(entry).collect();
        self.engine().append_folded(records, WAIT)?;
        Ok(ids)
    }

    /// The pseudonyms of the addresses that a profile's traits hold.
    fn addresses_of(&self, subject: Subject, by: &str) -> Result<Vec<Subject>, Error> {
        // Art. 21(3) demands it: the address must be known to be left alone.
        let keeper = self.keeper(by);
        let Some(purpose) = self.purposes().names().next().map(str::to_owned) else { return Ok(Vec::new()) };
        let members = self.members(subject)?.subjects;
        let (now, purposes) = (self.clock().settled(), self.purposes());
        let grant = policy::authorize(&keeper, Action::Claims, &purpose, &members, self, purposes, now)?;
        let profile = self.read_profile(&grant, subject)?;
        let mut found = Vec::new();
        for kind in ADDRESSES {
            let Some(said) = profile.traits.get(kind) else { continue };
            let values = std::iter::once(&said.value).chain(said.others.iter().map(|other| &other.value));
            for value in values.filter_map(text_of) {
                found.push(self.vault().pseudonym(kind, &value));
            }
        }
        Ok(found)
    }

    /// Refuses an address that objects to direct marketing, whoever it belongs to now.
    ///
    /// # Errors
    /// [`Error::Denied`] where it does.
    pub(crate) fn refuse_suppressed(&self, purpose: &str, kind: &str, value: &str) -> Result<(), Error> {
        if !self.purposes().rule(purpose).is_some_and(policy::PurposeRule::is_marketing) {
            return Ok(());
        }
        let subject = self.vault().pseudonym(kind, value);
        let standing = self.standing(subject)?;
        match standing.as_ref().and_then(|standing| standing.objected()) {
            Some(mark) => {
                Err(policy::Denied::Objected { subject, purpose: purpose.to_owned(), at: mark.at }.into())
            }
            None => Ok(()),
        }
    }

    /// The restriction and the objection that stand over a profile.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`], [`Error::Store`]
    pub fn marks(&self, who: &Identifier) -> Result<(Option<Mark>, Option<Mark>), Error> {
        let subject = self.subject(who)?;
        let (mut restricted, mut objected) = (None, None);
        for member in self.members(subject)?.subjects {
            let Some(standing) = self.standing(member)? else { continue };
            restricted = restricted.or_else(|| standing.restricted().cloned());
            objected = objected.or_else(|| standing.objected().cloned());
        }
        Ok((restricted, objected))
    }

    /// Records the facts of UWG § 7(3) for a purpose and channel.
    ///
    /// # Errors
    /// As [`House::record_consent`].
    pub fn record_soft_opt_in(
        &self,
        who: &Identifier,
        purpose: &str,
        channel: &str,
        facts: FourFacts,
        source: &str,
        by: &str,
    ) -> Result<RecordId, Error> {
        let subject = self.subject(who)?;
        // The same checks as of a word.
        let word = Word { channel: channel.to_owned(), ..Word::new(purpose, policy::Status::Denied) };
        self.checked(word)?;
        let act = Act::SoftOptIn(SoftOptIn {
            purpose: purpose.to_owned(),
            channel: channel.to_owned(),
            from_sale: facts.from_sale,
            similar_goods: facts.similar_goods,
            not_objected: facts.not_objected,
            informed: facts.informed,
            source: source.chars().take(200).collect(),
        });
        let (payload, at) = (act.to_payload(), self.now());
        let id = entry_id(subject, &payload, at);
        self.audit_consent("consent.soft_opt_in", by, subject, id, json!({ "purpose": purpose }))?;
        let flight = self.clock().arrive();
        let record = self.consent_record(subject, id, at, payload, &flight);
        self.engine().append_folded(vec![record], WAIT)?;
        Ok(id)
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
