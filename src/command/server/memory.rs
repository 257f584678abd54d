//! MEMORY: what keys take, and what the process takes.

use crate::command::context::int_arg;
use crate::command::server::help::help;
use crate::command::server::saving;
use crate::command::{Context, Handlers};
use crate::info::{Observed, Overhead};
use crate::observe::memory::MemoryReport;
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("memory|doctor", doctor),
    ("memory|help", memory_help),
    ("memory|malloc-stats", malloc_stats),
    ("memory|purge", purge),
    ("memory|stats", stats),
    ("memory|usage", usage),
];

/// The records know their sizes, so SAMPLES changes nothing but must be well-formed.
fn usage(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = args[3..].iter();
    while let Some(option) = options.next() {
        let samples = options.next().filter(|_| is_word(option, "samples"));
        if int_arg(samples.ok_or(CommandError::SYNTAX)?)? < 0 {
            return Err(CommandError::SYNTAX);
        }
    }
    let key = args[2];
    let hash = ctx.node.keyspace.hash(key);
    let db = &ctx.keys.shard(hash).dbs[ctx.session.db];
    match db.memory(key, hash) {
        Some(bytes) => ctx.reply.int(bytes as i64),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn purge(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    // Gigabytes take the system a while.
    saving::aside(ctx, |node, reply| {
        node.memory.purge();
        reply.ok();
        Ok(())
    })
}

fn malloc_stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    saving::aside(ctx, |node, reply| {
        match node.memory.statistics() {
            Some(text) => reply.verbatim("txt", text.as_bytes()),
            None => reply.bulk(b"Stats not supported for the current allocator"),
        }
        Ok(())
    })
}

fn overhead(ctx: &Context<'_>) -> Overhead {
    ctx.node.memory.refresh();
    Overhead::measure(&Observed {
        node: ctx.node,
        settings: ctx.settings,
        keys: &ctx.keys,
        now_ms: ctx.now_ms,
    })
}

fn stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let overhead = overhead(ctx);
    let memory = &ctx.node.memory;
    let report = memory.last();
    let per_key = (memory.used().saturating_sub(memory.startup()))
        .checked_div(overhead.keys)
        .unwrap_or(0);
    let databases: Vec<usize> = (0..ctx.node.keyspace.databases())
        .filter(|&db| !ctx.keys.is_empty(db))
        .collect();
    let reply = &mut *ctx.reply;
    reply.map(27 + databases.len());
    write_ints(
        reply,
        &[
            ("peak.allocated", memory.peak() as i64),
            ("total.allocated", memory.used() as i64),
            ("startup.allocated", memory.startup() as i64),
            ("replication.backlog", overhead.backlog as i64),
            ("clients.slaves", overhead.clients_replicas as i64),
            ("clients.normal", overhead.clients_normal as i64),
            ("cluster.links", 0),
            ("aof.buffer", 0),
            ("lua.caches", 0),
            ("functions.caches", 0),
        ],
    );
    for db in databases {
        // Records carry their key, value and expiry: beside them there are only the tables' slots, a pointer
        // and a tag each, some of them free.
        let slots = ctx.keys.len(db) * 10;
        reply.bulk(format!("db.{db}").as_bytes());
        reply.map(3);
        write_ints(
            reply,
            &[
                ("overhead.hashtable.main", slots as i64),
                ("overhead.hashtable.expires", 0),
                ("overhead.hashtable.slot-to-keys", 0),
            ],
        );
    }
    write_ints(
        reply,
        &[
            ("overhead.total", overhead.total as i64),
            ("keys.count", overhead.keys as i64),
            ("keys.bytes-per-key", per_key as i64),
            ("dataset.bytes", overhead.dataset as i64),
        ],
    );
    reply.bulk(b"dataset.percentage");
    reply.double(overhead.dataset_percent);
    reply.bulk(b"peak.percentage");
    reply.double(overhead.peak_percent);
    write_ints(
        reply,
        &[
            ("allocator.allocated", report.allocated as i64),
            ("allocator.active", report.active as i64),
            ("allocator.resident", report.resident as i64),
        ],
    );
    write_ratios(reply, &report);
    Ok(())
}

/// The allocator's fragmentation and overheads: a ratio and a difference each.
fn write_ratios(reply: &mut Reply, report: &MemoryReport) {
    let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let apart = |a: u64, b: u64| a as i64 - b as i64;
    for (name, unit, a, b) in [
        (
            "allocator-fragmentation.ratio",
            "allocator-fragmentation.bytes",
            report.active,
            report.allocated,
        ),
        (
            "allocator-rss.ratio",
            "allocator-rss.bytes",
            report.resident,
            report.active,
        ),
        (
            "rss-overhead.ratio",
            "rss-overhead.bytes",
            report.rss,
            report.resident,
        ),
        (
            "fragmentation",
            "fragmentation.bytes",
            report.rss,
            report.allocated,
        ),
    ] {
        reply.bulk(name.as_bytes());
        reply.double(ratio(a, b));
        write_ints(reply, &[(unit, apart(a, b))]);
    }
}

fn write_ints(reply: &mut Reply, pairs: &[(&str, i64)]) {
    for (name, value) in pairs {
        reply.bulk(name.as_bytes());
        reply.int(*value);
    }
}

/// Below this, ratios say nothing.
const SMALL_BYTES: u64 = 5 << 20;

fn doctor(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let overhead = overhead(ctx);
    let memory = &ctx.node.memory;
    let report = memory.last();
    let over = |a: u64, b: u64, percent: u64| a.saturating_mul(100) > b.saturating_mul(percent);
    let mut findings = Vec::new();
    if memory.used() < SMALL_BYTES {
        let text = "This node is empty or holds very little: there is nothing to say about its memory yet.\n";
        ctx.reply.verbatim("txt", text.as_bytes());
        return Ok(());
    }
    if over(memory.peak(), memory.used(), 150) {
        findings.push("Peak: the most that was ever used is over 150% of what is used now. What was freed may still be with the process; MEMORY PURGE asks for its return.");
    }
    if over(report.active, report.allocated, 110) && report.active - report.allocated > 10 << 20 {
        findings.push("Allocator fragmentation: over 10% of the memory in use lies between values. It shrinks as values of the same sizes come and go.");
    }
    if over(report.resident, report.active, 110) && report.resident - report.active > 10 << 20 {
        findings.push("Allocator retention: over 10% of the memory is kept for later use. MEMORY PURGE gives it back.");
    }
    let clients = ctx.node.clients.len().max(1) as u64;
    if overhead.clients_normal / clients > 200 << 10 {
        findings.push("Clients: their buffers hold over 200K each on average. Somebody reads slowly, or asks for much at once.");
    }
    if overhead.clients_replicas > 10 << 20 {
        findings.push("Replicas: over 10M wait to be sent. A replica or its link is slow.");
    }
    let text = match findings.as_slice() {
        [] => "Nothing unusual was found about this node's memory.\n".to_owned(),
        findings => format!(
            "Findings about this node's memory:\n\n * {}\n",
            findings.join("\n\n * ")
        ),
    };
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn memory_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    )
}
