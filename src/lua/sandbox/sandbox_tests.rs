use super::*;
use crate::lua::{Host, Meter, Raise};
use std::sync::Arc;

/// A sandbox as a host makes it, with a `redis` that has one function.
fn sandbox_with(limit: usize) -> State {
    let mut state = State::new(Arc::new(Meter::new(limit))).expect("memory");
    open(&mut state).expect("memory");
    state.push_table(0, 1);
    state.push_host_native(0);
    state.raw_set_field(-2, b"call");
    protect(&mut state);
    set_global(&mut state, b"redis");
    state.interrupt_every(10_000);
    state
}

/// Ends a script after so many interrupts.
struct Patient(usize);

impl Host for Patient {
    fn native(&mut self, _: u16, call: &mut Call<'_>) -> NativeResult {
        let arguments = call.top();
        call.push_number(f64::from(arguments));
        Ok(1)
    }

    fn interrupt(&mut self, _: &mut Call<'_>) -> Result<(), Raise> {
        if self.0 == 0 {
            return Err(Raise::text("killed"));
        }
        self.0 -= 1;
        Ok(())
    }
}

/// The result as text, or the error's text.
fn run(state: &mut State, text: &str) -> Result<String, String> {
    begin(state);
    state.interrupt_every(10_000);
    let mut host = Patient(100);
    state.with_host(&mut host, |stack| {
        error_handler(stack);
        let handler = stack.top();
        let done = stack
            .load(text.as_bytes(), c"@user_script")
            .and_then(|()| stack.call(0, 1, Some(handler)));
        if stack.kind(-1) == Kind::Table {
            stack.raw_get_field(-1, b"err");
        }
        let said = stack
            .coerced_bytes(-1)
            .map(|b| String::from_utf8_lossy(b).into_owned());
        let kind = stack.kind(-1);
        stack.set_top(handler - 1);
        let said = said.unwrap_or_else(|| kind.name().into());
        done.map(|()| said.clone()).map_err(|_| said)
    })
}

fn check(text: &str, expected: Result<&str, &str>) {
    let mut state = sandbox_with(0);
    let said = run(&mut state, text);
    let said = said.as_ref().map(String::as_str).map_err(String::as_str);
    assert_eq!(said, expected, "{text}");
}

#[test]
fn the_globals_are_those_of_redis() {
    let mut state = sandbox_with(0);
    let names = "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ')";
    assert_eq!(
        run(&mut state, names).as_deref(),
        Ok(
            "_G _VERSION __redis__err__handler assert bit cjson cmsgpack collectgarbage coroutine error gcinfo \
            getmetatable ipairs load loadstring math next os pairs pcall rawequal rawget rawset redis select \
            setmetatable string struct table tonumber tostring type unpack xpcall"
        )
    );
    let names = "local t = {} for k in next, os do t[#t + 1] = k end return table.concat(t, ' ')";
    assert_eq!(run(&mut state, names).as_deref(), Ok("clock"));
    for (library, functions) in [
        ("string", 15),
        ("table", 9),
        ("math", 31),
        ("coroutine", 6),
        ("cjson", 13),
        ("cmsgpack", 8),
        ("struct", 3),
        ("bit", 12),
    ] {
        let count = format!("local n = 0 for k in pairs({library}) do n = n + 1 end return n");
        assert_eq!(
            run(&mut state, &count),
            Ok(functions.to_string()),
            "{library}"
        );
    }
}

#[test]
fn what_is_shared_cannot_be_written_by_any_way() {
    let placed = Err("ERR user_script:1: Attempt to modify a readonly table");
    let bare = Err("ERR Attempt to modify a readonly table");
    for target in [
        "_G",
        "string",
        "table",
        "math",
        "os",
        "coroutine",
        "redis",
        "cjson",
        "cmsgpack",
        "struct",
        "bit",
        "getmetatable('')",
        "getmetatable(_G)",
    ] {
        for (write, expected) in [
            ("t.x = 1", &placed),
            ("t[1] = 1", &placed),
            ("t[{}] = 1", &placed),
            ("for k in pairs(t) do t[k] = nil end", &placed),
            ("rawset(t, 'x', 1)", &bare),
            ("rawset(t, next(t), nil)", &bare),
            ("setmetatable(t, {})", &bare),
            ("setmetatable(t, nil)", &bare),
            ("table.insert(t, 1)", &bare),
            ("table.insert(t, 1, 1)", &bare),
        ] {
            check(&format!("local t = {target} {write}"), *expected);
        }
        for harmless in [
            "assert(table.remove(t) == nil)",
            "table.sort(t)",
            "assert(#t == 0 and table.getn(t) == 0 and table.maxn(t) == 0)",
            "assert(table.concat(t) == '' and select('#', unpack(t)) == 0)",
            "for _ in ipairs(t) do error('an element') end",
        ] {
            check(
                &format!("local t = {target} {harmless} return 'ok'"),
                Ok("ok"),
            );
        }
    }
    check("x = 1", placed);
    check("function f() end", placed);
    check("string = nil", placed);
    check(
        "local s = '' s.x = 1",
        Err("ERR user_script:1: attempt to index local 's' (a string value)"),
    );
}

