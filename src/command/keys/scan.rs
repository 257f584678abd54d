//! SCAN: stepping through a database, shard after shard.
//!
//! A cursor is the shard's own cursor times the number of shards, plus the shard's index; 0 begins and
//! ends. The number of shards is fixed while a node runs, so cursors stay valid. A call goes on into the
//! next shard while it has looked at fewer keys than COUNT. It is inside one shard at a time (but in a
//! transaction, which is inside all of them), and ends early where the next one is busy.

use crate::command::collections::scan_options::{ScanOptions, parse_cursor};
use crate::command::dispatch;
use crate::command::{Context, Handlers};
use crate::keyspace::{Keyspace, ShardSet};
use crate::table::{Args, CommandResult};

pub(crate) const HANDLERS: Handlers = &[("scan", scan)];

/// The shard that a SCAN begins in.
pub(in crate::command) fn first_shard(keyspace: &Keyspace, args: &Args<'_>) -> ShardSet {
    match args.get(1).map(|cursor| parse_cursor(cursor)) {
        Some(Ok(cursor)) => ShardSet::one((cursor % keyspace.shards() as u64) as usize),
        _ => ShardSet::NONE,
    }
}

/// Goes on into another shard; false: it is busy, and none is entered now.
fn enter(ctx: &mut Context<'_>, shard: u64) -> bool {
    let set = ShardSet::one(shard as usize);
    if ctx.keys.set().contains(set) {
        return true;
    }
    // What was found expired is logged before its shard is left.
    let apart = ctx.effects.apart;
    dispatch::flush_effects(ctx);
    ctx.effects.apart = apart;
    dispatch::release(ctx);
    let entered = ctx.node.keyspace.try_enter(set);
    let inside = entered.is_some();
    if let Some(keys) = entered {
        ctx.set_keys(keys);
    }
    inside
}

fn scan(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args[1])?;
    let options = ScanOptions::parse(&args[2..], true)?;
    let (next, keys) = collect(ctx, cursor, &options);
    ctx.reply.array(2);
    let mut digits = itoa::Buffer::new();
    ctx.reply.bulk(digits.format(next).as_bytes());
    ctx.reply.array(keys.len());
    for key in &keys {
        ctx.reply.bulk(key);
    }
    Ok(())
}

/// The next cursor and the wanted keys. Expired ones are left out, and deleted if that is ours to do.
fn collect(ctx: &mut Context<'_>, cursor: u64, options: &ScanOptions<'_>) -> (u64, Vec<Vec<u8>>) {
    let shards = ctx.node.keyspace.shards() as u64;
    let (db, now_ms) = (ctx.session.db, ctx.now_ms);
    let mut keys = Vec::new();
    let mut expired: Vec<Vec<u8>> = Vec::new();
    let mut seen = 0usize;
    // Sparse tables give few keys a step; this bounds the steps of one call, as Redis does.
    let mut steps_left = options.count.saturating_mul(10);
    let (mut inner, mut shard) = (cursor / shards, cursor % shards);
    while seen < options.count && steps_left > 0 && enter(ctx, shard) {
        let part = &ctx.keys.at(shard as usize).dbs[db];
        inner = part.scan(inner, options.count - seen, &mut |entry| {
            seen += 1;
            if !options.wants(entry.key) {
                return;
            }
            if entry.is_expired(now_ms) {
                expired.push(entry.key.to_vec());
            } else if options.wants_type(entry.value.kind().name()) {
                keys.push(entry.key.to_vec());
            }
        });
        for key in expired.drain(..) {
            ctx.present(&key);
        }
        steps_left -= 1;
        if inner == 0 {
            shard += 1;
            if shard == shards {
                shard = 0;
                break;
            }
        }
    }
    (inner.saturating_mul(shards).saturating_add(shard), keys)
}

impl ScanOptions<'_> {
    /// Whether a key of this type passes TYPE. A name that no type has passes nothing.
    fn wants_type(&self, name: &str) -> bool {
        self.type_name
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crate::command::context::bench::Bench;
    use crate::command::dispatch::{self, Outcome};
    use crate::command::{Context, Effects};
    use crate::config::Settings;
    use crate::keyspace::ShardSet;
    use crate::resp::Reply;

    #[test]
    fn a_busy_shard_is_in_nobodys_way_until_it_is_reached() {
        let mut bench = Bench::with(Settings {
            shards: 4,
            ..Settings::default()
        });
        for i in 0..200 {
            bench.line(&format!("SET key:{i} {i}"));
        }
        let (inside, entered) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let Bench { node, session, .. } = &mut bench;
        let node = &*node;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _held = node.keyspace.enter(ShardSet::one(3));
                inside.send(()).unwrap();
                let _ = left.recv();
            });
            entered.recv().unwrap();
            let settings = node.settings.load_full();
            let (mut reply, mut effects) = (Reply::default(), Effects::default());
            let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
            let args: [&[u8]; 4] = [b"SCAN", b"0", b"COUNT", b"1000"];
            assert_eq!(dispatch::run(&mut ctx, &args), Outcome::Done);
            ctx.finish();
            // Three shards were read; the cursor is the fourth's beginning.
            let text = String::from_utf8_lossy(&reply.take().into_bytes()).into_owned();
            assert!(text.starts_with("*2\r\n$1\r\n3\r\n"), "{text}");
            assert!(text.matches("key:").count() > 50);
            drop(leave);
        });
        let rest = bench.reply("SCAN 3 COUNT 1000");
        assert!(rest.starts_with("*2 $1 0 "), "{rest}");
    }
}
