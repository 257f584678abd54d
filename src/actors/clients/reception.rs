//! Where clients arrive: one [`ListenerActor`] per bound address, one [`ReceptionActor`] per serving
//! arbiter.
//!
//! A listener accepts on the background arbiter and hands sockets round the receptions; a reception makes
//! each a [`ConnectionActor`] on its own arbiter, with the arbiter's shared scratch. Refusals (too many
//! clients, protected mode) are answered here, before a session exists.
//!
//! Death: a listener's or a reception's is the node's, since no new clients would come by that way.

use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::net::{TcpListener, UnixListener};

use crate::actors::clients::connection::ConnectionActor;
use crate::actors::clients::scratch::{ForwardLog, Scratch, SharedScratch};
use crate::actors::messages::AttachReplica;
use crate::clients::client::Client;
use crate::node_core::NodeCore;
use crate::os::listener::Listener;
use crate::os::socket::Socket;
use crate::session::{Origin, Session};
use crate::supervision::Owner;

/// Sockets that may wait for one reception.
const RECEPTION_CAPACITY: usize = 1024;
/// Pause after a failed accept (out of descriptors, usually).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A socket on its way from a listener to a reception.
#[derive(Debug)]
pub(crate) enum Arrival {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Arrival {
    /// Before it is registered with an arbiter, whose readiness a first write would have to wait for.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Arrival::Tcp(stream) => (&*stream).write(bytes),
            Arrival::Unix(stream) => (&*stream).write(bytes),
        }
    }
}

impl Message for Arrival {
    type Result = ();
}

/// Accepts on one address.
pub(crate) struct ListenerActor {
    node: Arc<NodeCore>,
    listener: Option<Listener>,
    path: Option<PathBuf>,
    receptions: Vec<Addr<ReceptionActor>>,
    closed: Closed,
}

/// Of whoever waits for an address to be free, in a listener and beside its socket: dropped after both.
type Closed = Arc<Mutex<Option<Sender<()>>>>;

impl ListenerActor {
    pub(crate) fn new(
        node: Arc<NodeCore>,
        listener: Listener,
        receptions: Vec<Addr<ReceptionActor>>,
    ) -> ListenerActor {
        ListenerActor {
            node,
            listener: Some(listener),
            path: None,
            receptions,
            closed: Closed::default(),
        }
    }
}

