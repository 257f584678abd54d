//! The random command stream: all commands in scope over a small pool of keys, valid and not.
//!
//! Keys are drawn from pools by type, so that most commands find what they want and some find another
//! type or nothing. What would make a comparison meaningless is kept out by construction: relative
//! expiries are long and replies about them are compared with tolerance, past absolute ones are looked at
//! at once, and lexicographic ranges are asked of keys whose scores are all equal.

use fastrand::Rng;

/// Builds a command from parts that are texts or bytes.
macro_rules! cmd {
    ($($part:expr),* $(,)?) => { vec![$(Vec::<u8>::from($part)),*] };
}

mod bits;
mod streams;

pub type Command = Vec<Vec<u8>>;

/// Unix ms; expiries from here on never come due.
const FAR_MS: u64 = 4_102_444_800_000;
const KEYS_PER_POOL: usize = 12;
/// Databases the stream uses; both servers have 16.
const DATABASES: usize = 3;

/// What a pool of keys mostly holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    String,
    Number,
    List,
    Set,
    IntSet,
    Hash,
    Zset,
    /// Sorted sets whose scores are all 0.
    Lex,
    /// Strings as rows of bits.
    Bits,
    /// HyperLogLogs.
    Sketch,
    /// Sorted sets of places.
    Geo,
    Stream,
}

const POOLS: &[Pool] = &[
    Pool::String,
    Pool::Number,
    Pool::List,
    Pool::Set,
    Pool::IntSet,
    Pool::Hash,
    Pool::Zset,
    Pool::Bits,
    Pool::Sketch,
    Pool::Geo,
    Pool::Stream,
];

impl Pool {
    pub fn name(self) -> &'static str {
        match self {
            Pool::String => "str",
            Pool::Number => "num",
            Pool::List => "list",
            Pool::Set => "set",
            Pool::IntSet => "ints",
            Pool::Hash => "hash",
            Pool::Zset => "zset",
            Pool::Lex => "lex",
            Pool::Bits => "bits",
            Pool::Sketch => "hll",
            Pool::Geo => "geo",
            Pool::Stream => "stream",
        }
    }
}

/// Calls what its arguments hold: a count and so many words, again and again.
const SCRIPT: &str = "local out, at = {}, 1 \
    while ARGV[at] do \
        local last = at + tonumber(ARGV[at]) \
        local reply = redis.pcall(unpack(ARGV, at + 1, last)) \
        out[#out + 1] = type(reply) \
        if type(reply) == 'table' then \
            out[#out + 1] = reply.err or reply.ok or cjson.encode(reply) \
        else \
            out[#out + 1] = tostring(reply) \
        end \
        at = last + 1 \
    end \
    return out";

/// Commands whose replies are the same on every server, to the byte.
const EXACT_IN_SCRIPTS: &[&[u8]] = &[
    b"SET",
    b"GET",
    b"GETDEL",
    b"GETSET",
    b"SETNX",
    b"MSET",
    b"MGET",
    b"INCR",
    b"DECR",
    b"INCRBY",
    b"DECRBY",
    b"APPEND",
    b"STRLEN",
    b"GETRANGE",
    b"LPUSH",
    b"RPUSH",
    b"LPUSHX",
    b"RPUSHX",
    b"LPOP",
    b"RPOP",
    b"LLEN",
    b"LRANGE",
    b"LINDEX",
    b"LREM",
    b"LTRIM",
    b"LINSERT",
    b"LMOVE",
    b"RPOPLPUSH",
    b"SADD",
    b"SREM",
    b"SCARD",
    b"SISMEMBER",
    b"SMISMEMBER",
    b"SMOVE",
    b"HSET",
    b"HMSET",
    b"HSETNX",
    b"HGET",
    b"HMGET",
    b"HDEL",
    b"HLEN",
    b"HEXISTS",
    b"HSTRLEN",
    b"HINCRBY",
    b"ZADD",
    b"ZREM",
    b"ZCARD",
    b"ZCOUNT",
    b"DEL",
    b"UNLINK",
    b"EXISTS",
    b"TYPE",
    b"RENAME",
    b"RENAMENX",
    b"PERSIST",
    b"COPY",
    b"TOUCH",
    b"SETBIT",
    b"GETBIT",
    b"BITCOUNT",
    b"BITPOS",
    b"BITOP",
    b"BITFIELD",
    b"PFADD",
    b"PFCOUNT",
    b"PFMERGE",
    b"GEOADD",
    b"GEODIST",
    b"GEOHASH",
    b"XADD",
    b"XLEN",
    b"XRANGE",
    b"XDEL",
    b"XTRIM",
    b"XACK",
];

