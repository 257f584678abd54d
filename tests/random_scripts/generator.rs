//! Random scripts: calls of commands of every type, right and wrong, with arguments of every kind of Lua's, and what is
//! done with their replies.
//!
//! What differs from one run to the next is left out: the clock, orders of hash tables, addresses. So are numbers that
//! redis-server 7.0 makes texts of in another way than 7.2 (fractions that are not exact, whole ones of 17 digits), and
//! SORT by numbers, which in redis-server refuses good ones after any command that met a bad one.

use std::fmt::Write as _;

use fastrand::Rng;

use super::values;

/// Variables of one script.
const VARIABLES_MAX: usize = 8;
/// How deep blocks are nested.
const DEPTH_MAX: u32 = 3;

/// Commands, with what stands for their arguments: K a key, V a value, M a member or field, I an integer, S a score,
/// P a position. Other words are themselves.
const COMMANDS: &[&str] = &[
    "SET K V",
    "SET K V NX",
    "SET K V XX GET",
    "SET K V EX 100000",
    "SET K V KEEPTTL",
    "SETNX K V",
    "GET K",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PERSIST",
    "GETRANGE K P P",
    "SETRANGE K I V",
    "APPEND K V",
    "STRLEN K",
    "INCR K",
    "DECR K",
    "INCRBY K I",
    "DECRBY K I",
    "INCRBYFLOAT K S",
    "MSET K V K V",
    "MSETNX K V K V",
    "MGET K K K",
    "LPUSH K V V",
    "RPUSH K V V V",
    "LPUSHX K V",
    "RPUSHX K V",
    "LPOP K",
    "RPOP K I",
    "LLEN K",
    "LINDEX K P",
    "LSET K P V",
    "LRANGE K P P",
    "LTRIM K P P",
    "LREM K P V",
    "LINSERT K BEFORE V V",
    "LPOS K V",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "LMPOP 2 K K LEFT",
    "SADD K M M",
    "SADD K I I I",
    "SREM K M",
    "SCARD K",
    "SISMEMBER K M",
    "SMISMEMBER K M M",
    "SMOVE K K M",
    "SINTERCARD 2 K K",
    "SINTERSTORE K K K",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "HSET K M V",
    "HSET K M V M V",
    "HSETNX K M V",
    "HMSET K M V",
    "HGET K M",
    "HMGET K M M",
    "HGETALL K",
    "HKEYS K",
    "HVALS K",
    "HDEL K M",
    "HEXISTS K M",
    "HLEN K",
    "HSTRLEN K M",
    "HINCRBY K M I",
    "HINCRBYFLOAT K M S",
    "ZADD K S M",
    "ZADD K S M S M",
    "ZADD K NX S M",
    "ZADD K XX CH S M",
    "ZADD K GT INCR S M",
    "ZINCRBY K S M",
    "ZREM K M M",
    "ZCARD K",
    "ZCOUNT K -inf S",
    "ZCOUNT K S (S",
    "ZSCORE K M",
    "ZMSCORE K M M",
    "ZRANK K M",
    "ZREVRANK K M",
    "ZRANGE K P P",
    "ZRANGE K P P WITHSCORES",
    "ZREVRANGE K P P",
    "ZRANGEBYSCORE K S +inf WITHSCORES LIMIT 0 2",
    "ZRANGEBYLEX K - +",
    "ZLEXCOUNT K - [M",
    "ZREMRANGEBYRANK K P P",
    "ZREMRANGEBYSCORE K S S",
    "ZPOPMIN K",
    "ZPOPMAX K 2",
    "ZMPOP 1 K MIN",
    "ZUNIONSTORE K 2 K K",
    "ZINTERSTORE K 2 K K AGGREGATE MAX",
    "ZDIFF 2 K K",
    "ZUNION 2 K K WITHSCORES",
    "ZRANGESTORE K K 0 -1",
    "SETBIT K I 1",
    "GETBIT K 3",
    "BITCOUNT K",
    "BITPOS K 1",
    "BITOP OR K K K",
    "BITFIELD K INCRBY i8 0 I OVERFLOW FAIL",
    "PFADD K M M",
    "PFCOUNT K K",
    "PFMERGE K K",
    "GEOADD K 1.5 2.5 M 3 4 M",
    "GEODIST K M M",
    "GEOHASH K M",
    "GEOSEARCH K FROMMEMBER M BYRADIUS 500 km ASC",
    "XADD K 1-1 M V",
    "XADD K MAXLEN 2 5-* M V M V",
    "XADD K V M V",
    "XLEN K",
    "XRANGE K - +",
    "XREVRANGE K + - COUNT 1",
    "XDEL K 1-1",
    "XTRIM K MAXLEN 1",
    "XREAD COUNT 2 STREAMS K 0",
    "XREAD BLOCK 0 STREAMS K 0",
    "XGROUP CREATE K g 0 MKSTREAM",
    "XREADGROUP GROUP g c STREAMS K >",
    "XACK K g 1-1",
    "DEL K",
    "UNLINK K K",
    "EXISTS K K",
    "TYPE K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "MOVE K 3",
    "EXPIRE K 100000",
    "EXPIRE K -1",
    "PEXPIREAT K 4102444800000",
    "EXPIRETIME K",
    "PERSIST K",
    "TOUCH K",
    "OBJECT FREQ K",
    "SORT K ALPHA",
    "SORT K ALPHA LIMIT 0 3",
    "SORT K ALPHA STORE K",
    "SORT_RO K ALPHA DESC",
    "DUMP none",
    "DBSIZE",
    "SELECT 1",
    "SELECT 0",
    "SELECT V",
    "PING",
    "PING V",
    "ECHO V",
    "PUBLISH V V",
    "SPUBLISH V V",
    "EXISTS",
    "GET",
    "SET K",
    "NOSUCH K",
    "MULTI",
    "WATCH K",
    "SUBSCRIBE V",
    "EVAL V 0",
    "SWAPDB 2 3",
    "FLUSHDB",
    "OBJECT NOSUCH K",
    "CLIENT GETNAME",
    "CONFIG GET maxmemory-samples",
];

