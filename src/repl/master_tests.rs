//! The master's decisions over time.

use super::*;
use crate::clock::ManualClock;
use crate::repl::History;
use crate::repl::hub::StreamCut;
use crate::repl::replicas::DumpFilter;
use crate::repl::replicas::tests::replica;

struct Bench {
    master: Master,
    stream: Stream,
    replicas: Replicas,
    settings: MasterSettings,
    clock: std::sync::Arc<ManualClock>,
    now_ms: i64,
    is_replica: bool,
    feed_is_open: bool,
    explain: Explain,
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
            feed_is_open: true,
            explain: Explain::default(),
        }
    }

    fn run<R>(
        &mut self,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<MasterAction>) -> R,
    ) -> (R, Vec<MasterAction>) {
        let mut out = Vec::new();
        let mut env = MasterEnv {
            now_ms: self.now_ms,
            stream: &mut self.stream,
            replicas: &mut self.replicas,
            settings: &self.settings,
            clock: &*self.clock,
            is_replica: self.is_replica,
            feed_is_open: self.feed_is_open,
            explain: &mut self.explain,
        };
        let result = f(&mut self.master, &mut env, &mut out);
        (result, out)
    }

    fn attach(&mut self, id: u64, request: &str) -> Vec<MasterAction> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let request = Request::parse(&args).unwrap();
        let (result, out) =
            self.run(|m, e, o| m.attach(e, replica(id, ReplicaState::WaitSnapshot), &request, o));
        result.unwrap();
        out
    }

    /// The snapshot is cut, now.
    fn cut(&mut self) -> StreamCut {
        let offset = self.stream.log.end();
        self.stream.database = None;
        StreamCut {
            id: self.stream.history.id,
            offset,
            database: Some(0),
            diverged: None,
            pin: self.stream.log.attach_spillable(offset).ok(),
        }
    }

    fn started(&mut self) -> Vec<MasterAction> {
        let cut = self.cut();
        self.run(|m, e, o| m.snapshot_started(e, cut, o)).1
    }

    fn tick(&mut self, ms: i64) -> Vec<MasterAction> {
        self.now_ms += ms;
        self.run(|m, e, o| m.tick(e, o)).1
    }
}

fn sends(actions: &[MasterAction]) -> Vec<(u64, String)> {
    actions
        .iter()
        .filter_map(|o| match o {
            MasterAction::Send { id, bytes } | MasterAction::SendFeed { id, line: bytes } => {
                Some((*id, String::from_utf8(bytes.clone()).unwrap()))
            }
            _ => None,
        })
        .collect()
}

fn is_fed(actions: &[MasterAction], replica: u64) -> bool {
    let fed = |o: &MasterAction| matches!(o, MasterAction::SendFeed { id, .. } if *id == replica);
    actions.iter().any(fed)
}

/// One that does not understand a marked end takes a dump from the disk, and not one after the other for ever.
#[test]
fn a_replica_without_marked_ends_takes_the_dump_that_is_made_for_it() {
    let mut b = Bench::new();
    let request = Request::parse(&[b"PSYNC", b"?", b"-1"]).unwrap();
    let plain = Replica {
        capa_eof: false,
        ..replica(1, ReplicaState::WaitSnapshot)
    };
    let (_, actions) = b.run(|m, e, o| m.attach(e, plain, &request, o));
    let made = MasterAction::StartSnapshot {
        number: 1,
        target: Target::Disk,
    };
    assert!(actions.contains(&made), "{actions:?}");
    let actions = b.started();
    assert!(
        sends(&actions)[0].1.starts_with("+FULLRESYNC "),
        "{actions:?}"
    );
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(actions, [MasterAction::SendDump { id: 1 }]);
}

/// The feed closes between the decision and the join: nobody is thrown out for it.
#[test]
fn who_loses_the_race_for_a_feed_waits_for_the_next_snapshot() {
    for made in [false, true] {
        let mut b = Bench::new();
        b.settings.diskless_delay_ms = 0;
        b.attach(1, "PSYNC ? -1");
        b.started();
        if made {
            b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
        }
        assert!(is_fed(&b.attach(2, "PSYNC ? -1"), 2));
        b.feed_is_open = false;
        let (_, actions) = b.run(|m, e, o| m.join_failed(e, 2, o));
        let waits = b.replicas.get(2).unwrap();
        assert_eq!(waits.state, ReplicaState::WaitSnapshot);
        assert!(waits.cursor.is_none());
        let actions = match made {
            true => actions,
            // The first one's snapshot is still being made, and ends first.
            false => {
                assert_eq!(actions, []);
                b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o)).1
            }
        };
        assert!(actions.contains(&MasterAction::StartSnapshot {
            number: 2,
            target: Target::Sockets
        }));
        b.feed_is_open = true;
        assert!(is_fed(&b.started(), 2));
        for id in [1, 2] {
            b.run(|m, e, o| m.dump_streamed(e, id, o));
            b.run(|m, e, o| m.detached(e, id, o));
        }
        b.tick(60_000);
        assert!(b.master.snapshot.is_none());
        assert_eq!(b.stream.log.cursors(), 0);
    }
}