#[test]
fn missing_globals_are_errors() {
    let missing = |name: &str| {
        format!(
            "ERR user_script:1: Script attempted to access nonexistent global variable '{name}'"
        )
    };
    for name in [
        "x", "print", "dofile", "loadfile", "require", "module", "package", "debug", "io",
        "getfenv", "setfenv", "newproxy", "KEYS",
    ] {
        check(&format!("return {name}"), Err(&missing(name)));
    }
    check("return _G[1]", Err(&missing("1")));
    check("return _G[1.5]", Err(&missing("1.5")));
    check("return getmetatable(_G).__index(1, 2)", Err(&missing("2")));
    let not_a_name = "Second argument to luaProtectedTableError must be a string or number";
    check(
        "return _G[{}]",
        Err(&format!("ERR user_script:1: {not_a_name}")),
    );
    let arguments = "ERR user_script:1: Wrong number of arguments to luaProtectedTableError";
    check("return getmetatable(_G).__index(1)", Err(arguments));
    check("return tostring(rawget(_G, 'x'))", Ok("nil"));
    check("return tostring(string.x)", Ok("nil"));
}

#[test]
fn proxies_read_as_the_tables_behind_them() {
    check("return _G == _G._G and rawequal(_G._G, _G) and 1", Ok("1"));
    check(
        "return type(next(string)) .. type(rawget(string, 'format'))",
        Ok("stringfunction"),
    );
    check(
        "local n = 0 table.foreach(bit, function() n = n + 1 end) return n",
        Ok("12"),
    );
    check(
        "return tostring(getmetatable(string)) .. type(getmetatable(''))",
        Ok("niltable"),
    );
    check(
        "return getmetatable('').__index == string and ('x'):rep(3)",
        Ok("xxx"),
    );
    check(
        "return string.gsub('format', 'format', string) and 1",
        Err("ERR user_script:1: invalid replacement value (a function)"),
    );
    check("return next({}, 'x')", Err("ERR invalid key to 'next'"));
    check(
        "return cjson.encode(string)",
        Err("ERR user_script:1: Cannot serialise function: type not supported"),
    );
    check("return #cmsgpack.pack(bit)", Ok("80"));
    check(
        "return setmetatable({}, {__index = string}).len('four')",
        Ok("4"),
    );
    check(
        "return tostring(setmetatable({}, {__metatable = 7})) and getmetatable(setmetatable({}, {__metatable = 7}))",
        Ok("7"),
    );
    check(
        "setmetatable(setmetatable({}, {__metatable = 7}), {})",
        Err("ERR user_script:1: cannot change a protected metatable"),
    );
}

#[test]
fn no_table_behind_a_proxy_gets_out() {
    // Whatever a script can reach must refuse to be written.
    let walk = "local seen, queue, n = {}, {_G, getmetatable('')}, 0
        while #queue > 0 do
            local t = table.remove(queue)
            if not seen[t] then
                seen[t] = true
                n = n + 1
                assert(not pcall(function() t.probe = 1 end), 'written')
                assert(not pcall(rawset, t, 'probe', 1), 'written raw')
                for k, v in pairs(t) do
                    if type(v) == 'table' then queue[#queue + 1] = v end
                end
                local m = getmetatable(t)
                if m then queue[#queue + 1] = m end
            end
        end
        return n";
    check(walk, Ok("13"));
}

#[test]
fn settings_and_seeds_end_with_their_script() {
    let mut state = sandbox_with(0);
    // Redis's numbers after a start, and with the seed 0. They go on from script to script, but for a seed.
    let random = "return math.random(1e6)";
    assert_eq!(run(&mut state, random).as_deref(), Ok("396465"));
    let seeded = "math.randomseed(0) return math.random(1e6)";
    assert_eq!(run(&mut state, seeded).as_deref(), Ok("170829"));
    assert_eq!(run(&mut state, random).as_deref(), Ok("840486"));
    let set = "cjson.encode_max_depth(1) collectgarbage('stop') return cjson.encode_max_depth()";
    assert_eq!(run(&mut state, set).as_deref(), Ok("1"));
    assert_eq!(
        run(&mut state, "return cjson.encode_max_depth()").as_deref(),
        Ok("1000")
    );
    let own = "local mine = cjson.new() mine.encode_max_depth(1) return cjson.encode({{1}}) .. tostring(pcall(mine.encode, {{1}}))";
    assert_eq!(run(&mut state, own).as_deref(), Ok("[[1]]false"));
}

#[test]
fn pcall_gives_the_text_of_an_error_table() {
    check("return select(2, pcall(error, {err = 'text'}))", Ok("text"));
    check(
        "return type(select(2, pcall(error, {text = 1})))",
        Ok("table"),
    );
    check(
        "return select('#', pcall(function() return 1, nil, nil end))",
        Ok("4"),
    );
    check("return tostring(pcall(error))", Ok("false"));
    check(
        "pcall()",
        Err("ERR user_script:1: bad argument #1 to 'pcall' (value expected)"),
    );
}

#[test]
fn errors_are_tables_with_their_place() {
    let mut state = sandbox_with(0);
    error_handler(&mut state);
    for text in ["\nerror('no')", "\nstring.rep()", "\nlocal x = nil + 1"] {
        state
            .load(text.as_bytes(), c"@user_script")
            .expect("it compiles");
        state.call(0, 0, Some(1)).expect_err("it fails");
        state.raw_get_field(-1, b"line");
        assert_eq!(state.number(-1), Some(2.0), "{text}");
        state.raw_get_field(-2, b"source");
        assert_eq!(state.bytes(-1), Some(b"@user_script".as_slice()), "{text}");
        state.set_top(1);
    }
}

#[path = "break_tests.rs"]
mod breaks;
