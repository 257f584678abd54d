use crate::command::context::bench::{Bench, NOT_FLOAT, SYNTAX, WRONG_TYPE};

/// Palermo and Catania, as everywhere.
fn sicily() -> Bench {
    let mut bench = Bench::new();
    let line = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";
    let effect = "zadd g 3479099956230698 Palermo 3479447370796909 Catania";
    bench.expect(&[(line, ":2", effect)]);
    bench.expect(&[("LPUSH l 1", ":1", "LPUSH l 1")]);
    bench
}

#[test]
fn places_are_added_as_scores() {
    sicily().expect(&[
        ("GEOADD g NX 1 2 Palermo", ":0", ""),
        (
            "GEOADD g XX CH 13.5 38 Palermo 1 1 Nowhere",
            ":1",
            "zadd g XX CH 3479097324432493 Palermo 3377822707026402 Nowhere",
        ),
        ("ZCARD g", ":2", ""),
        ("GEOADD g XX NX 1 2 m", SYNTAX, ""),
        ("GEOADD g 1 2 m 3", SYNTAX, ""),
        ("GEOADD g CH CH CH", SYNTAX, ""),
        ("GEOADD g x 2 m", NOT_FLOAT, ""),
        (
            "GEOADD g 1 2 m 181 2 n",
            "-ERR invalid longitude,latitude pair 181.000000,2.000000",
            "",
        ),
        ("ZSCORE g m", "$-1", ""),
        ("GEOADD l 1 2 m", WRONG_TYPE, ""),
    ]);
}

#[test]
fn members_say_where_they_are() {
    let mut bench = sicily();
    bench.expect(&[
        ("GEODIST g Palermo Catania", "$11 166274.1516", ""),
        ("GEODIST g Palermo Catania KM", "$8 166.2742", ""),
        ("GEODIST g Palermo Palermo", "$6 0.0000", ""),
        ("GEODIST g Palermo x", "$-1", ""),
        ("GEODIST none a b", "$-1", ""),
        (
            "GEODIST l a b parsec",
            "-ERR unsupported unit provided. please use M, KM, FT, MI",
            "",
        ),
        ("GEODIST g a b m m", SYNTAX, ""),
        ("GEODIST l a b", WRONG_TYPE, ""),
        ("GEOHASH g Palermo x", "*2 $11 sqc8b49rny0 $-1", ""),
        ("GEOHASH none x", "*1 $-1", ""),
        (
            "GEOPOS g x Catania",
            "*2 *-1 *2 $20 15.08726745843887329 $20 37.50266842333162032",
            "",
        ),
    ]);
    bench.resp3();
    bench.expect(&[(
        "GEOPOS g x Catania",
        "*2 _ *2 ,15.08726745843887329 ,37.50266842333162032",
        "",
    )]);
}

#[test]
fn areas_are_searched() {
    let mut bench = sicily();
    let only_one = "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH";
    let only_by = "-ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch";
    for (line, reply) in [
        (
            "GEORADIUS g 15 37 200 km WITHDIST WITHHASH ASC",
            "*2 *3 $7 Catania $7 56.4413 :3479447370796909 *3 $7 Palermo $8 190.4424 :3479099956230698",
        ),
        ("GEORADIUS_RO g 15 37 100 km", "*1 $7 Catania"),
        ("GEORADIUS g 15 37 200 km COUNT 1 DESC", "*1 $7 Palermo"),
        ("GEORADIUSBYMEMBER g Palermo 100 mi", "*1 $7 Palermo"),
        (
            "GEORADIUSBYMEMBER g Palermo 167 km DESC WITHDIST",
            "*2 *2 $7 Catania $8 166.2742 *2 $7 Palermo $6 0.0000",
        ),
        (
            "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD COUNT 1",
            "*1 *2 $7 Catania *2 $20 15.08726745843887329 $20 37.50266842333162032",
        ),
        (
            "GEOSEARCH g FROMMEMBER Catania BYRADIUS 1 ft ANY COUNT 5",
            "*1 $7 Catania",
        ),
        ("GEOSEARCH none FROMMEMBER x BYRADIUS 1 m", "*0"),
        (
            "GEOSEARCH g FROMMEMBER x BYRADIUS 1 m",
            "-ERR could not decode requested zset member",
        ),
        ("GEORADIUS g 15 37 200 km STORE", SYNTAX),
        ("GEORADIUS_RO g 15 37 200 km STORE d", SYNTAX),
        ("GEORADIUS g 15 37 x km", "-ERR need numeric radius"),
        (
            "GEORADIUS none 15 37 -1 km",
            "-ERR radius cannot be negative",
        ),
        ("GEORADIUSBYMEMBER none x x x", "*0"),
        (
            "GEORADIUS g 15 37 200 km ANY",
            "-ERR the ANY argument requires COUNT argument",
        ),
        ("GEORADIUS g 15 37 200 km COUNT 0", "-ERR COUNT must be > 0"),
        ("GEOSEARCH g BYRADIUS 1 m ASC DESC", only_one),
        ("geosearch g FROMLONLAT 1 1 ASC DESC ASC", only_by),
        (
            "GEOSEARCH g FROMLONLAT 1 1 FROMMEMBER Palermo BYRADIUS 1 m",
            SYNTAX,
        ),
        (
            "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m BYBOX 1 1 m",
            SYNTAX,
        ),
        (
            "GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 -1 m",
            "-ERR height or width cannot be negative",
        ),
        ("GEOSEARCH l FROMLONLAT 1 1 BYBOX 1 1 m", WRONG_TYPE),
    ] {
        assert_eq!(bench.reply(line), reply, "{line}");
    }
}

#[test]
fn results_are_stored() {
    let mut bench = sicily();
    for (line, reply) in [
        ("GEORADIUS g 15 37 200 km STORE d", ":2"),
        (
            "GEOSEARCHSTORE e g FROMLONLAT 15 37 BYRADIUS 100 km STOREDIST",
            ":1",
        ),
        ("GEORADIUS g 15 37 200 km STORE x STOREDIST g", ":2"),
        ("GEOSEARCHSTORE e none FROMMEMBER x BYRADIUS 1 m", ":0"),
    ] {
        bench.expect(&[(line, reply, line)]);
    }
    for (line, reply) in [
        ("ZSCORE d Palermo", "$16 3479099956230698"),
        ("EXISTS e x", ":0"),
        (
            "ZRANGE g 0 0 WITHSCORES",
            "*2 $7 Catania $16 56.4412578701582",
        ),
        (
            "GEOSEARCHSTORE e d FROMLONLAT 15 37 BYRADIUS 100 km WITHDIST",
            "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "GEORADIUSBYMEMBER d Palermo 1 m STORE e WITHCOORD",
            "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
    ] {
        assert_eq!(bench.reply(line), reply, "{line}");
    }
}
