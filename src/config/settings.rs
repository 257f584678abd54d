//! Settings: every directive's value, typed.
//!
//! One field per directive, named after it with underscores; units are the directive's own (bytes, seconds,
//! milliseconds where the directive says so). A `Settings` is a plain value: the running node holds the
//! current one behind an `ArcSwap`, and a change makes a new one. Directives that this version accepts but
//! that have no effect in it keep their text in `stored`, so that CONFIG GET and REWRITE still know them.
//!
//! Invariant: `Settings::default()` is what an empty configuration file means, and equals the defaults of
//! Redis 7.2: a server's, that listens at all addresses and has a dump file. For a host's process there is
//! [`Settings::embedded`].

#![warn(missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choices::{
    LoadFallback, LogLevel, MaxmemoryPolicy, OnStreamError, Protected, ShutdownFlags, Supervised,
};
use super::events::EventFlags;
use crate::data::Encodings;

/// When a client's pending output closes its connection. Zero: no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Closed at once above this, bytes.
    pub hard: u64,
    /// Closed when above this for `soft_seconds` on end, bytes.
    pub soft: u64,
    /// See `soft`.
    pub soft_seconds: u64,
}

/// `client-output-buffer-limit` of each client class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that are none of the others.
    pub normal: OutputLimit,
    /// Our replicas.
    pub replica: OutputLimit,
    /// Clients with a subscription, and monitors.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let mb = 1024 * 1024;
        OutputLimits {
            normal: OutputLimit::default(),
            replica: OutputLimit {
                hard: 256 * mb,
                soft: 64 * mb,
                soft_seconds: 60,
            },
            pubsub: OutputLimit {
                hard: 32 * mb,
                soft: 8 * mb,
                soft_seconds: 60,
            },
        }
    }
}

/// A dump is saved when at least `changes` were made and `seconds` have passed since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Since the last save.
    pub seconds: u64,
    /// Since the last save.
    pub changes: u64,
}

/// `replicaof`: where our master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterAddress {
    /// A name or an address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

/// Every directive's value, typed; one field per directive, named after it with underscores.
#[derive(Clone, Debug)]
pub struct Settings {
    // ---- network ----
    /// Addresses to listen at; "*" and "::*" mean all, a leading '-' means that failing to bind is fine.
    /// Empty: listen at no TCP address.
    pub bind: Vec<String>,
    /// 0: no TCP listener.
    pub port: u16,
    /// Path of a Unix socket to listen at besides; None: none.
    pub unixsocket: Option<String>,
    /// File mode bits; 0: leave what the umask gives.
    pub unixsocketperm: u32,
    /// Without a password, refuse clients from other machines.
    pub protected_mode: bool,
    /// Length of the queue of connections not yet accepted.
    pub tcp_backlog: u32,
    /// Seconds of idleness after which a client is closed; 0: never.
    pub timeout: u64,
    /// Seconds between TCP keepalive probes; 0: off.
    pub tcp_keepalive: u64,
    /// Clients at the same time; in-process ones count, but are not refused.
    pub maxclients: u32,
    /// How much output a client may leave untaken before it is closed, by class of client.
    pub client_output_buffer_limit: OutputLimits,
    /// Bytes that a client may have sent but not yet run.
    pub client_query_buffer_limit: u64,
    /// Bytes of the largest bulk string in a request, and of the largest string value.
    pub proto_max_bulk_len: u64,
    /// Source address of the connection to our master; None: the system's choice.
    pub bind_source_addr: Option<String>,

    // ---- general ----
    /// Number of databases, chosen by SELECT.
    pub databases: usize,
    /// The default user's password; None: no password asked.
    pub requirepass: Option<String>,
    /// Of the server binary: run in the background.
    pub daemonize: bool,
    /// Of the server binary: tell systemd or upstart when the node is ready.
    pub supervised: Supervised,
    /// Of the server binary: file to write the process id to.
    pub pidfile: Option<String>,
    /// Of the server binary: how much is logged. A host installs a `tracing` subscriber of its own choice.
    pub loglevel: LogLevel,
    /// Of the server binary: file to log to; empty: standard output.
    pub logfile: String,
    /// Kept for tools: there is no logo.
    pub always_show_logo: bool,
    /// Who may use DEBUG: no one, all, or connections from this machine (local).
    pub enable_debug_command: Protected,
    /// Who may use MODULE: no one, all, or connections from this machine (local). No module can be loaded.
    pub enable_module_command: Protected,
    /// Who may change protected directives (dir, dbfilename) at run time.
    pub enable_protected_configs: Protected,
    /// How often a second background work runs, 1 to 500.
    pub hz: u32,
    /// How hard expired keys are looked for, 1 to 10.
    pub active_expire_effort: u32,
    /// Seconds that SHUTDOWN waits for lagging replicas.
    pub shutdown_timeout: u64,
    /// Of the server binary: how SIGINT shuts down.
    pub shutdown_on_sigint: ShutdownFlags,
    /// Of the server binary: how SIGTERM shuts down.
    pub shutdown_on_sigterm: ShutdownFlags,
    /// Which keyspace events are published: letters of 'KEg$lshzxetdmnA'; empty: none.
    pub notify_keyspace_events: EventFlags,
    /// Commands and their new names; an empty name takes the command away.
    pub rename_command: Vec<(String, String)>,
    /// Ours: milliseconds that an arbiter may spend on one client or actor before the log says where; 0: never.
    pub arbiter_watchdog_ms: u64,
    /// Ours: threads that serve connections; 0: one less than the cores, at least one, or, for a node that starts
    /// without a socket, none (connections to a port that it is given later are served by its one thread).
    pub arbiters: usize,
    /// Ours: parts that the keyspace is cut into, 1 to 64; 0: as many as suit the machine.
    pub shards: usize,

