use std::sync::Arc;

use crate::lua::{Host, Meter, NativeResult, Raise, Stack, State};

use mlua_sys as ffi;

/// A state with Lua's own functions in `string` and ours in `ours`.
fn both() -> State {
    let mut state = State::new(Arc::new(Meter::new(64 << 20))).expect("memory");
    for open in [ffi::luaopen_base, ffi::luaopen_string, ffi::luaopen_table] {
        state.push_raw(open);
        state.push_bytes(b"string");
        state.call(1, 0, None).expect("memory");
    }
    state.push_globals();
    state.push_table(0, 4);
    let ours = state.top();
    super::replace(&mut state, ours);
    state.raw_set_field(-2, b"ours");
    state.pop(1);
    state
}

fn run(stack: &mut Stack, text: &str) -> Result<String, String> {
    let top = stack.top();
    let done = stack
        .load(text.as_bytes(), c"=t")
        .and_then(|()| stack.call(0, 1, None));
    let said = stack.coerced_bytes(-1).unwrap_or_default().to_vec();
    stack.set_top(top);
    let said = String::from_utf8_lossy(&said).into_owned();
    done.map(|()| said.clone()).map_err(|_| said)
}

const SHOW: &str = "
    local function show(...)
        local parts = {}
        for i = 1, select('#', ...) do parts[i] = type((select(i, ...))) .. ':' .. tostring((select(i, ...))) end
        return table.concat(parts, ' ')
    end
    local function try(library)
        return show(pcall(function() BODY end))
    end
    local theirs, mine = try(string), try(ours)
    if theirs ~= mine then return 'theirs ' .. theirs .. '\\nours   ' .. mine end
    return 'same'";

struct Snippets(fastrand::Rng);

impl Snippets {
    fn of(&mut self, parts: &[&str], most: usize) -> String {
        (0..self.0.usize(0..=most))
            .map(|_| parts[self.0.usize(0..parts.len())])
            .collect()
    }

    fn pattern(&mut self) -> String {
        const PARTS: &[&str] = &[
            "a",
            "b",
            "x",
            ".",
            "%a",
            "%d",
            "%s",
            "%W",
            "%z",
            "[ab]",
            "[^a]",
            "[a-c]",
            "[%d_]",
            "[]]",
            "[^]]",
            "[a-]",
            "*",
            "+",
            "-",
            "?",
            "(",
            ")",
            "()",
            "(a",
            "b)",
            "%1",
            "%2",
            "%b()",
            "%bxx",
            "%f[%w]",
            "%f[^a]",
            "^",
            "$",
            "%",
            "%.",
            "\\\\0",
            "[",
            "]",
            "%f",
            "%b",
            "\\\\200",
            "[\\\\1-\\\\255]",
            "a*",
            "b-",
            ".-",
            "x?",
            "(.)",
            "(.-)",
        ];
        self.of(PARTS, 6).replace("\\\\", "\\")
    }

    fn text(&mut self) -> String {
        const PARTS: &[&str] = &[
            "a", "b", "c", "x", "ab", "xx", "(", ")", "1", " ", "_", "\\0", "\\200", "]", "-", "%",
            "aaa", "\\11",
        ];
        self.of(PARTS, 12)
    }

    fn body(&mut self) -> String {
        let (text, pattern) = (self.text(), self.pattern());
        let number = self.0.i32(-4..14);
        match self.0.u8(0..8) {
            0 => format!("return library.find('{text}', '{pattern}', {number})"),
            1 => format!("return library.find('{text}', '{pattern}', {number}, true)"),
            2 => format!("return library.match('{text}', '{pattern}')"),
            3 => format!("return library.match('{text}', '{pattern}', {number})"),
            4 => format!(
                "local all = {{}} for a, b in library.gmatch('{text}', '{pattern}') do
                    all[#all + 1] = show(a, b) if #all > 50 then break end end return table.concat(all, '|')"
            ),
            5 => {
                const PARTS: &[&str] = &["r", "%0", "%1", "%2", "%%", "%", "x%", "%a"];
                let template = self.of(PARTS, 3);
                format!("return library.gsub('{text}', '{pattern}', '{template}')")
            }
            6 => format!(
                "return library.gsub('{text}', '{pattern}', function(...) if select('#', ...) > 1 then return show(...) end
                    if ... == 'a' then return end return '<' .. tostring(...) .. '>' end, {number})"
            ),
            _ => {
                let table = ["{a = 1, b = 'two', x = false}", "setmetatable({}, {__index = function(t, k) return k .. k end})", "{a = {}}", "5", "true"]
                    [self.0.usize(0..5)];
                format!("return library.gsub('{text}', '{pattern}', {table})")
            }
        }
    }
}

#[test]
fn matches_are_those_of_lua() {
    let mut state = both();
    let mut snippets = Snippets(fastrand::Rng::with_seed(2));
    for _ in 0..8000 {
        let body = snippets.body();
        let said = run(&mut state, &SHOW.replace("BODY", &body));
        assert_eq!(said.as_deref(), Ok("same"), "{body}");
    }
}

struct Impatient(usize);

impl Host for Impatient {
    fn native(&mut self, _: u16, _: &mut crate::lua::Call<'_>) -> NativeResult {
        Ok(0)
    }

    fn interrupt(&mut self, _: &mut crate::lua::Call<'_>) -> Result<(), Raise> {
        self.0 += 1;
        if self.0 > 20 {
            return Err(Raise::text("killed"));
        }
        Ok(())
    }
}

#[test]
fn a_match_that_would_take_years_is_interrupted() {
    let mut state = both();
    for endless in [
        "return ours.find(('a'):rep(1000), ('a*'):rep(30) .. 'b')",
        "return ours.match(('a'):rep(1000), ('a-'):rep(30) .. 'b')",
        "return ours.gsub(('a'):rep(1000), ('a?'):rep(150) .. ('a*'):rep(40) .. 'b', '')",
        "return ours.find(('('):rep(1000000), ('%b()'))",
        "for m in ours.gmatch(('a'):rep(10000), '.-.-.-b') do end",
    ] {
        let mut host = Impatient(0);
        let said = state.with_host(&mut host, |stack| run(stack, endless));
        assert_eq!(said, Err("killed".into()), "{endless}");
    }
}

#[test]
fn a_pattern_recurses_so_deep_at_most() {
    let mut state = both();
    let complex = Err("t:1: pattern too complex".to_string());
    for deep in ["x?", "x*", "x-", "()"] {
        let text = format!("return ours.find(('x'):rep(1000000), ('{deep}'):rep(1000000) .. 'y')");
        let said = run(&mut state, &text);
        let captures = Err("t:1: too many captures".to_string());
        assert!(said == complex || said == captures, "{deep}: {said:?}");
    }
    assert_eq!(
        run(
            &mut state,
            "return ours.match(('ab'):rep(1000), '^(' .. ('ab'):rep(999) .. ')') and 1"
        )
        .as_deref(),
        Ok("1")
    );
}
