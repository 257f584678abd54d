//! Random snippets of Lua, each a body of a function whose results are compared.

use std::fmt::Write as _;

use fastrand::Rng;

/// Numbers where something changes.
const EDGES: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "7",
    "0.1",
    "-0.5",
    "1.5",
    "3.14159265358979",
    "127",
    "128",
    "-128",
    "-129",
    "-32",
    "-33",
    "255",
    "256",
    "32767",
    "32768",
    "-32768",
    "-32769",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e14",
    "1e15",
    "99999999999999",
    "100000000000000",
    "123456789012345678",
    "1e16",
    "1e100",
    "-1e100",
    "1e-7",
    "1.7976931348623157e308",
    "5e-324",
    "0.1+0.2",
    "1/3",
    "2^31",
    "2^53",
    "-2^31",
    "2^63",
    "1/0",
    "-1/0",
    "0/0",
    "1e5",
    "123456.789",
];

const STRINGS: &[&str] = &[
    "",
    "a",
    "abc",
    "10",
    "0x10",
    " 7 ",
    "1e3",
    "nil",
    "with space",
    "quote\\\"s",
    "back\\\\slash",
    "sl/ash",
    "\\n\\r\\t",
    "\\0",
    "a\\0b",
    "\\127",
    "\\1\\2\\31",
    "\\200\\255",
    "caf\\195\\169",
    "-5",
    "true",
];

