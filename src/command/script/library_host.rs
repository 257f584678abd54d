//! Loading a library: its code runs once in each Lua state, to register its functions.
//!
//! What it sees while it is loaded is the table `redis` with `register_function`, `log` and the version, and nothing
//! else: no library of Lua's and no command. Its functions see what scripts see. Both is the environment of the one
//! chunk, so what that reads from is exchanged around the load ([`Environment`]).

use std::collections::BTreeMap;

use crate::lua::{Call, Host, Kind, NativeResult, Raise, Reference, Stack, sandbox};
use crate::node_core::NodeCore;
use crate::script::flags::ScriptFlags;
use crate::script::library::Function;

use super::api;
use super::host::{LOG, REGISTER_FUNCTION, log, raise};

/// How long a library's code may run, milliseconds, as in Redis.
const LOAD_MS_MAX: u64 = 500;

/// The environment of libraries' code in one Lua state.
pub(super) struct Environment {
    /// What the code has for its globals: a proxy.
    proxy: Reference,
    /// The metatable that says where it reads from.
    reads_from: Reference,
    /// While it is loaded, and while its functions run.
    loading: Reference,
    running: Reference,
}

impl Environment {
    /// Of a state whose globals are complete.
    pub(super) fn new(stack: &mut Stack) -> Environment {
        stack.push_globals();
        let running = stack.reference();
        stack.push_table(0, 1);
        api::push_load_api(stack);
        sandbox::protect(stack);
        stack.raw_set_field(-2, b"redis");
        stack.raw_get_field(-1, b"redis");
        stack.raw_set_field(-2, b"server");
        api::make_missing_an_error(stack);
        let loading = stack.reference();
        // An empty table that reads from one of both; a proxy before it, so that nobody writes into it.
        stack.push_table(0, 0);
        stack.push_table(0, 1);
        stack.push_value(-1);
        let reads_from = stack.reference();
        stack.set_metatable(-2);
        sandbox::protect(stack);
        let proxy = stack.reference();
        Environment {
            proxy,
            reads_from,
            loading,
            running,
        }
    }

    fn read_from(&self, stack: &mut Stack, is_loading: bool) {
        stack.push_reference(&self.reads_from);
        stack.push_reference(if is_loading {
            &self.loading
        } else {
            &self.running
        });
        stack.raw_set_field(-2, b"__index");
        stack.pop(1);
    }

    /// Runs a library's code. What it has registered, or the error.
    pub(super) fn load(
        &self,
        state: &mut crate::lua::State,
        node: &NodeCore,
        code: &[u8],
        is_timed: bool,
    ) -> Result<BTreeMap<String, (Function, Reference)>, String> {
        let mut host = LoadHost {
            node,
            until_us: is_timed.then(|| node.clock.monotonic_us() + LOAD_MS_MAX * 1000),
            registered: BTreeMap::new(),
        };
        let loaded = state.with_host(&mut host, |stack| {
            stack.set_top(0);
            self.read_from(stack, true);
            let loaded = self.run(stack, code);
            self.read_from(stack, false);
            stack.set_top(0);
            loaded
        });
        match loaded {
            Ok(()) => Ok(host.registered),
            Err(error) => {
                for (_, reference) in host.registered.into_values() {
                    state.unreference(reference);
                }
                Err(error)
            }
        }
    }

    fn run(&self, stack: &mut Stack, code: &[u8]) -> Result<(), String> {
        let told = |stack: &mut Stack| {
            if stack.kind(-1) == Kind::Table {
                stack.raw_get_field(-1, b"err");
                let text = stack.coerced_bytes(-1).unwrap_or_default();
                return crate::resp::reply::error_text(text);
            }
            let text = stack.coerced_bytes(-1).unwrap_or_default();
            crate::resp::reply::error_text(text)
        };
        if stack.load(code, c"@user_function").is_err() {
            return Err(format!("Error compiling function: {}", told(stack)));
        }
        stack.push_reference(&self.proxy);
        stack.set_environment(-2);
        match stack.call(0, 0, None) {
            Ok(()) => Ok(()),
            Err(_) => {
                // An error that is a text has no code yet.
                let code = match stack.kind(-1) {
                    Kind::Table => "",
                    _ => "ERR ",
                };
                Err(format!(
                    "Error registering functions: {code}{}",
                    told(stack)
                ))
            }
        }
    }
}

/// What a library's code sees of the node.
struct LoadHost<'a> {
    node: &'a NodeCore,
    until_us: Option<u64>,
    registered: BTreeMap<String, (Function, Reference)>,
}

