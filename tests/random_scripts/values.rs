//! What random scripts are made of.

use fastrand::Rng;

/// Makes a text of any values, with types and digits, so that nothing that differs looks the same.
pub const SHOW: &str = r#"local function text(v, depth)
    local kind = type(v)
    if kind == 'number' then return string.format('%.17g', v) end
    if kind == 'string' then return '"' .. v:gsub('[^%w ]', function(c) return '\\' .. c:byte() end) .. '"' end
    if kind ~= 'table' then return kind == 'boolean' and tostring(v) or kind end
    if depth > 20 then return 'deep' end
    local parts = {}
    for k, e in pairs(v) do parts[#parts + 1] = text(k, depth + 1) .. '=' .. text(e, depth + 1) end
    table.sort(parts)
    return '{' .. table.concat(parts, ',') .. '}'
end
local function show(...)
    local parts = {}
    for i = 1, select('#', ...) do parts[i] = text((select(i, ...)), 1) end
    return table.concat(parts, ' ')
end
"#;

/// Numbers that both versions of Redis make the same text of.
pub const EXACT: &[&str] = &[
    "0", "-1", "0.5", "-0.25", "1.5", "1024.125", "1e3", "99999999", "-0", "3", "2.75",
];

pub const INTEGERS: &[&str] = &[
    "0",
    "2147483647",
    "-2147483648",
    "4294967296",
    "'9223372036854775807'",
    "'-9223372036854775808'",
    "'9223372036854775808'",
    "1.5",
    "'1.5'",
    "' 1'",
    "''",
    "9007199254740992",
];

/// Numbers that are not called with.
pub const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.1",
    "-0.5",
    "3.99",
    "-3.99",
    "1e15",
    "1e16",
    "1e17",
    "1e18",
    "1e19",
    "-1e19",
    "1e300",
    "2^31",
    "2^53",
    "2^53 + 1",
    "-2^63",
    "2^63",
    "2^64",
    "1/3",
    "1/0",
    "-1/0",
    "0/0",
    "5e-324",
    "123456789012345678",
    "0x7fffffff",
    "0xffffffffffffffff",
    "math.pi",
    "math.huge",
];

/// Between single quotes.
pub const STRINGS: &[&str] = &[
    "",
    "a",
    "hello",
    "10",
    "-7",
    "3.0",
    "0x10",
    " 7 ",
    "1e3",
    "inf",
    "nan",
    "true",
    "with space",
    "line\\r\\nend",
    "\\0",
    "a\\0b",
    "\\255\\200",
    "+OK",
    "-ERR x",
    "007",
    "9223372036854775807",
    "9223372036854775808",
    "zz",
    "a longer text that is longer than forty-four bytes are",
];

/// Tables that stand for something in a reply, or seem to.
pub const TABLES: &[&str] = &[
    "{}",
    "{ok='fine'}",
    "{ok='two\\r\\nlines'}",
    "{ok=1}",
    "{ok=true}",
    "{err='MY error'}",
    "{err='nocode'}",
    "{err='-DASH error'}",
    "{err='ERR a\\r\\nb'}",
    "{err=''}",
    "{err=1}",
    "{err='x', ok='y'}",
    "{double=3.5}",
    "{double=-0.25}",
    "{double=1e15}",
    "{double=math.huge}",
    "{double='1'}",
    "{big_number='123456789012345678901234567890'}",
    "{big_number='12\\r\\n3'}",
    "{big_number=12}",
    "{verbatim_string={format='txt', string='text'}}",
    "{verbatim_string={format='md', string='x'}}",
    "{verbatim_string={string='text'}}",
    "{verbatim_string='text'}",
    "{map={a=1}}",
    "{map={a={b=2}}}",
    "{map={[1]='x'}}",
    "{map={}}",
    "{map=1}",
    "{set={a=true}}",
    "{set={[7]=true}}",
    "{set={}}",
    "{1, 2, nil, 4}",
    "{nil, 2}",
    "{[1]='a', [3]='c'}",
    "{{1}, {{2}}, {}}",
    "{true, false, 1}",
    "{1.9, -1.9, '1.9'}",
    "{redis.error_reply('MY x'), redis.status_reply('y')}",
    "redis.error_reply('no code')",
    "redis.error_reply('-dash')",
    "redis.error_reply('')",
    "redis.status_reply('')",
    "redis.status_reply('fine')",
    "redis.error_reply(1)",
    "redis.status_reply()",
];

/// What is computed without the dataset.
pub const EXPRESSIONS: &[&str] = &[
    "math.random(1, 1000000)",
    "math.random()",
    "'10' + 5",
    "10 .. 20",
    "#'abc'",
    "2^0.5",
    "7 % 3",
    "-7 % 3",
    "5 % math.huge",
    "'abc' < 'abd'",
    "1 == '1'",
    "bit.band(0xff, 0x1234)",
    "bit.bnot(0)",
    "bit.tohex(-1)",
    "bit.lshift(1, 31)",
    "cjson.encode({1, 2.5, 'x', {a = true}})",
    "cjson.decode('{\"a\":[1,2,{\"b\":null}]}').a[1]",
    "cjson.encode(cjson.decode('[1e3,0.1,-5,1234567890123]'))",
    "cjson.encode({[1] = 1, [3] = 3})",
    "pcall(cjson.encode, {[1] = 1, [300] = 3})",
    "cmsgpack.pack({1, 'x', 2.5, true, {a = 1}})",
    "cmsgpack.unpack(cmsgpack.pack({1, 2, {3}}))",
    "struct.pack('>I2i4d', 1, -2, 0.5)",
    "{struct.unpack('<I4', '\\1\\2\\3\\4')}",
    "string.rep('ab', 3, 'x')",
    "('hello'):sub(-3, -2)",
    "('a,b,c'):gsub(',', ';')",
    "{('k=v'):match('(%w+)=(%w+)')}",
    "('x'):byte()",
    "table.concat({1, 2, 3}, '-')",
    "{unpack({1, 2, 3}, 2)}",
    "tostring(nil) .. tostring(true)",
    "redis.sha1hex('')",
    "type(redis.call)",
    "type(cjson.null)",
    "{redis.REPL_ALL, redis.LOG_WARNING}",
    "select('#', nil, nil)",
    "next({})",
    "rawequal('a', 'a')",
    "loadstring('return 1 + 1')()",
    "pcall(loadstring, 'return')",
    "{pcall(error, 'x')}",
    "{pcall(error, {err = 'x'})}",
    "{xpcall(function() error('deep') end, function(e) return 'handled' end)}",
    "redis.replicate_commands()",
    "redis.acl_check_cmd('GET', 'k')",
    "string.format('%5s|%-5s|', 'a', 'b')",
    "tostring(1e15) .. tostring(1e14) .. tostring(0.1)",
];

/// An argument as a client sends it.
pub fn argument(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(0..8) {
        0 => Vec::new(),
        1 => rng.i64(..).to_string().into_bytes(),
        2 => (0..rng.usize(0..80)).map(|_| rng.u8(..)).collect(),
        3 => b"1.5".to_vec(),
        4 => rng.i32(-5..20).to_string().into_bytes(),
        5 => vec![b'x'; rng.usize(0..300)],
        _ => format!("arg{}", rng.u8(0..9)).into_bytes(),
    }
}
