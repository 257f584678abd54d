//! REPLICATION VERIFY, what replicas ask in one (REPLICATION DIGEST), and REPLICATION REPAIR.

use crate::command::context::int_arg;
use crate::command::server::saving::{aside, with_ticket};
use crate::command::{Context, Handlers};
use crate::data::ValueRef;
use crate::keyspace::ShardSet;
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{DeltaWanted, RangesOrder, VerifyWith};
use crate::rdb::payload;
use crate::rdb::writer::Encoder;
use crate::repl::delta::Question as DeltaQuestion;
use crate::repl::delta::server::Order as DeltaOrder;
use crate::repl::verify::repair::NamedKey;
use crate::repl::verify::server::Order;
use crate::repl::verify::{Answer, Question, repair};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(in crate::command) const HANDLERS: Handlers = &[
    ("replication|delta", delta),
    ("replication|digest", digest),
    ("replication|repair", repair),
    ("replication|verify", verify),
];

/// Most bytes of memory of a value that REPAIR sends: it is encoded inside its shard.
const REPAIRED_MAX: usize = 256 << 10;

/// `REPLICATION VERIFY [REPLICA | MASTER] [PERIOD seconds]`.
fn verify(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let is_replica = ctx.node.hub.is_replica();
    let (with, rest) = match &args[2..] {
        [word, rest @ ..] if is_word(word, "master") => (VerifyWith::Master, rest),
        [word, rest @ ..] if is_word(word, "replica") => (VerifyWith::Replicas, rest),
        rest if is_replica => (VerifyWith::Master, rest),
        rest => (VerifyWith::Replicas, rest),
    };
    let period_s = match rest {
        [] => None,
        [word, seconds] if is_word(word, "period") => Some(int_arg(seconds)?),
        _ => return Err(CommandError::SYNTAX),
    };
    if with == VerifyWith::Master && !is_replica {
        return Err(CommandError::fixed("ERR this node has no master"));
    }
    if let Some(seconds) = period_s {
        let seconds = u32::try_from(seconds)
            .ok()
            .filter(|s| *s <= i32::MAX as u32);
        let seconds = seconds.ok_or(CommandError::fixed("ERR value is out of range"))?;
        let mut settings = ctx.node.settings.load_full().as_ref().clone();
        settings.repl_verify_period = u64::from(seconds);
        ctx.node.replace_settings(settings);
    }
    with_ticket(ctx, |services, ticket| services.verify(ticket, with))
}

/// What a replica asks in a verification.
fn digest(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let question = Question::parse(&args[2..]).ok_or(CommandError::SYNTAX)?;
    let hub = &ctx.node.hub;
    let (history, address) = (hub.history().id, &ctx.session.client.addr);
    let from_ip = address.rsplit_once(':').map_or(&**address, |(ip, _)| ip);
    let from_ip = from_ip.trim_start_matches('[').trim_end_matches(']');
    let order = hub
        .verify_server()
        .asked(question, from_ip, history, ctx.now_ms);
    match order.map_err(|why| CommandError::err(format_args!("{why}")))? {
        Order::Answer(answer) => ctx.reply.bulk(&answer.to_bytes()),
        Order::Report(report) => {
            report.log();
            hub.published().reports.add(report);
            ctx.reply.bulk(&Answer::Closed.to_bytes());
        }
        Order::Walk(id, order) => {
            return with_ticket(ctx, |services, ticket| {
                services.walk_digests(ticket, id, order);
            });
        }
    }
    Ok(())
}

