//! Strings as a whole: SET and its kin, GET and its kin, several keys at once.
//!
//! GET and SET without options are the hottest commands there are: they take a straight path that
//! allocates nothing but the record. Options are parsed into `Options` once, for SET and GETEX alike.
//! Relative expiries leave as absolute ones in the effects.

pub(crate) mod counter;
pub(crate) mod lcs;
pub(crate) mod range;

use crate::command::context::values::reply_string;
use crate::command::context::{EventClass, command_name, int_arg};
use crate::command::keys::expire;
use crate::command::{Context, Handlers};
use crate::data::ValueRef;
use crate::keyspace::Expiry;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("get", get),
    ("set", set),
    ("setnx", setnx),
    ("setex", setex),
    ("psetex", psetex),
    ("getset", getset),
    ("getex", getex),
    ("getdel", getdel),
    ("mget", mget),
    ("mset", mset),
    ("msetnx", msetnx),
];

/// In what an expiry option counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ExpireUnit {
    seconds: bool,
    /// From now, not from 1970.
    relative: bool,
}

const EX: ExpireUnit = ExpireUnit {
    seconds: true,
    relative: true,
};
const PX: ExpireUnit = ExpireUnit {
    seconds: false,
    relative: true,
};
const EXAT: ExpireUnit = ExpireUnit {
    seconds: true,
    relative: false,
};
const PXAT: ExpireUnit = ExpireUnit {
    seconds: false,
    relative: false,
};

/// The options of SET and GETEX.
#[derive(Debug, Default)]
struct Options<'a> {
    if_absent: bool,
    if_present: bool,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    expire: Option<(ExpireUnit, &'a [u8])>,
}

impl<'a> Options<'a> {
    /// Parses what follows the key (GETEX) or the value (SET). The same expiry option may come twice, the
    /// last counts; different ones, or one beside KEEPTTL or PERSIST, are a syntax error.
    fn parse(words: &[&'a [u8]], for_set: bool) -> CommandResult<Options<'a>> {
        let mut options = Options::default();
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            let unit = match word {
                w if is_word(w, "ex") => EX,
                w if is_word(w, "px") => PX,
                w if is_word(w, "exat") => EXAT,
                w if is_word(w, "pxat") => PXAT,
                _ if options.parse_flag(word, for_set) => continue,
                _ => return Err(CommandError::SYNTAX),
            };
            let same_before = options.expire.is_none_or(|(before, _)| before == unit);
            match rest.next() {
                Some(&amount) if same_before && !options.keep_ttl && !options.persist => {
                    options.expire = Some((unit, amount));
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        Ok(options)
    }

    /// Takes a word that stands alone; false if it is none, or goes against an earlier one.
    fn parse_flag(&mut self, word: &[u8], for_set: bool) -> bool {
        if for_set {
            if is_word(word, "nx") && !self.if_present {
                self.if_absent = true;
            } else if is_word(word, "xx") && !self.if_absent {
                self.if_present = true;
            } else if is_word(word, "get") {
                self.get = true;
            } else if is_word(word, "keepttl") && self.expire.is_none() {
                self.keep_ttl = true;
            } else {
                return false;
            }
            return true;
        }
        self.persist |= is_word(word, "persist") && self.expire.is_none();
        self.persist && is_word(word, "persist")
    }
}

/// The moment an expiry option names, unix ms.
fn expire_at(
    ctx: &Context<'_>,
    args: &Args<'_>,
    unit: ExpireUnit,
    amount: &[u8],
) -> CommandResult<i64> {
    let amount = int_arg(amount)?;
    let invalid = || {
        let name = command_name(args);
        CommandError::err(format_args!("invalid expire time in '{name}' command"))
    };
    if amount <= 0 {
        return Err(invalid());
    }
    let scale = if unit.seconds { 1000 } else { 1 };
    let base = if unit.relative { ctx.now_ms } else { 0 };
    amount
        .checked_mul(scale)
        .and_then(|ms| ms.checked_add(base))
        .ok_or_else(invalid)
}

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_value(ctx, args[1])
}

/// Writes a string's value or null.
fn reply_value(ctx: &mut Context<'_>, key: &[u8]) -> CommandResult {
    match ctx.find_for_reply(key) {
        (None, reply) => reply.null(),
        (Some(ValueRef::String(value)), reply) => reply_string(reply, value),
        (Some(_), _) => return Err(CommandError::WRONG_TYPE),
    }
    Ok(())
}

fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 3 {
        ctx.set_string(args[1], args[2], Expiry::Clear);
        ctx.changed(args[1], EventClass::String, "set");
        ctx.reply.ok();
        return Ok(());
    }
    set_with_options(ctx, args)
}

fn set_with_options(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(&args[3..], true)?;
    let key = args[1];
    let at = match options.expire {
        None => None,
        Some((unit, amount)) => Some(expire_at(ctx, args, unit, amount)?),
    };
    if options.get {
        reply_value(ctx, key)?;
    }
    if (options.if_absent || options.if_present) && ctx.present(key) != options.if_present {
        if !options.get {
            ctx.reply.null();
        }
        return Ok(());
    }
    let expiry = match at {
        Some(at) => Expiry::At(at),
        None if options.keep_ttl => Expiry::Keep,
        None => Expiry::Clear,
    };
    store(ctx, key, args[2], expiry);
    match options.expire {
        // What comes with an absolute time in milliseconds goes on as it is.
        Some((PXAT, _)) => {}
        Some(_) => replicate_with_expiry(ctx, key, args[2], at),
        None if options.get => {
            let kept: Vec<&[u8]> = args
                .iter()
                .enumerate()
                .filter(|(i, arg)| *i < 3 || !is_word(arg, "get"))
                .map(|(_, arg)| *arg)
                .collect();
            ctx.effects.replace(&kept);
        }
        None => {}
    }
    if !options.get {
        ctx.reply.ok();
    }
    Ok(())
}

/// Sets and tells the watchers and listeners.
fn store(ctx: &mut Context<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
    ctx.set_string(key, value, expiry);
    ctx.changed(key, EventClass::String, "set");
    if let Expiry::At(_) = expiry {
        ctx.notify(EventClass::Generic, "expire", key);
    }
}

fn replicate_with_expiry(ctx: &mut Context<'_>, key: &[u8], value: &[u8], at: Option<i64>) {
    if let Some(at) = at {
        let mut digits = itoa::Buffer::new();
        let at = digits.format(at).as_bytes();
        ctx.effects.replace(&[b"SET", key, value, b"PXAT", at]);
    }
}

fn setnx(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.present(args[1]) {
        ctx.reply.int(0);
    } else {
        store(ctx, args[1], args[2], Expiry::Clear);
        ctx.reply.int(1);
    }
    Ok(())
}

fn setex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    set_expiring(ctx, args, EX)
}

fn psetex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    set_expiring(ctx, args, PX)
}

