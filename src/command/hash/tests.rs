use crate::command::context::bench::{Bench, START_MS, WRONG_TYPE};
use crate::command::keys::active_expire;
use crate::command::{Context, Effects};
use crate::keyspace::ExpireBudget;
use crate::resp::Reply;

const INVALID: &str = "-ERR invalid expire time, must be >= 0";

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.line("HSET h a 1 b 2 c 3 d 4");
    bench.line("SET s 1");
    bench
}

#[test]
fn expiries_are_set_read_and_cleared() {
    let until = START_MS + 100_000;
    let mut bench = bench();
    bench.expect(&[
        (
            "HEXPIRE h 100 FIELDS 3 a b x",
            "*3 :1 :1 :-2",
            &format!("HPEXPIREAT h {until} FIELDS 2 a b"),
        ),
        (
            "HPEXPIRE h 100000 NX FIELDS 3 a c x",
            "*3 :0 :1 :-2",
            &format!("HPEXPIREAT h {until} NX FIELDS 1 c"),
        ),
        ("HTTL h FIELDS 3 a d x", "*3 :100 :-1 :-2", ""),
        ("HPTTL h FIELDS 1 a", "*1 :100000", ""),
        ("HPEXPIRETIME h FIELDS 1 a", &format!("*1 :{until}"), ""),
        (
            "HEXPIRETIME h FIELDS 1 a",
            &format!("*1 :{}", until / 1000),
            "",
        ),
        ("HEXPIRE h 200 LT FIELDS 1 a", "*1 :0", ""),
        ("HEXPIRE h 100 GT FIELDS 2 a d", "*2 :0 :0", ""),
        ("HEXPIRE h 100 XX FIELDS 1 d", "*1 :0", ""),
        (
            "HPERSIST h FIELDS 3 a d x",
            "*3 :1 :-1 :-2",
            "HPERSIST h FIELDS 3 a d x",
        ),
        ("HPERSIST h FIELDS 1 a", "*1 :-1", ""),
        ("HEXPIREAT h 1 FIELDS 3 c d x", "*3 :2 :2 :-2", "HDEL h c d"),
        ("HEXPIRE none 1 FIELDS 1 a", "*1 :-2", ""),
        ("HTTL none FIELDS 2 a b", "*2 :-2 :-2", ""),
        ("HEXPIRE h 0 FIELDS 2 a b", "*2 :2 :2", "HDEL h a b"),
        ("EXISTS h", ":0", ""),
    ]);
}

