//! A use case: from a goal, through actions and limits, to somebody responsible. One YAML file each.

use std::fmt;

use contract::LegalBasis;
use event::{Instant, Span, Version};
use feature::expr::Expr;
use serde::{Deserialize, Serialize};

use crate::duties::Duties;
use crate::finding::Finding;
use crate::money::Cents;
use crate::period::Period;
use crate::policy::Policy;
use crate::value::Origin;

/// The name of doing nothing: always possible, costs nothing, earns nothing.
pub const NO_ACTION: &str = "no_action";

/// The longest window a frequency cap may have. Contacts older than this are forgotten.
pub const MAX_WINDOW: Span = Span::from_days(366);

/// One use case, complete: there is no other kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UseCase {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Names the file's content: equal content, equal text.
    pub content: String,
    /// What it is about; may be empty.
    pub description: String,
    /// Who answers for it.
    pub responsible: String,
    /// What it is for.
    pub goal: Goal,
    /// What decisions look at; expressions and scores name nothing else.
    pub inputs: Vec<Declared>,
    /// What a decision gives.
    pub outputs: Vec<String>,
    /// Streams whose records may be used.
    pub sources: Vec<String>,
    /// The reason for the processing.
    pub purpose: String,
    /// On which legal basis.
    pub legal_basis: LegalBasis,
    /// How confidential it is.
    pub security_level: SecurityLevel,
    /// Its class under the AI act, as it says itself.
    pub risk_class: RiskClass,
    /// What it says about its duties.
    pub duties: Duties,
    /// Within how many milliseconds a decision is due.
    pub latency_ms: u32,
    /// The gold set's path in the project.
    pub gold_set: String,
    /// What it may spend.
    pub budget: Budget,
    /// Models that may score for it.
    pub models: Vec<String>,
    /// How one of the feasible actions is drawn.
    pub policy: Policy,
    /// Who gets nothing, to measure against.
    pub holdout: Holdout,
    /// How often a person may be contacted.
    pub caps: Vec<Cap>,
    /// What can be done.
    pub actions: Vec<Action>,
}

/// What a use case is for and how that is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The metric's name.
    pub metric: String,
    /// How it is computed, in words or symbols.
    pub formula: String,
    /// The version of the formula.
    pub formula_version: Version,
    /// Kinds of outcomes that are a success.
    pub success: Vec<String>,
    /// How long after the decision an outcome still counts as its success.
    pub within: Span,
    /// What one success is worth where an action does not say otherwise.
    pub value: Cents,
}

impl Goal {
    /// True where an outcome of this kind, at this time, is a success of a decision made at `decided`.
    pub fn counts(&self, kind: &str, decided: Instant, occurred: Instant) -> bool {
        is_success(&self.success, self.within, kind, decided, occurred)
    }

    /// What an outcome is worth: what it says itself, or what a success is worth.
    pub fn worth(&self, said: Option<Cents>, success: bool) -> Cents {
        worth(self.value, said, success)
    }
}

/// The one meaning of success, for decisions as they come and for those counted anew.
pub(crate) fn is_success(
    kinds: &[String],
    within: Span,
    kind: &str,
    decided: Instant,
    occurred: Instant,
) -> bool {
    kinds.iter().any(|known| known == kind) && occurred >= decided && occurred <= decided + within
}

/// The one meaning of what an outcome is worth.
pub(crate) fn worth(of_success: Cents, said: Option<Cents>, success: bool) -> Cents {
    match said {
        Some(value) => value,
        None if success => of_success,
        None => Cents::ZERO,
    }
}

/// One declared input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a use case may spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Its name; use cases that name the same one share it.
    pub name: String,
    /// The most that is spent in a period.
    pub total: Cents,
    /// Three letters.
    pub currency: String,
    /// When it begins anew.
    pub period: Period,
}

/// Who gets nothing, to measure against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// The share of people, 0 to 1.
    pub share: f64,
    /// Names the group: use cases with the same salt hold out the same people.
    pub salt: String,
}

