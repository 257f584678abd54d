//! The same Lua to redis-server and to us: what scripts get from the libraries must be the same, byte for byte, errors
//! too.
//!
//! `LUA_SNIPPETS` (2,000) sets how many per library, `LUA_SEED` (1) the seed.

#[path = "../common/mod.rs"]
mod common;
mod generator;

use common::{RawReply, RespClient, Server};
use generator::Generator;
use understudy::internals::testing::ScriptRoom;

/// Snippets of one script.
const SNIPPETS_PER_SCRIPT: usize = 10;
/// Differences shown before giving up.
const SHOWN: usize = 10;

/// Makes a text of any values, with types and digits, so that nothing that differs looks the same.
const SHOW: &str = r#"
local function text(v, depth)
    local kind = type(v)
    if kind == 'number' then return string.format('%.17g', v) end
    if kind == 'string' then
        return '"' .. v:gsub('[^%w ]', function(c) return '\\' .. c:byte() end) .. '"'
    end
    if kind ~= 'table' then return v == cjson.null and 'null' or kind == 'boolean' and tostring(v) or kind end
    if depth > 40 then return 'deep' end
    local parts = {}
    for k, e in pairs(v) do parts[#parts + 1] = text(k, depth + 1) .. '=' .. text(e, depth + 1) end
    -- Redis places long keys otherwise.
    table.sort(parts)
    return '{' .. table.concat(parts, ',') .. '}'
end
local function show(...)
    local parts = {}
    for i = 1, select('#', ...) do parts[i] = text((select(i, ...)), 1) end
    return table.concat(parts, ' ')
end
local all = {}
local function try(f) all[#all + 1] = show(pcall(f)) end
"#;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The answers to the snippets of a script.
fn split(answer: &[u8]) -> Vec<String> {
    answer
        .split(|&b| b == b'\n')
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

fn script(snippets: &[String]) -> String {
    let mut script = SHOW.to_string();
    for snippet in snippets {
        script.push_str("try(function() ");
        script.push_str(snippet);
        script.push_str(" end)\n");
    }
    script.push_str("return table.concat(all, '\\n')");
    script
}

fn same(snippet: fn(&mut Generator) -> String) {
    let count = setting("LUA_SNIPPETS", 2000) as usize;
    let mut generator = Generator::new(setting("LUA_SEED", 1));
    let redis = Server::redis();
    let mut client = RespClient::connect(redis.port).expect("a connection");
    let mut room = ScriptRoom::new(256 << 20);
    let mut differences = Vec::new();
    for _ in 0..count.div_ceil(SNIPPETS_PER_SCRIPT) {
        let snippets: Vec<String> = (0..SNIPPETS_PER_SCRIPT)
            .map(|_| snippet(&mut generator))
            .collect();
        let script = script(&snippets);
        let theirs = match client.call(&["EVAL", &script, "0"]) {
            RawReply::Bulk(answer) => split(&answer),
            other => panic!("redis-server answered {other:?} to {script}"),
        };
        let ours = match room.run(script.as_bytes()) {
            Ok(answer) => split(&answer),
            Err(error) => panic!("{} for {script}", String::from_utf8_lossy(&error)),
        };
        assert_eq!(theirs.len(), snippets.len(), "{script}");
        assert_eq!(ours.len(), snippets.len(), "{script}");
        for ((snippet, theirs), ours) in snippets.iter().zip(theirs).zip(ours) {
            if theirs != ours {
                differences.push(format!("{snippet}\n  theirs: {theirs}\n  ours:   {ours}"));
            }
        }
        if differences.len() >= SHOWN {
            break;
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn cjson_encodes_as_in_redis() {
    same(Generator::cjson_encode);
}

#[test]
fn cjson_decodes_as_in_redis() {
    same(Generator::cjson_decode);
}

#[test]
fn cmsgpack_is_as_in_redis() {
    same(Generator::cmsgpack);
}

#[test]
fn struct_is_as_in_redis() {
    same(Generator::structs);
}

#[test]
fn bit_is_as_in_redis() {
    same(Generator::bit);
}

#[test]
fn lua_itself_is_as_in_redis() {
    same(Generator::base);
}
