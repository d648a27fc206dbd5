//! Whether a person's standing allows something: all members of the profile are heard, any no is a no for all.
//!
//! Asked in this order: restriction (Art. 18), objection to direct marketing (Art. 21), words on the purpose and channel
//! (Art. 6, 7), then what UWG § 7 demands of the channel. Unknown is no (LAW 3).

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::LegalBasis;
use event::{Instant, Subject};

use crate::consent::ConsentView;
use crate::purpose::Reach;
use crate::standing::{Consent, Standing};
use crate::{Action, Denied, PurposeRule, Purposes};

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q> {
    pub(crate) action: Action,
    pub(crate) purpose: &'q str,
    /// The channel; `None`: the purpose as a whole.
    pub(crate) channel: Option<&'q str>,
    pub(crate) rule: &'q PurposeRule,
    pub(crate) purposes: &'q Purposes,
    pub(crate) now: Instant,
}

/// What a profile's standing comes to.
#[derive(Debug)]
pub struct Weighed {
    /// The members' consent epoch.
    pub epoch: u64,
    /// The consent that allows it; `None` where another basis does.
    pub by: Option<Consent>,
    /// True where the four facts of UWG § 7(3) allow it.
    pub by_soft_opt_in: bool,
}

/// What one member, or all of them, say on a purpose and channel.
enum Heard<'s> {
    Yes(&'s Consent),
    No(Subject, &'s Consent),
    /// A yes that does not count, and why.
    Void(Denied),
    Silent,
}

/// Asks whether all that `members` said allows something.
///
/// * `channel`: the channel; `None`: the purpose as a whole
///
/// # Errors
/// [`Denied`], which is the answer unless everything says yes.
pub fn weigh(
    action: Action,
    purpose: &str,
    channel: Option<&str>,
    members: &[Subject],
    consents: &dyn ConsentView,
    purposes: &Purposes,
    now: Instant,
) -> Result<Weighed, Denied> {
    let rule = purposes.rule(purpose).ok_or_else(|| Denied::UnknownPurpose {
        purpose: purpose.chars().take(64).collect(),
        known: purposes.known(),
    })?;
    Question { action, purpose, channel, rule, purposes, now }.ask(members, consents)
}

impl Question<'_> {
    /// LAW 3: default deny.
    pub(crate) fn ask(&self, members: &[Subject], consents: &dyn ConsentView) -> Result<Weighed, Denied> {
        if members.is_empty() {
            return Err(Denied::NoSubject);
        }
        let mut heard: Vec<(Subject, Arc<Standing>)> = Vec::new();
        for member in members {
            heard.extend(consents.standing(*member)?.map(|standing| (*member, standing)));
        }
        let epoch = heard.iter().map(|(_, standing)| standing.epoch()).sum();
        let weighed = |by: Option<&Consent>| Weighed { epoch, by: by.cloned(), by_soft_opt_in: false };
        // Art. 17(3), 18(2): keeping, proving and defending need no consent and pass a restriction.
        if self.action == Action::Claims {
            return Ok(weighed(None));
        }
        for (subject, standing) in &heard {
            if let Some(mark) = standing.restricted() {
                return Err(Denied::Restricted { subject: *subject, at: mark.at });
            }
        }
        for (subject, standing) in &heard {
            if let Some(mark) = standing.objected().filter(|_| self.rule.is_marketing()) {
                let purpose = self.purpose.to_owned();
                return Err(Denied::Objected { subject: *subject, purpose, at: mark.at });
            }
        }
        match self.channel {
            None => self.as_a_whole(&heard).map(weighed),
            Some(channel) => match self.on_channel(&heard, channel)? {
                Some(by) => Ok(weighed(by)),
                None => Ok(Weighed { epoch, by: None, by_soft_opt_in: true }),
            },
        }
    }

    /// A purpose as a whole is allowed where it is for any channel.
    fn as_a_whole<'s>(&self, heard: &'s [(Subject, Arc<Standing>)]) -> Result<Option<&'s Consent>, Denied> {
        let said =
            |standing: &'s Standing| standing.words_on(self.purpose).map(|words| words.channel.as_str());
        let mut channels: BTreeSet<&str> = heard.iter().flat_map(|(_, standing)| said(standing)).collect();
        channels.insert("");
        let (mut no, mut void) = (None, None);
        for channel in channels {
            match self.all(heard, channel) {
                Heard::Yes(by) => return Ok(Some(by)),
                Heard::No(subject, consent) => {
                    // On another basis only a no to the purpose as a whole is an objection to it.
                    if self.rule.basis == LegalBasis::Consent || channel.is_empty() {
                        no = no.or(Some((subject, consent)));
                    }
                }
                Heard::Void(why) => void = void.or(Some(why)),
                Heard::Silent => {}
            }
        }
        if let Some((subject, consent)) = no {
            return Err(self.refused(subject, consent));
        }
        if self.rule.basis == LegalBasis::Consent { Err(self.silence(heard, void)) } else { Ok(None) }
    }

    /// `Ok(None)`: by the facts of a soft opt-in.
    fn on_channel<'s>(
        &self,
        heard: &'s [(Subject, Arc<Standing>)],
        channel: &str,
    ) -> Result<Option<Option<&'s Consent>>, Denied> {
        let void = match self.all(heard, channel) {
            Heard::Yes(by) => return Ok(Some(Some(by))),
            Heard::No(subject, consent) => return Err(self.refused(subject, consent)),
            Heard::Void(why) => Some(why),
            Heard::Silent => None,
        };
        let reach = if self.rule.is_marketing() { Reach::of(channel) } else { Reach::Other };
        if self.rule.basis != LegalBasis::Consent && reach == Reach::Other {
            return Ok(Some(None));
        }
        let facts: Vec<_> =
            heard.iter().filter_map(|(_, standing)| standing.soft_opt_in(self.purpose, channel)).collect();
        if reach == Reach::Mail && facts.iter().any(|facts| facts.missing().is_empty()) {
            return Ok(None);
        }
        if self.rule.basis != LegalBasis::Consent && void.is_none() {
            let missing = facts.first().map(|facts| facts.missing()).unwrap_or_default();
            let (purpose, channel) = (self.purpose.to_owned(), channel.to_owned());
            return Err(Denied::NoOptIn { purpose, channel, missing });
        }
        if void.is_none() {
            let given = |standing: &'s Standing| {
                let granted = standing.words_on(self.purpose).filter(|words| words.granted.is_some());
                granted.map(|words| match words.channel.as_str() {
                    "" => "no channel by name".to_owned(),
                    other => format!("`{other}`"),
                })
            };
            let given: BTreeSet<String> = heard.iter().flat_map(|(_, standing)| given(standing)).collect();
            if !given.is_empty() {
                let given = given.into_iter().collect::<Vec<_>>().join(", ");
                let (purpose, channel) = (self.purpose.to_owned(), channel.to_owned());
                return Err(Denied::OtherChannel { purpose, channel, given });
            }
        }
        Err(self.silence(heard, void))
    }

    /// What all members together say on a channel: any no, else any yes that counts.
    fn all<'s>(&self, heard: &'s [(Subject, Arc<Standing>)], channel: &str) -> Heard<'s> {
        let (mut yes, mut void) = (None, None);
        for (subject, standing) in heard {
            match self.one(*subject, standing, channel) {
                no @ Heard::No(..) => return no,
                Heard::Yes(by) => yes = yes.or(Some(by)),
                Heard::Void(why) => void = void.or(Some(why)),
                Heard::Silent => {}
            }
        }
        match (yes, void) {
            (Some(by), _) => Heard::Yes(by),
            (None, Some(why)) => Heard::Void(why),
            (None, None) => Heard::Silent,
        }
    }

    /// What one member says on a channel: the later of the yes and the no that reach it. A no to the purpose as a whole
    /// reaches every channel; a yes to it reaches those that [`PurposeRule::covers`].
    fn one<'s>(&self, subject: Subject, standing: &'s Standing, channel: &str) -> Heard<'s> {
        let named = standing.words(self.purpose, channel);
        let whole = if channel.is_empty() { None } else { standing.words(self.purpose, "") };
        let covering = whole.filter(|_| self.rule.covers(channel));
        let granted = named.iter().chain(&covering).filter_map(|words| words.granted.as_ref());
        let refused = named.iter().chain(&whole).filter_map(|words| words.refused.as_ref());
        let granted = granted.max_by_key(|consent| consent.key());
        let refused = refused.max_by_key(|consent| consent.key());
        match (granted, refused) {
            (granted, Some(no)) if granted.is_none_or(|yes| yes.key() < no.key()) => Heard::No(subject, no),
            (Some(yes), _) => match self.void(yes) {
                Some(why) => Heard::Void(why),
                None => Heard::Yes(yes),
            },
            (None, _) => Heard::Silent,
        }
    }

    /// Why a yes does not count.
    fn void(&self, yes: &Consent) -> Option<Denied> {
        let purpose = || self.purpose.to_owned();
        if let Some((version, since)) = self.purposes.outdated(self.purpose, &yes.notice_version, self.now) {
            let (shown, now) = (yes.notice_version.clone(), version.to_owned());
            return Some(Denied::OldNotice { purpose: purpose(), shown, now, since });
        }
        let notice = self.purposes.notices().find(self.purpose, &yes.notice_version);
        if let Some(notice) = notice.filter(|_| !yes.notice_hash.is_empty())
            && notice.hash(&yes.locale).is_some_and(|hash| hash != yes.notice_hash)
        {
            return Some(Denied::WrongText { purpose: purpose(), shown: yes.notice_version.clone() });
        }
        if let Some(at) = yes.valid_from.filter(|from| self.now < *from) {
            return Some(Denied::NotInForce { purpose: purpose(), word: "from", at });
        }
        if let Some(at) = yes.valid_until.filter(|until| self.now >= *until) {
            return Some(Denied::NotInForce { purpose: purpose(), word: "until", at });
        }
        if self.rule.double_opt_in && yes.confirmed_at.is_none() {
            return Some(Denied::Unconfirmed { purpose: purpose(), at: yes.at });
        }
        None
    }

    fn refused(&self, subject: Subject, consent: &Consent) -> Denied {
        let purpose = self.purpose.to_owned();
        Denied::Refused { subject, purpose, status: consent.status, at: consent.at }
    }

    fn silence(&self, heard: &[(Subject, Arc<Standing>)], void: Option<Denied>) -> Denied {
        let purpose = self.purpose.to_owned();
        let waiting = heard.iter().find_map(|(_, standing)| standing.waiting(self.purpose, self.now));
        match (void, waiting) {
            (Some(why), _) => why,
            (None, Some(open)) => Denied::Unconfirmed { purpose, at: open.at },
            (None, None) => Denied::NoConsent { purpose },
        }
    }
}
