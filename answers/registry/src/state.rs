//! What is known of a model, and which changes of it are allowed.
//!
//! [`ModelState::apply`] is the only way to change it: the fold uses it, and whoever wants to append an event asks it
//! beforehand on a copy. So what is refused is refused the same way in both places.

use std::fmt;

use event::Instant;
use learn::metric::Metrics;
use serde::{Deserialize, Serialize};

use crate::{
    About, Canary, ContentHash, Error, GateReport, Manifest, ModelName, Move, Registration, Release,
    ReleaseEvent, Role, Segment, VersionNumber,
};

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Serves nobody.
    Dark,
    /// Serves a share of the profiles.
    Canary,
    /// Serves everybody else.
    Live,
    /// Served, or was given up; comes back only by a rollback.
    Retired,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dark => "dark",
            Self::Canary => "canary",
            Self::Live => "live",
            Self::Retired => "retired",
        })
    }
}

/// A gate's figures, and when they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// When it was known.
    pub at: Instant,
    /// Who or what measured.
    pub by: String,
    /// Figures and rules.
    pub report: GateReport,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionState {
    /// Its number.
    pub number: VersionNumber,
    /// Where it stands.
    pub stage: Stage,
    /// Baseline or challenger.
    pub role: Role,
    /// What it is, for people.
    pub about: About,
    /// What it was made from.
    pub manifest: Manifest,
    /// What it showed on its test set.
    pub metrics: Metrics,
    /// The same by segment.
    pub segments: Vec<Segment>,
    /// Its gate's judgements, oldest first; the last one counts.
    pub judgements: Vec<Judgement>,
    /// When it was registered.
    pub registered_at: Instant,
    /// By whom.
    pub registered_by: String,
    /// From how many people it learned who were erased since. Where it is not known whom it learned from, everybody counts.
    pub trained_on_erased: u64,
}

/// One line of a model's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// Who.
    pub by: String,
    /// What happened, in a sentence.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// A model with all its versions. History is never cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct ModelState {
    /// In order of their numbers.
    pub versions: Vec<VersionState>,
    /// Serves everybody whom the canary does not.
    pub live: Option<VersionNumber>,
    /// Serves a share.
    pub canary: Option<Canary>,
    /// Versions that were live before the present one, latest last: where rollbacks go.
    pub lived: Vec<VersionNumber>,
    /// All that happened, oldest first.
    pub history: Vec<Entry>,
}

const RULE: &str =
    "dark → canary → live → retired; a canary may go back to dark, a retired version comes back by rollback";

impl ModelState {
    /// A version.
    pub fn version(&self, number: VersionNumber) -> Option<&VersionState> {
        self.versions.get((number.0 as usize).checked_sub(1)?)
    }

    /// The version with this artefact.
    pub fn by_artefact(&self, artefact: &ContentHash) -> Option<&VersionState> {
        self.versions.iter().find(|v| v.manifest.artefact == *artefact)
    }

    /// What serves at the moment.
    pub fn release(&self, model: &ModelName) -> Release {
        let dark = self.versions.iter().filter(|v| v.stage == Stage::Dark).map(|v| v.number);
        Release { model: model.clone(), live: self.live, canary: self.canary, dark: dark.collect() }
    }

    /// Changes the state by an event that became known at `at`.
    ///
    /// # Errors
    /// Where the event is not allowed; nothing is changed then.
    pub fn apply(&mut self, event: &ReleaseEvent, at: Instant) -> Result<(), Error> {
        match event {
            ReleaseEvent::Registered(registration) => self.register(registration, at),
            ReleaseEvent::Judged { model, version, report, by } => {
                self.judge(model, *version, report, by, at)
            }
            ReleaseEvent::Moved { model, version, to, by, reason } => {
                named(by, "moves a version")?;
                let what = self.shift(model, *version, *to)?;
                self.note(at, by, what, reason);
                Ok(())
            }
            ReleaseEvent::TrainedOnErased { model, act, versions } => {
                for erased in versions {
                    let version = self.version_mut(model, erased.version)?;
                    version.trained_on_erased = version.trained_on_erased.saturating_add(erased.n);
                    let what =
                        format!("{} learned from {} people who are erased now", erased.version, erased.n);
                    self.note(at, "maschinenraum", what, &format!("erasure {act}"));
                }
                Ok(())
            }
            ReleaseEvent::RolledBack { model, by, reason } => {
                named(by, "orders a rollback")?;
                let what = self.roll_back(model)?;
                self.note(at, by, what, reason);
                Ok(())
            }
        }
    }

    fn register(&mut self, new: &Registration, at: Instant) -> Result<(), Error> {
        if self.by_artefact(&new.manifest.artefact).is_some() {
            return Ok(());
        }
        named(&new.about.owner, "answers for the model")?;
        let number = VersionNumber(u32::try_from(self.versions.len()).unwrap_or(u32::MAX).saturating_add(1));
        self.versions.push(VersionState {
            number,
            stage: Stage::Dark,
            role: new.role,
            about: new.about.clone(),
            manifest: new.manifest.clone(),
            metrics: new.metrics.clone(),
            segments: new.segments.clone(),
            judgements: Vec::new(),
            registered_at: at,
            registered_by: new.by.clone(),
            trained_on_erased: 0,
        });
        self.note(at, &new.by, format!("{number} is registered ({})", new.about.method), "");
        Ok(())
    }

