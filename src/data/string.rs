//! Strings as the keyspace shows them: an integer or bytes, of which long ones can be shared.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A string value in place. Integers are kept as such and formatted when somebody reads them.
#[derive(Clone, Copy, Debug)]
pub enum StrRef<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Long(LongRef<'a>),
}

/// A look at a long string, which the keyspace keeps behind an `Arc`. Whoever holds it to itself keeps it as it is:
/// an edit then copies it first.
#[derive(Clone, Copy, Debug)]
pub struct LongRef<'a> {
    /// What the `Arc` points to.
    bytes: *const Vec<u8>,
    lent: PhantomData<&'a Vec<u8>>,
}

// SAFETY: it is a reference to an `Arc`'s inside, which may be shared among threads.
unsafe impl Send for LongRef<'_> {}
// SAFETY: as above.
unsafe impl Sync for LongRef<'_> {}

impl LongRef<'_> {
    /// # Safety
    /// `bytes` comes from [`Arc::into_raw`], and that `Arc` lives as long as the look.
    pub(crate) unsafe fn new(bytes: *const Vec<u8>) -> Self {
        LongRef {
            bytes,
            lent: PhantomData,
        }
    }

    /// The string, to be held on to.
    pub(crate) fn share(&self) -> Arc<Vec<u8>> {
        // SAFETY: by `new` it is a live `Arc`'s, of which this is one more count.
        unsafe {
            Arc::increment_strong_count(self.bytes);
            Arc::from_raw(self.bytes)
        }
    }
}

impl Deref for LongRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: by `new` it is alive, and nobody writes to it while it is looked at.
        unsafe { &*self.bytes }
    }
}

impl<'a> StrRef<'a> {
    /// Calls `f` with the bytes, formatting an integer on the stack.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            StrRef::Int(n) => f(itoa::Buffer::new().format(*n).as_bytes()),
            StrRef::Bytes(b) => f(b),
            StrRef::Long(b) => f(b),
        }
    }

    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// Length of the string's text, bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            StrRef::Int(n) => itoa::Buffer::new().format(*n).len(),
            StrRef::Bytes(b) => b.len(),
            StrRef::Long(b) => b.len(),
        }
    }

    /// OBJECT ENCODING's name. Redis embeds strings of up to 44 bytes.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            StrRef::Int(_) => "int",
            StrRef::Bytes(_) | StrRef::Long(_) if self.len() <= 44 => "embstr",
            StrRef::Bytes(_) | StrRef::Long(_) => "raw",
        }
    }
}
