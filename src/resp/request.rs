//! The request parser: every complete command in a read buffer, as spans of that buffer.
//!
//! A connection reads all there is, parses the whole buffer into a [`Batch`], runs the batch, and drops
//! the bytes that were consumed. Nothing is copied: an argument is a span of the buffer (only quoted inline
//! arguments are unescaped, into the batch's own arena).
//!
//! A half-received command costs nothing beside its bytes. The [`Parser`] keeps how far it has checked them and
//! continues from there, so that the work is linear in the bytes however they are split; the spans are made when the
//! command is complete, by going over its argument lengths once more.
//!
//! Only the command that runs next may be large or half-received. Behind others in the buffer, a command of many
//! arguments or an incomplete one is left alone until those have run: so parsing again what had to wait (for a
//! shard, a pause, a reply) costs little, and what AUTH or RESET changes holds for what follows it.
//!
//! Invariants: spans lie inside the buffer that was parsed; `Parser`'s progress speaks of the bytes that
//! follow [`Batch::consumed`], and there is some only while the batch is empty. No length that the peer declares
//! is ever allocated for: memory grows with the bytes that have come.

use std::fmt;

use super::words::split_words;

/// Longest inline request and longest count line, bytes (Redis's PROTO_INLINE_MAX_SIZE).
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments one command may have.
const ARGS_MAX: i64 = i32::MAX as i64;
/// What a client that hasn't authenticated may send: arguments, and bytes of each.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;
/// Most arguments of a command whose spans are made while it is looked at for the first time; most that a command
/// may have to be parsed behind others.
const ARGS_AT_ONCE: usize = 1024;
/// Arguments of commands that are parsed in one go, beside those of the last one.
const ARGS_AHEAD: usize = 8 * 1024;
/// What an argument costs while its command runs: its span, and a slice of it.
const BYTES_PER_ARG: usize = size_of::<Span>() + size_of::<&[u8]>();
/// A request that takes more memory than its sender may have.
pub(crate) const TOO_LARGE: &str = "request exceeds client-query-buffer-limit";
/// Spans whose start has this bit lie in the arena.
const ARENA: usize = 1 << (usize::BITS - 1);

/// What a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `proto-max-bulk-len`, bytes.
    pub bulk_bytes_max: usize,
    /// Whether the peer has authenticated (or need not).
    pub authenticated: bool,
    /// Most commands parsed in one go; the rest of the buffer stays for the next parse.
    pub commands_max: usize,
    /// `client-query-buffer-limit`: most bytes that one request may take, those of its arguments' spans included.
    pub request_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bulk_bytes_max: 512 * 1024 * 1024,
            authenticated: true,
            // What is parsed of them then takes 20 KB and stays in the nearest caches; 1024 took 150 KB.
            commands_max: 256,
            request_bytes_max: usize::MAX,
        }
    }
}

/// A breach of the protocol; the connection answers it and closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub(crate) String);

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
    wants_bytes: bool,
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

    /// Whether what was not consumed is the beginning of a command, whose rest has to come first. Else there is more
    /// to parse when the batch has run.
    pub fn wants_bytes(&self) -> bool {
        self.wants_bytes
    }

    /// Where in the buffer command `index` ends.
    pub(crate) fn end_of(&self, index: usize) -> usize {
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
    pub(crate) fn arg<'b>(
        &'b self,
        index: usize,
        nth: usize,
        buffer: &'b [u8],
    ) -> Option<&'b [u8]> {
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
        self.wants_bytes = false;
    }

    /// Gives back what a huge command has made it hold.
    pub(crate) fn trim(&mut self) {
        if self.spans.capacity() > SPANS_KEPT {
            self.spans = Vec::new();
        }
        if self.arena.capacity() > ARENA_KEPT_BYTES {
            self.arena = Vec::new();
        }
    }
}

/// How far a command has been checked that has not fully come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Arguments in all; 0: its first line is not complete.
    count: usize,
    /// Arguments still to come.
    remaining: usize,
    /// Length of the argument whose bytes are awaited.
    awaited: Option<usize>,
    /// Where to go on, relative to the command's first byte.
    position: usize,
    /// Bytes of an incomplete line in which its end was looked for.
    searched: usize,
}

/// ShardTasks bytes into commands; keeps the progress of the one that has not fully come.
#[derive(Debug, Default)]
pub struct Parser {
    progress: Progress,
}

/// What became of one command.
enum Parsed {
    /// It ends here.
    Complete(usize),
    Incomplete,
    /// It is for the next parse.
    Left,
}

/// A line's number at `at`, which is just past its type byte.
enum Line {
    Number(i64, usize),
    Incomplete,
    Bad,
    TooLong,
}

