//! The library's door: building, starting, using and stopping a whole node.
//!
//! A [`Node`] runs on threads of its own: one arbiter in the background (master, links, snapshots, timers,
//! listeners) and the serving arbiters (connections). [`Node::client`] gives a handle that runs commands in
//! the caller's thread, through the same table and the same shards as a socket's client, with no socket.
//! Several nodes live in one process without knowing of each other: nothing here is global.
//!
//! ```no_run
//! use understudy::{Node, Settings};
//!
//! let settings = Settings { port: 0, ..Settings::default() };
//! let node = Node::start(settings)?;
//! let mut client = node.client();
//! client.call(&["SET", "greeting", "hello"]);
//! assert_eq!(client.call(&["GET", "greeting"]).as_bytes(), Some(&b"hello"[..]));
//! node.shutdown();
//! # Ok::<(), understudy::StartError>(())
//! ```

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;

use actix::prelude::*;
use parking_lot::Mutex;

use crate::actors::config_file::system_text;
use crate::actors::reception::{self, Listener};
use crate::actors::root::{IsUp, Root, RootParts, Stopped};
use crate::actors::system_probe::SystemProbe;
use crate::actors::{leftovers, loading};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::local_client::LocalClient;
use crate::memory::MemoryProbe;
use crate::node_core::NodeCore;

/// Why a node did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be bound.
    Bind {
        address: String,
        error: std::io::Error,
    },
    /// A setting makes no sense, in words.
    Settings(String),
    /// The system would not give a thread.
    Thread(std::io::Error),
    /// The dump is there and can't be opened, in words.
    Dump(String),
    /// The node's threads ended before it was up, in words.
    Died(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { address, error } => {
                let error = system_text(error);
                let port = address.rsplit_once(':').map(|(_, port)| port);
                match port.is_some_and(|port| port.parse::<u16>().is_ok()) {
                    true => write!(
                        f,
                        "Could not create server TCP listening socket {address}: bind: {error}"
                    ),
                    false => write!(f, "Failed opening Unix socket {address}: bind: {error}"),
                }
            }
            StartError::Settings(text) => f.write_str(text),
            StartError::Thread(error) => write!(f, "could not start a thread: {error}"),
            StartError::Dump(text) => write!(f, "Fatal error loading the DB: {text}. Exiting."),
            StartError::Died(text) => write!(f, "the node did not come up: {text}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind { error, .. } | StartError::Thread(error) => Some(error),
            StartError::Settings(_) | StartError::Dump(_) | StartError::Died(_) => None,
        }
    }
}

/// What a node is built from.
pub struct NodeBuilder {
    settings: Settings,
    clock: Arc<dyn Clock>,
    memory: Option<Box<dyn MemoryProbe>>,
    config_file: Option<std::path::PathBuf>,
    zero_is_no_port: bool,
    listeners: Option<Vec<Listener>>,
}

impl NodeBuilder {
    pub fn new(settings: Settings) -> NodeBuilder {
        NodeBuilder {
            settings,
            clock: SystemClock::new(),
            memory: None,
            config_file: None,
            zero_is_no_port: false,
            listeners: None,
        }
    }

    /// Port 0 means no TCP at all, as in configuration files; else it means any port that is free.
    pub fn no_tcp_at_port_zero(mut self) -> NodeBuilder {
        self.zero_is_no_port = true;
        self
    }

