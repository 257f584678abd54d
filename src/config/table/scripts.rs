//! Scripts: how long, and how much memory.

use super::super::directive::{Directive, number_at};

const I64: i128 = i64::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::number("busy-reply-threshold", number_at!(busy_reply_threshold_ms), 0, I64,
        "Milliseconds that a script runs until clients that need its shards are answered BUSY; 0: they wait.").alias("lua-time-limit"),
    D::memory("script-memory-limit", number_at!(script_memory_limit), 0, u64::MAX as i128,
        "Bytes that Lua may take for a script's values: past it the script gets an error; 0: no limit."),
];
