//! Which databases the master's stream goes into, and whether we have them.
//!
//! A replica may have fewer databases than its master (`databases`). What is meant for one that it lacks must not
//! be run: after a SELECT that failed it would hit the database selected before, and a COPY or MOVE that failed
//! would part us from the master without a word. So each command of the stream that names a database is looked at
//! before it runs, or is queued by the stream's MULTI.

use std::borrow::Cow;

use crate::text::printable::printable;

/// Bytes shown of what should have been a number.
const SHOWN_BYTES: usize = 20;

/// Why a command of the stream can't run on a node with that many databases; None: it can.
pub(crate) fn refusal(args: &[&[u8]], databases: usize) -> Option<String> {
    let (name, named) = named(args)?;
    if name == "SELECT" && args.len() != 2 {
        return Some("the master's stream has a SELECT that names no database".to_owned());
    }
    let missing = named.iter().find(|index| !is_index(index, databases))?;
    Some(lacks(name, missing, databases))
}

/// The databases that a command names, as it names them.
pub(crate) fn targets<'a>(args: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    named(args).map_or(&[], |(_, named)| named)
}

/// The command that names databases, and how it names them.
fn named<'a>(args: &'a [&'a [u8]]) -> Option<(&'static str, &'a [&'a [u8]])> {
    // By its length nearly every command is passed.
    Some(match args[0].len() {
        6 if is(args[0], "SELECT") => ("SELECT", args.get(1..2).unwrap_or_default()),
        6 if is(args[0], "SWAPDB") => ("SWAPDB", args.get(1..).unwrap_or_default()),
        4 if is(args[0], "MOVE") => ("MOVE", args.get(2..3).unwrap_or_default()),
        4 if is(args[0], "COPY") => ("COPY", copy_target(args)),
        _ => return None,
    })
}

/// Why a dump can't be followed by its master's stream, which goes on in database `index`; None: it can.
pub(crate) fn refusal_to_resume(index: usize, databases: usize) -> Option<String> {
    (index >= databases).then(|| lacks("repl-stream-db", index.to_string().as_bytes(), databases))
}

fn lacks(name: &str, index: &[u8], databases: usize) -> String {
    let shown = printable(&index[..index.len().min(SHOWN_BYTES)]);
    format!(
        "the master's stream goes into database {shown} ({name}), and this node has {databases}: raise the \
         directive databases"
    )
}

fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

fn is_index(text: &[u8], databases: usize) -> bool {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    text.parse::<usize>().is_ok_and(|index| index < databases)
}

/// The value of COPY's option DB, if it has one.
fn copy_target<'a>(args: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    let options = args.get(3..).unwrap_or_default();
    let at = options.iter().position(|word| is(word, "DB"));
    at.and_then(|at| options.get(at + 1..at + 2))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Option<String> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        refusal(&args, 16)
    }

    #[test]
    fn commands_within_our_databases_pass() {
        for line in [
            "SELECT 15",
            "select 0",
            "SWAPDB 0 15",
            "MOVE 20 3",
            "COPY 20 20",
            "COPY a b REPLACE DB 15",
            "COPY a b DB",
            "SET SELECT 20",
            "MGET 20 20",
            "MOVE k",
            "PING",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }

    #[test]
    fn others_are_named_with_the_directive_to_raise() {
        for (line, index) in [
            ("SELECT 16", "16"),
            ("SELECT -1", "-1"),
            ("select 99999999999999999999999", "99999999999999999999"),
            ("SELECT x\r", "x\\r"),
            ("SWAPDB 0 20", "20"),
            ("swapdb 20 0", "20"),
            ("MOVE k 20", "20"),
            ("COPY a b DB 20", "20"),
            ("COPY a b REPLACE db 20", "20"),
        ] {
            let why = refused(line).expect(line);
            let wanted = format!("goes into database {index} (");
            assert!(why.contains(&wanted), "{line}: {why}");
            assert!(why.ends_with("this node has 16: raise the directive databases"));
        }
        assert!(refused("SELECT").is_some() && refused("SELECT 1 2").is_some());
        assert!(refusal_to_resume(15, 16).is_none() && refusal_to_resume(16, 16).is_some());
    }
}
