//! Directives of Redis that are accepted so that its files load. Each says why it has no effect here, or
//! which value alone is possible until its subject is there.

use super::super::directive::{Directive, Range, Shape, Unit};
use super::special;

const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;
type D = Directive;

const YES_NO: Shape = Shape::YesNo;
const TEXT: Shape = Shape::Text;

const fn plain(min: i128, max: i128) -> Shape {
    Shape::Number(Range::plain(min, max))
}

const fn memory(min: i128, max: i128) -> Shape {
    Shape::Number(Range::memory(min, max))
}

const AOF: &str = "append-only files come with a later version";
const CLUSTER: &str = "cluster mode comes with a later version";
const TLS: &str = "TLS comes with a later version";
const SYSLOG: &str = "logging goes to a file or to standard output";
const ACL: &str = "ACL rules come with a later version";
const DEFRAG: &str =
    "Active defragmentation cannot be enabled: the allocator here does not support it";
const CPU: &str = "threads are not pinned to cores";
const CRASH: &str = "there is no crash report";
const EVICTION: &str = "eviction comes with a later version";
const TITLE: &str = "the process list shows the command line as it was given, passwords as '*'";

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::kept("io-threads", plain(1, 128), "1", "Threads for reading and writing sockets.").immutable()
        .inert("connections are served by 'arbiters'"),
    D::kept("io-threads-do-reads", YES_NO, "no", "Let those threads read as well.").immutable()
        .inert("connections are served by 'arbiters'"),
    D::kept("appendonly", YES_NO, "no", "Log every write to an append-only file.").deny_loading().only("no", AOF),
    D::kept("appendfilename", TEXT, "appendonly.aof", "Base name of append-only files.").immutable().inert(AOF),
    D::kept("appenddirname", TEXT, "appendonlydir", "Directory of append-only files.").immutable().inert(AOF),
    D::kept("appendfsync", Shape::Choice(&["everysec", "always", "no"]), "everysec", "When append-only files are forced to disk.").inert(AOF),
    D::kept("no-appendfsync-on-rewrite", YES_NO, "no", "Not to force them while a rewrite runs.").inert(AOF),
    D::kept("auto-aof-rewrite-percentage", plain(0, I32), "100", "Growth after which they are rewritten.").inert(AOF),
    D::kept("auto-aof-rewrite-min-size", memory(0, I64), "67108864", "Size from which they are rewritten.").inert(AOF),
    D::kept("aof-load-truncated", YES_NO, "yes", "Load one whose end is missing.").inert(AOF),
    D::kept("aof-use-rdb-preamble", YES_NO, "yes", "Begin them with a dump.").inert(AOF),
    D::kept("aof-timestamp-enabled", YES_NO, "no", "Note times in them.").inert(AOF),
    D::kept("aof-rewrite-incremental-fsync", YES_NO, "yes", "Force them to disk piece by piece while rewriting.").inert(AOF),
    D::kept("aof-disable-auto-gc", YES_NO, "no", "Keep old ones.").hidden().inert(AOF),
    D::kept("aof_rewrite_cpulist", TEXT, "", "Cores of the rewrite.").immutable().inert(CPU),
    D::kept("server_cpulist", TEXT, "", "Cores of the server.").immutable().inert(CPU),
    D::kept("bio_cpulist", TEXT, "", "Cores of background threads.").immutable().inert(CPU),
    D::kept("bgsave_cpulist", TEXT, "", "Cores of a background save.").immutable().inert(CPU),
    D::kept("dynamic-hz", YES_NO, "yes", "Run background work more often when there are many clients.")
        .inert("no background work depends on the number of clients"),
    D::kept("activerehashing", YES_NO, "yes", "Spend idle time on reorganising tables.")
        .inert("tables grow a segment at a time, none is left half reorganised"),
    D::kept("set-proc-title", YES_NO, "yes", "Show the node's state in the process list.").immutable().inert(TITLE),
    D::kept("proc-title-template", TEXT, "{title} {listen-addr} {server-mode}", "What the process list shows.")
        .check(special::check_title_template).inert(TITLE),
    D::kept("sanitize-dump-payload", Shape::Choice(&["no", "yes", "clients"]), "no", "Deep checks of dumps and of RESTORE.")
        .inert("they are always made"),
    D::kept("loading-process-events-interval-bytes", memory(1024, I32), "2097152", "For tests: bytes loaded between two looks at the clients.")
        .hidden().inert("other threads look at the clients"),
    D::kept("repl-diskless-load", Shape::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled", "How a replica takes a full sync.")
        .deny_loading().inert("it is always loaded beside the old data, then swapped in"),
    D::kept("replica-lazy-flush", YES_NO, "no", "Free the old data of a full sync in the background.").alias("slave-lazy-flush")
        .inert("it always is"),
    D::kept("syslog-enabled", YES_NO, "no", "Log to syslog.").immutable().only("no", SYSLOG),
    D::kept("syslog-ident", TEXT, "redis", "Name in syslog.").immutable().inert(SYSLOG),
    D::kept("syslog-facility", Shape::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]),
        "local0", "Facility in syslog.").immutable().inert(SYSLOG),
    D::kept("locale-collate", TEXT, "", "Order of texts in SORT ALPHA.").inert("texts are ordered by their bytes"),
    D::kept("ignore-warnings", TEXT, "", "Warnings at start not to mind.").inert("there are none of the kind"),
    D::kept("crash-log-enabled", YES_NO, "yes", "Report crashes in the log.").inert(CRASH),
    D::kept("crash-memcheck-enabled", YES_NO, "yes", "Check memory after a crash.").inert(CRASH),
    D::kept("use-exit-on-panic", YES_NO, "no", "For tests.").hidden().inert(CRASH),
    D::kept("watchdog-period", plain(0, I32), "0", "For tests.").hidden().inert("there is no watchdog"),
    D::kept("disable-thp", YES_NO, "yes", "Switch transparent huge pages off for the process.").immutable()
        .inert("no fork is ever made, so huge pages do no harm"),
    D::kept("oom-score-adj", Shape::Choice(&["no", "yes", "relative", "absolute"]), "no", "Tell the kernel whom to kill first.")
        .inert("the score is left to the service manager"),
    D::kept("oom-score-adj-values", TEXT, "0 200 800", "Scores of master, replica and background children.").many_words()
        .inert("the score is left to the service manager"),
    D::kept("propagation-error-behavior", Shape::Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore",
        "What to do when a replicated command fails.").inert("such errors are logged"),
    D::kept("jemalloc-bg-thread", YES_NO, "yes", "Let the allocator purge in the background.").inert("the allocator is built with its own setting"),
    D::kept("activedefrag", YES_NO, "no", "Move values about to make memory denser.").only("no", DEFRAG),
    D::kept("active-defrag-cycle-min", plain(1, 99), "1", "Least effort of it.").inert(DEFRAG),
    D::kept("active-defrag-cycle-max", plain(1, 99), "25", "Greatest effort of it.").inert(DEFRAG),
    D::kept("active-defrag-threshold-lower", plain(0, 1000), "10", "Where it begins.").inert(DEFRAG),
    D::kept("active-defrag-threshold-upper", plain(0, 1000), "100", "Where it works hardest.").inert(DEFRAG),
    D::kept("active-defrag-max-scan-fields", plain(1, I64), "1000", "Size above which a value is done piecemeal.").inert(DEFRAG),
    D::kept("active-defrag-ignore-bytes", memory(1, I64), "104857600", "Waste not worth the work.").inert(DEFRAG),
    D::kept("maxmemory-samples", plain(1, I32), "5", "Keys looked at to find one to evict.").inert(EVICTION),
    D::kept("lazyfree-lazy-eviction", YES_NO, "no", "Free evicted values in the background.").inert(EVICTION),
    D::kept("lazyfree-lazy-user-del", YES_NO, "no", "Make DEL behave as UNLINK.")
        .inert("DEL leaves large values to the background as UNLINK does"),
    D::kept("list-compress-depth", plain(0, I32), "0", "Nodes at a list's ends that are not compressed.")
        .inert("lists are not compressed in memory"),
    D::kept("maxmemory-clients", Shape::Number(Range { min: -100, max: I64, unit: Unit::MemoryOrPercent }), "0",
        "Memory of all clients together.").only("0", "evicting clients comes with a later version"),
    D::kept("maxmemory-eviction-tenacity", plain(0, 100), "10", "How long to evict at a time.").inert(EVICTION),
    D::kept("tracking-table-max-keys", plain(0, I64), "1000000", "Keys remembered for client-side caches.").inert("CLIENT TRACKING comes with a later version"),
    D::kept("aclfile", TEXT, "", "File of ACL users.").immutable().only("", ACL),
    D::kept("acllog-max-len", plain(0, I64), "128", "Entries of the ACL log.").inert(ACL),
    D::kept("acl-pubsub-default", Shape::Choice(&["allchannels", "resetchannels"]), "resetchannels", "Channels of a new user.").inert(ACL),
    D::kept("cluster-enabled", YES_NO, "no", "Cluster mode.").immutable().only("no", CLUSTER),
    D::kept("cluster-config-file", TEXT, "nodes.conf", "File of the cluster's state.").immutable().inert(CLUSTER),
    D::kept("cluster-node-timeout", plain(0, I64), "15000", "Milliseconds until a node counts as gone.").inert(CLUSTER),
    D::kept("cluster-ping-interval", plain(0, I64), "0", "For tests.").hidden().inert(CLUSTER),
    D::kept("cluster-port", plain(0, 65535), "0", "Port of the cluster bus.").immutable().inert(CLUSTER),
    D::kept("cluster-announce-ip", TEXT, "", "Address to announce.").inert(CLUSTER),
    D::kept("cluster-announce-hostname", TEXT, "", "Name to announce.").inert(CLUSTER),
    D::kept("cluster-announce-human-nodename", TEXT, "", "Name for people.").inert(CLUSTER),
    D::kept("cluster-announce-port", plain(0, 65535), "0", "Port to announce.").inert(CLUSTER),
    D::kept("cluster-announce-tls-port", plain(0, 65535), "0", "TLS port to announce.").inert(CLUSTER),
    D::kept("cluster-announce-bus-port", plain(0, 65535), "0", "Bus port to announce.").inert(CLUSTER),
    D::kept("cluster-replica-validity-factor", plain(0, I32), "10", "How old a replica's data may be to take over.").alias("cluster-slave-validity-factor").inert(CLUSTER),
    D::kept("cluster-replica-no-failover", YES_NO, "no", "Never to take over.").alias("cluster-slave-no-failover").inert(CLUSTER),
    D::kept("cluster-migration-barrier", plain(0, I32), "1", "Replicas that a master keeps.").inert(CLUSTER),
    D::kept("cluster-allow-replica-migration", YES_NO, "yes", "Whether replicas move to masters without one.").inert(CLUSTER),
    D::kept("cluster-require-full-coverage", YES_NO, "yes", "Serve only while all slots are served.").inert(CLUSTER),
    D::kept("cluster-allow-reads-when-down", YES_NO, "no", "Serve reads all the same.").inert(CLUSTER),
    D::kept("cluster-allow-pubsubshard-when-down", YES_NO, "yes", "Serve shard channels all the same.").inert(CLUSTER),
    D::kept("cluster-link-sendbuf-limit", memory(0, u64::MAX as i128), "0", "Bytes that may wait on a cluster link.").inert(CLUSTER),
    D::kept("cluster-preferred-endpoint-type", Shape::Choice(&["ip", "hostname", "unknown-endpoint"]), "ip", "What clients are sent to.").inert(CLUSTER),
    D::kept("tls-port", plain(0, 65535), "0", "TLS port.").only("0", TLS),
    D::kept("tls-replication", YES_NO, "no", "TLS to our master.").only("no", TLS),
    D::kept("tls-cluster", YES_NO, "no", "TLS on the cluster bus.").only("no", TLS),
    D::kept("tls-auth-clients", Shape::Choice(&["no", "yes", "optional"]), "yes", "Whether clients need a certificate.").inert(TLS),
    D::kept("tls-cert-file", TEXT, "", "Our certificate.").inert(TLS),
    D::kept("tls-key-file", TEXT, "", "Its key.").inert(TLS),
    D::kept("tls-key-file-pass", TEXT, "", "The key's password.").sensitive().inert(TLS),
    D::kept("tls-client-cert-file", TEXT, "", "Certificate towards our master.").inert(TLS),
    D::kept("tls-client-key-file", TEXT, "", "Its key.").inert(TLS),
    D::kept("tls-client-key-file-pass", TEXT, "", "The key's password.").sensitive().inert(TLS),
    D::kept("tls-dh-params-file", TEXT, "", "Diffie-Hellman parameters.").inert(TLS),
    D::kept("tls-ca-cert-file", TEXT, "", "Authorities that we trust.").inert(TLS),
    D::kept("tls-ca-cert-dir", TEXT, "", "Directory of authorities that we trust.").inert(TLS),
    D::kept("tls-protocols", TEXT, "", "TLS versions.").inert(TLS),
    D::kept("tls-ciphers", TEXT, "", "Ciphers up to TLS 1.2.").inert(TLS),
    D::kept("tls-ciphersuites", TEXT, "", "Ciphers of TLS 1.3.").inert(TLS),
    D::kept("tls-prefer-server-ciphers", YES_NO, "no", "Our order of ciphers counts.").inert(TLS),
    D::kept("tls-session-caching", YES_NO, "yes", "Resume sessions.").inert(TLS),
    D::kept("tls-session-cache-size", plain(0, I32), "20480", "Sessions remembered.").inert(TLS),
    D::kept("tls-session-cache-timeout", plain(0, I32), "300", "Seconds that they are remembered.").inert(TLS),
];
