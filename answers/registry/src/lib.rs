//! Models as versions: what was made from what, what it showed, and what serves whom.
//!
//! Everything about a version comes from records of `mr.releases`, folded in the control partition: a version is
//! *registered* dark, *judged* by its gate, and *moved* dark → canary → live → retired by a named person. LAW 8:
//! the fold itself refuses a move to traffic without a passed gate, and a gate's verdict is never stored but
//! computed from the figures, so a record cannot claim one. A rollback is one record.
//!
//! The model's bytes lie in [`Blobs`] under their SHA-256; a version names the hash. This room knows nothing of
//! people's data, of how models are trained, or of HTTP; apart from the blobs' files it does no I/O.

mod blob;
mod card;
mod error;
mod event;
mod fold;
mod gate;
mod gold;
mod manifest;
mod markdown;
mod name;
mod route;
mod state;

pub use self::blob::{Blobs, ContentHash};
pub use self::card::Card;
pub use self::error::Error;
pub use self::event::{About, Erased, Move, RELEASES, Registration, ReleaseEvent, Segment};
pub use self::fold::{Refusal, ReleaseFold, Tables};
pub use self::gate::{Check, Gate, GateReport, Measure, Opponent, Role, Rule};
pub use self::gold::{Gold, Shown};
pub use self::manifest::{DatasetManifest, FeatureVersion, JournalRange, Manifest};
pub use self::name::{ModelName, VersionNumber};
pub use self::route::{Canary, Release, Share, route};
pub use self::state::{Entry, Judgement, ModelState, Stage, VersionState};