#[test]
fn malformed_calls_are_answered_as_by_redis() {
    let no_fields = "-ERR Mandatory argument FIELDS is missing or not at the right position";
    let no_match = "-ERR The `numfields` parameter must match the number of arguments";
    let not_positive = "-ERR Number of fields must be a positive integer";
    let mut bench = bench();
    for (line, reply) in [
        ("HEXPIRE s x FIELDS 1 a", WRONG_TYPE),
        ("HTTL s FIELDS 1 a", WRONG_TYPE),
        ("HSETEX s FIELDS 1 a 1", WRONG_TYPE),
        ("HEXPIRE h -1 FIELDS 1 a", INVALID),
        (
            "HPEXPIREAT h 70368744177664 FIELDS 1 a",
            "-ERR invalid expire time in 'hpexpireat' command",
        ),
        (
            "HEXPIRE h 1 FIELDS 0 a",
            "-ERR Parameter `numFields` should be greater than 0",
        ),
        ("HEXPIRE h 1 FIELDS 2 a", no_match),
        ("HEXPIRE h 1 NX XX FIELDS 1 a", no_fields),
        ("HPERSIST h FIELDS x a", not_positive),
        ("HTTL h FIELD 1 a", no_fields),
        ("HGETEX h EX 10 PERSIST FIELDS 1 a", no_fields),
        ("HGETEX h EX -1 FIELDS 1 a", INVALID),
        ("HGETDEL h FIELDS 1 a b", no_match),
        (
            "HSETEX h FNX FXX FIELDS 1 a 1",
            "-ERR Only one of FXX or FNX arguments can be specified",
        ),
        (
            "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1",
            "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        ),
        ("HSETEX h NX FIELDS 1 a 1", "-ERR unknown argument: NX"),
        (
            "HSETEX s FNX FNX FIELDS 1 a 1",
            "-ERR Only one of FXX or FNX arguments can be specified",
        ),
        ("HSETEX h FIELDS 0 a 1", "-ERR invalid number of fields"),
        (
            "HSETEX h FIELDS 1 a 1 b",
            "-ERR wrong number of arguments for 'hsetex' command",
        ),
    ] {
        assert_eq!(bench.line(line), (reply.into(), String::new()), "{line}");
    }
}

#[test]
fn fields_are_read_and_set_with_an_expiry() {
    let until = START_MS + 100_000;
    let mut bench = bench();
    bench.expect(&[
        (
            "HGETEX h EX 100 FIELDS 2 a x",
            "*2 $1 1 $-1",
            &format!("HPEXPIREAT h {until} FIELDS 2 a x"),
        ),
        ("HGETEX h FIELDS 2 a x", "*2 $1 1 $-1", ""),
        (
            "HGETEX h PERSIST FIELDS 2 a b",
            "*2 $1 1 $1 2",
            "HPERSIST h FIELDS 2 a b",
        ),
        ("HGETEX h PERSIST FIELDS 1 a", "*1 $1 1", ""),
        ("HGETEX h PXAT 1 FIELDS 1 a", "*1 $1 1", "HDEL h a"),
        ("HGETEX none EX 1 FIELDS 1 a", "*1 $-1", ""),
        (
            "HSETEX h EX 100 FIELDS 2 a 1 z 2",
            ":1",
            &format!("HSETEX h PXAT {until} FIELDS 2 a 1 z 2"),
        ),
        ("HSETEX h FNX FIELDS 2 new 1 z 2", ":0", ""),
        ("HSETEX h FXX FIELDS 2 new 1 z 2", ":0", ""),
        (
            "HSETEX h FXX KEEPTTL FIELDS 1 a 9",
            ":1",
            "HSETEX h FXX KEEPTTL FIELDS 1 a 9",
        ),
        ("HTTL h FIELDS 2 a z", "*2 :100 :100", ""),
        ("HINCRBY h a 1", ":10", "HINCRBY h a 1"),
        (
            "HINCRBYFLOAT h a 1.5",
            "$4 11.5",
            "HSETEX h KEEPTTL FIELDS 1 a 11.5",
        ),
        ("HTTL h FIELDS 1 a", "*1 :100", ""),
        ("HSET h a 1", ":0", "HSET h a 1"),
        ("HTTL h FIELDS 1 a", "*1 :-1", ""),
        ("HSETEX h PXAT 1 FIELDS 2 z 1 y 1", ":1", "HDEL h z y"),
        ("HMGET h a b c d y z", "*6 $1 1 $1 2 $1 3 $1 4 $-1 $-1", ""),
        (
            "HGETDEL h FIELDS 3 a x a",
            "*3 $1 1 $-1 $-1",
            "HDEL h a x a",
        ),
        (
            "HGETDEL h FIELDS 3 b c d",
            "*3 $1 2 $1 3 $1 4",
            "HDEL h b c d",
        ),
        ("EXISTS h", ":0", ""),
    ]);
}

#[test]
fn due_fields_go_when_somebody_looks() {
    let mut bench = bench();
    bench.line("HPEXPIRE h 10 FIELDS 1 a");
    bench.clock.advance_ms(11);
    bench.expect(&[
        ("HGET h a", "$-1", "HDEL h a"),
        ("HLEN h", ":3", ""),
        ("OBJECT ENCODING h", "$10 listpackex", ""),
    ]);
    bench.line("HPEXPIRE h 10 FIELDS 1 c");
    bench.line("HSETEX one PX 10 FIELDS 1 x 1");
    bench.line("COPY h copy");
    bench.line("RENAME copy other");
    bench.clock.advance_ms(11);
    bench.expect(&[
        ("HSETNX h c 5", ":1", "HDEL h c; HSETNX h c 5"),
        ("EXISTS other", ":1", "HDEL other c"),
        ("EXISTS one", ":0", "HDEL one x"),
    ]);
}

/// A cycle of active expiry over all shards.
fn cycle(bench: &mut Bench) {
    let settings = bench.node.settings.load_full();
    let (mut reply, mut effects) = (Reply::default(), Effects::default());
    let (node, session) = (&bench.node, &mut bench.session);
    let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
    ctx.set_keys(node.keyspace.enter(node.keyspace.all()));
    let budget = ExpireBudget::new(10, 1);
    for shard in 0..node.keyspace.shards() {
        while active_expire::step(&mut ctx, shard, &budget).more {}
    }
}

#[test]
fn due_fields_go_when_nobody_looks() {
    let mut bench = bench();
    let many: String = (0..1000).map(|n| format!(" f{n} v")).collect();
    bench.line(&format!("HSETEX many PX 10 FIELDS 1000{many}"));
    bench.line("HPEXPIRE h 10 FIELDS 2 a b");
    bench.line("HSET stays x 1 y 2");
    bench.line("HPEXPIRE stays 100000 FIELDS 1 x");
    bench.line("HSET gone x 1");
    bench.line("HPEXPIRE gone 10 FIELDS 1 x");
    bench.line("DEL gone");
    let keyspace = |bench: &mut Bench| bench.reply("INFO keyspace");
    assert!(keyspace(&mut bench).contains("keys=4,expires=0,avg_ttl=0,subexpiry="));
    bench.clock.advance_ms(5);
    cycle(&mut bench);
    assert_eq!(bench.reply("HLEN many"), ":1000");
    bench.clock.advance_ms(6);
    cycle(&mut bench);
    // Nothing is left for whoever looks.
    bench.expect(&[
        ("EXISTS many", ":0", ""),
        ("HLEN h", ":2", ""),
        ("HLEN stays", ":2", ""),
    ]);
    assert!(keyspace(&mut bench).contains("keys=3,expires=0,avg_ttl=0,subexpiry=1"));
}
