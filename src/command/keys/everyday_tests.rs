//! The everyday keys' commands, run by line: replies, errors and what goes to the log.

use crate::command::context::bench::{Bench, START_MS, WRONG_TYPE};
use crate::config::Settings;

#[test]
fn set_and_its_options() {
    let at = START_MS + 10_000;
    let set_pxat = format!("SET a 3 PXAT {at}");
    Bench::new().expect(&[
        ("SET a 1", "+OK", "SET a 1"),
        ("SET a 2 NX", "$-1", ""),
        ("SET b 2 XX", "$-1", ""),
        ("SET a 2 XX", "+OK", "SET a 2 XX"),
        ("SET a 3 ex 10", "+OK", &set_pxat),
        ("PTTL a", ":10000", ""),
        ("SET a 4 KEEPTTL", "+OK", "SET a 4 KEEPTTL"),
        ("PTTL a", ":10000", ""),
        ("set a 5 get", "$1 4", "set a 5"),
        ("TTL a", ":-1", ""),
        ("SET a 6 NX GET", "$1 5", ""),
        ("SET new 6 NX GET", "$-1", "SET new 6 NX"),
        (
            "SET a 7 PXAT 1800000000000 GET",
            "$1 5",
            "SET a 7 PXAT 1800000000000 GET",
        ),
        (
            "SET a 8 EXAT 1800000000",
            "+OK",
            "SET a 8 PXAT 1800000000000",
        ),
        (
            "SET a 9 EX 10 EX 20",
            "+OK",
            &format!("SET a 9 PXAT {}", START_MS + 20_000),
        ),
        ("SET a 1 EX 10 PX 20", "-ERR syntax error", ""),
        ("SET a 1 KEEPTTL EX 10", "-ERR syntax error", ""),
        ("SET a 1 EX 10 KEEPTTL", "-ERR syntax error", ""),
        ("SET a 1 NX XX", "-ERR syntax error", ""),
        ("SET a 1 PERSIST", "-ERR syntax error", ""),
        ("SET a 1 EX", "-ERR syntax error", ""),
        (
            "SET a 1 EX x",
            "-ERR value is not an integer or out of range",
            "",
        ),
        (
            "SET a 1 EX 0",
            "-ERR invalid expire time in 'set' command",
            "",
        ),
        (
            "SET a 1 EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
            "",
        ),
        (
            "SET a 1 PX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
            "",
        ),
        (
            "setex a -1 1",
            "-ERR invalid expire time in 'setex' command",
            "",
        ),
        ("GET a", "$1 9", ""),
    ]);
}

#[test]
fn set_over_an_expired_key() {
    let mut bench = Bench::new();
    bench.line("SET a 1 PX 100");
    bench.line("SET b 1 PX 100");
    bench.clock.advance_ms(101);
    bench.expect(&[
        ("SET a 2 KEEPTTL", "+OK", "DEL a; SET a 2 KEEPTTL"),
        ("TTL a", ":-1", ""),
        ("DEL b", ":0", "DEL b"),
        ("DEL b", ":0", ""),
    ]);
}

#[test]
fn other_ways_to_set_and_get() {
    let pxat = |key: &str, ms: i64| format!("SET {key} v PXAT {}", START_MS + ms);
    Bench::new().expect(&[
        ("SETEX a 5 v", "+OK", &pxat("a", 5000)),
        ("PSETEX a 5 v", "+OK", &pxat("a", 5)),
        ("SETNX a w", ":0", ""),
        ("SETNX b w", ":1", "SETNX b w"),
        ("GETSET b x", "$1 w", "SET b x"),
        ("GETSET none x", "$-1", "SET none x"),
        ("GETDEL none", "$1 x", "DEL none"),
        ("GETDEL none", "$-1", ""),
        ("MSET c 1 d 2", "+OK", "MSET c 1 d 2"),
        (
            "MSET c 1 d",
            "-ERR wrong number of arguments for 'mset' command",
            "",
        ),
        ("MSETNX e 1 d 2", ":0", ""),
        ("MSETNX e 1 f 2", ":1", "MSETNX e 1 f 2"),
        ("MGET c none d", "*3 $1 1 $-1 $1 2", ""),
        ("SADD set m", ":1", "SADD set m"),
        ("MGET set", "*1 $-1", ""),
        ("GET set", WRONG_TYPE, ""),
        ("GETSET set x", WRONG_TYPE, ""),
        ("SET set x GET", WRONG_TYPE, ""),
        ("INCR set", WRONG_TYPE, ""),
        ("SET set x", "+OK", "SET set x"),
    ]);
}

