//! What an attached replica says on its link: acks, bare newlines as signs of life, and nothing that wants an
//! answer. Everything it is sent is the stream, so a reply among it would be read as the master's writes: as in
//! Redis, a command that has one ends the link.

/// REPLCONF ACK, in bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub offset: u64,
    /// Of these, so many are in its append-only file.
    pub aof_offset: Option<u64>,
}

/// What a command of a replica is.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Ack(Ack),
    /// What Redis leaves without an answer.
    Nothing,
    /// What it would answer.
    Request,
}

/// Tells what a command of a replica is.
pub fn said(args: &[&[u8]]) -> Said {
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
