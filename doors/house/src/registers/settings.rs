//! `[registers]` of the settings: what a machine cannot know of the company.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What stands in the registers and only people know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegisterSettings {
    /// The controller: name and address.
    pub controller: String,
    /// How it is reached.
    pub contact: String,
    /// The data protection officer, and how they are reached.
    pub data_protection_officer: String,
    /// The representative in the Union, where there must be one.
    pub representative: String,
    /// The supervisory authority that is competent.
    pub authority: String,
    /// Who may sign, resume, approve and overrule; by name, as they sign.
    pub signatories: Vec<String>,
    /// True where people are many from the start; else the house counts those decided for.
    pub large_scale: bool,
    /// From how many people on that is a large scale.
    pub large_scale_people: u64,
    /// Recipients beside those the house knows itself.
    pub recipients: BTreeMap<String, RecipientSettings>,
}

/// Somebody who gets data, as people know it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientSettings {
    /// What they get.
    pub what: String,
    /// For which purposes; empty: for all.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// The country.
    #[serde(default)]
    pub country: String,
    /// What a transfer to a third country rests on.
    #[serde(default)]
    pub safeguards: String,
}

impl Default for RegisterSettings {
    fn default() -> Self {
        Self {
            controller: String::new(),
            contact: String::new(),
            data_protection_officer: String::new(),
            representative: String::new(),
            authority: String::new(),
            signatories: Vec::new(),
            large_scale: false,
            large_scale_people: 100_000,
            recipients: BTreeMap::new(),
        }
    }
}

impl RegisterSettings {
    /// Who is responsible, as registers have it.
    pub(crate) fn as_controller(&self) -> register::Controller {
        register::Controller {
            name: self.controller.clone(),
            contact: self.contact.clone(),
            officer: self.data_protection_officer.clone(),
            representative: self.representative.clone(),
            authority: self.authority.clone(),
        }
    }
}
