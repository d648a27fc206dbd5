//! Feature views on the wire: which there are and how far they are filled, and whether serving and training agree.

use std::sync::Arc;

use axum::extract::State;
use policy::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::door::{Door, Json};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::routes::{Spec, Table};

/// The routes of features, but for reading values.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/features/views", "people", "Every feature view, and how far it is filled.")
                .scope(Scope::Read)
                .gives::<ViewList>(),
            views,
        )
        .add(
            Spec::get("/v1/features/skew", "people", "Whether decisions were given what training sees.")
                .scope(Scope::Read)
                .gives::<SkewReport>(),
            skew,
        )
}

/// All views.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewList {
    /// By name and version.
    views: Vec<ViewShown>,
}

/// A view.
#[derive(Serialize, ToSchema)]
struct ViewShown {
    /// Name and version.
    #[schema(example = "orders@1")]
    view: String,
    /// What it is about.
    description: Option<String>,
    /// Whose records it is made of.
    stream: String,
    /// What it may be read for.
    purposes: Vec<String>,
    /// Whether personal fields go into it.
    personal: bool,
    /// `served`, or `filling`: then nobody can read it yet.
    state: &'static str,
    /// Records looked at while it is filled.
    n_done: Option<u64>,
    /// Records to look at.
    n_total: Option<u64>,
    /// What requests say for it.
    context: Vec<ContextShown>,
    /// Its features.
    features: Vec<FeatureShown>,
}

/// A value that requests say.
#[derive(Serialize, ToSchema)]
struct ContextShown {
    /// Its name.
    name: String,
    /// What it is.
    #[schema(example = "a number")]
    kind: &'static str,
}

/// A feature.
#[derive(Serialize, ToSchema)]
struct FeatureShown {
    /// Its name.
    name: String,
    /// What its values are.
    #[schema(example = "number")]
    kind: &'static str,
    /// Its window, like `30d` or `month in Europe/Berlin`; null where it looks at all there ever was.
    window: Option<String>,
    /// Whether it is computed when it is asked for.
    on_demand: bool,
    /// What it means.
    description: Option<String>,
}

async fn views(
    State(door): State<Arc<Door>>,
    _caller: Caller,
    id: RequestId,
) -> Result<Json<ViewList>, Problem> {
    let read = |house: &Arc<house::House>| {
        let filling = house.filling()?;
        Ok(house.project().views.iter().map(|view| shown(view, &filling)).collect())
    };
    Ok(Json(ViewList { views: door.ask(&id, read).await? }))
}

fn shown(view: &feature::View, filling: &[house::Filling]) -> ViewShown {
    let left = filling.iter().find(|filling| filling.view == view.reference());
    let features = view.features().iter().map(|feature| FeatureShown {
        name: feature.name().to_owned(),
        kind: feature.kind().as_str(),
        window: match feature.calendar() {
            Some(calendar) => Some(calendar.to_owned()),
            None => feature.window().map(|window| window.to_string()),
        },
        on_demand: feature.is_on_demand(),
        description: feature.description().map(str::to_owned),
    });
    let context = view.context().iter();
    ViewShown {
        view: view.reference(),
        description: view.description().map(str::to_owned),
        stream: view.stream().to_string(),
        purposes: view.purposes().to_vec(),
        personal: view.is_personal(),
        state: if left.is_some() { "filling" } else { "served" },
        n_done: left.map(|left| left.n_done),
        n_total: left.map(|left| left.n_total),
        context: context
            .map(|c| ContextShown { name: c.name().to_owned(), kind: c.kind().as_str() })
            .collect(),
        features: features.collect(),
    }
}

/// The latest comparison; one is made every ten minutes.
#[derive(Serialize, ToSchema)]
pub(crate) struct SkewReport {
    /// When it was made; null before the first.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Decisions compared.
    n_decisions: usize,
    /// Decisions left out: nobody may read them any more, or their evidence is gone.
    n_left_out: usize,
    /// Values compared.
    n_values: usize,
    /// Values that differ: expected 0.
    n_different: usize,
    /// By feature, those with differences first.
    features: Vec<SkewOf>,
}

/// One feature, as served and as trained with.
#[derive(Serialize, ToSchema)]
struct SkewOf {
    /// View, version and feature.
    #[schema(example = "orders@1.n_30d")]
    feature: String,
    /// Values compared.
    n_values: usize,
    /// Values that differ.
    n_different: usize,
    /// The first decision whose value differs.
    first: Option<String>,
}

async fn skew(
    State(door): State<Arc<Door>>,
    _caller: Caller,
    id: RequestId,
) -> Result<Json<SkewReport>, Problem> {
    let skew = door.ask(&id, |house: &Arc<house::House>| Ok(house.last_skew())).await?;
    let skew = skew.map(|skew| house::Skew::clone(&skew)).unwrap_or_default();
    let features = skew.features.into_iter().map(|of| SkewOf {
        feature: of.feature,
        n_values: of.n_values,
        n_different: of.n_different,
        first: of.first.map(|id| id.to_string()),
    });
    Ok(Json(SkewReport {
        at: skew.at.map(|at| at.to_string()),
        n_decisions: skew.n_decisions,
        n_left_out: skew.n_left_out,
        n_values: skew.n_values,
        n_different: skew.n_different,
        features: features.collect(),
    }))
}
