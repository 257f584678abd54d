//! Value containers: what a key can hold. No RESP, no IO, no clock, no knowledge of commands.
//!
//! Every container starts in the compact encoding that Redis uses for small collections (listpack,
//! intset) and moves to its large form when a threshold of [`Encodings`] is passed. Large forms are made
//! of bounded, reference-counted nodes, so that `clone()` of a collection of any size is a clone of its
//! directory (copy-on-write): that is what lets a snapshot keep a huge collection as it was at the cut
//! while writes go on, without any request copying it.

pub(crate) mod bits;
pub(crate) mod blob;
mod counted;
mod field_moments;
pub(crate) mod flat;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod hashing;
pub(crate) mod hyperloglog;
pub(crate) mod intset;
pub(crate) mod list;
pub(crate) mod list_node;
pub(crate) mod listpack;
pub(crate) mod member;
pub(crate) mod ordered;
pub(crate) mod pack;
pub(crate) mod pieces;
pub(crate) mod prefetch;
pub(crate) mod quicklist;
mod segment;
pub(crate) mod segtable;
pub(crate) mod set;
pub(crate) mod shared_vec;
pub(crate) mod stream;
pub(crate) mod string;
mod tagged_pointer;
pub(crate) mod zset;
pub(crate) mod zset_range;

pub(crate) use hash::Hash;
pub(crate) use list::List;
pub(crate) use set::Set;
pub(crate) use stream::Stream;
pub(crate) use string::StrRef;
pub(crate) use zset::Zset;

/// An owned value, on its way into or out of the keyspace (RDB load, RENAME, COPY, RESTORE).
#[derive(Clone, Debug)]
pub enum Value {
    /// A string. Strings that spell a 64-bit integer canonically are kept as integers by the keyspace.
    String(Vec<u8>),
    List(Box<List>),
    Set(Set),
    Hash(Hash),
    Zset(Zset),
    Stream(Box<Stream>),
}

/// A borrowed look at a value in the keyspace.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    String(StrRef<'a>),
    List(&'a List),
    Set(&'a Set),
    Hash(&'a Hash),
    Zset(&'a Zset),
    Stream(&'a Stream),
}

/// A mutable look at a collection in the keyspace. Strings change through the keyspace, which owns
/// their bytes inside the key's own record.
#[derive(Debug)]
pub(crate) enum ValueMut<'a> {
    String(StrRef<'a>),
    List(&'a mut List),
    Set(&'a mut Set),
    Hash(&'a mut Hash),
    Zset(&'a mut Zset),
    Stream(&'a mut Stream),
}

/// The type names that TYPE and SCAN ... TYPE speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    List,
    Set,
    Hash,
    Zset,
    Stream,
}

impl Kind {
    /// The name in replies, as TYPE gives it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::Zset => "zset",
            Kind::Stream => "stream",
        }
    }
}

impl Value {
    /// A look at it.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::String(s) => ValueRef::String(StrRef::Bytes(s)),
            Value::List(l) => ValueRef::List(l),
            Value::Set(s) => ValueRef::Set(s),
            Value::Hash(h) => ValueRef::Hash(h),
            Value::Zset(z) => ValueRef::Zset(z),
            Value::Stream(s) => ValueRef::Stream(s),
        }
    }
}

impl ValueRef<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            ValueRef::String(_) => Kind::String,
            ValueRef::List(_) => Kind::List,
            ValueRef::Set(_) => Kind::Set,
            ValueRef::Hash(_) => Kind::Hash,
            ValueRef::Zset(_) => Kind::Zset,
            ValueRef::Stream(_) => Kind::Stream,
        }
    }

    /// An owned copy; for collections in their large form the nodes are shared, not copied.
    pub(crate) fn to_value(self) -> Value {
        match self {
            ValueRef::String(s) => Value::String(s.to_vec()),
            ValueRef::List(l) => Value::List(Box::new((*l).clone())),
            ValueRef::Set(s) => Value::Set((*s).clone()),
            ValueRef::Hash(h) => Value::Hash((*h).clone()),
            ValueRef::Zset(z) => Value::Zset((*z).clone()),
            ValueRef::Stream(s) => Value::Stream(Box::new((*s).clone())),
        }
    }

    /// The name OBJECT ENCODING gives ("int", "embstr", "raw", "listpack", "quicklist", "intset",
    /// "hashtable", "skiplist", "stream"), by the rules of Redis 7.2.
    pub fn encoding(&self) -> &'static str {
        match self {
            ValueRef::String(s) => s.encoding(),
            ValueRef::List(l) => l.encoding(),
            ValueRef::Set(s) => s.encoding(),
            ValueRef::Hash(h) => h.encoding(),
            ValueRef::Zset(z) => z.encoding(),
            ValueRef::Stream(_) => "stream",
        }
    }
}

/// The thresholds at which collections leave their compact encoding; the directives of the same names.
#[derive(Clone, Copy, Debug)]
pub struct Encodings {
    pub hash_max_listpack_entries: usize,
    pub hash_max_listpack_value: usize,
    /// Positive: entries per node; -1..-5: 4, 8, 16, 32, 64 KB per node.
    pub list_max_listpack_size: i32,
    pub set_max_intset_entries: usize,
    pub set_max_listpack_entries: usize,
    pub set_max_listpack_value: usize,
    pub zset_max_listpack_entries: usize,
    pub zset_max_listpack_value: usize,
    /// When a stream's node is full: bytes and entries; 0: no limit.
    pub stream_node_max_bytes: usize,
    pub stream_node_max_entries: usize,
    /// Seeds the hash of members and fields in large collections; a node draws it at start, so that
    /// nobody outside can choose members that collide. No directive.
    pub hash_seed: u64,
}

impl Default for Encodings {
    fn default() -> Self {
        Encodings {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hash_seed: 0x5EED,
        }
    }
}
