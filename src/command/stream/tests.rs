//! Streams by line: replies, and what is logged.

use crate::command::context::bench::{Bench, NOT_INTEGER, SYNTAX, WRONG_TYPE};
use crate::config::Settings;

const INVALID: &str = "-ERR Invalid stream ID specified as stream command argument";

/// A reply's text without its lengths: the words of strings, and errors, numbers and nulls as they are.
fn words(reply: &str) -> String {
    let words = reply.split(' ');
    let is_length = |word: &&str| {
        let (head, digits) = word.split_at(word.len().min(1));
        matches!(head, "*" | "$" | "%") && digits.parse::<u32>().is_ok()
    };
    let words: Vec<&str> = words.filter(|word| !is_length(word)).collect();
    words.join(" ")
}

fn bench(node_entries: usize) -> Bench {
    let mut settings = Settings::default();
    settings.encodings.stream_node_max_entries = node_entries;
    Bench::with(settings)
}

/// Lines with their replies' words, and what is logged.
fn expect(bench: &mut Bench, lines: &[(&str, &str, &str)]) {
    for (line, reply, effects) in lines {
        let got = bench.line(line);
        let reply_is = if reply.starts_with('-') {
            got.0.clone()
        } else {
            words(&got.0)
        };
        assert_eq!((&*reply_is, &*got.1), (*reply, *effects), "{line}");
    }
}

#[test]
fn entries_are_added_with_rising_ids() {
    let small = "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
    expect(
        &mut bench(100),
        &[
            (
                "XADD s 0-0 f v",
                "-ERR The ID specified in XADD must be greater than 0-0",
                "",
            ),
            ("EXISTS s", ":0", ""),
            ("XADD s NOMKSTREAM * f v", "$-1", ""),
            ("XADD s 0-* f v", "0-1", "XADD s 0-1 f v"),
            ("XADD s 5-* f v", "5-0", "XADD s 5-0 f v"),
            ("XADD s 5-* f v", "5-1", "XADD s 5-1 f v"),
            ("XADD s 5-1 f v", small, ""),
            ("XADD s 4-* f v", small, ""),
            ("XADD s 6 f v", "6-0", "XADD s 6 f v"),
            (
                "XADD s * f v",
                "1700000000000-0",
                "XADD s 1700000000000-0 f v",
            ),
            (
                "XADD s NOMKSTREAM * a 1 b 2",
                "1700000000000-1",
                "XADD s NOMKSTREAM 1700000000000-1 a 1 b 2",
            ),
            (
                "XADD s * f v x",
                "-ERR wrong number of arguments for 'xadd' command",
                "",
            ),
            ("XADD s x f v", INVALID, ""),
            ("XADD s - f v", INVALID, ""),
            ("XLEN s", ":6", ""),
            (
                "XADD s 18446744073709551615-18446744073709551615 f v",
                "18446744073709551615-18446744073709551615",
                "XADD s 18446744073709551615-18446744073709551615 f v",
            ),
            (
                "XADD s * f v",
                "-ERR The stream has exhausted the last possible ID, unable to add more items",
                "",
            ),
            ("SET t v", "+OK", "SET t v"),
            ("XADD t * f v", WRONG_TYPE, ""),
            ("XLEN t", WRONG_TYPE, ""),
            ("TYPE s", "+stream", ""),
            ("OBJECT ENCODING s", "stream", ""),
        ],
    );
}

#[test]
fn ranges_are_read_both_ways() {
    let mut bench = bench(2);
    for n in 1..=5 {
        bench.line(&format!("XADD s {n}-0 n {n}"));
    }
    expect(
        &mut bench,
        &[
            ("XRANGE s - + COUNT 2", "1-0 n 1 2-0 n 2", ""),
            ("XRANGE s (1 (4", "2-0 n 2 3-0 n 3 4-0 n 4", ""),
            ("XRANGE s (1-0 (3-0", "2-0 n 2", ""),
            ("XRANGE s 2 3", "2-0 n 2 3-0 n 3", ""),
            ("XREVRANGE s + - COUNT 2", "5-0 n 5 4-0 n 4", ""),
            ("XREVRANGE s 3 (1-0", "3-0 n 3 2-0 n 2", ""),
            ("XRANGE s + -", "", ""),
            ("XRANGE s - + COUNT -3", "*-1", ""),
            ("XRANGE nokey - +", "", ""),
            ("XRANGE s - + COUNT", SYNTAX, ""),
            ("XRANGE s (- +", INVALID, ""),
            (
                "XRANGE s (18446744073709551615-18446744073709551615 +",
                "-ERR invalid start ID for the interval",
                "",
            ),
            (
                "XRANGE s - (0-0",
                "-ERR invalid end ID for the interval",
                "",
            ),
            ("XDEL s 2-0 9-0 2-0", ":1", "XDEL s 2-0 9-0 2-0"),
            ("XDEL s 3 x", INVALID, ""),
            ("XRANGE s - 4", "1-0 n 1 3-0 n 3 4-0 n 4", ""),
            ("XDEL nokey x", ":0", ""),
        ],
    );
}

