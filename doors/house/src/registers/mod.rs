//! Registers from the running house: what use cases may begin, what people say about them, and what the law wants written
//! down, generated from contracts, purposes, use cases, sources, captures, deliveries and models as they are.
//!
//! The rules are data of [`register`]; here they are given facts. What is found is appended to the control partition, so
//! that it can be shown later what was known when. A use case that the rules stop decides nothing (LAW 8): it is refused
//! at its next decision, whoever asks.

mod assess;
mod checks;
mod facts;
mod incidents;
mod overseeing;
mod papers;
mod processing;
mod recipients;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Instant, Span};
use parking_lot::RwLock;
use register::{Assessment, Rulebook};

use crate::Error;
use crate::project::Project;

pub(crate) use checks::check;
pub use incidents::IncidentAsked;
pub(crate) use overseeing::{Hold, said};
pub use overseeing::{Overseen, Standing};
pub use settings::{RecipientSettings, RegisterSettings};

/// What is known of every use case now.
#[derive(Default)]
pub(crate) struct Desk {
    book: RwLock<Rulebook>,
    known: RwLock<Known>,
    /// Registers are written one at a time: two that exclude each other could both be told yes.
    turn: parking_lot::Mutex<()>,
}

#[derive(Default)]
struct Known {
    day: Option<Instant>,
    by_name: BTreeMap<String, Arc<Assessment>>,
}

/// The rule sets of this build and those of the project's `rules/*.yaml`.
///
/// # Errors
/// [`Error::Project`] with every finding.
pub(crate) fn rulebook(project: &Project) -> Result<Rulebook, Error> {
    let mut findings = Vec::new();
    let book = checks::rules(&project.dir, &mut findings);
    if findings.is_empty() { Ok(book) } else { Err(Error::Project { findings }) }
}

/// What kind of error a register's refusal is.
pub(crate) fn kind(error: &register::Error) -> crate::Kind {
    use register::Error as Refusal;
    match error {
        Refusal::Prohibited { .. } => crate::Kind::Forbidden,
        Refusal::Unsigned { .. }
        | Refusal::Unready { .. }
        | Refusal::Stopped { .. }
        | Refusal::NotSigned { .. }
        | Refusal::Oversight { .. } => crate::Kind::Conflict,
        Refusal::UnknownIncident { .. } | Refusal::UnknownRequest { .. } => crate::Kind::NotFound,
        Refusal::Request { .. } | Refusal::Incident { .. } | Refusal::Asked { .. } => crate::Kind::Invalid,
    }
}

/// The day the law is asked for: the later one of the house's clock and the machine's. A house that works on data of the
/// past is held to the law of today.
pub(crate) fn today(house_now: Instant) -> Instant {
    let now = house_now.max(Instant::now());
    let day = Span::from_days(1).micros();
    Instant::from_micros(now.micros().div_euclid(day) * day)
}
