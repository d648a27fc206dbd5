//! The house: one composition of folds, doors' common floor.
//!
//! [`Project`] is what a user keeps in git; [`House`] is an open instance of it: journal, state, keys, models. What
//! the doors offer — HTTP, the command line, the acceptance tables — they all ask of this one room, so that there is
//! one way in and one way out, with one set of grants.
//!
//! This room knows no wire format of clients and no terminal.

mod applied;
mod auditing;
mod backfilling;
mod backup;
mod capturing;
mod clock;
mod consenting;
mod consents_file;
mod deciding;
mod delivering;
mod entities;
mod erasing;
mod error;
mod exchange;
mod finding;
mod forgetting;
mod golden;
mod house;
mod importing;
mod imports;
mod jobs;
mod judging;
mod keeping;
mod keys;
mod layout;
mod lineage;
mod merging;
mod modelspec;
mod naming;
mod ondemand;
mod outcomes;
mod past;
mod people;
mod permitting;
mod profiling;
mod project;
mod quality;
mod registers;
mod releasing;
mod replaying;
mod rights;
mod rooms;
mod scoring;
mod segments;
mod settings;
mod skew;
mod sources;
mod staging;
mod status;
mod streams;
mod tracking;
mod training;

pub use crate::jobs::{Act, AttemptView, JobRunner, JobSpec, JobView, RunView, StepView};
pub use crate::lineage::{ContractChange, DecisionTrace, InputTrace, ModelTrace, RawRecord, what_if};
pub use applied::{AppliedContract, AppliedFeature, AppliedFormula, AppliedSegment, Ledger};
pub use auditing::{AuditEntry, AuditSought, AuditVerified, owe_entry};
pub use backfilling::Filling;
pub use backup::restore;
pub use capturing::{
    CaptureCounts, CaptureSettings, CaptureStage, CaptureState, CaptureView, Live, Noticed, OpCounts, Until,
};
pub use clock::{Clock, Flight};
pub use consenting::{
    ConsentHistory, ConsentSettings, FourFacts, HistoryEntry, InLog, NoticeView, ProofShown, ProofsKept,
    Requested, TcfSettings, TcfShown, Word,
};
pub use consents_file::ConsentsImported;
pub use delivering::{Delivered, Handed};
pub use erasing::{Receipts, StoreReceipt};
pub use error::{Blame, Error, Kind};
pub use exchange::{Exported, FileLayout, InstanceExported, InstanceLoaded, load_instance};
pub use finding::{Finding, Severity};
pub use forgetting::{Gone, Ordered};
pub use house::{House, Identifier};
pub use importing::Imported;
pub use imports::{Counts, Import, Stage};
pub use judging::{FileJudged, judge_file};
pub use keeping::{Rotation, restore_keys};
pub use keys::NewKey;
pub use layout::{Instance, Layout};
pub use merging::{Acted, Explained, Held, MembersOf};
pub use modelspec::{Costs, Examples, GateSpec, Label, ModelSpec, Test};
pub use naming::Naming;
pub use outcomes::{BudgetState, Told};
pub use permitting::{LoginSettings, PolicySettings, PolicyView};
pub use profiling::profile_file;
pub use project::Project;
pub use quality::{QualityAsked, Replayed, Shown, Waiting, Which, quality_findings};
pub use registers::{IncidentAsked, Overseen, RecipientSettings, RegisterSettings, Standing};
pub use replaying::{Verdict, rebuild_state};
pub use rights::{Correction, HandedOver, RequestAsked, RequestStanding};
pub use rooms::{Composition, Rooms};
pub use segments::{SegmentCount, SegmentFormat, SegmentRow};
pub use settings::{DEFAULTS, Settings};
pub use skew::{FeatureSkew, Skew};
pub use sources::{LiveSource, LookedAt, SourceDay, SourceKind, SourceSettings, SourceState, SourceView};
pub use staging::{Compared, FeatureCompared};
pub use status::Status;
pub use streams::{Count, Reason, Refused};
pub use tracking::{Done, TrackReport};
pub use training::Training;
