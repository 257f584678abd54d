//! The header that a [`super::listpack`] and a [`super::pack`] begin with, little-endian: total bytes (u32) and
//! number of elements (u16, 65535: not known).

/// Bytes of the header.
pub(super) const HEADER: usize = 6;
/// The element count that means "not known".
pub(super) const UNKNOWN: u16 = u16::MAX;

/// The whole layout's bytes.
#[inline]
pub(super) fn total(header: &[u8]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize
}

#[inline]
pub(super) fn set_total(header: &mut [u8], total: usize) {
    // Collections leave the encoding long before (`listpack::MAX_BYTES`).
    let total = u32::try_from(total).expect("a run of elements stays under 4 GB");
    header[..4].copy_from_slice(&total.to_le_bytes());
}

/// The number of elements as it is written, [`UNKNOWN`] included.
#[inline]
pub(super) fn stated(header: &[u8]) -> u16 {
    u16::from_le_bytes([header[4], header[5]])
}

/// Writes a number of elements, or [`UNKNOWN`] if it is too large.
pub(super) fn set_count(header: &mut [u8], count: usize) {
    let count = u16::try_from(count).unwrap_or(UNKNOWN);
    header[4..HEADER].copy_from_slice(&count.to_le_bytes());
}

/// So many elements came (or went). What isn't known stays so. Empty bytes have no header to change.
pub(super) fn add_count(bytes: &mut [u8], by: i64) {
    if bytes.is_empty() || stated(bytes) == UNKNOWN {
        return;
    }
    let count = i64::from(stated(bytes)) + by;
    set_count(bytes, count.max(0) as usize);
}
