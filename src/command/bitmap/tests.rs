use crate::command::context::bench::{Bench, SYNTAX, WRONG_TYPE};
use crate::config::Settings;

const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range";

#[test]
fn bits_are_set_and_got() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("SETBIT s 7 1", ":0", "SETBIT s 7 1"),
        ("SETBIT s 7 1", ":1", ""),
        ("GET s", "$1 \\x01", ""),
        ("SETBIT s 16 0", ":0", "SETBIT s 16 0"),
        ("STRLEN s", ":3", ""),
        ("GETBIT s 7", ":1", ""),
        ("GETBIT s 4294967295", ":0", ""),
        ("GETBIT none 1", ":0", ""),
        ("SET n 100", "+OK", "SET n 100"),
        ("OBJECT ENCODING n", "$3 int", ""),
        ("GETBIT n 2", ":1", ""),
        ("SETBIT n 2 1", ":1", ""),
        ("OBJECT ENCODING n", "$3 raw", ""),
        ("SETBIT n 7 0", ":1", "SETBIT n 7 0"),
        ("GET n", "$3 000", ""),
        ("SETBIT n 4294967296 1", BAD_OFFSET, ""),
        ("SETBIT n -1 1", BAD_OFFSET, ""),
        ("GETBIT n x", BAD_OFFSET, ""),
        (
            "SETBIT n 1 2",
            "-ERR bit is not an integer or out of range",
            "",
        ),
        ("LPUSH l 1", ":1", "LPUSH l 1"),
        ("SETBIT l 1 1", WRONG_TYPE, ""),
        ("GETBIT l 1", WRONG_TYPE, ""),
    ]);
}

#[test]
fn a_long_string_in_a_reply_stays_as_it_was() {
    let mut bench = Bench::new();
    bench.line("SETBIT s 800000 1");
    let get: Vec<Vec<u8>> = vec![b"GET".into(), b"s".into()];
    let before = bench.unsent(&get).clone();
    for line in ["SETBIT s 5 1", "BITFIELD s SET u8 80 255", "BITOP NOT s s"] {
        assert!(!bench.line(line).1.is_empty(), "{line}");
    }
    let bytes = before.into_bytes();
    assert!(bytes.iter().filter(|byte| **byte == 0).count() == 100_000);
}

#[test]
fn a_limit_other_than_usual() {
    let mut bench = Bench::with(Settings {
        proto_max_bulk_len: 1024 * 1024,
        ..Settings::default()
    });
    bench.expect(&[
        ("SETBIT s 8388607 1", ":0", "SETBIT s 8388607 1"),
        ("SETBIT s 8388608 1", BAD_OFFSET, ""),
        ("BITFIELD s GET u8 #1048576", BAD_OFFSET, ""),
    ]);
}

#[test]
fn counting_and_searching() {
    let mut bench = Bench::new();
    bench.line("SET s foobar");
    bench.line("SET ones \u{7f}\u{7f}");
    bench.line("LPUSH l 1");
    for (line, reply) in [
        ("BITCOUNT s", ":26"),
        ("BITCOUNT s 0 0", ":4"),
        ("BITCOUNT s 1 1 BYTE", ":6"),
        ("BITCOUNT s 5 30 BIT", ":17"),
        ("BITCOUNT s -2 -1 byte", ":7"),
        ("BITCOUNT s 100 200", ":0"),
        ("BITCOUNT s -1 -2 NOTHING", ":0"),
        ("BITCOUNT s 0 1 NOTHING", SYNTAX),
        ("BITCOUNT s 0", SYNTAX),
        ("BITCOUNT none 0", ":0"),
        ("BITCOUNT l", WRONG_TYPE),
        ("BITPOS s 1", ":1"),
        ("BITPOS s 0", ":0"),
        ("BITPOS s 1 2", ":17"),
        ("BITPOS s 1 10 20 BIT", ":10"),
        ("BITPOS s 0 9 10 BIT", ":-1"),
        ("BITPOS s 1 6", ":-1"),
        ("BITPOS ones 0 0 -1", ":0"),
        ("BITPOS ones 0 1 7 BIT", ":-1"),
        ("BITPOS none 1", ":-1"),
        ("BITPOS none 0 x", ":0"),
        ("BITPOS s 2", "-ERR The bit argument must be 1 or 0."),
        ("BITPOS s 1 0 1 BITS", SYNTAX),
        ("BITPOS s 1 0 1 BIT 1", SYNTAX),
    ] {
        assert_eq!(bench.reply(line), reply, "{line}");
    }
    bench.line("SETBIT full 0 1");
    bench.line("BITFIELD full SET u8 0 255");
    assert_eq!(bench.reply("BITPOS full 0"), ":8");
    assert_eq!(bench.reply("BITPOS full 0 0 -1"), ":-1");
}

