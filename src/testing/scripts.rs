//! Lua scripts without a node: the sandbox and its libraries alone.

use std::sync::Arc;

use crate::command::script::conversion::there_and_back;
use crate::lua::{Call, Host, Kind, Meter, NativeResult, Raise, State, sandbox};
use crate::resp::Resp;

/// Interrupts after which a script is ended.
const INTERRUPTS_MAX: usize = 100_000;
const INSTRUCTIONS_PER_INTERRUPT: i32 = 100_000;

/// A Lua state with the globals of Redis, but for `redis`, `KEYS` and `ARGV`.
pub struct ScriptRoom {
    state: State,
}

impl ScriptRoom {
    /// At most so many bytes of memory.
    ///
    /// # Panics
    ///
    /// When that isn't enough for the libraries (some 64 KB).
    #[must_use]
    pub fn new(memory_limit: usize) -> ScriptRoom {
        let mut state = State::new(Arc::new(Meter::new(memory_limit))).expect("memory for a state");
        sandbox::open(&mut state).expect("memory for the libraries");
        ScriptRoom { state }
    }

    /// Runs a script: the text of its result, or of its error, as Redis words it before it says which script.
    ///
    /// # Errors
    ///
    /// The script's.
    pub fn run(&mut self, script: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        sandbox::begin(&mut self.state);
        self.state.interrupt_every(INSTRUCTIONS_PER_INTERRUPT);
        let mut runner = Runner { interrupts: 0 };
        self.state.with_host(&mut runner, |stack| {
            sandbox::error_handler(stack);
            let handler = stack.top();
            let done = stack
                .load(script, c"@user_script")
                .and_then(|()| stack.call(0, 1, Some(handler)));
            if stack.kind(-1) == Kind::Table {
                stack.raw_get_field(-1, b"err");
            }
            let text = stack.coerced_bytes(-1).unwrap_or_default().to_vec();
            stack.set_top(handler - 1);
            done.map(|()| text.clone()).map_err(|_| text)
        })
    }

    /// Converts a reply to what a script sees, and that to what it replies; whether it speaks RESP3 with its commands,
    /// and its client with it. None: the bytes are no reply.
    pub fn convert(&mut self, reply: &[u8], script3: bool, client3: bool) -> Option<Vec<u8>> {
        let resp = |is_3| if is_3 { Resp::V3 } else { Resp::V2 };
        there_and_back(&mut self.state, reply, resp(script3), resp(client3))
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.state.meter().used()
    }
}

struct Runner {
    interrupts: usize,
}

impl Host for Runner {
    fn native(&mut self, _: u16, _: &mut Call<'_>) -> NativeResult {
        Err(Raise::text("ERR there are no natives of a host here"))
    }

    fn interrupt(&mut self, _: &mut Call<'_>) -> Result<(), Raise> {
        self.interrupts += 1;
        if self.interrupts > INTERRUPTS_MAX {
            return Err(Raise::text("ERR it runs too long"));
        }
        Ok(())
    }
}
