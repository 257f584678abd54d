//! A client's socket, TCP or Unix, with the few operations that a connection polls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Whether the peer is on this machine, as far as its address tells.
    pub(crate) fn peer_is_here(&self) -> bool {
        match self {
            Socket::Tcp(s) => match (s.peer_addr(), s.local_addr()) {
                (Ok(peer), Ok(local)) => peer.ip() == local.ip(),
                _ => false,
            },
            Socket::Unix(_) => true,
        }
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => s.try_read(buffer),
            Socket::Unix(s) => s.try_read(buffer),
        }
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => s.try_write(bytes),
            Socket::Unix(s) => s.try_write(bytes),
        }
    }

    pub(crate) fn try_write_vectored(&self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(s) => s.try_write_vectored(bytes),
            Socket::Unix(s) => s.try_write_vectored(bytes),
        }
    }

    /// Reads what there is. A read that doesn't fill the buffer has emptied the socket, and the next poll
    /// waits for the kernel to say that more has come: with `try_read` every request cost a second call that
    /// found nothing.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        let polled = match self {
            Socket::Tcp(s) => Pin::new(s).poll_read(cx, &mut read),
            Socket::Unix(s) => Pin::new(s).poll_read(cx, &mut read),
        };
        polled.map_ok(|()| read.filled().len())
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(s) => s.poll_read_ready(cx),
            Socket::Unix(s) => s.poll_read_ready(cx),
        }
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(s) => s.poll_write_ready(cx),
            Socket::Unix(s) => s.poll_write_ready(cx),
        }
    }

    /// Takes the socket off the reactor it was made on and registers it with the calling arbiter's.
    pub(crate) fn rebind(self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(s) => Socket::Tcp(TcpStream::from_std(s.into_std()?)?),
            Socket::Unix(s) => Socket::Unix(UnixStream::from_std(s.into_std()?)?),
        })
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Socket::Unix(_))
    }

    /// The descriptor's number, for CLIENT LIST.
    pub(crate) fn fd(&self) -> i32 {
        use std::os::fd::AsRawFd;
        match self {
            Socket::Tcp(s) => s.as_raw_fd(),
            Socket::Unix(s) => s.as_raw_fd(),
        }
    }
}
