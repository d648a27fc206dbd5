//! What segments are made from: other segments, features and traits, through whatever stands in between; and that none is
//! made from itself.

use std::collections::BTreeSet;

use profile::Segment;

use crate::finding::{Finding, finding};
use crate::project::Project;

/// All that some segments need.
#[derive(Default)]
pub(crate) struct Needs<'p> {
    /// The segments, each after those that it looks at.
    pub(crate) segments: Vec<&'p Segment>,
    /// Features, as `view.feature`.
    pub(crate) features: BTreeSet<&'p str>,
    /// Traits, by name.
    pub(crate) traits: BTreeSet<&'p str>,
}

/// Why nobody can say who belongs to a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unmade {
    /// There is no such segment.
    Missing(String),
    /// It is made from itself, by way of these.
    Circle(Vec<String>),
}

impl<'p> Needs<'p> {
    /// What these segments of a project need.
    pub(crate) fn of(project: &'p Project, names: impl IntoIterator<Item = &'p str>) -> Result<Self, Unmade> {
        let (mut needs, mut way) = (Self::default(), Vec::new());
        names.into_iter().try_for_each(|name| needs.add(project, name, &mut way))?;
        Ok(needs)
    }

    fn add(&mut self, project: &'p Project, name: &'p str, way: &mut Vec<String>) -> Result<(), Unmade> {
        if self.segments.iter().any(|known| known.name == name) {
            return Ok(());
        }
        let step = format!("segment `{name}`");
        if let Some(from) = way.iter().position(|earlier| *earlier == step) {
            let mut circle: Vec<String> = way.get(from..).unwrap_or_default().to_vec();
            circle.push(step);
            return Err(Unmade::Circle(circle));
        }
        let all = &project.segments;
        let found = all.iter().find(|segment| segment.name == name);
        let segment = found.ok_or_else(|| Unmade::Missing(name.chars().take(64).collect()))?;
        way.push(step);
        segment.segments().try_for_each(|other| self.add(project, other, way))?;
        for reference in segment.features() {
            self.features.insert(reference);
            let Some((view, feature)) = project.feature(reference) else { continue };
            way.push(format!("feature `{reference}`"));
            view.segments_of(feature).into_iter().try_for_each(|other| self.add(project, other, way))?;
            way.pop();
        }
        way.pop();
        self.traits.extend(segment.traits());
        self.segments.push(segment);
        Ok(())
    }
}

/// What segments, features and use cases say of segments that cannot be.
pub(super) fn check(project: &Project, findings: &mut Vec<Finding>) {
    let mut told: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for segment in &project.segments {
        for name in segment.segments() {
            check_use(
                project,
                name,
                &[&segment.purpose],
                "the segment is",
                &segment.file,
                "MR3122",
                findings,
            );
        }
        if let Err(Unmade::Circle(circle)) = Needs::of(project, [segment.name.as_str()])
            // Each circle once, whichever of its segments it is found from.
            && told.insert(circle.iter().cloned().collect())
        {
            let what = format!("a segment cannot be made from itself: {}", circle.join(" → "));
            findings.push(finding("MR3126", &segment.file, 1, what));
        }
    }
    for view in project.views.iter() {
        let purposes: Vec<&String> = view.purposes().iter().collect();
        let file = format!("features/{}.yaml", view.name());
        for name in view.segments() {
            check_use(project, name, &purposes, "the view is", &file, "MR3122", findings);
        }
    }
    for use_case in &project.use_cases {
        let file = format!("usecases/{}.yaml", use_case.name);
        for name in use_case.segments() {
            check_use(project, name, &[&use_case.purpose], "the use case is", &file, "MR5008", findings);
            let Ok(needs) = Needs::of(project, [name]) else { continue };
            for reference in needs.features {
                let Some((view, _)) = project.feature(reference) else { continue };
                let stream = view.stream();
                if !use_case.sources.iter().any(|source| source == stream.as_str()) {
                    let what = format!(
                        "segment `{name}` is made from `{stream}` (by `{reference}`), which is none of its sources"
                    );
                    findings.push(finding("MR5008", &file, 1, what));
                }
            }
        }
    }
}

/// LAW 3: who belongs to a segment is asked for the segment's purpose and no other.
fn check_use(
    project: &Project,
    name: &str,
    purposes: &[&String],
    whose: &str,
    file: &str,
    missing: &'static str,
    findings: &mut Vec<Finding>,
) {
    let Some(segment) = project.segments.iter().find(|segment| segment.name == name) else {
        let known: Vec<&str> = project.segments.iter().map(|segment| segment.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let name: String = name.chars().take(64).collect();
        findings.push(finding(missing, file, 1, format!("there is no segment `{name}`; known: {known}")));
        return;
    };
    if let Some(other) = purposes.iter().find(|purpose| ***purpose != segment.purpose) {
        let what = format!(
            "segment `{name}` is read for `{}` and for nothing else; {whose} for `{other}`",
            segment.purpose
        );
        findings.push(finding("MR3125", file, 1, what));
    }
}
