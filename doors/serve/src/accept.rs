//! Connections: no more than the settings allow, and no waiting for more to send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Takes a connection while there is room and drops it where there is none: file descriptors spent on connections
/// would be missing when the journal opens its next segment.
#[derive(Clone)]
pub(crate) struct Doorman(Arc<Semaphore>);

impl Doorman {
    /// Lets in this many at once.
    pub(crate) fn new(max_connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))))
    }
}

impl<S> Accept<TcpStream, S> for Doorman {
    type Stream = Admitted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Admitted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = Arc::clone(&self.0)
            .try_acquire_owned()
            .map_err(|_| io::Error::other("too many connections"))
            .and_then(|place| stream.set_nodelay(true).map(|()| Admitted { stream, _place: place }));
        std::future::ready(admitted.map(|admitted| (admitted, service)))
    }
}

/// A connection that holds its place.
pub(crate) struct Admitted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
