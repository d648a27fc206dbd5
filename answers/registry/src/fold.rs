//! The fold over `mr.releases`, and its tables (control partition).

use std::sync::Arc;

use event::{Instant, Record, RecordId};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold, Scope, Stored, Table};

use crate::{Error, ModelName, ModelState, RELEASES, ReleaseEvent};

/// What the fold keeps.
pub struct Tables {
    models: Table<String, ModelState>,
    refusals: Table<RecordId, Refusal>,
}

/// A record that changed nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When it was known.
    pub at: Instant,
    /// The model it was about; empty where the record cannot be read.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// Folds releases.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReleaseFold;

impl Tables {
    /// The tables of `scope`'s partition.
    pub fn open(scope: &Scope) -> Self {
        Self {
            models: Table::open(scope, "registry.models.2"),
            refusals: Table::open(scope, "registry.refusals.1"),
        }
    }

    /// The tables, for the loop.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.models, &mut self.refusals]
    }

    /// A model with all its versions.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], or the store's error.
    pub fn model(&self, name: &ModelName) -> Result<Arc<ModelState>, Error> {
        let found = self.models.peek(&name.as_str().to_owned())?;
        found.ok_or_else(|| Error::UnknownModel { name: name.to_string() })
    }

    /// All models, by name.
    ///
    /// # Errors
    /// The store's error.
    pub fn models(&self) -> Result<Vec<(ModelName, ModelState)>, Error> {
        let mut all = Vec::new();
        self.models
            .scan(|name, state| all.extend(name.parse().ok().map(|n: ModelName| (n, state.clone()))))?;
        Ok(all)
    }

    /// Records that changed nothing, by id.
    ///
    /// # Errors
    /// The store's error.
    pub fn refusals(&self) -> Result<Vec<(RecordId, Refusal)>, Error> {
        let mut all = Vec::new();
        self.refusals.scan(|id, refusal| all.push((*id, refusal.clone())))?;
        Ok(all)
    }

    /// Says whether an event would be allowed now. Whoever appends one asks first; the fold asks again.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, event: &ReleaseEvent, now: Instant) -> Result<(), Error> {
        let state = self.models.peek(&event.model().as_str().to_owned())?;
        match (state, event) {
            (Some(state), _) => ModelState::clone(&state).apply(event, now),
            (None, ReleaseEvent::Registered(_)) => ModelState::default().apply(event, now),
            (None, _) => Err(Error::UnknownModel { name: event.model().to_string() }),
        }
    }
}

impl Fold<Record> for ReleaseFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _out: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != RELEASES {
            return Ok(());
        }
        let refusal =
            |model: String, error: &Error| Refusal { at: record.known_at, model, reason: error.to_string() };
        let event = match ReleaseEvent::from_payload(&record.payload.open) {
            Ok(event) => event,
            Err(error) => {
                tables.refusals.put(record.id, refusal(String::new(), &error));
                return Ok(());
            }
        };
        let key = event.model().as_str().to_owned();
        let mut state = tables.models.get(&key)?.cloned().unwrap_or_default();
        match state.apply(&event, record.known_at) {
            Ok(()) => tables.models.put(key, state),
            Err(error) => tables.refusals.put(record.id, refusal(key, &error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
