//! Addresses to listen at: TCP and Unix sockets, bound as redis-server binds them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::config::Settings;
use crate::may_block::may_block_here;
use crate::os::config_file::system_text;

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// Host and port, or the Unix socket's path.
    pub address: String,
    pub error: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bind_failure(&self.address, &self.error))
    }
}

/// Why an address could not be bound, in Redis's words.
pub(crate) fn bind_failure(address: &str, error: &io::Error) -> String {
    let error = system_text(error);
    let port = address.rsplit_once(':').map(|(_, port)| port);
    match port.is_some_and(|port| port.parse::<u16>().is_ok()) {
        true => format!("Could not create server TCP listening socket {address}: bind: {error}"),
        false => format!("Failed opening Unix socket {address}: bind: {error}"),
    }
}

/// A bound address.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

/// Binds a TCP address as redis-server does: reusable, IPv6 apart from IPv4, `backlog` connections waiting.
pub(crate) fn bind_tcp(address: std::net::SocketAddr, backlog: u32) -> io::Result<Listener> {
    use socket2::{Domain, Protocol, Type};
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog.min(i32::MAX as u32) as i32)?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Tcp(socket.into()))
}

/// Binds a Unix socket, replacing a stale one. `permissions` 0: as the umask leaves them.
pub(crate) fn bind_unix(path: &str, permissions: u32) -> io::Result<Listener> {
    let _ = std::fs::remove_file(path);
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    Ok(Listener::Unix(listener, path.into()))
}

/// Binds every address of the settings.
pub(crate) fn bind(settings: &Settings, tcp: bool) -> Result<Vec<Listener>, BindError> {
    // A name is looked up.
    may_block_here();
    let mut listeners = Vec::new();
    let mut port = settings.port;
    for name in settings.bind.iter().filter(|_| tcp) {
        let (name, optional) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let host = match name {
            "*" => "0.0.0.0",
            "::*" => "::",
            other => other,
        };
        let at = |error| BindError {
            address: format!("{host}:{port}"),
            error,
        };
        let bound = (host, port)
            .to_socket_addrs()
            .and_then(|mut addresses| {
                addresses
                    .next()
                    .ok_or_else(|| std::io::ErrorKind::NotFound.into())
            })
            .and_then(|address: SocketAddr| bind_tcp(address, settings.tcp_backlog));
        match bound {
            Ok(listener) => {
                if let (0, Listener::Tcp(l)) = (port, &listener) {
                    // Any port: the same one on all addresses.
                    port = l.local_addr().map_err(at)?.port();
                }
                listeners.push(listener);
            }
            Err(error) if optional && is_address_missing(&error) => {
                tracing::debug!("{host} is not an address of this machine: not bound");
            }
            Err(error) => return Err(at(error)),
        }
    }
    if let Some(path) = &settings.unixsocket {
        let listener = bind_unix(path, settings.unixsocketperm).map_err(|error| BindError {
            address: path.clone(),
            error,
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn is_address_missing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::AddrNotAvailable | std::io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}