impl Host for LoadHost<'_> {
    fn native(&mut self, number: u16, call: &mut Call<'_>) -> NativeResult {
        match number {
            REGISTER_FUNCTION => self.register(call),
            LOG => log(call),
            _ => Err(raise(call, "unknown function of the host")),
        }
    }

    fn interrupt(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        let now_us = self.node.clock.monotonic_us();
        if self.until_us.is_some_and(|until_us| now_us > until_us)
            || self.node.lifecycle.is_closed()
        {
            if !call.reserve(4) {
                return Err(Raise::text("ERR FUNCTION LOAD timeout"));
            }
            super::replies::push_error(call, b"ERR FUNCTION LOAD timeout", false);
            return Err(Raise::Value);
        }
        Ok(())
    }
}

impl LoadHost<'_> {
    fn register(&mut self, call: &mut Call<'_>) -> NativeResult {
        let given = match call.top() {
            1 => named_arguments(call),
            2 => positional_arguments(call),
            _ => Err("wrong number of arguments to redis.register_function".into()),
        };
        let given = match given {
            Ok(given) => given,
            Err(text) => return Err(raise(call, &text)),
        };
        let function = match Function::new(&given.name, given.description, given.flags) {
            Ok(function) => function,
            Err(error) => return Err(raise(call, &error.0)),
        };
        if self.registered.contains_key(&*function.name) {
            return Err(raise(call, "Function already exists in the library"));
        }
        call.push_value(given.callback);
        let reference = call.reference();
        self.registered
            .insert(function.name.to_string(), (function, reference));
        Ok(0)
    }
}

/// What a function is registered with; its callback is on the stack.
struct Given {
    name: Vec<u8>,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
    callback: i32,
}

fn positional_arguments(call: &mut Call<'_>) -> Result<Given, String> {
    let name =
        text_at(call, 1).ok_or("first argument to redis.register_function must be a string")?;
    if call.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function".into());
    }
    Ok(Given {
        name,
        description: None,
        flags: ScriptFlags::NONE,
        callback: 2,
    })
}

/// A string's bytes, or a number's.
fn text_at(call: &mut Call<'_>, index: i32) -> Option<Vec<u8>> {
    match call.kind(index) {
        Kind::String => call.bytes(index).map(<[u8]>::to_vec),
        Kind::Number => {
            // A copy is made a text, so that a key of an iteration stays what it is.
            call.push_value(index);
            let text = call.coerced_bytes(-1).map(<[u8]>::to_vec);
            call.pop(1);
            text
        }
        _ => None,
    }
}

fn named_arguments(call: &mut Call<'_>) -> Result<Given, String> {
    if call.kind(1) != Kind::Table {
        return Err("calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).".into());
    }
    let (mut name, mut description, mut flags) = (None, None, ScriptFlags::NONE);
    // At 2: the callback.
    call.push_nil();
    call.push_nil();
    while call.next(1) {
        let Some(key) = text_at(call, -2) else {
            return Err(
                "named argument key given to redis.register_function is not a string".into(),
            );
        };
        match &key.to_ascii_lowercase()[..] {
            b"function_name" => {
                name = Some(text_at(call, -1).ok_or(
                    "function_name argument given to redis.register_function must be a string",
                )?);
            }
            b"description" => {
                description = Some(text_at(call, -1).ok_or(
                    "description argument given to redis.register_function must be a string",
                )?);
            }
            b"callback" => {
                if call.kind(-1) != Kind::Function {
                    return Err(
                        "callback argument given to redis.register_function must be a function"
                            .into(),
                    );
                }
                call.push_value(-1);
                call.replace(2);
            }
            b"flags" => {
                if call.kind(-1) != Kind::Table {
                    return Err("flags argument to redis.register_function must be a table representing function flags".into());
                }
                flags = read_flags(call).ok_or("unknown flag given")?;
            }
            _ => return Err("unknown argument given to redis.register_function".into()),
        }
        call.pop(1);
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    if call.kind(2) != Kind::Function {
        return Err("redis.register_function must get a callback argument".into());
    }
    Ok(Given {
        name,
        description,
        flags,
        callback: 2,
    })
}

/// The flags that the list on top names.
fn read_flags(call: &mut Call<'_>) -> Option<ScriptFlags> {
    let mut flags = ScriptFlags::NONE;
    for element in 1..i32::MAX {
        call.raw_get_index(-1, element);
        if call.kind(-1) == Kind::Nil {
            call.pop(1);
            break;
        }
        let name = text_at(call, -1);
        call.pop(1);
        let flag = ScriptFlags::by_name(&name?.to_ascii_lowercase())?;
        flags = flags.with(flag);
    }
    Some(flags)
}
