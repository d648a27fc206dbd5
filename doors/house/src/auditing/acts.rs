//! What the acts of other rooms look like in the log.

use audit::Act;
use event::{RecordId, Subject};
use policy::Principal;
use profile::Deed;
use registry::ReleaseEvent;
use serde_json::{Value, json};

use crate::Error;
use crate::house::House;

impl House {
    /// The entry of looking at a person.
    pub(crate) fn audit_look(
        &self,
        what: &str,
        principal: &Principal,
        purpose: &str,
        subject: Option<Subject>,
        detail: Value,
    ) -> Result<(), Error> {
        self.audit(&Act { what, by: principal.name(), purpose: Some(purpose), subject, detail })
    }

    /// The entry of taking data out.
    ///
    /// # Errors
    /// As [`House::audit`].
    pub fn audit_export(
        &self,
        principal: &Principal,
        kind: &str,
        name: &str,
        purpose: &str,
    ) -> Result<(), Error> {
        let detail = json!({ "kind": kind, "name": name });
        let by = principal.name();
        self.audit(&Act { purpose: Some(purpose), detail, ..Act::new("export.take", by) })
    }
}

/// The act of moving a version to or from traffic; what training registers moves nothing.
pub(crate) fn of_release(event: &ReleaseEvent) -> Option<Act<'_>> {
    match event {
        ReleaseEvent::Moved { model, version, to, by, reason } => Some(Act {
            detail: json!({ "model": model, "version": version, "to": to, "reason": reason }),
            ..Act::new("release.promote", by)
        }),
        ReleaseEvent::RolledBack { model, by, reason } => Some(Act {
            detail: json!({ "model": model, "reason": reason }),
            ..Act::new("release.rollback", by)
        }),
        _ => None,
    }
}

/// The act of a hand in the identity graph.
pub(crate) fn of_merge(act: &profile::Act, record: RecordId) -> Act<'_> {
    let what = match (act.deed, act.undoes) {
        (Deed::Merge, None) => "profile.merge",
        (Deed::Merge, Some(_)) => "profile.unmerge",
        (Deed::Split, None) => "profile.split",
        (Deed::Split, Some(_)) => "profile.rejoin",
    };
    let subjects: Vec<Subject> = act.ids.iter().map(|id| id.subject).collect();
    Act {
        subject: subjects.first().copied(),
        detail: json!({ "record": record, "subjects": subjects, "undoes": act.undoes, "reference": act.reference }),
        ..Act::new(what, &act.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry::{Move, VersionNumber};

    #[test]
    fn moves_to_and_from_traffic_are_acts_of_whoever_ordered_them() {
        let model: registry::ModelName = "response".parse().unwrap();
        let (by, reason) = ("ada".to_owned(), "better".to_owned());
        let (model_moved, by_moved) = (model.clone(), by.clone());
        let moved = ReleaseEvent::Moved {
            model: model_moved,
            version: VersionNumber(2),
            to: Move::Live,
            by: by_moved,
            reason: reason.clone(),
        };
        let act = of_release(&moved).unwrap();
        assert_eq!((act.what, act.by, &act.detail["version"]), ("release.promote", "ada", &json!(2)));
        let back = ReleaseEvent::RolledBack { model, by, reason };
        let act = of_release(&back).unwrap();
        assert_eq!((act.what, &act.detail["reason"]), ("release.rollback", &json!("better")));
    }
}
