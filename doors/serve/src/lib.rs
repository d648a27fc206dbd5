//! The HTTP door: DTOs, authentication, limits, OpenAPI.
//!
//! It turns requests into calls of `house` and answers into JSON. The types on the wire live here and nowhere else. This
//! room knows nothing of storage, and decides nothing: what is allowed is decided below.

mod accept;
mod body;
mod context;
mod cors;
mod credentials;
mod error;
mod gate;
mod keeper;
mod metrics;
mod otlp;
mod problem;
mod rate;
mod refusal;
mod routes;
mod server;
mod settings;
mod tls;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use problem::Problem;
pub use refusal::Refusal;
pub use server::Shutdown;
pub use settings::{Settings, Tls};
