//! Properties of the whole room, by law.

mod choosing;
mod faults;
mod files;
mod folding;
mod recounting;
mod world;