#[test]
fn those_who_come_during_the_delay_share_a_snapshot() {
    let mut b = Bench::new();
    assert_eq!(b.attach(1, "PSYNC ? -1"), []);
    assert!(b.stream.active);
    let actions = b.tick(1000);
    assert_eq!(sends(&actions), [(1, "\n".into())]);
    assert_eq!(b.attach(2, "PSYNC ? -1"), []);
    b.tick(3900);
    let actions = b.tick(100);
    assert!(actions.contains(&MasterAction::StartSnapshot {
        number: b.master.snapshots,
        target: Target::Sockets
    }));
    b.stream.append_raw(b"before the cut");
    let actions = b.started();
    let line = format!("+FULLRESYNC {} 14\r\n", b.stream.history.id);
    assert_eq!(sends(&actions), [(1, line.clone()), (2, line)]);
    b.stream.append_raw(b"after");
    // Others join it while it is made, and when it is finished.
    let line = format!("+FULLRESYNC {} 14\r\n", b.stream.history.id);
    let actions = b.attach(3, "PSYNC ? -1");
    assert_eq!(sends(&actions), [(3, line.clone())]);
    assert!(matches!(
        actions[..],
        [MasterAction::SendFeed { id: 3, .. }]
    ));
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(actions, []);
    let actions = b.attach(4, "PSYNC ? -1");
    assert_eq!(sends(&actions), [(4, line)]);
    let cursor = b.replicas.get(4).unwrap().cursor.unwrap();
    assert_eq!(b.stream.log.position(cursor), Some(14));
    assert_eq!(b.replicas.online().count(), 0);
    for id in 1..=4 {
        b.run(|m, e, o| m.dump_streamed(e, id, o));
    }
    assert_eq!(b.replicas.online().count(), 4);
    let (_, actions) = b.run(|m, e, o| m.acked(e, 1, 14, None, o));
    assert_eq!(actions, [MasterAction::Follow { id: 1 }]);
    let (_, actions) = b.run(|m, e, o| m.acked(e, 1, 14, None, o));
    assert_eq!(actions, []);
    let actions = b.tick(5000);
    assert!(actions.contains(&MasterAction::CloseFeed));
    // Those cursors are the replicas' own.
    assert_eq!(b.stream.log.cursors(), 4);
    // One that comes later than that needs another.
    assert_eq!(b.attach(5, "PSYNC ? -1"), []);
    let actions = b.tick(5000);
    assert!(actions.contains(&MasterAction::StartSnapshot {
        number: b.master.snapshots,
        target: Target::Sockets
    }));
}

#[test]
fn transfers_queue_up_for_the_same_snapshot() {
    let mut b = Bench::new();
    b.settings.transfers_max = 1;
    b.settings.diskless_delay_ms = 0;
    b.attach(1, "PSYNC ? -1");
    b.attach(2, "PSYNC ? -1");
    b.attach(3, "PSYNC ? -1");
    assert!(matches!(
        b.started()[..],
        [MasterAction::SendFeed { id: 1, .. }]
    ));
    let places = [1, 2, 3].map(|id| b.replicas.get(id).unwrap().sync.place);
    assert_eq!(places, [0, 1, 2]);
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(actions, []);
    // It is kept past its time for those who are in the queue.
    let actions = b.tick(50_000);
    assert_eq!(sends(&actions), [(2, "\n".into()), (3, "\n".into())]);
    // A replica that understands it is told its place.
    b.replicas.get_mut(3).unwrap().capa_queue_place = true;
    let actions = b.tick(1000);
    assert_eq!(
        sends(&actions),
        [(2, "\n".into()), (3, "+QUEUED 2\r\n".into())]
    );
    assert!(b.master.snapshot_kept());
    let (_, actions) = b.run(|m, e, o| m.dump_streamed(e, 1, o));
    assert!(is_fed(&actions, 2));
    // One that leaves lets the next one in.
    let (_, actions) = b.run(|m, e, o| m.detached(e, 2, o));
    assert!(is_fed(&actions, 3));
    b.tick(100);
    assert!(!b.master.snapshot_kept());
    let (_, actions) = b.run(|m, e, o| m.dump_streamed(e, 3, o));
    assert_eq!(actions, []);
}

