//! The connections that a simulated node took: what they say, and what they are sent.

use bytes::{Bytes, BytesMut};

use super::dataset::parse_command;
use super::host::{Host, Io, ToMaster};
use super::network::Arrival;
use super::node::{SimContext, SimNode};
use crate::repl::master::driver::Admission;
use crate::repl::replica_input::{ReplicaCommand, parse};
use crate::repl::wire::{DELTA, DIGEST, QUEUE_PLACE};
use crate::repl::{Cursor, Next, Place, Replica, Request, psync};

/// Of 256 reads of the disk, so many fail.
const READ_FAILURES: u8 = 2;

/// Where a peer's next bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    Idle,
    /// The feed of that snapshot, from this position on.
    Feed(u64, u64),
    /// What is left of a dump file.
    File(Bytes),
    Log(Cursor, u64),
}

/// A connection that this node took: a replica, or one that may become one.
#[derive(Debug)]
pub(super) struct Peer {
    connection: u64,
    input: BytesMut,
    capa_eof: bool,
    capa_psync2: bool,
    capa_queue_place: bool,
    capa_digest: bool,
    capa_delta: bool,
    /// It asked to be a replica, at that time, and is not admitted yet.
    asks: Option<(Request, i64)>,
    attached: bool,
    pub(crate) source: Source,
    /// What is being read from disk for it, and when that is through.
    reading: Option<(Place, i64)>,
}

impl Host {
    pub(super) fn peer(&mut self, id: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|p| p.connection == id)
    }

    /// Somebody dialled us.
    pub(super) fn took(&mut self, connection: u64) {
        self.peers.push(Peer {
            connection,
            input: BytesMut::new(),
            capa_eof: false,
            capa_psync2: false,
            capa_queue_place: false,
            capa_digest: false,
            capa_delta: false,
            asks: None,
            attached: false,
            source: Source::Idle,
            reading: None,
        });
    }
}

impl Io<'_, '_> {
    pub(super) fn send_to_peer(&mut self, id: u64, bytes: Bytes) {
        let sim = &mut *self.sim;
        sim.network.send(id, 1, bytes, sim.now_ms, sim.rng);
    }

    /// Ends a connection that this node took; the master's driver is told.
    pub(super) fn close_peer(&mut self, id: u64) {
        self.sim.network.close(id, 1, self.sim.now_ms);
        self.host.peers.retain(|p| p.connection != id);
        for sending in &mut self.host.feeds {
            sending.feed.leave(id);
        }
        let mail = &mut self.host.mail.master;
        mail.push_back(ToMaster::Detached { id });
    }

    /// Sends a peer what comes next, as a SlaveBufferActor does.
    fn send_next(&mut self, id: u64) {
        let most = self.host.bandwidth;
        let Some(at) = self.host.peers.iter().position(|p| p.connection == id) else {
            return;
        };
        let next = match &mut self.host.peers[at].source {
            Source::Idle => return,
            Source::File(left) => {
                let part = left.split_to(most.min(left.len()));
                let is_all = left.is_empty();
                self.send_to_peer(id, part);
                if is_all {
                    self.dump_is_out(at, ToMaster::DumpSent { id });
                }
                return;
            }
            Source::Feed(number, position) => {
                let (number, position) = (*number, *position);
                match self.host.feed(number) {
                    Some(sending) => sending.feed.next(id, position, most),
                    None => Next::Lost,
                }
            }
            Source::Log(cursor, position) => {
                let (cursor, position) = (*cursor, *position);
                self.host.hub.stream().log.next(cursor, position, most)
            }
        };
        match next {
            Next::Wait => {}
            Next::Bytes(bytes, _) => self.send_on(at, bytes),
            Next::Disk(place) => self.read_from_disk(at, place),
            Next::End => {
                if let Source::Feed(number, _) = self.host.peers[at].source {
                    if let Some(sending) = self.host.feed(number) {
                        sending.feed.leave(id);
                    }
                    self.dump_is_out(at, ToMaster::DumpStreamed { id });
                }
            }
            Next::Lost => {
                if let Source::Feed(..) = self.host.peers[at].source {
                    let index = self.host.index;
                    self.sim.violate(index, "a taker's part of a dump is lost");
                }
                // The stream was replaced under it (a full sync of our own).
                self.close_peer(id);
            }
        }
    }

    fn send_on(&mut self, at: usize, bytes: Vec<Bytes>) {
        let peer = &mut self.host.peers[at];
        let id = peer.connection;
        if let Source::Feed(_, position) | Source::Log(_, position) = &mut peer.source {
            *position += bytes.iter().map(|b| b.len() as u64).sum::<u64>();
        }
        for part in bytes {
            self.send_to_peer(id, part);
        }
    }