#[test]
fn trimming_is_logged_as_far_as_it_came() {
    let mut bench = bench(3);
    for n in 1..=10 {
        bench.line(&format!("XADD s {n}-0 n {n}"));
    }
    let both = "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    expect(
        &mut bench,
        &[
            ("XTRIM s MAXLEN ~ 8", ":0", ""),
            ("XTRIM s MAXLEN ~ 6", ":3", "XTRIM s MAXLEN = 7"),
            ("XTRIM s MAXLEN = 6", ":1", "XTRIM s MAXLEN = 6"),
            ("XTRIM s MINID ~ 7", ":2", "XTRIM s MINID = 7-0"),
            ("XTRIM s MINID 8", ":1", "XTRIM s MINID 8"),
            (
                "XADD s MAXLEN ~ 2 LIMIT 3 * n 11",
                "1700000000000-0",
                "XADD s MAXLEN = 2 LIMIT 3 1700000000000-0 n 11",
            ),
            (
                "XADD s MINID ~ 1 12-0 n 12",
                "-ERR The ID specified in XADD is equal or smaller than the target stream top item",
                "",
            ),
            (
                "XADD s MAXLEN 1 1700000000001-0 n 12",
                "1700000000001-0",
                "XADD s MAXLEN 1 1700000000001-0 n 12",
            ),
            (
                "XTRIM s MAXLEN 5 LIMIT 2",
                "-ERR syntax error, LIMIT cannot be used without the special ~ option",
                "",
            ),
            (
                "XTRIM s LIMIT 2",
                "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                "",
            ),
            ("XTRIM s MAXLEN 1 MINID 2", both, ""),
            (
                "XTRIM s MAXLEN -1",
                "-ERR The MAXLEN argument must be >= 0.",
                "",
            ),
            (
                "XTRIM s MAXLEN ~ 1 LIMIT -1",
                "-ERR The LIMIT argument must be >= 0.",
                "",
            ),
            ("XTRIM s MAXLEN ~", NOT_INTEGER, ""),
            ("XTRIM s MAXLEN 0", ":1", "XTRIM s MAXLEN 0"),
            ("XLEN s", ":0", ""),
            ("EXISTS s", ":1", ""),
            (
                "XADD s MINID ~ 1700000000009 1700000000002-0 n 12",
                "1700000000002-0",
                "XADD s MINID = 18446744073709551615-18446744073709551615 1700000000002-0 n 12",
            ),
        ],
    );
}

#[test]
fn plain_reads_answer_what_is_behind_an_id() {
    let mut bench = bench(100);
    for n in 1..=3 {
        bench.line(&format!("XADD s {n}-0 n {n}"));
    }
    expect(
        &mut bench,
        &[
            ("XREAD COUNT 1 STREAMS s s 0 2", "s 1-0 n 1 s 3-0 n 3", ""),
            ("XREAD STREAMS s nokey 3 0", "*-1", ""),
            ("XREAD STREAMS s $", "*-1", ""),
            (
                "XREAD STREAMS s >",
                "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                "",
            ),
            (
                "XREAD STREAMS s t 0",
                "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
                "",
            ),
            (
                "XREAD COUNT x STREAMS s 0",
                "-ERR value is not an integer or out of range",
                "",
            ),
            (
                "XREAD BLOCK x STREAMS s 0",
                "-ERR timeout is not an integer or out of range",
                "",
            ),
            ("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative", ""),
            (
                "XREAD GROUP g c STREAMS s 0",
                "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                "",
            ),
            (
                "XREAD NOACK STREAMS s 0",
                "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                "",
            ),
            ("XREAD COUNT 1 s 0", SYNTAX, ""),
        ],
    );
}

