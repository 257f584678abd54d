use crate::command::context::bench::{Bench, WRONG_TYPE};
use crate::config::Settings;

const NOT_A_SKETCH: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected";

#[test]
fn elements_are_added_and_counted() {
    Bench::new().expect(&[
        ("PFADD h", ":1", "PFADD h"),
        ("PFADD h", ":0", ""),
        (
            "GET h",
            "$18 HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff",
            "",
        ),
        ("PFADD h a b c a", ":1", "PFADD h a b c a"),
        ("PFADD h a b", ":0", ""),
        // The result is kept, which replicas are told of; then there is nothing to tell.
        ("PFCOUNT h", ":3", "PFCOUNT h"),
        ("PFCOUNT h", ":3", ""),
        ("PFADD g c d", ":1", "PFADD g c d"),
        ("PFCOUNT h g none", ":4", ""),
        ("PFCOUNT none", ":0", ""),
        ("PFMERGE m h g", "+OK", "PFMERGE m h g"),
        ("PFCOUNT m", ":4", "PFCOUNT m"),
        ("PFMERGE new", "+OK", "PFMERGE new"),
        ("PFDEBUG ENCODING m", "+sparse", ""),
        ("PFDEBUG TODENSE m", ":1", "PFDEBUG TODENSE m"),
        ("PFDEBUG TODENSE m", ":0", ""),
        ("PFDEBUG ENCODING m", "+dense", ""),
        ("PFDEBUG DECODE m", "-ERR HLL encoding is not sparse", ""),
        ("PFCOUNT m", ":4", ""),
        ("PFADD m a", ":0", ""),
        ("PFADD m z", ":1", "PFADD m z"),
        ("PFDEBUG DECODE new", "$7 Z:16384", ""),
        (
            "PFDEBUG NOTHING new",
            "-ERR Unknown PFDEBUG subcommand 'NOTHING'",
            "",
        ),
        (
            "PFDEBUG GETREG none",
            "-ERR The specified key does not exist",
            "",
        ),
        ("PFSELFTEST", "+OK", ""),
    ]);
}

#[test]
fn what_is_no_sketch_is_refused() {
    let mut bench = Bench::new();
    bench.line("SET s not-a-sketch-at-all");
    bench.line("SET n 12345");
    bench.line("LPUSH l 1");
    for line in [
        "PFADD {} x",
        "PFCOUNT {}",
        "PFCOUNT {} none",
        "PFMERGE {}",
        "PFMERGE d {}",
        "PFDEBUG GETREG {}",
    ] {
        for key in ["s", "n"] {
            assert_eq!(
                bench.reply(&line.replace("{}", key)),
                NOT_A_SKETCH,
                "{line}"
            );
        }
        assert_eq!(bench.reply(&line.replace("{}", "l")), WRONG_TYPE, "{line}");
    }
    bench.line("PFADD h a b c");
    bench.line("APPEND h more");
    for line in [
        "PFCOUNT h",
        "PFCOUNT h none",
        "PFMERGE d h",
        "PFDEBUG TODENSE h",
    ] {
        assert_eq!(bench.line(line), (CORRUPT.into(), String::new()), "{line}");
    }
    assert_eq!(bench.reply("EXISTS d"), ":0");
}

#[test]
fn a_change_before_an_error_is_replicated() {
    let mut bench = Bench::new();
    bench.line("PFADD h a");
    // The runs now end before half of the registers.
    bench.line("SETRANGE h 16 _\u{7f}!!!");
    let line = (0..50).fold("PFADD h".to_owned(), |line, n| format!("{line} e{n}"));
    let (reply, effect) = bench.line(&line);
    assert_eq!(reply, CORRUPT);
    // Those before the one that met the error.
    assert!(
        line.starts_with(&effect) && effect.len() > 8 && effect != line,
        "{effect}"
    );
}

#[test]
fn sketches_become_dense_by_size() {
    for (limit, most) in [(0, 0), (100, 100), (3000, 3000)] {
        let mut bench = Bench::with(Settings {
            hll_sparse_max_bytes: limit,
            ..Settings::default()
        });
        let mut largest = 0;
        for n in 0..3000 {
            bench.line(&format!("PFADD h {n}"));
            if bench.reply("PFDEBUG ENCODING h") == "+dense" {
                break;
            }
            let length = bench.reply("STRLEN h");
            largest = length[1..].parse().expect("a length");
        }
        assert_eq!(bench.reply("PFDEBUG ENCODING h"), "+dense");
        assert!(largest <= most && largest + 10 > most, "{largest}");
    }
}
