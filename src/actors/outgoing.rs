//! Connections that the node makes to other nodes.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

use crate::config::Settings;

/// Connects to the first of a host's addresses that takes it, from `bind-source-addr` if that is set.
///
/// # Errors
/// The system's, of the name's lookup or of the last address tried.
pub(super) fn connect(
    settings: &Settings,
    host: String,
    port: u16,
) -> impl Future<Output = io::Result<TcpStream>> + use<> {
    let source = settings.bind_source_addr.as_deref();
    let source = source.and_then(|address| address.parse().ok());
    async move {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in tokio::net::lookup_host((host.as_str(), port)).await? {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            if let Some(ip) = source {
                socket.bind(SocketAddr::new(ip, 0))?;
            }
            match socket.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