#[test]
fn getex_changes_the_expiry_only() {
    Bench::new().expect(&[
        ("SET a v", "+OK", "SET a v"),
        ("GETEX a", "$1 v", ""),
        ("GETEX a PERSIST", "$1 v", ""),
        (
            "GETEX a EX 10",
            "$1 v",
            &format!("PEXPIREAT a {}", START_MS + 10_000),
        ),
        (
            "GETEX a PXAT 1800000000000",
            "$1 v",
            "PEXPIREAT a 1800000000000",
        ),
        ("GETEX a persist", "$1 v", "PERSIST a"),
        ("GETEX a NX", "-ERR syntax error", ""),
        ("GETEX a PERSIST EX 10", "-ERR syntax error", ""),
        (
            "GETEX a EX 0",
            "-ERR invalid expire time in 'getex' command",
            "",
        ),
        ("GETEX none EX 0", "$-1", ""),
        ("GETEX a EXAT 1", "$1 v", "DEL a"),
        ("EXISTS a", ":0", ""),
    ]);
}

#[test]
fn counters() {
    Bench::new().expect(&[
        ("INCR n", ":1", "INCR n"),
        ("DECRBY n 5", ":-4", "DECRBY n 5"),
        (
            "INCRBY n 9223372036854775807",
            ":9223372036854775803",
            "INCRBY n 9223372036854775807",
        ),
        (
            "INCRBY n 5",
            "-ERR increment or decrement would overflow",
            "",
        ),
        (
            "DECRBY n -9223372036854775808",
            "-ERR decrement would overflow",
            "",
        ),
        (
            "INCRBY n 1.5",
            "-ERR value is not an integer or out of range",
            "",
        ),
        ("SET f 3.0e3", "+OK", "SET f 3.0e3"),
        ("INCR f", "-ERR value is not an integer or out of range", ""),
        ("INCRBYFLOAT f 200", "$4 3200", "SET f 3200 KEEPTTL"),
        ("INCRBYFLOAT f 0.25", "$7 3200.25", "SET f 3200.25 KEEPTTL"),
        (
            "INCRBYFLOAT f inf",
            "-ERR increment would produce NaN or Infinity",
            "",
        ),
        ("INCRBYFLOAT f x", "-ERR value is not a valid float", ""),
        ("EXPIREAT f 1800000000", ":1", "PEXPIREAT f 1800000000000"),
        ("INCRBYFLOAT f -3200.25", "$1 0", "SET f 0 KEEPTTL"),
        ("INCR f", ":1", "INCR f"),
        ("EXPIRETIME f", ":1800000000", ""),
    ]);
}

#[test]
fn parts_of_strings() {
    let settings = Settings {
        proto_max_bulk_len: 1024 * 1024,
        ..Settings::default()
    };
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    Bench::with(settings).expect(&[
        ("APPEND a 12", ":2", "APPEND a 12"),
        ("OBJECT ENCODING a", "$3 int", ""),
        ("APPEND a 34", ":4", "APPEND a 34"),
        ("OBJECT ENCODING a", "$3 raw", ""),
        ("INCR a", ":1235", "INCR a"),
        ("SETRANGE b 2 xy", ":4", "SETRANGE b 2 xy"),
        ("GET b", "$4 \\x00\\x00xy", ""),
        ("SETRANGE b -1 x", "-ERR offset is out of range", ""),
        ("SETRANGE b 1048576 x", too_long, ""),
        ("SETRANGE b 9223372036854775807 x", too_long, ""),
        ("GETRANGE b 2 -1", "$2 xy", ""),
        ("SUBSTR a 0 1", "$2 12", ""),
        ("GETRANGE none 0 1", "$0", ""),
        ("STRLEN b", ":4", ""),
        ("STRLEN none", ":0", ""),
    ]);
}

