//! Replication's commands: what replicas say to their master (REPLCONF, PSYNC, SYNC), and what operators
//! order (REPLICAOF, FAILOVER).
//!
//! Orders run with every shard entered, so that the role changes between two commands and not inside one.

pub(crate) mod explain;
pub(in crate::command) mod verify;

use crate::clients::pause::{Pause, PausePurpose};
use crate::command::context::int_arg;
use crate::command::dispatch::blocking;
use crate::command::server::saving::services;
use crate::command::{Context, Handlers, dispatch};
use crate::config::{MasterAddress, is_host, words};
use crate::repl::failover::{BY_HAND, FailoverRequest, FailoverState, is_at};
use crate::repl::replicas::name_of;
use crate::repl::wire::{DELTA, DIGEST, QUEUE_PLACE};
use crate::repl::{self, DumpFilter, ReplicaState, Request};
use crate::session::Origin;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::printable::printable;

pub(crate) const HANDLERS: Handlers = &[
    ("failover", failover),
    ("psync", psync),
    ("replconf", replconf),
    ("replicaof", replicaof),
    ("slaveof", replicaof),
    ("sync", psync),
];

/// Longest host name or address that a replica may announce, bytes.
const HOST_MAX: usize = 256;
/// Longest version that it may tell, bytes.
const VERSION_MAX: usize = 32;

const NO_HOST: CommandError =
    CommandError::fixed("ERR REPLCONF ip-address is neither a host name nor an address");

