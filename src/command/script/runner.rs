//! Runners: what a run works with, kept for the next one. And the pool of them.
//!
//! A runner is a Lua state with the scripts that it has compiled, a session and buffers for the commands that are
//! called, and a stack. An arbiter takes the one that was given back last, so that with one arbiter it is always the
//! same. A script that has left its arbiter keeps its runner; then another one is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::clients::client::Client;
use crate::command::Effects;
use crate::lua::{Failure, Host, Meter, NoMemory, Reference, Stack, State, sandbox};
use crate::node_core::NodeCore;
use crate::resp::reply::error_text;
use crate::resp::{Reply, Resp};
use crate::script::cache::{EVALS_MAX, Script};
use crate::script::library::{self, Library, Source};
use crate::script::sha::Sha;
use crate::script::stack::FreeStack;
use crate::session::{Origin, Session};
use crate::table::{Args, CommandError, CommandResult};

use super::api;
use super::library_host::Environment;
use super::replies::{Answer, ErrorValue};
use super::run::Name;

/// Runners that are kept though nobody needs them; more come and go with scripts that take long.
const KEPT_MAX: usize = 16;
/// Instructions between two looks at the clock: some ten microseconds.
const INTERRUPT_EVERY: i32 = 2000;

/// What a runner is to call.
#[derive(Clone)]
pub(super) enum Function {
    Script(Arc<Script>),
    Library {
        library: Arc<Library>,
        function: Arc<library::Function>,
    },
}

impl Function {
    /// Which shards a run has shown it to need: those of its declared keys, or others.
    pub(super) fn tell_reach(&self, only_declared: bool) {
        match self {
            Function::Script(script) => script.reach.tell(only_declared),
            Function::Library { function, .. } => function.reach.tell(only_declared),
        }
    }
}

/// See the module.
pub(crate) struct Runner {
    pub(super) state: ScriptState,
    pub(super) session: Session,
    /// Replies of the commands that are called.
    pub(super) nested: Reply,
    /// The script's own reply.
    pub(super) reply: Reply,
    pub(super) effects: Effects,
    stack: Option<FreeStack>,
}

impl Runner {
    fn new(meter: Arc<Meter>, now_ms: i64) -> CommandResult<Runner> {
        let no_memory = || CommandError::fixed("ERR not enough memory to run a script");
        let stack = FreeStack::new().map_err(|_| no_memory())?;
        let client = Client::new(0, "lua".into(), String::new(), now_ms);
        Ok(Runner {
            state: ScriptState::new(meter).map_err(|_| no_memory())?,
            session: Session::new(client, Origin::Client),
            nested: Reply::new(Resp::V2),
            reply: Reply::new(Resp::V2),
            effects: Effects::default(),
            stack: Some(stack),
        })
    }

    /// Prepares a run in the name of a client's session.
    pub(super) fn begin(&mut self, caller: &Session, function: &Function) {
        let session = &mut self.session;
        session.db = caller.db;
        session.origin = caller.origin;
        session.authenticated = true;
        session.no_touch = caller.no_touch;
        if session.user != caller.user {
            session.user.clone_from(&caller.user);
        }
        session.client.speak(Resp::V2);
        self.choose(function);
    }

    /// What is called next.
    pub(super) fn choose(&mut self, function: &Function) {
        self.state.function = Some(function.clone());
    }

    /// The stack of a runner that is not running.
    pub(super) fn take_stack(&mut self) -> FreeStack {
        self.stack
            .take()
            .expect("a runner that does not run has its stack")
    }

    pub(super) fn put_stack(&mut self, stack: FreeStack) {
        self.stack = Some(stack);
    }
}

/// A Lua state with its compiled scripts.
pub(super) struct ScriptState {
    lua: State,
    compiled: HashMap<Sha, (Arc<Script>, Reference)>,
    /// By their ids.
    libraries: HashMap<u64, LoadedLibrary>,
    environment: Environment,
    keys_and_args: sandbox::FreshGlobals,
    /// Makes an error what a script's caller is told.
    handler: Reference,
    /// What is called next.
    function: Option<Function>,
    /// What it used when there was no garbage in it.
    clean_bytes: usize,
}

/// A library in one Lua state.
struct LoadedLibrary {
    library: Arc<Library>,
    /// By the functions' names.
    callbacks: HashMap<String, Reference>,
}

/// Where the handler of errors is on the stack of a run.
const HANDLER: i32 = 1;

impl ScriptState {
    fn new(meter: Arc<Meter>) -> Result<ScriptState, NoMemory> {
        let mut lua = State::new(meter)?;
        sandbox::open(&mut lua).map_err(|_| NoMemory)?;
        api::register(&mut lua);
        let environment = Environment::new(&mut lua);
        let keys_and_args = sandbox::FreshGlobals::new(&mut lua, [b"KEYS", b"ARGV"]);
        api::push_error_handler(&mut lua);
        let handler = lua.reference();
        lua.interrupt_every(INTERRUPT_EVERY);
        lua.pace_collection();
        Ok(ScriptState {
            lua,
            compiled: HashMap::new(),
            libraries: HashMap::new(),
            environment,
            keys_and_args,
            handler,
            function: None,
            clean_bytes: 0,
        })
    }