/// Reads a number below a hundred with its CR LF, as nearly all are; [`number_line`] reads the others.
#[inline(always)]
fn short_number_line(buffer: &[u8], at: usize) -> Option<(usize, usize)> {
    // The shortest argument and its line have as many bytes.
    let &[first, second, third, _] = buffer.get(at..)?.first_chunk()?;
    let first = first.wrapping_sub(b'0');
    if first > 9 {
        return None;
    }
    if second == b'\r' {
        return Some((usize::from(first), at + 3));
    }
    let second = second.wrapping_sub(b'0');
    if second > 9 || first == 0 || third != b'\r' {
        return None;
    }
    Some((usize::from(first) * 10 + usize::from(second), at + 4))
}

/// Reads decimal digits up to CR LF. Like Redis, only a canonical number is taken.
fn number_line(buffer: &[u8], at: usize, searched: &mut usize) -> Line {
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
            _ => return odd_number_line(buffer, at, searched),
        }
    }
    Line::Incomplete
}

/// Negative, over-long and malformed numbers.
#[cold]
fn odd_number_line(buffer: &[u8], at: usize, searched: &mut usize) -> Line {
    let line = &buffer[at..];
    let from = std::mem::take(searched).min(line.len());
    match memchr::memchr(b'\r', &line[from..]).map(|cr| from + cr) {
        None if line.len() > INLINE_BYTES_MAX => Line::TooLong,
        None => {
            *searched = line.len();
            Line::Incomplete
        }
        Some(cr) if cr + 1 >= line.len() => {
            *searched = cr;
            Line::Incomplete
        }
        Some(cr) => match crate::text::parse_int(&line[..cr]) {
            Some(n) => Line::Number(n, at + cr + 2),
            None => Line::Bad,
        },
    }
}

impl Progress {
    /// Reads the line that says how many arguments there are. None: it has not come.
    #[inline(always)]
    fn begin(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        match short_number_line(buffer, start + 1) {
            Some((count, end)) if count <= UNAUTHENTICATED_ARGS_MAX as usize => {
                Ok(Some(self.begin_with(count, start, end)))
            }
            _ => self.begin_long(buffer, start, limits),
        }
    }

    #[inline]
    fn begin_with(&mut self, count: usize, start: usize, end: usize) -> usize {
        self.count = count;
        self.remaining = count;
        self.position = end - start;
        end
    }

    #[inline(never)]
    fn begin_long(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        match number_line(buffer, start + 1, &mut self.searched) {
            Line::Incomplete => Ok(None),
            Line::TooLong => breach("too big mbulk count string"),
            Line::Number(n, _) if n > ARGS_MAX => breach("invalid multibulk length"),
            Line::Bad => breach("invalid multibulk length"),
            Line::Number(n, _) if n > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated => {
                breach("unauthenticated multibulk length")
            }
            Line::Number(n, end) => {
                Ok(Some(self.begin_with(n.try_into().unwrap_or(0), start, end)))
            }
        }
    }

    /// Goes over the arguments that have come, from where it stopped, and gives each one's span to `take`.
    #[inline(always)]
    fn walk(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        mut take: impl FnMut(Span),
    ) -> Result<(), ProtocolError> {
        let mut position = start + self.position;
        let mut remaining = self.remaining;
        while remaining > 0 {
            let len = match self.awaited.take() {
                Some(len) => len,
                None => match bulk_line(buffer, position, limits, &mut self.searched)? {
                    Some((len, end)) => {
                        position = end;
                        len
                    }
                    None => break,
                },
            };
            if buffer.len() - position < len + 2 {
                self.awaited = Some(len);
                break;
            }
            take(Span {
                start: position,
                len,
            });
            position += len + 2;
            remaining -= 1;
        }
        self.position = position - start;
        self.remaining = remaining;
        Ok(())
    }

    /// Bytes that the command takes so far.
    fn memory(&self) -> usize {
        let args = self.count - self.remaining;
        self.position
            .saturating_add(args.saturating_mul(BYTES_PER_ARG))
    }
}

/// The line before an argument: its length, and where the argument begins. None: it has not come.
#[inline(always)]
fn bulk_line(
    buffer: &[u8],
    at: usize,
    limits: &Limits,
    searched: &mut usize,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    // No limit is below a hundred bytes.
    if buffer.get(at) == Some(&b'$')
        && let Some(line) = short_number_line(buffer, at + 1)
    {
        return Ok(Some(line));
    }
    long_bulk_line(buffer, at, limits, searched)
}

