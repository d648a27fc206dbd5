//! The two languages that registers are written in.

use std::fmt;
use std::str::FromStr;

use event::Instant;
use serde::{Deserialize, Serialize};

/// A language of the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English
    #[default]
    En,
    /// German
    De,
}

/// The same said in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// In English.
    pub en: String,
    /// In German.
    pub de: String,
}

impl Language {
    /// As it is called in files and addresses.
    pub fn as_str(self) -> &'static str {
        self.say("en", "de")
    }

    /// What is said in this language.
    pub fn say<'t>(self, en: &'t str, de: &'t str) -> &'t str {
        match self {
            Self::En => en,
            Self::De => de,
        }
    }
}

impl Text {
    /// Both.
    pub fn new(en: &str, de: &str) -> Self {
        Self { en: en.to_owned(), de: de.to_owned() }
    }

    /// What is said in `language`.
    pub fn said(&self, language: Language) -> &str {
        language.say(&self.en, &self.de)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "en" => Ok(Self::En),
            "de" => Ok(Self::De),
            other => Err(format!("`{}` is no language of the registers: en or de", crate::short(other))),
        }
    }
}

/// The day of an instant, as both languages write it in registers: 2026-11-24.
pub fn day(at: Instant) -> String {
    at.to_string().chars().take(10).collect()
}

/// An instant to the minute, in UTC.
pub fn minute(at: Instant) -> String {
    let text = at.to_string();
    let (date, rest) = text.split_once('T').unwrap_or((&text, ""));
    let clock: String = rest.chars().take(5).collect();
    format!("{date} {clock} UTC")
}
