//! A small blocking client that pipelines and shows replies raw.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::RawReply;

/// How long a reply may take before the test fails.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct RespClient {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` already given out.
    taken: usize,
}

/// A command as the client takes it: `&["SET", "a", "1"]` or vectors of bytes.
pub fn encode<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

impl RespClient {
    pub fn connect(port: u16) -> std::io::Result<RespClient> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(RespClient {
            stream,
            out: Vec::new(),
            input: Vec::new(),
            taken: 0,
        })
    }

    /// Adds a command to the pipeline.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        encode(&mut self.out, args);
    }

    /// Bytes as they are, for protocol tests.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn flush(&mut self) {
        self.try_flush().expect("the server takes our commands");
    }

    pub fn try_flush(&mut self) -> std::io::Result<()> {
        let result = self.stream.write_all(&self.out);
        self.out.clear();
        result
    }

    /// The next reply.
    pub fn read(&mut self) -> RawReply {
        self.try_read().expect("the server answers")
    }

    pub fn try_read(&mut self) -> std::io::Result<RawReply> {
        loop {
            if let Some((reply, length)) = RawReply::read(&self.input[self.taken..]) {
                self.taken += length;
                if self.taken == self.input.len() {
                    self.input.clear();
                    self.taken = 0;
                }
                return Ok(reply);
            }
            self.input.drain(..self.taken);
            self.taken = 0;
            let mut chunk = [0; 64 * 1024];
            let length = self.stream.read(&mut chunk)?;
            if length == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&chunk[..length]);
        }
    }

    /// Sends one command and reads its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> RawReply {
        self.send(args);
        self.flush();
        self.read()
    }

    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> std::io::Result<RawReply> {
        self.send(args);
        self.try_flush()?;
        self.try_read()
    }

    /// Sends commands in one go and reads all replies.
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Vec<RawReply> {
        for command in commands {
            self.send(command);
        }
        // A thread writes while we read: neither side's buffers can then fill up for good.
        let out = std::mem::take(&mut self.out);
        let mut stream = self.stream.try_clone().expect("a socket can be shared");
        std::thread::scope(|scope| {
            if out.len() > 64 * 1024 {
                scope.spawn(move || {
                    stream
                        .write_all(&out)
                        .expect("the server takes our commands")
                });
            } else {
                stream
                    .write_all(&out)
                    .expect("the server takes our commands");
            }
            commands.iter().map(|_| self.read()).collect()
        })
    }

    /// Whether the server closed the connection: nothing comes any more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.try_read(), Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof
            || e.kind() == std::io::ErrorKind::ConnectionReset)
    }

    pub fn set_read_timeout(&self, timeout: Duration) {
        self.stream
            .set_read_timeout(Some(timeout))
            .expect("a timeout can be set");
    }
}
