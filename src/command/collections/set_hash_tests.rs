//! The commands of sets and hashes, run by line: replies, errors, encodings and what goes to the log.

use crate::command::context::bench::{Bench, NOT_INTEGER, WRONG_TYPE};

#[test]
fn sets_one_at_a_time() {
    Bench::new().expect(&[
        ("SADD s 3 1 2 2", ":3", "SADD s 3 1 2 2"),
        ("SADD s 1", ":0", ""),
        ("OBJECT ENCODING s", "$6 intset", ""),
        ("SMEMBERS s", "*3 $1 1 $1 2 $1 3", ""),
        ("SADD s a", ":1", "SADD s a"),
        ("OBJECT ENCODING s", "$8 listpack", ""),
        ("SCARD s", ":4", ""),
        ("SISMEMBER s a", ":1", ""),
        ("SISMEMBER s b", ":0", ""),
        ("SMISMEMBER s a b 1", "*3 :1 :0 :1", ""),
        ("SMISMEMBER none a b", "*2 :0 :0", ""),
        ("SREM s x 1 a", ":2", "SREM s x 1 a"),
        ("SREM s x", ":0", ""),
        ("SREM none x", ":0", ""),
        ("SMOVE s t 2", ":1", "SMOVE s t 2"),
        ("SMOVE s t 2", ":0", ""),
        ("SMOVE s s 3", ":1", ""),
        ("SMOVE s t 3", ":1", "SMOVE s t 3"),
        ("EXISTS s", ":0", ""),
        ("SMEMBERS s", "*0", ""),
        ("SREM t 2 3 4", ":2", "SREM t 2 3 4"),
        ("EXISTS t", ":0", ""),
        ("SET str x", "+OK", "SET str x"),
        ("SADD str a", WRONG_TYPE, ""),
        ("SREM str a", WRONG_TYPE, ""),
        ("SCARD str", WRONG_TYPE, ""),
        ("SMISMEMBER str a", WRONG_TYPE, ""),
        ("SMOVE none str a", ":0", ""),
        ("SADD t a", ":1", "SADD t a"),
        ("SMOVE t str a", WRONG_TYPE, ""),
        ("SMOVE str t a", WRONG_TYPE, ""),
        ("SMEMBERS t", "*1 $1 a", ""),
    ]);
}

#[test]
fn sets_together() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("SADD a 1 2 3 4", ":4", "SADD a 1 2 3 4"),
        ("SADD b 3 4 5", ":3", "SADD b 3 4 5"),
        ("SADD w x 3", ":2", "SADD w x 3"),
        ("SINTER a b", "*2 $1 3 $1 4", ""),
        ("SINTER a none", "*0", ""),
        ("SINTERCARD 2 a b", ":2", ""),
        ("SINTERCARD 2 a b LIMIT 1", ":1", ""),
        ("SINTERCARD 2 a b LIMIT 0", ":2", ""),
        (
            "SINTERCARD 2 a b LIMIT -1",
            "-ERR LIMIT can't be negative",
            "",
        ),
        ("SINTERCARD 2 a b LIMIT", "-ERR syntax error", ""),
        (
            "SINTERCARD 0 a",
            "-ERR numkeys should be greater than 0",
            "",
        ),
        (
            "SINTERCARD 3 a b",
            "-ERR Number of keys can't be greater than number of args",
            "",
        ),
        ("SUNION a b", "*5 $1 1 $1 2 $1 3 $1 4 $1 5", ""),
        ("SDIFF a b none", "*2 $1 1 $1 2", ""),
        ("SDIFF a b a", "*0", ""),
        ("SDIFF none a", "*0", ""),
        ("SUNIONSTORE u a w", ":5", "SUNIONSTORE u a w"),
        ("OBJECT ENCODING u", "$8 listpack", ""),
        ("SINTERSTORE i a w", ":1", "SINTERSTORE i a w"),
        ("OBJECT ENCODING i", "$6 intset", ""),
        ("SDIFFSTORE d w a", ":1", "SDIFFSTORE d w a"),
        ("SMEMBERS d", "*1 $1 x", ""),
        ("SET str x EX 10", "+OK", "SET str x PXAT 1700000010000"),
        ("SINTER a str", WRONG_TYPE, ""),
        ("SINTER none str", WRONG_TYPE, ""),
        ("SUNIONSTORE u a str", WRONG_TYPE, ""),
        ("SINTERSTORE str a b", ":2", "SINTERSTORE str a b"),
        ("TTL str", ":-1", ""),
        ("SINTERSTORE str a none", ":0", "SINTERSTORE str a none"),
        ("SINTERSTORE str a none", ":0", ""),
        ("EXISTS str", ":0", ""),
    ]);
    bench.resp3();
    bench.expect(&[
        ("SINTER a b", "~2 $1 3 $1 4", ""),
        ("SUNION none", "~0", ""),
        ("SMEMBERS w", "~2 $1 x $1 3", ""),
    ]);
}

