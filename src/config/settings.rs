//! Settings: every directive's value, typed.
//!
//! One field per directive, named after it with underscores; units are the directive's own (bytes, seconds,
//! milliseconds where the directive says so). A `Settings` is a plain value: the running node holds the
//! current one behind an `ArcSwap`, and a change makes a new one. Directives that this version accepts but
//! that have no effect in it keep their text in `stored`, so that CONFIG GET and REWRITE still know them.
//!
//! Invariant: `Settings::default()` is what an empty configuration file means, and equals the defaults of
//! Redis 7.2.

use std::collections::BTreeMap;

use super::choices::{
    DisklessLoad, LoadFallback, LogLevel, MaxmemoryPolicy, Protected, SanitizeDump, ShutdownFlags,
    Supervised,
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
    pub soft_seconds: u64,
}

/// `client-output-buffer-limit` of each client class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    pub normal: OutputLimit,
    pub replica: OutputLimit,
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
    pub seconds: u64,
    pub changes: u64,
}

/// `replicaof`: where our master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterAddress {
    pub host: String,
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
    pub unixsocket: Option<String>,
    /// File mode bits; 0: leave what the umask gives.
    pub unixsocketperm: u32,
    /// Without a password, refuse clients from other machines.
    pub protected_mode: bool,
    pub tcp_backlog: u32,
    /// Seconds of idleness after which a client is closed; 0: never.
    pub timeout: u64,
    /// Seconds between TCP keepalive probes; 0: off.
    pub tcp_keepalive: u64,
    pub maxclients: u32,
    pub client_output_buffer_limit: OutputLimits,
    /// Bytes.
    pub client_query_buffer_limit: u64,
    /// Bytes of the largest bulk string in a request, and of the largest string value.
    pub proto_max_bulk_len: u64,
    /// Source address of the connection to our master.
    pub bind_source_addr: Option<String>,

    // ---- general ----
    pub databases: usize,
    /// The default user's password; None: no password asked.
    pub requirepass: Option<String>,
    pub daemonize: bool,
    pub supervised: Supervised,
    pub pidfile: Option<String>,
    pub loglevel: LogLevel,
    /// Empty: standard output.
    pub logfile: String,
    pub always_show_logo: bool,
    pub set_proc_title: bool,
    pub proc_title_template: String,
    pub enable_debug_command: Protected,
    pub enable_protected_configs: Protected,
    pub hz: u32,
    pub dynamic_hz: bool,
    /// 1 to 10.
    pub active_expire_effort: u32,
    pub activerehashing: bool,
    /// Seconds that SHUTDOWN waits for lagging replicas.
    pub shutdown_timeout: u64,
    pub shutdown_on_sigint: ShutdownFlags,
    pub shutdown_on_sigterm: ShutdownFlags,
    pub notify_keyspace_events: EventFlags,
    /// Commands and their new names; an empty name takes the command away.
    pub rename_command: Vec<(String, String)>,
    /// Ours: threads that serve connections; 0: one less than the cores, at least one.
    pub arbiters: usize,
    /// Ours: parts that the keyspace is cut into, 1 to 64; 0: as many as suit the machine.
    pub shards: usize,

    // ---- dump file ----
    /// The working directory; None: where the process was started.
    pub dir: Option<String>,
    pub dbfilename: String,
    pub save: Vec<SavePoint>,
    pub rdbcompression: bool,
    pub rdbchecksum: bool,
    pub rdb_del_sync_files: bool,
    pub rdb_save_incremental_fsync: bool,
    /// Debugging: microseconds to wait after each saved key (negative: keys per microsecond).
    pub rdb_key_save_delay: i32,
    /// Debugging: microseconds to wait after each loaded key (negative: keys per microsecond).
    pub key_load_delay: i32,
    /// Hidden: how many bytes are loaded between two looks at the clients.
    pub loading_process_events_interval_bytes: u64,
    pub stop_writes_on_bgsave_error: bool,
    pub sanitize_dump_payload: SanitizeDump,

    // ---- replication ----
    pub replicaof: Option<MasterAddress>,
    pub masteruser: Option<String>,
    pub masterauth: Option<String>,
    pub replica_serve_stale_data: bool,
    pub replica_read_only: bool,
    pub repl_diskless_sync: bool,
    /// Seconds.
    pub repl_diskless_sync_delay: u64,
    /// Start a diskless sync before its delay is over when so many replicas wait; 0: never.
    pub repl_diskless_sync_max_replicas: u32,
    pub repl_diskless_load: DisklessLoad,
    /// Seconds.
    pub repl_ping_replica_period: u64,
    /// Seconds.
    pub repl_timeout: u64,
    pub repl_disable_tcp_nodelay: bool,
    /// Bytes.
    pub repl_backlog_size: u64,
    /// `repl-backlog-size auto`: the size follows the rate of writes.
    pub repl_backlog_auto: bool,
    /// The outage that such a backlog is to survive, seconds, and the share of memory that it may have.
    pub repl_backlog_seconds: u64,
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
    /// Ours: full syncs at a time; 0: no limit.
    pub repl_max_transfers: u32,
    /// Ours: bytes a second of full syncs' dumps, to all replicas together and to each; 0: no limit.
    pub repl_max_bandwidth: u64,
    pub repl_max_bandwidth_per_replica: u64,
    /// Ours: replicas on this machine that load at a time, others waiting; 0: any number.
    pub repl_max_local_loads: u32,
    /// Ours: bytes of memory that the data of a full sync may take beside the old data; 0: no limit.
    pub replica_load_memory_limit: u64,
    pub replica_load_fallback: LoadFallback,
    pub replica_priority: u32,
    /// Refuse the empty dataset of a master that we don't know.
    pub replica_empty_master_guard: bool,
    pub replica_announced: bool,
    pub replica_announce_ip: Option<String>,
    /// 0: the port we listen at.
    pub replica_announce_port: u16,
    pub replica_ignore_maxmemory: bool,
    pub replica_lazy_flush: bool,
    pub replica_ignore_disk_write_errors: bool,
    pub min_replicas_to_write: u32,
    /// Seconds.
    pub min_replicas_max_lag: u64,

    // ---- memory ----
    /// Bytes; 0: no limit.
    pub maxmemory: u64,
    pub maxmemory_policy: MaxmemoryPolicy,
    pub maxmemory_samples: u32,
    pub lfu_log_factor: u32,
    /// Minutes.
    pub lfu_decay_time: u32,
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
    /// The `*-max-listpack-*`, `set-max-intset-entries`, `list-*` directives.
    pub encodings: Encodings,

    // ---- watching ----
    /// Microseconds; negative: the slow log is off; 0: every command is logged.
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: usize,
    /// Milliseconds; 0: off.
    pub latency_monitor_threshold: u64,
    pub latency_tracking: bool,
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
            set_proc_title: true,
            proc_title_template: "{title} {listen-addr} {server-mode}".into(),
            enable_debug_command: Protected::No,
            enable_protected_configs: Protected::No,
            hz: 10,
            dynamic_hz: true,
            active_expire_effort: 1,
            activerehashing: true,
            shutdown_timeout: 10,
            shutdown_on_sigint: ShutdownFlags::default(),
            shutdown_on_sigterm: ShutdownFlags::default(),
            notify_keyspace_events: EventFlags::default(),
            rename_command: Vec::new(),
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
            loading_process_events_interval_bytes: 2 * mb,
            stop_writes_on_bgsave_error: true,
            sanitize_dump_payload: SanitizeDump::No,

            replicaof: None,
            masteruser: None,
            masterauth: None,
            replica_serve_stale_data: true,
            replica_read_only: true,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            repl_diskless_load: DisklessLoad::Disabled,
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
            repl_max_transfers: 0,
            repl_max_bandwidth: 0,
            repl_max_bandwidth_per_replica: 0,
            repl_max_local_loads: 1,
            replica_load_memory_limit: 0,
            replica_load_fallback: LoadFallback::default(),
            replica_priority: 100,
            replica_empty_master_guard: true,
            replica_announced: true,
            replica_announce_ip: None,
            replica_announce_port: 0,
            replica_ignore_maxmemory: true,
            replica_lazy_flush: false,
            replica_ignore_disk_write_errors: false,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,

            maxmemory: 0,
            maxmemory_policy: MaxmemoryPolicy::NoEviction,
            maxmemory_samples: 5,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            lazyfree_lazy_eviction: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
            encodings: Encodings::default(),

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
const HZ_RANGE: std::ops::RangeInclusive<u32> = 1..=500;

impl Settings {
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