#[test]
fn expiries() {
    let at = |key: &str, ms: i64| format!("PEXPIREAT {key} {}", START_MS + ms);
    let mut bench = Bench::new();
    bench.line("SET a 1");
    bench.expect(&[
        ("EXPIRE none 10", ":0", ""),
        ("EXPIRE a 10 GT", ":0", ""),
        ("EXPIRE a 10 lt", ":1", &(at("a", 10_000) + " lt")),
        ("PEXPIRE a 9000 GT", ":0", ""),
        ("PEXPIRE a 10400", ":1", &at("a", 10_400)),
        ("TTL a", ":10", ""),
        ("PTTL a", ":10400", ""),
        ("PEXPIRETIME a", ":1700000010400", ""),
        ("EXPIRETIME a", ":1700000010", ""),
        ("EXPIRE a 20 NX", ":0", ""),
        ("PERSIST a", ":1", "PERSIST a"),
        ("PERSIST a", ":0", ""),
        ("EXPIRE a 20 XX", ":0", ""),
        ("EXPIRE a 20 YY", "-ERR Unsupported option YY", ""),
        (
            "EXPIRE a x",
            "-ERR value is not an integer or out of range",
            "",
        ),
        (
            "EXPIRE a 9223372036854775807",
            "-ERR invalid expire time in 'expire' command",
            "",
        ),
        (
            "pexpire a 9223372036854775807",
            "-ERR invalid expire time in 'pexpire' command",
            "",
        ),
        ("TTL none", ":-2", ""),
        ("EXPIRE a 0", ":1", "DEL a"),
        ("EXISTS a", ":0", ""),
    ]);
}

#[test]
fn a_key_lives_through_the_millisecond_of_its_expiry() {
    let mut bench = Bench::new();
    bench.line("SET a 1 PX 100");
    bench.clock.advance_ms(100);
    assert_eq!(bench.reply("PTTL a"), ":0");
    bench.clock.advance_ms(1);
    bench.expect(&[("GET a", "$-1", "DEL a"), ("GET a", "$-1", "")]);
}

#[test]
fn names_and_places() {
    let same = "-ERR source and destination objects are the same";
    let mut bench = Bench::new();
    bench.line("MSET a 1 b 2");
    bench.line("EXPIREAT a 1800000000");
    bench.expect(&[
        ("RENAME none x", "-ERR no such key", ""),
        ("RENAME a a", "+OK", ""),
        ("RENAMENX a b", ":0", ""),
        ("RENAME a b", "+OK", "RENAME a b"),
        ("EXPIRETIME b", ":1800000000", ""),
        ("RENAMENX b c", ":1", "RENAMENX b c"),
        ("TYPE c", "+string", ""),
        ("TYPE b", "+none", ""),
        ("COPY c d", ":1", "COPY c d"),
        ("COPY c d", ":0", ""),
        ("COPY c c", same, ""),
        ("COPY c d DB 16", "-ERR DB index is out of range", ""),
        ("COPY c c DB 3 REPLACE", ":1", "COPY c c DB 3 REPLACE"),
        ("COPY none d REPLACE", ":0", ""),
        ("COPY c d NO", "-ERR syntax error", ""),
        ("MOVE c 0", same, ""),
        ("MOVE c 3", ":0", ""),
        ("MOVE d 3", ":1", "MOVE d 3"),
        ("MOVE d 3", ":0", ""),
        ("MOVE c -1", "-ERR DB index is out of range", ""),
        (
            "MOVE c 99999999999",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
            "",
        ),
        ("DEL c d none", ":1", "DEL c d none"),
        ("RANDOMKEY", "$-1", ""),
    ]);
    bench.session.db = 3;
    bench.expect(&[
        ("MGET c d", "*2 $1 1 $1 1", ""),
        ("EXPIRETIME c", ":1800000000", ""),
        ("UNLINK c d", ":2", "UNLINK c d"),
    ]);
}

#[test]
fn keys_are_found_by_pattern_and_by_scan() {
    let mut bench = Bench::new();
    for i in 0..500 {
        bench.line(&format!("SET key:{i} {i}"));
    }
    bench.line("RPUSH list x");
    bench.line("SET gone x PX 5");
    bench.clock.advance_ms(6);
    assert!(bench.reply("KEYS *").starts_with("*501 "));
    assert_eq!(bench.reply("KEYS key:4[0-1]?").matches("key:").count(), 20);
    let (seen, calls) = bench.scan("SCAN {} COUNT 50");
    let seen = seen.iter().filter(|key| key.contains(':'));
    assert_eq!(seen.count(), 500);
    assert!((8..60).contains(&calls), "{calls} calls");
    assert_eq!(
        bench.reply("SCAN 0 COUNT 1000 TYPE list"),
        "*2 $1 0 *1 $4 list"
    );
    assert_eq!(bench.reply("SCAN 0 COUNT 1000 TYPE x"), "*2 $1 0 *0");
    assert_eq!(
        bench.reply("SCAN 0 MATCH lis? COUNT 1000"),
        "*2 $1 0 *1 $4 list"
    );
    assert_eq!(bench.reply("SCAN x"), "-ERR invalid cursor");
    // Nothing breaks on a cursor that nobody gave.
    bench.reply("SCAN 18446744073709551615 COUNT 10");
    assert!(bench.reply("RANDOMKEY").starts_with('$'));
}

