//! CLIENT and its subcommands: who is connected, and what to do with them.
//!
//! What belongs to the session changes here at once; other clients are reached through the shared
//! [`Client`]: a flag is set and its owner woken, which acts in its own time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clients::client::{Client, ClientView};
use crate::clients::pause::{Pause, PausePurpose};
use crate::command::context::int_arg;
use crate::command::server::help::help;
use crate::command::{Context, Handlers};
use crate::resp::Resp;
use crate::session::ReplyMode;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::parse_int;

pub(crate) const HANDLERS: Handlers = &[
    ("client|getname", getname),
    ("client|getredir", getredir),
    ("client|help", client_help),
    ("client|id", id),
    ("client|info", info),
    ("client|kill", kill),
    ("client|list", list),
    ("client|no-evict", no_evict),
    ("client|no-touch", no_touch),
    ("client|pause", pause),
    ("client|reply", reply_mode),
    ("client|setinfo", setinfo),
    ("client|setname", setname),
    ("client|trackinginfo", trackinginfo),
    ("client|unblock", unblock),
    ("client|unpause", unpause),
];

// ---- this connection ----

fn id(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.session.id() as i64);
    Ok(())
}

fn getname(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let view = ctx.session.client.view.lock();
    if view.name.is_empty() {
        ctx.reply.null();
    } else {
        ctx.reply.bulk(view.name.as_bytes());
    }
    Ok(())
}

fn setname(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    check_name(args[2])?;
    set_name(ctx, args[2]);
    ctx.reply.ok();
    Ok(())
}

/// Whether a text fits into CLIENT LIST's line, whose fields end at a space.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|b| (b'!'..=b'~').contains(b))
}

