use super::native::Native;
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn state(limit: usize) -> State {
    State::new(Arc::new(Meter::new(limit))).expect("memory for a state")
}

/// Runs a chunk with the natives given as globals; its result or error as text.
fn run(state: &mut Stack, text: &str) -> Result<String, String> {
    let top = state.top();
    let done = state
        .load(text.as_bytes(), c"@test")
        .and_then(|()| state.call(0, 1, None));
    let said = state
        .coerced_bytes(-1)
        .map(|b| String::from_utf8_lossy(b).into_owned())
        .unwrap_or_default();
    state.set_top(top);
    done.map(|()| said.clone()).map_err(|_| said)
}

fn global(state: &mut Stack, name: &str, native: impl Native) {
    state.push_globals();
    state.push_native(native);
    state.raw_set_field(-2, name.as_bytes());
    state.pop(1);
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn errors_and_panics_of_natives_run_destructors_and_can_be_caught() {
    let mut state = state(0);
    global(&mut state, "fails", |call: &mut Call<'_>| {
        let _held = Dropped;
        Err(call.error("no"))
    });
    global(&mut state, "panics", |_: &mut Call<'_>| {
        let _held = Dropped;
        panic!("of the test");
    });
    assert_eq!(run(&mut state, "fails()"), Err("test:1: no".into()));
    assert_eq!(run(&mut state, "\npanics()"), Err("internal error".into()));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
    assert_eq!(run(&mut state, "return 1 + 1"), Ok("2".into()));
}

#[test]
fn memory_over_the_limit_is_an_error_and_the_state_lives_on() {
    let mut state = state(1 << 20);
    let grows = "local t = {} for i = 1, 1e9 do t[i] = {} end";
    for _ in 0..3 {
        assert_eq!(run(&mut state, grows), Err("not enough memory".into()));
        assert!(state.meter().used() < 1 << 16, "{}", state.meter().used());
    }
    let doubles = "local s = 'x' while true do s = s .. s end";
    assert_eq!(run(&mut state, doubles), Err("not enough memory".into()));
    // A native's own allocations succeed, and count at its end.
    global(&mut state, "large", |call: &mut Call<'_>| {
        call.push_bytes(&vec![0; 2 << 20]);
        Ok(1)
    });
    assert_eq!(
        run(&mut state, "return #large()"),
        Err("not enough memory".into())
    );
    assert_eq!(run(&mut state, "return 'on'"), Ok("on".into()));
}

#[test]
fn no_memory_for_a_state_at_all() {
    assert!(State::new(Arc::new(Meter::new(100))).is_err());
}

#[test]
fn memory_is_all_given_back() {
    let meter = Arc::new(Meter::new(0));
    let mut state = State::new(meter.clone()).expect("memory");
    let made = run(
        &mut state,
        "local t = {} for i = 1, 1000 do t[i] = {i} end return #t",
    );
    assert_eq!(made, Ok("1000".into()));
    assert!(meter.used() > 0);
    drop(state);
    assert_eq!(meter.used(), 0);
}

struct Counting {
    interrupts: usize,
    stop_at: usize,
}

impl Host for Counting {
    fn native(&mut self, number: u16, call: &mut Call<'_>) -> NativeResult {
        call.push_number(f64::from(number));
        Ok(1)
    }

    fn interrupt(&mut self, _: &mut Call<'_>) -> Result<(), Raise> {
        self.interrupts += 1;
        if self.interrupts >= self.stop_at {
            return Err(Raise::text("killed"));
        }
        Ok(())
    }
}

#[test]
fn an_endless_loop_is_interrupted_wherever_it_hides() {
    let mut state = state(0);
    state.interrupt_every(1000);
    global(&mut state, "catch", |call: &mut Call<'_>| {
        let arguments = call.top() - 1;
        let done = call.call(arguments, 0, None);
        call.push_boolean(done.is_ok());
        Ok(1)
    });
    for endless in [
        "while true do end",
        "local function f() return f() end f()",
        "while true do catch(function() while true do end end) end",
    ] {
        let mut host = Counting {
            interrupts: 0,
            stop_at: 10,
        };
        let said = state.with_host(&mut host, |stack| run(stack, endless));
        assert_eq!(said, Err("killed".into()), "{endless}");
        state.interrupt_every(1000);
    }
}

#[test]
fn natives_of_the_host_know_their_number_and_need_a_host() {
    let mut state = state(0);
    state.push_globals();
    for (name, number) in [("a", 7), ("b", 300)] {
        state.push_host_native(number);
        state.raw_set_field(-2, name.as_bytes());
    }
    state.pop(1);
    let mut host = Counting {
        interrupts: 0,
        stop_at: 1,
    };
    let said = state.with_host(&mut host, |stack| run(stack, "return a() .. ' ' .. b()"));
    assert_eq!(said, Ok("7 300".into()));
    assert!(run(&mut state, "a()").is_err());
}

#[test]
fn compiled_code_is_refused() {
    let mut state = state(0);
    let mut compiled = ffi_signature();
    compiled.extend_from_slice(b"Q\0\x01\x04\x08\x04\x08\0");
    assert_eq!(state.load(&compiled, c"@test"), Err(Failure::Syntax));
    let said = String::from_utf8_lossy(state.bytes(-1).expect("an error")).into_owned();
    assert_eq!(said, "test:1: unexpected symbol near 'char(27)'");
}

fn ffi_signature() -> Vec<u8> {
    mlua_sys::LUA_SIGNATURE.to_vec()
}

#[test]
fn recursion_without_end_is_an_error() {
    let mut state = state(0);
    for deep in [
        "local function f() return 1 + f() end return f()",
        "local t = setm(function(t) return t.x end) return t.x",
        &format!("return {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
    ] {
        global(&mut state, "setm", |call: &mut Call<'_>| {
            call.push_table(0, 0);
            call.push_table(0, 1);
            call.push_value(1);
            call.raw_set_field(-2, b"__index");
            call.set_metatable(-2);
            Ok(1)
        });
        let said = run(&mut state, deep).expect_err("it has no end");
        assert!(
            said.contains("overflow") || said.contains("levels"),
            "{said}"
        );
    }
}

#[test]
fn a_state_moves_between_threads() {
    let mut state = state(0);
    let moved = std::thread::spawn(move || run(&mut state, "return 'there'"));
    assert_eq!(moved.join().expect("no panic"), Ok("there".into()));
}