pub struct Generator {
    pub rng: Rng,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator {
            rng: Rng::with_seed(seed),
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.rng.usize(..words.len())]
    }

    // ---- parts ----

    /// A key of this pool, without strays.
    pub fn own_key(&mut self, pool: Pool) -> Vec<u8> {
        let number = self.rng.usize(..KEYS_PER_POOL);
        let mut key = format!("{}:{number}", pool.name()).into_bytes();
        if number == 7 {
            key.extend_from_slice(b"\r\n\x00\xff");
        }
        key
    }

    /// A key of this pool mostly, sometimes of another, sometimes one that never exists.
    fn key(&mut self, pool: Pool) -> Vec<u8> {
        match self.rng.u8(..40) {
            0 => b"missing".to_vec(),
            1 | 2 => {
                let other = self.any_pool();
                self.own_key(other)
            }
            _ => self.own_key(pool),
        }
    }

    fn any_pool(&mut self) -> Pool {
        POOLS[self.rng.usize(..POOLS.len())]
    }

    fn any_key(&mut self) -> Vec<u8> {
        let pool = self.any_pool();
        self.own_key(pool)
    }

    /// Any key to look at; also those of equal scores.
    fn any_key_to_read(&mut self) -> Vec<u8> {
        match self.rng.u8(..8) {
            0 => self.own_key(Pool::Lex),
            _ => self.any_key(),
        }
    }

    fn keys(&mut self, pool: Pool, most: usize) -> Vec<Vec<u8>> {
        (0..self.rng.usize(1..=most))
            .map(|_| self.key(pool))
            .collect()
    }

    fn bytes(&mut self, length: std::ops::Range<usize>) -> Vec<u8> {
        let length = self.rng.usize(length);
        (0..length).map(|_| self.rng.u8(..)).collect()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.u8(..16) {
            0 => Vec::new(),
            1 => self.rng.i64(..).to_string().into_bytes(),
            2..6 => self.rng.i32(-50..20_000).to_string().into_bytes(),
            6 => self.float(),
            7 => self.bytes(40..50),
            8 => self.bytes(60..70),
            9 => self.bytes(1..300),
            _ => format!("v{}", self.rng.u32(..1000)).into_bytes(),
        }
    }

    fn element(&mut self) -> Vec<u8> {
        match self.rng.u8(..20) {
            0 => self.value(),
            1 => self.bytes(62..68),
            2..8 => self.rng.i32(-30..60).to_string().into_bytes(),
            _ => format!("e{}", self.rng.u32(..40)).into_bytes(),
        }
    }

    fn elements(&mut self, most: usize) -> Vec<Vec<u8>> {
        (0..self.rng.usize(1..=most))
            .map(|_| self.element())
            .collect()
    }

    fn int_element(&mut self) -> Vec<u8> {
        let n = match self.rng.u8(..20) {
            0 => self.rng.i64(..),
            1 => i64::from(self.rng.i32(..)),
            2 | 3 => self.rng.i64(-40_000..40_000),
            _ => self.rng.i64(-20..200),
        };
        n.to_string().into_bytes()
    }

    /// Floats that add without rounding, mostly.
    fn float(&mut self) -> Vec<u8> {
        match self.rng.u8(..12) {
            0 => "1e3".into(),
            1 => "-.5".into(),
            2 => format!("{:.4}", self.rng.f64() * 100.0).into_bytes(),
            3 => "3.0".into(),
            4 => "123456789.125".into(),
            _ => format!("{}", f64::from(self.rng.i32(-2000..2000)) / 4.0).into_bytes(),
        }
    }

    /// No negative zero, nor a weight that makes one: 7.0 and 7.2 differ in when they keep its sign.
    fn score(&mut self) -> Vec<u8> {
        match self.rng.u8(..24) {
            0 => "inf".into(),
            1 => "-inf".into(),
            2 => "+Inf".into(),
            3 => "1e10".into(),
            4 => "0x1p3".into(),
            _ => format!("{}", f64::from(self.rng.i32(-40..80)) / 2.0).into_bytes(),
        }
    }

    fn score_bound(&mut self) -> Vec<u8> {
        let score = self.score();
        match self.rng.u8(..6) {
            0 => [b"(".as_slice(), &score].concat(),
            1 => self.pick(&["-inf", "+inf"]).into(),
            _ => score,
        }
    }

    fn lex_bound(&mut self) -> Vec<u8> {
        match self.rng.u8(..8) {
            0 => "-".into(),
            1 => "+".into(),
            2 => self.pick(&["e", "(", "[", "", "[e1\x00"]).into(),
            n => [
                if n % 2 == 0 { b"[" } else { b"(" }.as_slice(),
                &self.element(),
            ]
            .concat(),
        }
    }

    fn index(&mut self) -> Vec<u8> {
        match self.rng.u8(..20) {
            0 => "-1".into(),
            1 => "0".into(),
            2 => "1000000".into(),
            3 => "-1000000".into(),
            _ => self.rng.i32(-20..40).to_string().into_bytes(),
        }
    }

    fn count(&mut self) -> Vec<u8> {
        match self.rng.u8(..12) {
            0 => "0".into(),
            1 => "-1".into(),
            2 => "1000".into(),
            _ => self.rng.u32(1..12).to_string().into_bytes(),
        }
    }

    /// Something wrong. No negative counts of large magnitude: some commands repeat elements that often. No
    /// floats out of range: redis-server's SORT may then fail later, since it looks at a stale errno.
    fn junk(&mut self) -> Vec<u8> {
        self.pick(&[
            "",
            "abc",
            "-1",
            "0",
            "1",
            "3.14",
            "nan",
            " 1",
            "1 ",
            "+1",
            "01",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "inf",
            "(1",
            "[a",
            "*",
            "NX",
            "WITHSCORES",
            "LIMIT",
            "COUNT",
            "GET",
            "#",
            "e1",
            "str:1",
            "set:1",
        ])
        .into()
    }

    fn pattern(&mut self) -> Vec<u8> {
        self.pick(&[
            "*", "e*", "*1", "e?", "[a-e]1*", "e[^1]*", "\\e1", "", "e1", "*[1-3]", "**", "e[1",
            "[!e]*", "[3-1]*", "e\\",
        ])
        .into()
    }

    fn far_ms(&mut self) -> u64 {
        FAR_MS + self.rng.u64(..1_000_000)
    }

    // ---- the stream ----

    /// One or two commands that belong together.
    pub fn step(&mut self, out: &mut Vec<Command>) {
        if self.one_in(150) {
            // Logically expired at once: looked at before anything else can see it.
            let key = self.any_key();
            let at = self.pick(&["1", "1000", "1600000000000"]);
            out.push(cmd!["SET", key.clone(), "gone", "PXAT", at]);
            out.push(cmd!["EXISTS", key]);
            return;
        }
        if self.one_in(15) {
            out.push(self.script());
            return;
        }
        let mut command = self.command();
        if self.one_in(12) {
            self.spoil(&mut command);
        }
        if self.one_in(10) {
            command[0] = String::from_utf8_lossy(&command[0])
                .to_ascii_lowercase()
                .into();
        }
        out.push(command);
    }

    /// Drops, adds or replaces an argument.
    fn spoil(&mut self, command: &mut Command) {
        let at = self.rng.usize(1..command.len() + 1);
        let junk = self.junk();
        match self.rng.u8(..4) {
            0 if at < command.len() => {
                command.remove(at);
            }
            1 => command.insert(at, junk),
            _ if at < command.len() => command[at] = junk,
            _ => command.push(junk),
        }
        if forbidden(command) {
            *command = cmd!["PING"];
        }
    }

    /// A script that runs a few commands, spoiled ones among them, and tells what each gave.
    fn script(&mut self) -> Command {
        let mut args = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let mut command = self.command();
            if self.one_in(8) {
                self.spoil(&mut command);
            }
            let name = command[0].to_ascii_uppercase();
            // 7.2 spells the score of ZADD INCR shorter.
            let scores = |arg: &Vec<u8>| name == b"ZADD" && arg.eq_ignore_ascii_case(b"incr");
            if !EXACT_IN_SCRIPTS.contains(&&name[..]) || command.iter().any(scores) {
                continue;
            }
            args.push(command.len().to_string().into_bytes());
            args.extend(command);
        }
        let mut script = cmd!["EVAL", SCRIPT];
        let keys = self.rng.usize(..2);
        script.push(keys.to_string().into_bytes());
        for _ in 0..keys {
            script.push(self.any_key());
        }
        script.extend(args);
        script
    }

    fn command(&mut self) -> Command {
        match self.rng.u32(..1340) {
            0..190 => self.string(),
            190..340 => self.list(),
            340..490 => self.set(),
            490..630 => self.hash(),
            630..820 => self.zset(),
            820..900 => self.expiry(),
            900..980 => self.generic(),
            1000..1080 => self.bitmap(),
            1080..1130 => self.sketch(),
            1130..1200 => self.geo(),
            1200..1340 => self.stream(),
            _ => self.connection(),
        }
    }

    /// Fills a collection at once, so that the thresholds of the compact encodings are passed.
    pub fn bulk(&mut self) -> Command {
        let pool = [
            Pool::List,
            Pool::Set,
            Pool::IntSet,
            Pool::Hash,
            Pool::Zset,
            Pool::Lex,
        ][self.rng.usize(..6)];
        let size = [60, 127, 128, 129, 150, 512, 513, 600][self.rng.usize(..8)];
        let key = self.own_key(pool);
        let mut command = match pool {
            Pool::List => cmd!["RPUSH", key],
            Pool::Set | Pool::IntSet => cmd!["SADD", key],
            Pool::Hash => cmd!["HSET", key],
            _ => cmd!["ZADD", key],
        };
        for i in 0..size {
            let member = match pool {
                Pool::IntSet => i.to_string(),
                _ => format!("e{i}"),
            };
            match pool {
                Pool::Hash => command.extend([member.into(), self.value()]),
                Pool::Zset => command.extend([self.score(), member.into()]),
                Pool::Lex => command.extend(cmd!["0", member]),
                _ => command.push(member.into()),
            }
        }
        command
    }

    fn string(&mut self) -> Command {
        let key = self.key(Pool::String);
        let number = self.key(Pool::Number);
        match self.rng.u8(..34) {
            0..4 => cmd!["SET", key, self.value()],
            4 => cmd!["SET", number, self.rng.i32(-100..100).to_string()],
            5..8 => self.set_with_options(),
            8..11 => cmd!["GET", key],
            11 => cmd!["GETSET", key, self.value()],
            12 => cmd!["GETDEL", key],
            13 | 14 => self.getex(),
            15 => {
                let seconds = self.rng.u32(100_000..10_000_000).to_string();
                match self.one_in(2) {
                    true => cmd!["SETEX", key, seconds, self.value()],
                    false => cmd!["PSETEX", key, format!("{seconds}000"), self.value()],
                }
            }
            16 => cmd!["SETNX", key, self.value()],
            17 => {
                let name = self.pick(&["MSET", "MSET", "MSETNX"]);
                let mut command = cmd![name];
                for _ in 0..self.rng.usize(1..5) {
                    command.extend([self.own_key(Pool::String), self.value()]);
                }
                command
            }
            18 => {
                let mut command = cmd!["MGET"];
                command.extend(self.keys(Pool::String, 5));
                command
            }
            19 | 20 => cmd!["APPEND", key, self.value()],
            21 => cmd!["STRLEN", key],
            22 => cmd![
                "SETRANGE",
                key,
                self.rng.u32(..200).to_string(),
                self.value()
            ],
            23 => {
                let name = self.pick(&["GETRANGE", "GETRANGE", "SUBSTR"]);
                cmd![name, key, self.index(), self.index()]
            }
            24 | 25 => cmd![self.pick(&["INCR", "DECR"]), number],
            26 | 27 => cmd![
                self.pick(&["INCRBY", "DECRBY"]),
                number,
                self.rng.i64(-1000..1000).to_string()
            ],
            28 => cmd!["INCRBY", number, self.rng.i64(..).to_string()],
            29 | 30 => cmd!["INCRBYFLOAT", number, self.float()],
            31 => self.lcs(),
            _ => cmd!["STRLEN", number],
        }
    }

    fn set_with_options(&mut self) -> Command {
        let mut command = cmd!["SET", self.key(Pool::String), self.value()];
        for _ in 0..self.rng.usize(1..4) {
            match self.rng.u8(..8) {
                0 => command.extend(cmd!["NX"]),
                1 => command.extend(cmd!["XX"]),
                2 | 3 => command.extend(cmd!["GET"]),
                4 => command.extend(cmd!["KEEPTTL"]),
                _ => command.extend(self.expire_option()),
            }
        }
        command
    }

    fn expire_option(&mut self) -> Command {
        let seconds = self.rng.u32(100_000..10_000_000);
        match self.rng.u8(..4) {
            0 => cmd!["EX", seconds.to_string()],
            1 => cmd!["PX", format!("{seconds}123")],
            2 => cmd!["EXAT", (self.far_ms() / 1000).to_string()],
            _ => cmd!["PXAT", self.far_ms().to_string()],
        }
    }

    fn getex(&mut self) -> Command {
        let mut command = cmd!["GETEX", self.key(Pool::String)];
        match self.rng.u8(..6) {
            0 => {}
            1 => command.extend(cmd!["PERSIST"]),
            2 => command.extend(cmd!["EXAT", "1"]),
            _ => command.extend(self.expire_option()),
        }
        command
    }

    fn lcs(&mut self) -> Command {
        let mut command = cmd!["LCS", self.key(Pool::String), self.key(Pool::String)];
        for _ in 0..self.rng.usize(..3) {
            match self.rng.u8(..4) {
                0 => command.extend(cmd!["LEN"]),
                1 => command.extend(cmd!["IDX"]),
                2 => command.extend(cmd!["WITHMATCHLEN"]),
                _ => command.extend(cmd!["MINMATCHLEN", self.rng.i32(-1..4).to_string()]),
            }
        }
        command
    }

    fn list(&mut self) -> Command {
        let key = self.key(Pool::List);
        let end = self.pick(&["LEFT", "RIGHT"]);
        match self.rng.u8(..32) {
            0..5 => {
                let name = self.pick(&["LPUSH", "RPUSH"]);
                let mut command = cmd![name, key];
                command.extend(self.elements(6));
                command
            }
            5 => cmd![self.pick(&["LPUSHX", "RPUSHX"]), key, self.element()],
            6..9 => cmd![self.pick(&["LPOP", "RPOP"]), key],
            9 => cmd![self.pick(&["LPOP", "RPOP"]), key, self.count()],
            10 => cmd!["LLEN", key],
            11..14 => cmd!["LRANGE", key, self.index(), self.index()],
            14 => cmd!["LINDEX", key, self.index()],
            15 | 16 => cmd!["LSET", key, self.index(), self.element()],
            17 | 18 => cmd![
                "LINSERT",
                key,
                self.pick(&["BEFORE", "AFTER"]),
                self.element(),
                self.element()
            ],
            19 | 20 => cmd!["LREM", key, self.rng.i32(-3..4).to_string(), self.element()],
            21 => cmd!["LTRIM", key, self.index(), self.index()],
            22 | 23 => {
                let mut command = cmd!["LPOS", key, self.element()];
                for _ in 0..self.rng.usize(..3) {
                    let option = self.pick(&["RANK", "COUNT", "MAXLEN"]);
                    command.extend(cmd![option, self.rng.i32(-3..6).to_string()]);
                }
                command
            }
            24 => cmd!["RPOPLPUSH", key, self.key(Pool::List)],
            25 | 26 => cmd![
                "LMOVE",
                key,
                self.key(Pool::List),
                end,
                self.pick(&["LEFT", "RIGHT"])
            ],
            27 => {
                let mut command = self.numbered("LMPOP", Pool::List);
                command.extend(cmd![end]);
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.count()]);
                }
                command
            }
            28 => cmd!["BLMOVE", key, self.key(Pool::List), end, "LEFT", "0.001"],
            29 => {
                let name = self.pick(&["BLPOP", "BRPOP"]);
                let mut command = cmd![name];
                command.extend(self.keys(Pool::List, 3));
                command.extend(cmd!["0.001"]);
                command
            }
            30 => self.bulk_or("LLEN", key),
            _ => self.sort(),
        }
    }

    /// Once in a while a large collection, else a harmless look.
    fn bulk_or(&mut self, name: &str, key: Vec<u8>) -> Command {
        match self.one_in(6) {
            true => self.bulk(),
            false => cmd![name, key],
        }
    }

    /// NAME numkeys key...
    fn numbered(&mut self, name: &str, pool: Pool) -> Command {
        let keys = self.keys(pool, 3);
        let mut command = cmd![name, keys.len().to_string()];
        command.extend(keys);
        command
    }

    fn sort(&mut self) -> Command {
        let name = self.pick(&["SORT", "SORT", "SORT_RO"]);
        let pool = [Pool::List, Pool::IntSet, Pool::Set, Pool::Zset][self.rng.usize(..4)];
        let mut command = cmd![name, self.key(pool)];
        let mut by_keys = false;
        let mut alpha = self.one_in(2);
        if self.one_in(3) {
            let pattern = self.pick(&["nosort", "num:*", "hash:*->e1", "num:1*"]);
            by_keys = pattern.contains('*');
            command.extend(cmd!["BY", pattern]);
        }
        if self.one_in(3) {
            command.extend(cmd![
                "LIMIT",
                self.rng.i32(-1..5).to_string(),
                self.rng.i32(-1..9).to_string()
            ]);
        }
        for _ in 0..self.rng.usize(..4).saturating_sub(1) {
            let pattern = self.pick(&["#", "num:*", "hash:*->e1", "nothing", "str:*"]);
            command.extend(cmd!["GET", pattern]);
        }
        match self.rng.u8(..3) {
            0 => command.extend(cmd!["DESC"]),
            1 => command.extend(cmd!["ASC"]),
            _ => {}
        }
        if name == "SORT" && self.one_in(3) {
            // Ties of texts keep the order of the source, which for a set is the hash table's own.
            alpha &= !by_keys;
            command.extend(cmd!["STORE", self.own_key(Pool::List)]);
        }
        if alpha {
            command.extend(cmd!["ALPHA"]);
        }
        command
    }

    fn set(&mut self) -> Command {
        let pool = match self.one_in(3) {
            true => Pool::IntSet,
            false => Pool::Set,
        };
        let key = self.key(pool);
        let member = match pool {
            Pool::IntSet => self.int_element(),
            _ => self.element(),
        };
        match self.rng.u8(..26) {
            0..5 => {
                let mut command = cmd!["SADD", key, member];
                for _ in 0..self.rng.usize(..5) {
                    let another = match pool {
                        Pool::IntSet => self.int_element(),
                        _ => self.element(),
                    };
                    command.push(another);
                }
                command
            }
            5..8 => {
                let mut command = cmd!["SREM", key, member];
                command.extend(self.elements(3));
                command
            }
            8 => cmd!["SCARD", key],
            9 => cmd!["SISMEMBER", key, member],
            10 => {
                let mut command = cmd!["SMISMEMBER", key];
                command.extend(self.elements(4));
                command
            }
            11 | 12 => cmd!["SMEMBERS", key],
            13 | 14 => cmd!["SMOVE", key, self.key(pool), member],
            15..18 => {
                let name = self.pick(&["SINTER", "SUNION", "SDIFF"]);
                let mut command = cmd![name];
                command.extend(self.keys(pool, 3));
                command
            }
            18..21 => {
                let name = self.pick(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
                let mut command = cmd![name, self.own_key(pool)];
                command.extend(self.keys(pool, 3));
                command
            }
            21 => {
                let mut command = self.numbered("SINTERCARD", pool);
                if self.one_in(2) {
                    command.extend(cmd!["LIMIT", self.rng.u32(..6).to_string()]);
                }
                command
            }
            22 => cmd!["SRANDMEMBER", key],
            23 => cmd!["SRANDMEMBER", key, self.rng.i32(-8..20).to_string()],
            24 => self.bulk_or("SCARD", key),
            _ => self.sort(),
        }
    }

    fn hash(&mut self) -> Command {
        let key = self.key(Pool::Hash);
        match self.rng.u8(..26) {
            0..5 => {
                let name = self.pick(&["HSET", "HSET", "HMSET"]);
                let mut command = cmd![name, key];
                for _ in 0..self.rng.usize(1..5) {
                    command.extend([self.element(), self.value()]);
                }
                command
            }
            5 => cmd!["HSETNX", key, self.element(), self.value()],
            6..8 => cmd!["HGET", key, self.element()],
            8 => {
                let mut command = cmd!["HMGET", key];
                command.extend(self.elements(4));
                command
            }
            9..12 => {
                let mut command = cmd!["HDEL", key];
                command.extend(self.elements(4));
                command
            }
            12 => cmd!["HLEN", key],
            13 => cmd!["HSTRLEN", key, self.element()],
            14 => cmd!["HEXISTS", key, self.element()],
            15 | 16 => cmd!["HGETALL", key],
            17 => cmd![self.pick(&["HKEYS", "HVALS"]), key],
            18 | 19 => cmd![
                "HINCRBY",
                key,
                self.element(),
                self.rng.i32(-100..100).to_string()
            ],
            20 | 21 => cmd!["HINCRBYFLOAT", key, self.element(), self.float()],
            22 => {
                let mut command = cmd!["HRANDFIELD", key];
                if self.one_in(2) {
                    command.extend(cmd![self.rng.i32(-8..20).to_string()]);
                    if self.one_in(2) {
                        command.extend(cmd!["WITHVALUES"]);
                    }
                }
                command
            }
            23 => self.bulk_or("HLEN", key),
            _ => cmd!["HGET", key, self.element()],
        }
    }

    fn zset(&mut self) -> Command {
        if self.one_in(6) {
            return self.lex();
        }
        let key = self.key(Pool::Zset);
        match self.rng.u8(..40) {
            0..6 => {
                let mut command = cmd!["ZADD", key];
                for _ in 0..self.rng.usize(..5).saturating_sub(2) {
                    let option = self.pick(&["NX", "XX", "GT", "LT", "CH", "INCR"]);
                    command.extend(cmd![option]);
                }
                for _ in 0..self.rng.usize(1..4) {
                    command.extend([self.score(), self.element()]);
                }
                command
            }
            6 | 7 => cmd!["ZINCRBY", key, self.score(), self.element()],
            8..10 => {
                let mut command = cmd!["ZREM", key];
                command.extend(self.elements(3));
                command
            }
            10 => cmd!["ZCARD", key],
            11 => cmd!["ZSCORE", key, self.element()],
            12 => {
                let mut command = cmd!["ZMSCORE", key];
                command.extend(self.elements(4));
                command
            }
            13 => cmd![self.pick(&["ZRANK", "ZREVRANK"]), key, self.element()],
            14 => cmd!["ZCOUNT", key, self.score_bound(), self.score_bound()],
            15..18 => self.zrange(key),
            18 | 19 => {
                let name = self.pick(&["ZRANGE", "ZREVRANGE"]);
                let mut command = cmd![name, key, self.index(), self.index()];
                if self.one_in(2) {
                    command.extend(cmd!["WITHSCORES"]);
                }
                command
            }
            20 | 21 => {
                let name = self.pick(&["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]);
                let mut command = cmd![name, key, self.score_bound(), self.score_bound()];
                if self.one_in(2) {
                    command.extend(cmd!["WITHSCORES"]);
                }
                if self.one_in(3) {
                    command.extend(cmd!["LIMIT", self.index(), self.index()]);
                }
                command
            }
            22 => cmd![
                "ZREMRANGEBYSCORE",
                key,
                self.score_bound(),
                self.score_bound()
            ],
            23 => cmd!["ZREMRANGEBYRANK", key, self.index(), self.index()],
            24 | 25 => {
                let mut command = cmd![self.pick(&["ZPOPMIN", "ZPOPMAX"]), key];
                if self.one_in(2) {
                    command.extend(cmd![self.count()]);
                }
                command
            }
            26 => {
                let mut command = self.numbered("ZMPOP", Pool::Zset);
                command.extend(cmd![self.pick(&["MIN", "MAX"])]);
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.count()]);
                }
                command
            }
            27 => {
                let mut command = cmd![self.pick(&["BZPOPMIN", "BZPOPMAX"])];
                command.extend(self.keys(Pool::Zset, 3));
                command.extend(cmd!["0.001"]);
                command
            }
            28..31 => self.zset_algebra(),
            31 => {
                let mut command = self.numbered("ZINTERCARD", Pool::Zset);
                if self.one_in(2) {
                    command.extend(cmd!["LIMIT", self.rng.u32(..6).to_string()]);
                }
                command
            }
            32 => {
                let mut command = cmd!["ZRANDMEMBER", key];
                if self.one_in(2) {
                    command.extend(cmd![self.rng.i32(-8..20).to_string()]);
                    if self.one_in(2) {
                        command.extend(cmd!["WITHSCORES"]);
                    }
                }
                command
            }
            33 => self.bulk_or("ZCARD", key),
            34 => {
                let mut command = self.zrange(key);
                command[0] = "ZRANGESTORE".into();
                command.retain(|word| word != b"WITHSCORES");
                command.insert(1, self.own_key(Pool::Zset));
                command
            }
            35 => self.sort(),
            _ => cmd!["ZSCORE", key, self.element()],
        }
    }

    fn zrange(&mut self, key: Vec<u8>) -> Command {
        let by_score = self.one_in(2);
        let mut command = match by_score {
            true => cmd![
                "ZRANGE",
                key,
                self.score_bound(),
                self.score_bound(),
                "BYSCORE"
            ],
            false => cmd!["ZRANGE", key, self.index(), self.index()],
        };
        if self.one_in(3) {
            command.extend(cmd!["REV"]);
        }
        if self.one_in(if by_score { 2 } else { 12 }) {
            command.extend(cmd!["LIMIT", self.index(), self.index()]);
        }
        if self.one_in(2) {
            command.extend(cmd!["WITHSCORES"]);
        }
        command
    }

    fn zset_algebra(&mut self) -> Command {
        let name = self.pick(&[
            "ZUNION",
            "ZINTER",
            "ZDIFF",
            "ZUNIONSTORE",
            "ZINTERSTORE",
            "ZDIFFSTORE",
        ]);
        let pool = match self.rng.u8(..5) {
            0 => Pool::Set,
            _ => Pool::Zset,
        };
        let mut command = self.numbered(name, pool);
        let keys = command.len() - 2;
        if name.ends_with("STORE") {
            command.insert(1, self.own_key(Pool::Zset));
        }
        if self.one_in(3) {
            command.extend(cmd!["WEIGHTS"]);
            for _ in 0..keys {
                let weight = self.pick(&["1", "2", "3", "0.5", "inf"]);
                command.extend(cmd![weight]);
            }
        }
        if self.one_in(3) {
            command.extend(cmd!["AGGREGATE", self.pick(&["SUM", "MIN", "MAX"])]);
        }
        if !name.ends_with("STORE") && self.one_in(2) {
            command.extend(cmd!["WITHSCORES"]);
        }
        command
    }

    fn lex(&mut self) -> Command {
        let key = self.own_key(Pool::Lex);
        match self.rng.u8(..9) {
            0..3 => {
                let mut command = cmd!["ZADD", key];
                for _ in 0..self.rng.usize(1..6) {
                    command.extend([b"0".to_vec(), self.element()]);
                }
                command
            }
            3 => cmd!["ZLEXCOUNT", key, self.lex_bound(), self.lex_bound()],
            4 | 5 => {
                let name = self.pick(&["ZRANGEBYLEX", "ZREVRANGEBYLEX"]);
                let mut command = cmd![name, key, self.lex_bound(), self.lex_bound()];
                if self.one_in(3) {
                    command.extend(cmd!["LIMIT", self.index(), self.index()]);
                }
                command
            }
            6 => {
                let mut command = cmd!["ZRANGE", key, self.lex_bound(), self.lex_bound(), "BYLEX"];
                if self.one_in(2) {
                    command.extend(cmd!["REV"]);
                }
                if self.one_in(3) {
                    command.extend(cmd!["LIMIT", self.index(), self.index()]);
                }
                command
            }
            7 => cmd!["ZREMRANGEBYLEX", key, self.lex_bound(), self.lex_bound()],
            _ => cmd!["ZREM", key, self.element(), self.element()],
        }
    }

    fn expiry(&mut self) -> Command {
        let key = self.any_key();
        let seconds = self.rng.u32(100_000..10_000_000);
        let mut command = match self.rng.u8(..16) {
            0 => cmd!["EXPIRE", key, seconds.to_string()],
            1 => cmd!["PEXPIRE", key, format!("{seconds}123")],
            2 | 3 => cmd!["EXPIREAT", key, (self.far_ms() / 1000).to_string()],
            4..6 => cmd!["PEXPIREAT", key, self.far_ms().to_string()],
            6 if self.one_in(4) => cmd!["EXPIRE", key, "-1"],
            7 if self.one_in(4) => cmd!["PEXPIREAT", key, "1"],
            8 => return cmd!["PERSIST", key],
            n => {
                let name = ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"][usize::from(n % 4)];
                return cmd![name, key];
            }
        };
        if self.one_in(3) {
            command.extend(cmd![self.pick(&["NX", "XX", "GT", "LT"])]);
            if self.one_in(3) {
                command.extend(cmd![self.pick(&["NX", "XX", "GT", "LT"])]);
            }
        }
        command
    }

    fn generic(&mut self) -> Command {
        let key = self.any_key_to_read();
        match self.rng.u8(..30) {
            0..3 => {
                let name = self.pick(&["DEL", "UNLINK"]);
                let mut command = cmd![name, key];
                for _ in 0..self.rng.usize(..3) {
                    command.push(self.any_key());
                }
                command
            }
            3 | 4 => {
                let name = self.pick(&["EXISTS", "TOUCH"]);
                let mut command = cmd![name, key];
                for _ in 0..self.rng.usize(..3) {
                    command.push(self.any_key());
                }
                command
            }
            5..8 => cmd!["TYPE", key],
            8 => cmd!["DUMP", "never"],
            // Same pools on both sides keep the pools mostly of their type.
            9..13 => {
                let pool = self.any_pool();
                let name = self.pick(&["RENAME", "RENAMENX"]);
                cmd![name, self.own_key(pool), self.own_key(pool)]
            }
            13..17 => {
                let pool = self.any_pool();
                let mut command = cmd!["COPY", self.own_key(pool), self.own_key(pool)];
                if self.one_in(2) {
                    command.extend(cmd!["REPLACE"]);
                }
                if self.one_in(4) {
                    command.extend(cmd!["DB", self.rng.usize(..DATABASES).to_string()]);
                }
                command
            }
            17 | 18 => cmd![
                "MOVE",
                self.any_key(),
                self.rng.usize(..DATABASES).to_string()
            ],
            19 | 20 => cmd!["OBJECT", "ENCODING", key],
            21 => cmd!["OBJECT", "REFCOUNT", self.own_key(Pool::List)],
            22 => cmd!["OBJECT", self.pick(&["FREQ", "HELP", "NONE"]), key],
            23 => cmd!["DBSIZE"],
            24 => cmd!["RANDOMKEY"],
            25 => cmd!["KEYS", format!("{}*", self.any_pool().name())],
            26 => {
                let mut command = cmd![self.pick(&["SSCAN", "HSCAN", "ZSCAN"])];
                let pool = match &command[0][..] {
                    b"SSCAN" => Pool::Set,
                    b"HSCAN" => Pool::Hash,
                    _ => Pool::Zset,
                };
                // Everything at once: larger collections are walked by the scan step.
                command.extend(cmd![self.key(pool), "0", "COUNT", "100000"]);
                if self.one_in(2) {
                    command.extend(cmd!["MATCH", self.pattern()]);
                }
                command
            }
            27 => self.sort(),
            28 if self.one_in(30) => cmd![self.pick(&["FLUSHDB", "FLUSHALL"])],
            28 if self.one_in(10) => {
                let (a, b) = (self.rng.usize(..DATABASES), self.rng.usize(..DATABASES));
                cmd!["SWAPDB", a.to_string(), b.to_string()]
            }
            _ => cmd!["EXISTS", key],
        }
    }

    fn connection(&mut self) -> Command {
        match self.rng.u8(..12) {
            0 => cmd!["PING"],
            1 => cmd!["PING", self.value()],
            2 => cmd!["ECHO", self.value()],
            3..6 => cmd!["SELECT", self.rng.usize(..DATABASES).to_string()],
            6 => cmd!["NOSUCHCOMMAND", self.element()],
            7 => cmd!["DISCARD"],
            8 => cmd!["UNWATCH"],
            9 => cmd!["OBJECT"],
            _ => cmd!["SELECT", self.junk()],
        }
    }

    /// A WATCH sometimes, MULTI, some commands, and EXEC mostly.
    pub fn transaction(&mut self, out: &mut Vec<Command>) {
        if self.one_in(3) {
            let key = self.any_key();
            out.push(cmd!["WATCH", key.clone(), self.any_key()]);
            if self.one_in(2) {
                out.push(cmd!["DEL", key]);
            }
        }
        out.push(cmd!["MULTI"]);
        for _ in 0..self.rng.usize(1..6) {
            self.step(out);
        }
        let end = self.pick(&["EXEC", "EXEC", "EXEC", "DISCARD"]);
        out.push(cmd![end]);
    }
}