#[test]
fn what_spop_took_is_logged_as_removals() {
    let mut bench = Bench::new();
    let negative = "-ERR value is out of range, must be positive";
    bench.expect(&[
        ("SPOP none", "$-1", ""),
        ("SPOP none 3", "*0", ""),
        ("SADD s a", ":1", "SADD s a"),
        ("SPOP s 0", "*0", ""),
        ("SPOP s -1", negative, ""),
        ("SPOP s x", negative, ""),
        ("SPOP s 1 2", "-ERR syntax error", ""),
        ("SPOP s", "$1 a", "SREM s a"),
        ("EXISTS s", ":0", ""),
        ("SADD s 1 2 3", ":3", "SADD s 1 2 3"),
        ("SPOP s 3", "*3 $1 1 $1 2 $1 3", "DEL s"),
        ("EXISTS s", ":0", ""),
    ]);
    for prefix in ["", "m"] {
        for count in [3, 90, 1_500, 2_900] {
            let members: Vec<String> = (0..3_000).map(|n| format!("{prefix}{n}")).collect();
            bench.line(&format!("SADD s {}", members.join(" ")));
            let (_, effects) = bench.line(&format!("SPOP s {count}"));
            assert_eq!(bench.reply("SCARD s"), format!(":{}", 3_000 - count));
            for effect in effects.split("; ") {
                assert!(effect.starts_with("SREM s "));
                let missing = effect.replace("SREM s", "SMISMEMBER s");
                assert!(!bench.reply(&missing).contains(":1 "), "{missing}");
            }
            bench.line("DEL s");
        }
    }
}

#[test]
fn what_few_members_spop_leaves_take_a_small_encoding() {
    let mut bench = Bench::new();
    let members: Vec<String> = (0..1_000).map(|n| format!("m{n}")).collect();
    bench.line(&format!("SADD s {}", members.join(" ")));
    bench.line("SPOP s 500");
    assert_eq!(bench.reply("OBJECT ENCODING s"), "$9 hashtable");
    bench.line("SPOP s 450");
    assert_eq!(bench.reply("OBJECT ENCODING s"), "$8 listpack");
    assert_eq!(bench.reply("SCARD s"), ":50");
}

