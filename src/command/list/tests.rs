//! List commands by line: replies, errors and what goes to the log.

use crate::command::context::bench::{Bench, NOT_INTEGER, SYNTAX, WRONG_TYPE};

#[test]
fn pushing_and_reading() {
    Bench::new().expect(&[
        ("LPUSHX l a", ":0", ""),
        ("RPUSH l b c", ":2", "RPUSH l b c"),
        ("LPUSH l a z", ":4", "LPUSH l a z"),
        ("RPUSHX l d", ":5", "RPUSHX l d"),
        ("LRANGE l 0 -1", "*5 $1 z $1 a $1 b $1 c $1 d", ""),
        ("LRANGE l -2 100", "*2 $1 c $1 d", ""),
        ("LRANGE l 3 1", "*0", ""),
        ("LRANGE l x 1", NOT_INTEGER, ""),
        ("LRANGE none 0 -1", "*0", ""),
        ("LLEN l", ":5", ""),
        ("LINDEX l -1", "$1 d", ""),
        ("LINDEX l 5", "$-1", ""),
        ("LINDEX none x", "$-1", ""),
        ("LSET l 1 1", "+OK", "LSET l 1 1"),
        ("LSET l 9 1", "-ERR index out of range", ""),
        ("LSET none x 1", "-ERR no such key", ""),
        ("LINSERT l before 1 0", ":6", "LINSERT l before 1 0"),
        ("LINSERT l AFTER x 0", ":-1", ""),
        ("LINSERT l over x 0", SYNTAX, ""),
        ("LREM l 0 none", ":0", ""),
        ("LREM l -1 d", ":1", "LREM l -1 d"),
        ("LTRIM l 0 -1", "+OK", ""),
        ("LTRIM l 1 -2", "+OK", "LTRIM l 1 -2"),
        ("LRANGE l 0 -1", "*3 $1 0 $1 1 $1 b", ""),
        ("LTRIM l 5 9", "+OK", "LTRIM l 5 9"),
        ("EXISTS l", ":0", ""),
        ("SET s 1", "+OK", "SET s 1"),
        ("LPUSH s 1", WRONG_TYPE, ""),
        ("LLEN s", WRONG_TYPE, ""),
    ]);
}

#[test]
fn searching() {
    Bench::new().expect(&[
        ("RPUSH l a b c 1 2 3 c c", ":8", "RPUSH l a b c 1 2 3 c c"),
        ("LPOS l c", ":2", ""),
        ("LPOS l c RANK -1", ":7", ""),
        ("LPOS l c RANK 2 COUNT 0", "*2 :6 :7", ""),
        ("LPOS l c RANK -2 COUNT 2", "*2 :6 :2", ""),
        ("LPOS l c COUNT 0 MAXLEN 7", "*2 :2 :6", ""),
        ("LPOS l 3", ":5", ""),
        ("LPOS l x", "$-1", ""),
        ("LPOS l x COUNT 1", "*0", ""),
        ("LPOS none x COUNT 1", "*0", ""),
        ("LPOS l c COUNT -1", "-ERR COUNT can't be negative", ""),
        ("LPOS l c MAXLEN x", "-ERR MAXLEN can't be negative", ""),
        ("LPOS l c FOO 1", SYNTAX, ""),
        ("LPOS l c RANK", SYNTAX, ""),
        (
            "LPOS l c RANK 0",
            "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
            "",
        ),
    ]);
}

#[test]
fn popping_and_moving() {
    Bench::new().expect(&[
        ("RPUSH l a b c d e f", ":6", "RPUSH l a b c d e f"),
        ("LPOP l", "$1 a", "LPOP l"),
        ("RPOP l 2", "*2 $1 f $1 e", "RPOP l 2"),
        ("RPOP l 0", "*0", ""),
        ("LPOP none", "$-1", ""),
        ("LPOP none 2", "*-1", ""),
        (
            "LPOP l -1",
            "-ERR value is out of range, must be positive",
            "",
        ),
        (
            "LPOP l 1 1",
            "-ERR wrong number of arguments for 'lpop' command",
            "",
        ),
        ("LMOVE l m left right", "$1 b", "LMOVE l m left right"),
        ("RPOPLPUSH l m", "$1 d", "RPOPLPUSH l m"),
        ("LMOVE m m right left", "$1 b", "LMOVE m m right left"),
        ("LMOVE none m left right", "$-1", ""),
        ("LMOVE l m up right", SYNTAX, ""),
        ("LRANGE m 0 -1", "*2 $1 b $1 d", ""),
        (
            "LMPOP 2 none m RIGHT COUNT 9",
            "*2 $1 m *2 $1 d $1 b",
            "RPOP m 2",
        ),
        ("LMPOP 1 none LEFT", "*-1", ""),
        (
            "LMPOP 0 l LEFT",
            "-ERR numkeys should be greater than 0",
            "",
        ),
        (
            "LMPOP 1 l LEFT COUNT 0",
            "-ERR count should be greater than 0",
            "",
        ),
        ("LMPOP 9 l LEFT", SYNTAX, ""),
        ("LMPOP 1 l LEFT COUNT 1 x", SYNTAX, ""),
        ("LMPOP 1 l LEFT", "*2 $1 l *1 $1 c", "LPOP l 1"),
        ("EXISTS l m", ":0", ""),
    ]);
}

#[test]
fn waiting_forms_are_logged_as_what_they_did() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("RPUSH l a b c d e", ":5", "RPUSH l a b c d e"),
        ("BLPOP none l 0", "*2 $1 l $1 a", "LPOP l"),
        ("BRPOP l 1.5", "*2 $1 l $1 e", "RPOP l"),
        ("BLMOVE l m LEFT RIGHT 0", "$1 b", "LMOVE l m LEFT RIGHT"),
        ("BRPOPLPUSH l m 0", "$1 d", "RPOPLPUSH l m"),
        (
            "BLMPOP 0 2 none l LEFT COUNT 5",
            "*2 $1 l *1 $1 c",
            "LPOP l 1",
        ),
        ("BLPOP l -1", "-ERR timeout is negative", ""),
        (
            "BLPOP l x",
            "-ERR timeout is not a float or out of range",
            "",
        ),
        ("BLPOP l 1e30", "-ERR timeout is out of range", ""),
        ("BLMOVE l m up RIGHT x", SYNTAX, ""),
        // Nothing there: no reply and no effect, but the request to wait.
        ("BLPOP l 1", "", ""),
        ("SET s 1", "+OK", "SET s 1"),
        ("BLPOP l s 1", WRONG_TYPE, ""),
        ("BRPOPLPUSH l s 1", "", ""),
        ("BRPOPLPUSH m s 1", WRONG_TYPE, ""),
    ]);
}