/// What must not be sent spoiled: it would wait, depend on the clock, or be compared in vain.
fn forbidden(command: &Command) -> bool {
    let name = command[0].to_ascii_uppercase();
    let has = |word: &[u8]| command.iter().any(|arg| arg == word);
    let blocks = name.starts_with(b"BL") || name.starts_with(b"BR") || name.starts_with(b"BZ");
    // An expiry that comes due while the test runs, or one that overflows when shown in seconds.
    let expires = name.windows(6).any(|part| part == b"EXPIRE")
        || matches!(&name[..], b"SET" | b"SETEX" | b"PSETEX" | b"GETEX");
    let soon = has(b"1") || has(b"9223372036854775807");
    // Lexicographic order means nothing among different scores.
    let lex = command.iter().any(|arg| arg.starts_with(b"lex:"));
    // New in 7.2; inside MULTI the refusal of 7.0 would spoil the whole block.
    let new = name.ends_with(b"RANK") && command.len() == 4;
    let ordered_by_hash = name == b"DUMP" || (name == b"SORT" && has(b"STORE"));
    // 7.2 keeps the low 32 bits of LSET's index.
    let wraps = name == b"LSET" && command.iter().any(|arg| arg.len() > 18);
    // An id that is each server's clock's.
    let own_id = name == b"XADD" && has(b"*");
    // A lower id is refused by 7.2 alone, if one above it was deleted.
    let sets_id = name == b"XSETID";
    blocks || (expires && soon) || lex || new || wraps || ordered_by_hash || own_id || sets_id
}