    fn judge(
        &mut self,
        model: &ModelName,
        version: VersionNumber,
        report: &GateReport,
        by: &str,
        at: Instant,
    ) -> Result<(), Error> {
        if report.gate.rules.is_empty() {
            return Err(Error::EmptyGate);
        }
        let found = self.version_mut(model, version)?;
        if found.manifest.artefact != report.artefact {
            return Err(Error::OtherArtefact {
                model: model.clone(),
                version,
                judged: report.artefact.to_string(),
                registered: found.manifest.artefact.to_string(),
            });
        }
        found.judgements.push(Judgement { at, by: by.to_owned(), report: report.clone() });
        self.note(at, by, format!("{version}'s gate: {}", report.verdict()), "");
        Ok(())
    }

    fn shift(&mut self, model: &ModelName, version: VersionNumber, to: Move) -> Result<String, Error> {
        let found = self.version_mut(model, version)?;
        let from = found.stage;
        let stage = match to {
            Move::Canary(_) => Stage::Canary,
            Move::Live => Stage::Live,
            Move::Dark => Stage::Dark,
            Move::Retired => Stage::Retired,
        };
        let refuse = |rule| Err(Error::NoSuchMove { model: model.clone(), version, from, to: stage, rule });
        match (from, to) {
            (Stage::Dark | Stage::Canary, Move::Canary(_)) | (Stage::Canary, Move::Live) => {
                gated(model, found)?
            }
            (Stage::Canary, Move::Dark) => {}
            (Stage::Dark | Stage::Canary | Stage::Live, Move::Retired) => {}
            _ => return refuse(RULE),
        }
        if let (Move::Canary(_), Some(other)) = (to, self.canary)
            && other.version != version
        {
            return refuse("another version is the canary: move it on or back first");
        }
        self.set_stage(version, stage);
        if self.canary.is_some_and(|c| c.version == version) {
            self.canary = None;
        }
        match to {
            Move::Canary(share) => {
                self.canary = Some(Canary { version, share });
                Ok(format!("{version} is the canary, for {share} of the profiles"))
            }
            Move::Live => {
                if let Some(before) = self.live.replace(version) {
                    self.set_stage(before, Stage::Retired);
                    self.lived.push(before);
                    return Ok(format!("{version} is live; {before} is retired"));
                }
                Ok(format!("{version} is live"))
            }
            Move::Dark => Ok(format!("{version} is dark again")),
            Move::Retired => {
                if self.live == Some(version) {
                    self.live = None;
                    self.lived.push(version);
                }
                Ok(format!("{version} is retired"))
            }
        }
    }

    /// LAW 8: one record, and it takes effect for the next request.
    fn roll_back(&mut self, model: &ModelName) -> Result<String, Error> {
        if let Some(canary) = self.canary.take() {
            self.set_stage(canary.version, Stage::Dark);
            return Ok(format!("{} is no longer the canary", canary.version));
        }
        let before = self.lived.pop().ok_or_else(|| Error::NothingBefore { model: model.clone() })?;
        let now = self.live.replace(before);
        self.set_stage(before, Stage::Live);
        let Some(now) = now else { return Ok(format!("{before} is live again")) };
        self.set_stage(now, Stage::Retired);
        Ok(format!("{before} is live again; {now} is retired"))
    }

    fn version_mut(&mut self, model: &ModelName, version: VersionNumber) -> Result<&mut VersionState, Error> {
        let n_versions = self.versions.len();
        let unknown = || Error::UnknownVersion { model: model.clone(), version, n_versions };
        let index = (version.0 as usize).checked_sub(1).ok_or_else(unknown)?;
        self.versions.get_mut(index).ok_or_else(unknown)
    }

    fn set_stage(&mut self, version: VersionNumber, stage: Stage) {
        if let Some(found) = self.versions.iter_mut().find(|v| v.number == version) {
            found.stage = stage;
        }
    }

    fn note(&mut self, at: Instant, by: &str, what: String, reason: &str) {
        self.history.push(Entry { at, by: by.to_owned(), what, reason: reason.to_owned() });
    }
}

/// LAW 8: nothing serves ungated. The verdict is computed from the figures here, every time.
fn gated(model: &ModelName, version: &VersionState) -> Result<(), Error> {
    let refuse =
        |reason: String| Err(Error::NotGated { model: model.clone(), version: version.number, reason });
    match version.judgements.last() {
        None => refuse("it was never judged".into()),
        Some(last) if last.report.passed() => Ok(()),
        Some(last) => refuse(last.report.verdict()),
    }
}

fn named(who: &str, act: &'static str) -> Result<(), Error> {
    if who.trim().is_empty() { Err(Error::Nobody { act }) } else { Ok(()) }
}
