//! Trimming: the options that XADD and XTRIM share, and XTRIM.

use super::delete::{log_removed, references_arg};
use super::id_arg;
use crate::command::Context;
use crate::command::context::{EventClass, int_arg};
use crate::data::Stream;
use crate::data::stream::{References, Removed, StreamId, Trim, Trimmed};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// What trimming has come to.
#[derive(Default)]
pub(super) struct Trimming {
    /// How many entries went, and how many are left.
    pub(super) gone: u64,
    len: u64,
    /// What went, where references were looked at.
    removed: Removed,
    nodes: Trimmed,
}

/// How much is to be cut off, if anything is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimOptions {
    pub(super) trim: Option<Trim>,
    /// Which argument says how much.
    threshold_at: usize,
    /// `~`: only whole nodes.
    pub(super) approximate: bool,
    /// Most entries that may go; 0: no limit.
    limit: u64,
    limit_given: bool,
    /// What becomes of entries that groups still refer to.
    pub(super) references: References,
    pub(super) references_given: bool,
}

const BOTH: CommandError = CommandError::fixed(
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
);

/// Most nodes that `~` cuts off where no LIMIT is given, and the bounds of that in entries.
const NODES_AT_ONCE: u64 = 100;
const LIMIT_UNBOUNDED: u64 = 10_000;
const LIMIT_MAX: u64 = 1_000_000;

impl TrimOptions {
    /// Takes an option at `args[at]`, if that is one of these; gives how many arguments it has taken.
    pub(super) fn take(&mut self, args: &Args<'_>, at: usize) -> CommandResult<Option<usize>> {
        let more = args.len() - 1 - at;
        let word = args[at];
        if (is_word(word, "maxlen") || is_word(word, "minid")) && more > 0 {
            return self.take_threshold(args, at).map(Some);
        }
        if is_word(word, "limit") && more > 0 {
            let limit = int_arg(args[at + 1])?;
            self.limit = u64::try_from(limit)
                .map_err(|_| CommandError::fixed("ERR The LIMIT argument must be >= 0."))?;
            self.limit_given = true;
            return Ok(Some(2));
        }
        if let Some(references) = references_arg(word) {
            if std::mem::replace(&mut self.references_given, true) {
                return Err(CommandError::SYNTAX);
            }
            self.references = references;
            return Ok(Some(1));
        }
        Ok(None)
    }

    fn take_threshold(&mut self, args: &Args<'_>, at: usize) -> CommandResult<usize> {
        if self.trim.is_some() {
            return Err(BOTH);
        }
        let mut threshold_at = at + 1;
        if args.len() > at + 2 {
            self.approximate = args[threshold_at] == b"~";
            threshold_at += usize::from(matches!(args[threshold_at], b"~" | b"="));
        }
        let threshold = args[threshold_at];
        self.trim = Some(if is_word(args[at], "maxlen") {
            let most = u64::try_from(int_arg(threshold)?);
            Trim::MaxLen(
                most.map_err(|_| CommandError::fixed("ERR The MAXLEN argument must be >= 0."))?,
            )
        } else {
            Trim::MinId(id_arg(threshold, 0)?)
        });
        self.threshold_at = threshold_at;
        Ok(threshold_at + 1 - at)
    }

