//! Worlds with known truth: what a measurement says can be held against what is so.
//!
//! [`World`] is a synthetic shop: customers with tastes, seasons, campaigns with randomised contacts, and for every
//! customer and [`Action`] a known probability to order within [`RESPONSE_DAYS`]. [`World::history`] is what the shop's
//! systems recorded of it, dirt included, with the truth of how much dirt; [`World::respond`] plays the customers
//! after somebody decided. [`Load`] makes tracking events for benches.
//!
//! The same [`Config`] gives the same bytes on every machine: draws come from ChaCha8 and the arithmetic uses
//! nothing but `+ - × ÷`, whose results IEEE 754 fixes.
//!
//! This room knows nothing of the house: it makes files, documents and outcomes, as a shop's systems would.

mod action;
mod calendar;
mod config;
mod customer;
mod draws;
mod error;
mod faults;
mod files;
mod history;
mod load;
mod names;
mod product;
mod project;
mod response;
mod truth;
mod visits;
mod world;

pub use action::{Action, Channel, Offer};
pub use config::{Config, Faults};
pub use customer::{ConsentChange, Customer, Segment};
pub use error::Error;
pub use files::{File, write};
pub use history::History;
pub use load::{LOAD_CONTRACT, Load};
pub use response::{Decided, Outcome, RESPONSE_DAYS, Uplift};
pub use truth::{BrokenCounts, ContactCounts, StreamCounts, Truth};
pub use world::World;

/// The version of the world's making: it changes when the same configuration no longer gives the same bytes.
pub const WORLD_VERSION: u32 = 1;