pub struct Generator {
    rng: Rng,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator {
            rng: Rng::with_seed(seed),
        }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.rng.usize(0..of.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    fn number(&mut self) -> String {
        match self.rng.u8(0..6) {
            0..=2 => self.one(EDGES).into(),
            3 => self.rng.i32(-1000..1000).to_string(),
            4 => format!(
                "{}",
                f64::from(self.rng.i32(-1_000_000..1_000_000)) / 1000.0
            ),
            _ => {
                let number = f64::from_bits(self.rng.u64(..));
                if number.is_finite() {
                    format!("{number:e}")
                } else {
                    "0/0".into()
                }
            }
        }
    }

    fn string(&mut self) -> String {
        match self.rng.u8(0..4) {
            0 => {
                let length = self.rng.usize(0..40);
                let bytes: String = (0..length)
                    .map(|_| format!("\\{:03}", self.rng.u8(..)))
                    .collect();
                format!("\"{bytes}\"")
            }
            1 if self.chance(30) => {
                let times =
                    [30, 31, 32, 33, 254, 255, 256, 257, 65535, 65536][self.rng.usize(0..10)];
                format!("('x'):rep({times})")
            }
            _ => format!("\"{}\"", self.one(STRINGS)),
        }
    }

    /// A key whose place in a table is the same here and there.
    fn key(&mut self) -> String {
        match self.rng.u8(0..10) {
            0..=5 => format!("[\"{}\"]", self.one(STRINGS)),
            6 => format!("[{}]", self.rng.i32(-5..20)),
            7 => format!(
                "[{}]",
                self.one(&[
                    "1.5",
                    "2^31",
                    "-1",
                    "0",
                    "1e300",
                    "1/0",
                    "2147483647",
                    "100"
                ])
            ),
            8 => "[true]".into(),
            _ => format!("k{}", self.rng.u8(0..20)),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        match self.rng.u8(0..14) {
            0 => "nil".into(),
            1 => "true".into(),
            2 => "false".into(),
            3..=5 => self.number(),
            6..=8 => self.string(),
            9 => self
                .one(&[
                    "cjson.null",
                    "cjson.null",
                    "print_",
                    "coroutine.create(function() end)",
                    "string",
                ])
                .replace("print_", "next"),
            _ if depth == 0 => "{}".into(),
            10..=11 => self.list(depth),
            _ => self.map(depth),
        }
    }

    fn list(&mut self, depth: usize) -> String {
        let values: Vec<String> = (0..self.rng.usize(0..20))
            .map(|_| self.value(depth - 1))
            .collect();
        format!("{{{}}}", values.join(","))
    }

    fn map(&mut self, depth: usize) -> String {
        let entries: Vec<String> = (0..self.rng.usize(0..8))
            .map(|_| format!("{}={}", self.key(), self.value(depth - 1)))
            .collect();
        format!("{{{}}}", entries.join(","))
    }

    /// Values as arguments.
    fn values(&mut self, most: usize) -> String {
        let values: Vec<String> = (0..self.rng.usize(0..=most))
            .map(|_| self.value(2))
            .collect();
        values.join(",")
    }

    fn json_setting(&mut self) -> String {
        let function = self.one(&[
            "encode_sparse_array",
            "encode_max_depth",
            "decode_max_depth",
            "encode_number_precision",
            "encode_keep_buffer",
            "encode_invalid_numbers",
            "decode_invalid_numbers",
        ]);
        let arguments: Vec<String> = (0..self.rng.usize(0..4))
            .map(|_| match self.rng.u8(0..6) {
                0 => "true".into(),
                1 => "false".into(),
                2 => format!("'{}'", self.one(&["on", "off", "null", "maybe", "3"])),
                3 => self.number(),
                4 => "nil".into(),
                _ => self.rng.i32(-1..20).to_string(),
            })
            .collect();
        format!("{function}({})", arguments.join(","))
    }

    pub fn cjson_encode(&mut self) -> String {
        let value = self.value(4);
        match self.rng.u8(0..10) {
            0 => format!("return cjson.encode({})", self.values(2)),
            1 => format!("return cjson.new().{}", self.json_setting()),
            2..=4 => format!(
                "local j = cjson.new() j.{} return j.encode({value})",
                self.json_setting()
            ),
            5 => format!("return cjson.decode(cjson.encode({value}))"),
            6 => {
                let depth = [1, 5, 998, 999, 1000, 1001, 3000][self.rng.usize(0..7)];
                format!(
                    "local t = {value} for i = 1, {depth} do t = {{t}} end return cjson.encode(t)"
                )
            }
            _ => format!("return cjson.encode({value})"),
        }
    }

    fn json(&mut self, depth: usize) -> String {
        match self.rng.u8(0..12) {
            0 => self.one(&["null", "true", "false"]).into(),
            1 => self
                .one(&[
                    "nul", "tru", "nan", "-nan", "inf", "-inf", "Infinity", "+1", "0x10", "-0x1p3",
                    "01", "1.", ".5", "1e", "1e5", "--1", "-",
                ])
                .into(),
            2..=3 => self
                .number()
                .replace("/0", "")
                .replace('^', "e")
                .replace("/3", ""),
            4..=6 => self.json_string(),
            _ if depth == 0 => "[]".into(),
            7..=9 => {
                let values: Vec<String> = (0..self.rng.usize(0..6))
                    .map(|_| self.json(depth - 1))
                    .collect();
                format!("[{}]", values.join(self.one_comma()))
            }
            _ => {
                let entries: Vec<String> = (0..self.rng.usize(0..6))
                    .map(|_| {
                        format!(
                            "{}{}{}",
                            self.json_string(),
                            self.one(&[":", " : ", ":"]),
                            self.json(depth - 1)
                        )
                    })
                    .collect();
                format!("{{{}}}", entries.join(self.one_comma()))
            }
        }
    }

    fn one_comma(&mut self) -> &'static str {
        [",", ", ", "\t,\r\n"][self.rng.usize(0..3)]
    }

    fn json_string(&mut self) -> String {
        let mut text = String::from("\"");
        for _ in 0..self.rng.usize(0..6) {
            match self.rng.u8(0..8) {
                0 => text.push_str(self.one(&[
                    "\\n", "\\t", "\\\\", "\\/", "\\\"", "\\b", "\\f", "\\r", "\\x", "\\",
                ])),
                1 => {
                    let _ = write!(text, "\\u{:04x}", self.rng.u16(..));
                }
                2 => text.push_str(self.one(&[
                    "\\ud83d\\ude00",
                    "\\ud83d",
                    "\\ude00",
                    "\\ud83dx",
                    "\\u12",
                    "\\u00e9",
                    "\\u0000",
                ])),
                3 => text.push_str("caf\u{e9}"),
                _ => text.push_str(self.one(&[
                    "a",
                    "key",
                    "long text of many words, longer than that",
                    " ",
                    "0",
                ])),
            }
        }
        text.push('"');
        text
    }

    /// A Lua string of these bytes.
    fn quoted(bytes: &[u8]) -> String {
        let escaped: String = bytes.iter().map(|b| format!("\\{b:03}")).collect();
        format!("\"{escaped}\"")
    }

    fn mutated(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.rng.usize(0..3) {
            if bytes.is_empty() {
                break;
            }
            let at = self.rng.usize(0..bytes.len());
            match self.rng.u8(0..5) {
                0 => bytes[at] ^= 1 << self.rng.u8(0..8),
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.rng.u8(..)),
                _ => bytes[at] = b"[]{},:\"\\ \0"[self.rng.usize(0..10)],
            }
        }
        bytes
    }

