//! The format's numbers: opcodes, value types and versions.

/// What the writer makes. Redis 5 and later read it.
pub(crate) const WRITTEN_VERSION: u32 = 10;
/// The newest that the reader takes (Redis 7.4).
pub(crate) const NEWEST_VERSION: u32 = 12;
/// What Valkey counts its own versions from; up to type [`kind::STREAM_LISTPACKS_3`] its values are Redis's.
pub(crate) const VALKEY_VERSIONS: std::ops::RangeInclusive<u32> = 80..=81;
/// From this version on a checksum follows the end mark.
pub(crate) const CHECKSUM_SINCE: u32 = 5;

/// What stands where a value's type may stand.
pub(crate) mod opcode {
    pub(crate) const SLOT_INFO: u8 = 244;
    pub(crate) const FUNCTION2: u8 = 245;
    pub(crate) const FUNCTION_PRE_GA: u8 = 246;
    pub(crate) const MODULE_AUX: u8 = 247;
    pub(crate) const IDLE: u8 = 248;
    pub(crate) const FREQUENCY: u8 = 249;
    pub(crate) const AUX: u8 = 250;
    pub(crate) const RESIZE_DB: u8 = 251;
    pub(crate) const EXPIRE_MS: u8 = 252;
    pub(crate) const EXPIRE_SECONDS: u8 = 253;
    pub(crate) const SELECT_DB: u8 = 254;
    pub(crate) const END: u8 = 255;
}

/// How a value is laid out.
pub(crate) mod kind {
    pub(crate) const STRING: u8 = 0;
    pub(crate) const LIST: u8 = 1;
    pub(crate) const SET: u8 = 2;
    /// Scores as text.
    pub(crate) const ZSET: u8 = 3;
    pub(crate) const HASH: u8 = 4;
    /// Scores as eight bytes.
    pub(crate) const ZSET_2: u8 = 5;
    pub(crate) const MODULE_PRE_GA: u8 = 6;
    pub(crate) const MODULE_2: u8 = 7;
    pub(crate) const HASH_ZIPMAP: u8 = 9;
    pub(crate) const LIST_ZIPLIST: u8 = 10;
    pub(crate) const SET_INTSET: u8 = 11;
    pub(crate) const ZSET_ZIPLIST: u8 = 12;
    pub(crate) const HASH_ZIPLIST: u8 = 13;
    /// Nodes are ziplists.
    pub(crate) const LIST_QUICKLIST: u8 = 14;
    pub(crate) const STREAM_LISTPACKS: u8 = 15;
    pub(crate) const HASH_LISTPACK: u8 = 16;
    pub(crate) const ZSET_LISTPACK: u8 = 17;
    /// Nodes are listpacks or single elements.
    pub(crate) const LIST_QUICKLIST_2: u8 = 18;
    pub(crate) const STREAM_LISTPACKS_2: u8 = 19;
    pub(crate) const SET_LISTPACK: u8 = 20;
    pub(crate) const STREAM_LISTPACKS_3: u8 = 21;
    pub(crate) const HASH_EXPIRING_PRE_GA: u8 = 22;
    pub(crate) const HASH_LISTPACK_EXPIRING_PRE_GA: u8 = 23;
    pub(crate) const HASH_EXPIRING: u8 = 24;
    pub(crate) const HASH_LISTPACK_EXPIRING: u8 = 25;
}

/// What a node of a [`kind::LIST_QUICKLIST_2`] holds.
pub(crate) mod node {
    pub(crate) const PLAIN: u64 = 1;
    pub(crate) const PACKED: u64 = 2;
}

/// What stands before each part of a module's data.
pub(crate) mod module {
    pub(crate) const END: u64 = 0;
    pub(crate) const SIGNED: u64 = 1;
    pub(crate) const UNSIGNED: u64 = 2;
    pub(crate) const FLOAT: u64 = 3;
    pub(crate) const DOUBLE: u64 = 4;
    pub(crate) const STRING: u64 = 5;
}

/// A value type's name for people; None if no version up to [`NEWEST_VERSION`] knows it.
pub(crate) fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        kind::STRING => "string",
        kind::LIST => "list",
        kind::SET => "set",
        kind::ZSET => "sorted set (text scores)",
        kind::HASH => "hash",
        kind::ZSET_2 => "sorted set",
        kind::MODULE_PRE_GA => "module value (pre-release form)",
        kind::MODULE_2 => "module value",
        kind::HASH_ZIPMAP => "hash (zipmap)",
        kind::LIST_ZIPLIST => "list (ziplist)",
        kind::SET_INTSET => "set (intset)",
        kind::ZSET_ZIPLIST => "sorted set (ziplist)",
        kind::HASH_ZIPLIST => "hash (ziplist)",
        kind::LIST_QUICKLIST => "list (quicklist of ziplists)",
        kind::STREAM_LISTPACKS => "stream",
        kind::HASH_LISTPACK => "hash (listpack)",
        kind::ZSET_LISTPACK => "sorted set (listpack)",
        kind::LIST_QUICKLIST_2 => "list (quicklist of listpacks)",
        kind::STREAM_LISTPACKS_2 => "stream (version 2)",
        kind::SET_LISTPACK => "set (listpack)",
        kind::STREAM_LISTPACKS_3 => "stream (version 3)",
        kind::HASH_EXPIRING_PRE_GA | kind::HASH_EXPIRING => "hash with expiring fields",
        kind::HASH_LISTPACK_EXPIRING_PRE_GA | kind::HASH_LISTPACK_EXPIRING => {
            "hash with expiring fields (listpack)"
        }
        _ => return None,
    })
}

/// A module type's nine-character name, which its 64-bit id spells in 54 bits.
pub(crate) fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9)
        .map(|i| {
            let six = id >> (10 + 6 * (8 - i)) & 63;
            char::from(LETTERS[six as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_names() {
        // "AAAAAAAAB" with encoding version 3.
        assert_eq!(module_name(1 << 10 | 3), "AAAAAAAAB");
        assert_eq!(module_name(u64::MAX), "_________");
    }
}
