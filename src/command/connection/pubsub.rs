//! Pub/sub commands. Confirmations of subscriptions are pushes: several per command, and shown even where
//! CLIENT REPLY hides replies.

use crate::command::server::help::help;
use crate::command::{Context, Handlers};
use crate::resp::Reply;
use crate::session::pubsub::{Topic, subscribed};
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
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
    ctx.session.publish_view();
    limit_outbox(ctx);
    Ok(())
}

fn leave(ctx: &mut Context<'_>, topic: Topic, kind: &str, names: &[&[u8]]) -> CommandResult {
    if names.is_empty() {
        let all: Vec<_> = subscribed(ctx.session, topic)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
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
    ctx.session.publish_view();
    limit_outbox(ctx);
    Ok(())
}

/// What may wait in the outbox follows from what the session is now.
fn limit_outbox(ctx: &Context<'_>) {
    let limits = &ctx.settings.client_output_buffer_limit;
    ctx.session.limit_outbox(limits);
}

/// Ends one subscription. Messages that came before must not follow the confirmation.
fn end(ctx: &mut Context<'_>, topic: Topic, kind: &str, name: &[u8]) {
    ctx.node.pubsub.unsubscribe(ctx.session, topic, name);
    if !ctx.deny_blocking && !ctx.session.wants_no_reply() {
        ctx.session.client.take_pushed(ctx.reply.output_mut());
    }
    confirm(ctx, topic, kind, Some(name));
}

/// Tells the client what it listens to now.
fn confirm(ctx: &mut Context<'_>, topic: Topic, kind: &str, name: Option<&[u8]>) {
    let count_of = |topic| subscribed(ctx.session, topic).map_or(0, |names| names.len());
    let count = match topic {
        Topic::ShardChannel => count_of(topic),
        Topic::Channel | Topic::Pattern => count_of(Topic::Channel) + count_of(Topic::Pattern),
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
    if ctx.session.wants_no_reply() {
        let mut apart = Reply::new(ctx.session.resp());
        write(&mut apart);
        ctx.session.client.push_output(apart.take());
    } else {
        write(ctx.reply);
    }
}

fn publish(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.node.pubsub.publish(args[1], args[2]);
    // Replicas have listeners of their own.
    ctx.effects.also(args);
    ctx.reply.int(receivers as i64);
    Ok(())
}

fn spublish(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.node.pubsub.publish_shard(args[1], args[2]);
    ctx.effects.also(args);
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

#[cfg(test)]
mod tests {
    use crate::command::context::bench::Bench;
    use crate::session::ReplyMode;

    #[test]
    fn confirmations_count_what_is_left() {
        let mut bench = Bench::new();
        let (reply, _) = bench.line("subscribe a b");
        assert_eq!(reply, "*3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2");
        assert_eq!(bench.line("psubscribe a*").0, "*3 $10 psubscribe $2 a* :3");
        assert_eq!(bench.line("ssubscribe s").0, "*3 $10 ssubscribe $1 s :1");
        assert_eq!(bench.line("unsubscribe x").0, "*3 $11 unsubscribe $1 x :3");
        assert_eq!(bench.line("punsubscribe").0, "*3 $12 punsubscribe $2 a* :2");
        assert_eq!(bench.line("punsubscribe").0, "*3 $12 punsubscribe $-1 :2");
        assert_eq!(bench.line("pubsub numsub a x").0, "*4 $1 a :1 $1 x :0");
        assert_eq!(bench.line("ping").0, "*2 $4 pong $0");
    }

    #[test]
    fn a_message_precedes_the_end_of_its_subscription() {
        let mut bench = Bench::new();
        bench.line("subscribe a");
        let (reply, effects) = bench.line("publish a hi");
        assert_eq!((reply.as_str(), effects.as_str()), (":1", "publish a hi"));
        assert_eq!(
            bench.line("unsubscribe a").0,
            "*3 $7 message $1 a $2 hi *3 $11 unsubscribe $1 a :0"
        );
    }

    #[test]
    fn confirmations_are_shown_though_replies_are_not() {
        let mut bench = Bench::new();
        bench.session.reply_mode = ReplyMode::Off;
        assert_eq!(bench.line("subscribe a").0, "");
        let mut pushed = crate::resp::Output::default();
        bench.session.append_pushes(&mut pushed);
        assert_eq!(
            &pushed.into_bytes()[..],
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        );
    }
}
