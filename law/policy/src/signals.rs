//! From signals of consent tools to words about purposes: what a TC string or Consent Mode says, by the project's mapping.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::consent_mode::ConsentMode;
use crate::tcf::TcString;

/// What a TC string means for the purposes of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcfRules {
    /// Our number on the vendor list: then our consent, disclosure and the publisher's restrictions count as well.
    /// `None`: the purposes alone do.
    pub vendor: Option<u16>,
    /// Whether the publisher's own segment is read instead of the core.
    pub publisher: bool,
    /// Purposes of the framework that must all be consented to, by our purpose.
    pub purposes: BTreeMap<String, Vec<u8>>,
    /// Purposes of the framework that must not be objected to, by our purpose: what is says no where one is.
    pub legitimate_interests: BTreeMap<String, Vec<u8>>,
}

impl TcfRules {
    /// What a string says on our purposes: yes or no.
    pub fn words(&self, said: &TcString) -> Vec<(String, bool)> {
        let consents = |purpose: u8| match (self.vendor, self.publisher) {
            (_, true) => said.publisher_purposes.as_ref().is_some_and(|all| all.contains(&purpose)),
            (Some(vendor), false) => said.consents(vendor, purpose),
            (None, false) => said.purposes.contains(&purpose),
        };
        let tolerates = |purpose: u8| match (self.vendor, self.publisher) {
            (_, true) => said.publisher_interests.as_ref().is_some_and(|all| all.contains(&purpose)),
            (Some(vendor), false) => said.tolerates(vendor, purpose),
            (None, false) => said.legitimate_interests.contains(&purpose),
        };
        let mut words: Vec<(String, bool)> = Vec::new();
        for (ours, theirs) in &self.purposes {
            let granted = !theirs.is_empty() && theirs.iter().all(|purpose| consents(*purpose));
            words.push((ours.clone(), granted));
        }
        for (ours, theirs) in &self.legitimate_interests {
            // Legitimate interest is no consent: not to object says nothing.
            if !self.purposes.contains_key(ours) && !theirs.iter().all(|purpose| tolerates(*purpose)) {
                words.push((ours.clone(), false));
            }
        }
        words
    }
}

/// The mapping of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Of TC strings.
    pub tcf: TcfRules,
    /// Signals of Consent Mode that must all be granted, by our purpose.
    pub google: BTreeMap<String, Vec<String>>,
}

/// One word that a signal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signalled {
    /// The purpose.
    pub purpose: String,
    /// Yes or no.
    pub granted: bool,
    /// What said it: `tcf: cmp 300, list 17` or `google consent mode`.
    pub source: String,
    /// The language it was shown in, where the signal says so.
    pub locale: String,
    /// The TC string.
    pub tc_string: Option<Arc<str>>,
}

impl Signals {
    /// True where nothing is mapped.
    pub fn is_empty(&self) -> bool {
        let tcf = &self.tcf;
        tcf.purposes.is_empty() && tcf.legitimate_interests.is_empty() && self.google.is_empty()
    }

    /// Every purpose that is mapped.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        let tcf = self.tcf.purposes.keys().chain(self.tcf.legitimate_interests.keys());
        tcf.chain(self.google.keys()).map(String::as_str)
    }

    /// What a TC string says.
    ///
    /// # Errors
    /// [`crate::tcf::Error`]
    pub fn tcf(&self, text: &str) -> Result<Vec<Signalled>, crate::tcf::Error> {
        let said = TcString::read(text)?;
        let source = format!("tcf: cmp {}, list {}", said.cmp_id, said.vendor_list_version);
        let tc_string: Arc<str> = text.trim().into();
        let words = self.tcf.words(&said).into_iter().map(|(purpose, granted)| Signalled {
            purpose,
            granted,
            source: source.clone(),
            locale: said.language.to_lowercase(),
            tc_string: Some(tc_string.clone()),
        });
        Ok(words.collect())
    }

    /// What Consent Mode says, and what is odd about its order. Purposes none of whose signals was answered get no word.
    ///
    /// # Errors
    /// What is wrong, in words (MR3514).
    pub fn google(&self, value: &Value) -> Result<(Vec<Signalled>, Vec<String>), String> {
        let mode = ConsentMode::read(value)?;
        let mut words = Vec::new();
        for (purpose, signals) in &self.google {
            if signals.iter().any(|signal| mode.said.contains_key(signal.as_str())) {
                words.push(Signalled {
                    purpose: purpose.clone(),
                    granted: signals.iter().all(|signal| mode.granted(signal)),
                    source: "google consent mode".to_owned(),
                    locale: String::new(),
                    tc_string: None,
                });
            }
        }
        Ok((words, mode.noticed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_signals_of_a_purpose_must_be_granted_and_silence_says_nothing() {
        let google = BTreeMap::from([
            ("ads".to_owned(), vec!["ad_storage".to_owned(), "ad_user_data".to_owned()]),
            ("analytics".to_owned(), vec!["analytics_storage".to_owned()]),
        ]);
        let signals = Signals { google, ..Signals::default() };
        let check = |value: Value, expected: &[(&str, bool)]| {
            let (words, _) = signals.google(&value).unwrap();
            let got: Vec<(&str, bool)> =
                words.iter().map(|word| (word.purpose.as_str(), word.granted)).collect();
            assert_eq!(got, expected, "{value}");
        };
        check(json!({"ad_storage": "granted", "ad_user_data": "granted"}), &[("ads", true)]);
        check(json!({"ad_storage": "granted"}), &[("ads", false)]);
        check(json!({"analytics_storage": "denied"}), &[("analytics", false)]);
        check(json!({"security_storage": "granted"}), &[]);
    }
}