    pub fn cjson_decode(&mut self) -> String {
        let mut text = self.json(4).into_bytes();
        if self.chance(40) {
            text = self.mutated(text);
        }
        let text = Generator::quoted(&text);
        match self.rng.u8(0..8) {
            0 => format!(
                "local j = cjson.new() j.{} return j.decode({text})",
                self.json_setting()
            ),
            1 => {
                let depth = [2, 999, 1000, 1001, 5000][self.rng.usize(0..5)];
                let open = self
                    .one(&["[", "{\"a\":", "[{\"b\":[1,", "[[],"])
                    .to_string();
                let close = self.one(&["]", "}", "]}]", "]"]);
                format!(
                    "return cjson.encode(cjson.decode(('{open}'):rep({depth}) .. '1' .. ('{close}'):rep({depth})))"
                )
            }
            2 => format!("return cjson.decode({})", self.values(2)),
            // Redis places long keys otherwise.
            3 => format!("return #cjson.encode(cjson.decode({text}))"),
            _ => format!("return cjson.decode({text})"),
        }
    }

    pub fn cmsgpack(&mut self) -> String {
        match self.rng.u8(0..10) {
            0..=2 => format!("return cmsgpack.pack({})", self.values(4)),
            3..=4 => format!("return cmsgpack.unpack(cmsgpack.pack({}))", self.values(4)),
            5 => {
                let depth = [14, 15, 16, 17, 18][self.rng.usize(0..5)];
                format!(
                    "local t = {} for i = 1, {depth} do t = {{t}} end return cmsgpack.pack(t)",
                    self.value(2)
                )
            }
            6..=7 => {
                let bytes: Vec<u8> = (0..self.rng.usize(0..12))
                    .map(|_| self.msgpack_byte())
                    .collect();
                format!("return cmsgpack.unpack({})", Generator::quoted(&bytes))
            }
            8 => {
                let function = self.one(&["unpack_one", "unpack_limit", "unpack"]);
                let numbers: Vec<String> = (0..self.rng.usize(0..3))
                    .map(|_| {
                        if self.chance(80) {
                            self.rng.i32(-2..12).to_string()
                        } else {
                            self.value(0)
                        }
                    })
                    .collect();
                let numbers: String = numbers.iter().map(|n| format!(",{n}")).collect();
                format!(
                    "return cmsgpack.{function}(cmsgpack.pack({}){numbers})",
                    self.values(4)
                )
            }
            _ => format!("return cmsgpack.unpack({})", self.values(2)),
        }
    }

    fn msgpack_byte(&mut self) -> u8 {
        match self.rng.u8(0..4) {
            0 => self.rng.u8(0xc0..=0xdf),
            1 => self.rng.u8(0x80..=0xbf),
            2 => self.rng.u8(0..4),
            _ => self.rng.u8(..),
        }
    }

    fn format(&mut self) -> String {
        let mut format = String::new();
        for _ in 0..self.rng.usize(0..7) {
            format.push_str(self.one(&[
                "b", "B", "h", "H", "l", "L", "T", "i", "I", "f", "d", "s", "x", "c", "c0", "c1",
                "c3", "<", ">", "!", "!2", "!4", "!8", " ", "i1", "i2", "i3", "I5", "i8", "I9",
                "i16", "I32", "Bc0", "sb",
            ]));
            if self.chance(3) {
                format.push_str(self.one(&[
                    "i33",
                    "!3",
                    "z",
                    "5",
                    "c99999999999",
                    "I2147483648",
                    "i0",
                    "!0",
                    "\\200",
                    "c2147483647",
                    "Z",
                    "!16",
                ]));
            }
        }
        format
    }