    // ---- dump file ----
    /// The directory of the dump file; None: where the process is.
    pub dir: Option<String>,
    /// Name of the dump file, without a directory; empty: there is none, nothing is loaded at the start and
    /// nothing saved, and full syncs are diskless.
    pub dbfilename: String,
    /// When the dump is saved by itself, any of these; empty: never.
    pub save: Vec<SavePoint>,
    /// Compress strings in dumps (LZF).
    pub rdbcompression: bool,
    /// End dumps with a CRC64, and check it when loading.
    pub rdbchecksum: bool,
    /// Delete dump files that served replication only, when nothing else wants them.
    pub rdb_del_sync_files: bool,
    /// Push a dump to the disk every few megabytes while it is written.
    pub rdb_save_incremental_fsync: bool,
    /// Debugging: microseconds to wait after each saved key (negative: keys per microsecond).
    pub rdb_key_save_delay: i32,
    /// Debugging: microseconds to wait after each loaded key (negative: keys per microsecond).
    pub key_load_delay: i32,
    /// Refuse writes while the last background save failed.
    pub stop_writes_on_bgsave_error: bool,

    // ---- replication ----
    /// Our master; None: this node is one itself.
    pub replicaof: Option<MasterAddress>,
    /// User to log in with at our master; None: its default user.
    pub masteruser: Option<String>,
    /// Password to log in with at our master.
    pub masterauth: Option<String>,
    /// As a replica, answer from the data at hand while the link is down.
    pub replica_serve_stale_data: bool,
    /// As a replica, refuse writes of clients.
    pub replica_read_only: bool,
    /// Send full syncs to sockets as they are made, instead of by way of a file.
    pub repl_diskless_sync: bool,
    /// Seconds to wait for more replicas before a diskless sync begins.
    pub repl_diskless_sync_delay: u64,
    /// Start a diskless sync before its delay is over when so many replicas wait; 0: never.
    pub repl_diskless_sync_max_replicas: u32,
    /// Seconds between the pings that a master puts into its stream.
    pub repl_ping_replica_period: u64,
    /// Seconds of silence after which a replication link is given up.
    pub repl_timeout: u64,
    /// Let the kernel gather small packets to replicas: less traffic, more delay.
    pub repl_disable_tcp_nodelay: bool,
    /// Bytes of the stream that are kept for replicas that come back.
    pub repl_backlog_size: u64,
    /// `repl-backlog-size auto`: the size follows the rate of writes.
    pub repl_backlog_auto: bool,
    /// The outage that such a backlog is to survive, seconds.
    pub repl_backlog_seconds: u64,
    /// The most that such a backlog may take of `maxmemory`, or without it of the machine's memory, percent.
    pub repl_backlog_memory_percent: u64,
    /// Seconds without replicas after which the backlog is freed; 0: never.
    pub repl_backlog_ttl: u64,
    /// Ours: bytes of dumps and of the log that may be in memory for replicas in a full sync, beside the backlog.
    pub repl_spool_memory: u64,
    /// Ours: where the rest of it is kept; None: in `dir`.
    pub repl_spool_dir: Option<String>,
    /// Ours: bytes of it on disk; 0: no limit.
    pub repl_spool_limit: u64,
    /// Ours: seconds that a finished snapshot is kept for replicas that come late.
    pub repl_snapshot_keep: u64,
    /// Ours: between nodes of ours, send only what differs where a partial resync can't.
    pub repl_delta_resync: bool,
    /// Ours: seconds between two verifications by digests; 0: none but by order.
    pub repl_verify_period: u64,
    /// Ours: full syncs at a time; 0: no limit.
    pub repl_max_transfers: u32,
    /// Ours: bytes a second of full syncs' dumps, to all replicas together; 0: no limit.
    pub repl_max_bandwidth: u64,
    /// Ours: bytes a second of a full sync's dump, to each replica; 0: no limit.
    pub repl_max_bandwidth_per_replica: u64,
    /// Ours: replicas on this machine that load at a time, others waiting; 0: any number.
    pub repl_max_local_loads: u32,
    /// Ours: bytes of memory that the data of a full sync may take beside the old data; 0: no limit.
    pub replica_load_memory_limit: u64,
    /// Ours: what becomes of the old data when that limit is passed.
    pub replica_load_fallback: LoadFallback,
    /// Ours: what becomes of the link when a command of the master's stream fails here.
    pub replica_on_stream_error: OnStreamError,
    /// Ours: what a full sync throws away of our own writes goes to a file.
    pub repl_keep_discarded: bool,
    /// Ours: bytes of such a file; 0: any.
    pub repl_discarded_limit: u64,
    /// Ours: how many of those are kept.
    pub repl_discarded_files: u32,
    /// Whom Sentinel promotes first: the lowest; 0: never this one.
    pub replica_priority: u32,
    /// Refuse the empty dataset of a master that we don't know.
    pub replica_empty_master_guard: bool,
    /// Whether Sentinel reports this replica to its clients.
    pub replica_announced: bool,
    /// Address to give to our master; None: the one that it sees.
    pub replica_announce_ip: Option<String>,
    /// 0: the port we listen at.
    pub replica_announce_port: u16,
    /// As a replica, leave eviction to the master.
    pub replica_ignore_maxmemory: bool,
    /// As a replica, go on applying the stream when the disk refuses to save.
    pub replica_ignore_disk_write_errors: bool,
    /// Refuse writes with fewer replicas than this; 0: never.
    pub min_replicas_to_write: u32,
    /// A replica counts if it reported within so many seconds.
    pub min_replicas_max_lag: u64,

