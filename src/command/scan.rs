//! SCAN: stepping through a database, shard after shard.
//!
//! A cursor is the shard's own cursor times the number of shards, plus the shard's index; 0 begins and
//! ends. The number of shards is fixed while a node runs, so cursors stay valid. A call goes on into the
//! next shard while it has looked at fewer keys than COUNT.

use super::scan_options::{ScanOptions, parse_cursor};
use super::{Args, CommandResult, Context, Handlers};

pub const HANDLERS: Handlers = &[("scan", scan)];

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
    let mut expired = Vec::new();
    let mut seen = 0usize;
    // Sparse tables give few keys a step; this bounds the steps of one call, as Redis does.
    let mut steps_left = options.count.saturating_mul(10);
    let (mut inner, mut shard) = (cursor / shards, cursor % shards);
    while seen < options.count && steps_left > 0 {
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
        steps_left -= 1;
        if inner == 0 {
            shard += 1;
            if shard == shards {
                shard = 0;
                break;
            }
        }
    }
    for key in expired {
        ctx.present(&key);
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