    pub fn structs(&mut self) -> String {
        let format = self.format();
        match self.rng.u8(0..8) {
            0 => format!("return struct.size('{format}')"),
            1..=3 => {
                let arguments: String = (0..self.rng.usize(0..9))
                    .map(|_| {
                        if self.chance(70) {
                            self.number()
                        } else {
                            self.string()
                        }
                    })
                    .map(|value| format!(",{value}"))
                    .collect();
                format!("return struct.pack('{format}'{arguments})")
            }
            4..=6 => {
                let bytes: Vec<u8> = (0..self.rng.usize(0..40))
                    .map(|_| {
                        if self.chance(30) {
                            self.rng.u8(0..4)
                        } else {
                            self.rng.u8(..)
                        }
                    })
                    .collect();
                let offset = match self.rng.u8(0..4) {
                    0 => format!(",{}", self.rng.i32(-3..45)),
                    1 if self.chance(20) => format!(",{}", self.number()),
                    _ => String::new(),
                };
                format!(
                    "return struct.unpack('{format}',{}{offset})",
                    Generator::quoted(&bytes)
                )
            }
            _ => format!(
                "return struct.{}({})",
                self.one(&["pack", "unpack", "size"]),
                self.values(3)
            ),
        }
    }

    pub fn bit(&mut self) -> String {
        let function = self.one(&[
            "tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror",
            "bswap", "tohex",
        ]);
        let arguments: Vec<String> = (0..self.rng.usize(0..4))
            .map(|_| match self.rng.u8(0..10) {
                0 => self.value(1),
                1 => format!("\"{}\"", self.one(&["10", "0x10", "x", " 1 ", "1e3"])),
                2..=4 => self.rng.i32(-40..40).to_string(),
                // Beyond it redis-server writes over its stack (CVE-2024-31449).
                5 if function != "tohex" => self.number(),
                _ => self.rng.u32(..).to_string(),
            })
            .collect();
        format!("return bit.{function}({})", arguments.join(","))
    }

    /// What the sandbox puts in the place of Lua's own functions.
    pub fn base(&mut self) -> String {
        let (a, b) = (self.value(2), self.value(1));
        let number = self.rng.i32(-3..6);
        match self.rng.u8(0..18) {
            0 => format!("return next({a}, {b})"),
            1 => format!("local n = 0 for k, v in pairs({a}) do n = n + 1 end return n"),
            2 => format!("return rawget({a}, {b})"),
            3 => format!("local t = {a} rawset(t, {b}, {number}) return t"),
            4 => format!("return unpack({a}, {number}, {})", self.rng.i32(-3..8)),
            5 => format!("return unpack({a})"),
            6 => format!("local t = {a} table.insert(t, {b}) return t"),
            7 => format!(
                "local t = {{1, 2, 3}} table.insert(t, {}, {b}) return t",
                self.rng.i32(-2..8)
            ),
            8 => format!(
                "local n = 0 table.foreach({a}, function(k, v) n = n + 1 if n == 3 then return k end end) return n"
            ),
            9 => format!("return getmetatable(setmetatable({a}, {b}))"),
            10 => format!("return string.rep({}, {number})", self.string()),
            11 => format!("return pcall(error, {a})"),
            12 => {
                format!("return xpcall(function() error({a}) end, function(e) return {b}, e end)")
            }
            13 => format!("return select(2, loadstring({}))", self.string()),
            14 => format!(
                "local f, e = loadstring('return ' .. {}) return type(f), e",
                self.string()
            ),
            15 | 16 => self.sort(),
            _ => format!("return collectgarbage({b})"),
        }
    }

    /// A list with equal elements, sorted by orders of which some contradict themselves: what comes out shows which
    /// elements were compared.
    fn sort(&mut self) -> String {
        let order = self.one(&[
            "a[1] < b[1]",
            "a[1] > b[1]",
            "a[1] <= b[1]",
            "a[2] % 3 < b[2] % 3",
            "true",
            "false",
            "a[1] ~= b[1]",
            "nil",
            "a < b",
        ]);
        let plain = match self.rng.u8(0..4) {
            0 => "local t = {3, 1, 2, 1, 0.5, -1, 1/0} table.sort(t) ",
            1 => "local t = {'b', 'a', '', 'B', 'ab'} table.sort(t) ",
            2 => "local t = {1, 'a', 2} table.sort(t) ",
            _ => "local t ",
        };
        format!(
            "{plain} local l, n = {{}}, 0 for i = 1, {} do l[i] = {{i * {} % {}, i}} end \
             local done, error = pcall(table.sort, l, function(a, b) n = n + 1 return {order} end) \
             for i = 1, #l do l[i] = l[i][2] end return t, l, n, done, error",
            self.rng.u8(0..60),
            self.rng.u8(1..30),
            self.rng.u8(1..20),
        )
    }
}
