//! What an attached replica says on its link: acks, bare newlines as signs of life, and nothing that wants an
//! answer. Everything it is sent is the stream, so a reply among it would be read as the master's writes: as in
//! Redis, a command that has one ends the link, and the log says which.

use bytes::{Buf, BytesMut};

use crate::command::spec::bits;
use crate::node_core::NodeCore;
use crate::printable::printable;
use crate::resp::Reply;
use crate::resp::request::{Batch, Limits, Parser};
use crate::session::Client;

/// A replica says little: more input than this that isn't a command is a breach.
const INPUT_MAX: usize = 64 * 1024;

/// REPLCONF ACK, in bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub offset: u64,
    /// Of these, so many are in its append-only file.
    pub aof_offset: Option<u64>,
}

/// Bytes from the replica, up to the end of a command.
pub(super) struct SlaveInput {
    parser: Parser,
    batch: Batch,
    bytes: BytesMut,
}

impl SlaveInput {
    /// `bytes` came behind its PSYNC.
    pub(super) fn new(bytes: BytesMut) -> SlaveInput {
        SlaveInput {
            parser: Parser::default(),
            batch: Batch::default(),
            bytes,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes in what is complete: the last ack in it, if any. An error: the link has to end.
    pub(super) fn take(&mut self, node: &NodeCore, client: &Client) -> Result<Option<Ack>, ()> {
        let parsed = self
            .parser
            .parse(&self.bytes, &Limits::default(), &mut self.batch);
        let mut ack = None;
        let mut args = Vec::new();
        for index in 0..self.batch.len() {
            self.batch.args(index, &self.bytes, &mut args);
            match said(&args) {
                Said::Ack(last) => ack = Some(last),
                Said::Nothing => {}
                Said::Request => {
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

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Ack(Ack),
    /// What Redis leaves without an answer.
    Nothing,
    /// What it would answer.
    Request,
}

fn said(args: &[&[u8]]) -> Said {
    let is = |at: usize, word: &str| {
        args.get(at)
            .is_some_and(|arg: &&[u8]| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    let number = |at: usize| {
        let text = std::str::from_utf8(args.get(at)?).ok()?;
        // Offsets are signed numbers to Redis; beyond them is a lie that could overflow.
        let is_signed = |n: &u64| i64::try_from(*n).is_ok();
        text.parse::<u64>().ok().filter(is_signed)
    };
    if is(0, "replconf") && is(1, "ack") {
        return match number(2) {
            Some(offset) => Said::Ack(Ack {
                offset,
                aof_offset: number(4).filter(|_| is(3, "fack")),
            }),
            None => Said::Nothing,
        };
    }
    // A replica that asks again for what it gets already is left to it.
    let unanswered = (is(0, "replconf") && is(1, "getack")) || is(0, "psync") || is(0, "sync");
    if unanswered || args.is_empty() {
        return Said::Nothing;
    }
    Said::Request
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(line: &str) -> Said {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        said(&args)
    }

    #[test]
    fn acks_are_known_from_what_wants_an_answer() {
        let ack = |offset, aof_offset| Said::Ack(Ack { offset, aof_offset });
        assert_eq!(said_by("REPLCONF ACK 12"), ack(12, None));
        assert_eq!(said_by("replconf ack 12 fack 7"), ack(12, Some(7)));
        assert_eq!(said_by("REPLCONF ACK twelve"), Said::Nothing);
        let most = i64::MAX as u64;
        assert_eq!(said_by(&format!("REPLCONF ACK {most}")), ack(most, None));
        for lie in [most + 1, u64::MAX] {
            assert_eq!(said_by(&format!("REPLCONF ACK {lie}")), Said::Nothing);
        }
        assert_eq!(said_by("REPLCONF ACK -5"), Said::Nothing);
        assert_eq!(said_by("REPLCONF GETACK *"), Said::Nothing);
        assert_eq!(said_by("PSYNC ? -1"), Said::Nothing);
        assert_eq!(said_by("REPLCONF capa eof"), Said::Request);
        assert_eq!(said_by("PING"), Said::Request);
        assert_eq!(said_by("GET REPLCONF"), Said::Request);
    }
}
