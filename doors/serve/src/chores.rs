//! What has to be done from time to time while the house is open: lapsed reservations go back, budgets are handed on.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use house::House;

use crate::error::Error;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// The thread that does them.
pub(crate) struct Chores {
    stop: SyncSender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Chores {
    /// Begins.
    pub(crate) fn start(house: &Arc<House>) -> Result<Self, Error> {
        let house = Arc::clone(house);
        let (stop, stopped) = sync_channel(1);
        let work = move || {
            let mut failed = false;
            // At once, so that the first decision finds money to spend; then again and again.
            loop {
                let done = house.do_chores();
                // Once, not every second: what stands in the way stays until somebody mends it.
                if let Err(error) = &done
                    && !failed
                {
                    tracing::error!(code = error.code(), %error, "reservations and budgets cannot be kept up");
                }
                failed = done.is_err();
                if !matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("chores".to_owned()).spawn(work);
        let thread = thread.map_err(|source| Error::Runtime { source })?;
        Ok(Self { stop, thread })
    }

    /// Ends.
    pub(crate) fn stop(self) {
        let _ = self.stop.try_send(());
        drop(self.stop);
        let _ = self.thread.join();
    }
}
