//! The kinds of break that were published for Redis's Lua, tried here.

use super::*;

/// It may fail, or not; afterwards the state is as good as before.
fn survives(state: &mut State, text: &str) {
    let _ = run(state, text);
    let sane = "local t = {} for i = 1, 100 do t[i] = {tostring(i)} end collectgarbage()
        return #t .. ('x'):rep(3) .. cjson.encode({1})";
    assert_eq!(run(state, sane).as_deref(), Ok("100xxx[1]"), "after {text}");
}

/// CVE-2022-24735: what one user's script leaves for another's.
#[test]
fn nothing_of_a_script_is_seen_by_the_next() {
    let mut state = sandbox_with(0);
    for trap in [
        "getmetatable('').__index = function() return 'trap' end",
        "string.rep = function() return 'trap' end",
        "rawset(string, 'rep', function() return 'trap' end)",
        "getmetatable(_G).__index = function() return 'trap' end",
        "setmetatable(string, {__index = function() return 'trap' end})",
        "redis.call = function() return 'trap' end",
        "cjson.decode = nil",
        "table.insert(_G, 'trap')",
        "_G.trap = 1",
        "setmetatable(_G, nil) trap = 1",
        "loadstring('trap = 1')()",
        "coroutine.wrap(function() trap = 1 end)()",
    ] {
        assert!(run(&mut state, trap).is_err(), "{trap}");
        let seen = "return ('x'):rep(2) .. redis.call(1, 2) .. tostring(rawget(_G, 'trap'))";
        assert_eq!(run(&mut state, seen).as_deref(), Ok("xx2nil"), "{trap}");
        assert_eq!(
            run(&mut state, "return cjson.decode('1')").as_deref(),
            Ok("1"),
            "{trap}"
        );
    }
}

/// CVE-2025-46818: metatables of the basic types are one for all scripts.
#[test]
fn basic_types_have_no_metatable_to_share() {
    for value in [
        "nil",
        "true",
        "1",
        "print_",
        "function() end",
        "cjson.null",
        "coroutine.create(function() end)",
    ] {
        let value = value.replace("print_", "next");
        check(
            &format!("return tostring(getmetatable({value}))"),
            Ok("nil"),
        );
        let problem = format!("return (pcall(setmetatable, {value}, {{}})) and 1 or 0");
        check(&problem, Ok("0"));
    }
}

/// CVE-2024-46981: finalizers, and what the collector meets.
#[test]
fn scripts_have_no_finalizers() {
    let mut state = sandbox_with(0);
    let mut host = Patient(1);
    let text = "local ran = 0
        for i = 1, 100 do setmetatable({}, {__gc = function() ran = ran + 1 end}) end
        collectgarbage() collectgarbage() return ran";
    assert_eq!(run(&mut state, text).as_deref(), Ok("0"));
    survives(&mut state, "return newproxy(true)");
    state.with_host(&mut host, |stack| stack.collect_all());
}

/// Compiled code, which can do anything: by text, by pieces, behind what is skipped.
#[test]
fn compiled_code_is_never_loaded() {
    let dump = "local c = string.dump(function() return 'ran' end) ";
    for way in [
        "return loadstring(c)",
        "return loadstring(c, '@x')",
        "local n = 0 return load(function() n = n + 1 if n == 1 then return c end end)",
        "local n = 0 return load(function() n = n + 1 return n <= #c and c:sub(n, n) or nil end)",
        "return loadstring('#!x\\n' .. c)",
        "return loadstring(' ' .. c)",
    ] {
        check(
            &format!("{dump} local f = (function() {way} end)() return tostring(f)"),
            Ok("nil"),
        );
    }
    check(
        "return select(2, loadstring('\\27Lua'))",
        Ok("[string \"\x1bLua\"]:1: unexpected symbol near 'char(27)'"),
    );
    check(
        "return load(function() return nil end)() or 'empty'",
        Ok("empty"),
    );
    let pieces =
        "local p, n = {'return ', '4', '2'}, 0 return load(function() n = n + 1 return p[n] end)()";
    check(pieces, Ok("42"));
    check(
        "return select(2, load(function() return {} end)).err",
        Ok("ERR user_script:1: reader function must return a string"),
    );
    check(
        "return select(2, load(function() error('mine', 0) end)).err",
        Ok("ERR mine"),
    );
}

