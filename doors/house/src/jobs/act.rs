//! What a step can do.

use serde::{Deserialize, Serialize};

use crate::project::Project;

/// What a step does. Each may be done twice without doing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Brings files in through a stream's contract.
    Import(Import),
    /// Brings in what people said about purposes.
    Consents(Consents),
    /// Holds what the run has imported against bounds.
    Quality(Quality),
    /// Waits until feature views have folded everything that is durable.
    Features(Features),
    /// Trains a model and registers its versions dark.
    Train(Train),
    /// Asks the trained versions the gold sets of today, and whether one may go on.
    Evaluate(Evaluate),
}

/// `import: { stream: orders, files: data-in/orders-{date}.csv }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The stream.
    pub stream: String,
    /// Where they lie: `{date}` is the day the run is for, `*` and `?` stand for any text in the file's name.
    pub files: String,
}

/// `consents: { files: data-in/consents.csv }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consents {
    /// As in [`Import::files`].
    pub files: String,
}

/// `quality: { most_refused_percent: 2, least_rows: 1000 }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Streams; without it, those the run has imported before this step.
    #[serde(default)]
    pub streams: Vec<String>,
    /// Refused rows in percent that are still fine, by stream.
    #[serde(default = "five")]
    pub most_refused_percent: f64,
    /// Rows that each stream must have brought.
    #[serde(default = "one")]
    pub least_rows: u64,
    /// True: a change for the worse in the streams' history (MR2101) stops the run; else it is only in the report.
    #[serde(default)]
    pub stop_on_changes: bool,
}

/// `features: { views: [orders] }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// The views; without it, all of the project.
    #[serde(default)]
    pub views: Vec<String>,
}

/// `train: { model: response }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// The model.
    pub model: String,
}

/// `evaluate: { model: response }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// The model.
    pub model: String,
}

fn five() -> f64 {
    5.0
}

fn one() -> u64 {
    1
}

impl Act {
    /// As it is kept with a run.
    pub(super) fn to_text(&self) -> String {
        // Texts and numbers that were read from a file: JSON can say them.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Act::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// In a few words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Import(act) => format!("import {} from {}", act.stream, act.files),
            Self::Consents(act) => format!("consents from {}", act.files),
            Self::Quality(act) if act.streams.is_empty() => "quality of what was imported".to_owned(),
            Self::Quality(act) => format!("quality of {}", act.streams.join(", ")),
            Self::Features(act) if act.views.is_empty() => "features".to_owned(),
            Self::Features(act) => format!("features {}", act.views.join(", ")),
            Self::Train(act) => format!("train {}", act.model),
            Self::Evaluate(act) => format!("evaluate {}", act.model),
        }
    }

    /// What it says that cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Import(Import { files, .. }) | Self::Consents(Consents { files })
                if files.trim().is_empty() =>
            {
                Err("`files` is empty".to_owned())
            }
            Self::Quality(act) if !(0.0..=100.0).contains(&act.most_refused_percent) => {
                Err(format!("`most_refused_percent: {}` is not between 0 and 100", act.most_refused_percent))
            }
            _ => Ok(()),
        }
    }

    /// What it names and the project does not have.
    pub(super) fn missing(&self, project: &Project) -> Vec<String> {
        let streams: Vec<&String> = match self {
            Self::Import(act) => vec![&act.stream],
            Self::Quality(act) => act.streams.iter().collect(),
            _ => Vec::new(),
        };
        let models: Vec<&String> = match self {
            Self::Train(Train { model }) | Self::Evaluate(Evaluate { model }) => vec![model],
            _ => Vec::new(),
        };
        let views: Vec<&String> = match self {
            Self::Features(act) => act.views.iter().collect(),
            _ => Vec::new(),
        };
        let mut missing = Vec::new();
        let unknown = |name: &&String| project.contracts.newest_named(name).is_none();
        missing.extend(
            streams
                .into_iter()
                .filter(unknown)
                .map(|name| format!("no contract describes the stream `{name}`")),
        );
        let unknown = |name: &&String| !project.models.iter().any(|spec| spec.model == **name);
        missing.extend(
            models.into_iter().filter(unknown).map(|name| format!("there is no model `{name}` in models/")),
        );
        let unknown = |name: &&String| project.views.find(name).is_none();
        missing.extend(
            views.into_iter().filter(unknown).map(|name| format!("there is no view `{name}` in features/")),
        );
        missing
    }
}
