//! The master's decisions over time.

use super::*;
use crate::clock::ManualClock;
use crate::repl::replicas::tests::replica;

struct Bench {
    master: Master,
    stream: Stream,
    replicas: Replicas,
    settings: MasterSettings,
    clock: std::sync::Arc<ManualClock>,
    now_ms: i64,
    is_replica: bool,
}

impl Bench {
    fn new() -> Bench {
        let clock = ManualClock::new(0, 3);
        Bench {
            master: Master::default(),
            stream: Stream::new(ReplId::random(&*clock), 1 << 20),
            replicas: Replicas::default(),
            settings: MasterSettings::default(),
            clock,
            now_ms: 0,
            is_replica: false,
        }
    }

    fn run<R>(
        &mut self,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<Order>) -> R,
    ) -> (R, Vec<Order>) {
        let mut out = Vec::new();
        let mut env = MasterEnv {
            now_ms: self.now_ms,
            stream: &mut self.stream,
            replicas: &mut self.replicas,
            settings: &self.settings,
            clock: &*self.clock,
            is_replica: self.is_replica,
            link_up: false,
        };
        let result = f(&mut self.master, &mut env, &mut out);
        (result, out)
    }

    fn attach(&mut self, id: u64, request: &str) -> Vec<Order> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let request = Request::parse(&args).unwrap();
        let (result, out) =
            self.run(|m, e, o| m.attach(e, replica(id, ReplicaState::WaitSnapshot), &request, o));
        result.unwrap();
        out
    }

    fn started(&mut self) -> Vec<Order> {
        let offset = self.stream.log.end();
        let pin = self.stream.log.attach(offset).unwrap();
        self.stream.database = None;
        self.run(|m, e, o| m.snapshot_started(e, offset, pin, o)).1
    }

    fn tick(&mut self, ms: i64) -> Vec<Order> {
        self.now_ms += ms;
        self.run(|m, e, o| m.tick(e, o)).1
    }
}

fn sends(orders: &[Order]) -> Vec<(u64, String)> {
    orders
        .iter()
        .filter_map(|o| match o {
            Order::Send { id, bytes } => Some((*id, String::from_utf8(bytes.clone()).unwrap())),
            _ => None,
        })
        .collect()
}

#[test]
fn those_who_come_during_the_delay_share_a_snapshot() {
    let mut b = Bench::new();
    assert_eq!(b.attach(1, "PSYNC ? -1"), []);
    assert!(b.stream.active);
    let orders = b.tick(1000);
    assert_eq!(sends(&orders), [(1, "\n".into())]);
    assert_eq!(b.attach(2, "PSYNC ? -1"), []);
    b.tick(3900);
    let orders = b.tick(100);
    assert!(orders.contains(&Order::StartSnapshot {
        target: Target::Sockets
    }));
    b.stream.append_raw(b"before the cut");
    let orders = b.started();
    let line = format!("+FULLRESYNC {} 14\r\n", b.stream.history.id);
    assert_eq!(sends(&orders), [(1, line.clone()), (2, line)]);
    // A third is too late for a snapshot that goes straight to sockets.
    assert_eq!(b.attach(3, "PSYNC ? -1"), []);
    b.stream.append_raw(b"after");
    let (_, orders) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(orders, []);
    assert_eq!(b.replicas.online().count(), 2);
    let (_, orders) = b.run(|m, e, o| m.acked(e, 1, 14, None, o));
    assert_eq!(orders, [Order::Follow { id: 1 }]);
    let (_, orders) = b.run(|m, e, o| m.acked(e, 1, 14, None, o));
    assert_eq!(orders, []);
    let orders = b.tick(5000);
    assert!(orders.contains(&Order::StartSnapshot {
        target: Target::Sockets
    }));
}

