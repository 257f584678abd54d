//! The session's own commands: AUTH, HELLO, PING, ECHO, SELECT, RESET, QUIT.

pub(crate) mod client;
pub(crate) mod pubsub;

use crate::command::{Context, Handlers};
use crate::resp::Resp;
use crate::session::{Origin, ReplyMode};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::parse_int;

pub(crate) const HANDLERS: Handlers = &[
    ("auth", auth),
    ("echo", echo),
    ("hello", hello),
    ("ping", ping),
    ("quit", quit),
    ("reset", reset),
    ("select", select),
];

/// The only user until ACL rules come.
const DEFAULT_USER: &[u8] = b"default";

fn auth(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (user, password) = match args[1..] {
        [password] => {
            if ctx.settings.requirepass.is_none() {
                return Err(CommandError::fixed(
                    "ERR AUTH <password> called without any password configured for the default user. \
                     Are you sure your configuration is correct?",
                ));
            }
            (DEFAULT_USER, password)
        }
        [user, password] => (user, password),
        _ => return Err(CommandError::SYNTAX),
    };
    log_in(ctx, user, password)?;
    ctx.reply.ok();
    Ok(())
}

/// Checks the credentials and logs the session in. Without `requirepass` the default user takes any
/// password, as Redis's `nopass` does.
fn log_in(ctx: &mut Context<'_>, user: &[u8], password: &[u8]) -> CommandResult {
    let fits = match &ctx.settings.requirepass {
        None => true,
        Some(wanted) => same(wanted.as_bytes(), password),
    };
    if user != DEFAULT_USER || !fits {
        ctx.node.stats.acl_access_denied_auth.inc();
        return Err(CommandError::fixed(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    ctx.session.authenticated = true;
    ctx.session.user = "default".into();
    ctx.session.publish_view();
    Ok(())
}

/// Compares in a time that tells nothing about where two passwords differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y));
    a.len() == b.len() && differing == 0
}

/// HELLO [version [AUTH user password] [SETNAME name]]
fn hello(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let version = args.get(1).map(|arg| protocol_version(arg)).transpose()?;
    let mut credentials = None;
    let mut name = None;
    let mut rest = args.get(2..).unwrap_or_default();
    loop {
        rest = match *rest {
            [] => break,
            [word, user, password, ref rest @ ..] if is_word(word, "auth") => {
                credentials = Some((user, password));
                rest
            }
            [word, given, ref rest @ ..] if is_word(word, "setname") => {
                crate::command::connection::client::check_name(given)?;
                name = Some(given);
                rest
            }
            [word, ..] => {
                return Err(CommandError::err(format_args!(
                    "Syntax error in HELLO option '{}'",
                    String::from_utf8_lossy(word)
                )));
            }
        };
    }
    if let Some((user, password)) = credentials {
        log_in(ctx, user, password)?;
    }
    if !ctx.session.authenticated && ctx.settings.requirepass.is_some() {
        return Err(CommandError::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
             AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
             version at the same time",
        ));
    }
    if let Some(name) = name {
        crate::command::connection::client::set_name(ctx, name);
    }
    if let Some(version) = version {
        speak(ctx, version);
    }
    reply_hello(ctx);
    Ok(())
}

fn protocol_version(arg: &[u8]) -> CommandResult<Resp> {
    match parse_int(arg) {
        Some(2) => Ok(Resp::V2),
        Some(3) => Ok(Resp::V3),
        Some(_) => Err(CommandError::fixed("NOPROTO unsupported protocol version")),
        None => Err(CommandError::fixed(
            "ERR Protocol version is not an integer or out of range",
        )),
    }
}

fn reply_hello(ctx: &mut Context<'_>) {
    let id = ctx.session.id() as i64;
    let role = if ctx.node.hub.is_replica() {
        "replica"
    } else {
        "master"
    };
    let proto = if ctx.reply.is_resp3() { 3 } else { 2 };
    let reply = &mut *ctx.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::observe::process::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(proto);
    reply.bulk(b"id");
    reply.int(id);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(role.as_bytes());
    reply.bulk(b"modules");
    reply.array(0);
}

/// Sets the protocol version, from the running command's reply on.
fn speak(ctx: &mut Context<'_>, version: Resp) {
    ctx.session.client.speak(version);
    ctx.reply.resp = version;
}

fn ping(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 2 {
        return Err(CommandError::arity("ping"));
    }
    let text = args.get(1);
    if ctx.session.subscriptions() > 0 && ctx.session.resp() == Resp::V2 {
        // In subscriber mode a RESP2 client expects nothing but arrays.
        ctx.reply.array(2);
        ctx.reply.bulk(b"pong");
        ctx.reply.bulk(text.copied().unwrap_or_default());
        return Ok(());
    }
    match text {
        None => ctx.reply.raw(b"+PONG\r\n"),
        Some(text) => ctx.reply.bulk(text),
    }
    Ok(())
}

fn echo(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.reply.bulk(args[1]);
    Ok(())
}

fn select(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let index = crate::command::context::int_arg(args[1])?;
    if i32::try_from(index).is_err() {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    match usize::try_from(index) {
        Ok(db) if db < ctx.node.keyspace.databases() => {
            ctx.session.db = db;
            ctx.session.publish_view();
            ctx.reply.ok();
            Ok(())
        }
        _ => Err(CommandError::fixed("ERR DB index is out of range")),
    }
}

fn quit(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.ok();
    ctx.session.closing = true;
    Ok(())
}

/// Back to a connection's beginning, but for the id and what CLIENT SETINFO noted.
fn reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if matches!(ctx.session.origin, Origin::Replica | Origin::Master) {
        return Err(CommandError::fixed(
            "ERR can only reset normal client connections",
        ));
    }
    if ctx.session.monitor {
        ctx.session.monitor = false;
        ctx.node.monitors.remove(ctx.session.id());
    }
    crate::command::dispatch::transaction::discard(ctx);
    ctx.node.pubsub.forget(ctx.session);
    let limits = &ctx.settings.client_output_buffer_limit;
    ctx.session.limit_outbox(limits);
    let session = &mut *ctx.session;
    session.db = 0;
    session.authenticated = ctx.settings.requirepass.is_none();
    session.user = "default".into();
    session.reply_mode = ReplyMode::On;
    session.no_evict = false;
    session.no_touch = false;
    session.client.view.lock().name.clear();
    speak(ctx, Resp::V2);
    ctx.reply.raw(b"+RESET\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn passwords_compare_whole() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abcd"));
        assert!(!same(b"abc", b"ab"));
        assert!(!same(b"abc", b"abd"));
        assert!(same(b"", b""));
    }

    use crate::command::context::bench::Bench;
    use crate::config::Settings;

    #[test]
    fn hello_switches_logs_in_and_names() {
        let mut bench = Bench::with(Settings {
            requirepass: Some("secret".into()),
            ..Settings::default()
        });
        assert!(bench.line("hello 3").0.starts_with("-NOAUTH HELLO must"));
        assert!(bench.line("hello 4").0.starts_with("-NOPROTO unsupported"));
        let wrong = bench.line("hello 3 auth default nope").0;
        assert!(wrong.starts_with("-WRONGPASS"));
        assert!(!bench.session.authenticated);
        let reply = bench.line("hello 3 auth default secret setname me").0;
        assert!(reply.starts_with("%7 $6 server $5 redis"));
        assert!(bench.session.authenticated);
        assert_eq!(bench.line("client getname").0, "$2 me");
        assert_eq!(bench.line("select 3").0, "+OK");
        assert_eq!(bench.line("reset").0, "+RESET");
        assert_eq!(bench.session.db, 0);
        assert!(!bench.session.authenticated);
        assert_eq!(bench.line("client getname").0, "$-1");
    }

    #[test]
    fn databases_are_chosen_within_bounds() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("select 15").0, "+OK");
        assert_eq!(bench.line("select 16").0, "-ERR DB index is out of range");
        assert_eq!(bench.line("select -1").0, "-ERR DB index is out of range");
        assert_eq!(bench.session.db, 15);
    }
}