/// Refuses what is no client name.
pub(in crate::command) fn check_name(name: &[u8]) -> CommandResult {
    if is_printable(name) {
        Ok(())
    } else {
        Err(CommandError::fixed(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}

/// Names the connection; an empty name takes the name away. The name has been checked.
pub(in crate::command) fn set_name(ctx: &mut Context<'_>, name: &[u8]) {
    ctx.session.client.view.lock().name = String::from_utf8_lossy(name).into_owned();
}

fn setinfo(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (attribute, value) = (args[2], args[3]);
    let version = is_word(attribute, "lib-ver");
    if !version && !is_word(attribute, "lib-name") {
        return Err(CommandError::err(format_args!(
            "Unrecognized option '{}'",
            String::from_utf8_lossy(attribute)
        )));
    }
    if !is_printable(value) {
        return Err(CommandError::err(format_args!(
            "{} cannot contain spaces, newlines or special characters.",
            String::from_utf8_lossy(attribute)
        )));
    }
    let value = String::from_utf8_lossy(value).into_owned();
    let mut view = ctx.session.client.view.lock();
    if version {
        view.lib_ver = value;
    } else {
        view.lib_name = value;
    }
    ctx.reply.ok();
    Ok(())
}

/// ON or OFF.
fn switch(arg: &[u8]) -> CommandResult<bool> {
    match arg {
        a if is_word(a, "on") => Ok(true),
        a if is_word(a, "off") => Ok(false),
        _ => Err(CommandError::SYNTAX),
    }
}

fn no_evict(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.session.no_evict = switch(args[2])?;
    ctx.session.publish_view();
    ctx.reply.ok();
    Ok(())
}

fn no_touch(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.session.no_touch = switch(args[2])?;
    ctx.session.publish_view();
    ctx.reply.ok();
    Ok(())
}

/// CLIENT REPLY ON|OFF|SKIP. Dispatch drops the replies that the mode hides, this one included.
fn reply_mode(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    match args[2] {
        a if is_word(a, "on") => {
            ctx.session.reply_mode = ReplyMode::On;
            ctx.reply.ok();
        }
        a if is_word(a, "off") => ctx.session.reply_mode = ReplyMode::Off,
        a if is_word(a, "skip") => {
            if ctx.session.reply_mode != ReplyMode::Off {
                ctx.session.reply_mode = ReplyMode::SkipNext;
            }
        }
        _ => return Err(CommandError::SYNTAX),
    }
    Ok(())
}

/// Tracking comes with a later issue: it is off.
fn getredir(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(-1);
    Ok(())
}

fn trackinginfo(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.map(3);
    ctx.reply.bulk(b"flags");
    ctx.reply.set(1);
    ctx.reply.bulk(b"off");
    ctx.reply.bulk(b"redirect");
    ctx.reply.int(-1);
    ctx.reply.bulk(b"prefixes");
    ctx.reply.array(0);
    Ok(())
}

// ---- looking at clients ----

/// The classes that CLIENT LIST and KILL tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientType {
    Normal,
    Replica,
    PubSub,
    Master,
}

impl ClientType {
    fn parse(name: &[u8]) -> CommandResult<ClientType> {
        match name {
            n if is_word(n, "normal") => Ok(ClientType::Normal),
            n if is_word(n, "slave") || is_word(n, "replica") => Ok(ClientType::Replica),
            n if is_word(n, "pubsub") => Ok(ClientType::PubSub),
            n if is_word(n, "master") => Ok(ClientType::Master),
            n => Err(CommandError::err(format_args!(
                "Unknown client type '{}'",
                String::from_utf8_lossy(n)
            ))),
        }
    }

    fn of(view: &ClientView) -> ClientType {
        if view.master {
            ClientType::Master
        } else if view.replica {
            ClientType::Replica
        } else if is_subscribed(view) {
            ClientType::PubSub
        } else {
            ClientType::Normal
        }
    }
}

fn is_subscribed(view: &ClientView) -> bool {
    view.subscriptions + view.pattern_subscriptions + view.shard_subscriptions > 0
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.session.publish_view();
    let client = ctx.session.client.clone();
    let mut text = String::new();
    describe(ctx, &client, args, &mut text);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// CLIENT LIST [TYPE type] [ID id ...]
fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut wanted = None;
    let clients = match args[2..] {
        [] => ctx.node.clients.all(),
        [word, name] if is_word(word, "type") => {
            wanted = Some(ClientType::parse(name)?);
            ctx.node.clients.all()
        }
        [word, ref ids @ ..] if is_word(word, "id") && !ids.is_empty() => {
            let mut clients = Vec::new();
            for id in ids {
                let id = parse_int(id).ok_or(CommandError::fixed("ERR Invalid client ID"))?;
                let found = u64::try_from(id)
                    .ok()
                    .and_then(|id| ctx.node.clients.get(id));
                clients.extend(found);
            }
            clients
        }
        _ => return Err(CommandError::SYNTAX),
    };
    ctx.session.publish_view();
    let mut text = String::new();
    for client in clients {
        if wanted.is_none_or(|w| ClientType::of(&client.view.lock()) == w) {
            describe(ctx, &client, args, &mut text);
        }
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Appends a client's line. `args` is what the asking client itself runs. There is no reply buffer of the
/// client's own (`rbs`, `rbp`, `obl`): replies are written from one of its arbiter, and what the socket does
/// not take at once waits in the client's output (`oll`, `omem`).
fn describe(ctx: &Context<'_>, client: &Client, args: &Args<'_>, text: &mut String) {
    use std::fmt::Write;
    let view = client.view.lock().clone();
    let own = client.id == ctx.session.id();
    let command = match client.last_command.load(Ordering::Relaxed) {
        id if (id as usize) < ctx.node.table.ids() => ctx.node.table.get(id).name,
        _ => "NULL",
    };
    let last_seen_ms = client.last_seen_ms.load(Ordering::Relaxed);
    let seconds_since = |ms: i64| (ctx.now_ms - ms).max(0) / 1000;
    let (query_buffer, arguments) = if own {
        (
            ctx.session.input_bytes,
            args.iter().map(|arg| arg.len()).sum(),
        )
    } else {
        let waiting = client.input_bytes.load(Ordering::Relaxed);
        (waiting, view.argument_bytes)
    };
    let query_buffer_free = client.input_free_bytes.load(Ordering::Relaxed);
    let output = client.output_waiting();
    let (in_buffer, in_list) = (output.bytes - output.in_pieces, output.list_memory());
    let memory = size_of::<Client>()
        + size_of::<crate::session::Session>()
        + query_buffer
        + query_buffer_free
        + arguments
        + view.multi_bytes
        + in_buffer
        + in_list;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "id={id} addr={addr} laddr={laddr} fd={fd} name={name} age={age} idle={idle} flags={flags} db={db} \
         sub={sub} psub={psub} ssub={ssub} multi={multi} qbuf={qbuf} qbuf-free={qbuf_free} argv-mem={arguments} \
         multi-mem={multi_mem} rbs=0 rbp=0 obl={in_buffer} oll={pieces} omem={in_list} tot-mem={memory} events={events} \
         cmd={command} user={user} redir=-1 resp={resp} lib-name={lib_name} lib-ver={lib_ver}",
        id = client.id,
        addr = client.addr,
        laddr = client.laddr,
        fd = view.fd,
        name = view.name,
        age = seconds_since(client.created_ms),
        idle = if own { 0 } else { seconds_since(last_seen_ms) },
        flags = flags_of(client, &view),
        db = view.db,
        sub = view.subscriptions,
        psub = view.pattern_subscriptions,
        ssub = view.shard_subscriptions,
        multi = view.multi.map_or(-1, i64::from),
        qbuf = query_buffer,
        qbuf_free = query_buffer_free,
        multi_mem = view.multi_bytes,
        pieces = output.pieces,
        events = if output.bytes > 0 { "rw" } else { "r" },
        user = match (view.master, view.user.is_empty()) {
            (true, _) => "(superuser)",
            (false, true) => "default",
            (false, false) => &view.user,
        },
        resp = if client.resp() == Resp::V3 { 3 } else { 2 },
        lib_name = view.lib_name,
        lib_ver = view.lib_ver,
    );
}

/// The letters that sum a client up.
fn flags_of(client: &Client, view: &ClientView) -> String {
    let letters = [
        (view.monitor, 'O'),
        (view.replica && !view.monitor, 'S'),
        (view.master, 'M'),
        (is_subscribed(view), 'P'),
        (view.multi.is_some(), 'x'),
        (client.is_held(), 'b'),
        (view.watch_dirty, 'd'),
        (view.closing, 'c'),
        (client.killed.load(Ordering::Relaxed), 'A'),
        (view.unix_socket, 'U'),
        (view.no_evict, 'e'),
        (view.no_touch, 'T'),
    ];
    let flags: String = letters
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, letter)| letter)
        .collect();
    if flags.is_empty() { "N".into() } else { flags }
}

// ---- acting on clients ----

/// What CLIENT KILL's clients have in common.
#[derive(Default)]
struct Filter<'a> {
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<ClientType>,
    id: Option<u64>,
    user: Option<&'a [u8]>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(mut options: &[&'a [u8]]) -> CommandResult<Filter<'a>> {
        let mut filter = Filter {
            skip_me: true,
            ..Filter::default()
        };
        while let [word, value, rest @ ..] = options {
            options = rest;
            match *word {
                w if is_word(w, "id") => {
                    const RANGE: &str = "ERR client-id should be greater than 0";
                    let id = parse_int(value).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or(CommandError::fixed(RANGE))? as u64);
                }
                w if is_word(w, "type") => filter.kind = Some(ClientType::parse(value)?),
                w if is_word(w, "addr") => filter.addr = Some(value),
                w if is_word(w, "laddr") => filter.laddr = Some(value),
                w if is_word(w, "user") => {
                    if *value != b"default" {
                        return Err(CommandError::err(format_args!(
                            "No such user '{}'",
                            String::from_utf8_lossy(value)
                        )));
                    }
                    filter.user = Some(value);
                }
                w if is_word(w, "skipme") => {
                    filter.skip_me = match *value {
                        v if is_word(v, "yes") => true,
                        v if is_word(v, "no") => false,
                        _ => return Err(CommandError::SYNTAX),
                    };
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        if options.is_empty() {
            Ok(filter)
        } else {
            Err(CommandError::SYNTAX)
        }
    }

    fn takes(&self, client: &Client, own: bool) -> bool {
        let view = client.view.lock();
        self.addr.is_none_or(|a| client.addr.as_bytes() == a)
            && self.laddr.is_none_or(|a| client.laddr.as_bytes() == a)
            && self.kind.is_none_or(|kind| ClientType::of(&view) == kind)
            && self.id.is_none_or(|id| client.id == id)
            // Our master's commands run as no user.
            && self.user.is_none_or(|_| !view.master)
            && !(own && self.skip_me)
    }
}