#[test]
fn a_snapshot_is_not_kept_when_its_bytes_or_its_history_are_gone() {
    for closed in [true, false] {
        let mut b = Bench::new();
        b.settings.diskless_delay_ms = 0;
        b.attach(1, "PSYNC ? -1");
        b.started();
        b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
        b.run(|m, e, o| m.dump_streamed(e, 1, o));
        assert!(b.master.snapshot_kept());
        if closed {
            b.feed_is_open = false;
        } else {
            b.stream.history.restart(ReplId::random(&*b.clock));
        }
        assert!(b.tick(100).contains(&MasterAction::CloseFeed));
        let actions = b.attach(2, "PSYNC ? -1");
        assert!(actions.contains(&MasterAction::StartSnapshot {
            number: b.master.snapshots,
            target: Target::Sockets
        }));
    }
}

#[test]
fn what_is_spooled_does_not_count_against_the_output_limit() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.settings.limit = OutputLimit {
        hard: 4 << 20,
        soft: 0,
        soft_s: 0,
    };
    b.stream.log.spool().configure(2 << 20, 0);
    b.attach(1, "PSYNC ? -1");
    b.started();
    b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    b.run(|m, e, o| m.dump_streamed(e, 1, o));
    let closed = |actions: &[MasterAction]| actions.contains(&MasterAction::Close { id: 1 });
    // A disk that works: the replica may be as slow as it likes.
    for _ in 0..20 {
        b.stream.append_raw(&vec![b'x'; 1 << 20]);
        while let Some(spill) = b.stream.log.spill(1 << 20) {
            b.stream.log.spilled(spill.segment, true);
        }
        let actions = b.tick(100);
        assert!(!closed(&actions));
        b.run(|m, e, _| {
            let _ = m;
            e.replicas.ack(1, 0, None, e.now_ms)
        });
    }
    // One that fails: what is in memory counts, beyond what the spool may have there.
    b.stream.log.spool().refuse("the disk is full".into());
    b.stream.append_raw(&vec![b'x'; 3 << 20]);
    assert!(!closed(&b.tick(100)));
    b.stream.append_raw(&vec![b'x'; 2 << 20]);
    assert!(closed(&b.tick(100)));
}

#[test]
fn who_has_caught_up_is_under_the_output_limit() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.settings.limit.hard = 4 << 20;
    b.stream.log.spool().configure(64 << 20, 0);
    b.attach(1, "PSYNC ? -1");
    b.started();
    b.stream.append_raw(&vec![b'x'; 5 << 20]);
    b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    b.run(|m, e, o| m.dump_streamed(e, 1, o));
    b.run(|m, e, o| m.acked(e, 1, 0, None, o));
    b.tick(100);
    assert!(b.replicas.get(1).unwrap().sync.catching_up);
    let (cursor, end) = (
        b.replicas.get(1).unwrap().cursor.unwrap(),
        b.stream.log.end(),
    );
    b.stream.log.advance(cursor, end);
    b.tick(100);
    assert!(!b.replicas.get(1).unwrap().sync.catching_up);
    b.stream.append_raw(&vec![b'x'; 5 << 20]);
    let (_, actions) = b.run(|m, e, o| m.check_limits(e, o));
    assert_eq!(actions, [MasterAction::Close { id: 1 }]);
    let (_, actions) = b.run(|m, e, o| m.check_limits(e, o));
    assert_eq!(actions, []);
    assert_eq!(b.tick(100), [MasterAction::Close { id: 1 }]);
}