fn set_expiring(ctx: &mut Context<'_>, args: &Args<'_>, unit: ExpireUnit) -> CommandResult {
    let at = expire_at(ctx, args, unit, args[2])?;
    store(ctx, args[1], args[3], Expiry::At(at));
    replicate_with_expiry(ctx, args[1], args[3], Some(at));
    ctx.reply.ok();
    Ok(())
}

fn getset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_value(ctx, args[1])?;
    store(ctx, args[1], args[2], Expiry::Clear);
    ctx.effects.replace(&[b"SET", args[1], args[2]]);
    Ok(())
}

fn getdel(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_value(ctx, args[1])?;
    if ctx.delete(args[1]) {
        ctx.changed(args[1], EventClass::Generic, "del");
        ctx.effects.replace(&[b"DEL", args[1]]);
    }
    Ok(())
}

fn getex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(&args[2..], false)?;
    let key = args[1];
    let start = ctx.reply.len();
    match ctx.find_for_reply(key) {
        (Some(ValueRef::String(value)), reply) => reply_string(reply, value),
        (Some(_), _) => return Err(CommandError::WRONG_TYPE),
        (None, reply) => {
            reply.null();
            return Ok(());
        }
    }
    let Some((unit, amount)) = options.expire else {
        if options.persist && expire::clear(ctx, key) {
            ctx.changed(key, EventClass::Generic, "persist");
            ctx.effects.replace(&[b"PERSIST", key]);
        }
        return Ok(());
    };
    // A missing key or a wrong type is answered before a bad time, so the value is in the reply already.
    let at = expire_at(ctx, args, unit, amount).inspect_err(|_| ctx.reply.truncate(start))?;
    if !unit.relative && expire::is_past(ctx, at) {
        expire::delete_past(ctx, key);
    } else {
        ctx.set_expire(key, Some(at));
        ctx.changed(key, EventClass::Generic, "expire");
        let mut digits = itoa::Buffer::new();
        let at = digits.format(at).as_bytes();
        ctx.effects.replace(&[b"PEXPIREAT", key, at]);
    }
    Ok(())
}

fn mget(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.reply.array(args.len() - 1);
    for key in &args[1..] {
        match ctx.find_for_reply(key) {
            (Some(ValueRef::String(value)), reply) => reply_string(reply, value),
            (_, reply) => reply.null(),
        }
    }
    Ok(())
}

fn mset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::arity("mset"));
    }
    set_pairs(ctx, &args[1..]);
    ctx.reply.ok();
    Ok(())
}

fn msetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::arity("msetnx"));
    }
    let pairs = &args[1..];
    if pairs.chunks_exact(2).any(|pair| ctx.present(pair[0])) {
        ctx.reply.int(0);
        return Ok(());
    }
    set_pairs(ctx, pairs);
    ctx.reply.int(1);
    Ok(())
}

fn set_pairs(ctx: &mut Context<'_>, pairs: &[&[u8]]) {
    for pair in pairs.chunks_exact(2) {
        ctx.set_string(pair[0], pair[1], Expiry::Clear);
        ctx.changed(pair[0], EventClass::String, "set");
    }
}