/// Accepts for ever, handing arrivals round.
async fn accept_all(
    node: Arc<NodeCore>,
    listener: Listener,
    receptions: Vec<Addr<ReceptionActor>>,
    _closed: Closed,
) -> io::Result<()> {
    enum Bound {
        Tcp(TcpListener),
        Unix(UnixListener),
    }
    let bound = match listener {
        Listener::Tcp(l) => Bound::Tcp(TcpListener::from_std(l)?),
        Listener::Unix(l, _) => Bound::Unix(UnixListener::from_std(l)?),
    };
    for turn in 0usize.. {
        let arrival = match &bound {
            Bound::Tcp(l) => l
                .accept()
                .await
                .and_then(|(s, _)| s.into_std())
                .map(Arrival::Tcp),
            Bound::Unix(l) => l
                .accept()
                .await
                .and_then(|(s, _)| s.into_std())
                .map(Arrival::Unix),
        };
        node.supervision.step(Owner::Listener, "accept");
        match arrival {
            // A reception that is overrun makes the listener wait, and the kernel's queue with it.
            Ok(arrival) => {
                let _ = receptions[turn % receptions.len()].send(arrival).await;
            }
            Err(error) => {
                tracing::warn!("Accepting client connection: {error}");
                node.stats.rejected_connections.inc();
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    Ok(())
}

impl Supervised for ListenerActor {}

impl Actor for ListenerActor {
    type Context = Context<ListenerActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        if let Listener::Unix(_, path) = &listener {
            self.path = Some(path.clone());
        }
        let (node, receptions) = (self.node.clone(), self.receptions.clone());
        let work = accept_all(node, listener, receptions, self.closed.clone());
        ctx.spawn(work.into_actor(self).map(|result, _, ctx| {
            if let Err(error) = result {
                tracing::error!("Listener failed: {error}");
            }
            ctx.stop();
        }));
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Stops a listener (shutdown, rebinding). `closed` is dropped when its address is free.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopListening {
    pub(crate) closed: Option<Sender<()>>,
}

impl Handler<StopListening> for ListenerActor {
    type Result = ();

    fn handle(&mut self, stop: StopListening, ctx: &mut Self::Context) {
        *self.closed.lock() = stop.closed;
        ctx.stop();
    }
}

/// Makes connections on one arbiter.
pub(crate) struct ReceptionActor {
    node: Arc<NodeCore>,
    scratch: SharedScratch,
    /// Shared by all connections of the arbiter.
    replicas: Rc<Recipient<AttachReplica>>,
    takes_turns: bool,
}

impl ReceptionActor {
    /// To be called on the arbiter it shall serve. `takes_turns`: it does what other threads want done inside
    /// the shards.
    pub(crate) fn new(
        node: Arc<NodeCore>,
        replicas: Recipient<AttachReplica>,
        takes_turns: bool,
    ) -> ReceptionActor {
        ReceptionActor {
            takes_turns,
            node,
            scratch: Scratch::shared(),
            replicas: Rc::new(replicas),
        }
    }

    /// Why a client can't come in, as it is told.
    fn refusal(&self, arrival: &Arrival) -> io::Result<Option<&'static [u8]>> {
        let settings = self.node.settings.load();
        if self.node.clients.len() >= settings.maxclients as usize {
            return Ok(Some(b"-ERR max number of clients reached\r\n"));
        }
        let open = !settings.protected_mode || settings.requirepass.is_some();
        Ok(match arrival {
            Arrival::Tcp(stream) if !open => {
                let local = stream.peer_addr()?.ip().to_canonical().is_loopback();
                (!local).then_some(PROTECTED_MODE_REFUSAL)
            }
            _ => None,
        })
    }

    fn receive(&self, arrival: Arrival) -> io::Result<()> {
        self.node.supervision.step(Owner::Reception, "arrival");
        if self.node.lifecycle.is_closed() {
            return Ok(());
        }
        let settings = self.node.settings.load();
        if let Some(refusal) = self.refusal(&arrival)? {
            self.node.stats.rejected_connections.inc();
            // Best effort: a fresh socket has room for it.
            let _ = arrival.write(refusal);
            return Ok(());
        }
        let (socket, addr, laddr) = match arrival {
            Arrival::Tcp(stream) => {
                let peer = stream.peer_addr()?;
                let own = stream.local_addr()?;
                let socket = socket2::SockRef::from(&stream);
                socket.set_tcp_nodelay(true)?;
                if settings.tcp_keepalive > 0 {
                    let seconds = settings.tcp_keepalive;
                    let keepalive = socket2::TcpKeepalive::new()
                        .with_time(Duration::from_secs(seconds))
                        .with_interval(Duration::from_secs((seconds / 3).max(1)))
                        .with_retries(3);
                    socket.set_tcp_keepalive(&keepalive)?;
                }
                let stream = tokio::net::TcpStream::from_std(stream)?;
                (Socket::Tcp(stream), peer.to_string(), own.to_string())
            }
            Arrival::Unix(stream) => {
                let path = settings.unixsocket.clone().unwrap_or_default();
                let name = format!("{path}:0");
                (
                    Socket::Unix(tokio::net::UnixStream::from_std(stream)?),
                    name.clone(),
                    name,
                )
            }
        };
        self.node.stats.connections.inc();
        let client = Client::new(
            self.node.clients.next_id(),
            addr,
            laddr,
            self.node.clock.unix_ms(),
        );
        {
            let mut view = client.view.lock();
            view.fd = socket.fd();
            view.unix_socket = socket.is_unix();
            view.user = "default".into();
        }
        self.node.clients.add(client.clone());
        let mut session = Session::new(client, Origin::Client);
        // A client that came while no password was set stays logged in when one is.
        session.authenticated = self.node.settings.load().requirepass.is_none();
        ConnectionActor::new(
            self.node.clone(),
            self.scratch.clone(),
            socket,
            session,
            self.replicas.clone(),
        )
        .start();
        Ok(())
    }
}

/// What redis-server tells a stranger from another machine while no password is set.
const PROTECTED_MODE_REFUSAL: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";

impl Supervised for ReceptionActor {}

impl Actor for ReceptionActor {
    type Context = Context<ReceptionActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(RECEPTION_CAPACITY);
        crate::os::priority::serve();
        let forward = ForwardLog {
            node: self.node.clone(),
            scratch: self.scratch.clone(),
        };
        ctx.spawn(forward.into_actor(self));
        if self.takes_turns {
            let node = self.node.clone();
            let take = std::future::poll_fn(move |cx| {
                node.supervision.step(Owner::Reception, "shard tasks");
                node.shard_tasks.poll(&node.keyspace, cx);
                Poll::<()>::Pending
            });
            ctx.spawn(take.into_actor(self));
        }
    }
}

impl Handler<Arrival> for ReceptionActor {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        if let Err(error) = self.receive(arrival) {
            tracing::debug!("Registering a new client failed: {error}");
        }
    }
}
