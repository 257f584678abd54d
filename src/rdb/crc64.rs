//! CRC-64 as RDB files and DUMP payloads carry it: the "Jones" polynomial, reflected, starting at zero.
//!
//! The work is done by carry-less multiplication where the processor has it (crate `crc-fast`), which
//! pays from a few hundred bytes on: feed it whole chunks, not single fields.

use crc_fast::{CrcAlgorithm, Digest};

/// A running checksum over a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc64 {
    digest: Digest,
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

impl Crc64 {
    pub(crate) fn new() -> Crc64 {
        Crc64 {
            digest: Digest::new(CrcAlgorithm::Crc64Redis),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub(crate) fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

/// The checksum of one buffer.
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, from the polynomial's definition.
    fn slow(bytes: &[u8]) -> u64 {
        let mut crc = 0u64;
        for &byte in bytes {
            crc ^= u64::from(byte);
            for _ in 0..8 {
                let low = crc & 1;
                crc >>= 1;
                if low == 1 {
                    // 0xad93d23594c935a9 with its bits reversed.
                    crc ^= 0x95ac_9329_ac4b_c9b5;
                }
            }
        }
        crc
    }

    #[test]
    fn check_value() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn every_length_and_every_cut() {
        let bytes: Vec<u8> = (0..1500u32).map(|i| (i * 131 % 251) as u8).collect();
        for len in (0..300).chain([511, 512, 513, 1024, 1500]) {
            assert_eq!(crc64(&bytes[..len]), slow(&bytes[..len]), "{len}");
        }
        let whole = crc64(&bytes);
        for cut in (0..bytes.len()).step_by(17) {
            let mut crc = Crc64::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            assert_eq!(crc.value(), whole, "{cut}");
        }
    }
}
