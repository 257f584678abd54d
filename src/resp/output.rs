//! Bytes on their way to a client: whole pieces, then a tail that grows.
//!
//! What a client usually has waiting is short and stays in the tail, one buffer. A tail that has reached the
//! size of a chunk becomes a piece, and a new one is begun: so output of any size is written once, never
//! copied again to make room for more, and freed piece by piece as the socket takes it. Large values and
//! published messages are pieces that are shared with whoever else holds them.
//!
//! Invariants: the order of the bytes is that of the pieces, then the tail; no piece is empty, and there is
//! no empty list of pieces; `Pieces::bytes` is their sum.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// A tail of this size becomes a piece when more has to be written, bytes.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// Below this a tail grows by copying, and what has to be written is no reason for a new chunk, bytes.
const SMALL_BYTES: usize = CHUNK_BYTES / 4;
/// Shorter messages are copied: to hold a reference to one costs as much, bytes.
const SHARED_BYTES_MIN: usize = 512;
/// A tail's first buffer, bytes.
const FIRST_BYTES: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pieces: Option<Box<Pieces>>,
    pub(super) tail: BytesMut,
}

#[derive(Clone, Debug, Default)]
struct Pieces {
    queue: VecDeque<Bytes>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.queue.push_back(piece);
    }
}