/// CVE-2025-49844 and 2025-46819: the compiler's own text freed while it reads, and counts that overflow.
#[test]
fn the_compiler_keeps_its_chunk_name() {
    let mut state = sandbox_with(0);
    for name in ["nil", "'=' .. ('n'):rep(50)", "'a\\0b'", "7"] {
        let text = format!(
            "for i = 1, 50 do
                local n = 0
                local f, e = load(function()
                    n = n + 1
                    collectgarbage()
                    for j = 1, 100 do local s = ('s'):rep(j) .. i end
                    if n < 20 then return 'local a' .. n .. ' = \"' .. ('t'):rep(n) .. i .. '\" ' end
                    if n == 20 then return i % 2 == 0 and 'return error(1)' or '!' end
                end, {name})
                if f then pcall(f) end
            end return 'done'"
        );
        assert_eq!(run(&mut state, &text).as_deref(), Ok("done"), "{name}");
    }
    survives(
        &mut state,
        "return loadstring('[' .. ('='):rep(1000000) .. '[')",
    );
    survives(&mut state, "return loadstring('--[' .. ('='):rep(1000000))");
}

/// CVE-2015-8080 and its like: lengths that overflow, in `struct`, `bit`, `cmsgpack`, `unpack`, `cjson`.
#[test]
fn sizes_that_overflow_are_errors() {
    let mut state = sandbox_with(64 << 20);
    for text in [
        "return struct.pack('>I2147483648', '10')",
        "return struct.unpack('>I2147483647', 'x')",
        "return struct.pack('c2147483647', 'x')",
        "return struct.unpack('c0', 'x')",
        "return struct.unpack('Bc0', '\\255')",
        "return struct.unpack('c4294967296', 'x')",
        "return struct.unpack('i4', 'abcd', -1)",
        "return struct.unpack('!4i4', 'abcdefgh', -1)",
        "return struct.unpack('i4', 'abcd', 2^53)",
        "return struct.size('!1073741824i32c2147483647c2147483647c2147483647c2147483647')",
        "return struct.pack(('c2147483647'):rep(100), 'x')",
        "return bit.tohex(65535, -2147483648)",
        "return bit.tohex(65535, 2147483647)",
        "return unpack({1, 2, 3}, -2, 2147483647)",
        "return unpack({1, 2, 3}, 0, 2147483647)",
        "return unpack({1, 2, 3}, -2147483648, 2147483647)",
        "return unpack({}, 1, 7999)",
        "return cmsgpack.unpack(('\\145'):rep(100000))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255\\1')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255x')",
        "return cmsgpack.unpack_limit('\\1', 2^40, 2^40)",
        "return cmsgpack.unpack(('\\1'):rep(10000))",
        "return cmsgpack.pack(unpack({}, 1, 7000))",
        "local t = {} t[1] = t return cmsgpack.pack(t)",
        "local t = {} t[1] = t return cjson.encode(t)",
        "cjson.encode_max_depth(2147483647) local t = {} t[1] = t return cjson.encode(t)",
        "cjson.decode_max_depth(2147483647) return cjson.decode(('['):rep(1000000))",
        "cjson.encode_sparse_array(true, 0, 0) return cjson.encode({[2147483647] = 1})",
        "return cjson.encode({[2147483648] = 1, [1e300] = 2})",
        "return cjson.encode(('\\1'):rep(10000000))",
        "return cjson.decode('\"\\\\u')",
        "return cjson.decode('\"\\\\ud800\\\\u')",
        "return cjson.decode('\"\\\\')",
        "return string.rep('x', 2147483647)",
        "return string.rep('', 2147483647)",
        "return ('x'):rep(1e6):rep(1e6)",
        "return string.format('%99.99f', 1.7e308)",
        "return string.format('%s', ('x'):rep(1e6)):len()",
        "return table.concat({}, 'x', 1, 2147483647)",
        "return table.concat({}, 'x', -2147483648, 2147483647)",
        "return ('x'):byte(-2147483648, 2147483647)",
        "return string.char(unpack({}, 1, 7000))",
        "local t = {} table.insert(t, -2147483648, 1)",
        "return math.random(-2147483648, 2147483647)",
        "return collectgarbage('step', 2147483647)",
        "return select(-2147483648, 1)",
        "return tonumber('9', 2147483647)",
    ] {
        survives(&mut state, text);
    }
    assert_eq!(
        run(&mut state, "return bit.tohex(65535, -2147483648)").as_deref(),
        Ok("0000FFFF")
    );
    assert!(run(&mut state, "return unpack({1, 2, 3}, -2, 2147483647)").is_err());
}

