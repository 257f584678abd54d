//! Pub/sub commands. Confirmations of subscriptions are pushes: several per command, and shown even where
//! CLIENT REPLY hides replies.

use super::help::help;
use super::{Args, CommandError, CommandResult, Context, Handlers};
use crate::pubsub::Topic;
use crate::resp::Reply;
use crate::session::ReplyMode;

pub const HANDLERS: Handlers = &[
    ("psubscribe", psubscribe),
    ("publish", publish),
    ("pubsub|channels", channels),
    ("pubsub|help", pubsub_help),
    ("pubsub|numpat", numpat),
    ("pubsub|numsub", numsub),
    ("pubsub|shardchannels", shardchannels),
    ("pubsub|shardnumsub", shardnumsub),
    ("punsubscribe", punsubscribe),
    ("spublish", spublish),
    ("ssubscribe", ssubscribe),
    ("subscribe", subscribe),
    ("sunsubscribe", sunsubscribe),
    ("unsubscribe", unsubscribe),
];

fn subscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    listen(ctx, Topic::Channel, "subscribe", &args[1..])
}

fn psubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    listen(ctx, Topic::Pattern, "psubscribe", &args[1..])
}

fn ssubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    // Unlike its elders it is refused inside a transaction, whose EXEC expects one reply per command.
    if ctx.deny_blocking {
        return Err(CommandError::fixed(
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
        ));
    }
    listen(ctx, Topic::ShardChannel, "ssubscribe", &args[1..])
}

fn unsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, Topic::Channel, "unsubscribe", &args[1..])
}

fn punsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, Topic::Pattern, "punsubscribe", &args[1..])
}

fn sunsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, Topic::ShardChannel, "sunsubscribe", &args[1..])
}

fn listen(ctx: &mut Context<'_>, topic: Topic, kind: &str, names: &[&[u8]]) -> CommandResult {
    for name in names {
        ctx.node.pubsub.subscribe(ctx.session, topic, name);
        confirm(ctx, topic, kind, Some(name));
    }
    ctx.session.refresh_view();
    Ok(())
}

fn leave(ctx: &mut Context<'_>, topic: Topic, kind: &str, names: &[&[u8]]) -> CommandResult {
    if names.is_empty() {
        let all: Vec<_> = match topic {
            Topic::Channel => ctx.session.channels.iter().cloned().collect(),
            Topic::Pattern => ctx.session.patterns.iter().cloned().collect(),
            Topic::ShardChannel => ctx.session.shard_channels.iter().cloned().collect(),
        };
        for name in &all {
            end(ctx, topic, kind, name);
        }
        if all.is_empty() {
            confirm(ctx, topic, kind, None);
        }
    }
    for name in names {
        end(ctx, topic, kind, name);
    }
    ctx.session.refresh_view();
    Ok(())
}

/// Ends one subscription. Messages that came before must not follow the confirmation.
fn end(ctx: &mut Context<'_>, topic: Topic, kind: &str, name: &[u8]) {
    ctx.node.pubsub.unsubscribe(ctx.session, topic, name);
    if !ctx.deny_blocking && !hides_replies(ctx) {
        ctx.session.client.take_pushed(&mut ctx.reply.buf);
    }
    confirm(ctx, topic, kind, Some(name));
}

fn hides_replies(ctx: &Context<'_>) -> bool {
    matches!(ctx.session.reply_mode, ReplyMode::Off | ReplyMode::Skipping)
}

/// Tells the client what it listens to now.
fn confirm(ctx: &mut Context<'_>, topic: Topic, kind: &str, name: Option<&[u8]>) {
    let count = match topic {
        Topic::ShardChannel => ctx.session.shard_channels.len(),
        Topic::Channel | Topic::Pattern => ctx.session.channels.len() + ctx.session.patterns.len(),
    };
    let write = |reply: &mut Reply| {
        reply.push(3);
        reply.bulk(kind.as_bytes());
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.int(count as i64);
    };
    if hides_replies(ctx) {
        let mut apart = Reply::new(ctx.session.resp);
        write(&mut apart);
        ctx.session.client.push(&apart.buf);
    } else {
        write(ctx.reply);
    }
}

fn publish(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.node.pubsub.publish(args[1], args[2]);
    // Replicas have listeners of their own.
    ctx.effects.replace(args);
    ctx.reply.int(receivers as i64);
    Ok(())
}

fn spublish(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.node.pubsub.publish_shard(args[1], args[2]);
    ctx.effects.replace(args);
    ctx.reply.int(receivers as i64);
    Ok(())
}

fn channels(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    active(ctx, Topic::Channel, args)
}

fn shardchannels(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    active(ctx, Topic::ShardChannel, args)
}

fn active(ctx: &mut Context<'_>, topic: Topic, args: &Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(wrong_form(args));
    }
    let names = ctx.node.pubsub.active(topic, args.get(2).copied());
    ctx.reply.array(names.len());
    for name in names {
        ctx.reply.bulk(&name);
    }
    Ok(())
}

fn numsub(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    listeners(ctx, Topic::Channel, &args[2..])
}

fn shardnumsub(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    listeners(ctx, Topic::ShardChannel, &args[2..])
}

fn listeners(ctx: &mut Context<'_>, topic: Topic, names: &[&[u8]]) -> CommandResult {
    ctx.reply.array(names.len() * 2);
    for name in names {
        ctx.reply.bulk(name);
        let count = ctx.node.pubsub.listeners(topic, name);
        ctx.reply.int(count as i64);
    }
    Ok(())
}

fn numpat(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.node.pubsub.count(Topic::Pattern) as i64);
    Ok(())
}

/// What Redis says to a known subcommand with too many arguments.
fn wrong_form(args: &Args<'_>) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
        String::from_utf8_lossy(args[1])
    ))
}

fn pubsub_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    )
}
