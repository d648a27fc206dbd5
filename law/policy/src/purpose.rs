//! What the project uses data for, on which legal basis, by which channels, and which wordings people are shown.

use std::collections::BTreeMap;

use contract::LegalBasis;
use event::Instant;

use crate::notice::Notices;

/// What a project declares of a purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeRule {
    /// The legal basis.
    pub basis: LegalBasis,
    /// Whether it is direct marketing: then an objection under Art. 21(2) ends it, and UWG § 7 speaks. Where it is not
    /// said, what rests on consent or legitimate interest is held to be: the side that denies.
    pub direct_marketing: Option<bool>,
    /// The channels that a consent covers which names none; empty: all but calls and fax.
    pub channels: Vec<String>,
    /// Whether a yes counts only once it is confirmed.
    pub double_opt_in: bool,
}

impl PurposeRule {
    /// A purpose of which nothing but its basis is declared.
    pub fn new(basis: LegalBasis) -> Self {
        Self { basis, direct_marketing: None, channels: Vec::new(), double_opt_in: false }
    }

    /// Whether it is direct marketing.
    pub fn is_marketing(&self) -> bool {
        let optional = matches!(self.basis, LegalBasis::Consent | LegalBasis::LegitimateInterest);
        self.direct_marketing.unwrap_or(optional)
    }

    /// Whether a consent that names no channel covers this one.
    pub fn covers(&self, channel: &str) -> bool {
        if self.channels.is_empty() {
            return Reach::of(channel) != Reach::Call;
        }
        self.channels.iter().any(|known| known == channel)
    }
}

/// How the law on unfair competition (UWG § 7) looks at a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// § 7(2) no. 1 and 2: calls, calling machines, fax. Never without a consent that names the channel.
    Call,
    /// § 7(2) no. 2 and § 7(3): electronic mail. Consent, or all four facts of a soft opt-in.
    Mail,
    /// Letters, the own website, app and shop.
    Other,
}

impl Reach {
    /// The reach of a channel by its name.
    pub fn of(channel: &str) -> Self {
        match channel {
            "phone" | "call" | "telephone" | "telefon" | "robocall" | "fax" => Self::Call,
            "email" | "e-mail" | "mail" | "sms" | "mms" | "whatsapp" | "messenger" | "rcs" => Self::Mail,
            _ => Self::Other,
        }
    }
}

/// The purposes of a project. What is not listed here is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    rules: BTreeMap<String, PurposeRule>,
    notices: Notices,
}

impl Purposes {
    /// Purposes by name.
    pub fn new<N: Into<String>>(purposes: impl IntoIterator<Item = (N, LegalBasis)>) -> Self {
        Self::of(
            purposes.into_iter().map(|(name, basis)| (name, PurposeRule::new(basis))),
            Notices::default(),
        )
    }

    /// Purposes with all that is declared of them, and the wordings people are shown.
    pub fn of<N: Into<String>>(
        purposes: impl IntoIterator<Item = (N, PurposeRule)>,
        notices: Notices,
    ) -> Self {
        Self { rules: purposes.into_iter().map(|(name, rule)| (name.into(), rule)).collect(), notices }
    }

    /// The legal basis of a purpose; `None` where the project does not know it.
    pub fn basis(&self, purpose: &str) -> Option<LegalBasis> {
        self.rules.get(purpose).map(|rule| rule.basis)
    }

    /// All that is declared of a purpose.
    pub fn rule(&self, purpose: &str) -> Option<&PurposeRule> {
        self.rules.get(purpose)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// The wordings people are shown.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The names for a message.
    pub(crate) fn known(&self) -> String {
        match self.names().map(|name| format!("`{name}`")).collect::<Vec<_>>() {
            names if names.is_empty() => "none".into(),
            names => names.join(", "),
        }
    }

    /// From when on an earlier consent to `purpose` counts no longer, where a notice has changed since.
    pub(crate) fn outdated(&self, purpose: &str, version: &str, now: Instant) -> Option<(&str, Instant)> {
        self.notices.outdated(purpose, version, now)
    }
}
