//! Google Consent Mode v2: what `gtag('consent', …)` was told, in its order.
//!
//! A site says `default` before anything is measured, and `update` once the person has answered. Only an update is a word of
//! the person: a default of `granted` grants nothing here. What is said in the wrong order is taken, as tags would take
//! it, and noticed: a default after an update or after `config` came too late for what was already sent.
//!
//! ```json
//! [["consent", "default", {"ad_storage": "denied", "wait_for_update": 500}], ["config", "G-1"],
//!  ["consent", "update", {"ad_storage": "granted"}]]
//! ```
//! An object alone, `{"ad_storage": "granted"}`, is one update.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The signals there are; the first four are version 2's.
pub const SIGNALS: [&str; 7] = [
    "ad_storage",
    "ad_user_data",
    "ad_personalization",
    "analytics_storage",
    "functionality_storage",
    "personalization_storage",
    "security_storage",
];
/// Parameters of `default` that are no signals.
const PARAMETERS: [&str; 2] = ["region", "wait_for_update"];
/// The most commands that are read at once.
const MAX_COMMANDS: usize = 64;

/// How the signals stand after a list of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentMode {
    /// What the person said, by signal.
    pub said: BTreeMap<&'static str, bool>,
    /// What was said in an order that tags do not understand.
    pub noticed: Vec<String>,
}

impl ConsentMode {
    /// Reads commands, or one update.
    ///
    /// # Errors
    /// What is wrong, in words: MR3514, explained in docs/errors/MR3514.md.
    pub fn read(value: &Value) -> Result<Self, String> {
        let mut mode = Self::default();
        let commands = match value {
            Value::Object(update) => {
                mode.update(update)?;
                return Ok(mode);
            }
            Value::Array(commands) => commands,
            _ => return Err("an object of signals, or a list of commands, is expected".to_owned()),
        };
        if commands.len() > MAX_COMMANDS {
            return Err(format!("{} commands; {MAX_COMMANDS} is the most", commands.len()));
        }
        let (mut has_default, mut is_configured, mut is_updated) = (false, false, false);
        for (at, command) in commands.iter().enumerate() {
            let words: Vec<&Value> = command.as_array().into_iter().flatten().collect();
            let word = |place: usize| words.get(place).and_then(|word| word.as_str());
            let signals = words.get(2).and_then(|signals| signals.as_object());
            let at = at + 1;
            match (word(0), word(1), signals) {
                (Some("consent"), Some("default"), Some(signals)) => {
                    // A default is the site's word, not the person's: it is checked, and says nothing.
                    Self::default().update(signals)?;
                    if is_configured || is_updated {
                        mode.noticed
                            .push(format!("command {at}: `default` comes after `config` or `update`"));
                    }
                    has_default = true;
                }
                (Some("consent"), Some("update"), Some(signals)) => {
                    if !has_default {
                        mode.noticed.push(format!("command {at}: `update` comes before any `default`"));
                    }
                    mode.update(signals)?;
                    is_updated = true;
                }
                (Some("consent"), ..) => {
                    return Err(format!(
                        "command {at} is not [\"consent\", \"default\" or \"update\", {{…}}]"
                    ));
                }
                (Some("config" | "event"), ..) => {
                    if !has_default && !is_configured {
                        mode.noticed.push(format!("command {at}: tags are configured before any `default`"));
                    }
                    is_configured = true;
                }
                (Some("js" | "set"), ..) => {}
                _ => return Err(format!("command {at} is none of consent, config, event, set, js")),
            }
        }
        Ok(mode)
    }

    fn update(&mut self, signals: &Map<String, Value>) -> Result<(), String> {
        for (name, value) in signals {
            if PARAMETERS.contains(&name.as_str()) {
                continue;
            }
            let short = |text: &str| text.chars().take(32).flat_map(char::escape_debug).collect::<String>();
            let signal = SIGNALS
                .into_iter()
                .find(|known| known == name)
                .ok_or_else(|| format!("`{}` is no signal; known are {}", short(name), SIGNALS.join(", ")))?;
            let granted = match value.as_str() {
                Some("granted") => true,
                Some("denied") => false,
                _ => return Err(format!("`{signal}` is neither `granted` nor `denied`")),
            };
            self.said.insert(signal, granted);
        }
        Ok(())
    }

    /// Whether the person granted a signal; what nobody asked is denied.
    pub fn granted(&self, signal: &str) -> bool {
        self.said.get(signal).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(commands: Value, granted: &[&str], n_noticed: usize) {
        let mode = ConsentMode::read(&commands).unwrap();
        let got: Vec<&str> = SIGNALS.into_iter().filter(|signal| mode.granted(signal)).collect();
        assert_eq!((got.as_slice(), mode.noticed.len()), (granted, n_noticed), "{commands}");
    }

    #[test]
    fn only_an_update_is_a_word_and_the_last_one_counts() {
        let default = json!(["consent", "default", {"ad_storage": "denied", "analytics_storage": "granted"}]);
        let config = json!(["config", "G-1"]);
        let yes = json!(["consent", "update", {"ad_storage": "granted", "ad_user_data": "granted"}]);
        let no = json!(["consent", "update", {"ad_storage": "denied"}]);
        check(json!([default, config]), &[], 0);
        check(json!([default, config, yes]), &["ad_storage", "ad_user_data"], 0);
        check(json!([default, config, yes, no]), &["ad_user_data"], 0);
        check(json!({"ad_storage": "granted"}), &["ad_storage"], 0);
        check(json!([]), &[], 0);
    }

    #[test]
    fn a_wrong_order_is_noticed_and_grants_nothing_by_itself() {
        let default = json!(["consent", "default", {"ad_storage": "granted"}]);
        let yes = json!(["consent", "update", {"ad_storage": "granted"}]);
        check(json!([["config", "G-1"], default]), &[], 2);
        check(json!([yes, default]), &["ad_storage"], 2);
        check(json!([["event", "x"], yes]), &["ad_storage"], 2);
    }

    #[test]
    fn what_is_no_consent_mode_says_so() {
        let broken = [
            (json!("granted"), "a list of commands"),
            (json!([["consent", "grant", {}]]), "command 1"),
            (json!([["consent", "update", {"ad_storage": true}]]), "neither"),
            (json!([["consent", "update", {"ads": "granted"}]]), "`ads` is no signal"),
            (json!([{}]), "command 1 is none of"),
            (Value::Array(vec![json!(["js"]); 65]), "65 commands"),
        ];
        for (value, words) in broken {
            let error = ConsentMode::read(&value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "[\\[\\]{}\",:a-z_ ]{0,80}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = ConsentMode::read(&value);
            }
        }
    }
}
