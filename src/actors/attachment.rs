//! A client becomes a replica: the MasterActor's part of it.
//!
//! PSYNC or SYNC hands the connection's socket over; it gets a SlaveBufferActor, and the pure
//! [`Master`](crate::repl::Master) decides what it is sent. `PSYNC ... FAILOVER` promotes this node first,
//! see `MasterActor::take_over`.

use std::net::{IpAddr, SocketAddr};

use actix::prelude::*;
use bytes::Bytes;

use super::master::MasterActor;
use super::messages::AttachReplica;
use super::slave_buffer::{self, SlaveBufferActor};
use crate::repl::{Replica, Request};

impl MasterActor {
    fn attach(&mut self, attach: AttachReplica, ctx: &mut Context<MasterActor>) {
        let Some(attach) = self.take_over(attach, ctx) else {
            return;
        };
        let args: Vec<&[u8]> = attach.request.iter().map(|a| &a[..]).collect();
        let client = attach.client.clone();
        let request = match Request::parse(&args) {
            Ok(request) => request,
            Err(_) => {
                self.refuse(attach, "-ERR value is not an integer or out of range\r\n");
                return;
            }
        };
        let peer = client.addr.parse::<SocketAddr>().ok();
        let replconf = &attach.replconf;
        let replica = Replica {
            peer_ip: peer.map_or_else(String::new, |p| plain_ip(p.ip())),
            peer_port: peer.map_or(0, |p| p.port()),
            announced_ip: replconf.ip_address.clone().filter(|ip| !ip.is_empty()),
            listening_port: replconf.listening_port,
            version: replconf.version.clone(),
            capa_eof: replconf.capa_eof,
            capa_psync2: replconf.capa_psync2,
            capa_queue_place: replconf.capa_queue_place,
            dump_only: replconf.rdb_only,
            ..Replica::arriving(client.id)
        };
        let socket = match attach.socket.rebind() {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!("A replica's socket could not be taken over: {error}");
                self.node.clients.remove(client.id);
                return;
            }
        };
        if let super::socket::Socket::Tcp(tcp) = &socket {
            let delay = self.node.settings.load().repl_disable_tcp_nodelay;
            let _ = tcp.set_nodelay(!delay);
        }
        client.view.lock().replica = true;
        let buffer = SlaveBufferActor::new(
            self.node.clone(),
            ctx.address(),
            client.clone(),
            socket,
            attach.output.freeze(),
            attach.input,
            self.sending.clone(),
        )
        .start();
        self.buffers.insert(client.id, buffer.clone());
        let result = self.with(ctx, |m, e, o| m.attach(e, replica, &request, o));
        if let Err(error) = result {
            buffer.do_send(slave_buffer::Close {
                last: Some(Bytes::from_static(error.as_bytes())),
            });
        }
    }

    pub(super) fn refuse(&self, attach: AttachReplica, error: &str) {
        if let Ok(socket) = attach.socket.rebind() {
            let _ = socket.try_write(&attach.output);
            let _ = socket.try_write(error.as_bytes());
        }
        self.node.clients.remove(attach.client.id);
    }
}

/// An address as INFO shows it: IPv4 peers of a dual-stack socket in their own form.
fn plain_ip(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| v6.to_string(), |v4| v4.to_string()),
        IpAddr::V4(v4) => v4.to_string(),
    }
}

impl Handler<AttachReplica> for MasterActor {
    type Result = ();

    fn handle(&mut self, attach: AttachReplica, ctx: &mut Self::Context) {
        self.attach(attach, ctx);
    }
}
