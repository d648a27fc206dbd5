//! Use cases on the wire: what they are for, and how far their money has gone.

use std::sync::Arc;

use axum::extract::State;
use decide::{Cents, UseCase};
use serde::Serialize;
use utoipa::ToSchema;

use crate::door::{Door, Json};
use crate::gate::RequestId;
use crate::problem::Problem;

/// Every use case of the project.
#[derive(Serialize, ToSchema)]
pub(crate) struct UseCases {
    /// In the project's order.
    use_cases: Vec<UseCaseLine>,
}

/// One use case.
#[derive(Serialize, ToSchema)]
#[schema(as = UseCase)]
struct UseCaseLine {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// What it is about.
    description: String,
    /// Who answers for it.
    responsible: String,
    /// The metric of its goal.
    goal: String,
    /// How that is computed.
    formula: String,
    /// The reason for the processing.
    purpose: String,
    /// Models that may score for it.
    models: Vec<String>,
    /// The share of people who get nothing, to measure against.
    holdout_share: f64,
    /// What can be done.
    actions: Vec<ActionLine>,
    /// What it may spend.
    budget: BudgetLine,
}

/// One action.
#[derive(Serialize, ToSchema)]
#[schema(as = Action)]
struct ActionLine {
    /// Its name.
    name: String,
    /// Through which channel.
    channel: String,
    /// What doing it once costs, in cents.
    #[schema(value_type = f64)]
    cost_cents: Cents,
}

/// A budget in its current period.
#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
struct BudgetLine {
    /// Three letters.
    currency: String,
    /// The most that may be spent, in cents.
    #[schema(value_type = f64)]
    total_cents: Cents,
    /// What was spent, in cents.
    #[schema(value_type = f64)]
    spent_cents: Cents,
    /// What partitions hold to spend, in cents.
    #[schema(value_type = f64)]
    granted_cents: Cents,
}

fn line(use_case: &UseCase, budgets: &[house::BudgetState]) -> UseCaseLine {
    let budget = budgets.iter().find(|budget| budget.use_case == use_case.name);
    let action = |action: &decide::Action| ActionLine {
        name: action.name.clone(),
        channel: action.channel.clone(),
        cost_cents: action.cost,
    };
    UseCaseLine {
        name: use_case.name.clone(),
        version: use_case.version.to_string(),
        description: use_case.description.clone(),
        responsible: use_case.responsible.clone(),
        goal: use_case.goal.metric.clone(),
        formula: use_case.goal.formula.clone(),
        purpose: use_case.purpose.clone(),
        models: use_case.models.clone(),
        holdout_share: use_case.holdout.share,
        actions: use_case.actions.iter().map(action).collect(),
        budget: BudgetLine {
            currency: use_case.budget.currency.clone(),
            total_cents: use_case.budget.total,
            spent_cents: budget.map_or(Cents::ZERO, |budget| budget.spent),
            granted_cents: budget.map_or(Cents::ZERO, |budget| budget.granted),
        },
    }
}

/// `GET /v1/use-cases`
pub(crate) async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<UseCases>, Problem> {
    let budgets = door.ask(&id, |house| house.budgets()).await?;
    let use_cases = door.house.use_cases().iter().map(|use_case| line(use_case, &budgets));
    Ok(Json(UseCases { use_cases: use_cases.collect() }))
}