/// A frequency cap: at most `max` contacts in any window of this length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Which contacts count.
    pub scope: CapScope,
    /// The most that may lie in a window.
    pub max: u32,
    /// The window's length.
    pub window: Span,
}

/// Which contacts count for a cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    /// Every contact of every use case.
    All,
    /// Every contact through a channel, of every use case.
    Channel(String),
    /// One action of this use case.
    Action(String),
}

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Through which channel.
    pub channel: String,
    /// What is shown.
    pub creative: String,
    /// What is offered.
    pub offer: String,
    /// What doing it once costs.
    pub cost: Cents,
    /// From when on it may be done.
    pub valid_from: Option<Instant>,
    /// From when on no longer.
    pub valid_until: Option<Instant>,
    /// Who may get it.
    pub eligible: Option<Expr>,
    /// What a success is worth.
    pub value: Cents,
    /// The purpose it needs, beside the use case's.
    pub purpose: String,
    /// Where its score comes from.
    pub score: ScoreSource,
}

/// Where an action's score comes from: the expected number of successes if it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreSource {
    /// The same for everybody.
    Constant(f64),
    /// What a model says; the caller brings it.
    Model(String),
    /// The value of an input.
    Input(String),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(format!(
                        "`{}` is none of {}",
                        crate::finding::short(other),
                        crate::yaml::listed(&[$($word),*])
                    )),
                }
            }
        }
    };
}

words!(
    /// How confidential a use case is.
    SecurityLevel {
        /// Anybody may see it.
        Public = "public",
        /// The company.
        Internal = "internal",
        /// Those who need it.
        Confidential = "confidential",
        /// Named people only.
        Restricted = "restricted",
    }
);
words!(
    /// The class under the EU's AI act.
    RiskClass {
        /// No duties.
        Minimal = "minimal",
        /// People must know.
        Limited = "limited",
        /// A person is the last gate.
        High = "high",
    }
);

impl UseCase {
    /// Reads a use case file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with file, line and what to write instead.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Finding>> {
        crate::read::use_case(text, file)
    }

    /// The action of this name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// The highest cost one decision can have: what to set aside before choosing.
    pub fn highest_cost(&self) -> Cents {
        self.actions.iter().map(|action| action.cost).max().unwrap_or_default()
    }

    /// The account that pays for a decision at `at`.
    pub fn account(&self, at: Instant) -> String {
        self.budget.period.account(&self.budget.name, at)
    }

    /// Every purpose that a decision of this use case asks about, each once.
    pub fn purposes(&self) -> Vec<&str> {
        let mut purposes = vec![self.purpose.as_str()];
        for action in &self.actions {
            let asked = action.eligible.iter().flat_map(Expr::purposes);
            for purpose in std::iter::once(action.purpose.as_str()).chain(asked) {
                if !purposes.contains(&purpose) {
                    purposes.push(purpose);
                }
            }
        }
        purposes
    }

    /// The segments it asks for, by name.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let asked = self.inputs.iter().filter(|input| input.origin == Origin::Segment);
        asked.filter_map(|input| input.name.strip_prefix(feature::SEGMENT))
    }

    /// The features it looks at.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().filter(|i| i.origin == Origin::Feature).map(|i| i.name.as_str())
    }
}

impl Action {
    /// True where `cap` limits it.
    pub fn falls_under(&self, cap: &Cap) -> bool {
        match &cap.scope {
            CapScope::All => true,
            CapScope::Channel(channel) => *channel == self.channel,
            CapScope::Action(action) => *action == self.name,
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            CapScope::All => write!(f, "at most {} in {}", self.max, self.window),
            CapScope::Channel(channel) => write!(f, "at most {} by {channel} in {}", self.max, self.window),
            CapScope::Action(action) => write!(f, "at most {} of {action} in {}", self.max, self.window),
        }
    }
}