#[test]
fn random_members_and_fields() {
    let mut bench = Bench::new();
    let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    bench.expect(&[
        ("SRANDMEMBER none", "$-1", ""),
        ("SRANDMEMBER none 3", "*0", ""),
        ("SADD s a", ":1", "SADD s a"),
        ("SRANDMEMBER s", "$1 a", ""),
        ("SRANDMEMBER s 5", "*1 $1 a", ""),
        ("SRANDMEMBER s -3", "*3 $1 a $1 a $1 a", ""),
        ("SRANDMEMBER s 0", "*0", ""),
        ("SRANDMEMBER s x", NOT_INTEGER, ""),
        ("SRANDMEMBER s 1 2", "-ERR syntax error", ""),
        ("SRANDMEMBER s -9223372036854775808", range, ""),
        (
            "SRANDMEMBER s -9223372036854775807",
            "-ERR value is out of range",
            "",
        ),
        ("HSET h f 1", ":1", "HSET h f 1"),
        ("HRANDFIELD none", "$-1", ""),
        ("HRANDFIELD none 2", "*0", ""),
        ("HRANDFIELD h", "$1 f", ""),
        ("HRANDFIELD h 2 WITHVALUES", "*2 $1 f $1 1", ""),
        ("HRANDFIELD h -2 withvalues", "*4 $1 f $1 1 $1 f $1 1", ""),
        ("HRANDFIELD h 0", "*0", ""),
        ("HRANDFIELD h 1 x", "-ERR syntax error", ""),
        ("HRANDFIELD h -9223372036854775808", range, ""),
        (
            "HRANDFIELD h -9223372036854775807 WITHVALUES",
            "-ERR value is out of range",
            "",
        ),
        ("HRANDFIELD s", WRONG_TYPE, ""),
        ("SRANDMEMBER h 1", WRONG_TYPE, ""),
    ]);
    for (add, sample) in [("SADD", "SRANDMEMBER"), ("HSET", "HRANDFIELD")] {
        for size in [60, 2_000] {
            let elements: Vec<String> = (0..size).map(|n| format!("m{n} {n}")).collect();
            bench.line(&format!("{add} big {}", elements.join(" ")));
            let size = if add == "SADD" { 2 * size } else { size };
            for count in [1, 7, size / 2, size - 1, size + 1] {
                let reply = bench.reply(&format!("{sample} big {count}"));
                let mut picked: Vec<&str> = reply.split(' ').skip(2).step_by(2).collect();
                picked.sort_unstable();
                picked.dedup();
                assert_eq!(picked.len(), count.min(size), "{sample} of {size}");
            }
            bench.line("DEL big");
        }
    }
    bench.resp3();
    bench.expect(&[
        ("HRANDFIELD h 2 WITHVALUES", "*1 *2 $1 f $1 1", ""),
        ("HRANDFIELD h -1 WITHVALUES", "*1 *2 $1 f $1 1", ""),
        ("HRANDFIELD none", "_", ""),
    ]);
}

#[test]
fn hashes() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("HSET h a 1 b 2", ":2", "HSET h a 1 b 2"),
        ("HSET h a 3 c 4", ":1", "HSET h a 3 c 4"),
        ("HMSET h b x", "+OK", "HMSET h b x"),
        (
            "HSET h a 1 b",
            "-ERR wrong number of arguments for 'hset' command",
            "",
        ),
        (
            "HMSET h a 1 b",
            "-ERR wrong number of arguments for 'hmset' command",
            "",
        ),
        ("HSETNX h a 9", ":0", ""),
        ("HSETNX h d 9", ":1", "HSETNX h d 9"),
        ("HGET h a", "$1 3", ""),
        ("HGET h z", "$-1", ""),
        ("HGET none a", "$-1", ""),
        ("HMGET h a z b", "*3 $1 3 $-1 $1 x", ""),
        ("HMGET none a b", "*2 $-1 $-1", ""),
        (
            "HGETALL h",
            "*8 $1 a $1 3 $1 b $1 x $1 c $1 4 $1 d $1 9",
            "",
        ),
        ("HKEYS h", "*4 $1 a $1 b $1 c $1 d", ""),
        ("HVALS h", "*4 $1 3 $1 x $1 4 $1 9", ""),
        ("HLEN h", ":4", ""),
        ("HSTRLEN h a", ":1", ""),
        ("HSTRLEN h z", ":0", ""),
        ("HEXISTS h a", ":1", ""),
        ("HEXISTS h z", ":0", ""),
        ("HDEL h a z d", ":2", "HDEL h a z d"),
        ("HDEL h z", ":0", ""),
        ("HDEL h b c", ":2", "HDEL h b c"),
        ("EXISTS h", ":0", ""),
        ("SADD s a", ":1", "SADD s a"),
        ("HSET s a 1", WRONG_TYPE, ""),
        ("HGET s a", WRONG_TYPE, ""),
        ("HMGET s a", WRONG_TYPE, ""),
        ("HGETALL s", WRONG_TYPE, ""),
        ("HDEL s a", WRONG_TYPE, ""),
        ("HINCRBY s a 1", WRONG_TYPE, ""),
    ]);
    bench.line("HSET h a 1");
    bench.resp3();
    bench.expect(&[
        ("HGETALL h", "%1 $1 a $1 1", ""),
        ("HGETALL none", "%0", ""),
        ("HKEYS none", "*0", ""),
        ("HGET h z", "_", ""),
    ]);
}