    /// Compiles a script if this state has not, or says what is wrong with it.
    pub(super) fn compile(&mut self, script: &Arc<Script>) -> CommandResult {
        if self.compiled.contains_key(&script.sha) {
            return Ok(());
        }
        if self.compiled.len() >= 2 * EVALS_MAX {
            self.forget_evicted();
        }
        self.lua.set_top(0);
        if self.lua.load(script.code(), c"@user_script").is_err() {
            let text = self.lua.coerced_bytes(-1).unwrap_or_default();
            let text = format!(
                "ERR Error compiling script (new function): {}",
                error_text(text)
            );
            self.lua.set_top(0);
            return Err(CommandError::text(text));
        }
        let reference = self.lua.reference();
        self.compiled
            .insert(script.sha, (script.clone(), reference));
        Ok(())
    }

    /// Drops the compiled form of scripts that the cache has no more.
    fn forget_evicted(&mut self) {
        let gone = |_: &Sha, (script, _): &mut (Arc<Script>, Reference)| !script.is_cached();
        let gone: Vec<_> = self.compiled.extract_if(gone).collect();
        for (_, (_, reference)) in gone {
            self.lua.unreference(reference);
        }
    }

    /// Loads a library if this state has not, or says why it can't.
    pub(super) fn load_library(
        &mut self,
        node: &NodeCore,
        library: &Arc<Library>,
        is_timed: bool,
    ) -> Result<(), String> {
        if self.libraries.contains_key(&library.id) {
            return Ok(());
        }
        self.forget_gone();
        let code = library.source.code();
        let loaded = self.environment.load(&mut self.lua, node, code, is_timed)?;
        let callbacks = loaded
            .into_iter()
            .map(|(name, (_, callback))| (name, callback));
        let loaded = LoadedLibrary {
            library: library.clone(),
            callbacks: callbacks.collect(),
        };
        self.libraries.insert(library.id, loaded);
        Ok(())
    }

    /// Loads a library that is new: what it registers says which functions it has.
    pub(super) fn load_new_library(
        &mut self,
        node: &NodeCore,
        source: Source,
        is_timed: bool,
    ) -> Result<Library, String> {
        self.forget_gone();
        let loaded = self
            .environment
            .load(&mut self.lua, node, source.code(), is_timed)?;
        let mut functions = BTreeMap::new();
        for (name, (function, callback)) in loaded {
            // Each state loads it when its functions are called there first.
            self.lua.unreference(callback);
            functions.insert(name, Arc::new(function));
        }
        Ok(Library::new(source, functions))
    }

    /// Drops libraries that are deleted or replaced.
    fn forget_gone(&mut self) {
        let gone = |_: &u64, loaded: &mut LoadedLibrary| loaded.library.is_gone();
        let gone: Vec<_> = self.libraries.extract_if(gone).collect();
        for callback in gone
            .into_iter()
            .flat_map(|(_, loaded)| loaded.callbacks.into_values())
        {
            self.lua.unreference(callback);
        }
    }

    /// Calls what was chosen; its value, or the error, is on top of the stack then.
    pub(super) fn call_script(
        &mut self,
        host: &mut dyn Host,
        keys: &Args<'_>,
        args: &Args<'_>,
    ) -> Result<(), Failure> {
        let function = self.function.take();
        let (compiled, libraries, handler) = (&self.compiled, &self.libraries, &self.handler);
        let globals = &self.keys_and_args;
        self.lua.with_host(host, |stack| {
            stack.set_top(0);
            sandbox::begin(stack);
            stack.push_reference(handler);
            match function {
                Some(Function::Script(script)) => {
                    let script = compiled.get(&script.sha);
                    let chunk = script.map(|(_, reference)| reference);
                    call_chunk(stack, chunk, globals, keys, args)
                }
                Some(Function::Library { library, function }) => {
                    let loaded = libraries.get(&library.id);
                    let callback = loaded.and_then(|loaded| loaded.callbacks.get(&*function.name));
                    call_function(stack, callback, keys, args)
                }
                None => call_function(stack, None, keys, args),
            }
        })
    }

    /// Writes what was called has given, or the error that it ended with.
    pub(super) fn answer(
        &mut self,
        called: Result<(), Failure>,
        answer: &mut Answer<'_>,
        name: &Name,
    ) {
        let stack = &mut *self.lua;
        if called.is_ok() {
            answer.value(stack);
            return;
        }
        if stack.kind(-1) != crate::lua::Kind::Table {
            const SHOWN: usize = 100;
            let text = match stack.coerced_bytes(-1) {
                Some(text) => text[..text.len().min(SHOWN)].to_vec(),
                None => b"execution failure".to_vec(),
            };
            let head = format!("ERR Error running script {name}, ");
            answer.error(&[head.as_bytes(), &text].concat(), false);
            return;
        }
        let error = ErrorValue::read(stack);
        let mut text = error.text;
        if let (Some(source), Some(line)) = (error.source, error.line) {
            text.extend_from_slice(format!(" script: {name}, on ").as_bytes());
            text.extend_from_slice(&source);
            text.extend_from_slice(format!(":{line}.").as_bytes());
        }
        answer.error(&text, error.is_counted);
    }

