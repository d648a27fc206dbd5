//! What this process is working on: a step is done by one thread at a time, and whoever asks for it meanwhile waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Job, run and step.
pub(crate) type Place = (String, String, String);

/// Which steps are being done.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    running: Mutex<BTreeSet<Place>>,
    ended: Condvar,
}

/// The right to do a step; given back when dropped, also by a panic.
pub(crate) struct Claim {
    desk: Desk,
    place: Place,
}

impl Desk {
    /// Takes a step, unless somebody has it.
    pub(crate) fn claim(&self, place: Place) -> Option<Claim> {
        let taken = self.0.running.lock().insert(place.clone());
        taken.then(|| Claim { desk: self.clone(), place })
    }

    /// True where a step is being done.
    pub(crate) fn is_running(&self, job: &str, run: &str, step: &str) -> bool {
        self.0.running.lock().iter().any(|(j, r, s)| j == job && r == run && s == step)
    }

    /// How many steps are being done.
    pub(crate) fn n_running(&self) -> usize {
        self.0.running.lock().len()
    }

    /// Waits until the step is no longer being done, or until `until`; true where it is not.
    pub(crate) fn wait(&self, place: &Place, until: Instant) -> bool {
        let mut running = self.0.running.lock();
        while running.contains(place) {
            if self.0.ended.wait_until(&mut running, until).timed_out() {
                return !running.contains(place);
            }
        }
        true
    }

    /// Waits until any step ends, or until `until`.
    pub(crate) fn wait_any(&self, until: Instant) {
        let mut running = self.0.running.lock();
        // Woken for nothing is woken early, which does no harm.
        let _ = self.0.ended.wait_until(&mut running, until);
    }
}

impl Claim {
    /// The step.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.desk.0.running.lock().remove(&self.place);
        self.desk.0.ended.notify_all();
    }
}