/// CVE-2021-32626 and its like: the stack's room, in the processor and in Lua.
#[test]
fn recursion_of_every_kind_ends() {
    let mut state = sandbox_with(64 << 20);
    let deep_parameters: Vec<String> = (0..200).map(|n| format!("a{n}")).collect();
    let deep_parameters = deep_parameters.join(",");
    for text in [
        "local function f() return 1 + f() end return f()".to_string(),
        "local function f() return pcall(f) end return f()".to_string(),
        "local function f() coroutine.wrap(f)() end f()".to_string(),
        "local function f() return loadstring('return ...')(f()) end return f()".to_string(),
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x".to_string(),
        "local t = {} setmetatable(t, {__index = t}) return t.x".to_string(),
        "local function f() return ('x'):gsub('x', f) end f()".to_string(),
        "local function f(a, b) table.sort({3, 2, 1}, f) return a < b end f(1, 2)".to_string(),
        "return loadstring('return ' .. ('('):rep(100000) .. '1' .. (')'):rep(100000))".to_string(),
        "return loadstring(('do '):rep(100000))".to_string(),
        format!("local function f({deep_parameters}, ...) return f() end return pcall(f)"),
        format!("local function f(n, {deep_parameters}, ...) if n > 0 then return 1 + f(n - 1) end return 0 end return f(5000)"),
        "local s = {} for i = 1, 7000 do s[i] = i end local function f(...) return select('#', ...) end return f(unpack(s))".to_string(),
        "local co co = coroutine.create(function() coroutine.resume(co) end) return coroutine.resume(co)".to_string(),
        "return xpcall(function() error() end, function() error() end)".to_string(),
        "local e = setmetatable({}, {__tostring = function() error({}) end}) error(e)".to_string(),
        "return ('%a'):format(1)".to_string(),
        "return ('x'):rep(1e6):find(('x?'):rep(1e6))".to_string(),
        "return ('x'):rep(1e6):gsub(('x-'):rep(1e6), 'y')".to_string(),
        "return ('x'):rep(1e6):match(('()'):rep(1e6))".to_string(),
        "for m in ('x'):rep(1e6):gmatch(('x*'):rep(1e6)) do end".to_string(),
    ] {
        survives(&mut state, &text);
    }
}

#[test]
fn patterns_recurse_so_deep_at_most() {
    check("return ('x'):rep(300):find(('x?'):rep(199))", Ok("1"));
    check(
        "return ('x'):rep(300):find(('x?'):rep(200))",
        Err("ERR user_script:1: pattern too complex"),
    );
    check(
        "return ('?'):rep(300):find(('?'):rep(300), 1, true)",
        Ok("1"),
    );
}

/// CVE-2020-14147, 2018-11218, 2018-11219: the libraries' buffers and stacks, at their largest.
#[test]
fn libraries_work_at_their_largest() {
    check(
        "return #struct.pack(('i'):rep(200), unpack({}, 1, 0)) ",
        Err("ERR user_script:1: bad argument #2 to 'pack' (number expected, got nil)"),
    );
    check(
        "return select('#', struct.unpack(('b'):rep(7000), ('x'):rep(7000)))",
        Ok("7001"),
    );
    check(
        "return struct.unpack(('b'):rep(9000), ('x'):rep(9000))",
        Err("ERR user_script:1: stack overflow (too many results)"),
    );
    check("return #cmsgpack.pack(('x'):rep(70000))", Ok("70005"));
    check(
        "local t = {} for i = 1, 70000 do t[i] = i % 2 end return #cmsgpack.pack(t)",
        Ok("70005"),
    );
    check(
        "local t = {} for i = 1, 17 do t = {t} end return #cmsgpack.pack(t)",
        Ok("17"),
    );
    check("return #cjson.encode(('x'):rep(1000000))", Ok("1000002"));
    check(
        "local t = 1 for i = 1, 1000 do t = {t} end return #cjson.encode(t)",
        Ok("2001"),
    );
}