    /// Whether scripts may have left garbage that is worth a collection.
    fn is_dirty(&self) -> bool {
        const WORTH_BYTES: usize = 16 << 10;
        self.lua.meter().used() > self.clean_bytes + WORTH_BYTES
    }

    fn collect(&mut self) {
        self.lua.collect_all();
        self.clean_bytes = self.lua.meter().used();
    }

    /// After a run.
    pub(super) fn tidy(&mut self) {
        self.lua.set_top(0);
        let meter = self.lua.meter();
        if meter.used() > meter.limit() / 4 * 3 {
            // What a script has left that met the limit must not be in the way of the next one.
            self.lua.collect_all();
        }
    }
}

/// Calls a script of EVAL: it finds keys and arguments in globals.
fn call_chunk(
    stack: &mut Stack,
    chunk: Option<&Reference>,
    globals: &sandbox::FreshGlobals,
    keys: &Args<'_>,
    args: &Args<'_>,
) -> Result<(), Failure> {
    let Some(chunk) = chunk else {
        return Err(nothing_to_call(stack));
    };
    api::push_texts(stack, keys);
    api::push_texts(stack, args);
    globals.set(stack);
    stack.push_reference(chunk);
    stack.call(0, 1, Some(HANDLER))
}

/// Calls a function, which gets keys and arguments.
fn call_function(
    stack: &mut Stack,
    callback: Option<&Reference>,
    keys: &Args<'_>,
    args: &Args<'_>,
) -> Result<(), Failure> {
    let Some(callback) = callback else {
        return Err(nothing_to_call(stack));
    };
    stack.push_reference(callback);
    api::push_texts(stack, keys);
    api::push_texts(stack, args);
    stack.call(2, 1, Some(HANDLER))
}

/// What was chosen is compiled and loaded before it is called. A library whose functions depend on when it is loaded
/// may lack one here.
fn nothing_to_call(stack: &mut Stack) -> Failure {
    stack.push_bytes(b"it has not been registered in this Lua state");
    Failure::Runtime
}

/// A node's runners.
#[derive(Default)]
pub(crate) struct Runners {
    /// Boxed: a run keeps the address of its runner.
    #[expect(
        clippy::vec_box,
        reason = "a runner is large, and handed from one owner to the next"
    )]
    free: Mutex<Vec<Box<Runner>>>,
    /// See [`super::token`].
    pub(super) token: Arc<AtomicBool>,
}

impl Runners {
    /// The node's.
    pub(in crate::command) fn of(node: &NodeCore) -> &Runners {
        let own = node
            .of_commands
            .get_or_init(|| Box::new(Runners::default()));
        own.downcast_ref().expect("nobody else puts anything there")
    }

    /// A runner, and it is the caller's until [`Runners::put`].
    pub(super) fn take(&self, node: &NodeCore, memory_limit: u64) -> CommandResult<Box<Runner>> {
        let limit = usize::try_from(memory_limit).unwrap_or(usize::MAX);
        if let Some(runner) = self.free.lock().pop() {
            runner.state.lua.meter().set_limit(limit);
            return Ok(runner);
        }
        let meter = Arc::new(Meter::new(0));
        let runner = Box::new(Runner::new(meter.clone(), node.clock.unix_ms())?);
        meter.set_limit(limit);
        node.scripts.memory.add(&meter);
        Ok(runner)
    }

    pub(crate) fn put(&self, mut runner: Box<Runner>) {
        runner.effects.clear();
        runner.reply.clear();
        runner.nested.clear();
        let mut free = self.free.lock();
        if free.len() < KEPT_MAX {
            free.push(runner);
        }
    }

    /// Frees what scripts have left in runners that are free, for whoever is to see what they hold: some 2 MB at most wait
    /// in each for Lua's own collector, which takes less than a millisecond.
    pub(in crate::command) fn collect_garbage(&self) {
        let mut clean = Vec::new();
        // One at a time, or an arbiter would make a new one meanwhile.
        while let Some(mut runner) = self.pop_dirty() {
            runner.state.collect();
            clean.push(runner);
        }
        self.free.lock().append(&mut clean);
    }

    fn pop_dirty(&self) -> Option<Box<Runner>> {
        let mut free = self.free.lock();
        let dirty = free.iter().position(|runner| runner.state.is_dirty())?;
        Some(free.remove(dirty))
    }

    /// Lets go of all that are free: what scripts have left in them goes too.
    pub(super) fn flush(&self) {
        let gone = std::mem::take(&mut *self.free.lock());
        drop(gone);
    }
}
