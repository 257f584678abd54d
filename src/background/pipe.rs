//! A bounded byte pipe from an arbiter to a thread: the arbiter never blocks (it asks for room and is woken
//! when there is some), the thread reads as from a file and blocks.
//!
//! A full sync's dump goes through one of these from the link to the loader. Closing it with an error makes
//! the reader's next read fail; dropping the reader makes the writer's pushes no-ops.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::task::Waker;

use bytes::{Buf, Bytes};

use crate::locks::{Condvar, Mutex};

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Set when no more comes: whole, or broken off for a reason.
    end: Option<Result<(), String>>,
    writer: Option<Waker>,
    reader_gone: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    readable: Condvar,
    limit: usize,
}

/// The arbiter's end.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    shared: Arc<Shared>,
}

/// The thread's end.
#[derive(Debug)]
pub(crate) struct PipeReader {
    shared: Arc<Shared>,
    chunk: Bytes,
}

/// A pipe that is full when it holds `limit` bytes or more.
pub(crate) fn pipe(limit: usize) -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Shared {
        limit,
        ..Shared::default()
    });
    let reader = PipeReader {
        shared: shared.clone(),
        chunk: Bytes::new(),
    };
    (PipeWriter { shared }, reader)
}

impl PipeWriter {
    /// Whether more should be pushed; if not, `waker` is woken when that changes.
    pub(crate) fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.shared.state.lock();
        if state.bytes < self.shared.limit || state.reader_gone {
            return true;
        }
        state.writer = Some(waker.clone());
        false
    }

    pub(crate) fn push(&self, bytes: Bytes) {
        let mut state = self.shared.state.lock();
        if !state.reader_gone && state.end.is_none() && !bytes.is_empty() {
            state.bytes += bytes.len();
            state.chunks.push_back(bytes);
            self.shared.readable.notify_one();
        }
    }

    /// No more comes.
    pub(crate) fn close(&self, end: Result<(), String>) {
        let mut state = self.shared.state.lock();
        state.end.get_or_insert(end);
        self.shared.readable.notify_one();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.close(Err("the transfer was given up".into()));
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let mut state = self.shared.state.lock();
            loop {
                if let Some(Err(error)) = &state.end {
                    return Err(io::Error::other(error.clone()));
                }
                if let Some(chunk) = state.chunks.pop_front() {
                    state.bytes -= chunk.len();
                    self.chunk = chunk;
                    if state.bytes < self.shared.limit
                        && let Some(waker) = state.writer.take()
                    {
                        waker.wake();
                    }
                    break;
                }
                if state.end.is_some() {
                    return Ok(0);
                }
                self.shared.readable.wait(&mut state);
            }
        }
        let n = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.reader_gone = true;
        state.chunks.clear();
        state.bytes = 0;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_the_end_is_told() {
        let (writer, mut reader) = pipe(4);
        assert!(writer.has_room(Waker::noop()));
        writer.push(Bytes::from_static(b"hello "));
        assert!(!writer.has_room(Waker::noop()));
        let thread = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        writer.push(Bytes::from_static(b"world"));
        writer.close(Ok(()));
        assert_eq!(thread.join().unwrap().unwrap(), "hello world");
        assert!(writer.has_room(Waker::noop()));
    }

    #[test]
    fn a_dropped_writer_is_an_error() {
        let (writer, mut reader) = pipe(4);
        writer.push(Bytes::from_static(b"hel"));
        drop(writer);
        assert!(reader.read(&mut [0; 8]).is_err());
    }
}
