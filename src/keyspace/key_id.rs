//! A key of a database, as the id under which something is kept beside the dataset.

use bytes::Bytes;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId {
    pub(crate) db: usize,
    pub(crate) key: Bytes,
}

/// The same, borrowed, for looking up. It hashes alike: `Bytes` hashes as its slice.
#[derive(Hash)]
pub struct KeyIdRef<'a> {
    pub(crate) db: usize,
    pub(crate) key: &'a [u8],
}

impl hashbrown::Equivalent<KeyId> for KeyIdRef<'_> {
    fn equivalent(&self, owned: &KeyId) -> bool {
        self.db == owned.db && self.key == &owned.key[..]
    }
}

impl From<&KeyIdRef<'_>> for KeyId {
    fn from(id: &KeyIdRef<'_>) -> KeyId {
        KeyId {
            db: id.db,
            key: Bytes::copy_from_slice(id.key),
        }
    }
}