#[test]
fn sorting() {
    Bench::new().expect(&[
        ("RPUSH l 3 1 10 2", ":4", "RPUSH l 3 1 10 2"),
        ("SORT l", "*4 $1 1 $1 2 $1 3 $2 10", ""),
        ("SORT l DESC LIMIT 1 2", "*2 $1 3 $1 2", ""),
        ("SORT l ALPHA", "*4 $1 1 $2 10 $1 2 $1 3", ""),
        ("SORT l BY nosort LIMIT 1 2", "*2 $1 1 $2 10", ""),
        ("SORT l BY nosort DESC LIMIT 1 2", "*2 $2 10 $1 1", ""),
        (
            "MSET w1 30 w2 20 w3 10 v1 a v2 b",
            "+OK",
            "MSET w1 30 w2 20 w3 10 v1 a v2 b",
        ),
        (
            "SORT l BY w* GET v* GET #",
            "*8 $-1 $2 10 $-1 $1 3 $1 b $1 2 $1 a $1 1",
            "",
        ),
        ("SORT_RO l LIMIT 0 1", "*1 $1 1", ""),
        ("SORT_RO l STORE x", "-ERR syntax error", ""),
        ("SORT l LIMIT 1", "-ERR syntax error", ""),
        (
            "SORT l LIMIT 1 x",
            "-ERR value is not an integer or out of range",
            "",
        ),
        (
            "SORT l BY v*",
            "-ERR One or more scores can't be converted into double",
            "",
        ),
        ("HSET h1 f 2", ":1", "HSET h1 f 2"),
        ("HSET h2 f 1", ":1", "HSET h2 f 1"),
        ("SORT l BY h*->f GET h*->f LIMIT 2 2", "*2 $1 1 $1 2", ""),
        ("SORT l GET v* STORE out", ":4", "SORT l GET v* STORE out"),
        ("LRANGE out 0 -1", "*4 $1 a $1 b $0  $0", ""),
        ("SORT none STORE out", ":0", "SORT none STORE out"),
        ("EXISTS out", ":0", ""),
        ("SORT w1", WRONG_TYPE, ""),
        ("SORT none", "*0", ""),
        ("ZADD z 3 a 2 b 1 c", ":3", "ZADD z 3 a 2 b 1 c"),
        ("SORT z BY nosort", "*3 $1 c $1 b $1 a", ""),
        ("SORT z BY nosort DESC LIMIT 0 2", "*2 $1 a $1 b", ""),
    ]);
}

#[test]
fn looking_at_objects() {
    let mut bench = Bench::new();
    bench.line("MSET small 5 large 123456 text abc");
    bench.clock.advance_ms(7000);
    bench.expect(&[
        ("OBJECT REFCOUNT small", ":2147483647", ""),
        ("OBJECT REFCOUNT large", ":1", ""),
        ("OBJECT ENCODING text", "$6 embstr", ""),
        ("EXISTS text", ":1", ""),
        ("TTL text", ":-1", ""),
        ("TYPE text", "+string", ""),
        ("OBJECT IDLETIME text", ":7", ""),
        ("TOUCH text none", ":1", ""),
        ("OBJECT IDLETIME text", ":0", ""),
        ("OBJECT IDLETIME none", "$-1", ""),
        (
            "OBJECT FREQ text",
            "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
             when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            "",
        ),
    ]);
    assert!(
        bench
            .reply("OBJECT HELP")
            .starts_with("*15 +OBJECT <subcommand> ")
    );
}

#[test]
fn nulls_and_maps_of_resp3() {
    let mut bench = Bench::new();
    bench.resp3();
    bench.line("MSET a ohmytext b mynewtext");
    bench.expect(&[
        ("GET none", "_", ""),
        ("MGET a none", "*2 $8 ohmytext _", ""),
        ("LCS a b", "$6 mytext", ""),
        ("LCS a b LEN", ":6", ""),
        (
            "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
            "%2 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6",
            "",
        ),
        (
            "LCS a b IDX LEN",
            "-ERR If you want both the length and indexes, please just use IDX.",
            "",
        ),
        ("OBJECT ENCODING none", "_", ""),
        ("SADD s m", ":1", "SADD s m"),
        (
            "LCS a s",
            "-ERR The specified keys must contain string values",
            "",
        ),
    ]);
}
