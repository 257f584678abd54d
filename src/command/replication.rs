//! What replicas say to their master: REPLCONF, PSYNC, SYNC.

use super::context::{int_arg, is_word};
use super::{Args, CommandError, CommandResult, Context, Handlers, dispatch};
use crate::session::Origin;

pub const HANDLERS: Handlers = &[("psync", psync), ("replconf", replconf), ("sync", psync)];

/// Longest host name or address that a replica may announce, bytes.
const HOST_MAX: usize = 256;

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
            told.ip_address = Some(String::from_utf8_lossy(value).into_owned());
        } else if is_word(option, "capa") {
            told.capa_eof |= is_word(value, "eof");
            told.capa_psync2 |= is_word(value, "psync2");
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
            let words = String::from_utf8_lossy(value);
            for word in words.split_whitespace() {
                if !word.eq_ignore_ascii_case("functions") {
                    return Err(CommandError::err(format_args!(
                        "Unsupported rdb-filter-only option: {word}"
                    )));
                }
            }
            told.rdb_filter_only = Some(words.into_owned());
        } else if is_word(option, "version") {
            told.version = Some(String::from_utf8_lossy(value).into_owned());
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

/// The socket goes to the MasterActor, which decides and answers. Who can be refused now, is.
fn psync(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.session.origin != Origin::Client {
        return Ok(());
    }
    let hub = &ctx.node.hub;
    let failover = args.len() > 3 && is_word(args[3], "failover");
    if failover && !hub.is_replica() {
        return Err(CommandError::fixed(
            "ERR PSYNC FAILOVER can't be sent to a master.",
        ));
    }
    if hub.is_replica() && !hub.link_up() && !failover {
        return Err(CommandError::fixed(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    if let [_, _, offset, ..] = args {
        int_arg(offset)?;
    }
    if let Some(told) = &ctx.session.replconf
        && told.rdb_filter_only.is_some()
        && !told.capa_eof
    {
        return Err(CommandError::fixed(
            "ERR Filtered replica requires EOF capability",
        ));
    }
    ctx.session.handover = Some(dispatch::own(args));
    Ok(())
}
