//! Load on a server: as fast as it goes, or at a pace with each time counted from when the request was due.

use crate::http::Client;
use crate::served::Served;
use anyhow::{Result, bail};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How requests follow each other.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each client sends when it has its answer.
    AsFastAsItGoes,
    /// So many a second over all clients, come what may; what waits in line counts as waiting.
    PerSecond(f64),
}

/// What a run came to.
pub struct Run {
    /// The time each request took, sorted.
    times: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// The most records that were durable and not folded, at any look.
    pub max_lag_records: f64,
    /// Processor time the server took.
    pub processor_seconds: f64,
    /// Resident bytes at the end.
    pub resident_bytes: f64,
}

impl Run {
    /// Requests answered per second.
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// Processor time of the server per request, in microseconds.
    pub fn processor_us(&self) -> f64 {
        self.processor_seconds * 1e6 / self.times.len() as f64
    }

    /// A quantile in milliseconds.
    pub fn ms(&self, share: f64) -> f64 {
        let at = (self.times.len().saturating_sub(1) as f64 * share) as usize;
        self.times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// One client's requests: called with a connection and the number of the request; breaks when there are no more.
pub type Ask<'a> = Box<dyn FnMut(&mut Client, u64) -> Result<ControlFlow<()>> + Send + 'a>;

/// Lets the clients ask for so long.
pub fn run(served: &Served, clients: Vec<Ask<'_>>, pace: Pace, lasting: Duration) -> Result<Run> {
    let n_clients = clients.len() as u64;
    let ended = AtomicBool::new(false);
    let processor_before = served.processor_seconds();
    let began = Instant::now();
    let mut times = Vec::new();
    let mut took = Duration::ZERO;
    let lag = std::thread::scope(|scope| -> Result<f64> {
        let watch = scope.spawn(|| watch(served, &ended));
        let threads: Vec<_> = clients
            .into_iter()
            .zip(0_u64..)
            .map(|(ask, client)| {
                scope.spawn(move || drive(served, ask, (client, n_clients), pace, began, lasting))
            })
            .collect();
        let mut failed = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(one)) => times.extend(one),
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(anyhow::anyhow!("a client panicked")),
            }
        }
        took = began.elapsed();
        ended.store(true, Relaxed);
        let lag = watch.join().map_err(|_| anyhow::anyhow!("the watch panicked"))?;
        failed.map_or(lag, Err)
    })?;
    if times.is_empty() {
        bail!("no request was answered");
    }
    times.sort_unstable();
    let resident_bytes = served.metric("process_resident_memory_bytes")?;
    let processor_seconds = served.processor_seconds() - processor_before;
    Ok(Run { times, took, processor_seconds, max_lag_records: lag, resident_bytes })
}

fn drive(
    served: &Served,
    mut ask: Ask<'_>,
    (client, n_clients): (u64, u64),
    pace: Pace,
    began: Instant,
    lasting: Duration,
) -> Result<Vec<Duration>> {
    let mut connection = served.client()?;
    let mut times = Vec::new();
    for number in 0.. {
        let due = match pace {
            Pace::AsFastAsItGoes => Instant::now(),
            Pace::PerSecond(rate) => {
                let due = began + Duration::from_secs_f64((number * n_clients + client) as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
        };
        if due.duration_since(began) >= lasting || ask(&mut connection, number)?.is_break() {
            break;
        }
        times.push(due.elapsed());
    }
    Ok(times)
}

fn watch(served: &Served, ended: &AtomicBool) -> Result<f64> {
    let mut max = 0.0_f64;
    while !ended.load(Relaxed) {
        max = max.max(served.metric("maschinenraum_fold_lag_records")?);
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(max)
}