#[inline(never)]
fn long_bulk_line(
    buffer: &[u8],
    at: usize,
    limits: &Limits,
    searched: &mut usize,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    match buffer.get(at) {
        None => Ok(None),
        Some(b'$') => match number_line(buffer, at + 1, searched) {
            Line::Incomplete => Ok(None),
            Line::TooLong => breach("too big bulk count string"),
            Line::Number(n, end) if n >= 0 && n as u64 <= limits.bulk_bytes_max as u64 => {
                if n > UNAUTHENTICATED_BULK_BYTES_MAX && !limits.authenticated {
                    return breach("unauthenticated bulk length");
                }
                Ok(Some((n as usize, end)))
            }
            _ => breach("invalid bulk length"),
        },
        Some(&byte) => {
            let shown = if byte.is_ascii_graphic() || byte == b' ' {
                byte as char
            } else {
                '?'
            };
            breach(format!("expected '$', got '{shown}'"))
        }
    }
}

impl Parser {
    /// Forgets a half-received command: its bytes are gone.
    pub(crate) fn reset(&mut self) {
        self.progress = Progress::default();
    }

    /// Parses complete commands of `buffer` into `batch`. On a breach the commands before it are in the
    /// batch and are to be run before the error is answered.
    pub fn parse(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<(), ProtocolError> {
        batch.clear();
        let mut start = 0;
        while start < buffer.len()
            && batch.requests.len() < limits.commands_max
            && batch.spans.len() < ARGS_AHEAD
        {
            // Of what stands behind others no progress is kept.
            let progress = match batch.is_empty() {
                true => std::mem::take(&mut self.progress),
                false => Progress::default(),
            };
            let parsed = if buffer[start] == b'*' {
                self.multibulk(progress, buffer, start, limits, batch)?
            } else {
                self.inline(progress, buffer, start, batch)?
            };
            match parsed {
                Parsed::Complete(end) => {
                    start = end;
                    batch.consumed = end;
                }
                Parsed::Incomplete => {
                    batch.wants_bytes = true;
                    break;
                }
                Parsed::Left => break,
            }
        }
        Ok(())
    }

    /// One command in array form, which begins at `start`.
    #[inline]
    fn multibulk(
        &mut self,
        mut progress: Progress,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Parsed, ProtocolError> {
        let begun = progress.count > 0;
        if !begun {
            match progress.begin(buffer, start, limits)? {
                None => return Ok(self.incomplete(progress, batch)),
                Some(end) if progress.count == 0 => return Ok(Parsed::Complete(end)),
                Some(_) => {}
            }
        }
        if begun || progress.count > ARGS_AT_ONCE {
            return self.large(progress, buffer, start, limits, batch);
        }
        let first = batch.spans.len();
        progress.walk(buffer, start, limits, |span| batch.spans.push(span))?;
        if progress.remaining > 0 {
            batch.spans.truncate(first);
            return Ok(self.incomplete(progress, batch));
        }
        let end = start + progress.position;
        batch.requests.push(Request {
            first,
            count: progress.count,
            end,
        });
        Ok(Parsed::Complete(end))
    }

    /// One command of many arguments, or which came in parts: its spans are made once it is complete.
    #[cold]
    fn large(
        &mut self,
        mut progress: Progress,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Parsed, ProtocolError> {
        if !batch.is_empty() {
            return Ok(Parsed::Left);
        }
        progress.walk(buffer, start, limits, |_| ())?;
        if progress.memory() > limits.request_bytes_max {
            return breach(TOO_LARGE);
        }
        if progress.remaining > 0 {
            return Ok(self.incomplete(progress, batch));
        }
        // What was checked is not checked again: the limits may have changed since.
        let unlimited = Limits {
            bulk_bytes_max: usize::MAX / 2,
            ..Limits::default()
        };
        let first = batch.spans.len();
        batch.spans.reserve_exact(progress.count);
        let mut again = Progress::default();
        again.begin(buffer, start, &unlimited)?;
        again.walk(buffer, start, &unlimited, |span| batch.spans.push(span))?;
        debug_assert_eq!(again.position, progress.position);
        let end = start + progress.position;
        batch.requests.push(Request {
            first,
            count: batch.spans.len() - first,
            end,
        });
        Ok(Parsed::Complete(end))
    }

    fn incomplete(&mut self, progress: Progress, batch: &Batch) -> Parsed {
        if batch.is_empty() {
            self.progress = progress;
        }
        Parsed::Incomplete
    }

    /// One inline command: words on a line, with quotes.
    #[cold]
    fn inline(
        &mut self,
        progress: Progress,
        buffer: &[u8],
        start: usize,
        batch: &mut Batch,
    ) -> Result<Parsed, ProtocolError> {
        let rest = &buffer[start..];
        let from = progress.searched.min(rest.len());
        let Some(newline) = memchr::memchr(b'\n', &rest[from..]) else {
            if rest.len() > INLINE_BYTES_MAX {
                return breach("too big inline request");
            }
            let searched = Progress {
                searched: rest.len(),
                ..progress
            };
            return Ok(self.incomplete(searched, batch));
        };
        let line = &rest[..from + newline];
        let end = start + line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
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
        Ok(Parsed::Complete(end))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