    /// Checks them as a whole once all are taken, and sets the limit that holds where none is given.
    pub(super) fn check(&mut self, ctx: &Context<'_>, must_trim: bool) -> CommandResult {
        if self.limit > 0 && self.trim.is_none() {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if must_trim && self.trim.is_none() {
            return Err(CommandError::fixed(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if ctx.is_from_master() {
            // The master has said exactly how far it went.
            self.limit = 0;
        } else if self.limit_given && !self.approximate {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        } else if !self.limit_given && self.approximate {
            let entries = ctx.settings.encodings.stream_node_max_entries as u64;
            self.limit = match entries.saturating_mul(NODES_AT_ONCE) {
                0 => LIMIT_UNBOUNDED,
                limit => limit.min(LIMIT_MAX),
            };
        }
        Ok(())
    }

    /// Cuts off what is to go.
    pub(super) fn apply(&self, stream: &mut Stream) -> Trimming {
        let mut trimming = Trimming::default();
        let nodes = &mut trimming.nodes;
        match (self.trim, self.references) {
            (None, _) => {}
            (Some(trim), References::Keep) => {
                let entries = &mut stream.entries;
                trimming.gone = entries.trim(trim, self.approximate, self.limit, nodes);
            }
            // Whole nodes can't be told to be free of references: Redis 8.2 trims nothing then.
            (Some(_), _) if self.approximate => {}
            (Some(trim), references) => {
                trimming.removed = stream.trim_referenced(trim, references, nodes);
                trimming.gone = trimming.removed.entries.len() as u64;
            }
        }
        trimming.len = stream.len();
        trimming
    }

    /// Logs what trimming did in words that older replicas know. Only where references were spoken of.
    pub(super) fn log_referenced(&self, ctx: &mut Context<'_>, key: &[u8], trimming: &Trimming) {
        if trimming.gone == 0 {
            return;
        }
        if self.references == References::Acked {
            log_removed(ctx, key, &trimming.removed);
            return;
        }
        let mut digits = itoa::Buffer::new();
        let len = digits.format(trimming.len).as_bytes();
        ctx.effects.replace(&[b"XTRIM", key, b"MAXLEN", b"=", len]);
        let references = Removed {
            entries: Vec::new(),
            references: trimming.removed.references.clone(),
        };
        log_removed(ctx, key, &references);
    }

    /// Arguments that a replica is to see otherwise: where `~` was said, how far trimming came, exactly.
    pub(super) fn rewritten(&self, stream: &Stream) -> Option<[(usize, Vec<u8>); 2]> {
        if !self.approximate {
            return None;
        }
        let exact = match self.trim? {
            Trim::MaxLen(_) => stream.len().to_string().into_bytes(),
            Trim::MinId(_) => {
                let first = stream.entries.first_kept_id().unwrap_or(StreamId::MAX);
                first.text().as_ref().to_vec()
            }
        };
        let at = self.threshold_at;
        Some([(at - 1, b"=".to_vec()), (at, exact)])
    }
}

/// Logs the running command with some arguments written otherwise.
pub(super) fn log_rewritten(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    rewritten: impl IntoIterator<Item = (usize, Vec<u8>)>,
) {
    let mut own: Vec<&[u8]> = args.to_vec();
    let rewritten: Vec<_> = rewritten.into_iter().collect();
    for (at, text) in &rewritten {
        own[*at] = text;
    }
    ctx.effects.replace(&own);
}

/// Drops nodes that were cut off, in the background if that may take long.
pub(super) fn discard(ctx: &Context<'_>, trimming: Trimming) {
    if trimming.nodes.len() > 1 {
        ctx.node.lazyfree.push(Box::new(trimming.nodes));
    }
}

pub(super) fn xtrim(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = TrimOptions::default();
    let mut at = 2;
    while at < args.len() {
        match options.take(args, at)? {
            Some(taken) => at += taken,
            None => return Err(CommandError::SYNTAX),
        }
    }
    options.check(ctx, true)?;
    let key = args[1];
    let logs = ctx.effects.enabled;
    let Some(stream) = ctx.find_stream_mut(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let trimming = options.apply(stream);
    let gone = trimming.gone;
    let rewritten = if logs && gone > 0 {
        options.rewritten(stream)
    } else {
        None
    };
    if gone > 0 {
        ctx.notify(EventClass::Stream, "xtrim", key);
        ctx.touch(key);
        ctx.dirty += gone;
        if options.references_given {
            options.log_referenced(ctx, key, &trimming);
        } else if let Some(rewritten) = rewritten {
            log_rewritten(ctx, args, rewritten);
        }
    }
    discard(ctx, trimming);
    ctx.reply.int(gone as i64);
    Ok(())
}
