//! A view: named features over one stream, checked against its contract and ready to be computed.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Span, StreamName};

use crate::cell::Shape;
use crate::context::ContextField;
use crate::expr::Expr;
use crate::filter::Filter;
use crate::path::FieldPath;
use crate::plan::Plan;
use crate::value::{Kind, Reading, Value};

/// A feature view; cheap to clone. Read with [`View::parse`].
#[derive(Clone)]
pub struct View(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) id: u64,
    pub(crate) fingerprint: String,
    pub(crate) file: String,
    /// What its file says, by feature.
    pub(crate) wording: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) stream: StreamName,
    pub(crate) purposes: Vec<String>,
    pub(crate) is_personal: bool,
    pub(crate) features: Vec<Feature>,
    /// One per feature.
    pub(crate) formulas: Vec<Formula>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) columns: Vec<Column>,
    pub(crate) plan: Plan,
    /// What requests say.
    pub(crate) context: Vec<ContextField>,
    /// Segments that expressions ask for.
    pub(crate) segments: Vec<String>,
}

/// A named, typed value of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) window: Option<Span>,
    /// `month in Europe/Berlin`
    pub(crate) calendar: Option<String>,
    pub(crate) is_on_demand: bool,
    pub(crate) default: Value,
    pub(crate) description: Option<String>,
}

/// A field that rows carry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) path: FieldPath,
    pub(crate) shape: Shape,
}

/// Where a feature's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    Of {
        slot: usize,
        reading: Reading,
    },
    /// Of two other features.
    Ratio {
        numerator: usize,
        denominator: usize,
    },
    /// Computed when it is asked for: places are features in the order of the file, then the context's values, then
    /// segments.
    Expr {
        expr: Expr,
        reads: Box<[usize]>,
    },
}

impl Feature {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its window; `None` where it looks at all there ever was. For one of the calendar: what it never exceeds.
    pub fn window(&self) -> Option<Span> {
        self.window
    }

    /// The piece of the calendar that is its window: `month in Europe/Berlin`.
    pub fn calendar(&self) -> Option<&str> {
        self.calendar.as_deref()
    }

    /// True where it is computed from other features, what the request says, and segments, when it is asked for.
    pub fn is_on_demand(&self) -> bool {
        self.is_on_demand
    }

    /// What it says where nothing is known.
    pub fn default(&self) -> &Value {
        &self.default
    }

    /// What it means, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

impl View {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// Name and version, as manifests and explanations write it: `purchases@1`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.0.name, self.0.version)
    }

    /// Names everything that decides its values: two views with the same fingerprint compute the same.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The file it was read from.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// What its file says of each feature, in one line: `sum of orders.total, window 30d`. What a request says stands under
    /// `context.NAME`. It is the same for every way of writing the same, and knows nothing of the contract.
    pub fn wording(&self) -> &BTreeMap<String, String> {
        &self.0.wording
    }

    /// What it is about, for people.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The stream it is made from.
    pub fn stream(&self) -> &StreamName {
        &self.0.stream
    }

    /// What it may be used for.
    pub fn purposes(&self) -> &[String] {
        &self.0.purposes
    }

    /// True where a personal field goes into it: its rows are then sealed like the field (LAW 4).
    pub fn is_personal(&self) -> bool {
        self.0.is_personal
    }

    /// Its features, in the order of its file.
    pub fn features(&self) -> &[Feature] {
        &self.0.features
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint() && self.purposes() == other.purposes()
    }
}

impl Eq for View {}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({})", self.reference())
    }
}