#[test]
fn reads_of_a_group_are_logged_as_what_they_change() {
    let mut bench = bench(100);
    for n in 1..=4 {
        bench.line(&format!("XADD s {n}-0 n {n}"));
    }
    let claim = |n: u32| {
        format!("XCLAIM s g c 0 {n}-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID {n}-0")
    };
    let no_key = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                  MKSTREAM option to create an empty stream automatically.";
    let no_group = "-NOGROUP No such key 's' or consumer group 'x' in XREADGROUP with GROUP option";
    expect(
        &mut bench,
        &[
            ("XGROUP CREATE nokey g 0", no_key, ""),
            ("XGROUP CREATE s g 0", "+OK", "XGROUP CREATE s g 0"),
            (
                "XGROUP CREATE s g 0",
                "-BUSYGROUP Consumer Group name already exists",
                "",
            ),
            ("XREADGROUP GROUP x c STREAMS s >", no_group, ""),
            (
                "XREADGROUP COUNT 2 GROUP g c STREAMS s >",
                "s 1-0 n 1 2-0 n 2",
                &[claim(1), claim(2)].join("; "),
            ),
            ("XREADGROUP GROUP g c COUNT 1 STREAMS s 0", "s 1-0 n 1", ""),
            ("XPENDING s g - + 10", "1-0 c :0 :2 2-0 c :0 :1", ""),
            (
                "XREADGROUP GROUP g d STREAMS s 0",
                "s",
                "XGROUP CREATECONSUMER s g d",
            ),
            (
                "XREADGROUP GROUP g e NOACK STREAMS s >",
                "s 3-0 n 3 4-0 n 4",
                "XGROUP SETID s g 4-0 ENTRIESREAD 4; XGROUP CREATECONSUMER s g e",
            ),
            ("XREADGROUP GROUP g e NOACK STREAMS s >", "*-1", ""),
            ("XACK s g 1-0 7-0", ":1", "XACK s g 1-0 7-0"),
            ("XACK s g 1-0", ":0", ""),
            ("XACK s x 1-0", ":0", ""),
            ("XPENDING s g", ":1 2-0 2-0 c 1", ""),
            (
                "XPENDING s x",
                "-NOGROUP No such key 's' or consumer group 'x'",
                "",
            ),
            ("XPENDING s g IDLE 5 - + 10", "", ""),
            ("XPENDING s g - + 10 nobody", "", ""),
            ("XDEL s 2", ":1", "XDEL s 2"),
            ("XREADGROUP GROUP g c STREAMS s 0", "s 2-0 *-1", ""),
            ("XGROUP DELCONSUMER s g c", ":1", "XGROUP DELCONSUMER s g c"),
            ("XGROUP DELCONSUMER s g c", ":0", ""),
            (
                "XGROUP CREATECONSUMER s g c",
                ":1",
                "XGROUP CREATECONSUMER s g c",
            ),
            ("XGROUP CREATECONSUMER s g c", ":0", ""),
            (
                "XGROUP SETID s g $ ENTRIESREAD 3",
                "+OK",
                "XGROUP SETID s g $ ENTRIESREAD 3",
            ),
            (
                "XGROUP SETID s x 0",
                "-NOGROUP No such consumer group 'x' for key name 's'",
                "",
            ),
            ("XGROUP DESTROY s g", ":1", "XGROUP DESTROY s g"),
            ("XGROUP DESTROY s g", ":0", ""),
            (
                "XGROUP CREATE new g $ MKSTREAM",
                "+OK",
                "XGROUP CREATE new g $ MKSTREAM",
            ),
            ("TYPE new", "+stream", ""),
        ],
    );
}

