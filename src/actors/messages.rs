//! Messages that pass between rooms of actors.

use std::sync::Arc;

use actix::prelude::*;
use bytes::BytesMut;

use crate::clients::client::{Client, OwnedArgs};
use crate::os::socket::Socket;
use crate::session::ReplConf;

/// A client asked for PSYNC or SYNC: its connection is over as such, and its socket becomes a replica's.
/// Sent by the ConnectionActor to the MasterActor, which decides and answers on the socket. The client stays
/// in the registry (`NodeCore::clients`) and is the MasterActor's to remove.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AttachReplica {
    /// Created on another arbiter's reactor: `Socket::rebind` it before polling.
    pub(crate) socket: Socket,
    pub(crate) client: Arc<Client>,
    pub(crate) replconf: Box<ReplConf>,
    /// PSYNC replid offset, or SYNC.
    pub(crate) request: OwnedArgs,
    /// Bytes that came behind the request.
    pub(crate) input: BytesMut,
    /// Replies that have not been written yet, to be sent first.
    pub(crate) output: BytesMut,
    /// PSYNC FAILOVER: since when the request waits for us to become a master, Unix ms.
    pub(crate) waits_since_ms: Option<i64>,
}
