//! REPLICATION: what this node can tell an operator about its replication, in words. Ours, not Redis's.

use crate::command::context::int_arg;
use crate::command::server::help::help;
use crate::command::{Context, Handlers};
use crate::repl::explain::{fate_of_link, fate_of_replica};
use crate::repl::{LinkState, Replica, ReplicaState, ReplicationView};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::printable::printable;

pub(in crate::command) const HANDLERS: Handlers = &[
    ("replication|explain", explain),
    ("replication|help", replication_help),
    ("replication|history", history),
];

/// Lines of plain text: our own link, each replica, and why each last resynced.
fn explain(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let view = ctx.node.hub.observe();
    let (resyncs, total) = ctx.node.hub.resyncs();
    let last_resync = |peer: &str, none: &str| match resyncs.iter().find(|r| r.peer == peer) {
        Some(resync) => format!(
            "  last full resync: {} s ago: {}",
            (ctx.now_ms - resync.at_ms).max(0) / 1000,
            resync.reason
        ),
        None => format!("  last full resync: {none}"),
    };
    let mut lines = Vec::new();
    explain_role(&view, ctx.now_ms, &mut lines, &last_resync);
    for replica in &view.replicas {
        explain_replica(replica, &view, &mut lines, &last_resync);
    }
    let deltas = ctx.node.hub.published().deltas.clone();
    if !deltas.last.is_empty() {
        lines.push(format!(
            "delta resyncs of ours: {}, and {} that a full resync took the place of; the last: {}",
            deltas.done,
            deltas.failed,
            printable(deltas.last.as_bytes())
        ));
    }
    explain_verifications(ctx, &mut lines);
    if let Some((file, keys, _)) = &view.discarded.last {
        lines.push(format!(
            "writes of our own that a full sync replaced: {keys} keys are kept in {file}"
        ));
    }
    lines.push(format!("full resyncs since the start: {total}"));
    for line in &lines {
        tracing::info!("REPLICATION EXPLAIN: {}", line.trim_start());
    }
    ctx.reply.array(lines.len());
    for line in &lines {
        ctx.reply.bulk(line.as_bytes());
    }
    Ok(())
}

/// What is said of a peer's last full resync, or else of there having been none.
type LastResync<'a> = dyn Fn(&str, &str) -> String + 'a;

fn explain_role(
    view: &ReplicationView,
    now_ms: i64,
    lines: &mut Vec<String>,
    last_resync: &LastResync<'_>,
) {
    let Some(link) = &view.link else {
        lines.push(format!(
            "role: master of {} replicas, offset {}",
            view.replicas.len(),
            view.offset
        ));
        return;
    };
    let peer = format!("{}:{}", link.host, link.port);
    let state = match link.state {
        LinkState::Connected => "up",
        other => other.name(),
    };
    lines.push(format!("role: replica of {peer}, link {state}"));
    lines.push(last_resync(&peer, "none since the start"));
    if view.guard.is_refusing() {
        lines.push(format!(
            "  guard: the data is kept from a master that came back empty ({} times refused); REPLICAOF {} {} \
             FORCE takes the empty dataset",
            view.guard.refusals, link.host, link.port
        ));
    } else if let Some(last_error) = &link.last_error {
        lines.push(format!("  last failure: {last_error}"));
    }
    explain_stream_errors(view, now_ms, lines);
    lines.push(format!(
        "  if the link were cut now: {}",
        fate_of_link(link, view)
    ));
}

/// Commands of the master's stream that failed here, and what came of it.
fn explain_stream_errors(view: &ReplicationView, now_ms: i64, lines: &mut Vec<String>) {
    let errors = &view.stream_errors;
    if let Some((last, at_ms)) = &errors.last {
        lines.push(format!(
            "  commands of the master's stream that failed here: {}, the last {} s ago: {last}",
            errors.total,
            (now_ms - at_ms).max(0) / 1000
        ));
    }
    if let Some(offset) = view.diverged {
        lines.push(format!(
            "  diverged: from offset {offset} on the data is not the master's; CONFIG SET replica-on-stream-error \
             resync has it replaced by a full sync"
        ));
    }
}

fn explain_replica(
    replica: &Replica,
    view: &ReplicationView,
    lines: &mut Vec<String>,
    last_resync: &LastResync<'_>,
) {
    let name = replica.name();
    let state = match replica.state {
        ReplicaState::Online => format!(
            "{}, {} bytes and {} ms behind",
            replica.phase(),
            replica.behind(view.offset),
            replica.lag_ms
        ),
        _ => replica.phase().to_owned(),
    };
    let version = match replica.version.as_str() {
        "" => String::new(),
        version => format!(" (version {version})"),
    };
    lines.push(format!("replica {name}{version}: {state}"));
    lines.push(last_resync(&name, "none, it resumed"));
    lines.push(format!(
        "  if its link were cut now: {}",
        fate_of_replica(replica, view)
    ));
}

/// The last verification with each peer, with the keys that differ.
fn explain_verifications(ctx: &Context<'_>, lines: &mut Vec<String>) {
    let published = ctx.node.hub.published();
    for report in published.reports.all() {
        let ago_s = (ctx.now_ms - report.at_ms).max(0) / 1000;
        let mut own = report.lines().into_iter();
        let head = own.next().unwrap_or_default();
        lines.push(format!("verified {ago_s} s ago with {head}"));
        lines.extend(own);
    }
}

/// The last full resyncs, the newest first: time (Unix ms), our side, the peer, the reason.
fn history(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let count = match args.get(2) {
        None => usize::MAX,
        Some(count) => usize::try_from(int_arg(count)?)
            .map_err(|_| CommandError::fixed("ERR value is out of range, must be positive"))?,
    };
    let (resyncs, _) = ctx.node.hub.resyncs();
    let shown = &resyncs[..resyncs.len().min(count)];
    ctx.reply.array(shown.len());
    for resync in shown {
        ctx.reply.map(4);
        ctx.reply.bulk(b"time");
        ctx.reply.int(resync.at_ms);
        ctx.reply.bulk(b"side");
        ctx.reply.bulk(resync.side.name().as_bytes());
        ctx.reply.bulk(b"peer");
        ctx.reply.bulk(resync.peer.as_bytes());
        ctx.reply.bulk(b"reason");
        ctx.reply.bulk(resync.reason.as_bytes());
    }
    Ok(())
}

fn replication_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "EXPLAIN",
            "    Say in words why this node and its replicas last resynced, and what would",
            "    happen if a link were cut now.",
            "HISTORY [<count>]",
            "    Return the last full resyncs, at most 100, with their reasons.",
            "REPAIR REPLICA",
            "    Send the keys that the last verifications found to differ through the stream.",
            "VERIFY [REPLICA|MASTER] [PERIOD <seconds>]",
            "    Compare replicas with their master by digests at one offset, and name the keys that",
            "    differ. PERIOD: again every so many seconds; 0: no more.",
        ],
    )
}