/// A command for EVAL or a kin of it, as a client sends it.
pub type Command = Vec<Vec<u8>>;

pub struct Generator {
    pub rng: Rng,
    /// The script so far.
    text: String,
    variables: usize,
    keys: usize,
    args: usize,
    depth: u32,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator {
            rng: Rng::with_seed(seed),
            text: String::new(),
            variables: 0,
            keys: 0,
            args: 0,
            depth: 0,
        }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.rng.usize(0..of.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    /// A script with its keys and arguments.
    pub fn command(&mut self) -> Command {
        self.text.clear();
        (self.variables, self.depth) = (0, 0);
        self.keys = self.rng.usize(0..4);
        self.args = self.rng.usize(0..4);
        let name = match self.rng.u8(0..20) {
            0 => "EVAL_RO",
            _ => "EVAL",
        };
        match self.rng.u8(0..30) {
            0 => self.text.push_str("#!lua flags=no-writes\n"),
            1 => self.text.push_str("#!lua\n"),
            _ => {}
        }
        let shows = self.chance(40);
        if shows {
            self.text.push_str(values::SHOW);
        }
        if self.chance(25) {
            self.text.push_str("redis.setresp(3)\n");
        }
        for _ in 0..self.rng.usize(1..7) {
            self.statement();
        }
        self.end(shows);
        let mut command: Command = vec![name.into(), self.text.clone().into_bytes()];
        command.push(self.keys.to_string().into_bytes());
        for _ in 0..self.keys {
            command.push(self.key_name().into_bytes());
        }
        for _ in 0..self.args {
            command.push(values::argument(&mut self.rng));
        }
        command
    }

    /// What the script returns.
    fn end(&mut self, shows: bool) {
        let names: Vec<String> = (1..=self.variables).map(|n| format!("v{n}")).collect();
        if shows {
            let _ = write!(self.text, "return show({})", names.join(", "));
            return;
        }
        let value = match self.rng.u8(0..4) {
            0 if !names.is_empty() => names[names.len() - 1].clone(),
            1 => format!("{{{}}}", names.join(", ")),
            2 => return,
            _ => self.value(),
        };
        let _ = write!(self.text, "return {value}");
    }

    fn key_name(&mut self) -> String {
        format!("k{}", self.rng.u8(0..12))
    }

    /// A variable from now on.
    fn new_variable(&mut self) -> String {
        // Those of an inner block are gone after it.
        if self.depth > 0 || self.variables == VARIABLES_MAX {
            return "local _".into();
        }
        self.variables += 1;
        format!("local v{}", self.variables)
    }

    fn variable(&mut self) -> Option<String> {
        (self.variables > 0).then(|| format!("v{}", self.rng.usize(1..=self.variables)))
    }

    fn statement(&mut self) {
        match self.rng.u8(0..24) {
            0..=7 => {
                let call = self.call();
                let variable = self.new_variable();
                let _ = writeln!(self.text, "{variable} = {call}");
            }
            8..=11 => {
                let call = self.call();
                let _ = writeln!(self.text, "{call}");
            }
            12..=14 => {
                let value = self.value();
                let variable = self.new_variable();
                let _ = writeln!(self.text, "{variable} = {value}");
            }
            15 | 16 => {
                let made = self.made_of_variables();
                let variable = self.new_variable();
                let _ = writeln!(self.text, "{variable} = {made}");
            }
            17 => {
                let condition = self.condition();
                let _ = writeln!(self.text, "if {condition} then");
                self.block();
                if self.chance(50) {
                    self.text.push_str("else\n");
                    self.block();
                }
                self.text.push_str("end\n");
            }
            18 => {
                let times = self.rng.u8(0..5);
                let _ = writeln!(self.text, "for i = 1, {times} do");
                self.block();
                self.text.push_str("end\n");
            }
            19 => {
                let variable = self.new_variable();
                let _ = writeln!(self.text, "{variable} = {{pcall(function()");
                self.block();
                let value = self.value();
                let _ = writeln!(self.text, "return {value} end)}}");
            }
            20 => {
                let error = self.error();
                let condition = self.condition();
                let _ = writeln!(self.text, "if {condition} then {error} end");
            }
            21 => {
                let value = self.value();
                let condition = self.condition();
                let _ = writeln!(self.text, "if {condition} then return {value} end");
            }
            22 => {
                let version = self.one(&["2", "3", "2", "3", "4", "'3'", "nil"]);
                let _ = writeln!(self.text, "redis.setresp({version})");
            }
            _ => {
                // The order of a set is the hash table's.
                let (call, variable) = (self.key(), self.new_variable());
                let name = variable.trim_start_matches("local ");
                let _ = writeln!(
                    self.text,
                    "{variable} = redis.pcall('SMEMBERS', {call}) if {name}[1] then table.sort({name}) end"
                );
                if self.depth == 0 {
                    // In RESP3 it is a table of members.
                    let _ = writeln!(
                        self.text,
                        "if {name}.set then {name} = type({name}.set) end"
                    );
                }
            }
        }
    }

    fn block(&mut self) {
        self.depth += 1;
        if self.depth < DEPTH_MAX {
            for _ in 0..self.rng.usize(1..3) {
                self.statement();
            }
        }
        self.depth -= 1;
    }

    fn condition(&mut self) -> String {
        let variable = self.variable().unwrap_or_else(|| "ARGV[1]".into());
        match self.rng.u8(0..7) {
            0 => "#KEYS > 1".into(),
            1 => format!("{variable} == false"),
            2 => format!("{variable} == nil"),
            3 => format!("type({variable}) == 'table'"),
            4 => format!("tonumber(tostring({variable})) ~= nil"),
            5 => format!("not {variable}"),
            _ => "true".into(),
        }
    }

    /// What ends the script with an error.
    fn error(&mut self) -> String {
        let text = self.one(&["boom", "MY code", "", "ERR x", "-DASH x", "10"]);
        match self.rng.u8(0..9) {
            0 => format!("error('{text}')"),
            1 => format!("error('{text}', 0)"),
            2 => format!("error({{err='{text}'}})"),
            3 => format!("error(redis.error_reply('{text}'))"),
            4 => format!("assert(false, '{text}')"),
            5 => "error()".into(),
            6 => "local x = nil + 1".into(),
            7 => "undefined()".into(),
            _ => "error(42)".into(),
        }
    }

    /// A call of a command, of any kind.
    fn call(&mut self) -> String {
        let arguments = self.arguments();
        match self.rng.u8(0..12) {
            0..=4 => format!("redis.call({arguments})"),
            5 | 6 => format!("select(2, pcall(redis.call, {arguments}))"),
            _ => format!("redis.pcall({arguments})"),
        }
    }

    fn arguments(&mut self) -> String {
        let template = self.one(COMMANDS);
        let mut arguments = Vec::new();
        for word in template.split(' ') {
            let argument = match word {
                "K" => self.key(),
                "V" => self.text_argument(),
                "M" => format!("'m{}'", self.rng.u8(0..9)),
                "I" => self.integer_argument(),
                "S" => self.score(),
                "(S" => format!("'(' .. {}", self.score()),
                "[M" => format!("'[m{}'", self.rng.u8(0..9)),
                "P" => self.rng.i8(-4..6).to_string(),
                word if self.chance(20) => format!("'{}'", word.to_ascii_lowercase()),
                word => format!("'{word}'"),
            };
            arguments.push(argument);
        }
        // Version 7.2 has one more for the rank, and another error for streams.
        if self.chance(2) && !template.contains("RANK") && !template.contains("STREAMS") {
            let extra = self.one(&["nil", "true", "{}", "KEYS", "'x'", "cjson.null"]);
            arguments.push(extra.into());
        }
        if self.chance(1) {
            arguments.clear();
        }
        arguments.join(", ")
    }

    fn key(&mut self) -> String {
        match self.rng.u8(0..10) {
            0..=4 if self.keys > 0 => format!("KEYS[{}]", self.rng.usize(1..=self.keys)),
            5 => "KEYS[1]".into(),
            _ => {
                let name = self.key_name();
                format!("'{name}'")
            }
        }
    }

    fn text_argument(&mut self) -> String {
        match self.rng.u8(0..10) {
            0..=3 if self.args > 0 => format!("ARGV[{}]", self.rng.usize(1..=self.args)),
            4 => self.integer_argument(),
            5 => self.one(values::EXACT).into(),
            6 => match self.variable() {
                // Only what is the same text everywhere.
                Some(name) => format!("(type({name}) == 'string' and {name} or 'none')"),
                None => "'x'".into(),
            },
            _ => format!("'{}'", self.one(values::STRINGS)),
        }
    }

    fn integer_argument(&mut self) -> String {
        match self.rng.u8(0..8) {
            0 => self.one(values::INTEGERS).into(),
            1 => format!("'{}'", self.rng.i32(-100..100)),
            2 => "'x1'".into(),
            _ => self.rng.i32(-20..20).to_string(),
        }
    }

    fn score(&mut self) -> String {
        match self.rng.u8(0..8) {
            0 => "'inf'".into(),
            1 => "'-inf'".into(),
            2 => self.one(values::EXACT).into(),
            3 => "'nan'".into(),
            _ => self.rng.i32(-20..20).to_string(),
        }
    }

    /// A value of any kind.
    fn value(&mut self) -> String {
        self.depth += 1;
        let value = match self.rng.u8(0..14) {
            0 => self.one(values::NUMBERS).into(),
            1 => self.rng.i32(-1000..1000).to_string(),
            2 | 3 => format!("'{}'", self.one(values::STRINGS)),
            4 => self.one(&["true", "false", "nil"]).into(),
            5 => self.one(values::TABLES).into(),
            6 | 7 if self.depth < 2 * DEPTH_MAX => self.list(),
            8 => self.variable().unwrap_or_else(|| "KEYS".into()),
            9 => self
                .one(&["KEYS", "ARGV", "#KEYS", "#ARGV", "ARGV[1]"])
                .into(),
            10 => self.formatted(),
            11 => self.made_of_variables(),
            12 => self.one(values::EXPRESSIONS).into(),
            _ => self.one(values::NUMBERS).into(),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> String {
        let mut elements = Vec::new();
        for _ in 0..self.rng.usize(0..5) {
            let element = match self.rng.u8(0..12) {
                0 => format!("[{}] = {}", self.rng.u8(0..7), self.value()),
                1 => format!("f{} = {}", self.rng.u8(0..3), self.value()),
                _ => self.value(),
            };
            elements.push(element);
        }
        format!("{{{}}}", elements.join(", "))
    }

    /// A number or text, made a text in some way.
    fn formatted(&mut self) -> String {
        let number = self.one(values::NUMBERS);
        match self.rng.u8(0..8) {
            0 => format!("tostring({number})"),
            1 => format!("({number}) .. ''"),
            2 => {
                let form = self.one(&["%d", "%5d", "%-8d|", "%05d", "%+d", "%x", "%X", "%o", "%c"]);
                format!("string.format('{form}', {})", self.rng.i32(1..120))
            }
            3 => {
                let form = self.one(&["%g", "%f", "%.3f", "%e", "%10.2f", "%.17g", "%.14g", "%s"]);
                format!("string.format('{form}', {number})")
            }
            4 => format!("string.format('%q', '{}')", self.one(values::STRINGS)),
            5 => format!("tonumber('{}')", self.one(values::STRINGS)),
            6 => format!(
                "tonumber('{}', {})",
                self.one(values::STRINGS),
                self.rng.u8(2..37)
            ),
            _ => format!("math.floor({number})"),
        }
    }

    /// Something that is made of what commands have replied.
    fn made_of_variables(&mut self) -> String {
        let Some(name) = self.variable() else {
            return "type(KEYS[1])".into();
        };
        match self.rng.u8(0..14) {
            0 => format!("type({name})"),
            1 => format!("(type({name}) == 'table' and #{name})"),
            2 => format!("(type({name}) == 'table' and {name}[1])"),
            3 => format!("(type({name}) == 'table' and ({name}.ok or {name}.err))"),
            4 => format!("(type({name}) == 'table' and {name}.map)"),
            5 => format!("(type({name}) == 'table' and {name}.double)"),
            6 => format!("{{{name}, type({name})}}"),
            7 => format!("(type({name}) == 'string' and ({name}):upper():reverse())"),
            8 => format!("(type({name}) == 'string' and redis.sha1hex({name}))"),
            9 => format!("(type({name}) == 'number' and {name} + 0.5)"),
            10 => format!("select('#', pcall(cmsgpack.pack, {name}))"),
            11 => format!("pcall(cjson.encode, {name})"),
            12 => format!("(type({name}) == 'table' and not {name}.err and pcall(unpack, {name}))"),
            _ => format!("({name} == nil or {name} == false)"),
        }
    }
}
