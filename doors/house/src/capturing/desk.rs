//! What captures of this process are doing now: known here only, and gone with the process.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// How a running capture is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// True while it is connected to its database.
    pub connected: bool,
    /// Bytes of the database's log between what is here and what there is, as far as the database has said.
    pub behind_bytes: u64,
    /// What went wrong last, with its code, while it is not mended.
    pub error: Option<(&'static str, String)>,
}

/// The captures of this process.
#[derive(Default)]
pub(crate) struct Desk(Mutex<BTreeMap<String, (bool, Live)>>);

/// The right to run a capture; given back when dropped.
pub(crate) struct Claim<'d> {
    desk: &'d Desk,
    name: String,
}

impl Desk {
    /// Takes a capture, unless somebody runs it.
    pub(crate) fn claim(&self, name: &str) -> Option<Claim<'_>> {
        let mut all = self.0.lock();
        let (running, _) = all.entry(name.to_owned()).or_default();
        if std::mem::replace(running, true) {
            return None;
        }
        Some(Claim { desk: self, name: name.to_owned() })
    }

    /// How a capture is, if it ran in this process.
    pub(crate) fn live(&self, name: &str) -> Option<Live> {
        self.0.lock().get(name).map(|(_, live)| live.clone())
    }
}

impl Claim<'_> {
    /// Notes how it is.
    pub(crate) fn is(&self, change: impl FnOnce(&mut Live)) {
        if let Some((_, live)) = self.desk.0.lock().get_mut(&self.name) {
            change(live);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((running, live)) = self.desk.0.lock().get_mut(&self.name) {
            *running = false;
            live.connected = false;
        }
    }
}
