//! The view's file as it is written.

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::context::SEGMENT;

/// The largest view file that is read.
const MAX_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawView {
    pub(crate) view: Spanned<String>,
    pub(crate) version: Spanned<u32>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    pub(crate) stream: Spanned<String>,
    pub(crate) purposes: Vec<Spanned<String>>,
    /// Whose calendar days, weeks and months are meant.
    #[serde(default)]
    pub(crate) zone: Option<Spanned<String>>,
    /// What a request says, for features computed then.
    #[serde(default)]
    pub(crate) context: Vec<RawContext>,
    pub(crate) features: Vec<RawFeature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawContext {
    pub(crate) name: Spanned<String>,
    #[serde(rename = "type")]
    pub(crate) kind: ContextKind,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContextKind {
    Number,
    Text,
    Boolean,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFeature {
    pub(crate) name: Spanned<String>,
    /// Without one it is an `expr`.
    #[serde(default)]
    pub(crate) agg: Agg,
    #[serde(default)]
    pub(crate) expr: Option<Spanned<String>>,
    /// The same as an expression that asks for this segment and nothing else.
    #[serde(default)]
    pub(crate) segment: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) of: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) scale: Option<Spanned<u8>>,
    #[serde(default)]
    pub(crate) window: Option<Spanned<String>>,
    #[serde(default, rename = "where")]
    pub(crate) filter: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) default: Option<Spanned<Scalar>>,
    #[serde(default)]
    pub(crate) half_life: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) numerator: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) denominator: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) unit: Option<Unit>,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Agg {
    /// Computed from other features and the request's context, when it is asked for.
    #[default]
    Expr,
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Last,
    First,
    Distinct,
    TimeSince,
    Ratio,
    DecayedSum,
}

impl RawFeature {
    /// `segment: loyal` is `expr: segment.loyal`.
    pub(crate) fn spell_out(&mut self) {
        if let (None, Some(segment)) = (&self.expr, &self.segment) {
            let text = format!("{SEGMENT}{}", segment.value);
            self.expr =
                Some(Spanned { value: text, referenced: segment.referenced, defined: segment.defined });
        }
    }
}

impl Agg {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expr => "expr",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::First => "first",
            Self::Distinct => "distinct",
            Self::TimeSince => "time_since",
            Self::Ratio => "ratio",
            Self::DecayedSum => "decayed_sum",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Days,
    Hours,
    Minutes,
    Seconds,
}

impl Unit {
    pub(crate) fn micros(self) -> i64 {
        match self {
            Self::Days => 86_400_000_000,
            Self::Hours => 3_600_000_000,
            Self::Minutes => 60_000_000,
            Self::Seconds => 1_000_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

/// Reads a view's file: (line if known, what is wrong) where it is none.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, (Option<u32>, String)> {
    if yaml.len() > MAX_BYTES {
        return Err((None, format!("the file is {} bytes long; 1 MiB is the most", yaml.len())));
    }
    // Bombs: aliases may not multiply, depth and size are bounded.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 16,
            max_aliases: 200,
            max_anchors: 200,
            max_documents: 1,
            max_merge_keys: 200,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let line = error.location().and_then(|l| u32::try_from(l.line()).ok()).filter(|l| *l > 0);
        let text = error.without_snippet().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        (line, first)
    })
}
