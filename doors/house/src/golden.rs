//! Gold sets: cases with a known answer beside a use case, which a version must know before it serves (LAW 8).

use std::collections::BTreeMap;

use decide::{Action as Choice, UseCase};
use event::Instant;
use learn::{Model, metric::Evaluation};
use policy::{Action, Principal};
use registry::{Gold, Shown};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;
use crate::house::{House, Identifier};
use crate::past::Asked;
use crate::scoring::model_row;

/// Rows of a gold set at most.
const MAX_ROWS: usize = 10_000;
/// Bytes of a gold set at most.
const MAX_BYTES: u64 = 64 << 20;

/// One line of a gold set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    identifier: Called,
    /// As of when; now where it is not said.
    #[serde(default)]
    at: Option<Instant>,
    /// What a caller would say about the moment, and fields of the example.
    #[serde(default)]
    context: Map<String, Value>,
    /// What was done.
    #[serde(default)]
    action: Option<String>,
    /// How it ended.
    #[serde(default)]
    outcome: Option<bool>,
    /// What each action is worth.
    #[serde(default)]
    worth: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    kind: String,
    value: String,
}

impl House {
    /// What a model shows on the gold set of every use case that asks it.
    ///
    /// # Errors
    /// [`Error::Untrainable`] naming the line where a gold set cannot be read; whatever features and model say.
    pub(crate) fn ask_gold(
        &self,
        principal: &Principal,
        name: &str,
        model: &Model,
    ) -> Result<Vec<Gold>, Error> {
        let asks = |use_case: &&UseCase| crate::deciding::models_of(use_case).contains(&name);
        self.use_cases()
            .iter()
            .filter(asks)
            .map(|use_case| self.gold(principal, use_case, name, model))
            .collect()
    }

    fn gold(
        &self,
        principal: &Principal,
        use_case: &UseCase,
        name: &str,
        model: &Model,
    ) -> Result<Gold, Error> {
        let rows = self.gold_rows(use_case, name)?;
        let (mut left_out, mut choices) = (0, Vec::new());
        let (mut probabilities, mut outcomes) = (Vec::new(), Vec::new());
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for row in &rows {
            match self.gold_person(principal, use_case, row)? {
                Some(person) => {
                    asked.push(person);
                    answered.push(row);
                }
                None => left_out += 1,
            }
        }
        let names: Vec<String> = model
            .schema()
            .fields()
            .iter()
            .map(|field| field.name.to_string())
            .filter(|field| self.project().feature(field).is_some())
            .collect();
        // Cases are of whatever day: what the online state has given up, the journal still has.
        for (row, features) in answered.into_iter().zip(self.past_inputs(&names, &asked)?) {
            let score = |action: Option<&Choice>| -> Result<f64, Error> {
                Ok(model.score(&model_row(features.iter(), action, &row.context))?.probability)
            };
            if let Some(outcome) = row.outcome {
                let action = row.action.as_deref().and_then(|name| action_of(use_case, name));
                probabilities.push(score(action)?);
                outcomes.push(outcome);
            } else {
                let pairs = use_case
                    .actions
                    .iter()
                    .filter_map(|action| Some((action, *row.worth.get(&action.name)?)));
                choices.push(
                    pairs
                        .map(|(a, worth)| Ok((score(Some(a))?, worth)))
                        .collect::<Result<Vec<_>, Error>>()?,
                );
            }
        }
        let shown = match (choices.is_empty(), outcomes.is_empty()) {
            (_, false) => train::gold::outcomes(&probabilities, &outcomes, &Evaluation::default()),
            (false, true) => train::gold::choices(&choices),
            (true, true) => Shown::Nothing { reason: "none of its rows can be asked".to_owned() },
        };
        Ok(Gold {
            use_case: use_case.name.clone(),
            file: use_case.gold_set.clone(),
            n_rows: (rows.len() - left_out) as u64,
            n_left_out: left_out as u64,
            shown,
        })
    }

    /// A row's person, as known at its instant; `None` without consent (LAW 3).
    fn gold_person(
        &self,
        principal: &Principal,
        use_case: &UseCase,
        row: &Row,
    ) -> Result<Option<Asked>, Error> {
        let Called { kind, value } = &row.identifier;
        let subject = self.subject(&Identifier { kind: kind.clone(), value: value.clone() })?;
        let grant = match self.grant(principal, Action::Train, &use_case.purpose, subject) {
            Ok(grant) => grant,
            Err(Error::Denied(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let at = row.at.unwrap_or_else(|| self.clock().settled());
        let members = self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?.subjects;
        Ok(Some(Asked { grant, members, at }))
    }

    fn gold_rows(&self, use_case: &UseCase, model: &str) -> Result<Vec<Row>, Error> {
        let path = self.project().dir.join(&use_case.gold_set);
        let broken = |line: Option<usize>, reason: String| {
            let place = line.map_or(String::new(), |line| format!(":{line}"));
            Error::Untrainable {
                model: model.to_owned(),
                reason: format!("gold set {}{place}: {reason}", use_case.gold_set),
            }
        };
        let size = std::fs::metadata(&path).map_err(|e| broken(None, e.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(broken(None, format!("it has {size} bytes, {MAX_BYTES} are allowed")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| broken(None, e.to_string()))?;
        let mut rows = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if rows.len() == MAX_ROWS {
                return Err(broken(Some(at + 1), format!("more than {MAX_ROWS} rows")));
            }
            let row: Row = serde_json::from_str(line).map_err(|e| broken(Some(at + 1), e.to_string()))?;
            let named = row.action.iter().chain(row.worth.keys());
            if let Some(name) =
                named.into_iter().find(|name| action_of(use_case, name).is_none() && *name != "no_action")
            {
                return Err(broken(Some(at + 1), format!("`{}` has no action `{name}`", use_case.name)));
            }
            let says = usize::from(row.outcome.is_some()) + usize::from(!row.worth.is_empty());
            if says != 1 || row.worth.values().any(|worth| !worth.is_finite()) {
                let reason = "a row says `outcome: true|false`, or `worth` with a number for each action";
                return Err(broken(Some(at + 1), reason.to_owned()));
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

fn action_of<'a>(use_case: &'a UseCase, name: &str) -> Option<&'a Choice> {
    use_case.actions.iter().find(|action| action.name == name)
}
