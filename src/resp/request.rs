//! The request parser: every complete command in a read buffer, as spans of that buffer.
//!
//! A connection reads all there is, parses the whole buffer into a [`Batch`], runs the batch, and drops
//! the bytes that were consumed. Nothing is copied: an argument is a span of the buffer (only quoted inline
//! arguments are unescaped, into the batch's own arena). A half-received command leaves its progress in the
//! [`Parser`], so that a large argument that comes in many reads is not parsed again each time.
//!
//! Invariants: spans lie inside the buffer that was parsed; `Parser`'s progress speaks of the bytes that
//! follow the last complete command, so the caller must drop exactly [`Batch::consumed`] bytes before the
//! next parse, or call [`Parser::reset`] if it drops fewer. No length that the peer declares is ever
//! allocated for: memory grows with the bytes that have come.

use std::fmt;

/// Longest inline request and longest count line, bytes (Redis's PROTO_INLINE_MAX_SIZE).
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments one command may have.
const ARGS_MAX: i64 = i32::MAX as i64;
/// What a client that hasn't authenticated may send: arguments, and bytes of each.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;
/// Spans whose start has this bit lie in the arena.
const ARENA: usize = 1 << (usize::BITS - 1);

/// What a peer may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`, bytes.
    pub bulk_bytes_max: usize,
    /// Whether the peer has authenticated (or need not).
    pub authenticated: bool,
    /// Most commands parsed in one go; the rest of the buffer stays for the next parse.
    pub commands_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bulk_bytes_max: 512 * 1024 * 1024,
            authenticated: true,
            // What is parsed of them then takes 20 KB and stays in the nearest caches; 1024 took 150 KB.
            commands_max: 256,
        }
    }
}

/// A breach of the protocol; the connection answers it and closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error: {}", self.0)
    }
}

impl std::error::Error for ProtocolError {}

fn breach<T>(text: impl Into<String>) -> Result<T, ProtocolError> {
    Err(ProtocolError(text.into()))
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: usize,
}

/// What a batch keeps for the next: arguments, and bytes of inline commands.
const SPANS_KEPT: usize = 16 * 1024;
const ARENA_KEPT_BYTES: usize = 256 * 1024;

/// One complete command of a batch.
#[derive(Clone, Copy, Debug)]
struct Request {
    first: usize,
    count: usize,
    /// Where in the buffer the command ends.
    end: usize,
}

/// The complete commands of one buffer. Reused from batch to batch to keep its allocations.
#[derive(Debug, Default)]
pub struct Batch {
    spans: Vec<Span>,
    requests: Vec<Request>,
    arena: Vec<u8>,
    consumed: usize,
}

impl Batch {
    /// How many commands.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Bytes of the buffer that the batch's commands (and skipped empty lines) cover.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// Where in the buffer command `index` ends.
    pub fn end_of(&self, index: usize) -> usize {
        self.requests[index].end
    }

    /// Puts the arguments of command `index` into `args`; `buffer` is the one that was parsed.
    pub fn args<'b>(&'b self, index: usize, buffer: &'b [u8], args: &mut Vec<&'b [u8]>) {
        let request = self.requests[index];
        let spans = &self.spans[request.first..request.first + request.count];
        args.clear();
        args.extend(spans.iter().map(|span| self.bytes(*span, buffer)));
    }

    /// Argument `nth` of command `index` (0: its name), if there is one.
    #[inline]
    pub fn arg<'b>(&'b self, index: usize, nth: usize, buffer: &'b [u8]) -> Option<&'b [u8]> {
        let request = self.requests.get(index)?;
        if nth >= request.count {
            return None;
        }
        let span = self.spans.get(request.first + nth)?;
        Some(self.bytes(*span, buffer))
    }

    fn bytes<'b>(&'b self, span: Span, buffer: &'b [u8]) -> &'b [u8] {
        if span.start & ARENA != 0 {
            let start = span.start & !ARENA;
            &self.arena[start..start + span.len]
        } else {
            &buffer[span.start..span.start + span.len]
        }
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.requests.clear();
        self.arena.clear();
        self.consumed = 0;
    }

    /// Gives back what a huge command has made it hold.
    pub fn trim(&mut self) {
        if self.spans.capacity() > SPANS_KEPT {
            self.spans = Vec::new();
        }
        if self.arena.capacity() > ARENA_KEPT_BYTES {
            self.arena = Vec::new();
        }
    }
}