    /// Reads what is on disk, which takes its time and may fail.
    fn read_from_disk(&mut self, at: usize, place: Place) {
        let now_ms = self.sim.now_ms;
        let delay_ms = self.sim.rng.i64(0..100);
        let peer = &mut self.host.peers[at];
        let (place, due_ms) = *peer.reading.get_or_insert((place, now_ms + delay_ms));
        if now_ms < due_ms {
            return;
        }
        peer.reading = None;
        let id = peer.connection;
        let read = self.host.disk.read(place);
        match read.filter(|_| !self.sim.happens(READ_FAILURES)) {
            Some(bytes) => self.send_on(at, vec![bytes]),
            None => self.close_peer(id),
        }
    }

    fn dump_is_out(&mut self, at: usize, mail: ToMaster) {
        self.host.peers[at].source = Source::Idle;
        self.host.mail.master.push_back(mail);
    }
}

impl SimNode {
    pub(super) fn step_peers(&mut self, sim: &mut SimContext<'_>) {
        let ids: Vec<u64> = self.host.peers.iter().map(|p| p.connection).collect();
        for id in ids {
            while let Some(arrival) = sim.network.receive(id, 1, sim.now_ms) {
                match arrival {
                    Arrival::Bytes(bytes) => self.peer_said(id, &bytes, sim),
                    Arrival::Broken => {
                        self.host.io(sim).close_peer(id);
                        break;
                    }
                }
            }
            self.admit(id, sim);
            self.host.io(sim).send_next(id);
        }
    }

    fn peer_said(&mut self, id: u64, bytes: &[u8], sim: &mut SimContext<'_>) {
        let Some(peer) = self.host.peer(id) else {
            return;
        };
        peer.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut peer.input);
        let mut used = 0;
        while let Some((args, n)) = parse_command(&input[used..]) {
            used += n;
            let attached = self.host.peer(id).is_some_and(|p| p.attached);
            if !attached {
                self.asked(id, &args, sim);
                continue;
            }
            let io = &mut self.host.io(sim);
            match parse(&args) {
                ReplicaCommand::Ack(ack) => {
                    self.master.heard(id, Some(ack.offset), ack.aof_offset, io);
                }
                ReplicaCommand::Ignored => {
                    self.master.heard(id, None, None, io);
                }
                ReplicaCommand::WantsReply => io.close_peer(id),
            }
        }
        if let Some(peer) = self.host.peer(id) {
            peer.input = BytesMut::from(&input[used..]);
        }
    }

    /// What a connection says that is no replica yet.
    fn asked(&mut self, id: u64, args: &[&[u8]], sim: &mut SimContext<'_>) {
        let now_ms = sim.now_ms;
        let Some(peer) = self.host.peer(id) else {
            return;
        };
        let reply: Bytes = match args {
            [b"PING"] => Bytes::from_static(b"+PONG\r\n"),
            [b"REPLCONF", ..] => {
                peer.capa_eof |= args.contains(&b"eof".as_slice());
                peer.capa_psync2 |= args.contains(&b"psync2".as_slice());
                peer.capa_queue_place |= args.contains(&QUEUE_PLACE.as_bytes());
                peer.capa_digest |= args.contains(&DIGEST.as_bytes());
                peer.capa_delta |= args.contains(&DELTA.as_bytes());
                Bytes::from_static(b"+OK\r\n")
            }
            [b"PSYNC" | b"SYNC", ..] => {
                let request = Request::parse(args).unwrap_or(Request::Sync);
                let Some(error) = psync::refusal(&self.host.hub, &request) else {
                    if let Some(peer) = self.host.peer(id) {
                        peer.asks = Some((request, now_ms));
                    }
                    return;
                };
                psync::refusal_line(error).into()
            }
            _ => return,
        };
        self.host.io(sim).send_to_peer(id, reply);
    }

    /// Makes a connection that asks for it a replica, if it may be one now.
    fn admit(&mut self, id: u64, sim: &mut SimContext<'_>) {
        let Some(peer) = self.host.peer(id) else {
            return;
        };
        let Some((request, since_ms)) = peer.asks.clone() else {
            return;
        };
        let replica = Replica {
            announced_ip: sim.network.dialler(id).map(|n| format!("node{n}")),
            listening_port: 7000,
            capa_eof: peer.capa_eof,
            capa_psync2: peer.capa_psync2,
            capa_queue_place: peer.capa_queue_place,
            capa_digest: peer.capa_digest,
            capa_delta: peer.capa_delta,
            ..Replica::arriving(id)
        };
        let io = &mut self.host.io(sim);
        match self.master.admit(&request, since_ms, (id, "sim"), io) {
            Admission::Later => return,
            Admission::Refused(error) => {
                io.send_to_peer(id, psync::refusal_line(error).into());
                io.close_peer(id);
                return;
            }
            Admission::Yes => {}
        }
        if let Some(peer) = io.host.peer(id) {
            peer.asks = None;
            peer.attached = true;
        }
        self.master.attach(replica, &request, io);
    }
}
