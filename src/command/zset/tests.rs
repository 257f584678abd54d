//! Sorted set commands by line: replies, errors and what goes to the log.

use crate::command::context::bench::{Bench, NOT_FLOAT, SYNTAX, WRONG_TYPE};

#[test]
fn adding() {
    let exclusive = "-ERR GT, LT, and/or NX options at the same time are not compatible";
    Bench::new().expect(&[
        ("ZADD z XX 1 a", ":0", ""),
        ("ZADD z 1 a 2 b", ":2", "ZADD z 1 a 2 b"),
        ("ZADD z 1 a", ":0", ""),
        ("ZADD z CH 3 a 2 b 9 c", ":2", "ZADD z CH 3 a 2 b 9 c"),
        ("ZADD z NX 4 a", ":0", ""),
        ("ZADD z GT CH 2 a", ":0", ""),
        ("ZADD z LT CH 2 a", ":1", "ZADD z LT CH 2 a"),
        ("ZADD z INCR 1.5 a", "$3 3.5", "ZADD z INCR 1.5 a"),
        ("ZADD z INCR GT -1 a", "$-1", ""),
        ("ZADD z INCR XX 1 none", "$-1", ""),
        ("ZADD z INCR 0 a", "$3 3.5", ""),
        ("ZINCRBY z -3.5 a", "$1 0", "ZINCRBY z -3.5 a"),
        ("ZADD z inf i", ":1", "ZADD z inf i"),
        (
            "ZINCRBY z -inf i",
            "-ERR resulting score is not a number (NaN)",
            "",
        ),
        ("ZADD z nan a", NOT_FLOAT, ""),
        ("ZADD z 1 a x b", NOT_FLOAT, ""),
        ("ZADD z 1 a 2", SYNTAX, ""),
        ("ZADD z NX XX", SYNTAX, ""),
        (
            "ZADD z NX XX 1 a",
            "-ERR XX and NX options at the same time are not compatible",
            "",
        ),
        ("ZADD z GT LT 1 a", exclusive, ""),
        ("ZADD z GT NX 1 a", exclusive, ""),
        (
            "ZADD z INCR 1 a 2 b",
            "-ERR INCR option supports a single increment-element pair",
            "",
        ),
        ("SET s 1", "+OK", "SET s 1"),
        ("ZADD s 1 a", WRONG_TYPE, ""),
        ("ZSCORE z i", "$3 inf", ""),
        ("ZMSCORE z a none", "*2 $1 0 $-1", ""),
        ("ZCARD z", ":4", ""),
        ("ZREM z a none i", ":2", "ZREM z a none i"),
        ("ZREM z none", ":0", ""),
        ("ZREM z b c", ":2", "ZREM z b c"),
        ("EXISTS z", ":0", ""),
    ]);
}