#[test]
fn fields_as_numbers() {
    Bench::new().expect(&[
        ("HINCRBY h n 5", ":5", "HINCRBY h n 5"),
        ("HINCRBY h n -7", ":-2", "HINCRBY h n -7"),
        ("HINCRBY h n x", NOT_INTEGER, ""),
        ("HINCRBY none n x", NOT_INTEGER, ""),
        ("EXISTS none", ":0", ""),
        (
            "HSET h t x big 9223372036854775807",
            ":2",
            "HSET h t x big 9223372036854775807",
        ),
        ("HINCRBY h t 1", "-ERR hash value is not an integer", ""),
        (
            "HINCRBY h big 1",
            "-ERR increment or decrement would overflow",
            "",
        ),
        ("HINCRBYFLOAT h n 0.1", "$4 -1.9", "HSET h n -1.9"),
        ("HINCRBYFLOAT h f 3.0e3", "$4 3000", "HSET h f 3000"),
        ("HINCRBYFLOAT h t 1", "-ERR hash value is not a float", ""),
        ("HINCRBYFLOAT h n x", "-ERR value is not a valid float", ""),
        ("HINCRBYFLOAT h n inf", "-ERR value is NaN or Infinity", ""),
        ("HINCRBY h n 1", "-ERR hash value is not an integer", ""),
    ]);
}

#[test]
fn scans() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("SSCAN none 0", "*2 $1 0 *0", ""),
        ("SSCAN none 0 FOO", "*2 $1 0 *0", ""),
        ("SSCAN none x", "-ERR invalid cursor", ""),
        ("SADD s a b 1", ":3", "SADD s a b 1"),
        ("SSCAN s 0", "*2 $1 0 *3 $1 a $1 b $1 1", ""),
        ("SSCAN s 5 MATCH [0-9] COUNT 1", "*2 $1 0 *1 $1 1", ""),
        ("SSCAN s 0 COUNT 0", "-ERR syntax error", ""),
        ("SSCAN s 0 COUNT x", NOT_INTEGER, ""),
        ("SSCAN s 0 TYPE set", "-ERR syntax error", ""),
        ("HSET h a 1 bb 2", ":2", "HSET h a 1 bb 2"),
        ("HSCAN h 0", "*2 $1 0 *4 $1 a $1 1 $2 bb $1 2", ""),
        ("HSCAN h 0 MATCH ?", "*2 $1 0 *2 $1 a $1 1", ""),
        ("HSCAN s 0", WRONG_TYPE, ""),
        ("SSCAN h 0", WRONG_TYPE, ""),
    ]);
    let members: Vec<String> = (0..5_000).map(|n| format!("m{n}")).collect();
    bench.line(&format!("SADD big {}", members.join(" ")));
    let (seen, _) = bench.scan("SSCAN big {} COUNT 100");
    assert_eq!(seen.len(), 5_000);
}
