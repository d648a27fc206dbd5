//! Double opt-in: a question is recorded, a token goes to the address that is asked about, and the yes counts once it comes
//! back.

use std::sync::Arc;

use event::{Instant, RecordId, Span, Subject};
use policy::{Act, Asked, ConsentRefused, Request, Status, Token};
use serde_json::json;
use zeroize::Zeroizing;

use super::given::{Word, entry_id};
use crate::Error;
use crate::house::{House, Identifier, WAIT};

/// A question, and the token that answers it: to be sent, and kept nowhere.
pub struct Requested {
    /// The record that asks.
    pub record: RecordId,
    /// The token.
    pub token: Zeroizing<String>,
    /// From when on it answers nothing.
    pub expires: Instant,
}

impl House {
    /// Records that a person was asked for consent, and gives the token that confirms it. Nothing is granted by this, and
    /// nothing that was granted ends: whoever enters another's address changes nothing about him.
    ///
    /// # Errors
    /// As [`House::record_consent`].
    pub fn request_consent(
        &self,
        identifier: &Identifier,
        word: Word,
        valid_for: Span,
        by: &str,
    ) -> Result<Requested, Error> {
        let subject = self.subject(identifier)?;
        let (given, evidence, _) = self.checked(Word { status: Status::Granted, ..word })?;
        self.vault().ensure(&[subject])?;
        let token = Token::draw()?;
        let at = self.now();
        let expires = at + valid_for;
        let asked = Act::Asked(Asked {
            purpose: given.purpose,
            channel: given.channel,
            notice_version: given.notice_version,
            notice_hash: given.notice_hash,
            locale: given.locale,
            source: given.source,
            token_hash: token.hash,
            expires,
        });
        let payload = asked.to_payload();
        let record = entry_id(subject, &payload, at);
        self.audit_consent("consent.ask", by, subject, record, json!({ "expires": expires }))?;
        let flight = self.clock().arrive();
        let mut entry = self.consent_record(subject, record, at, payload, &flight);
        self.seal_proofs(&mut entry, subject, evidence.as_deref(), None)?;
        self.engine().append_folded(vec![entry], WAIT)?;
        Ok(Requested { record, token: token.text, expires })
    }

    /// Confirms a consent by the token that was sent; gives the record of the yes.
    ///
    /// # Errors
    /// [`Error::Consent`] for a token that is none, has expired or was used.
    pub fn confirm_consent(&self, token: &str, evidence: Option<&str>, by: &str) -> Result<RecordId, Error> {
        let hash = Token::hash_of(token).ok_or(ConsentRefused::UnknownToken)?;
        // Two who show one token at once: the second sees what the first did.
        let _turn = self.confirming.lock();
        let (subject, asked, request) = self.asked_by(&hash)?;
        if let Some(at) = request.confirmed_at {
            return Err(ConsentRefused::UsedToken { at }.into());
        }
        let now = self.now();
        if now >= asked.expires {
            return Err(ConsentRefused::ExpiredToken { expires: asked.expires }.into());
        }
        let word = Word {
            notice_version: asked.notice_version,
            notice_hash: asked.notice_hash,
            locale: asked.locale,
            channel: asked.channel,
            source: asked.source,
            evidence: evidence.map(str::to_owned),
            at: Some(now),
            confirmed_at: Some(now),
            ..Word::new(asked.purpose, Status::Granted)
        };
        self.record_word(subject, word, by, hash)
    }

    fn asked_by(&self, hash: &str) -> Result<(Subject, Asked, Arc<Request>), Error> {
        let mut found = None;
        self.in_each_partition(|rooms| {
            found = found.take().or(rooms.consents.request(hash)?);
            Ok(())
        })?;
        let request = found.ok_or(ConsentRefused::UnknownToken)?;
        let (subject, asked) =
            request.subject.zip(request.asked.clone()).ok_or(ConsentRefused::UnknownToken)?;
        Ok((subject, asked, request))
    }
}
