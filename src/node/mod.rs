//! The library's API: building, starting, using and stopping a whole node.
//!
//! A [`Node`] runs on threads of its own: one arbiter in the background (master, links, snapshots, timers,
//! listeners), the serving arbiters (connections) if it has a socket, and others while there is work for them.
//! [`Node::client`] gives a handle that runs commands in the caller's thread, through the same table and the same
//! shards as a socket's client, with no socket. Several nodes live in one process without knowing of each other:
//! nothing here is global.
//!
//! A node ends by [`Node::shutdown`], by being dropped, or by itself (SHUTDOWN). First it is closed: nothing is
//! served any more, and whatever waits is told (see [`lifecycle`](crate::node_core::lifecycle)). Then its arbiters stop, and
//! with them go its actors; its other threads give up what they do. Whoever ends it waits for that, and frees the
//! data.
//!
//! ```
//! use understudy::{Node, Settings};
//!
//! let node = Node::start(Settings::embedded())?;
//! let mut client = node.client();
//! client.call(&["SET", "greeting", "hello"]);
//! assert_eq!(client.call(&["GET", "greeting"]).as_bytes(), Some(&b"hello"[..]));
//! node.shutdown();
//! # Ok::<(), understudy::StartError>(())
//! ```

pub(crate) mod compare;
pub(crate) mod local_client;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::node::root::{IsUp, Root, RootParts, serving_arbiters};
use crate::actors::node::shutdown::Stop;
use crate::actors::node::stale_files;
use crate::actors::supervisor;
use crate::background::loading;
use crate::clock::{Clock, SystemClock};
use crate::config::{Settings, StartSettings, check};
use crate::node::local_client::LocalClient;
use crate::node_core::NodeCore;
use crate::node_core::lifecycle::Stage;
use crate::observe::memory::MemoryProbe;
use crate::os::config_file::{ConfigFile, absolute_directory, spool_directory};
use crate::os::listener::{self, BindError, Listener, bind_failure};
use crate::os::priority;
use crate::os::system_probe::SystemProbe;
use crate::supervision::Owner;

/// Why a node did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be bound.
    Bind {
        /// Which one.
        address: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A setting makes no sense: which one, its value, and what is wrong with it.
    Settings(String),
    /// The system would not give a thread.
    Thread(std::io::Error),
    /// The dump is there and can't be opened, in words.
    Dump(String),
    /// The node has ended, in words.
    Died(String),
    /// The node is not up yet: it loads its dump.
    Loading,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { address, error } => f.write_str(&bind_failure(address, error)),
            StartError::Settings(text) => f.write_str(text),
            StartError::Thread(error) => write!(f, "could not start a thread: {error}"),
            StartError::Dump(text) => write!(f, "Fatal error loading the DB: {text}. Exiting."),
            StartError::Died(text) => write!(f, "the node has ended: {text}"),
            StartError::Loading => f.write_str("the node is loading its dump"),
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> StartError {
        StartError::Bind {
            address: error.address,
            error: error.error,
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind { error, .. } | StartError::Thread(error) => Some(error),
            StartError::Settings(_)
            | StartError::Dump(_)
            | StartError::Died(_)
            | StartError::Loading => None,
        }
    }
}

/// What a node is built from.
pub struct NodeBuilder {
    settings: Settings,
    clock: Arc<dyn Clock>,
    memory: Option<Box<dyn MemoryProbe>>,
    config_file: Option<PathBuf>,
    /// What the settings are made of, and the working directory at that time.
    configured: Option<(Settings, PathBuf)>,
    zero_is_no_port: bool,
    listeners: Option<Vec<Listener>>,
}

