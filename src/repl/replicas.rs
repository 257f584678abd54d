//! The table of attached replicas: who they are, how far they are, and what follows from that for WAIT and
//! for min-replicas-to-write.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::log::Cursor;

/// How far a replica's attachment has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplicaState {
    /// Waits for a snapshot to begin.
    WaitSnapshot,
    /// Its snapshot is being made (and, if diskless, sent).
    SnapshotRunning,
    /// A finished dump is being sent.
    SendingBulk,
    /// Has everything up to its cursor and follows.
    Online,
}

impl ReplicaState {
    /// The name in INFO replication.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReplicaState::WaitSnapshot | ReplicaState::SnapshotRunning => "wait_bgsave",
            ReplicaState::SendingBulk => "send_bulk",
            ReplicaState::Online => "online",
        }
    }
}

/// How a replica's full sync is going; shared numbers, so that the sender can count without a lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncProgress {
    /// Which snapshot it takes, by the master's count; 0: none yet.
    pub(crate) snapshot: u64,
    /// That snapshot goes by way of the dump file.
    pub(crate) by_file: bool,
    /// The position at which that snapshot was cut, or, without one, from which the replica resumed.
    pub(crate) cut: u64,
    /// Bytes of the dump that its socket has taken.
    pub(crate) sent: Arc<AtomicU64>,
    /// Bytes of the dump in all; 0: not known yet.
    pub(crate) total: Arc<AtomicU64>,
    /// It has yet to catch up with the stream since its snapshot's cut: the spool holds that for it.
    pub(crate) catching_up: bool,
    /// Its place in the queue for a transfer, from 1 on; 0: it isn't waiting.
    pub(crate) place: usize,
}

/// What a replica wants of a dump, if not all of it (REPLCONF rdb-filter-only): no keys, and with `functions`
/// the function libraries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpFilter {
    pub(crate) functions: bool,
}

/// One attached replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its client's id.
    pub(crate) id: u64,
    /// Where the connection comes from.
    pub(crate) peer_ip: String,
    /// What it announced by REPLCONF ip-address and listening-port.
    pub(crate) announced_ip: Option<String>,
    pub(crate) listening_port: u16,
    /// REPLCONF version, in one line; empty: it didn't say.
    pub(crate) version: String,
    pub(crate) capa_eof: bool,
    pub(crate) capa_psync2: bool,
    /// It understands being told its place in the queue for a transfer (only our own replicas do).
    pub(crate) capa_queue_place: bool,
    /// It can verify itself (only our own replicas can).
    pub(crate) capa_digest: bool,
    /// It holds data, and would rather be sent what differs than everything.
    pub(crate) capa_delta: bool,
    pub(crate) state: ReplicaState,
    /// It came by SYNC: no acks are to be expected of it.
    pub(crate) legacy: bool,
    /// It wants a dump and no stream (REPLCONF rdb-only).
    pub(crate) dump_only: bool,
    /// It doesn't want all of a dump.
    pub(crate) filter: Option<DumpFilter>,
    /// Its place in the log, once it has one.
    pub(crate) cursor: Option<Cursor>,
    /// Bytes of stream it says it has processed, and fsynced to its append-only file.
    pub(crate) ack_offset: u64,
    pub(crate) ack_aof_offset: u64,
    /// When it last acked, Unix ms.
    pub(crate) ack_ms: i64,
    /// How its full sync is going.
    pub(crate) sync: SyncProgress,
    /// Diskless: the stream is held back until its first ack shows that it is done with the dump.
    pub(crate) waits_for_ack: bool,
    /// How long ago the first byte that it has not acked was written, ms; 0: it has acked all.
    pub(crate) lag_ms: u64,
}

/// How the log names a replica: address and, once it has told it, listening port.
pub(crate) fn name_of(ip: &str, listening_port: u16) -> String {
    match listening_port {
        0 => format!("{ip}:<unknown-replica-port>"),
        port => format!("{ip}:{port}"),
    }
}

