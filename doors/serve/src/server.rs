//! The running server: its runtime, its socket, and how it stops.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsAcceptor;

use crate::accept::Doorman;
use crate::error::Error;
use crate::gate::Gate;
use crate::settings::Settings;
use crate::tls;

/// How long a connection may take to send its next request's head, or to stay idle.
const IDLE: Duration = Duration::from_secs(30);
/// What hyper reads of a head before it gives up; the gate's own limits are lower and explain themselves.
const MAX_HEAD_BYTES: usize = 128 * 1_024;
/// Threads for calls that wait for the disk.
const BLOCKING_THREADS: usize = 128;

/// Stops a server from anywhere, like a signal handler.
#[derive(Clone)]
pub struct Shutdown {
    handle: Handle<SocketAddr>,
    gate: Arc<Gate>,
    drain: Duration,
}

impl Shutdown {
    /// Takes no more requests and lets those under way finish. Returns at once.
    pub fn begin(&self) {
        self.gate.closing.store(true, Ordering::Relaxed);
        self.handle.graceful_shutdown(Some(self.drain));
    }
}

/// A server that accepts requests.
pub(crate) struct Listening {
    runtime: tokio::runtime::Runtime,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
}

impl Listening {
    /// Binds and serves `router` on a runtime of its own.
    pub(crate) fn start(router: Router, gate: Arc<Gate>, settings: &Settings) -> Result<Self, Error> {
        let tls = settings.tls.as_ref().map(tls::load).transpose()?;
        let unheard = |source| Error::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("serve")
            .max_blocking_threads(BLOCKING_THREADS)
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let handle = Handle::new();
        let shutdown = Shutdown { handle: handle.clone(), gate, drain: settings.drain };
        let doorman = Doorman::new(settings.max_connections);
        let mut server = {
            let _within = runtime.enter();
            axum_server::from_tcp(listener).map_err(unheard)?
        };
        server.http_builder().http1().header_read_timeout(IDLE).max_buf_size(MAX_HEAD_BYTES).max_headers(256);
        let server = server.http1_only().handle(handle).first_request_timeout(IDLE);
        let service = router.into_make_service();
        let task = match tls {
            None => runtime.spawn(server.acceptor(doorman).serve(service)),
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).acceptor(doorman);
                runtime.spawn(server.acceptor(acceptor).serve(service))
            }
        };
        Ok(Self { runtime, task, address, shutdown })
    }

    /// Waits until a shutdown has drained.
    pub(crate) fn wait(self) -> Result<(), Error> {
        let ended = self.runtime.block_on(self.task);
        // Calls that wait for the disk are let finish; a request given up long ago must not keep the process.
        self.runtime.shutdown_timeout(Duration::from_secs(10));
        match ended {
            Ok(Err(source)) => Err(Error::Listen { address: self.address, source }),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Begins a shutdown on SIGINT or SIGTERM.
    pub(crate) fn stop_on_signal(&self) {
        let shutdown = self.shutdown.clone();
        self.runtime.spawn(async move {
            if signalled().await.is_ok() {
                tracing::info!("shutting down: requests under way are finished");
                shutdown.begin();
            }
        });
    }
}

#[cfg(unix)]
async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signalled() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