/// Pairs of an option and its value. Acks of attached replicas don't come this way: their sockets are the
/// replication actors'.
fn replconf(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    if ctx.session.origin == Origin::Master {
        // GETACK: the link answers it; there is no reply.
        return Ok(());
    }
    for pair in args[1..].chunks_exact(2) {
        let (option, value) = (pair[0], pair[1]);
        let told = ctx.session.replconf.get_or_insert_default();
        if is_word(option, "listening-port") {
            told.listening_port = int_arg(value)? as u16;
        } else if is_word(option, "ip-address") {
            if value.len() >= HOST_MAX {
                return Err(CommandError::err(format_args!(
                    "REPLCONF ip-address provided by replica instance is too long: {} bytes",
                    value.len()
                )));
            }
            // It stands in INFO, ROLE, the log and in Sentinel's files.
            let host = str::from_utf8(value)
                .ok()
                .filter(|h| h.is_empty() || is_host(h));
            told.ip_address = Some(host.ok_or(NO_HOST)?.to_owned());
        } else if is_word(option, "capa") {
            told.capa_eof |= is_word(value, "eof");
            told.capa_psync2 |= is_word(value, "psync2");
            told.capa_queue_place |= is_word(value, QUEUE_PLACE);
            told.capa_digest |= is_word(value, DIGEST);
            told.capa_delta |= is_word(value, DELTA);
        } else if is_word(option, "ack") || is_word(option, "getack") {
            return Ok(());
        } else if is_word(option, "rdb-only") {
            told.rdb_only = match int_arg(value)? {
                n @ (0 | 1) => n == 1,
                _ => {
                    return Err(CommandError::fixed(
                        "ERR value is out of range, value must between 0 and 1",
                    ));
                }
            };
        } else if is_word(option, "rdb-filter-only") {
            let words = str::from_utf8(value).ok().and_then(words::split);
            let words = words.ok_or(CommandError::fixed("ERR Missing rdb-filter-only values"))?;
            // As in Redis: from here on nothing is wanted but what it names, even if it names something else too.
            let filter = told.filter.insert(DumpFilter::default());
            for word in words {
                if !word.eq_ignore_ascii_case("functions") {
                    return Err(CommandError::err(format_args!(
                        "Unsupported rdb-filter-only option: {word}"
                    )));
                }
                filter.functions = true;
            }
        } else if is_word(option, "version") {
            told.version = printable(value.get(..VERSION_MAX).unwrap_or(value));
        } else {
            return Err(CommandError::err(format_args!(
                "Unrecognized REPLCONF option: {}",
                String::from_utf8_lossy(option)
            )));
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// The socket goes to the MasterActor, which decides and answers. A request that can be refused now, is.
fn psync(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.session.origin != Origin::Client {
        return Ok(());
    }
    let request = Request::parse(args).unwrap_or(Request::Sync);
    if let Some(refusal) = repl::psync::refusal(&ctx.node.hub, &request) {
        return Err(CommandError::fixed(refusal));
    }
    if let [_, _, offset, ..] = args {
        int_arg(offset).inspect_err(|_| {
            tracing::warn!(
                "Replica {} asks for synchronization but with a wrong offset",
                replica_name(ctx)
            );
        })?;
    }
    if let Some(told) = &ctx.session.replconf
        && told.filter.is_some()
        && !told.capa_eof
    {
        return Err(CommandError::fixed(
            "ERR Filtered replica requires EOF capability",
        ));
    }
    ctx.session.handover = Some(dispatch::own(args));
    Ok(())
}

/// How the log names a replica that isn't attached yet.
fn replica_name(ctx: &Context<'_>) -> String {
    let told = ctx.session.replconf.as_deref();
    let peer = &ctx.session.client.addr;
    let peer_ip = peer.rsplit_once(':').map_or(&**peer, |(ip, _)| ip);
    let ip = told.and_then(|told| told.ip_address.as_deref());
    name_of(
        ip.unwrap_or(peer_ip),
        told.map_or(0, |told| told.listening_port),
    )
}

/// How the log names who gave an order.
fn by_whom(ctx: &Context<'_>) -> String {
    format!(
        "user request from 'id={} addr={}'",
        ctx.session.id(),
        ctx.session.client.addr
    )
}

/// `REPLICAOF host port [FORCE] | NO ONE`. FORCE lets the next full sync replace our data by an empty dataset
/// (`replica-empty-master-guard`), once, and also renews the link to the master that we have.
///
/// Inside a transaction a master becomes a replica when the transaction is through: all of it was executed as a
/// master, so it goes into the log as a whole, and replicas of ours have what we have. (redis-server logs none of
/// it.)
fn replicaof(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (host, port) = (args[1], args[2]);
    let force = match &args[3..] {
        [] => false,
        [word] if is_word(word, "force") => true,
        [_] => return Err(CommandError::SYNTAX),
        _ => {
            return Err(CommandError::arity(&crate::command::context::command_name(
                args,
            )));
        }
    };
    let node = ctx.node;
    if node.hub.failover().is_on() {
        return Err(CommandError::fixed(
            "ERR REPLICAOF not allowed while failing over.",
        ));
    }
    if is_word(host, "no") && is_word(port, "one") {
        if force {
            return Err(CommandError::SYNTAX);
        }
        ctx.follow_after = None;
        if node.hub.is_replica() {
            node.set_role(None);
            ctx.ask_for_log();
            tracing::info!("MASTER MODE enabled ({})", by_whom(ctx));
        }
        ctx.reply.ok();
        return Ok(());
    }
    if ctx.session.origin == Origin::Replica {
        return Err(CommandError::fixed(
            "ERR Command is not valid when client is a replica.",
        ));
    }
    let port = int_arg(port).ok().and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(CommandError::fixed("ERR Invalid master port"))?;
    let host = str::from_utf8(host).ok().filter(|host| is_host(host));
    let host = host.ok_or(CommandError::fixed("ERR Invalid master host"))?;
    let current = node.settings.load();
    let same =
        |master: &MasterAddress| master.host.eq_ignore_ascii_case(host) && master.port == port;
    if !force && node.hub.is_replica() && current.replicaof.as_ref().is_some_and(same) {
        tracing::info!(
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."
        );
        ctx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    let order = FollowOrder {
        master: MasterAddress {
            host: host.to_owned(),
            port,
        },
        force,
    };
    if ctx.deny_blocking && !node.hub.is_replica() {
        ctx.follow_after = Some(Box::new(order));
    } else {
        follow(ctx, order);
    }
    ctx.reply.ok();
    Ok(())
}

/// A REPLICAOF that is to be carried out.
#[derive(Debug)]
pub(crate) struct FollowOrder {
    master: MasterAddress,
    /// An empty dataset of that master may replace ours.
    force: bool,
}

/// Makes the node a replica of that master.
pub(super) fn follow(ctx: &mut Context<'_>, order: FollowOrder) {
    let (node, FollowOrder { master, force }) = (ctx.node, order);
    let was_master = !node.hub.is_replica();
    let (host, port) = (master.host.clone(), master.port);
    node.hub.lift_guard(force);
    node.set_role(Some(master));
    ctx.ask_for_log();
    if was_master {
        // What they wait for can't come any more.
        blocking::end_all(node, &mut ctx.keys);
    }
    tracing::info!("REPLICAOF {host}:{port} enabled ({})", by_whom(ctx));
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`.
fn failover(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if let [_, word] = args
        && is_word(word, "abort")
    {
        return abort_failover(ctx);
    }
    let request = failover_request(&args[1..])?;
    let hub = &ctx.node.hub;
    let refusal = if hub.failover().is_on() {
        Some("ERR FAILOVER already in progress.")
    } else if hub.is_replica() || ctx.follow_after.is_some() {
        Some("ERR FAILOVER is not valid when server is a replica.")
    } else if hub.published().replicas.is_empty() {
        Some("ERR FAILOVER requires connected replicas.")
    } else if request.force && (request.timeout_ms.is_none() || request.target.is_none()) {
        Some("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
    } else if let Some((host, port)) = &request.target {
        let published = hub.published();
        let target = published.replicas.iter().find(|r| is_at(r, host, *port));
        match target.map(|r| r.state) {
            None => Some("ERR FAILOVER target HOST and PORT is not a replica."),
            Some(ReplicaState::Online) => None,
            Some(_) => Some("ERR FAILOVER target replica is not online."),
        }
    } else {
        None
    };
    if let Some(refusal) = refusal {
        return Err(CommandError::fixed(refusal));
    }
    let services = services(ctx)?;
    dispatch::flush_effects(ctx);
    let pause = &ctx.node.pause;
    pause.pause(PausePurpose::Failover, Pause::Write, i64::MAX, ctx.now_ms);
    hub.begin_failover(request, ctx.now_ms);
    hub.wake();
    services.failover();
    ctx.reply.ok();
    Ok(())
}

fn failover_request(mut words: &Args<'_>) -> CommandResult<FailoverRequest> {
    let mut request = FailoverRequest::default();
    loop {
        words = match words {
            [] => return Ok(request),
            [word, value, rest @ ..]
                if is_word(word, "timeout") && request.timeout_ms.is_none() =>
            {
                let timeout_ms = int_arg(value)?;
                if timeout_ms <= 0 {
                    return Err(CommandError::fixed(
                        "ERR FAILOVER timeout must be greater than 0",
                    ));
                }
                request.timeout_ms = Some(timeout_ms);
                rest
            }
            [word, host, port, rest @ ..] if is_word(word, "to") && request.target.is_none() => {
                // A port out of range is nobody's, as any other that no replica has.
                let port = u16::try_from(int_arg(port)?).unwrap_or(0);
                request.target = Some((String::from_utf8_lossy(host).into_owned(), port));
                rest
            }
            [word, rest @ ..] if is_word(word, "force") && !request.force => {
                request.force = true;
                rest
            }
            _ => return Err(CommandError::SYNTAX),
        };
    }
}

fn abort_failover(ctx: &mut Context<'_>) -> CommandResult {
    let node = ctx.node;
    if !node.hub.failover().is_on() {
        return Err(CommandError::fixed("ERR No failover in progress."));
    }
    dispatch::flush_effects(ctx);
    if node.hub.failover().abort(BY_HAND) == FailoverState::InProgress {
        node.set_role(None);
        ctx.ask_for_log();
    }
    node.hub.end_quiet();
    node.pause.unpause(PausePurpose::Failover);
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::task::{Context as TaskContext, Waker};

    use crate::command::context::bench::Bench;
    use crate::command::dispatch::from_master::{FromMaster, run as from_master};
    use crate::command::{Context, Effects};
    use crate::repl::ReplId;
    use crate::repl::stream_input::Ran;
    use crate::resp::Reply;
    use crate::session::Origin;

    #[test]
    fn what_a_former_master_sent_neither_runs_nor_is_logged() {
        let mut bench = Bench::new();
        bench.session.origin = Origin::Master;
        let (node, clock) = (&bench.node, &*bench.node.clock);
        node.hub.follow("master".into(), 6379);
        let id = ReplId::random(clock);
        node.hub.take_up(id, 100, Some(0), None, clock);
        let settings = node.settings.load_full();
        let raw = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
        let mut run = |epoch: u64| {
            let (mut reply, mut effects) = (Reply::default(), Effects::default());
            let session = &mut bench.session;
            let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
            ctx.role_epoch = epoch;
            let task = TaskContext::from_waker(Waker::noop());
            let outcome = from_master(&mut ctx, &[b"SET", b"k", b"v"], raw, &task);
            ctx.finish();
            (outcome, node.keyspace.changes(), node.hub.offset())
        };
        let epoch = node.hub.epoch();
        let logged = 100 + raw.len() as u64;
        assert!(matches!(run(epoch), (FromMaster::Over(Ran::Done), 1, end) if end == logged));
        // Promoted, and a replica of another one, between two commands of one batch.
        node.hub.promote(clock);
        assert!(matches!(run(epoch), (FromMaster::Busy, 1, end) if end == logged));
        node.hub.follow("other".into(), 6379);
        assert!(matches!(run(epoch), (FromMaster::Busy, 1, end) if end == logged));
        assert!(matches!(
            run(node.hub.epoch()),
            (FromMaster::Over(Ran::Done), 2, _)
        ));
    }
}