#[test]
fn a_dump_on_disk_takes_late_comers_in() {
    let mut b = Bench::new();
    b.settings.diskless = false;
    assert_eq!(
        b.attach(1, "SYNC"),
        [MasterAction::StartSnapshot {
            number: b.master.snapshots,
            target: Target::Disk
        }]
    );
    // SYNC gets no line.
    assert_eq!(b.started(), []);
    b.stream.append_raw(b"abc");
    let actions = b.attach(2, "PSYNC ? -1");
    assert_eq!(
        sends(&actions),
        [(2, format!("+FULLRESYNC {} 0\r\n", b.stream.history.id))]
    );
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Ok(()), o));
    assert_eq!(
        actions,
        [
            MasterAction::SendDump { id: 1 },
            MasterAction::SendDump { id: 2 }
        ]
    );
    let (_, actions) = b.run(|m, e, o| m.dump_sent(e, 2, o));
    assert_eq!(actions, [MasterAction::Follow { id: 2 }]);
    let cursor = b.replicas.get(2).unwrap().cursor.unwrap();
    assert_eq!(b.stream.log.position(cursor), Some(0));
}

#[test]
fn a_failed_snapshot_closes_those_who_waited_for_it() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    assert_eq!(
        b.attach(1, "PSYNC ? -1"),
        [MasterAction::StartSnapshot {
            number: b.master.snapshots,
            target: Target::Sockets
        }]
    );
    b.started();
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Err("disk full"), o));
    assert_eq!(
        actions,
        [MasterAction::Close { id: 1 }, MasterAction::CloseFeed]
    );
    b.run(|m, e, o| m.detached(e, 1, o));
    assert_eq!(b.stream.log.cursors(), 0);
    // A replica that has been sent no byte of a dump yet can be told why.
    b.settings.diskless = false;
    b.attach(2, "PSYNC ? -1");
    b.started();
    let (_, actions) = b.run(|m, e, o| m.snapshot_ended(e, Err("disk\r\nfull"), o));
    let error = "-ERR BGSAVE failed, replication can't continue: disk\\r\\nfull\r\n".to_owned();
    assert_eq!(actions, [MasterAction::GiveUp { id: 2, error }]);
}

#[test]
fn an_unwanted_socket_snapshot_is_aborted() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.attach(1, "PSYNC ? -1");
    b.started();
    let (_, actions) = b.run(|m, e, o| m.detached(e, 1, o));
    assert_eq!(actions, [MasterAction::AbortSnapshot { number: 1 }]);
    assert_eq!(b.stream.log.cursors(), 0);
    // So does one whose takers all left before the cut.
    b.attach(2, "PSYNC ? -1");
    let (_, actions) = b.run(|m, e, o| m.detached(e, 2, o));
    assert_eq!(actions, []);
    assert_eq!(b.started(), [MasterAction::AbortSnapshot { number: 2 }]);
    assert_eq!(b.stream.log.cursors(), 0);
}

#[test]
fn a_snapshot_of_another_history_serves_nobody() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.attach(1, "PSYNC ? -1");
    let cut = b.cut();
    let id = ReplId::random(&*b.clock);
    b.stream.adopt(History::new(id), cut.offset, Some(0));
    let (_, actions) = b.run(|m, e, o| m.snapshot_started(e, cut, o));
    // It would have been given out as a state of the new history, at the same offset.
    assert_eq!(sends(&actions), []);
    assert!(actions.contains(&MasterAction::AbortSnapshot { number: 1 }));
    let number = 2;
    let target = Target::Sockets;
    assert!(actions.contains(&MasterAction::StartSnapshot { number, target }));
}

#[test]
fn a_dump_that_nobody_waits_for_is_given_up_unless_it_is_a_save() {
    for saves in [false, true] {
        let mut b = Bench::new();
        b.settings.diskless = false;
        b.settings.saves = saves;
        b.attach(1, "PSYNC ? -1");
        b.attach(2, "PSYNC ? -1");
        b.started();
        let (_, actions) = b.run(|m, e, o| m.detached(e, 1, o));
        assert_eq!(actions, []);
        let (_, actions) = b.run(|m, e, o| m.detached(e, 2, o));
        let expected: &[MasterAction] = if saves {
            &[]
        } else {
            &[MasterAction::AbortSnapshot { number: 1 }]
        };
        assert_eq!(actions, expected);
        assert_eq!(b.stream.log.cursors(), usize::from(saves));
    }
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
            MasterAction::Send {
                id: 1,
                bytes: format!("+CONTINUE {id}\r\n").into_bytes()
            },
            MasterAction::Follow { id: 1 },
        ]
    );
    let cursor = b.replicas.get(1).unwrap().cursor.unwrap();
    assert_eq!(b.stream.log.position(cursor), Some(4));
    assert_eq!(b.master.counts.partial_ok, 1);
    // What it has is known before its first ack.
    assert_eq!(b.replicas.get(1).unwrap().behind(10), 6);
}

