//! `[consent]` of `maschinenraum.toml`: what signals of consent tools mean for the project's purposes.

use std::collections::BTreeMap;

use policy::{Notices, SIGNALS, Signals, TcfRules};
use serde::Deserialize;

use crate::finding::{Finding, finding};
use crate::settings::Settings;

/// What signals of consent tools mean.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentSettings {
    /// TC strings of the Transparency and Consent Framework.
    pub tcf: TcfSettings,
    /// Google Consent Mode: by our purpose, the signals that must all be granted.
    pub google: BTreeMap<String, Vec<String>>,
}

/// What TC strings mean.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcfSettings {
    /// Our number on the vendor list; 0: none, the framework's purposes alone count.
    pub vendor: u16,
    /// Read the publisher's own segment instead of the core.
    pub publisher: bool,
    /// By our purpose, the framework's purposes that must all be consented to.
    pub purposes: BTreeMap<String, Vec<u8>>,
    /// By our purpose, the framework's purposes that nobody may have objected to.
    pub legitimate_interests: BTreeMap<String, Vec<u8>>,
}

/// The mapping as `policy` takes it.
pub(crate) fn signals(settings: &ConsentSettings) -> Signals {
    let tcf = &settings.tcf;
    Signals {
        tcf: TcfRules {
            vendor: Some(tcf.vendor).filter(|vendor| *vendor != 0),
            publisher: tcf.publisher,
            purposes: tcf.purposes.clone(),
            legitimate_interests: tcf.legitimate_interests.clone(),
        },
        google: settings.google.clone(),
    }
}

/// What the mapping names and is not there.
pub(crate) fn check(settings: &Settings, notices: &Notices, findings: &mut Vec<Finding>) {
    for notice in notices.iter() {
        for purpose in notice.purposes.iter().filter(|purpose| !settings.purposes.contains_key(*purpose)) {
            let what = format!("notice `{}`: purpose `{purpose}` is not in [purposes]", notice.name);
            findings.push(finding("MR7005", "notices", 1, what));
        }
    }
    let mut add = |what: String| findings.push(finding("MR7005", "maschinenraum.toml", 1, what));
    let consent = &settings.consent;
    let mapped = signals(consent);
    for purpose in mapped.purposes() {
        if !settings.purposes.contains_key(purpose) {
            add(format!("consent: purpose `{purpose}` is not in [purposes]"));
        }
    }
    let tcf = &consent.tcf;
    for (ours, theirs) in tcf.purposes.iter().chain(&tcf.legitimate_interests) {
        if theirs.is_empty() || theirs.iter().any(|purpose| !(1..=24).contains(purpose)) {
            add(format!(
                "consent.tcf: `{ours}` must name purposes of the framework, 1 to 24 (1 to 11 are in use)"
            ));
        }
    }
    for (ours, theirs) in &consent.google {
        let odd = theirs.iter().find(|signal| !SIGNALS.contains(&signal.as_str()));
        if let Some(odd) = odd {
            add(format!("consent.google.{ours}: `{odd}` is no signal; known are {}", SIGNALS.join(", ")));
        } else if theirs.is_empty() {
            add(format!("consent.google.{ours} names no signal"));
        }
    }
}