/// CVE-2022-24736 and its like: texts that compilers choke on.
#[test]
fn odd_scripts_are_errors() {
    let mut state = sandbox_with(16 << 20);
    let mut rng = fastrand::Rng::with_seed(11);
    let words = [
        "local ",
        "function ",
        "end ",
        "return ",
        "x",
        "=",
        "(",
        ")",
        "{",
        "}",
        "[[",
        "]]",
        "\"",
        "'",
        "..",
        "...",
        "~=",
        "1e",
        "0x",
        "--",
        "--[[",
        "goto ",
        "nil ",
        "#",
        "and ",
        "for ",
        "in ",
        "do ",
        "\n",
        "\0",
        ":",
        ";",
        "\\",
    ];
    for _ in 0..3000 {
        let text: String = (0..rng.usize(1..30))
            .map(|_| words[rng.usize(0..words.len())])
            .collect();
        let _ = run(&mut state, &text);
    }
    survives(&mut state, "return 1");
}

/// A limit that is met in the middle of anything is an error, and the state lives on.
#[test]
fn memory_is_bounded() {
    let mut state = sandbox_with(8 << 20);
    for text in [
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(2^30)",
        "local s = ('x'):rep(2^20) return s:rep(7) .. s:rep(7)",
        "local t = {} for i = 1, 1e7 do t[i] = i end",
        "return cjson.decode('[' .. ('[],'):rep(1000000) .. '1]')",
        "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1000) end local u = {} for i = 1, 100 do u[i] = t end return cjson.encode(u)",
        "return cmsgpack.unpack('\\221\\0\\255\\255\\255' .. ('\\144'):rep(2^20))",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "return table.concat({('x'):rep(2^21), ('y'):rep(2^21), ('z'):rep(2^21)})",
        "return ('x'):rep(2^21):gsub('x', 'yyyy')",
        "while true do pcall(string.rep, 'x', 2^30) local t = {} t[1] = t end",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end",
    ] {
        let said = run(&mut state, text).expect_err("it cannot be");
        assert!(
            said.contains("not enough memory")
                || said.contains("overflow")
                || said.contains("killed"),
            "{text}: {said}"
        );
        assert!(state.meter().used() < 8 << 20);
        survives(&mut state, "return 1");
    }
}

/// CVE-2022-24834: texts so long that what they are encoded in has another size than was counted.
#[test]
fn encoded_texts_are_as_long_as_they_are() {
    check(
        "local s = cjson.encode(('\\1'):rep(3000000)) return #s .. s:sub(-7)",
        Ok("18000002\\u0001\""),
    );
    check(
        "local s = ('\\\\\"'):rep(1000000) return tostring(cjson.decode(cjson.encode(s)) == s)",
        Ok("true"),
    );
    check(
        "local s = ('\\1'):rep(1000000) return tostring(cmsgpack.unpack(cmsgpack.pack(s, s)) == s)",
        Ok("true"),
    );
    let mut state = sandbox_with(64 << 20);
    for text in [
        "return cjson.encode(('\\1'):rep(2^25))",
        "return cjson.encode({('\\1'):rep(2^22), ('\\1'):rep(2^22), ('\\1'):rep(2^22)})",
        "local s = ('x'):rep(2^24) return cmsgpack.pack(s, s, s, s)",
    ] {
        let said = run(&mut state, text).expect_err("it is over the limit");
        assert!(said.contains("not enough memory"), "{text}: {said}");
        survives(&mut state, "return 1");
    }
}

/// Nor does work that runs no instructions.
#[test]
fn long_work_of_one_function_ends() {
    let mut state = sandbox_with(0);
    for text in [
        "local t = {} for i = 1, 200000 do t[i] = (i * 7919) % 200003 end table.sort(t) return 'not seen'",
        "return select(2, loadstring(('x = x + 1 '):rep(2000000))) or 'not seen'",
    ] {
        let said = run(&mut state, text).unwrap_or_else(|said| said);
        assert!(said.ends_with("killed"), "{text}: {said}");
    }
}

/// No loop hides from the interrupt.
#[test]
fn endless_loops_end() {
    let mut state = sandbox_with(16 << 20);
    for text in [
        "while true do end",
        "repeat until false",
        "for i = 1, math.huge do end",
        "while true do pcall(error) end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "('x'):gsub('x', function() while true do end end)",
        "load(function() while true do end end)",
        "xpcall(error, function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "while true do ('x'):rep(1000) end",
        "table.insert({}, -2147483648, 1)",
        "('a'):rep(1000):find(('a*'):rep(30) .. 'b')",
    ] {
        let said = run(&mut state, text).expect_err("it has no end");
        assert!(said.ends_with("killed"), "{text}: {said}");
    }
}
