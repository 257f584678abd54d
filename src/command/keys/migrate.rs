//! MIGRATE: keys to another node. It packs them here (a DUMP of each) and, when they have arrived there (RESTORE),
//! deletes them; in between is the [`MigrationActor`](crate::actors::migration), which has the socket.
//!
//! redis-server holds everything up until the target has answered, so nothing changes meanwhile. Here others are
//! served, and no shard is held: each packed key is watched, as by WATCH. [`settle`] deletes those that nobody has
//! touched. One that was written since is packed again, and replaces its older copy; one that is gone is deleted at the
//! target. So a write is never lost: whoever sees the key here until it is deleted sees, and keeps, the newest value. Until
//! then both nodes have the key; as with redis-server they both keep it if the link fails after the target took it.
//! Keys that are written faster than they travel: from the third round on writes wait
//! ([`PausePurpose::Migration`]), all of them, as they do with redis-server in every round.
//!
//! The effect is the DEL of what was moved, none with COPY.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::clients::pause::{Pause, PausePurpose};
use crate::command::context::{EventClass, int_arg};
use crate::command::server::saving::{services, with_ticket};
use crate::command::{Context, Handlers, dispatch};
use crate::keyspace::ShardSet;
use crate::node_core::NodeCore;
use crate::node_core::migration::{Migration, PackedKey, Target, TargetCommand};
use crate::rdb::payload;
use crate::rdb::writer::Encoder;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[("migrate", migrate)];

/// What a timeout of 0 or less stands for.
const TIMEOUT_DEFAULT_MS: u64 = 1000;
/// Transfers of one key, the first included, before it is left here.
pub(crate) const ROUNDS_MAX: usize = 5;
/// Of those, how many go on beside writes.
const FREE_ROUNDS: usize = 2;

/// A call's options.
struct MigrateOptions<'a> {
    copy: bool,
    replace: bool,
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    keys: &'a [&'a [u8]],
}

