//! Commands in RESP form: what effects, the log and the handshake write.

/// Appends a command.
pub fn command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(b"\r\n$");
        out.extend_from_slice(digits.format(arg.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
    }
    out.extend_from_slice(b"\r\n");
}

/// Bytes that [`command`] appends.
pub(crate) fn length<A: AsRef<[u8]>>(args: &[A]) -> u64 {
    let mut digits = itoa::Buffer::new();
    let mut number = |n: usize| digits.format(n).len();
    let mut bytes = 1 + number(args.len()) + 2;
    for arg in args {
        let arg = arg.as_ref().len();
        bytes += 1 + number(arg) + 2 + arg + 2;
    }
    bytes as u64
}

/// What a master's cron sends to keep the link known alive.
pub(crate) const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Asks every replica to acknowledge at once.
pub(crate) const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// A capability of our own (`REPLCONF capa`; masters that don't know it ignore it): while such a replica waits
/// for its transfer, the line that keeps the link alive tells it its place in the queue, `+QUEUED <place>`.
pub(crate) const QUEUE_PLACE: &str = "queue-place";

/// A capability of our own: the replica can verify itself (`REPLICATION VERIFY`).
pub(crate) const DIGEST: &str = "digest";

/// A capability of our own: the replica holds data, and takes `-DELTA` for an answer to PSYNC (see `repl::delta`).
pub(crate) const DELTA: &str = "delta";

#[cfg(test)]
mod tests {
    #[test]
    fn commands_are_arrays_of_bulks() {
        let mut out = Vec::new();
        super::command(&mut out, &["REPLCONF", "GETACK", "*"]);
        assert_eq!(out, super::GETACK);
        out.clear();
        super::command(&mut out, &["PING"]);
        assert_eq!(out, super::PING);
        let long = ["x".repeat(12), String::new()];
        out.clear();
        super::command(&mut out, &long);
        assert_eq!(super::length(&long), out.len() as u64);
        assert_eq!(super::length(&["PING"]), super::PING.len() as u64);
    }
}