#[test]
fn ranges() {
    Bench::new().expect(&[
        ("ZADD z 1 a 2 b 3 c 4 d", ":4", "ZADD z 1 a 2 b 3 c 4 d"),
        ("ZRANGE z 1 -2", "*2 $1 b $1 c", ""),
        ("ZRANGE z 0 0 WITHSCORES REV", "*2 $1 d $1 4", ""),
        ("ZRANGE z (1 3 BYSCORE", "*2 $1 b $1 c", ""),
        ("ZRANGE z +inf (2 BYSCORE REV LIMIT 1 5", "*1 $1 c", ""),
        ("ZRANGE z [b + BYLEX LIMIT 0 1", "*1 $1 b", ""),
        ("ZREVRANGE z 0 1", "*2 $1 d $1 c", ""),
        ("ZRANGEBYSCORE z 2 3 WITHSCORES", "*4 $1 b $1 2 $1 c $1 3", ""),
        ("ZREVRANGEBYSCORE z 3 2", "*2 $1 c $1 b", ""),
        ("ZRANGEBYLEX z - (c", "*2 $1 a $1 b", ""),
        ("ZREVRANGEBYLEX z + [c", "*2 $1 d $1 c", ""),
        ("ZCOUNT z (1 +inf", ":3", ""),
        ("ZLEXCOUNT z [b [c", ":2", ""),
        ("ZRANK z c", ":2", ""),
        ("ZREVRANK z c WITHSCORE", "*2 :1 $1 3", ""),
        ("ZRANK z none WITHSCORE", "*-1", ""),
        ("ZRANK z c x", SYNTAX, ""),
        (
            "ZRANK z c x y",
            "-ERR wrong number of arguments for 'zrank' command",
            "",
        ),
        ("ZRANGE z a b BYSCORE", "-ERR min or max is not a float", ""),
        (
            "ZRANGE z a b BYLEX",
            "-ERR min or max not valid string range item",
            "",
        ),
        (
            "ZRANGE z 0 1 LIMIT 0 1",
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            "",
        ),
        (
            "ZRANGE z - + BYLEX WITHSCORES",
            "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            "",
        ),
        ("ZREVRANGE z 0 1 REV", SYNTAX, ""),
        ("ZRANGESTORE y z 0 1", ":2", "ZRANGESTORE y z 0 1"),
        ("ZRANGESTORE y z 9 10", ":0", "ZRANGESTORE y z 9 10"),
        ("ZRANGESTORE y z 9 10", ":0", ""),
        ("ZREMRANGEBYRANK z 0 0", ":1", "ZREMRANGEBYRANK z 0 0"),
        ("ZREMRANGEBYSCORE z 4 9", ":1", "ZREMRANGEBYSCORE z 4 9"),
        ("ZREMRANGEBYLEX z - +", ":2", "ZREMRANGEBYLEX z - +"),
        ("ZREMRANGEBYLEX z - +", ":0", ""),
        ("EXISTS z", ":0", ""),
    ]);
}

#[test]
fn algebra() {
    let mut bench = Bench::new();
    bench.expect(&[
        ("ZADD a 1 x 2 y 3 z", ":3", "ZADD a 1 x 2 y 3 z"),
        ("ZADD b 10 y 20 z inf w", ":3", "ZADD b 10 y 20 z inf w"),
        ("SADD s z 1", ":2", "SADD s z 1"),
        (
            "ZUNION 2 a s WITHSCORES",
            "*8 $1 1 $1 1 $1 x $1 1 $1 y $1 2 $1 z $1 4",
            "",
        ),
        (
            "ZINTER 2 a b WEIGHTS 2 0.5 WITHSCORES",
            "*4 $1 y $1 9 $1 z $2 16",
            "",
        ),
        (
            "ZINTER 2 a b AGGREGATE MAX WITHSCORES",
            "*4 $1 y $2 10 $1 z $2 20",
            "",
        ),
        (
            "ZUNION 2 b none WEIGHTS 0 1 WITHSCORES",
            "*6 $1 w $1 0 $1 y $1 0 $1 z $1 0",
            "",
        ),
        ("ZDIFF 3 a b s WITHSCORES", "*2 $1 x $1 1", ""),
        ("ZINTERCARD 2 a b", ":2", ""),
        ("ZINTERCARD 2 a b LIMIT 1", ":1", ""),
        (
            "ZINTERCARD 2 a b LIMIT -1",
            "-ERR LIMIT can't be negative",
            "",
        ),
        ("ZUNIONSTORE d 2 a b", ":4", "ZUNIONSTORE d 2 a b"),
        ("ZINTERSTORE d 2 a none", ":0", "ZINTERSTORE d 2 a none"),
        ("EXISTS d", ":0", ""),
        ("ZDIFFSTORE d 2 a b", ":1", "ZDIFFSTORE d 2 a b"),
        (
            "ZUNION 0 a",
            "-ERR at least 1 input key is needed for 'zunion' command",
            "",
        ),
        ("ZUNION 3 a b", SYNTAX, ""),
        ("ZUNIONSTORE d 2 a b WITHSCORES", SYNTAX, ""),
        ("ZDIFF 2 a b WEIGHTS 1 1", SYNTAX, ""),
        (
            "ZUNION 2 a b WEIGHTS 1 x",
            "-ERR weight value is not a float",
            "",
        ),
        ("SET str 1", "+OK", "SET str 1"),
        ("ZUNION 2 a str FOO", WRONG_TYPE, ""),
    ]);
    bench.resp3();
    assert_eq!(
        bench.reply("ZUNION 2 a s WITHSCORES"),
        "*4 *2 $1 1 ,1 *2 $1 x ,1 *2 $1 y ,2 *2 $1 z ,4"
    );
}