#[test]
fn claims_are_logged_entry_by_entry() {
    let mut bench = bench(100);
    for line in [
        "XADD s 1-0 n 1",
        "XADD s 2-0 n 2",
        "XADD s 3-0 n 3",
        "XGROUP CREATE s g 0",
    ] {
        bench.line(line);
    }
    bench.line("XREADGROUP GROUP g a COUNT 2 STREAMS s >");
    bench.clock.advance_ms(100);
    let log = |n: u32, who: &str, count: u32, last: u32| {
        format!(
            "XCLAIM s g {who} 0 {n}-0 TIME 1700000000100 RETRYCOUNT {count} FORCE JUSTID LASTID {last}-0"
        )
    };
    expect(
        &mut bench,
        &[
            (
                "XCLAIM s x b 0 1",
                "-NOGROUP No such key 's' or consumer group 'x'",
                "",
            ),
            ("XCLAIM s g b 500 1", "", "XGROUP CREATECONSUMER s g b"),
            ("XCLAIM s g b 50 1 3", "1-0 n 1", &log(1, "b", 2, 2)),
            ("XCLAIM s g b 0 3 FORCE JUSTID", "3-0", &log(3, "b", 1, 2)),
            (
                "XCLAIM s g b 0 9 LASTID 3-0",
                "",
                "XGROUP SETID s g 3-0 ENTRIESREAD 2",
            ),
            (
                "XCLAIM s g b 0 1 FOO",
                "-ERR Unrecognized XCLAIM option 'FOO'",
                "",
            ),
            (
                "XCLAIM s g b x 1",
                "-ERR Invalid min-idle-time argument for XCLAIM",
                "",
            ),
            (
                "XCLAIM s g b 0 1 IDLE x",
                "-ERR Invalid IDLE option argument for XCLAIM",
                "",
            ),
            (
                "XCLAIM s g b 0 1 TIME 5 RETRYCOUNT 9 JUSTID",
                "1-0",
                "XCLAIM s g b 0 1-0 TIME 5 RETRYCOUNT 9 FORCE JUSTID LASTID 3-0",
            ),
            ("XDEL s 2", ":1", "XDEL s 2"),
            (
                "XAUTOCLAIM s g c 0 - COUNT 2",
                "3-0 1-0 n 1 2-0",
                &[
                    "XCLAIM s g c 0 1-0 TIME 1700000000100 RETRYCOUNT 10 FORCE JUSTID LASTID 3-0",
                    "XCLAIM s g a 0 2-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 3-0",
                ]
                .join("; "),
            ),
            ("XAUTOCLAIM s g c 0 (3 JUSTID", "0-0", ""),
            ("XAUTOCLAIM s g c 0 3 JUSTID", "0-0 3-0", &log(3, "c", 1, 3)),
            ("XAUTOCLAIM s g c 0 0 COUNT 0", "-ERR COUNT must be > 0", ""),
            ("XPENDING s g", ":2 1-0 3-0 c 2", ""),
        ],
    );
}

#[test]
fn references_are_kept_dropped_or_respected() {
    let mut bench = bench(2);
    for n in 1..=4 {
        bench.line(&format!("XADD s {n}-0 n {n}"));
    }
    for line in [
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 0",
        "XREADGROUP GROUP g c STREAMS s >",
    ] {
        bench.line(line);
    }
    bench.line("XREADGROUP GROUP h c NOACK COUNT 3 STREAMS s >");
    expect(
        &mut bench,
        &[
            (
                "XACKDEL s g ACKED IDS 2 1 9",
                ":1 :-1",
                "XDEL s 1-0; XACK s g 1-0",
            ),
            ("XACKDEL s g IDS 1 9", ":-1", ""),
            ("XDELEX s ACKED IDS 2 2 4", ":2 :2", ""),
            ("XDELEX s KEEPREF IDS 2 2 7", ":1 :-1", "XDEL s 2-0"),
            (
                "XDELEX s DELREF IDS 2 2 3",
                ":-1 :1",
                "XDEL s 3-0; XACK s g 2-0 3-0",
            ),
            (
                "XDELEX s IDS 2 1",
                "-ERR The `numids` parameter must match the number of arguments",
                "",
            ),
            (
                "XDELEX s IDS 0 1",
                "-ERR Number of IDs must be a positive integer",
                "",
            ),
            ("XDELEX s IDS 1 1 2", SYNTAX, ""),
            ("XDELEX nokey IDS 1 1", ":-1", ""),
            ("XACKDEL s nogroup IDS 2 x 1", ":-1 :-1", ""),
            ("XACKDEL s g IDS 1 x", INVALID, ""),
            (
                "XADD s DELREF MAXLEN 1 5-0 n 5",
                "5-0",
                "XADD s 5-0 n 5; XTRIM s MAXLEN = 1; XACK s g 4-0",
            ),
            ("XGROUP SETID s g 5", "+OK", "XGROUP SETID s g 5"),
            ("XGROUP SETID s h 5", "+OK", "XGROUP SETID s h 5"),
            ("XTRIM s MAXLEN 0 ACKED", ":1", "XDEL s 5-0"),
            ("XTRIM s MAXLEN 0 ACKED KEEPREF", SYNTAX, ""),
        ],
    );
}

