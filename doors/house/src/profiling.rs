//! A file looked through before there is a contract, on all cores.

use std::path::Path;
use std::sync::Arc;

use crate::Error;

/// Looks through a file for [`watch::Profile`], on all cores.
///
/// # Errors
/// [`Error::Intake`] where it cannot be read.
pub fn profile_file(path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<watch::ProfileReport, Error> {
    let file = intake::file::inspect(path, |_| {})?;
    let n_bytes = file.n_bytes();
    let mut whole = watch::Profile::new(file.columns());
    if let Some(mut blocks) = file.blocks()? {
        let n_workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 8));
        let (send, receive) = std::sync::mpsc::sync_channel::<intake::file::Block>(n_workers * 2);
        let receive = Arc::new(parking_lot::Mutex::new(receive));
        let columns = file.columns();
        let failed = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..n_workers)
                .map(|_| {
                    let receive = Arc::clone(&receive);
                    scope.spawn(move || {
                        let mut part = watch::Profile::new(columns);
                        loop {
                            // The lock is let go before the work begins.
                            let block = receive.lock().recv();
                            let Ok(block) = block else { return part };
                            block.each_row(|row, cells| part.see_row(row, cells));
                        }
                    })
                })
                .collect();
            let mut failed = None;
            loop {
                match blocks.next_block() {
                    Ok(None) => break,
                    Ok(Some(block)) => {
                        if send.send(block).is_err() {
                            break;
                        }
                        progress(blocks.n_bytes(), n_bytes);
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            drop(send);
            for worker in workers {
                if let Ok(part) = worker.join() {
                    // Sums: whichever worker saw which block, the whole is the same.
                    whole.merge(&part);
                }
            }
            failed
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
    } else {
        let mut rows = file.rows(0)?;
        while let Some(row) = rows.next().transpose()? {
            whole.see_document(row.number, &row.raw, row.finding.is_some());
            if row.number.is_multiple_of(10_000) {
                progress(rows.progress().n_bytes, n_bytes);
            }
        }
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(whole.report(&name, n_bytes))
}