    // ---- memory ----
    /// Bytes; 0: no limit.
    pub maxmemory: u64,
    /// What goes when memory is full; with a limit, only noeviction is possible so far.
    pub maxmemory_policy: MaxmemoryPolicy,
    /// How slowly access counters grow.
    pub lfu_log_factor: u32,
    /// Minutes after which access counters shrink by one.
    pub lfu_decay_time: u32,
    /// Free expired values in the background.
    pub lazyfree_lazy_expire: bool,
    /// Free overwritten values in the background.
    pub lazyfree_lazy_server_del: bool,
    /// Make FLUSHDB and FLUSHALL free in the background unless SYNC is said.
    pub lazyfree_lazy_user_flush: bool,
    /// The `*-max-listpack-*`, `set-max-intset-entries`, `list-*` directives.
    pub encodings: Encodings,
    /// Bytes up to which a HyperLogLog is kept in its sparse form.
    pub hll_sparse_max_bytes: u64,

    // ---- scripts ----
    /// Milliseconds that a script runs until clients that need its shards are answered BUSY; 0: they wait.
    pub busy_reply_threshold_ms: u64,
    /// Bytes that Lua may take for the values of one running script; 0: no limit.
    pub script_memory_limit: u64,

    // ---- watching ----
    /// Microseconds; negative: the slow log is off; 0: every command is logged.
    pub slowlog_log_slower_than: i64,
    /// Entries that the slow log keeps.
    pub slowlog_max_len: usize,
    /// Milliseconds from which LATENCY notes an event; 0: off.
    pub latency_monitor_threshold: u64,
    /// Keep a histogram of each command's run times.
    pub latency_tracking: bool,
    /// Which percentiles INFO latencystats shows.
    pub latency_tracking_info_percentiles: Vec<f64>,