    /// Another source of time and randomness.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> NodeBuilder {
        self.clock = clock;
        self
    }

    /// Who knows how much memory the allocator has given out; without one INFO reads the process's size.
    pub fn memory(mut self, probe: Box<dyn MemoryProbe>) -> NodeBuilder {
        self.memory = Some(probe);
        self
    }

    /// The file that CONFIG REWRITE writes.
    pub fn config_file(mut self, path: std::path::PathBuf) -> NodeBuilder {
        self.config_file = Some(path);
        self
    }

    /// Binds the addresses now, as `start` does otherwise: clients that come wait for the start.
    pub fn bind(mut self) -> Result<NodeBuilder, StartError> {
        let tcp = self.settings.port != 0 || !self.zero_is_no_port;
        self.listeners = Some(bind(&self.settings, tcp)?);
        Ok(self)
    }

    /// Starts the node: when this returns, its addresses are bound and it serves (it may still be loading
    /// its dump, answering LOADING meanwhile).
    pub fn start(mut self) -> Result<Node, StartError> {
        let listeners = match self.listeners.take() {
            Some(listeners) => listeners,
            None => return self.bind()?.start(),
        };
        let port = listeners.iter().find_map(|l| match l {
            Listener::Tcp(l) => l.local_addr().ok().map(|a| a.port()),
            Listener::Unix(..) => None,
        });
        let mut settings = self.settings;
        if settings.port == 0
            && let Some(port) = port
        {
            // Asked for "any port": the one we got is the one to announce. A port of 0 in a file means
            // "no TCP" for redis-server; here that is an empty `bind`.
            settings.port = port;
        }
        let configured_shards = settings.shards;
        settings.shards = shard_count(&settings);
        let memory = self.memory.unwrap_or_else(|| Box::new(SystemProbe));
        let core = Arc::new(NodeCore::new(
            self.clock,
            settings,
            Some(memory),
            self.config_file,
        ));
        // CONFIG shows what was asked for, not what was made of it.
        core.change_settings(|settings| settings.shards = configured_shards);
        leftovers::remove(&core);
        // Before any thread is started: a start that can't succeed has nothing to take back.
        let dump = loading::open(&core).map_err(StartError::Dump)?;
        let parts = RootParts {
            node: core.clone(),
            listeners,
            dump,
        };
        let (up_sender, up_receiver) = std::sync::mpsc::channel();
        let (stopped_sender, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("understudy".into())
            .spawn(move || {
                let system = actix_rt::System::new();
                let (done_sender, done) = tokio::sync::oneshot::channel();
                let reason = system.block_on(async move {
                    let root = Root::new(parts, done_sender).start();
                    // Answered once it has started: from then on there is somebody to ask for anything.
                    let _ = root.send(IsUp).await;
                    let _ = up_sender.send(root);
                    done.await.unwrap_or(Stopped { exit_code: 1 })
                });
                actix_rt::System::current().stop();
                let _ = system.run();
                let _ = stopped_sender.send(reason);
            })
            .map_err(StartError::Thread)?;
        let root = up_receiver
            .recv()
            .map_err(|_| StartError::Died("its thread ended".into()))?;
        Ok(Node {
            core,
            root,
            stopped: Mutex::new(stopped),
            thread: Some(thread),
            port,
        })
    }
}

/// `shards`; by default one where one arbiter serves, else four for each, so that they seldom meet.
fn shard_count(settings: &Settings) -> usize {
    match (
        settings.shards,
        crate::actors::root::serving_arbiters(settings),
    ) {
        (0, 1) => 1,
        (0, serving) => (serving * 4).min(64),
        (n, _) => n.min(64),
    }
}

/// Binds every address of the settings.
pub(crate) fn bind(settings: &Settings, tcp: bool) -> Result<Vec<Listener>, StartError> {
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
        let at = |error| StartError::Bind {
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
            .and_then(|address: SocketAddr| reception::bind_tcp(address, settings.tcp_backlog));
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
        let listener = reception::bind_unix(path, settings.unixsocketperm).map_err(|error| {
            StartError::Bind {
                address: path.clone(),
                error,
            }
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

/// A running node. Dropping it shuts it down without saving.
pub struct Node {
    core: Arc<NodeCore>,
    root: Addr<Root>,
    stopped: Mutex<std::sync::mpsc::Receiver<Stopped>>,
    thread: Option<JoinHandle<()>>,
    port: Option<u16>,
}

impl Node {
    pub fn builder(settings: Settings) -> NodeBuilder {
        NodeBuilder::new(settings)
    }

    /// Starts a node with the machine's clock.
    pub fn start(settings: Settings) -> Result<Node, StartError> {
        NodeBuilder::new(settings).start()
    }

    /// A client in this process: runs commands on the caller's thread.
    pub fn client(&self) -> LocalClient {
        LocalClient::new(self.core.clone())
    }

    /// The TCP port, if one is bound.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The node's shared state: settings, statistics, replication. For observing, not for changing.
    pub fn observe(&self) -> &Arc<NodeCore> {
        &self.core
    }

    /// Stops without saving and waits until its threads have ended.
    pub fn shutdown(mut self) -> i32 {
        self.stop(false)
    }

    /// Saves as SHUTDOWN does with save points (always, here), then stops.
    pub fn save_and_shutdown(mut self) -> i32 {
        self.stop(true)
    }

    /// Waits until the node ends by itself (SHUTDOWN). The process's exit code.
    pub fn wait(mut self) -> i32 {
        let code = self
            .stopped
            .lock()
            .recv()
            .map_or(1, |stopped| stopped.exit_code);
        self.join();
        code
    }

    /// Asks the node to end as a signal would, by its `shutdown-on-*` settings; `wait` returns then.
    pub fn handle(&self) -> Addr<Root> {
        self.root.clone()
    }

    fn stop(&mut self, save: bool) -> i32 {
        self.root.do_send(crate::actors::shutdown::Stop { save });
        let code = self
            .stopped
            .lock()
            .recv()
            .map_or(0, |stopped| stopped.exit_code);
        self.join();
        code
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the node's background thread panicked");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop(false);
        }
    }
}
