//! What an attached replica sends on its link: acks, bare newlines as keepalives, and nothing that has a reply.
//! Everything it is sent is the stream, so a reply among it would be read as the master's writes: as in Redis, a
//! command that has one ends the link.

/// REPLCONF ACK, in bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) offset: u64,
    /// Of these, so many are in its append-only file.
    pub(crate) aof_offset: Option<u64>,
}

/// A command of a replica.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplicaCommand {
    Ack(Ack),
    /// One that Redis doesn't reply to.
    Ignored,
    /// One that it would reply to.
    WantsReply,
}

/// Parses a command of a replica.
pub(crate) fn parse(args: &[&[u8]]) -> ReplicaCommand {
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
            Some(offset) => ReplicaCommand::Ack(Ack {
                offset,
                aof_offset: number(4).filter(|_| is(3, "fack")),
            }),
            None => ReplicaCommand::Ignored,
        };
    }
    // A replica that asks again for what it gets already is left to it.
    let unanswered = (is(0, "replconf") && is(1, "getack")) || is(0, "psync") || is(0, "sync");
    if unanswered || args.is_empty() {
        return ReplicaCommand::Ignored;
    }
    ReplicaCommand::WantsReply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> ReplicaCommand {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        parse(&args)
    }

    #[test]
    fn acks_are_known_from_what_wants_an_answer() {
        let ack = |offset, aof_offset| ReplicaCommand::Ack(Ack { offset, aof_offset });
        assert_eq!(parsed("REPLCONF ACK 12"), ack(12, None));
        assert_eq!(parsed("replconf ack 12 fack 7"), ack(12, Some(7)));
        assert_eq!(parsed("REPLCONF ACK twelve"), ReplicaCommand::Ignored);
        let most = i64::MAX as u64;
        assert_eq!(parsed(&format!("REPLCONF ACK {most}")), ack(most, None));
        for lie in [most + 1, u64::MAX] {
            assert_eq!(
                parsed(&format!("REPLCONF ACK {lie}")),
                ReplicaCommand::Ignored
            );
        }
        assert_eq!(parsed("REPLCONF ACK -5"), ReplicaCommand::Ignored);
        assert_eq!(parsed("REPLCONF GETACK *"), ReplicaCommand::Ignored);
        assert_eq!(parsed("PSYNC ? -1"), ReplicaCommand::Ignored);
        assert_eq!(parsed("REPLCONF capa eof"), ReplicaCommand::WantsReply);
        assert_eq!(parsed("PING"), ReplicaCommand::WantsReply);
        assert_eq!(parsed("GET REPLCONF"), ReplicaCommand::WantsReply);
    }
}
