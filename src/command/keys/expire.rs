//! When keys go: setting, reading and clearing expiries.
//!
//! All that is stored and logged is absolute, in unix milliseconds. A moment that is already past deletes
//! the key at once, but not where another node decides about expiry: while we are a replica, for our
//! master's commands and during loading the past moment is stored, and the DEL comes from the master.

use std::sync::atomic::Ordering;

use crate::command::context::{EventClass, command_name, int_arg};
use crate::command::{Context, Handlers};
use crate::resp::reply::error_text;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("expire", expire),
    ("pexpire", pexpire),
    ("expireat", expireat),
    ("pexpireat", pexpireat),
    ("ttl", ttl),
    ("pttl", pttl),
    ("expiretime", expiretime),
    ("pexpiretime", pexpiretime),
    ("persist", persist),
];

/// Whether a key given this expiry is to be deleted at once.
pub(in crate::command) fn is_past(ctx: &Context<'_>, at: i64) -> bool {
    at <= ctx.now_ms
        && !ctx.is_from_master()
        && !ctx.node.hub.is_replica()
        && !ctx.node.loading.load(Ordering::Relaxed)
}

/// Deletes a key whose new expiry is past. The effect says so, not when.
pub(in crate::command) fn delete_past(ctx: &mut Context<'_>, key: &[u8]) {
    ctx.delete(key);
    ctx.changed(key, EventClass::Generic, "del");
    let name = match ctx.settings.lazyfree_lazy_expire {
        true => b"UNLINK".as_slice(),
        false => b"DEL",
    };
    ctx.effects.replace(&[name, key]);
}

/// Clears a key's expiry; false if it had none.
pub(in crate::command) fn clear(ctx: &mut Context<'_>, key: &[u8]) -> bool {
    let has_expiry = ctx
        .peek_entry(key)
        .is_some_and(|entry| entry.expire_at.is_some());
    has_expiry && ctx.set_expire(key, None)
}

/// NX, XX, GT, LT.
#[derive(Debug, Default)]
struct Conditions {
    if_none: bool,
    if_any: bool,
    if_greater: bool,
    if_less: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> CommandResult<Conditions> {
        let mut conditions = Conditions::default();
        for word in words {
            match *word {
                w if is_word(w, "nx") => conditions.if_none = true,
                w if is_word(w, "xx") => conditions.if_any = true,
                w if is_word(w, "gt") => conditions.if_greater = true,
                w if is_word(w, "lt") => conditions.if_less = true,
                w => {
                    let word = error_text(w);
                    return Err(CommandError::err(format_args!("Unsupported option {word}")));
                }
            }
        }
        let Conditions {
            if_none,
            if_any,
            if_greater,
            if_less,
        } = conditions;
        if if_none && (if_any || if_greater || if_less) {
            return Err(CommandError::fixed(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if if_greater && if_less {
            return Err(CommandError::fixed(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether the change is wanted. No expiry counts as endless for GT and LT.
    fn allow(&self, current: Option<i64>, new: i64) -> bool {
        let greater = current.is_some_and(|at| new > at);
        let less = current.is_none_or(|at| new < at);
        !(self.if_none && current.is_some()
            || self.if_any && current.is_none()
            || self.if_greater && !greater
            || self.if_less && !less)
    }
}

fn expire(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let base = ctx.now_ms;
    set_expiry(ctx, args, 1000, base)
}

fn pexpire(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let base = ctx.now_ms;
    set_expiry(ctx, args, 1, base)
}

fn expireat(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    set_expiry(ctx, args, 1000, 0)
}

fn pexpireat(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    set_expiry(ctx, args, 1, 0)
}

/// The four setters: the argument times `scale_ms`, counted from `base_ms`.
fn set_expiry(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    scale_ms: i64,
    base_ms: i64,
) -> CommandResult {
    let key = args[1];
    let conditions = Conditions::parse(&args[3..])?;
    let at = int_arg(args[2])?
        .checked_mul(scale_ms)
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or_else(|| {
            let name = command_name(args);
            CommandError::err(format_args!("invalid expire time in '{name}' command"))
        })?;
    if !ctx.present(key) {
        ctx.reply.int(0);
        return Ok(());
    }
    if args.len() > 3 {
        let current = ctx.peek_entry(key).and_then(|entry| entry.expire_at);
        if !conditions.allow(current, at) {
            ctx.reply.int(0);
            return Ok(());
        }
    }
    if is_past(ctx, at) {
        delete_past(ctx, key);
    } else {
        ctx.set_expire(key, Some(at));
        ctx.changed(key, EventClass::Generic, "expire");
        if ctx.effects.enabled {
            let mut digits = itoa::Buffer::new();
            let mut effect = args.to_vec();
            effect[0] = b"PEXPIREAT";
            effect[2] = digits.format(at).as_bytes();
            ctx.effects.replace(&effect);
        }
    }
    ctx.reply.int(1);
    Ok(())
}

fn ttl(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms;
    reply_expiry(ctx, args[1], |at| to_seconds((at - now_ms).max(0)))
}

fn pttl(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms;
    reply_expiry(ctx, args[1], |at| (at - now_ms).max(0))
}

fn expiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_expiry(ctx, args[1], to_seconds)
}

fn pexpiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_expiry(ctx, args[1], |at| at)
}

fn to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

/// -2 without the key, -1 without an expiry.
fn reply_expiry(ctx: &mut Context<'_>, key: &[u8], show: impl Fn(i64) -> i64) -> CommandResult {
    let shown = match ctx.glance_entry(key) {
        None => -2,
        Some(entry) => entry.expire_at.map_or(-1, show),
    };
    ctx.reply.int(shown);
    Ok(())
}

fn persist(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let cleared = ctx.present(args[1]) && clear(ctx, args[1]);
    if cleared {
        ctx.changed(args[1], EventClass::Generic, "persist");
    }
    ctx.reply.int(i64::from(cleared));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Conditions;

    #[test]
    fn conditions_exclude_each_other_as_in_redis() {
        let words = |text: &'static str| -> Vec<&'static [u8]> {
            text.split_whitespace().map(str::as_bytes).collect()
        };
        for good in ["", "nx", "XX", "gt", "LT", "xx gt", "xx lt", "nx NX"] {
            assert!(Conditions::parse(&words(good)).is_ok(), "{good:?}");
        }
        for bad in ["nx xx", "gt nx", "lt nx", "gt lt", "abc", "ab"] {
            assert!(Conditions::parse(&words(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_expiry_is_endless() {
        let allow = |word: &str, current, new| {
            let word = word.as_bytes();
            Conditions::parse(&[word]).unwrap().allow(current, new)
        };
        assert!(!allow("gt", None, 5));
        assert!(allow("lt", None, 5));
        assert!(allow("gt", Some(4), 5) && !allow("gt", Some(5), 5));
        assert!(allow("lt", Some(6), 5) && !allow("lt", Some(5), 5));
        assert!(allow("nx", None, 5) && !allow("nx", Some(1), 5));
        assert!(!allow("xx", None, 5) && allow("xx", Some(1), 5));
    }
}
