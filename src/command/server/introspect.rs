//! SLOWLOG, LATENCY and MONITOR: watching the server at work.

use crate::command::server::help::help;
use crate::command::server::latency_report;
use crate::command::{Context, Handlers};
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::table::{Command, CommandTable};
use crate::text::parse_int;

pub(crate) const HANDLERS: Handlers = &[
    ("latency|doctor", latency_doctor),
    ("latency|graph", latency_graph),
    ("latency|help", latency_help),
    ("latency|histogram", latency_histogram),
    ("latency|history", latency_history),
    ("latency|latest", latency_latest),
    ("latency|reset", latency_reset),
    ("monitor", monitor),
    ("slowlog|get", slowlog_get),
    ("slowlog|help", slowlog_help),
    ("slowlog|len", slowlog_len),
    ("slowlog|reset", slowlog_reset),
];

// ---- MONITOR ----

fn monitor(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.deny_blocking {
        return Err(CommandError::fixed(
            "ERR MONITOR isn't allowed for DENY BLOCKING client",
        ));
    }
    if ctx.session.monitor {
        // Redis says nothing to a second MONITOR.
        return Ok(());
    }
    ctx.session.monitor = true;
    ctx.session.publish_view();
    let limits = &ctx.settings.client_output_buffer_limit;
    ctx.session.limit_outbox(limits);
    ctx.node.monitors.add(ctx.session.client.clone());
    ctx.reply.ok();
    Ok(())
}

// ---- SLOWLOG ----

/// `SLOWLOG GET [count]`
fn slowlog_get(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    const RANGE: &str = "ERR count should be greater than or equal to -1";
    let count = match args[2..] {
        [] => 10,
        [count] => match parse_int(count) {
            Some(-1) => usize::MAX,
            Some(count @ 0..) => count as usize,
            _ => return Err(CommandError::fixed(RANGE)),
        },
        _ => {
            return Err(CommandError::err(format_args!(
                "unknown subcommand or wrong number of arguments for '{}'. Try SLOWLOG HELP.",
                String::from_utf8_lossy(args[1])
            )));
        }
    };
    let entries = ctx.node.slowlog.newest(count);
    ctx.reply.array(entries.len());
    for entry in entries {
        ctx.reply.array(6);
        ctx.reply.int(entry.id as i64);
        ctx.reply.int(entry.time_s as i64);
        ctx.reply.int(entry.took_us as i64);
        ctx.reply.array(entry.args.len());
        for arg in &entry.args {
            ctx.reply.bulk(arg);
        }
        ctx.reply.bulk(entry.addr.as_bytes());
        ctx.reply.bulk(entry.name.as_bytes());
    }
    Ok(())
}

fn slowlog_len(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.node.slowlog.len() as i64);
    Ok(())
}

fn slowlog_reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.node.slowlog.reset();
    ctx.reply.ok();
    Ok(())
}

fn slowlog_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    )
}

// ---- LATENCY ----

fn latency_history(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let samples = match ctx.node.latency.series(args[2]) {
        Some((_, series)) => series.samples,
        None => Default::default(),
    };
    ctx.reply.array(samples.len());
    for sample in samples {
        ctx.reply.array(2);
        ctx.reply.int(sample.time_s as i64);
        ctx.reply.int(sample.latency_ms as i64);
    }
    Ok(())
}

fn latency_latest(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let events = ctx.node.latency.all();
    ctx.reply.array(events.len());
    for (name, series) in events {
        let (time_s, latency_ms) = series
            .samples
            .back()
            .map_or((0, 0), |last| (last.time_s, last.latency_ms));
        ctx.reply.array(4);
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.int(time_s as i64);
        ctx.reply.int(latency_ms as i64);
        ctx.reply.int(series.worst_ms as i64);
    }
    Ok(())
}

fn latency_reset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let latency = &ctx.node.latency;
    let forgotten: usize = if args.len() == 2 {
        latency.reset(None)
    } else {
        args[2..]
            .iter()
            .map(|event| latency.reset(Some(event)))
            .sum()
    };
    ctx.reply.int(forgotten as i64);
    Ok(())
}

fn latency_graph(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let Some((name, series)) = ctx.node.latency.series(args[2]) else {
        return Err(CommandError::err(format_args!(
            "No samples available for event '{}'",
            String::from_utf8_lossy(args[2])
        )));
    };
    let text = latency_report::graph(name, &series, ctx.now_ms.max(0) as u64 / 1000);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn latency_doctor(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let events = ctx.node.latency.all();
    let text = latency_report::doctor(&events, ctx.settings, ctx.now_ms.max(0) as u64 / 1000);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// LATENCY HISTOGRAM [command ...]: unknown commands and those that never ran are left out.
fn latency_histogram(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let table = &ctx.node.table;
    let commands: Vec<&Command> = if args.len() == 2 {
        table.all().collect()
    } else {
        args[2..]
            .iter()
            .filter_map(|name| table.by_full_name(name))
            .flat_map(|command| with_subcommands(table, command))
            .collect()
    };
    let mark = ctx.reply.begin();
    let mut shown = 0;
    for command in commands {
        if let Some(latency) = ctx.node.command_stats.latency(command.id) {
            ctx.reply.bulk(command.name.as_bytes());
            write_distribution(ctx.reply, latency.total(), &latency.cumulative_us());
            shown += 1;
        }
    }
    ctx.reply.end(mark, Aggregate::Map, shown);
    Ok(())
}

fn with_subcommands<'t>(
    table: &'t CommandTable,
    command: &'t Command,
) -> impl Iterator<Item = &'t Command> {
    let subcommands = command.subcommands.iter().map(|id| table.get(*id));
    std::iter::once(command).chain(subcommands)
}

fn write_distribution(reply: &mut Reply, calls: u64, points: &[(u64, u64)]) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.int(calls as i64);
    reply.bulk(b"histogram_usec");
    reply.map(points.len());
    for (us, count) in points {
        reply.int(*us as i64);
        reply.int(*count as i64);
    }
}

fn latency_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified \
             command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    )
}
