//! The input of an attached replica, split into commands. One that would have a reply ends the link, and the log says
//! which ([`parse`]).

use bytes::{Buf, BytesMut};

use crate::clients::client::Client;
use crate::node_core::NodeCore;
use crate::repl::replica_input::{Ack, ReplicaCommand, parse};
use crate::resp::Reply;
use crate::resp::request::{Batch, Limits, Parser};
use crate::table::spec::bits;
use crate::text::printable::printable;

/// A replica sends little: more input than this that isn't a command is a breach of protocol.
const INPUT_MAX: usize = 64 * 1024;

/// Bytes from the replica, up to the end of a command.
pub(crate) struct SlaveInput {
    parser: Parser,
    batch: Batch,
    bytes: BytesMut,
}

impl SlaveInput {
    /// `bytes` came behind its PSYNC.
    pub(crate) fn new(bytes: BytesMut) -> SlaveInput {
        SlaveInput {
            parser: Parser::default(),
            batch: Batch::default(),
            bytes,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes in what is complete: the last ack in it, if any. An error: the link has to end.
    pub(crate) fn take(&mut self, node: &NodeCore, client: &Client) -> Result<Option<Ack>, ()> {
        let parsed = self
            .parser
            .parse(&self.bytes, &Limits::default(), &mut self.batch);
        let mut ack = None;
        let mut args = Vec::new();
        for index in 0..self.batch.len() {
            self.batch.args(index, &self.bytes, &mut args);
            match parse(&args) {
                ReplicaCommand::Ack(last) => ack = Some(last),
                ReplicaCommand::Ignored => {}
                ReplicaCommand::WantsReply => {
                    refuse(node, client, &args);
                    return Err(());
                }
            }
        }
        drop(args);
        self.bytes.advance(self.batch.consumed());
        if parsed.is_err() || self.bytes.len() > INPUT_MAX {
            return Err(());
        }
        Ok(ack)
    }
}

/// Logs why the link ends, as Redis does.
fn refuse(node: &NodeCore, client: &Client, args: &[&[u8]]) {
    let command = node.table.find(args);
    let name = command.map_or("<unknown>", |command| command.name);
    let flags = bits::WRITE | bits::READONLY | bits::MAY_REPLICATE;
    let error = match command {
        None => Some(node.table.unknown(args).0),
        Some(command) if command.flags.has(flags) => {
            Some("Replica can't interact with the keyspace".into())
        }
        Some(_) => None,
    };
    if let Some(error) = error {
        let mut reply = Reply::default();
        reply.error(&error);
        let sent = reply.take().into_bytes();
        let error = printable(sent.trim_ascii_end().strip_prefix(b"-").unwrap_or_default());
        tracing::warn!(
            "== CRITICAL == This master is sending an error to its replica: '{error}' after processing the \
             command '{name}'"
        );
    }
    tracing::warn!(
        "Replica generated a reply to command '{name}', disconnecting it: id={} addr={} laddr={} cmd={name}",
        client.id,
        client.addr,
        client.laddr
    );
}