#[test]
fn a_dump_on_disk_takes_late_comers_in() {
    let mut b = Bench::new();
    b.settings.diskless = false;
    assert_eq!(
        b.attach(1, "SYNC"),
        [Order::StartSnapshot {
            target: Target::Disk
        }]
    );
    // SYNC gets no line.
    assert_eq!(b.started(), []);
    b.stream.append_raw(b"abc");
    let orders = b.attach(2, "PSYNC ? -1");
    assert_eq!(
        sends(&orders),
        [(2, format!("+FULLRESYNC {} 0\r\n", b.stream.history.id))]
    );
    let (_, orders) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(
        orders,
        [Order::SendDump { id: 1 }, Order::SendDump { id: 2 }]
    );
    let (_, orders) = b.run(|m, e, o| m.dump_sent(e, 2, o));
    assert_eq!(orders, [Order::Follow { id: 2 }]);
    let cursor = b.replicas.get(2).unwrap().cursor.unwrap();
    assert_eq!(b.stream.log.position(cursor), Some(0));
}

#[test]
fn a_failed_snapshot_closes_those_who_waited_for_it() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    assert_eq!(
        b.attach(1, "PSYNC ? -1"),
        [Order::StartSnapshot {
            target: Target::Sockets
        }]
    );
    b.started();
    let (_, orders) = b.run(|m, e, o| m.snapshot_ended(e, Err("disk full"), o));
    assert_eq!(orders, [Order::Close { id: 1 }]);
    b.run(|m, e, o| m.detached(e, 1, o));
    assert_eq!(b.stream.log.cursors(), 0);
}

#[test]
fn an_unwanted_socket_snapshot_is_aborted() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.attach(1, "PSYNC ? -1");
    b.started();
    let (_, orders) = b.run(|m, e, o| m.detached(e, 1, o));
    assert_eq!(orders, [Order::AbortSnapshot]);
    assert_eq!(b.stream.log.cursors(), 0);
    // So does one whose takers all left before the cut.
    b.attach(2, "PSYNC ? -1");
    let (_, orders) = b.run(|m, e, o| m.detached(e, 2, o));
    assert_eq!(orders, []);
    assert_eq!(b.started(), [Order::AbortSnapshot]);
    assert_eq!(b.stream.log.cursors(), 0);
}

#[test]
fn a_continuation_follows_from_its_place() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    b.stream.append_raw(b"0123456789");
    let id = b.stream.history.id;
    assert_eq!(
        b.attach(1, &format!("PSYNC {id} 5")),
        [
            Order::Send {
                id: 1,
                bytes: format!("+CONTINUE {id}\r\n").into_bytes()
            },
            Order::Follow { id: 1 },
        ]
    );
    let cursor = b.replicas.get(1).unwrap().cursor.unwrap();
    assert_eq!(b.stream.log.position(cursor), Some(4));
    assert_eq!(b.master.counts.partial_ok, 1);
}

#[test]
fn a_replica_without_its_master_refuses() {
    let mut b = Bench::new();
    b.is_replica = true;
    let (result, _) =
        b.run(|m, e, o| m.attach(e, replica(1, ReplicaState::WaitSnapshot), &Request::Sync, o));
    assert!(result.unwrap_err().starts_with("-NOMASTERLINK"));
    assert!(b.replicas.is_empty());
}

#[test]
fn silence_limits_and_pings() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    let id = b.stream.history.id;
    b.attach(1, &format!("PSYNC {id} 1"));
    assert_eq!(b.tick(10_000), []);
    assert_eq!(b.stream.log.end(), wire::PING.len() as u64);
    assert_eq!(b.tick(51_000), [Order::Close { id: 1 }]);
    b.run(|m, e, o| m.detached(e, 1, o));

    b.settings.limit.hard = 2 << 20;
    let end = b.stream.log.end() + 1;
    b.attach(2, &format!("PSYNC {id} {end}"));
    b.stream.append_raw(&vec![b'x'; 2 << 20]);
    assert_eq!(b.tick(100), [Order::Close { id: 2 }]);
}

#[test]
fn a_backlog_nobody_wants_is_freed_and_its_id_retired() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    let before = b.stream.history.id;
    b.settings.backlog_ttl_ms = 1000;
    b.tick(1001);
    assert!(!b.stream.active);
    assert_ne!(b.stream.history.id, before);
}
