//! Memory: the limit, freeing in the background, compact encodings.

use super::super::directive::{Directive, at, choice_at, number_at};

const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::memory("maxmemory", number_at!(maxmemory), 0, u64::MAX as i128,
        "Bytes of memory above which writes that need more are refused; 0: no limit."),
    choice_at!("maxmemory-policy", MaxmemoryPolicy, maxmemory_policy,
        "What goes when memory is full; with a limit, only noeviction is possible so far."),
    D::number("lfu-log-factor", number_at!(lfu_log_factor), 0, I32,
        "How slowly access counters grow."),
    D::number("lfu-decay-time", number_at!(lfu_decay_time), 0, I32,
        "Minutes after which access counters shrink by one."),
    D::yes_no("lazyfree-lazy-expire", at!(lazyfree_lazy_expire),
        "Free expired values in the background."),
    D::yes_no("lazyfree-lazy-server-del", at!(lazyfree_lazy_server_del),
        "Free overwritten values in the background."),
    D::yes_no("lazyfree-lazy-user-flush", at!(lazyfree_lazy_user_flush),
        "Make FLUSHDB and FLUSHALL free in the background unless SYNC is said."),
    D::number("hash-max-listpack-entries", number_at!(encodings.hash_max_listpack_entries), 0, I64,
        "Fields up to which a hash is kept in its compact form.").alias("hash-max-ziplist-entries"),
    D::memory("hash-max-listpack-value", number_at!(encodings.hash_max_listpack_value), 0, I64,
        "Bytes of a field or value up to which a hash is kept in its compact form.").alias("hash-max-ziplist-value"),
    D::number("list-max-listpack-size", number_at!(encodings.list_max_listpack_size), i32::MIN as i128, I32,
        "Size of a list's nodes: entries if positive; -1 to -5: 4, 8, 16, 32, 64 kb.").alias("list-max-ziplist-size"),
    D::number("set-max-intset-entries", number_at!(encodings.set_max_intset_entries), 0, I64,
        "Members up to which a set of integers is kept in its compact form."),
    D::number("set-max-listpack-entries", number_at!(encodings.set_max_listpack_entries), 0, I64,
        "Members up to which another set is kept in its compact form."),
    D::memory("set-max-listpack-value", number_at!(encodings.set_max_listpack_value), 0, I64,
        "Bytes of a member up to which a set is kept in its compact form."),
    D::number("zset-max-listpack-entries", number_at!(encodings.zset_max_listpack_entries), 0, I64,
        "Members up to which a sorted set is kept in its compact form.").alias("zset-max-ziplist-entries"),
    D::memory("zset-max-listpack-value", number_at!(encodings.zset_max_listpack_value), 0, I64,
        "Bytes of a member up to which a sorted set is kept in its compact form.").alias("zset-max-ziplist-value"),
    D::memory("hll-sparse-max-bytes", number_at!(hll_sparse_max_bytes), 0, I64,
        "Bytes up to which a HyperLogLog is kept in its sparse form."),
    D::memory("stream-node-max-bytes", number_at!(encodings.stream_node_max_bytes), 0, I64,
        "Bytes of a stream's nodes; 0, and more than 64 kb: 64 kb."),
    D::number("stream-node-max-entries", number_at!(encodings.stream_node_max_entries), 0, I64,
        "Entries of a stream's nodes; 0: no limit."),
];