#[test]
fn silence_limits_and_pings() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    let id = b.stream.history.id;
    b.attach(1, &format!("PSYNC {id} 1"));
    assert_eq!(b.tick(10_000), []);
    assert_eq!(b.stream.log.end(), wire::PING.len() as u64);
    assert_eq!(b.tick(51_000), [MasterAction::Close { id: 1 }]);
    b.run(|m, e, o| m.detached(e, 1, o));

    b.settings.limit.hard = 2 << 20;
    let end = b.stream.log.end() + 1;
    b.attach(2, &format!("PSYNC {id} {end}"));
    b.stream.append_raw(&vec![b'x'; 2 << 20]);
    assert_eq!(b.tick(100), [MasterAction::Close { id: 2 }]);
    b.run(|m, e, o| m.detached(e, 2, o));

    // When it is back, it is told why it had to go.
    b.attach(3, &format!("PSYNC {id} 1"));
    let resync = b.explain.resyncs().next().unwrap();
    assert!(
        resync.reason.contains("is before the backlog by")
            && resync
                .reason
                .ends_with("it overcame its output buffer limit"),
        "{}",
        resync.reason
    );
}

#[test]
fn lag_is_the_age_of_the_oldest_byte_not_acked() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    let id = b.stream.history.id;
    b.attach(1, &format!("PSYNC {id} 1"));
    b.tick(100);
    b.stream.append_raw(b"0123456789");
    b.tick(100);
    let lag = |b: &Bench| b.replicas.get(1).unwrap().lag_ms;
    b.now_ms += 50;
    b.run(|m, e, o| m.acked(e, 1, 4, None, o));
    assert_eq!(lag(&b), 50);
    // As its last ack said, until it falls silent.
    b.tick(1000);
    assert_eq!(lag(&b), 50);
    b.tick(1000);
    assert_eq!(lag(&b), 2050);
    b.run(|m, e, o| m.acked(e, 1, 10, None, o));
    assert_eq!(lag(&b), 0);
}

#[test]
fn nothing_but_data_is_added_while_a_failover_waits() {
    let mut b = Bench::new();
    b.stream.open_backlog(ReplId::random(&*b.clock));
    let id = b.stream.history.id;
    b.attach(1, &format!("PSYNC {id} 1"));
    b.stream.quiet = true;
    b.tick(10_000);
    assert_eq!(b.stream.log.end(), 0);
    b.stream.quiet = false;
    b.tick(10_000);
    assert_eq!(b.stream.log.end(), wire::PING.len() as u64);
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

#[test]
fn what_is_held_for_a_full_sync_serves_partial_resyncs_too() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 0;
    b.attach(1, "PSYNC ? -1");
    b.started();
    // Far more than the backlog, held for the first replica's catching up.
    b.stream.append_raw(&vec![b'x'; 5 << 20]);
    let request = format!("PSYNC {} 101", b.stream.history.id);
    let actions = b.attach(2, &request);
    assert!(
        actions.contains(&MasterAction::Follow { id: 2 }),
        "{actions:?}"
    );
    assert!(b.replicas.get(2).unwrap().sync.catching_up);
    // What is in the backlog proper may be pinned.
    let request = format!("PSYNC {} {}", b.stream.history.id, b.stream.log.end() - 9);
    b.attach(3, &request);
    assert!(!b.replicas.get(3).unwrap().sync.catching_up);
}

#[test]
fn who_wants_no_keys_gets_a_dump_of_its_own_at_once() {
    let mut b = Bench::new();
    b.settings.diskless_delay_ms = 5000;
    let filter = DumpFilter { functions: true };
    let filtered = Replica {
        filter: Some(filter),
        ..replica(1, ReplicaState::WaitSnapshot)
    };
    let (result, actions) = b.run(|m, e, o| m.attach(e, filtered, &Request::Sync, o));
    result.unwrap();
    let [MasterAction::SendFiltered { id: 1, dump }] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!((dump.filter, dump.offset), (filter, b.stream.log.end()));
    assert_eq!(dump.history, b.stream.history.id);
    assert_eq!(b.stream.database, None, "SELECT comes before what follows");
    // Nobody else waits for it, nor it for anybody.
    assert!(b.master.snapshot_running().is_none());
    b.run(|m, e, o| m.dump_streamed(e, 1, o));
    assert_eq!(b.replicas.get(1).unwrap().state, ReplicaState::Online);
    b.run(|m, e, o| m.detached(e, 1, o));
    assert_eq!(b.stream.log.cursors(), 0);
}