#[test]
fn strings_are_combined() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("SET a abcd", "+OK", "SET a abcd"),
        ("SET b ab", "+OK", "SET b ab"),
        ("SET n 12", "+OK", "SET n 12"),
        ("BITOP AND d a b", ":4", "BITOP AND d a b"),
        ("GET d", "$4 ab\\x00\\x00", ""),
        ("BITOP or d b n", ":2", "BITOP or d b n"),
        ("GET d", "$2 qr", ""),
        ("BITOP XOR d a a", ":4", "BITOP XOR d a a"),
        ("GET d", "$4 \\x00\\x00\\x00\\x00", ""),
        ("BITOP NOT d b", ":2", "BITOP NOT d b"),
        ("GET d", "$2 \\x9e\\x9d", ""),
        ("BITOP DIFF d a b", ":4", "BITOP DIFF d a b"),
        ("GET d", "$4 \\x00\\x00cd", ""),
        ("BITOP ONE d n", ":2", "BITOP ONE d n"),
        ("GET d", "$2 12", ""),
        ("OBJECT ENCODING d", "$3 raw", ""),
        ("LPUSH l 1", ":1", "LPUSH l 1"),
        ("BITOP OR d a l", WRONG_TYPE, ""),
        ("BITOP OR l a", ":4", "BITOP OR l a"),
        ("TYPE l", "+string", ""),
        ("EXPIRE d 100", ":1", "PEXPIREAT d 1700000100000"),
        ("BITOP OR d none", ":0", "BITOP OR d none"),
        ("EXISTS d", ":0", ""),
        ("BITOP OR d none", ":0", ""),
        ("BITOP NAND d a", SYNTAX, ""),
        (
            "BITOP NOT d a b",
            "-ERR BITOP NOT must be called with a single source key.",
            "",
        ),
        (
            "BITOP ANDOR d a",
            "-ERR BITOP ANDOR must be called with at least two source keys.",
            "",
        ),
    ]);
    // The old expiry goes with the old value.
    bench.line("SET d x EX 100");
    bench.line("BITOP OR d a");
    assert_eq!(bench.reply("TTL d"), ":-1");
}

#[test]
fn fields() {
    let mut bench = Bench::new();
    let get = "BITFIELD f GET u8 0 GET i8 #1";
    let only_get = "-ERR BITFIELD_RO only supports the GET subcommand";
    bench.expect(&[
        (get, "*2 :0 :0", ""),
        ("BITFIELD f", "*0", ""),
        ("EXISTS f", ":0", ""),
        (
            "BITFIELD f SET u8 #1 255 GET i8 8",
            "*2 :0 :-1",
            "BITFIELD f SET u8 #1 255 GET i8 8",
        ),
        ("BITFIELD f SET u8 8 255", "*1 :255", ""),
        (
            "BITFIELD f OVERFLOW SAT INCRBY u8 8 1 OVERFLOW FAIL INCRBY u8 8 1",
            "*2 :255 $-1",
            "",
        ),
        (
            "BITFIELD f incrby i5 100 1",
            "*1 :1",
            "BITFIELD f incrby i5 100 1",
        ),
        ("STRLEN f", ":14", ""),
        ("BITFIELD_RO f GET i5 100 GET u4 96", "*2 :1 :0", ""),
        ("BITFIELD_RO f SET i5 100 1", only_get, ""),
        ("BITFIELD f GET u64 0", BAD_TYPE, ""),
        ("BITFIELD f GET x8 0", BAD_TYPE, ""),
        ("BITFIELD f GET u8 -1", BAD_OFFSET, ""),
        ("BITFIELD f GET u8", SYNTAX, ""),
        (
            "BITFIELD f OVERFLOW NEVER",
            "-ERR Invalid OVERFLOW type specified",
            "",
        ),
        // Grown for nothing, which replicas do as well.
        (
            "BITFIELD g OVERFLOW FAIL INCRBY u2 0 5",
            "*1 $-1",
            "BITFIELD g OVERFLOW FAIL INCRBY u2 0 5",
        ),
        ("STRLEN g", ":1", ""),
        ("LPUSH l 1", ":1", "LPUSH l 1"),
        ("BITFIELD l GET u8 0", WRONG_TYPE, ""),
        ("BITFIELD l SET u8 0 1", WRONG_TYPE, ""),
    ]);
}

const BAD_TYPE: &str = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
