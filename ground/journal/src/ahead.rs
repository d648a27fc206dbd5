//! The next file of the log, filled with zeros before it is needed. A sync of bytes that are written over waits for
//! those bytes alone; one of a file that grows waits for the file system's own log, ten times as long now and then.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::disk::{Disk, File};

/// Zeros written between two syncs, and the rest after each: no other sync may wait long behind them, and there is time. Who
/// writes faster than this fills files rolls into one that was not made ahead, as its large frames would anyway.
const CHUNK: usize = 256 << 10;
const REST: Duration = Duration::from_millis(5);

/// A file in the making.
pub(crate) struct Ahead {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Arc<dyn File>>>,
}

impl Ahead {
    /// Begins to make a file of `len` zeros in place of whatever has the name. `None` where the system starts no
    /// thread: the log does without.
    pub fn begin(disk: Arc<dyn Disk>, path: &Path, len: u64) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (path.to_owned(), stop.clone());
        let make = move || {
            let file = disk.create(&path)?;
            let zeros = vec![0; CHUNK];
            let mut at = 0;
            while at < len && !stopped.load(Ordering::Relaxed) {
                let n = usize::try_from(len - at).unwrap_or(CHUNK).min(CHUNK);
                file.write_all_at(zeros.get(..n).unwrap_or_default(), at)?;
                file.sync()?;
                at += n as u64;
                std::thread::sleep(REST);
            }
            if at < len { Err(io::ErrorKind::Interrupted.into()) } else { Ok(file) }
        };
        let thread = std::thread::Builder::new().name("journal-ahead".to_owned()).spawn(make).ok()?;
        Some(Self { stop, thread })
    }

    /// True where there is nothing to wait for.
    pub fn is_ready(&self) -> bool {
        self.thread.is_finished()
    }

    /// The file, if it is ready; what is not ready is given up.
    pub fn take(self) -> Option<Arc<dyn File>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()?.ok()
    }
}