#[test]
fn popping() {
    let mut bench = Bench::new();
    bench.expect(&[
        (
            "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f",
            ":6",
            "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f",
        ),
        ("ZPOPMIN z", "*2 $1 a $1 1", "ZPOPMIN z"),
        ("ZPOPMAX z 2", "*4 $1 f $1 6 $1 e $1 5", "ZPOPMAX z 2"),
        ("ZPOPMIN z 0", "*0", ""),
        ("ZPOPMIN none 5", "*0", ""),
        (
            "ZPOPMIN z -1",
            "-ERR value is out of range, must be positive",
            "",
        ),
        ("ZPOPMIN z 1 2", SYNTAX, ""),
        ("BZPOPMIN none z 0", "*3 $1 z $1 b $1 2", "ZPOPMIN z"),
        (
            "ZMPOP 2 none z MAX COUNT 9",
            "*2 $1 z *2 *2 $1 d $1 4 *2 $1 c $1 3",
            "ZPOPMAX z 2",
        ),
        ("ZMPOP 1 z MIN", "*-1", ""),
        ("BZMPOP 1 1 z MIN", "", ""),
        ("BZPOPMAX z 0", "", ""),
        (
            "BZPOPMAX z x",
            "-ERR timeout is not a float or out of range",
            "",
        ),
        ("ZADD z 1 a", ":1", "ZADD z 1 a"),
        ("BZMPOP 1 1 z MIN", "*2 $1 z *1 *2 $1 a $1 1", "ZPOPMIN z 1"),
        ("ZADD z 1 a 2 b 3 c", ":3", "ZADD z 1 a 2 b 3 c"),
    ]);
    bench.resp3();
    assert_eq!(bench.reply("ZPOPMIN z"), "*2 $1 a ,1");
    assert_eq!(bench.reply("ZPOPMIN z 1"), "*1 *2 $1 b ,2");
    assert_eq!(bench.reply("BZPOPMIN z 1"), "*3 $1 z $1 c ,3");
    assert_eq!(bench.reply("ZMPOP 1 z MIN"), "_");
}

#[test]
fn random_members() {
    let mut bench = Bench::new();
    for members in [3, 300] {
        let pairs: String = (0..members).map(|i| format!(" {i} m{i}")).collect();
        bench.line(&format!("ZADD z{pairs}"));
        let words = |reply: String| {
            reply
                .split(' ')
                .filter(|w| w.starts_with('m'))
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(bench.reply("ZRANDMEMBER z -500")).len(), 500);
        for count in [2, 20, 200, 1000] {
            let mut got = words(bench.reply(&format!("ZRANDMEMBER z {count} WITHSCORES")));
            got.sort();
            got.dedup();
            assert_eq!(got.len(), count.min(members));
        }
    }
    bench.expect(&[
        ("ZRANDMEMBER none", "$-1", ""),
        ("ZRANDMEMBER none 5", "*0", ""),
        ("ZRANDMEMBER z 0", "*0", ""),
        (
            "ZRANDMEMBER z x",
            "-ERR value is not an integer or out of range",
            "",
        ),
        ("ZRANDMEMBER z 1 x", SYNTAX, ""),
        (
            "ZRANDMEMBER z -9223372036854775807 WITHSCORES",
            "-ERR value is out of range",
            "",
        ),
    ]);
}

#[test]
fn scanning() {
    Bench::new().expect(&[
        ("ZADD z 0.1 a 2 b", ":2", "ZADD z 0.1 a 2 b"),
        ("ZSCAN z 0", "*2 $1 0 *4 $1 a $3 0.1 $1 b $1 2", ""),
        ("ZSCAN z 0 MATCH b*", "*2 $1 0 *2 $1 b $1 2", ""),
        ("ZSCAN none 0", "*2 $1 0 *0", ""),
        ("ZSCAN z x", "-ERR invalid cursor", ""),
        ("ZSCAN z 0 COUNT 0", SYNTAX, ""),
        (
            "ZRANGESTORE large z 0 1 BYSCORE",
            ":1",
            "ZRANGESTORE large z 0 1 BYSCORE",
        ),
        (
            "ZSCAN large 0",
            "*2 $1 0 *2 $1 a $19 0.10000000000000001",
            "",
        ),
    ]);
}
