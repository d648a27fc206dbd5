//! The HTTP door: DTOs, authentication, limits, OpenAPI.
//!
//! ```text
//! connection → accept → gate (limits, place, time, origin, id, log, metrics, trace)
//!            → keeper (key, scope, rate; from the table of routes) → handler → house
//! ```
//! It turns requests into calls of `house` and answers into JSON. The types on the wire live here and nowhere else. This
//! room knows nothing of storage, and decides nothing: what is allowed is decided below.

mod accept;
mod api;
mod audit;
mod body;
mod captures;
mod cards;
mod catalogue;
mod chores;
mod consent_history;
mod consents;
mod context;
mod contracts;
mod cors;
mod credentials;
mod deciding;
mod door;
mod erasing;
mod error;
mod explaining;
mod explanation;
mod features;
mod gate;
mod health;
mod jobs;
mod keeper;
mod keys;
mod lake;
mod lineage;
mod login;
mod merging;
mod metrics;
mod models;
mod operate;
mod otlp;
mod people;
mod policies;
mod problem;
mod quality;
mod rate;
mod refusal;
mod registers;
mod requests;
mod routes;
mod segments;
mod server;
mod settings;
mod sources;
mod tls;
mod track;
mod usecases;
mod why_not;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use house::House;

use crate::chores::Chores;
use crate::door::Door;
use crate::gate::Gate;
use crate::keeper::Keeper;
use crate::otlp::Exporter;
use crate::rate::Rates;
use crate::server::Listening;

pub use error::Error;
pub use problem::Problem;
pub use refusal::Refusal;
pub use server::Shutdown;
pub use settings::{Settings, Tls};

/// A server that runs. Dropping it without [`Running::wait`] ends it without draining.
pub struct Running {
    listening: Listening,
    house: Arc<House>,
    gate: Arc<Gate>,
    chores: Chores,
    jobs: house::JobRunner,
    captures: captures::Captures,
    folders: sources::Folders,
}

/// Serves `house` until SIGINT or SIGTERM: then finishes what is under way, closes the house and returns.
///
/// # Errors
/// [`Error`] where the server cannot start.
pub fn run(house: Arc<House>, settings: &Settings) -> Result<(), Error> {
    let running = start(house, settings)?;
    running.stop_on_signal();
    running.wait()
}

/// Starts serving `house` on a runtime of its own and returns at once.
///
/// # Errors
/// [`Error`] where the server cannot start.
pub fn start(house: Arc<House>, settings: &Settings) -> Result<Running, Error> {
    let authenticator = Arc::clone(&house);
    let authenticate =
        move |secret: &str| authenticator.authenticate(secret).map_err(|error| (&error).into());
    let rates = Rates::new(settings.rate_per_second, settings.rate_burst);
    let login = login::Login::of(&house).map_err(|refused| Error::Login { reason: refused.to_string() })?;
    let keeper = Arc::new(Keeper::new(Box::new(authenticate), rates).with_login(login));
    let table = api::table(Arc::clone(&keeper));
    let exporter = settings.otlp.as_deref().map(Exporter::start).transpose()?;
    let gate = Arc::new(Gate::new(settings, table.names(), table.for_browsers(), exporter));
    let document = table.document().to_pretty_json().unwrap_or_default();
    let door = Door {
        house: Arc::clone(&house),
        gate: Arc::clone(&gate),
        keeper,
        tls: settings.tls.is_some(),
        open_metrics: settings.open_metrics,
        document,
    };
    let router = table.into_router().with_state(Arc::new(door));
    let router = gate::stand_before(Arc::clone(&gate), router);
    let listening = Listening::start(router, Arc::clone(&gate), settings)?;
    tracing::info!(address = %listening.address, tls = settings.tls.is_some(), "serving");
    let chores = Chores::start(&house)?;
    let jobs = jobs::start(&house)?;
    let captures = captures::Captures::start(&house)?;
    let folders = sources::Folders::start(&house)?;
    Ok(Running { listening, house, gate, chores, jobs, captures, folders })
}

impl Running {
    /// Where it listens; with port 0 in the settings, the port it got.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// What stops it, for other threads.
    pub fn shutdown(&self) -> Shutdown {
        self.listening.shutdown.clone()
    }

    /// Begins a shutdown on SIGINT or SIGTERM.
    pub fn stop_on_signal(&self) {
        self.listening.stop_on_signal();
    }

    /// Waits for a shutdown, lets requests under way finish, and closes the house.
    ///
    /// # Errors
    /// [`Error::Listen`] where the socket failed.
    pub fn wait(self) -> Result<(), Error> {
        let ended = self.listening.wait();
        self.folders.stop();
        self.captures.stop();
        self.jobs.stop();
        self.chores.stop();
        if let Some(exporter) = &self.gate.exporter {
            exporter.close();
        }
        self.house.close();
        ended
    }
}
