//! Requests that a server keeps waiting for the work that it does, told from those that a busy machine keeps waiting.

use std::time::{Duration, Instant};

use super::{RawReply, RespClient, Server};

/// Waits below this are not looked into: reading the processor time costs more than most requests.
const SHORT: Duration = Duration::from_millis(100);

/// Asks a server small things, one at a time.
#[derive(Debug)]
pub struct StallProbe<'s> {
    server: &'s Server,
    client: RespClient,
    processor_before: Duration,
    /// How long each request took.
    pub taken: Vec<Duration>,
    /// The longest that one took, of which the server was at work.
    pub worst: Duration,
}

impl StallProbe<'_> {
    pub fn new(server: &Server) -> StallProbe<'_> {
        StallProbe {
            server,
            client: server.client(),
            processor_before: server.processor_time(),
            taken: Vec::new(),
            worst: Duration::ZERO,
        }
    }

    /// One request. A long wait during which the server had no processor to work with is not its own.
    pub fn call(&mut self, command: &[&str]) -> RawReply {
        let start = Instant::now();
        let reply = self.client.call(command);
        let took = start.elapsed();
        self.taken.push(took);
        let is_long = took > SHORT;
        if is_long || self.taken.len().is_multiple_of(1000) {
            let processor = self.server.processor_time();
            let worked = processor.saturating_sub(self.processor_before);
            self.processor_before = processor;
            if is_long {
                self.worst = self.worst.max(took.min(worked));
            }
        }
        reply
    }
}