impl NodeBuilder {
    /// A node of these settings, with the machine's clock.
    pub fn new(settings: Settings) -> NodeBuilder {
        NodeBuilder {
            settings,
            clock: SystemClock::new(),
            memory: None,
            config_file: None,
            configured: None,
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

    /// The probe that knows how much memory the allocator has given out; without one INFO reads the process's size.
    pub fn memory(mut self, probe: Box<dyn MemoryProbe>) -> NodeBuilder {
        self.memory = Some(probe);
        self
    }

    /// The file that CONFIG REWRITE writes.
    pub fn config_file(mut self, path: PathBuf) -> NodeBuilder {
        self.config_file = Some(path);
        self
    }

    /// The settings as they were read, where this node's were made of them, and the working directory at
    /// that time: CONFIG REWRITE leaves alone what the file says and nobody has changed since.
    pub fn configured(mut self, settings: Settings, directory: PathBuf) -> NodeBuilder {
        self.configured = Some((settings, directory));
        self
    }

    /// Whether the settings make sense. `dir` is absolute after it: the host may go elsewhere.
    fn check(&mut self) -> Result<(), StartError> {
        check::tidy(&mut self.settings);
        check::check(&self.settings).map_err(StartError::Settings)?;
        if let Some(dir) = &self.settings.dir {
            let absolute = absolute_directory(None, dir)
                .map_err(|why| StartError::Settings(format!("dir {dir}: {why}")))?;
            self.settings.dir = Some(absolute);
        }
        Ok(())
    }

    /// Binds the addresses now, as `start` does otherwise: clients that come wait for the start.
    pub fn bind(mut self) -> Result<NodeBuilder, StartError> {
        self.check()?;
        let tcp = self.settings.port != 0 || !self.zero_is_no_port;
        self.listeners = Some(listener::bind(&self.settings, tcp)?);
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
        let (configured, directory) = self.configured.unwrap_or_else(|| {
            let here = std::env::current_dir().unwrap_or_default();
            (settings.clone(), here)
        });
        if settings.port == 0
            && let Some(port) = port
        {
            // Asked for "any port": the one we got is the one to announce. A port of 0 in a file means
            // "no TCP" for redis-server; here that is an empty `bind`.
            settings.port = port;
        }
        settings.repl_spool_dir = spool_directory(&settings)
            .map_err(|why| StartError::Settings(format!("Can't use repl-spool-dir: {why}")))?;
        let shards = shard_count(&settings, !listeners.is_empty());
        let memory = self.memory.unwrap_or_else(|| Box::new(SystemProbe));
        let core = Arc::new(NodeCore::new(
            self.clock,
            settings,
            shards,
            Some(memory),
            self.config_file.clone(),
        ));
        let effective = Settings::clone(&core.settings.load());
        let config_file = self.config_file.map(|path| ConfigFile {
            path,
            directory,
            at_start: StartSettings {
                configured,
                effective,
            },
        });
        stale_files::remove(&core);
        // Before any thread is started: a start that can't succeed has nothing to take back.
        let dump = loading::open(&core).map_err(StartError::Dump)?;
        let parts = RootParts {
            node: core.clone(),
            listeners,
            dump,
            config_file,
        };
        let (up_sender, up_receiver) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("understudy".into())
            .spawn(move || run(parts, &up_sender))
            .map_err(StartError::Thread)?;
        let Ok(root) = up_receiver.recv() else {
            join(thread);
            let failure = core.lifecycle.end().failure;
            return Err(StartError::Died(failure.unwrap_or_default()));
        };
        Ok(Node {
            core,
            root,
            thread: Some(thread),
            port,
        })
    }
}

/// The work of the node's first thread: the actors of the background arbiter, until the node is closed, and
/// then its end.
fn run(parts: RootParts, up: &std::sync::mpsc::Sender<Addr<Root>>) {
    let ends = Ends(parts.node.clone());
    let system = actix_rt::System::new();
    let (done_sender, done) = oneshot::channel();
    let node = parts.node.clone();
    let arbiters = system.block_on(async move {
        let root = Root::new(parts, done_sender);
        let root = supervisor::start(&node, Owner::Root, root);
        // Answered once it has started: from then on there is somebody to ask for anything.
        let _ = root.send(IsUp).await;
        let _ = up.send(root);
        done.await.unwrap_or_default()
    });
    ends.0.supervision.wait_for_rescue();
    // A root that is gone has closed nothing.
    ends.0.close(1, Some("its root actor died".into()));
    actix_rt::System::current().stop();
    // Every actor of this arbiter is dropped at its end.
    let _ = system.run();
    // Threads of low priority would find out late that they are to end, on a machine that is busy.
    ends.0.threads.each(priority::raise_other);
    match ends.0.threads.wait(END_MAX) {
        0 => {
            for arbiter in arbiters {
                let _ = arbiter.join();
            }
        }
        left => tracing::warn!("{left} threads of the node have not ended within {END_MAX:?}"),
    }
}

/// How long a node's end waits for its threads: they give up what they do, but a disk may hang, or a command
/// run on.
const END_MAX: Duration = Duration::from_secs(30);

/// However the node's first thread ends, the node has.
struct Ends(Arc<NodeCore>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.close(1, Some("its first thread died".into()));
        self.0.lifecycle.ended();
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the node's background thread panicked");
    }
}

/// `shards`; by default one where one arbiter serves, else four for each, so that they seldom meet. Where none
/// serves it is the host's threads that call, as many as the machine has cores.
fn shard_count(settings: &Settings, listens: bool) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    match (settings.shards, serving_arbiters(settings, listens)) {
        (0, 0) => (cores() * 4).min(64),
        (0, 1) => 1,
        (0, serving) => (serving * 4).min(64),
        (n, _) => n.min(64),
    }
}

