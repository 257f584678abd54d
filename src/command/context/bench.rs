//! A test bench for handlers: a node without actors, one session, a clock that is advanced by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clients::client::Client;
use crate::clock::ManualClock;
use crate::command::dispatch::{self, Outcome};
use crate::command::{Context, Effects};
use crate::config::Settings;
use crate::node_core::NodeCore;
use crate::resp::{Output, Reply, Resp};
use crate::session::{Origin, Session};
use crate::table::Args;

/// Errors that every family gives, as the bench shows them.
pub(in crate::command) const WRONG_TYPE: &str =
    "-WRONGTYPE Operation against a key holding the wrong kind of value";
pub(in crate::command) const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
pub(in crate::command) const NOT_FLOAT: &str = "-ERR value is not a valid float";
pub(in crate::command) const SYNTAX: &str = "-ERR syntax error";

/// When the bench's clock begins, unix ms.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

pub(crate) struct Bench {
    pub(crate) node: NodeCore,
    pub(crate) session: Session,
    pub(crate) clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Bench {
        let clock = ManualClock::new(START_MS as u64, 1);
        let client = Client::new(1, String::new(), String::new(), START_MS);
        let shards = match settings.shards {
            0 => 8,
            shards => shards,
        };
        Bench {
            node: NodeCore::new(clock.clone(), settings, shards, None, None),
            session: Session::new(client, Origin::Client),
            clock,
        }
    }

    /// Runs one command in all shards: its reply, and its effects as dispatch would log them, commands
    /// separated by "; ".
    pub(crate) fn run(&mut self, args: &Args<'_>) -> (String, String) {
        let (reply, effects) = self.execute(args);
        let text = reply.into_bytes().escape_ascii().to_string();
        let text = text.replace("\\'", "'").replace("\\r\\n", " ");
        (text.trim_end().to_owned(), words(&effects))
    }

    /// Runs one command: its reply as it would be sent.
    pub(crate) fn unsent(&mut self, args: &[Vec<u8>]) -> Output {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.execute(&args).0
    }

    fn execute(&mut self, args: &Args<'_>) -> (Output, Effects) {
        let command = self.node.table.find(args).expect("a command");
        command.check_arity(args).expect("its arity");
        let handler = crate::command::dispatch::handlers::of(command);
        let mut reply = Reply::new(self.session.resp());
        let mut effects = Effects::default();
        effects.db = self.session.db;
        let settings = self.node.settings.load_full();
        let mut ctx = Context::new(
            &self.node,
            &settings,
            &mut self.session,
            &mut reply,
            &mut effects,
        );
        ctx.keys = self.node.keyspace.enter(self.node.keyspace.all());
        ctx.effects.enabled = true;
        let result = handler(&mut ctx, args);
        let dirty = ctx.dirty;
        drop(ctx);
        if let Err(error) = result {
            assert!(reply.is_empty(), "an error after a reply");
            reply.error(&error.0);
        }
        if dirty > 0 && !effects.overridden {
            effects.also(args);
        }
        assert!(dirty > 0 || effects.commands == 0 || !effects.overridden);
        (reply.take(), effects)
    }

    /// Runs a line as a client's, through all of dispatch. What became of it, and the reply with its lines joined by
    /// spaces.
    pub(crate) fn dispatch(&mut self, line: &str) -> (Outcome, String) {
        let args: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        let mut reply = Reply::new(self.session.resp());
        let mut effects = Effects::default();
        let settings = self.node.settings.load_full();
        let (node, session) = (&self.node, &mut self.session);
        let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
        let outcome = dispatch::run(&mut ctx, &args);
        ctx.finish();
        let text = String::from_utf8_lossy(&reply.take().into_bytes()).replace("\r\n", " ");
        (outcome, text.trim_end().to_owned())
    }

    /// Runs a command given as words.
    pub(crate) fn line(&mut self, line: &str) -> (String, String) {
        let args: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.run(&args)
    }

    /// Runs a line and gives only the reply.
    pub(crate) fn reply(&mut self, line: &str) -> String {
        self.line(line).0
    }

    /// Runs lines; each must reply and log what stands beside it.
    pub(crate) fn expect(&mut self, lines: &[(&str, &str, &str)]) {
        for (line, reply, effects) in lines {
            let got = self.line(line);
            assert_eq!(
                (got.0.as_str(), got.1.as_str()),
                (*reply, *effects),
                "{line}"
            );
        }
    }

    /// Scans to the end: `line` has the cursor's place as "{}". All elements, and how many calls it took.
    pub(crate) fn scan(&mut self, line: &str) -> (BTreeSet<String>, usize) {
        let mut seen = BTreeSet::new();
        let mut cursor = "0".to_owned();
        for calls in 1.. {
            let reply = self.reply(&line.replace("{}", &cursor));
            // "*2 $1 0 *n" and then a length and a text for each element.
            let words: Vec<&str> = reply.split(' ').collect();
            seen.extend(words[4..].iter().skip(1).step_by(2).map(|w| w.to_string()));
            cursor = words[2].to_owned();
            if cursor == "0" {
                return (seen, calls);
            }
        }
        unreachable!("the loop ends by itself only")
    }

    pub(crate) fn resp3(&mut self) {
        self.session.client.speak(Resp::V3);
    }
}

/// The effects' commands as words.
fn words(effects: &Effects) -> String {
    let mut commands = Vec::new();
    for (_, bytes) in effects.parts() {
        let mut command: Vec<String> = Vec::new();
        let mut rest = bytes;
        while let Some((head, tail)) = take_line(rest) {
            rest = tail;
            if head.first() == Some(&b'*') {
                commands.extend((!command.is_empty()).then(|| command.join(" ")));
                command.clear();
            } else if let Ok(length) = String::from_utf8_lossy(&head[1..]).parse::<usize>() {
                command.push(rest[..length].escape_ascii().to_string());
                rest = &rest[length + 2..];
            }
        }
        commands.push(command.join(" "));
    }
    commands.join("; ")
}

fn take_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}