#[test]
fn what_is_known_of_a_stream_can_be_set_and_shown() {
    let mut bench = bench(100);
    expect(
        &mut bench,
        &[
            ("XSETID s 1", "-ERR no such key", ""),
            ("XADD s 2-0 f v", "2-0", "XADD s 2-0 f v"),
            (
                "XSETID s 1",
                "-ERR The ID specified in XSETID is smaller than the target stream top item",
                "",
            ),
            (
                "XSETID s 5 ENTRIESADDED 0",
                "-ERR The entries_added specified in XSETID is smaller than the target stream length",
                "",
            ),
            (
                "XSETID s 5 MAXDELETEDID 6",
                "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                "",
            ),
            (
                "XSETID s 5 ENTRIESADDED 9 MAXDELETEDID 1",
                "+OK",
                "XSETID s 5 ENTRIESADDED 9 MAXDELETEDID 1",
            ),
            (
                "XINFO STREAM s",
                "length :1 radix-tree-keys :1 radix-tree-nodes :1 last-generated-id 5-0 max-deleted-entry-id 1-0 \
              entries-added :9 recorded-first-entry-id 2-0 groups :0 first-entry 2-0 f v last-entry 2-0 f v",
                "",
            ),
            ("XGROUP CREATE s g 0", "+OK", "XGROUP CREATE s g 0"),
            (
                "XINFO GROUPS s",
                "name g consumers :0 pending :0 last-delivered-id 0-0 entries-read $-1 lag :1",
                "",
            ),
            (
                "XREADGROUP GROUP g c STREAMS s >",
                "s 2-0 f v",
                "XCLAIM s g c 0 2-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0",
            ),
            (
                "XINFO CONSUMERS s g",
                "name c pending :1 idle :0 inactive :0",
                "",
            ),
            (
                "XINFO STREAM s FULL",
                "length :1 radix-tree-keys :1 radix-tree-nodes :1 last-generated-id 5-0 max-deleted-entry-id \
              1-0 entries-added :9 recorded-first-entry-id 2-0 entries 2-0 f v groups name g last-delivered-id 2-0 entries-read \
              :9 lag :0 pel-count :1 pending 2-0 c :1700000000000 :1 consumers name c seen-time :1700000000000 active-time \
              :1700000000000 pel-count :1 pending 2-0 :1700000000000 :1",
                "",
            ),
            ("XINFO GROUPS nokey", "-ERR no such key", ""),
            (
                "XINFO CONSUMERS s x",
                "-NOGROUP No such consumer group 'x' for key name 's'",
                "",
            ),
        ],
    );
}

#[test]
fn a_lower_last_id_forgets_what_was_deleted_above() {
    let mut bench = bench(100);
    for line in [
        "XADD s 1-0 f v",
        "XADD s 2-0 f v",
        "XADD s 3-0 f v",
        "XGROUP CREATE s g 0",
    ] {
        bench.line(line);
    }
    bench.line("XREADGROUP GROUP g c STREAMS s >");
    bench.line("XACK s g 3");
    expect(
        &mut bench,
        &[
            // Entry 3 goes, as acknowledged, without being remembered as deleted.
            ("XTRIM s MAXLEN 0 ACKED", ":1", "XDEL s 3-0"),
            ("XSETID s 2-5", "+OK", "XSETID s 2-5"),
            ("XADD s 2-6 f w", "2-6", "XADD s 2-6 f w"),
            ("XRANGE s - +", "1-0 f v 2-0 f v 2-6 f w", ""),
            ("XDEL s 1 2", ":2", "XDEL s 1 2"),
            ("COPY s t", ":1", "COPY s t"),
            ("XRANGE t - +", "2-6 f w", ""),
        ],
    );
}