    /// Directives that are accepted without effect: their value as text, by name. A directive that is
    /// absent has its default.
    pub stored: BTreeMap<&'static str, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let mb = 1024 * 1024;
        Settings {
            bind: vec!["*".into(), "-::*".into()],
            port: 6379,
            unixsocket: None,
            unixsocketperm: 0,
            protected_mode: true,
            tcp_backlog: 511,
            timeout: 0,
            tcp_keepalive: 300,
            maxclients: 10_000,
            client_output_buffer_limit: OutputLimits::default(),
            client_query_buffer_limit: 1024 * mb,
            proto_max_bulk_len: 512 * mb,
            bind_source_addr: None,

            databases: 16,
            requirepass: None,
            daemonize: false,
            supervised: Supervised::No,
            pidfile: None,
            loglevel: LogLevel::Notice,
            logfile: String::new(),
            always_show_logo: false,
            enable_debug_command: Protected::No,
            enable_module_command: Protected::No,
            enable_protected_configs: Protected::No,
            hz: 10,
            active_expire_effort: 1,
            shutdown_timeout: 10,
            shutdown_on_sigint: ShutdownFlags::default(),
            shutdown_on_sigterm: ShutdownFlags::default(),
            notify_keyspace_events: EventFlags::default(),
            rename_command: Vec::new(),
            arbiter_watchdog_ms: 10_000,
            arbiters: 0,
            shards: 0,

            dir: None,
            dbfilename: "dump.rdb".into(),
            save: [(3600, 1), (300, 100), (60, 10_000)]
                .map(|(seconds, changes)| SavePoint { seconds, changes })
                .to_vec(),
            rdbcompression: true,
            rdbchecksum: true,
            rdb_del_sync_files: false,
            rdb_save_incremental_fsync: true,
            rdb_key_save_delay: 0,
            key_load_delay: 0,
            stop_writes_on_bgsave_error: true,

            replicaof: None,
            masteruser: None,
            masterauth: None,
            replica_serve_stale_data: true,
            replica_read_only: true,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            repl_ping_replica_period: 10,
            repl_timeout: 60,
            repl_disable_tcp_nodelay: false,
            repl_backlog_size: mb,
            repl_backlog_auto: false,
            repl_backlog_seconds: 300,
            repl_backlog_memory_percent: 10,
            repl_backlog_ttl: 3600,
            repl_spool_memory: 16 * mb,
            repl_spool_dir: None,
            repl_spool_limit: 16 * 1024 * mb,
            repl_snapshot_keep: 0,
            repl_delta_resync: false,
            repl_verify_period: 0,
            repl_max_transfers: 0,
            repl_max_bandwidth: 0,
            repl_max_bandwidth_per_replica: 0,
            repl_max_local_loads: 1,
            replica_load_memory_limit: 0,
            replica_load_fallback: LoadFallback::default(),
            replica_on_stream_error: OnStreamError::default(),
            repl_keep_discarded: true,
            repl_discarded_limit: 1 << 30,
            repl_discarded_files: 5,
            replica_priority: 100,
            replica_empty_master_guard: true,
            replica_announced: true,
            replica_announce_ip: None,
            replica_announce_port: 0,
            replica_ignore_maxmemory: true,
            replica_ignore_disk_write_errors: false,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,

            maxmemory: 0,
            maxmemory_policy: MaxmemoryPolicy::NoEviction,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_flush: false,
            encodings: Encodings::default(),
            hll_sparse_max_bytes: 3000,

            busy_reply_threshold_ms: 5000,
            script_memory_limit: 512 << 20,

            slowlog_log_slower_than: 10_000,
            slowlog_max_len: 128,
            latency_monitor_threshold: 0,
            latency_tracking: true,
            latency_tracking_info_percentiles: vec![50.0, 99.0, 99.9],

            stored: BTreeMap::new(),
        }
    }
}

/// `hz` outside this is moved to its nearer end.
pub(super) const HZ_RANGE: std::ops::RangeInclusive<u32> = 1..=500;

impl Settings {
    /// For a node in a host's process that shall touch nothing of it unasked: no socket (`bind` is empty), no dump
    /// file, and a single thread as long as there is nothing to do beside its clients' calls. Add what is
    /// wanted:
    ///
    /// ```
    /// use understudy::{MasterAddress, Node, Settings};
    ///
    /// // A replica that others can't reach.
    /// let settings = Settings {
    ///     replicaof: Some(MasterAddress {
    ///         host: "127.0.0.1".into(),
    ///         port: 6379,
    ///     }),
    ///     ..Settings::embedded()
    /// };
    /// let node = Node::start(settings)?;
    /// assert_eq!(node.port(), None);
    /// # Ok::<(), understudy::StartError>(())
    /// ```
    pub fn embedded() -> Settings {
        Settings {
            bind: Vec::new(),
            port: 0,
            arbiter_watchdog_ms: 0,
            save: Vec::new(),
            dbfilename: String::new(),
            repl_keep_discarded: false,
            ..Settings::default()
        }
    }

    /// Whether there is a dump file, which is loaded at the start and can be saved.
    pub fn has_dump(&self) -> bool {
        !self.dbfilename.is_empty()
    }

    /// Where the node's dump is, if it has one ([`Settings::has_dump`]).
    pub fn dump_path(&self) -> PathBuf {
        let directory = self.dir.as_deref().unwrap_or(".");
        Path::new(directory).join(&self.dbfilename)
    }

    /// Moves values that are hints into their range.
    pub fn clamp(&mut self) {
        self.hz = self.hz.clamp(*HZ_RANGE.start(), *HZ_RANGE.end());
    }

    /// Checks what no directive can check alone. The error names the directive to blame.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.maxmemory > 0 && self.maxmemory_policy != MaxmemoryPolicy::NoEviction {
            return Err((
                "maxmemory-policy",
                format!(
                    "with maxmemory set, maxmemory-policy must be noeviction, not {}: eviction comes \
                     with a later version",
                    self.maxmemory_policy.word()
                ),
            ));
        }
        Ok(())
    }
}
