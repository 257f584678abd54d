//! Lua 5.1 as scripts and functions use it: the interpreter behind a safe interface, the sandbox, the libraries.
//!
//! A pure room: it knows nothing of commands, shards or clients. Whoever runs scripts is a [`Host`], which natives
//! of its own and the periodic interrupt reach while a script runs.
//!
//! # Invariants
//!
//! - **An error never jumps over Rust code.** Lua raises errors by `longjmp`, which runs no destructors. So Rust code
//!   calls no function of Lua's interface that can raise: it uses raw accesses, keys that are neither nil nor NaN, room
//!   on the stack that was asked for ([`Stack::reserve`]), and calls scripts in protected mode alone. Natives return
//!   their error as a value ([`Raise`]); their outermost frame, which has nothing to drop, raises it.
//! - **Memory runs out in Lua code alone.** An allocation over the limit fails while the interpreter runs, which is an
//!   error that a script can catch, and succeeds while Rust code runs. A native that went over the limit raises
//!   that error at its end; one that may take much asks [`Call::room`] first.
//! - **A panic never unwinds into Lua.** It is caught where a native is entered and becomes an error of the script.
//! - **No Lua code runs out of the sight of the interrupt**: no finalizers (`__gc`) of scripts, and natives that may
//!   take long poll.
//! - **A state moves between threads when nothing runs in it, or when what runs in it is suspended on a stack of its
//!   own**, which moves with it: neither Lua nor this room keeps anything per thread.

mod host;
mod libraries;
mod memory;
mod native;
mod patterns;
pub(crate) mod sandbox;
mod stack;
mod state;
#[cfg(test)]
mod state_tests;

pub(crate) use host::Host;
pub(crate) use memory::Meter;
pub(crate) use native::{Call, NativeResult, Raise};
pub(crate) use stack::{Failure, Kind, Reference, Stack};
pub(crate) use state::{NoMemory, State};
