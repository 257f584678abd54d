//! Commands through all of dispatch: its checks, and what observers see.

use super::bench::Bench;
use super::dispatch::Outcome;
use crate::config::Settings;

fn done(reply: &str) -> (Outcome, String) {
    (Outcome::Done, reply.to_owned())
}

/// Passwords are hidden by what a command is, not by what it is called.
#[test]
fn secrets_of_renamed_commands_are_hidden() {
    let mut settings = Settings::default();
    let rename = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    settings.rename_command = vec![rename("auth", "open"), rename("set", "auth")];
    settings.slowlog_log_slower_than = 0;
    let mut bench = Bench::with(settings);
    bench.dispatch("open sesame");
    bench.dispatch("auth key value");
    let shown: Vec<_> = bench.node.slowlog.newest(9).into_iter().collect();
    let words = |n: usize| {
        let args: &[_] = &shown[n].args;
        let words: Vec<_> = args.iter().map(|a| String::from_utf8_lossy(a)).collect();
        words.join(" ")
    };
    assert_eq!(words(0), "auth key value");
    assert_eq!(words(1), "open (redacted)");
}

/// What a MULTI does not queue, and what a subscriber may run, the table says.
#[test]
fn the_table_says_what_runs_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.dispatch("MULTI"), done("+OK"));
    assert_eq!(
        bench.dispatch("MULTI"),
        done("-ERR MULTI calls can not be nested")
    );
    assert_eq!(bench.dispatch("UNWATCH"), done("+QUEUED"));
    assert_eq!(bench.dispatch("RESET").1, "+RESET");
    bench.dispatch("SUBSCRIBE c");
    assert_eq!(bench.dispatch("PING"), done("*2 $4 pong $0"));
    let (_, refused) = bench.dispatch("GET k");
    assert!(refused.starts_with("-ERR Can't execute 'get'"), "{refused}");
}