impl Replica {
    /// One that has just asked for synchronization, and told nothing about itself.
    pub(crate) fn arriving(id: u64) -> Replica {
        Replica {
            id,
            peer_ip: String::new(),
            announced_ip: None,
            listening_port: 0,
            version: String::new(),
            capa_eof: false,
            capa_psync2: false,
            capa_queue_place: false,
            capa_digest: false,
            capa_delta: false,
            state: ReplicaState::WaitSnapshot,
            legacy: false,
            dump_only: false,
            filter: None,
            cursor: None,
            ack_offset: 0,
            ack_aof_offset: 0,
            ack_ms: 0,
            sync: SyncProgress::default(),
            waits_for_ack: false,
            lag_ms: 0,
        }
    }

    /// The address INFO and ROLE show.
    pub(crate) fn ip(&self) -> &str {
        self.announced_ip.as_deref().unwrap_or(&self.peer_ip)
    }

    /// How the log names it.
    pub(crate) fn name(&self) -> String {
        name_of(self.ip(), self.listening_port)
    }

    /// The position up to which it said that it has the stream: by its last ack, or before the first one by
    /// where it began.
    pub(crate) fn position(&self) -> u64 {
        self.ack_offset.max(self.sync.cut)
    }

    /// Bytes of stream between that and `end`.
    pub(crate) fn behind(&self, end: u64) -> u64 {
        end.saturating_sub(self.position())
    }

    /// No ack has shown yet that it has loaded the dump that it was sent.
    pub(crate) fn may_be_loading(&self) -> bool {
        self.waits_for_ack || (self.sync.snapshot != 0 && self.ack_offset < self.sync.cut)
    }

    /// What its full sync is at, in a word, for INFO.
    pub(crate) fn phase(&self) -> &'static str {
        match self.state {
            ReplicaState::WaitSnapshot => "queued",
            ReplicaState::SnapshotRunning if self.sync.by_file => "snapshot",
            ReplicaState::SnapshotRunning | ReplicaState::SendingBulk => "transfer",
            ReplicaState::Online if self.waits_for_ack => "loading",
            ReplicaState::Online if self.sync.catching_up => "catching_up",
            ReplicaState::Online => "online",
        }
    }

    /// Seconds since its last ack.
    pub(crate) fn lag_s(&self, now_ms: i64) -> i64 {
        ((now_ms / 1000) - (self.ack_ms / 1000)).max(0)
    }
}

/// All replicas of a node, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replicas {
    list: Vec<Replica>,
}