/// Gives an emptied argument vector another lifetime, keeping its allocation.
pub fn recycle<'to>(mut args: Vec<&[u8]>) -> Vec<&'to [u8]> {
    args.clear();
    // An empty vector maps to an empty vector in place: the closure never runs.
    args.into_iter().map(|_| -> &'to [u8] { &[] }).collect()
}

/// The progress of a command that has not fully come.
#[derive(Debug, Default)]
pub struct Parser {
    /// Spans of the arguments seen, relative to the command's first byte.
    spans: Vec<Span>,
    /// Arguments still to come; 0 when between commands.
    remaining: i64,
    /// Length of the argument whose bytes are awaited.
    bulk: Option<usize>,
    /// Where to go on, relative to the command's first byte.
    position: usize,
}

/// A line's number at `at`, which is just past its type byte.
enum Line {
    Number(i64, usize),
    Incomplete,
    Bad,
    TooLong,
}

/// Reads decimal digits up to CR LF. Like Redis, only a canonical number is taken.
fn number_line(buffer: &[u8], at: usize) -> Line {
    let mut position = at;
    let mut value: i64 = 0;
    // The usual case: a few digits, then CR LF.
    while let Some(&byte) = buffer.get(position) {
        match byte {
            b'0'..=b'9' if position - at < 18 => {
                value = value * 10 + i64::from(byte - b'0');
                position += 1;
            }
            b'\r' if position > at => {
                return match buffer.get(position + 1) {
                    None => Line::Incomplete,
                    Some(_) if buffer[at] == b'0' && position - at > 1 => Line::Bad,
                    Some(_) => Line::Number(value, position + 2),
                };
            }
            _ => return odd_number_line(buffer, at),
        }
    }
    Line::Incomplete
}

/// Negative, over-long and malformed numbers.
#[cold]
fn odd_number_line(buffer: &[u8], at: usize) -> Line {
    match memchr::memchr(b'\r', &buffer[at..]) {
        None if buffer.len() - at > INLINE_BYTES_MAX => Line::TooLong,
        None => Line::Incomplete,
        Some(cr) if at + cr + 1 >= buffer.len() => Line::Incomplete,
        Some(cr) => match crate::data::string::parse_int(&buffer[at..at + cr]) {
            Some(n) => Line::Number(n, at + cr + 2),
            None => Line::Bad,
        },
    }
}

impl Parser {
    /// Forgets a half-received command: for when its bytes are handed over again.
    pub fn reset(&mut self) {
        self.spans.clear();
        self.remaining = 0;
        self.bulk = None;
        self.position = 0;
    }

    /// Bytes that the buffer should be able to take for the argument that is awaited, if known.
    pub fn wanted(&self, buffered: usize) -> Option<usize> {
        self.bulk
            .map(|len| (self.position + len + 2).saturating_sub(buffered))
    }

    /// Parses every complete command of `buffer` into `batch`. On a breach the commands before it are in the
    /// batch and are to be run before the error is answered.
    pub fn parse(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<(), ProtocolError> {
        batch.clear();
        let mut start = 0;
        while start < buffer.len() && batch.requests.len() < limits.commands_max {
            let done = if self.remaining > 0 || buffer[start] == b'*' {
                self.multibulk(buffer, start, limits, batch)?
            } else {
                inline(buffer, start, batch)?
            };
            match done {
                Some(end) => {
                    start = end;
                    batch.consumed = end;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// One command in array form; its end, or None if it has not fully come.
    fn multibulk(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        let mut position = start + self.position;
        if self.remaining == 0 {
            match number_line(buffer, start + 1) {
                Line::Incomplete => return Ok(None),
                Line::TooLong => return breach("too big mbulk count string"),
                Line::Number(n, _) if n > ARGS_MAX => return breach("invalid multibulk length"),
                Line::Bad => return breach("invalid multibulk length"),
                Line::Number(n, _) if n > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated => {
                    return breach("unauthenticated multibulk length");
                }
                Line::Number(n, end) if n <= 0 => return Ok(Some(end)),
                Line::Number(n, end) => {
                    self.remaining = n;
                    position = end;
                }
            }
        }
        // Commands that have come whole put their spans straight into the batch.
        let first = batch.spans.len();
        batch.spans.extend(self.spans.iter().map(|s| Span {
            start: s.start + start,
            len: s.len,
        }));
        while self.remaining > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match buffer.get(position) {
                    None => break,
                    Some(b'$') => match number_line(buffer, position + 1) {
                        Line::Incomplete => break,
                        Line::TooLong => return breach("too big bulk count string"),
                        Line::Number(n, end)
                            if n >= 0 && n as u64 <= limits.bulk_bytes_max as u64 =>
                        {
                            if n > UNAUTHENTICATED_BULK_BYTES_MAX && !limits.authenticated {
                                return breach("unauthenticated bulk length");
                            }
                            position = end;
                            self.bulk = Some(n as usize);
                            n as usize
                        }
                        _ => return breach("invalid bulk length"),
                    },
                    Some(&byte) => {
                        let shown = if byte.is_ascii_graphic() || byte == b' ' {
                            byte as char
                        } else {
                            '?'
                        };
                        return breach(format!("expected '$', got '{shown}'"));
                    }
                },
            };
            if buffer.len() - position < len + 2 {
                break;
            }
            batch.spans.push(Span {
                start: position,
                len,
            });
            position += len + 2;
            self.bulk = None;
            self.remaining -= 1;
        }
        if self.remaining == 0 {
            let count = batch.spans.len() - first;
            batch.requests.push(Request {
                first,
                count,
                end: position,
            });
            self.spans.clear();
            if self.spans.capacity() > SPANS_KEPT {
                self.spans = Vec::new();
            }
            self.position = 0;
            return Ok(Some(position));
        }
        let seen = self.spans.len();
        self.spans
            .extend(batch.spans.drain(first..).skip(seen).map(|s| Span {
                start: s.start - start,
                len: s.len,
            }));
        self.position = position - start;
        Ok(None)
    }
}

/// One inline command: words on a line, with quotes.
#[cold]
fn inline(buffer: &[u8], start: usize, batch: &mut Batch) -> Result<Option<usize>, ProtocolError> {
    let Some(newline) = memchr::memchr(b'\n', &buffer[start..]) else {
        return if buffer.len() - start > INLINE_BYTES_MAX {
            breach("too big inline request")
        } else {
            Ok(None)
        };
    };
    let end = start + newline + 1;
    let mut line = &buffer[start..start + newline];
    if let [head @ .., b'\r'] = line {
        line = head;
    }
    let first = batch.spans.len();
    let Some(words) = split_words(line) else {
        return breach("unbalanced quotes in request");
    };
    for word in words {
        let at = batch.arena.len();
        batch.arena.extend_from_slice(&word);
        batch.spans.push(Span {
            start: at | ARENA,
            len: word.len(),
        });
    }
    let count = batch.spans.len() - first;
    if count > 0 {
        batch.requests.push(Request { first, count, end });
    }
    Ok(Some(end))
}

/// Splits a line into words as redis-cli and redis.conf do: double quotes with escapes (`\xHH`, `\n`, `\r`,
/// `\t`, `\b`, `\a`), single quotes with `\'` only. None if quotes don't balance or a closing quote is
/// followed by anything but space.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    let is_space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        let mut quote = None;
        loop {
            let byte = line.get(at).copied();
            match (quote, byte) {
                (Some(_), None) => return None,
                (Some(b'"'), Some(b'\\')) => {
                    let hex = |i: usize| line.get(i).and_then(|b| (*b as char).to_digit(16));
                    match (line.get(at + 1), hex(at + 2), hex(at + 3)) {
                        (Some(b'x'), Some(high), Some(low)) => {
                            word.push((high * 16 + low) as u8);
                            at += 4;
                        }
                        (Some(&escaped), _, _) => {
                            word.push(match escaped {
                                b'n' => b'\n',
                                b'r' => b'\r',
                                b't' => b'\t',
                                b'b' => 0x08,
                                b'a' => 0x07,
                                other => other,
                            });
                            at += 2;
                        }
                        (None, ..) => {
                            word.push(b'\\');
                            at += 1;
                        }
                    }
                }
                (Some(b'\''), Some(b'\\')) if line.get(at + 1) == Some(&b'\'') => {
                    word.push(b'\'');
                    at += 2;
                }
                (Some(q), Some(byte)) if byte == q => {
                    at += 1;
                    if line.get(at).is_some_and(|&b| !is_space(b)) {
                        return None;
                    }
                    break;
                }
                (Some(_), Some(byte)) => {
                    word.push(byte);
                    at += 1;
                }
                (None, None) => break,
                (None, Some(byte)) if is_space(byte) => break,
                (None, Some(q @ (b'"' | b'\''))) => {
                    quote = Some(q);
                    at += 1;
                }
                (None, Some(byte)) => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owned(batch: &Batch, buffer: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut args = Vec::new();
        (0..batch.len())
            .map(|i| {
                batch.args(i, buffer, &mut args);
                args.iter().map(|a| a.to_vec()).collect()
            })
            .collect()
    }

    fn parse_all(bytes: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let (mut parser, mut batch) = (Parser::default(), Batch::default());
        parser.parse(bytes, &Limits::default(), &mut batch)?;
        Ok(owned(&batch, bytes))
    }

    #[test]
    fn a_pipeline_and_an_inline_command() {
        let got = parse_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING \"a\\x41\\n\" 'b\\'c'\r\n*0\r\n\r\n*1\r\n$4\r\nPING\r\n");
        assert_eq!(
            got.unwrap(),
            vec![
                vec![b"GET".to_vec(), b"k".to_vec()],
                vec![b"PING".to_vec(), b"aA\n".to_vec(), b"b'c".to_vec()],
                vec![b"PING".to_vec()]
            ]
        );
    }

    #[test]
    fn breaches_are_named_as_redis_names_them() {
        for (bytes, want) in [
            (&b"*x\r\n"[..], "invalid multibulk length"),
            (b"*2147483648\r\n", "invalid multibulk length"),
            (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$999999999999\r\n", "invalid bulk length"),
            (b"SET \"a\r\n", "unbalanced quotes in request"),
            (b"SET \"a\"b\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(parse_all(bytes).unwrap_err().0, want, "{bytes:?}");
        }
        assert_eq!(
            parse_all(&[b'a'; INLINE_BYTES_MAX + 2]).unwrap_err().0,
            "too big inline request"
        );
        let mut long = b"*".to_vec();
        long.extend_from_slice(&[b'1'; INLINE_BYTES_MAX + 2]);
        assert_eq!(
            parse_all(&long).unwrap_err().0,
            "too big mbulk count string"
        );
    }

    #[test]
    fn strangers_may_send_little() {
        let limits = Limits {
            authenticated: false,
            ..Limits::default()
        };
        let (mut parser, mut batch) = (Parser::default(), Batch::default());
        let error = parser.parse(b"*11\r\n", &limits, &mut batch).unwrap_err();
        assert_eq!(error.0, "unauthenticated multibulk length");
        parser.reset();
        let error = parser
            .parse(b"*1\r\n$16385\r\n", &limits, &mut batch)
            .unwrap_err();
        assert_eq!(error.0, "unauthenticated bulk length");
    }

    #[test]
    fn commands_before_a_breach_are_kept() {
        let (mut parser, mut batch) = (Parser::default(), Batch::default());
        let bytes = b"*1\r\n$4\r\nPING\r\n*1\r\n!";
        parser
            .parse(bytes, &Limits::default(), &mut batch)
            .unwrap_err();
        assert_eq!(owned(&batch, bytes), vec![vec![b"PING".to_vec()]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_split_of_the_stream_gives_the_same_commands(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5), 1..8),
            cuts in prop::collection::vec(1usize..40, 0..40),
        ) {
            let mut stream = Vec::new();
            for c in &commands {
                crate::repl::wire::command(&mut stream, c);
            }
            let (mut parser, mut batch) = (Parser::default(), Batch::default());
            let (mut buffer, mut got, mut rest) = (Vec::new(), Vec::new(), &stream[..]);
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let n = cuts.next().unwrap_or(rest.len()).min(rest.len());
                buffer.extend_from_slice(&rest[..n]);
                rest = &rest[n..];
                parser.parse(&buffer, &Limits::default(), &mut batch).unwrap();
                got.extend(owned(&batch, &buffer));
                buffer.drain(..batch.consumed());
            }
            prop_assert_eq!(got, commands);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_all(&bytes);
        }
    }
}
