//! DUMP and RESTORE: a value out of the node and into one, in RDB's encoding.

use std::sync::atomic::Ordering;

use crate::command::context::{EventClass, int_arg};
use crate::command::keys::expire::is_past;
use crate::command::{Context, Handlers};
use crate::keyspace::Expiry;
use crate::rdb::error::Fault;
use crate::rdb::payload::{self, PayloadError};
use crate::rdb::usage;
use crate::rdb::writer::Encoder;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::printable::printable;

pub(crate) const HANDLERS: Handlers = &[("dump", dump), ("restore", restore)];

const BUSY_KEY: CommandError = CommandError::fixed("BUSYKEY Target key name already exists.");

fn dump(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let compression = ctx.settings.rdbcompression;
    let payload = ctx
        .find(args[1])
        .map(|value| payload::write(&mut Encoder::new(compression), value));
    match payload {
        Some(payload) => ctx.reply.bulk(&payload),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// RESTORE's options.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(words: &[&[u8]]) -> CommandResult<Options> {
        let mut options = Options::default();
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            if is_word(word, "replace") {
                options.replace = true;
            } else if is_word(word, "absttl") {
                options.absolute = true;
            } else if is_word(word, "idletime") && options.frequency.is_none() {
                let seconds = int_arg(rest.next().ok_or(CommandError::SYNTAX)?)?;
                options.idle_seconds = Some(u64::try_from(seconds).map_err(|_| {
                    CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0")
                })?);
            } else if is_word(word, "freq") && options.idle_seconds.is_none() {
                let counter = int_arg(rest.next().ok_or(CommandError::SYNTAX)?)?;
                options.frequency = Some(u8::try_from(counter).map_err(|_| {
                    CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255")
                })?);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

fn restore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let options = Options::parse(&args[4..])?;
    if !options.replace && ctx.find_mut(key).is_some() {
        return Err(BUSY_KEY);
    }
    let ttl_ms = int_arg(args[2])?;
    if ttl_ms < 0 {
        return Err(CommandError::fixed("ERR Invalid TTL value, must be >= 0"));
    }
    let checked = !ctx.node.persistence.unchecked.load(Ordering::Relaxed);
    let value = payload::read_checked(args[3], &ctx.encodings(), checked);
    let (value, encoded) = value.map_err(|error| match error {
        PayloadError::VersionOrChecksum => {
            CommandError::fixed("ERR DUMP payload version or checksum are wrong")
        }
        PayloadError::BadFormat(fault) => {
            tracing::warn!("RESTORE of key '{}': {fault}", printable(key));
            match fault {
                // Nothing is wrong with it but that it can't be held here.
                Fault::Unsupported(_) => {
                    CommandError::err(format_args!("Bad data format: {fault}"))
                }
                _ => CommandError::fixed("ERR Bad data format"),
            }
        }
    })?;
    ctx.node.stats.dump_payload_sanitizations.add(encoded);

    let deleted = options.replace && ctx.delete(key);
    let expire_at = match ttl_ms {
        0 => None,
        at if options.absolute => Some(at),
        after => Some(ctx.now_ms.saturating_add(after)),
    };
    if let Some(at) = expire_at
        && is_past(ctx, at)
    {
        if deleted {
            ctx.changed(key, EventClass::Generic, "del");
            let name = match ctx.settings.lazyfree_lazy_server_del {
                true => b"UNLINK".as_slice(),
                false => b"DEL",
            };
            ctx.effects.replace(&[name, key]);
        }
        ctx.reply.ok();
        return Ok(());
    }

    ctx.set_value(key, value, expire_at.map_or(Expiry::Clear, Expiry::At));
    ctx.signal_ready(key);
    if let Some(at) = expire_at
        && !options.absolute
    {
        let at = at.to_string();
        let mut effect: Vec<&[u8]> = args.to_vec();
        effect[2] = at.as_bytes();
        effect.push(b"ABSTTL");
        ctx.effects.replace(&effect);
    }
    let policy = ctx.settings.maxmemory_policy;
    let field = usage::field_of(options.idle_seconds, options.frequency, policy, ctx.now_ms);
    if let Some(lru) = field {
        let hash = ctx.keys.keyspace().hash(key);
        let db = ctx.session.db;
        ctx.keys.shard_mut(hash).dbs[db].stamp(key, hash, lru);
    }
    ctx.changed(key, EventClass::Generic, "restore");
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CommandResult<Options> {
        let words: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
        Options::parse(&words)
    }

    #[test]
    fn options() {
        assert_eq!(
            parse("REPLACE absttl IDLETIME 7").unwrap(),
            Options {
                replace: true,
                absolute: true,
                idle_seconds: Some(7),
                frequency: None
            }
        );
        assert_eq!(parse("freq 255").unwrap().frequency, Some(255));
        for (text, error) in [
            ("idletime", "ERR syntax error"),
            ("idletime 1 freq 1", "ERR syntax error"),
            ("freq 1 idletime 1", "ERR syntax error"),
            ("nonsense", "ERR syntax error"),
            ("idletime x", "ERR value is not an integer or out of range"),
            ("idletime -1", "ERR Invalid IDLETIME value, must be >= 0"),
            (
                "freq 256",
                "ERR Invalid FREQ value, must be >= 0 and <= 255",
            ),
            ("freq -1", "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ] {
            assert_eq!(parse(text).unwrap_err().0, error, "{text}");
        }
    }
}