impl Output {
    /// Bytes that wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.in_pieces() + self.tail.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_none() && self.tail.is_empty()
    }

    /// Those of them that are in pieces.
    #[inline]
    pub(crate) fn in_pieces(&self) -> usize {
        self.pieces.as_ref().map_or(0, |pieces| pieces.bytes)
    }

    /// How many pieces there are, the tail not counted.
    #[inline]
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.as_ref().map_or(0, |pieces| pieces.queue.len())
    }

    /// The bytes if they are in one buffer, as most replies are.
    #[inline]
    pub(crate) fn as_one(&self) -> Option<&[u8]> {
        self.pieces.is_none().then_some(&self.tail[..])
    }

    /// All of the bytes in one buffer.
    pub(crate) fn into_bytes(self) -> BytesMut {
        let Some(pieces) = self.pieces else {
            return self.tail;
        };
        let mut all = BytesMut::with_capacity(pieces.bytes + self.tail.len());
        for piece in &pieces.queue {
            all.extend_from_slice(piece);
        }
        all.extend_from_slice(&self.tail);
        all
    }

    /// The byte at a position.
    #[inline]
    pub(crate) fn byte_at(&self, position: usize) -> Option<u8> {
        match position.checked_sub(self.in_pieces()) {
            Some(at) => self.tail.get(at).copied(),
            None => self.piece_byte_at(position),
        }
    }

    fn piece_byte_at(&self, position: usize) -> Option<u8> {
        let mut left = position;
        for piece in self.pieces.iter().flat_map(|pieces| &pieces.queue) {
            match piece.get(left) {
                Some(byte) => return Some(*byte),
                None => left -= piece.len(),
            }
        }
        None
    }

    /// Adds a copy of the bytes.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
    }

    /// Adds the bytes without copying them, if they are long enough for that to pay.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.put(&bytes);
        } else {
            self.seal();
            self.pieces.get_or_insert_default().push(bytes);
        }
    }

    /// Adds all that `other` holds. What is short is copied, the rest moved.
    pub(crate) fn append(&mut self, other: Output) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let Output { pieces, tail } = other;
        if let Some(more) = pieces {
            self.seal();
            match &mut self.pieces {
                None => self.pieces = Some(more),
                Some(pieces) => more.queue.into_iter().for_each(|piece| pieces.push(piece)),
            }
        }
        if self.tail.is_empty() {
            self.tail = tail;
        } else if tail.len() < SMALL_BYTES {
            self.put(&tail);
        } else {
            self.seal();
            self.tail = tail;
        }
    }

    /// Takes all that `other` holds, and leaves it its buffer to go on with. What is short is copied, so that
    /// it doesn't keep the buffer that it stands in.
    pub(crate) fn take_from(&mut self, other: &mut Output) {
        for piece in other.pieces.take().into_iter().flat_map(|p| p.queue) {
            if piece.len() < SMALL_BYTES {
                self.put(&piece);
            } else {
                self.seal();
                self.pieces.get_or_insert_default().push(piece);
            }
        }
        if other.tail.len() < SMALL_BYTES {
            self.put(&other.tail);
            other.tail.clear();
        } else {
            self.seal();
            let piece = other.tail.split().freeze();
            self.pieces.get_or_insert_default().push(piece);
        }
    }

    /// Cuts it down to its first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        let in_pieces = self.in_pieces();
        if len >= in_pieces {
            self.tail.truncate(len - in_pieces);
            return;
        }
        self.tail.clear();
        let Some(pieces) = &mut self.pieces else {
            return;
        };
        while pieces.bytes > len {
            let Some(mut last) = pieces.queue.pop_back() else {
                break;
            };
            pieces.bytes -= last.len();
            if pieces.bytes < len {
                last.truncate(len - pieces.bytes);
                pieces.push(last);
            }
        }
        if pieces.bytes == 0 {
            self.pieces = None;
        }
    }

    /// Inserts bytes before those at a position, without moving more than a chunk.
    pub(crate) fn insert(&mut self, position: usize, bytes: &[u8]) {
        let in_pieces = self.in_pieces();
        if position >= in_pieces {
            let at = (position - in_pieces).min(self.tail.len());
            if self.tail.len() < SMALL_BYTES || self.spare() >= bytes.len() {
                self.tail.extend_from_slice(bytes);
                self.tail[at..].rotate_right(bytes.len());
                return;
            }
            let rest = self.tail.split_off(at);
            self.seal();
            let pieces = self.pieces.get_or_insert_default();
            pieces.push(Bytes::copy_from_slice(bytes));
            self.tail = rest;
            return;
        }
        let Some(pieces) = &mut self.pieces else {
            return;
        };
        let (mut index, mut at) = (0, position);
        while at >= pieces.queue[index].len() {
            at -= pieces.queue[index].len();
            index += 1;
        }
        if at > 0 {
            let rest = pieces.queue[index].split_off(at);
            index += 1;
            pieces.queue.insert(index, rest);
        }
        pieces.queue.insert(index, Bytes::copy_from_slice(bytes));
        pieces.bytes += bytes.len();
    }

    /// The first `n` bytes are gone.
    #[inline]
    pub(crate) fn advance(&mut self, mut n: usize) {
        if self.pieces.is_some() {
            n = self.advance_pieces(n);
        }
        if n < self.tail.len() {
            self.tail.advance(n);
        } else {
            // Unlike `advance` it keeps the room that was written to.
            self.tail.clear();
        }
    }

    /// How many of the `n` bytes were not in pieces.
    fn advance_pieces(&mut self, mut n: usize) -> usize {
        while let Some(pieces) = &mut self.pieces {
            let Some(front) = pieces.queue.front_mut() else {
                break;
            };
            if n < front.len() {
                front.advance(n);
                pieces.bytes -= n;
                return 0;
            }
            n -= front.len();
            pieces.bytes -= front.len();
            pieces.queue.pop_front();
            if pieces.queue.is_empty() {
                self.pieces = None;
            }
        }
        n
    }

    /// Fills `slices` with the bytes from the first one on, as many as fit; how many slices that are.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().flat_map(|pieces| &pieces.queue);
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(pieces.map(|p| &p[..]).chain(tail)) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// Forgets all of it; the tail's buffer is kept.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.pieces = None;
        self.tail.clear();
    }

    /// Makes sure that there is a whole chunk to write to. It must be empty.
    pub(crate) fn keep_chunk(&mut self) {
        debug_assert!(self.is_empty());
        if self.tail.capacity() < CHUNK_BYTES / 2 {
            self.tail = BytesMut::with_capacity(CHUNK_BYTES);
        }
    }

    #[inline]
    pub(super) fn spare(&self) -> usize {
        self.tail.capacity() - self.tail.len()
    }

    /// The tail, with room for so many more bytes.
    #[inline]
    pub(super) fn room(&mut self, more: usize) -> &mut BytesMut {
        if self.spare() < more {
            self.make_room(more);
        }
        &mut self.tail
    }

    #[cold]
    fn make_room(&mut self, more: usize) {
        let len = self.tail.len();
        if len < SMALL_BYTES && more < SMALL_BYTES {
            // `reserve` at least doubles the buffer.
            self.tail.reserve(more.max(FIRST_BYTES));
        } else {
            self.seal();
            let room = if more < SMALL_BYTES {
                CHUNK_BYTES
            } else {
                more
            };
            self.tail = BytesMut::with_capacity(room);
        }
    }

    /// Makes a piece of the tail.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.pieces.get_or_insert_default().push(piece);
        }
    }
}

