//! Connections that the node makes to other nodes.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::may_block::may_block_here;
use crate::node_core::NodeCore;

/// Names that a node looks up at a time.
const LOOKUPS_MAX: usize = 32;

/// Connects to the first of a host's addresses that takes it, from `bind-source-addr` if that is set.
///
/// # Errors
/// The system's, of the name's lookup or of the last address tried.
pub(crate) fn connect(
    node: &NodeCore,
    host: String,
    port: u16,
) -> impl Future<Output = io::Result<TcpStream>> + use<> {
    let settings = node.settings.load();
    let source = settings.bind_source_addr.as_deref();
    let source = source.and_then(|address| address.parse().ok());
    let lookups = node.lookups.clone();
    async move {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses(&lookups, host, port).await? {
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

/// A host's addresses. The system's lookup of a name can't be broken off, and takes half a minute if no name
/// server answers: it has a thread of its own, which holds nothing of the node and for which the node's end
/// does not wait.
async fn addresses(
    lookups: &Arc<AtomicUsize>,
    host: String,
    port: u16,
) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let lookup = Lookup::begin(lookups)?;
    let (done, found) = oneshot::channel();
    std::thread::Builder::new()
        .name("lookup".into())
        .spawn(move || {
            let _lookup = lookup;
            may_block_here();
            let addresses = (host.as_str(), port).to_socket_addrs();
            // Nobody waits any more if the connection was given up.
            let _ = done.send(addresses.map(Iterator::collect));
        })?;
    let gone = |_| Err(io::Error::other("the lookup's thread died"));
    found.await.unwrap_or_else(gone)
}

/// A lookup under way.
struct Lookup(Arc<AtomicUsize>);

impl Lookup {
    fn begin(lookups: &Arc<AtomicUsize>) -> io::Result<Lookup> {
        let lookup = Lookup(lookups.clone());
        if lookups.fetch_add(1, Ordering::AcqRel) >= LOOKUPS_MAX {
            return Err(io::Error::other("too many names are being looked up"));
        }
        Ok(lookup)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(lookups: &Arc<AtomicUsize>, host: &str) -> io::Result<Vec<SocketAddr>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(addresses(lookups, host.into(), 7))
    }

    #[test]
    fn names_and_numbers_become_addresses() {
        let lookups = Arc::default();
        for host in ["localhost", "127.0.0.1"] {
            let found = look_up(&lookups, host).expect("known everywhere");
            let loopback = |address: &SocketAddr| address.ip().is_loopback() && address.port() == 7;
            assert!(!found.is_empty() && found.iter().all(loopback), "{found:?}");
        }
    }

    #[test]
    fn lookups_that_hang_are_bounded() {
        let lookups = Arc::default();
        let hanging: Vec<_> = (0..LOOKUPS_MAX).map(|_| Lookup::begin(&lookups)).collect();
        assert!(look_up(&lookups, "localhost").is_err());
        look_up(&lookups, "::1").expect("no lookup");
        drop(hanging);
        assert_eq!(lookups.load(Ordering::Acquire), 0);
        look_up(&lookups, "localhost").expect("there is room again");
    }
}