impl Replicas {
    pub(crate) fn add(&mut self, replica: Replica) {
        self.list.push(replica);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Replica> {
        let at = self.list.iter().position(|r| r.id == id)?;
        Some(self.list.remove(at))
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Replica> {
        self.list.iter().find(|r| r.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Replica> {
        self.list.iter_mut().find(|r| r.id == id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Replica> {
        self.list.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Replica> {
        self.list.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes an ack in; offsets never go back. True if the replica is known.
    pub(crate) fn ack(
        &mut self,
        id: u64,
        offset: u64,
        aof_offset: Option<u64>,
        now_ms: i64,
    ) -> bool {
        let Some(replica) = self.get_mut(id) else {
            return false;
        };
        replica.ack_offset = replica.ack_offset.max(offset);
        if let Some(aof) = aof_offset {
            replica.ack_aof_offset = replica.ack_aof_offset.max(aof);
        }
        replica.ack_ms = now_ms;
        true
    }

    /// How many online replicas have processed `offset` bytes (WAIT).
    pub(crate) fn acked(&self, offset: u64) -> usize {
        self.online().filter(|r| r.ack_offset >= offset).count()
    }

    /// How many online replicas have `offset` bytes in their append-only file (WAITAOF).
    pub(crate) fn acked_aof(&self, offset: u64) -> usize {
        self.online().filter(|r| r.ack_aof_offset >= offset).count()
    }

    pub(crate) fn online(&self) -> impl Iterator<Item = &Replica> {
        self.list.iter().filter(|r| r.state == ReplicaState::Online)
    }

    /// Online replicas whose last ack is at most `max_lag_s` seconds old.
    pub(crate) fn good(&self, max_lag_s: i64, now_ms: i64) -> usize {
        self.online()
            .filter(|r| r.lag_s(now_ms) <= max_lag_s)
            .count()
    }
}

/// A client class's output buffer limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Bytes; 0: none.
    pub(crate) hard: u64,
    pub(crate) soft: u64,
    /// How long `soft` may be exceeded, seconds.
    pub(crate) soft_s: u64,
}

/// Watches one replica's backlog of unsent bytes against the limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LimitWatch {
    soft_since_ms: Option<i64>,
    /// It is being closed; not to be said again before the next tick.
    pub(crate) closing: bool,
}

impl LimitWatch {
    /// True if the replica must be closed. As in Redis, a limit below the backlog's size counts as the
    /// backlog's size: those bytes are held anyway.
    pub(crate) fn exceeded(
        &mut self,
        unsent: u64,
        limit: OutputLimit,
        backlog: u64,
        now_ms: i64,
    ) -> bool {
        let raise = |bytes: u64| if bytes > 0 { bytes.max(backlog) } else { 0 };
        let (hard, soft) = (raise(limit.hard), raise(limit.soft));
        if hard > 0 && unsent >= hard {
            return true;
        }
        if soft == 0 || unsent < soft {
            self.soft_since_ms = None;
            return false;
        }
        let since = *self.soft_since_ms.get_or_insert(now_ms);
        (now_ms - since) / 1000 > limit.soft_s as i64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn replica(id: u64, state: ReplicaState) -> Replica {
        Replica {
            peer_ip: "10.0.0.1".into(),
            listening_port: 6380,
            capa_eof: true,
            capa_psync2: true,
            state,
            ..Replica::arriving(id)
        }
    }

    #[test]
    fn acks_count_online_replicas_and_never_go_back() {
        let mut table = Replicas::default();
        table.add(replica(1, ReplicaState::Online));
        table.add(replica(2, ReplicaState::Online));
        table.add(replica(3, ReplicaState::WaitSnapshot));
        assert!(table.ack(1, 100, None, 5000));
        assert!(table.ack(1, 90, Some(80), 6000));
        assert!(table.ack(3, 100, None, 6000));
        assert!(!table.ack(9, 100, None, 6000));
        assert_eq!(
            (table.acked(100), table.acked(101), table.acked(0)),
            (1, 0, 2)
        );
        assert_eq!((table.acked_aof(80), table.acked_aof(81)), (1, 0));
        assert_eq!(table.good(10, 16_999), 1);
        assert_eq!(table.good(10, 17_000), 0);
    }

    #[test]
    fn limits_below_the_backlog_are_raised_to_it() {
        let limit = OutputLimit {
            hard: 100,
            soft: 50,
            soft_s: 10,
        };
        let mut watch = LimitWatch::default();
        assert!(!watch.exceeded(999, limit, 1000, 0));
        assert!(watch.exceeded(1000, limit, 1000, 0));
        assert!(!LimitWatch::default().exceeded(u64::MAX, OutputLimit::default(), 0, 0));
    }

    #[test]
    fn the_soft_limit_must_hold_for_its_time() {
        let limit = OutputLimit {
            hard: 0,
            soft: 50,
            soft_s: 10,
        };
        let mut watch = LimitWatch::default();
        assert!(!watch.exceeded(60, limit, 0, 1000));
        assert!(!watch.exceeded(60, limit, 0, 11_000));
        assert!(!watch.exceeded(10, limit, 0, 11_500));
        assert!(!watch.exceeded(60, limit, 0, 12_000));
        assert!(watch.exceeded(60, limit, 0, 23_000));
    }
}
