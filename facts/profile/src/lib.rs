//! Who is who, and what is known of them.
//!
//! A subject is the pseudonym of one identifier; a profile is a set of subjects that deterministic rules hold
//! to be one person. Links between identifiers come as records of `mr.links` and are folded in the control
//! partition, so the outcome does not depend on the number of partitions. State stays with the subject it
//! arrived under and never moves: whoever reads a profile merges its members' state. So what a hand puts together or
//! takes apart is a matter of this graph alone, and taking it back leaves nothing behind.
//!
//! [`Identities::members`] gives pseudonyms, which a grant is then asked for; everything else that is known of
//! a person is read through [`Profiles`], with a [`policy::Grant`] (LAW 3).
//!
//! This room knows nothing of models, decisions or HTTP, and never sees an identifier's value: only pseudonyms
//! and their types.

mod audience;
mod error;
mod forget;
mod graph;
mod hands;
#[cfg(test)]
mod hands_tests;
mod identity;
mod link;
mod membership;
mod read;
mod rules;
mod segment;
mod traits;

pub use audience::Audience;
pub use error::Error;
pub use graph::Edge;
pub use hands::{Act, Deed, Done, HandFold, MERGES};
pub use identity::{Identities, LinkFold, Members, Shared};
pub use link::{LINKS, Link, LinkedId};
pub use membership::{Belonging, MEMBERSHIPS, MOST_ENTITIES, MOST_MEMBERS, Membership, MembershipFold};
pub use read::{Member, Profile, Profiles, Trait, Word, inputs};
pub use rules::{Precedence, Rules};
pub use segment::{SEGMENT, Segment, TRAIT};
pub use traits::{OpaqueTraits, TraitFold, TraitTables, TraitView};
