//! Features of households and accounts as of instants of the past, from the journal, computed as for training (LAW 5).
//!
//! What is served now for everybody who belongs to an entity is `House::entity_features`; this is the same value at any
//! instant: who belonged then, by words and links known then, over rows known then.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use event::{Instant, Subject};
use feature::{Label, Matrix, View};
use policy::{Action, Principal};

use crate::Error;
use crate::house::{House, Identifier, WAIT};

impl House {
    /// Values of feature views over everybody who belonged to each entity at its instant: one matrix per view, one row
    /// per entity, in the order asked. It costs one pass over the journal, however many are asked.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nobody belonged to one of them; [`Error::Denied`] where anybody in any of them said no
    /// (LAW 3); [`Error::UnknownView`]; [`Error::Feature`]; whatever the journal says.
    pub fn entity_features_as_of(
        &self,
        principal: &Principal,
        purpose: &str,
        views: &[String],
        asked: &[(Identifier, Instant)],
    ) -> Result<Vec<Matrix>, Error> {
        self.engine().settle(WAIT)?;
        let views = views.iter().map(|name| self.view(name)).collect::<Result<Vec<&View>, _>>()?;
        let members = asked.iter().map(|(entity, at)| self.belonged(entity, *at));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let all: BTreeSet<Subject> = members.iter().flatten().copied().collect();
        let everybody: Vec<Subject> = all.iter().copied().collect();
        let now = self.clock().settled();
        // LAW 3: every member of every profile, or none; what is read from the journal is taken out of it.
        let grant =
            policy::authorize(principal, Action::Export, purpose, &everybody, self, self.purposes(), now)?;
        let as_of = self.as_of_journal(views.iter().copied(), |subject| all.contains(&subject))?;
        let labels: Vec<Label<'_>> =
            asked.iter().zip(&members).map(|((_, at), members)| Label { members, at: *at }).collect();
        let asked_of = views.iter().flat_map(|view| view.segments()).map(String::as_str).collect();
        let then = self.then(self.project(), asked_of, |subject| all.contains(&subject))?;
        let matrix = |view: &&View| {
            let missing =
                || Error::Internal { reason: format!("no rows were read for {}", view.reference()) };
            let table = as_of.get(&view.reference()).ok_or_else(missing)?;
            let said = then.contexts(&grant, view, &labels, &[])?;
            Ok(table.values_with(&grant, &labels, &said, NonZeroUsize::MIN)?)
        };
        views.iter().map(matrix).collect()
    }

    /// Everybody who belonged to an entity at an instant, by all their names as they were known then.
    fn belonged(&self, entity: &Identifier, at: Instant) -> Result<Vec<Subject>, Error> {
        let mut members = BTreeSet::new();
        for place in self.belonging(entity, Some(at))? {
            let known = self.in_control(|rooms| rooms.identities.members_as_of(place.subject, at))?;
            members.extend(known.subjects);
        }
        if members.is_empty() {
            let id = entity.kind.chars().take(64).collect();
            return Err(Error::NotFound { what: "member of this", id });
        }
        Ok(members.into_iter().collect())
    }
}
