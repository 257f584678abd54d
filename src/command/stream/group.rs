//! XGROUP, and XSETID.

use super::{edge_arg, id_arg, no_group_in};
use crate::command::Context;
use crate::command::context::{EventClass, int_arg};
use crate::command::server;
use crate::data::Stream;
use crate::data::stream::{Group, StreamId};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

const NO_KEY: CommandError = CommandError::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// What CREATE and SETID take behind the id.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

fn unknown_form(args: &Args<'_>) -> CommandError {
    let word = crate::resp::reply::error_text(args[1]);
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{word}'. Try XGROUP HELP."
    ))
}

impl Options {
    fn parse(args: &Args<'_>, may_make: bool) -> CommandResult<Options> {
        let mut options = Options::default();
        let mut rest = &args[5..];
        while let [word, tail @ ..] = rest {
            rest = tail;
            match tail {
                _ if may_make && is_word(word, "mkstream") => options.make_stream = true,
                [count, tail @ ..] if is_word(word, "entriesread") => {
                    options.entries_read = match int_arg(count)? {
                        -1 => None,
                        ..0 => {
                            return Err(CommandError::fixed(
                                "ERR value for ENTRIESREAD must be positive or -1",
                            ));
                        }
                        read => Some(read as u64),
                    };
                    rest = tail;
                }
                _ => return Err(unknown_form(args)),
            }
        }
        Ok(options)
    }
}

pub(super) fn create(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(args, true)?;
    let (key, name) = (args[2], args[3]);
    let stream = ctx.find_stream_mut(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(NO_KEY);
    }
    if args.len() > 8 {
        return Err(unknown_form(args));
    }
    let id = match args[4] {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.entries.last_id),
        id => id_arg(id, 0)?,
    };
    let stream = ctx.stream_or_create(key)?;
    if !stream.create_group(name, Group::new(id, options.entries_read)) {
        return Err(CommandError::fixed(
            "BUSYGROUP Consumer Group name already exists",
        ));
    }
    ctx.reply.ok();
    ctx.changed(key, EventClass::Stream, "xgroup-create");
    Ok(())
}

/// A group to be changed, and its stream.
fn group_of<'a>(
    ctx: &'a mut Context<'_>,
    key: &[u8],
    name: &[u8],
) -> CommandResult<(StreamId, &'a mut Group)> {
    let stream = ctx.find_stream_mut(key)?.ok_or(NO_KEY)?;
    let last_id = stream.entries.last_id;
    match stream.group_mut(name) {
        Some(group) => Ok((last_id, group)),
        None => Err(no_group_in(key, name)),
    }
}

pub(super) fn set_id(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(args, false)?;
    let key = args[2];
    let (last_id, group) = group_of(ctx, key, args[3])?;
    let id = match args[4] {
        b"$" => last_id,
        id => edge_arg(id, 0)?,
    };
    group.last_id = id;
    group.entries_read = options.entries_read;
    ctx.reply.ok();
    tell(ctx, key, "xgroup-setid");
    Ok(())
}

pub(super) fn destroy(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[2];
    let stream = ctx.find_stream_mut(key)?.ok_or(NO_KEY)?;
    let Some(group) = stream.remove_group(args[3]) else {
        ctx.reply.int(0);
        return Ok(());
    };
    if group.pending_len() > 0 {
        ctx.node.lazyfree.push(Box::new(group));
    }
    ctx.reply.int(1);
    tell(ctx, key, "xgroup-destroy");
    // Those who wait as its consumers are to hear that it is gone.
    ctx.signal_ready(key);
    Ok(())
}

/// As in Redis, those who watch the key are not told of changes of a group that is there.
fn tell(ctx: &mut Context<'_>, key: &[u8], event: &'static str) {
    ctx.dirty += 1;
    ctx.notify(EventClass::Stream, event, key);
}

pub(super) fn create_consumer(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, now_ms) = (args[2], ctx.now_ms);
    let (_, group) = group_of(ctx, key, args[3])?;
    let created = group.create_consumer(args[4], now_ms).is_some();
    ctx.reply.int(i64::from(created));
    if created {
        tell(ctx, key, "xgroup-createconsumer");
    }
    Ok(())
}

pub(super) fn delete_consumer(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[2];
    let (_, group) = group_of(ctx, key, args[3])?;
    let pending = group.remove_consumer(args[4]);
    ctx.reply.int(pending.unwrap_or(0) as i64);
    if pending.is_some() {
        tell(ctx, key, "xgroup-delconsumer");
    }
    Ok(())
}

pub(super) fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    server::help::help(
        ctx,
        args,
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    )
}

/// What XSETID takes behind the id.
#[derive(Clone, Copy, Debug, Default)]
struct SetId {
    entries_added: Option<u64>,
    max_deleted_id: Option<StreamId>,
}

impl SetId {
    fn parse(args: &[&[u8]], id: StreamId) -> CommandResult<SetId> {
        let mut options = SetId::default();
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            match tail {
                [count, tail @ ..] if is_word(word, "entriesadded") => {
                    let count = u64::try_from(int_arg(count)?);
                    options.entries_added =
                        Some(count.map_err(|_| {
                            CommandError::fixed("ERR entries_added must be positive")
                        })?);
                    rest = tail;
                }
                [deleted, tail @ ..] if is_word(word, "maxdeletedid") => {
                    let deleted = id_arg(deleted, 0)?;
                    if id < deleted {
                        return Err(CommandError::fixed(
                            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                        ));
                    }
                    options.max_deleted_id = Some(deleted);
                    rest = tail;
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        Ok(options)
    }

    fn check(&self, stream: &Stream, id: StreamId) -> CommandResult {
        let entries = &stream.entries;
        if id < entries.max_deleted_id {
            return Err(CommandError::fixed(
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
            ));
        }
        if entries.last_live_id().is_some_and(|last| id < last) {
            return Err(CommandError::fixed(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if !entries.is_empty()
            && self
                .entries_added
                .is_some_and(|added| entries.len() > added)
        {
            return Err(CommandError::fixed(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        Ok(())
    }
}

pub(super) fn xsetid(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, id) = (args[1], id_arg(args[2], 0)?);
    let options = SetId::parse(&args[3..], id)?;
    let stream = ctx.find_stream_mut(key)?.ok_or(CommandError::NO_SUCH_KEY)?;
    options.check(stream, id)?;
    let entries = &mut stream.entries;
    entries.set_last_id(id);
    if let Some(added) = options.entries_added {
        entries.added = added;
    }
    if let Some(deleted) = options.max_deleted_id.filter(|id| !id.is_zero()) {
        entries.max_deleted_id = deleted;
    }
    ctx.reply.ok();
    tell(ctx, key, "xsetid");
    Ok(())
}