/// A running node. Dropping it shuts it down without saving.
///
/// In-process clients may outlive it: it does not wait for them. Once it is closed their calls end with an
/// error, also those that wait.
pub struct Node {
    core: Arc<NodeCore>,
    root: Addr<Root>,
    thread: Option<JoinHandle<()>>,
    port: Option<u16>,
}

impl Node {
    /// What a node is built from, where more than settings is to be chosen.
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

    /// Whether the node has its data and serves: false while it loads its dump, and once it is closed. About
    /// the link to a master it says nothing.
    pub fn is_ready(&self) -> bool {
        self.core.lifecycle.stage() == Stage::Ready
    }

    /// Waits until the node has its data and serves, at most `timeout`. Blocks the thread.
    ///
    /// # Errors
    ///
    /// [`StartError::Loading`] if it still loads its dump then; [`StartError::Died`] if it has ended, with the
    /// reason, for instance a dump that is broken.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), StartError> {
        match self.core.lifecycle.wait_for(Stage::Ready, Some(timeout)) {
            Stage::Loading => Err(StartError::Loading),
            Stage::Ready => Ok(()),
            Stage::Closed | Stage::Ended => {
                let failure = self.core.lifecycle.end().failure;
                Err(StartError::Died(
                    failure.unwrap_or_else(|| "it was shut down".into()),
                ))
            }
        }
    }

    /// The node's shared state: settings, statistics, replication. For observing, not for changing.
    #[doc(hidden)]
    #[doc(hidden)]
    pub fn observe(&self) -> &Arc<NodeCore> {
        &self.core
    }

    /// Stops without saving, and waits until its threads have ended: they give up what they do. Blocks the
    /// thread, at most for half a minute. The exit code: 0, or that of an end that the node had come to by
    /// itself.
    pub fn shutdown(mut self) -> i32 {
        self.stop()
    }

    /// Stops as [`Node::shutdown`] does, but first waits for its replicas (`shutdown-timeout`) and saves the
    /// dump, whether there are save points or not. From then on writes wait, and end with the node.
    ///
    /// # Errors
    ///
    /// If the dump can't be saved the node goes on, writes too, and comes back in the error.
    pub fn save_and_shutdown(mut self) -> Result<(), SaveFailed> {
        let (refused, refusal) = std::sync::mpsc::channel();
        self.root.do_send(Stop {
            save: Some(refused),
        });
        match refusal.recv() {
            Ok(reason) => Err(SaveFailed {
                reason,
                node: Box::new(self),
            }),
            // The node is closed, or was before it could hear us.
            Err(_) => {
                self.stop();
                Ok(())
            }
        }
    }

    /// Waits until the node ends by itself (SHUTDOWN). The process's exit code.
    pub fn wait(&self) -> i32 {
        self.core.lifecycle.wait_for(Stage::Ended, None);
        self.core.lifecycle.end().exit_code
    }

    /// Asks the node to end as a signal would, by its `shutdown-on-*` settings; `wait` returns then.
    #[doc(hidden)]
    #[doc(hidden)]
    pub fn handle(&self) -> Addr<Root> {
        self.root.clone()
    }

    fn stop(&mut self) -> i32 {
        self.root.do_send(Stop { save: None });
        if let Some(thread) = self.thread.take() {
            join(thread);
            // Clients that are still there shall not hold the data.
            self.core.empty();
        }
        self.core.lifecycle.end().exit_code
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("port", &self.port)
            .field("stage", &self.core.lifecycle.stage())
            .finish_non_exhaustive()
    }
}

/// The dump could not be saved, so the node was not shut down.
#[derive(Debug)]
pub struct SaveFailed {
    /// The node, which goes on. Dropping it shuts it down without saving.
    pub node: Box<Node>,
    /// What went wrong, in words.
    pub reason: String,
}

impl fmt::Display for SaveFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the dump could not be saved: {}", self.reason)
    }
}

impl std::error::Error for SaveFailed {}
