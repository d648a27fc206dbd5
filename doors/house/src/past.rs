//! Feature values of named people at instants of the past, from the journal, computed as for training (LAW 5).
//!
//! The online state answers for now and a day back; whoever asks of an earlier day asks here, for many people at once,
//! since it costs a pass over the journal.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use contract::Bound;
use decide::{Input, Origin};
use event::{Instant, Subject};
use feature::{AsOf, Label, View};
use policy::Grant;

use crate::Error;
use crate::house::House;
use crate::people::as_decide;

/// Whose features are asked for, and as of when.
pub(crate) struct Asked {
    /// Covers every member.
    pub(crate) grant: Grant,
    /// The profile's members at that instant.
    pub(crate) members: Vec<Subject>,
    /// The instant.
    pub(crate) at: Instant,
}

impl House {
    /// Values of features named `view.feature`, one list for each that is asked for.
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::Feature`]; whatever the journal says.
    pub(crate) fn past_inputs(&self, names: &[String], asked: &[Asked]) -> Result<Vec<Vec<Input>>, Error> {
        let mut views: Vec<&View> = Vec::new();
        for name in names {
            let view = self.view(name.rsplit_once('.').map_or(name.as_str(), |(view, _)| view))?;
            if !views.contains(&view) {
                views.push(view);
            }
        }
        let whose: BTreeSet<Subject> = asked.iter().flat_map(|one| &one.members).copied().collect();
        let streams: BTreeSet<String> = views.iter().map(|view| view.stream().to_string()).collect();
        let mut rows: Vec<Vec<(Subject, feature::Row)>> = vec![Vec::new(); views.len()];
        self.each_record(&streams, |record| {
            if !whose.contains(&record.subject) {
                return Ok(());
            }
            let Some(fields) = self.composition().bind(record)? else { return Ok(()) };
            let bound = Bound { record, fields: &fields };
            for (view, rows) in views.iter().zip(&mut rows) {
                rows.extend(view.row_of(&bound).map(|row| (record.subject, row)));
            }
            Ok(())
        })?;
        let segments = views.iter().flat_map(|view| view.segments()).map(String::as_str).collect();
        let then = self.then(self.project(), segments, |subject| whose.contains(&subject))?;
        let one = NonZeroUsize::MIN;
        let tables = views
            .iter()
            .zip(rows)
            .map(|(view, rows)| AsOf::build(view, rows, one))
            .collect::<Result<Vec<_>, _>>()?;
        let inputs_of = |asked: &Asked| -> Result<Vec<Input>, Error> {
            let label = Label { members: &asked.members, at: asked.at };
            let matrices = tables
                .iter()
                .map(|table| {
                    let said = then.contexts(&asked.grant, table.view(), &[label], &[])?;
                    Ok(table.values_with(&asked.grant, &[label], &said, one)?)
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let input = |name: &String| {
                let (view, feature) = name.rsplit_once('.').unwrap_or((name, ""));
                let known = self.view(view).ok();
                let matrix = matrices.iter().find(|matrix| Some(matrix.view()) == known);
                let value = matrix.and_then(|matrix| matrix.column(feature)).map(|column| column.value(0));
                Input {
                    name: name.clone(),
                    origin: Origin::Feature,
                    value: value.as_ref().and_then(as_decide),
                    version: known.map(|view| view.version().to_string()).unwrap_or_default(),
                    personal: known.is_some_and(View::is_personal),
                }
            };
            Ok(names.iter().map(input).collect())
        };
        asked.iter().map(inputs_of).collect()
    }
}