/// CLIENT KILL addr, or CLIENT KILL with filters.
fn kill(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let old_form = args.len() == 3;
    let filter = if old_form {
        Filter {
            addr: Some(args[2]),
            ..Filter::default()
        }
    } else {
        Filter::parse(&args[2..])?
    };
    let mut killed = 0;
    let clients = match filter.id {
        Some(id) => ctx.node.clients.get(id).into_iter().collect(),
        None => ctx.node.clients.all(),
    };
    for client in clients {
        let own = client.id == ctx.session.id();
        if client.killed.load(Ordering::Relaxed) || !filter.takes(&client, own) {
            continue;
        }
        killed += 1;
        if own {
            ctx.session.closing = true;
        } else {
            client.kill();
        }
    }
    if !old_form {
        ctx.reply.int(killed);
    } else if killed > 0 {
        ctx.reply.ok();
    } else {
        return Err(CommandError::fixed("ERR No such client"));
    }
    Ok(())
}

/// CLIENT UNBLOCK id [TIMEOUT|ERROR]
fn unblock(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let how = match args.get(3) {
        None => 1,
        Some(a) if is_word(a, "timeout") => 1,
        Some(a) if is_word(a, "error") => 2,
        Some(_) => {
            return Err(CommandError::fixed(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
    };
    if args.len() > 4 {
        return Err(wrong_form(args));
    }
    let id = int_arg(args[2])?;
    let target = u64::try_from(id)
        .ok()
        .and_then(|id| ctx.node.clients.get(id));
    let unblocked = target.is_some_and(|client| ask_to_unblock(&client, how));
    ctx.reply.int(i64::from(unblocked));
    Ok(())
}

/// Asks a blocked client's owner to end its wait; false if it isn't blocked or was asked before.
fn ask_to_unblock(client: &Arc<Client>, how: u32) -> bool {
    if !client.blocked.load(Ordering::Acquire) {
        return false;
    }
    let asked = client
        .unblock
        .compare_exchange(0, how, Ordering::AcqRel, Ordering::Acquire)
        .is_ok();
    client.wake();
    asked
}

/// CLIENT PAUSE ms [WRITE|ALL]
fn pause(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let kind = match args.get(3) {
        None => Pause::All,
        Some(a) if is_word(a, "all") => Pause::All,
        Some(a) if is_word(a, "write") => Pause::Write,
        Some(_) => {
            return Err(CommandError::fixed(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
    };
    if args.len() > 4 {
        return Err(wrong_form(args));
    }
    let timeout_ms = parse_int(args[2]).ok_or(CommandError::fixed(
        "ERR timeout is not an integer or out of range",
    ))?;
    if timeout_ms < 0 {
        return Err(CommandError::fixed("ERR timeout is negative"));
    }
    let until_ms = ctx
        .now_ms
        .checked_add(timeout_ms)
        .ok_or(CommandError::fixed("ERR timeout is out of range"))?;
    ctx.node
        .pause
        .pause(PausePurpose::Client, kind, until_ms, ctx.now_ms);
    ctx.reply.ok();
    Ok(())
}

fn unpause(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.node.pause.unpause(PausePurpose::Client);
    ctx.reply.ok();
    Ok(())
}

/// What Redis says to a known subcommand with too many arguments.
fn wrong_form(args: &Args<'_>) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try CLIENT HELP.",
        String::from_utf8_lossy(args[1])
    ))
}

fn client_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "GETREDIR",
            "    Return the client ID we are redirecting to when tracking is enabled.",
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections. Options are:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made from the specified address",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made to specified local address",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Kill connections by type.",
            "    * USER <username>",
            "      Kill connections authenticated by <username>.",
            "    * SKIPME (YES|NO)",
            "      Skip killing current connection (default: yes).",
            "LIST [options ...]",
            "    Return information about client connections. Options:",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Return clients of specified type.",
            "UNPAUSE",
            "    Stop the current client pause, resuming traffic.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Suspend all, or just write, clients for <timeout> milliseconds.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "SETINFO <option> <value>",
            "    Set client meta attr. Options are:",
            "    * LIB-NAME: the client lib name.",
            "    * LIB-VER: the client lib version.",
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "    Unblock the specified blocked client.",
            "TRACKINGINFO",
            "    Report tracking status for the current connection.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Will not touch LRU/LFU stats when this mode is on.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(line: &str) -> CommandResult<Filter<'_>> {
        let options: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Filter::parse(&options)
    }

    #[test]
    fn kill_filters() {
        let client = Client::new(7, "1.2.3.4:5".into(), "9.9.9.9:6379".into(), 0);
        let takes = |line: &str| filter(line).is_ok_and(|f| f.takes(&client, false));
        assert!(takes("id 7"));
        assert!(!takes("id 8"));
        assert!(takes("addr 1.2.3.4:5 laddr 9.9.9.9:6379 user default"));
        assert!(!takes("addr 1.2.3.4:5 laddr 9.9.9.9:1"));
        assert!(takes("type normal"));
        client.view.lock().subscriptions = 1;
        assert!(takes("TYPE PubSub"));
        assert!(filter("id 7").is_ok_and(|f| !f.takes(&client, true)));
        assert!(filter("id 7 skipme no").is_ok_and(|f| f.takes(&client, true)));
        let error = |line: &str| filter(line).err().map(|e| e.0.into_owned());
        assert_eq!(
            error("type x"),
            Some("ERR Unknown client type 'x'".to_owned())
        );
        assert_eq!(error("id 7 addr"), Some("ERR syntax error".to_owned()));
        assert_eq!(
            error("id 0"),
            Some("ERR client-id should be greater than 0".to_owned())
        );
        assert_eq!(error("user x"), Some("ERR No such user 'x'".to_owned()));
    }

    #[test]
    fn only_blocked_clients_are_unblocked_and_once() {
        let client = Client::new(7, String::new(), String::new(), 0);
        assert!(!ask_to_unblock(&client, 1));
        client.blocked.store(true, Ordering::Release);
        assert!(ask_to_unblock(&client, 2));
        assert!(!ask_to_unblock(&client, 1));
        assert_eq!(client.unblock.load(Ordering::Acquire), 2);
    }
}
