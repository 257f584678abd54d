//! A client becomes a replica: the MasterActor's part of it.
//!
//! PSYNC or SYNC hands the connection's socket over. If the [`MasterDriver`](crate::repl::MasterDriver) admits
//! it, it gets a SlaveBufferActor, and is sent what the driver decides.

use std::net::{IpAddr, SocketAddr};

use actix::prelude::*;

use crate::actors::messages::AttachReplica;
use crate::actors::replication::failover::LOOK;
use crate::actors::replication::master::MasterActor;
use crate::actors::replication::slave_buffer::SlaveBufferActor;
use crate::actors::supervisor;
use crate::repl::master::driver::Admission;
use crate::repl::{Replica, Request, psync};
use crate::supervision::Owner;

impl MasterActor {
    fn attach(&mut self, mut attach: AttachReplica, ctx: &mut Context<MasterActor>) {
        let args: Vec<&[u8]> = attach.request.iter().map(|a| &a[..]).collect();
        let Ok(request) = Request::parse(&args) else {
            return self.refuse(attach, "ERR value is not an integer or out of range");
        };
        let now_ms = self.node.clock.unix_ms();
        if let Request::Psync {
            id, failover: true, ..
        } = &request
            && attach.waits_since_ms.is_none()
        {
            tracing::info!("Failover request received for replid {id}.");
        }
        let since_ms = *attach.waits_since_ms.get_or_insert(now_ms);
        let client = attach.client.clone();
        let named = (client.id, client.addr.as_str());
        match self.driver.admit(&request, since_ms, named, &mut self.io) {
            Admission::Yes => {}
            Admission::Refused(error) => return self.refuse(attach, error),
            Admission::Later => {
                ctx.notify_later(attach, LOOK);
                return;
            }
        }
        let peer = client.addr.parse::<SocketAddr>().ok();
        let replconf = &attach.replconf;
        let replica = Replica {
            peer_ip: peer.map_or_else(String::new, |p| plain_ip(p.ip())),
            announced_ip: replconf.ip_address.clone().filter(|ip| !ip.is_empty()),
            listening_port: replconf.listening_port,
            version: replconf.version.clone(),
            capa_eof: replconf.capa_eof,
            capa_psync2: replconf.capa_psync2,
            capa_queue_place: replconf.capa_queue_place,
            capa_digest: replconf.capa_digest,
            capa_delta: replconf.capa_delta,
            dump_only: replconf.rdb_only,
            filter: replconf.filter,
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
        if let crate::os::socket::Socket::Tcp(tcp) = &socket {
            let delay = self.node.settings.load().repl_disable_tcp_nodelay;
            let _ = tcp.set_nodelay(!delay);
        }
        client.view.lock().replica = true;
        self.node.supervision.step(Owner::Master, "attach");
        let owner = Owner::SlaveBuffer;
        let buffer = SlaveBufferActor::new(
            self.node.clone(),
            ctx.address(),
            client.clone(),
            socket,
            attach.output.freeze(),
            attach.input,
            self.io.shared().clone(),
        );
        let buffer = supervisor::start(&self.node, owner, buffer);
        self.io.buffers.insert(client.id, buffer);
        self.driver.attach(replica, &request, &mut self.io);
    }

    fn refuse(&self, attach: AttachReplica, error: &str) {
        if let Ok(socket) = attach.socket.rebind() {
            let _ = socket.try_write(&attach.output);
            let _ = socket.try_write(psync::refusal_line(error).as_bytes());
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
