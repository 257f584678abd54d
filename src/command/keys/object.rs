//! OBJECT: how a value is kept and when it was last used. Looking this way counts as a hit or a miss, and
//! changes nothing.

use crate::command::context::lookup::lfu;
use crate::command::{Context, Handlers};
use crate::config::Settings;
use crate::data::{StrRef, ValueRef};
use crate::keyspace::Entry;
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("object|encoding", encoding),
    ("object|refcount", refcount),
    ("object|idletime", idletime),
    ("object|freq", freq),
    ("object|help", help),
];

/// Redis shares objects of the integers below this.
const SHARED_INTEGERS: i64 = 10_000;
/// The reference count of a shared object.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

fn encoding(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let name = ctx.inspect_entry(args[2]).map(|entry| entry.encoding());
    match name {
        Some(name) => ctx.reply.bulk(name.as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn refcount(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    // With a limit and a policy that needs a use time per value, Redis shares none.
    let policy = ctx.settings.maxmemory_policy;
    let shares = ctx.settings.maxmemory == 0 || !(policy.is_lru() || policy.is_lfu());
    let count = ctx.inspect_entry(args[2]).map(|entry| match entry.value {
        ValueRef::String(StrRef::Int(0..SHARED_INTEGERS)) if shares => SHARED_REFCOUNT,
        _ => 1,
    });
    reply_number(ctx, count)
}

fn idletime(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms;
    let idle = ctx
        .inspect_entry(args[2])
        .map(|entry| idle_s(&entry, now_ms));
    if idle.is_some() && ctx.settings.maxmemory_policy.is_lfu() {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    reply_number(ctx, idle)
}

fn freq(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (now_ms, settings) = (ctx.now_ms, ctx.settings);
    let frequency = ctx
        .inspect_entry(args[2])
        .map(|entry| frequency(&entry, now_ms, settings));
    if frequency.is_some() && !ctx.settings.maxmemory_policy.is_lfu() {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    reply_number(ctx, frequency)
}

fn reply_number(ctx: &mut Context<'_>, number: Option<i64>) -> CommandResult {
    match number {
        Some(number) => ctx.reply.int(number),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Seconds since the last use; the field keeps 24 bits of them.
fn idle_s(entry: &Entry<'_>, now_ms: i64) -> i64 {
    let now_s = (now_ms / 1000) as u32;
    i64::from(now_s.wrapping_sub(entry.lru) & 0xff_ffff)
}

/// The logarithmic use counter, less what has decayed since it was last stamped.
fn frequency(entry: &Entry<'_>, now_ms: i64, settings: &Settings) -> i64 {
    let now_minutes = (now_ms / 60_000) as u32 & 0xffff;
    i64::from(lfu::decay(entry.lru, now_minutes, settings.lfu_decay_time))
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let lines = [
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
    ];
    crate::command::server::help::help(ctx, args, &lines)
}

#[cfg(test)]
mod tests {
    use super::{frequency, idle_s};
    use crate::config::Settings;
    use crate::data::{StrRef, ValueRef};
    use crate::keyspace::Entry;

    fn entry(lru: u32) -> Entry<'static> {
        Entry {
            key: b"k",
            value: ValueRef::String(StrRef::Int(1)),
            expire_at: None,
            lru,
            raw: false,
        }
    }

    #[test]
    fn idle_time_survives_the_clocks_wrap() {
        assert_eq!(idle_s(&entry(10), 25_000), 15);
        assert_eq!(idle_s(&entry(0xff_fff0), 0x100_0000 * 1000 + 5_000), 21);
    }

    #[test]
    fn frequency_decays_by_the_minute() {
        let settings = Settings::default();
        let used = entry(100 << 8 | 9);
        assert_eq!(frequency(&used, 100 * 60_000, &settings), 9);
        assert_eq!(frequency(&used, 104 * 60_000, &settings), 5);
        assert_eq!(frequency(&used, 200 * 60_000, &settings), 0);
        let frozen = Settings {
            lfu_decay_time: 0,
            ..Settings::default()
        };
        assert_eq!(frequency(&used, 200 * 60_000, &frozen), 9);
    }
}
