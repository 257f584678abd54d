//! The connections that a simulated node took: what they say, and what they are sent.

use bytes::{Bytes, BytesMut};

use super::dataset::parse_command;
use super::network::Arrival;
use super::node::{Around, SimNode};
use crate::repl::wire::QUEUE_PLACE;
use crate::repl::{Order, Replica, Request};

/// A connection that this node took: a replica, or one that may become one.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: u64,
    pub(super) input: BytesMut,
    pub(super) capa_eof: bool,
    pub(super) capa_psync2: bool,
    pub(super) capa_queue_place: bool,
    pub(super) attached: bool,
    pub(super) following: bool,
}

impl SimNode {
    pub(super) fn step_peers(&mut self, around: &mut Around<'_>) {
        let ids: Vec<u64> = self.peers.iter().map(|p| p.connection).collect();
        for id in ids {
            while let Some(arrival) = around.network.receive(id, 1, around.now_ms) {
                match arrival {
                    Arrival::Bytes(bytes) => self.peer_said(id, &bytes, around),
                    Arrival::Broken => {
                        around.network.close(id, 1, around.now_ms);
                        self.peer_gone(id);
                        self.with_master(around, |m, e, o| m.detached(e, id, o));
                        break;
                    }
                }
            }
            self.forward(id, around);
        }
    }

    /// Sends a follower the next bytes of the log.
    fn forward(&mut self, id: u64, around: &mut Around<'_>) {
        let following = self.peers.iter().any(|p| p.connection == id && p.following);
        let Some(cursor) = self
            .replicas
            .get(id)
            .filter(|_| following)
            .and_then(|r| r.cursor)
        else {
            return;
        };
        let Some(position) = self.stream.log.position(cursor) else {
            return;
        };
        match self
            .disk
            .read(&mut self.stream.log, position, self.bandwidth)
        {
            Some((slices, next)) => {
                for slice in slices {
                    around.network.send(id, 1, slice, around.now_ms, around.rng);
                }
                self.stream.log.advance(cursor, next);
            }
            None => self.obey(Order::Close { id }, around),
        }
    }

    fn peer_said(&mut self, id: u64, bytes: &[u8], around: &mut Around<'_>) {
        let Some(peer) = self.peers.iter_mut().find(|p| p.connection == id) else {
            return;
        };
        peer.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut peer.input);
        let mut at = 0;
        let mut reply = Vec::new();
        let mut ask = None;
        let mut ack = None;
        while let Some((args, n)) = parse_command(&input[at..]) {
            at += n;
            match args[..] {
                [b"PING"] => reply.extend_from_slice(b"+PONG\r\n"),
                [b"REPLCONF", b"ACK", offset] => {
                    ack = std::str::from_utf8(offset)
                        .ok()
                        .and_then(|t| t.parse().ok());
                }
                [b"REPLCONF", ..] => {
                    peer.capa_eof |= args.contains(&b"eof".as_slice());
                    peer.capa_psync2 |= args.contains(&b"psync2".as_slice());
                    peer.capa_queue_place |= args.contains(&QUEUE_PLACE.as_bytes());
                    reply.extend_from_slice(b"+OK\r\n");
                }
                [b"PSYNC" | b"SYNC", ..] => ask = Request::parse(&args).ok(),
                _ => {}
            }
        }
        peer.input = BytesMut::from(&input[at..]);
        if !reply.is_empty() {
            around
                .network
                .send(id, 1, reply.into(), around.now_ms, around.rng);
        }
        if let Some(request) = ask
            && !peer.attached
        {
            peer.attached = true;
            if let Some(error) = self.refuses(id, &request, around) {
                let bytes = Bytes::from_static(error.as_bytes());
                around.network.send(id, 1, bytes, around.now_ms, around.rng);
                return;
            }
            let Some(peer) = self.peers.iter().find(|p| p.connection == id) else {
                return;
            };
            let replica = Replica {
                announced_ip: around.network.dialler(id).map(|n| format!("node{n}")),
                listening_port: 7000,
                capa_eof: peer.capa_eof,
                capa_psync2: peer.capa_psync2,
                capa_queue_place: peer.capa_queue_place,
                ack_ms: around.now_ms,
                ..Replica::arriving(id)
            };
            let mut refused = None;
            self.with_master(around, |m, e, o| {
                refused = m.attach(e, replica, &request, o).err()
            });
            if let Some(error) = refused {
                around.network.send(
                    id,
                    1,
                    Bytes::from_static(error.as_bytes()),
                    around.now_ms,
                    around.rng,
                );
            }
        }
        if let Some(offset) = ack {
            self.with_master(around, |m, e, o| {
                m.acked(e, id, offset, None, o);
            });
        }
    }
}
