//! Decisions and outcomes on the wire.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use decide::{Cents, DecisionRecord};
use event::RecordId;
use house::Told;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::door::{self, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::people::Called;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::registers::Notice;

/// Outcomes in one request.
const MAX_OUTCOMES: usize = 1_000;

/// For whom to decide, and what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionAsked {
    /// The use case's name.
    use_case: String,
    /// For whom.
    identifier: Called,
    /// What the caller says about this moment, by the names of inputs that the use case declares.
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Map<String, Value>,
}

/// A decision. It is durable when this is answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decision {
    /// Its id; outcomes name it.
    decision: String,
    /// The use case.
    use_case: String,
    /// Its version.
    use_case_version: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// For what purpose.
    purpose: String,
    /// What was chosen; `no_action` for nothing.
    action: String,
    /// Through which channel; empty for nothing.
    channel: String,
    /// What to show.
    creative: String,
    /// What to offer.
    offer: String,
    /// What it costs, in cents.
    #[schema(value_type = f64)]
    cost_cents: Cents,
    /// The exact probability with which it was drawn.
    propensity: f64,
    /// How many actions were feasible, doing nothing included.
    n_feasible: u32,
    /// True where the profile gets nothing, to measure against.
    held_out: bool,
    /// Until when its money is set aside, where it acts.
    #[schema(format = DateTime)]
    reserved_until: Option<String>,
    /// The models that scored.
    models: Vec<ModelUsed>,
    /// Where it lies in its partition of the journal.
    position: Option<u64>,
    /// What must be shown to the person with it (AI Act article 50).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<Notice>,
}

/// A model that scored.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelUsed {
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// In which release: `live`, `canary`.
    pub release: String,
}

impl From<decide::ModelUsed> for ModelUsed {
    fn from(used: decide::ModelUsed) -> Self {
        Self { model: used.model, version: used.version, release: used.release }
    }
}

impl From<DecisionRecord> for Decision {
    fn from(record: DecisionRecord) -> Self {
        let chosen = record.chosen;
        Self {
            decision: record.decision.to_string(),
            use_case: record.use_case,
            use_case_version: record.use_case_version.to_string(),
            at: record.at.to_string(),
            purpose: record.purpose,
            action: chosen.action,
            channel: chosen.channel,
            creative: chosen.creative,
            offer: chosen.offer,
            cost_cents: record.cost,
            propensity: chosen.propensity,
            n_feasible: record.n_feasible,
            held_out: record.holdout.arm.held_out,
            reserved_until: record.reservation.map(|reservation| reservation.expires.to_string()),
            models: record.models.into_iter().map(ModelUsed::from).collect(),
            position: record.position.map(|position| position.0),
            notices: Vec::new(),
        }
    }
}

/// `POST /v1/decide`
pub(crate) async fn decide(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(asked): Sent<DecisionAsked>,
) -> Result<Json<Decision>, Problem> {
    let decide = move |house: &Arc<house::House>| {
        let identifier = asked.identifier.into();
        let decided = house.decide(&caller.principal, &asked.use_case, &identifier, &asked.context)?;
        let notices = crate::registers::notices(house, &decided.use_case)?;
        Ok((decided, notices))
    };
    let (decided, notices) = door.ask(&id, decide).await?;
    door.gate.metrics.decided(&decided.use_case, &decided.chosen.action);
    Ok(Json(Decision { notices, ..decided.into() }))
}

/// `GET /v1/decisions/{id}`
pub(crate) async fn decision(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(decision): Named<String>,
) -> Result<Json<Decision>, Problem> {
    let decision: RecordId = door::id(&decision)?;
    let found = door.ask(&id, move |house| house.decision(&caller.principal, decision)).await?;
    Ok(Json(found.into()))
}

/// What followed from a decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeTold {
    /// The decision.
    decision: String,
    /// What happened: `click`, `order`, `complaint`, as the use case's goal names it.
    #[schema(example = "order")]
    kind: String,
    /// What it was worth, in cents.
    #[schema(value_type = Option<f64>)]
    value_cents: Option<Cents>,
    /// When it happened, however late it is told; now where it is left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Your own id for it: telling twice is telling once. Without it, the same kind, value and time count once.
    id: Option<String>,
}

/// One outcome, or a list of up to 1,000.
#[derive(ToSchema)]
#[schema(as = Outcomes)]
pub(crate) enum Outcomes {
    /// One.
    #[schema(title = "one")]
    One(OutcomeTold),
    /// Several: all are recorded, or none.
    #[schema(title = "several")]
    Several(Vec<OutcomeTold>),
}

// By hand, so that an error names the field and not just "did not match any variant".
impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Outcomes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an outcome or a list of outcomes")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcomes, A::Error> {
                OutcomeTold::deserialize(MapAccessDeserializer::new(map)).map(Outcomes::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Outcomes, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Outcomes::Several)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How many outcomes were recorded. They are durable when this is answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutcomesRecorded {
    /// How many.
    recorded: usize,
}

/// `POST /v1/outcomes`
pub(crate) async fn outcomes(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(told): Sent<Outcomes>,
) -> Result<Json<OutcomesRecorded>, Problem> {
    let told = match told {
        Outcomes::One(one) => vec![one],
        Outcomes::Several(several) => several,
    };
    if told.len() > MAX_OUTCOMES {
        let reason = format!("{} outcomes are more than {MAX_OUTCOMES}", told.len());
        return Err(Refusal::WrongShape { reason }.into());
    }
    let told = told.into_iter().map(OutcomeTold::read).collect::<Result<Vec<_>, _>>()?;
    let recorded = told.len();
    door.ask(&id, move |house| house.outcomes(&told)).await?;
    Ok(Json(OutcomesRecorded { recorded }))
}

impl OutcomeTold {
    fn read(self) -> Result<Told, Problem> {
        let decision = self
            .decision
            .parse::<RecordId>()
            .map_err(|error| Problem::from(Refusal::WrongShape { reason: format!("decision: {error}") }))?;
        let occurred_at = door::instant("occurred_at", self.occurred_at.as_deref())?;
        Ok(Told { decision, kind: self.kind, value: self.value_cents, occurred_at, id: self.id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_outcome_or_several_and_errors_name_the_field() {
        let read = |text: &str| crate::body::json::<Outcomes>(text.as_bytes());
        assert!(matches!(read(r#"{"decision": "x", "kind": "order"}"#), Ok(Outcomes::One(_))));
        assert!(
            matches!(read(r#"[{"decision": "x", "kind": "order"}]"#), Ok(Outcomes::Several(list)) if list.len() == 1)
        );
        let said = |text: &str| read(text).err().map(|refusal| refusal.to_string()).unwrap_or_default();
        assert!(said(r#"[{"decision": "x"}]"#).contains("missing field `kind`"));
        assert!(said("7").contains("expected an outcome or a list of outcomes"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}") {
            let _ = crate::body::json::<Outcomes>(&bytes);
            let _ = crate::body::json::<DecisionAsked>(text.as_bytes());
            let _ = crate::credentials::from_body(&bytes);
        }
    }
}
