//! `replica-load-memory-limit`: a full sync's dump on its way to the loader, given up when what it becomes
//! takes more memory than it may beside the old data.
//!
//! What has been loaded is measured by how much more the allocator has given out since the load began, asked
//! every few megabytes; where nobody knows the allocator (a library without a probe), by the bytes read,
//! which the data takes at least, but for what is compressed.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::node_core::NodeCore;

/// Bytes between two looks at the memory.
const LOOK_BYTES: u64 = 1 << 20;

/// Whether the limit was passed; told to the other side of the loader.
pub(crate) type TooLarge = Arc<AtomicBool>;

/// See the module.
pub(crate) struct Limited<R> {
    input: R,
    node: Arc<NodeCore>,
    /// Bytes; 0: none.
    limit: u64,
    before: u64,
    read: u64,
    looked: u64,
    too_large: TooLarge,
}

impl<R> Limited<R> {
    /// `limit`: bytes; 0: none.
    pub(crate) fn new(input: R, node: Arc<NodeCore>, limit: u64) -> Limited<R> {
        let before = if limit > 0 {
            node.memory.refresh().allocated
        } else {
            0
        };
        Limited {
            input,
            node,
            limit,
            before,
            read: 0,
            looked: 0,
            too_large: TooLarge::default(),
        }
    }

    pub(crate) fn too_large(&self) -> TooLarge {
        self.too_large.clone()
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.read += n as u64;
        if self.limit > 0 && (n == 0 || self.read - self.looked >= LOOK_BYTES) {
            self.looked = self.read;
            let now = self.node.memory.refresh().allocated;
            let taken = match now {
                0 => self.read,
                now => now.saturating_sub(self.before),
            };
            if taken > self.limit {
                self.too_large.store(true, Ordering::Release);
                return Err(io::Error::other(format!(
                    "the data takes more than replica-load-memory-limit ({} bytes) beside the old data",
                    self.limit
                )));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Settings;

    #[test]
    fn reading_ends_when_the_limit_is_passed() {
        let clock = ManualClock::new(0, 1);
        let node = Arc::new(NodeCore::new(clock, Settings::default(), 8, None, None));
        for (limit, fits) in [(0, true), (3 << 20, true), (2 << 20, false)] {
            let bytes = vec![0; 5 << 19];
            let mut limited = Limited::new(&bytes[..], node.clone(), limit);
            let too_large = limited.too_large();
            let result = io::copy(&mut limited, &mut io::sink());
            assert_eq!(result.is_ok(), fits);
            assert_eq!(too_large.load(Ordering::Acquire), !fits);
        }
    }
}