/// What a replica asks in a delta resync.
fn delta(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let question = DeltaQuestion::parse(&args[2..]).ok_or(CommandError::SYNTAX)?;
    if !ctx.settings.repl_delta_resync {
        return Err(CommandError::fixed("ERR repl-delta-resync is off here"));
    }
    let (peer, now_ms) = (ctx.session.client.addr.clone(), ctx.now_ms);
    let hub = &ctx.node.hub;
    if hub.is_replica() && !hub.link_up() {
        return Err(CommandError::fixed(
            "ERR this node is not connected with its master",
        ));
    }
    let order = hub.with_delta_server(|server| server.asked(question, &peer, now_ms));
    let (id, wanted) = match order.map_err(|why| CommandError::err(format_args!("{why}")))? {
        DeltaOrder::Answer(answer) => {
            ctx.reply.bulk(&answer.to_bytes());
            return Ok(());
        }
        DeltaOrder::Ranges(id, secret, bits) => {
            (id, DeltaWanted::Ranges(RangesOrder { secret, bits }))
        }
        DeltaOrder::Patch(id, order) => (id, DeltaWanted::Patch(order)),
    };
    with_ticket(ctx, |services, ticket| {
        services.walk_for_delta(ticket, id, wanted);
    })
}

/// `REPLICATION REPAIR REPLICA`: sends what the last verifications found to differ.
fn repair(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !is_word(args[2], "replica") {
        return Err(CommandError::SYNTAX);
    }
    if ctx.node.hub.is_replica() {
        return Err(CommandError::fixed(
            "ERR only a master can repair its replicas",
        ));
    }
    let (keys, unnamed) = repair::keys(&ctx.node.hub.published().reports);
    if keys.is_empty() && unnamed == 0 {
        return Err(CommandError::fixed(
            "ERR nothing is known to differ: REPLICATION VERIFY REPLICA finds out",
        ));
    }
    aside(ctx, move |node, reply| {
        let sent = send_keys(node, &keys)?;
        let mut lines = vec![format!("{} keys sent through the stream", sent.keys)];
        if sent.too_large > 0 {
            lines.push(format!(
                "{} keys not sent, their values take more than {REPAIRED_MAX} bytes: a full sync repairs them",
                sent.too_large
            ));
        }
        if unnamed > 0 {
            lines.push(format!(
                "at least {unnamed} keys that differ are not known by name: verify and repair again, or resync"
            ));
        }
        for line in &lines {
            tracing::info!("REPLICATION REPAIR: {line}");
        }
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.bulk(line.as_bytes()));
        Ok(())
    })
}

#[derive(Default)]
struct Sent {
    keys: usize,
    too_large: usize,
}

/// Puts our state of the keys into the stream, each inside its shard.
fn send_keys(node: &NodeCore, keys: &[NamedKey]) -> Result<Sent, CommandError> {
    let mut sent = Sent::default();
    let mut encoder = Encoder::new(false);
    for (db, key) in keys {
        if *db >= node.keyspace.databases() {
            continue;
        }
        let hash = node.keyspace.hash(key);
        let set = ShardSet::one(node.keyspace.shard_of(hash));
        let entered = node.keyspace.enter(set);
        let now_ms = node.clock.unix_ms();
        // Nothing may be added while a replica is to come up with us.
        if node.hub.is_replica() || node.hub.failover().is_on() || node.pause.kind(now_ms).is_some()
        {
            return Err(CommandError::fixed(
                "ERR the repair was broken off: writes are paused, or the role has changed",
            ));
        }
        let mut effect = Vec::new();
        match entered.shard(hash).dbs[*db].get(key, hash) {
            Some(entry) if memory(entry.value) > REPAIRED_MAX => {
                sent.too_large += 1;
                continue;
            }
            Some(entry) => {
                let dump = payload::write(&mut encoder, entry.value);
                repair::effect(&mut effect, key, Some((entry.expire_at, &dump)));
            }
            None => repair::effect(&mut effect, key, None),
        }
        node.hub.append(*db, &effect, false);
        drop(entered);
        node.hub.wake();
        sent.keys += 1;
    }
    Ok(sent)
}

/// Bytes of memory of a value.
fn memory(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::String(text) => text.len(),
        ValueRef::List(list) => list.memory(),
        ValueRef::Set(set) => set.memory(),
        ValueRef::Hash(hash) => hash.memory(),
        ValueRef::Zset(zset) => zset.memory(),
        ValueRef::Stream(stream) => stream.memory(),
    }
}