impl From<BytesMut> for Output {
    fn from(tail: BytesMut) -> Output {
        Output { pieces: None, tail }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize),
        Share(usize),
        Append(Vec<(bool, usize)>),
        TakeFrom(Vec<(bool, usize)>),
        Insert(prop::sample::Index),
        Truncate(prop::sample::Index),
        Advance(prop::sample::Index),
        Clear,
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![
            6 => 0usize..700,
            2 => 0usize..30_000,
            1 => 60_000usize..150_000,
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let parts = || prop::collection::vec((any::<bool>(), size()), 0..6);
        prop_oneof![
            6 => size().prop_map(Step::Put),
            3 => size().prop_map(Step::Share),
            2 => parts().prop_map(Step::Append),
            2 => parts().prop_map(Step::TakeFrom),
            2 => any::<prop::sample::Index>().prop_map(Step::Insert),
            1 => any::<prop::sample::Index>().prop_map(Step::Truncate),
            2 => any::<prop::sample::Index>().prop_map(Step::Advance),
            1 => Just(Step::Clear),
        ]
    }

    /// Bytes that differ from those before.
    struct Source(u32);

    impl Source {
        fn bytes(&mut self, len: usize) -> Vec<u8> {
            self.0 = self.0.wrapping_add(1);
            let seed = self.0;
            (0..len as u32)
                .map(|n| (n.wrapping_mul(31) ^ seed.wrapping_mul(131) ^ (n >> 8)) as u8)
                .collect()
        }

        fn output(&mut self, parts: &[(bool, usize)]) -> (Output, Vec<u8>) {
            let (mut output, mut model) = (Output::default(), Vec::new());
            for (shared, len) in parts {
                let bytes = self.bytes(*len);
                model.extend_from_slice(&bytes);
                if *shared {
                    output.share(bytes.into());
                } else {
                    output.put(&bytes);
                }
            }
            (output, model)
        }
    }

    fn check(output: &Output, model: &[u8]) {
        assert_eq!(output.len(), model.len());
        assert_eq!(output.is_empty(), model.is_empty());
        let mut slices = vec![IoSlice::new(&[]); output.pieces() + 2];
        let count = output.slices(&mut slices);
        let all: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|s| s.iter().copied())
            .collect();
        assert!(slices[..count].iter().all(|s| !s.is_empty()));
        assert_eq!(all, model);
        assert_eq!(output.in_pieces() + output.tail.len(), model.len());
        assert_eq!(&output.clone().into_bytes()[..], model);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn behaves_as_one_buffer(steps in prop::collection::vec(step(), 1..40)) {
            let mut source = Source(0);
            let (mut output, mut model) = (Output::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Put(len) => {
                        let bytes = source.bytes(len);
                        output.put(&bytes);
                        model.extend_from_slice(&bytes);
                    }
                    Step::Share(len) => {
                        let bytes = source.bytes(len);
                        model.extend_from_slice(&bytes);
                        output.share(bytes.into());
                    }
                    Step::Append(parts) => {
                        let (other, bytes) = source.output(&parts);
                        output.append(other);
                        model.extend_from_slice(&bytes);
                    }
                    Step::TakeFrom(parts) => {
                        let (mut other, bytes) = source.output(&parts);
                        output.take_from(&mut other);
                        prop_assert!(other.is_empty());
                        model.extend_from_slice(&bytes);
                    }
                    Step::Insert(at) => {
                        let at = at.index(model.len() + 1);
                        let bytes = source.bytes(7);
                        output.insert(at, &bytes);
                        model.splice(at..at, bytes);
                    }
                    Step::Truncate(at) => {
                        let len = at.index(model.len() + 2);
                        output.truncate(len);
                        model.truncate(len);
                    }
                    Step::Advance(at) => {
                        let n = at.index(model.len() + 1);
                        output.advance(n);
                        model.drain(..n);
                    }
                    Step::Clear => {
                        output.clear();
                        model.clear();
                    }
                }
                check(&output, &model);
                let at = model.len() / 2;
                prop_assert_eq!(output.byte_at(at), model.get(at).copied());
            }
        }
    }

    #[test]
    fn what_waits_is_not_copied_to_make_room_for_more() {
        let mut output = Output::default();
        while output.len() < 40 * CHUNK_BYTES {
            output.put(&[7; 1000]);
        }
        // Chunks that are full, and whose buffers hold nothing else.
        assert!(output.pieces() > 35 && output.pieces() < 45);
        assert!(output.tail.capacity() <= CHUNK_BYTES);
    }

    #[test]
    fn long_messages_are_shared_and_short_ones_copied() {
        let (short, long) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 1000]));
        let (mut a, mut b) = (Output::default(), Output::default());
        for output in [&mut a, &mut b] {
            output.share(short.clone());
            output.share(long.clone());
        }
        let held = |output: &Output| output.pieces.as_ref().map(|p| p.queue[1].as_ptr());
        assert_eq!(held(&a), Some(long.as_ptr()));
        assert_eq!(held(&a), held(&b));
    }
}