impl<'a> MigrateOptions<'a> {
    fn parse(args: &'a Args<'a>) -> CommandResult<MigrateOptions<'a>> {
        let mut options = MigrateOptions {
            copy: false,
            replace: false,
            user: None,
            password: None,
            keys: &args[3..4],
        };
        let mut words = &args[6..];
        loop {
            words = match words {
                [] => return Ok(options),
                [word, rest @ ..] if is_word(word, "copy") => {
                    options.copy = true;
                    rest
                }
                [word, rest @ ..] if is_word(word, "replace") => {
                    options.replace = true;
                    rest
                }
                [word, password, rest @ ..] if is_word(word, "auth") => {
                    (options.user, options.password) = (None, Some(*password));
                    rest
                }
                [word, user, password, rest @ ..] if is_word(word, "auth2") => {
                    (options.user, options.password) = (Some(*user), Some(*password));
                    rest
                }
                [word, ..] if is_word(word, "keys") && !args[3].is_empty() => {
                    return Err(CommandError::fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                [word, keys @ ..] if is_word(word, "keys") => {
                    options.keys = keys;
                    return Ok(options);
                }
                _ => return Err(CommandError::SYNTAX),
            };
        }
    }
}

fn migrate(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let options = MigrateOptions::parse(args)?;
    let timeout_ms = int_arg(args[5])?;
    let target_db = int_arg(args[4])?;
    services(ctx)?;
    if ctx.deny_blocking {
        // A thread that holds shards can't wait for a socket.
        return Err(CommandError::fixed(
            "ERR MIGRATE isn't allowed inside a transaction",
        ));
    }
    let mut commands = Vec::new();
    for key in options.keys {
        if let Some(packed) = pack(ctx, key, !options.copy) {
            commands.push(TargetCommand::Restore {
                packed,
                replace: options.replace,
            });
        }
    }
    if commands.is_empty() {
        ctx.reply.simple("NOKEY");
        return Ok(());
    }
    let own = |arg: Option<&[u8]>| arg.map(Bytes::copy_from_slice);
    let migration = Migration {
        target: Target {
            host: String::from_utf8_lossy(args[1]).into_owned(),
            port: int_arg(args[2])
                .ok()
                .and_then(|n| n.try_into().ok())
                .unwrap_or(0),
            user: own(options.user),
            password: own(options.password),
        },
        db: ctx.session.db,
        target_db,
        timeout: Duration::from_millis(match u64::try_from(timeout_ms) {
            Ok(0) | Err(_) => TIMEOUT_DEFAULT_MS,
            Ok(timeout_ms) => timeout_ms,
        }),
        copy: options.copy,
    };
    with_ticket(ctx, |services, ticket| {
        services.migrate(ticket, migration, commands)
    })
}

/// The key as it is now, if it is there; watched from here on, if that is asked for.
fn pack(ctx: &mut Context<'_>, key: &[u8], watched: bool) -> Option<PackedKey> {
    let mut encoder = Encoder::new(ctx.settings.rdbcompression);
    let entry = ctx.find_entry(key)?;
    let mut packed = PackedKey {
        key: Bytes::copy_from_slice(key),
        expire_at: entry.expire_at,
        payload: payload::write(&mut encoder, entry.value),
        changed: Arc::default(),
        watch: None,
    };
    if watched {
        let (db, hash) = (ctx.session.db, ctx.keys.keyspace().hash(key));
        let shard = ctx.keys.shard_mut(hash);
        packed.watch = Some(shard.watch(db, key, &packed.changed, false));
    }
    Some(packed)
}

/// The shards that these keys are from.
pub(crate) fn shards_of(node: &NodeCore, packed_keys: &[PackedKey]) -> ShardSet {
    let mut set = ShardSet::NONE;
    for packed in packed_keys {
        set.add(node.keyspace.shard_of(node.keyspace.hash(&packed.key)));
    }
    set
}

/// What became of keys that the target has taken.
#[derive(Default)]
pub(crate) struct Settled {
    /// What the target is to do now, since keys have changed meanwhile.
    pub(crate) again: Vec<TargetCommand>,
    /// Changed keys that stay here, since they may not be sent once more.
    pub(crate) kept: usize,
    /// We became a replica, which must not delete anything: all keys stay.
    pub(crate) replica: bool,
    /// Log offset behind the deletion, 0 if there was none.
    pub(crate) write_offset: u64,
}

/// Deletes the keys that have not changed since they were packed, and packs the others once more, after the
/// `round`th transfer (from 1 on); past `ROUNDS_MAX`, or if the link has `failed`, they stay as they are. Runs with the keys'
/// shards entered.
pub(crate) fn settle(
    ctx: &mut Context<'_>,
    migration: &Migration,
    taken: Vec<PackedKey>,
    round: usize,
    failed: bool,
) -> Settled {
    let mut settled = Settled {
        replica: ctx.node.hub.is_replica() && ctx.settings.replica_read_only,
        ..Settled::default()
    };
    ctx.session.db = migration.db;
    ctx.effects.db = migration.db;
    for packed in &taken {
        let hash = ctx.keys.keyspace().hash(&packed.key);
        let shard = ctx.keys.shard_mut(hash);
        if let Some(number) = packed.watch {
            shard.unwatch(migration.db, &packed.key, number);
        }
    }
    if settled.replica {
        return settled;
    }
    // Told apart before anything is deleted: a key given twice is touched by its first deletion.
    let (changed, untouched): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .partition(|packed| packed.changed.load(Ordering::Acquire));
    delete_moved(ctx, untouched);
    settled.write_offset = ctx.session.last_write_offset;
    if changed.is_empty() {
        return settled;
    }
    if failed || round >= ROUNDS_MAX {
        settled.kept = changed.len();
        return settled;
    }
    if round >= FREE_ROUNDS {
        let (pause, purpose) = (&ctx.node.pause, PausePurpose::Migration);
        let most_ms = i64::try_from(migration.timeout.as_millis()).unwrap_or(i64::MAX);
        let until_ms = ctx.now_ms.saturating_add(most_ms);
        pause.pause(purpose, Pause::Write, until_ms, ctx.now_ms);
    }
    for PackedKey { key, .. } in changed {
        settled.again.push(match pack(ctx, &key, true) {
            Some(packed) => TargetCommand::Restore {
                packed,
                replace: true,
            },
            None => TargetCommand::Delete(key),
        });
    }
    settled
}

fn delete_moved(ctx: &mut Context<'_>, packed_keys: Vec<PackedKey>) {
    let mut effect = vec![Bytes::from_static(b"DEL")];
    for PackedKey { key, .. } in packed_keys {
        if ctx.delete(&key) {
            ctx.changed(&key, EventClass::Generic, "del");
            effect.push(key);
        }
    }
    if effect.len() > 1 {
        ctx.note_changes();
        ctx.effects.also(&effect);
        dispatch::flush_effects(ctx);
    }
}
