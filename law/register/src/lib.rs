//! Registers: what the law asks a company to write down, and what it forbids until it is written.
//!
//! Pure: rules are data ([`Rulebook`], effective-dated, each with its source), facts come in, a class
//! ([`Classification`]), triggers of an impact assessment ([`DpiaNeed`]) or the clocks of an incident come out. What was
//! found is kept as records of the control partition ([`Event`], [`RegisterFold`]), so that it can be shown later what
//! was known when. A register is a small [`Document`] that is written as Markdown, HTML, PDF or JSON, in German or
//! English.
//!
//! This room knows no journal, no HTTP and no clock, and it asks nobody: the house tells it what runs. It is no legal
//! advice; each rule names its source so that counsel can disagree.

mod ai_act;
mod annex;
mod assessment;
mod day;
mod document;
mod dpia;
mod error;
mod event_log;
mod fold;
mod incident;
mod language;
mod mlbom;
mod notice;
mod render;
mod request;
mod ropa;
mod rulebook;
mod rules;
mod state;

pub use ai_act::{Class, Classification, Coming, Exempt, Facts, OpenQuestion, Reason};
pub use annex::{ModelPart, TechnicalFile, impact_assessment, risk_register, technical_file};
pub use assessment::{Assessment, Missing, Refused, Verdict as Clearance, activation, clearance};
pub use day::Day;
pub use document::{Block, Document};
pub use dpia::{DpiaNeed, Trigger};
pub use error::Error;
pub use event_log::{Event, REGISTERS, Said};
pub use fold::{RegisterFold, Tables};
pub use incident::{Affected, Category, Due, Harm, Incident, IncidentKind, Told, notification, overview};
pub use language::{Language, Text, day, minute};
pub use mlbom::{Component, Figure, ml_bom};
pub use notice::{Notice, NoticeKind, notice};
pub use request::{Extension, Fulfilled, Request, Right, State, StoreDone};
pub use ropa::{Activity, Controller, Field, Recipient, Ropa, Stream, UseCaseLine, record_of_processing};
pub use rulebook::Rulebook;
pub use rules::{AiAct, Clock, Clocks, Dpia, Problem, Requirement, Rule};
pub use state::{DpiaState, Review, Signature, Stop, UseCaseState, Verdict};

/// What somebody wrote, shortened for a message.
pub(crate) fn short(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    if text.chars().count() > 64 {
        short.push('…');
    }
    short
}
