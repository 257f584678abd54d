//! Lua's stack, by accesses that cannot raise.
//!
//! Indices are Lua's: from 1 upwards, or from -1 downwards. One that isn't on the stack is a fault of the caller, which
//! debug assertions find. Whoever pushes more than a few values asks for room first; a push without room panics.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use mlua_sys as ffi;

use super::native::{Native, Raise, c_function, host_native, poll_or_raise};
use super::state::Shared;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    /// Its name in Lua's errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::LightUserdata | Kind::Userdata => "userdata",
            Kind::Thread => "thread",
        }
    }
}

/// Why a protected call or a load failed; the error is on top of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Runtime,
    Syntax,
    Memory,
    /// The error handler itself failed.
    Handler,
}

/// A value kept in the registry, until [`Stack::unreference`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference(c_int);

/// The stack of a thread of a state.
pub(crate) struct Stack {
    l: *mut ffi::lua_State,
    shared: NonNull<Shared>,
}

// Every call below is one that cannot raise: no metamethods, no memory limit while Rust code runs, room on the stack.
// The `SAFETY` comments name what is beyond that.
impl Stack {
    /// # Safety
    ///
    /// `l` is a thread of the state that `shared` belongs to, and lives as long as this is used.
    pub(super) unsafe fn new(l: *mut ffi::lua_State, shared: NonNull<Shared>) -> Stack {
        Stack { l, shared }
    }

    pub(super) fn raw(&self) -> *mut ffi::lua_State {
        self.l
    }

    pub(super) fn shared(&self) -> &Shared {
        // SAFETY: it outlives the state, whose memory it counts.
        unsafe { self.shared.as_ref() }
    }

    fn check(&self, index: c_int) {
        if cfg!(debug_assertions) && index > ffi::LUA_REGISTRYINDEX {
            let top = self.top();
            assert!(
                index != 0 && index.abs() <= top,
                "index {index} of a stack of {top}"
            );
        }
    }

    /// How many values there are.
    pub(crate) fn top(&self) -> c_int {
        // SAFETY: reads.
        unsafe { ffi::lua_gettop(self.l) }
    }

    /// Drops values, or adds nils.
    pub(crate) fn set_top(&mut self, top: c_int) {
        let now = self.top();
        debug_assert!(top >= 0);
        if top > now {
            self.room(top - now);
        }
        // SAFETY: there is room.
        unsafe { ffi::lua_settop(self.l, top) }
    }

    pub(crate) fn pop(&mut self, count: c_int) {
        debug_assert!(count >= 0 && count <= self.top());
        // SAFETY: so many are there.
        unsafe { ffi::lua_settop(self.l, -count - 1) }
    }

    /// Whether there is room for so many values more; if not, too many are there already (8000).
    #[must_use]
    pub(crate) fn reserve(&mut self, slots: c_int) -> bool {
        // SAFETY: memory is unlimited here; too many are refused, not raised.
        unsafe { ffi::lua_checkstack(self.l, slots) != 0 }
    }

    fn room(&mut self, slots: c_int) {
        assert!(self.reserve(slots), "no room on Lua's stack");
    }

    pub(crate) fn kind(&self, index: c_int) -> Kind {
        // SAFETY: reads; an index above the top is allowed.
        match unsafe { ffi::lua_type(self.l, index) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    pub(crate) fn boolean(&self, index: c_int) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_toboolean(self.l, index) != 0 }
    }

    /// A number, or a text of one.
    pub(crate) fn number(&self, index: c_int) -> Option<f64> {
        // SAFETY: reads.
        unsafe {
            let number = ffi::lua_tonumber(self.l, index);
            (number != 0.0 || ffi::lua_isnumber(self.l, index) != 0).then_some(number)
        }
    }

    /// A string's bytes; none for a number.
    pub(crate) fn bytes(&self, index: c_int) -> Option<&[u8]> {
        if self.kind(index) != Kind::String {
            return None;
        }
        let mut length = 0;
        // SAFETY: a string isn't converted. It lives and stays where it is as long as it is on the stack, which
        // can't change while `self` is borrowed.
        unsafe {
            let start = ffi::lua_tolstring(self.l, index, &mut length);
            Some(slice::from_raw_parts(start.cast(), length))
        }
    }

    /// A string's bytes, or those of a number, which becomes a string where it is (so never a key of an iteration).
    pub(crate) fn coerced_bytes(&mut self, index: c_int) -> Option<&[u8]> {
        let mut length = 0;
        // SAFETY: as for `bytes`.
        unsafe {
            let start = ffi::lua_tolstring(self.l, index, &mut length);
            (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), length))
        }
    }

    /// The bytes of what is known to be a string.
    ///
    /// # Safety
    ///
    /// A string is there, and stays as long as the bytes are used.
    #[inline]
    pub(crate) unsafe fn known_bytes<'b>(&self, index: c_int) -> &'b [u8] {
        debug_assert_eq!(self.kind(index), Kind::String);
        let mut length = 0;
        // SAFETY: the caller's promise; strings don't move.
        unsafe {
            let start = ffi::lua_tolstring(self.l, index, &mut length);
            slice::from_raw_parts(start.cast(), length)
        }
    }

    /// The address of a light userdata, or of a full one's memory.
    pub(crate) fn userdata(&self, index: c_int) -> *mut c_void {
        // SAFETY: reads.
        unsafe { ffi::lua_touserdata(self.l, index) }
    }

    /// What tells tables, functions, threads and userdata apart.
    pub(crate) fn identity(&self, index: c_int) -> *const c_void {
        // SAFETY: reads.
        unsafe { ffi::lua_topointer(self.l, index) }
    }

    /// The length of a string, or of a table's list, without metamethods.
    pub(crate) fn raw_len(&self, index: c_int) -> usize {
        self.check(index);
        // SAFETY: reads, but for numbers, which are converted.
        unsafe { ffi::lua_objlen(self.l, index) }
    }

    /// A number among the running native's upvalues; 0 if it isn't one.
    pub(crate) fn upvalue_number(&self, upvalue: c_int) -> f64 {
        // SAFETY: reads.
        unsafe { ffi::lua_tonumber(self.l, ffi::lua_upvalueindex(upvalue)) }
    }

    /// A userdata among the running native's upvalues.
    pub(super) fn upvalue_userdata(&self, upvalue: c_int) -> *mut c_void {
        // SAFETY: reads.
        unsafe { ffi::lua_touserdata(self.l, ffi::lua_upvalueindex(upvalue)) }
    }

    pub(crate) fn push_nil(&mut self) {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnil(self.l) }
    }

    pub(crate) fn push_boolean(&mut self, value: bool) {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushboolean(self.l, c_int::from(value)) }
    }

    pub(crate) fn push_number(&mut self, value: f64) {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnumber(self.l, value) }
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.room(1);
        // SAFETY: there is room, and the bytes are copied.
        unsafe { ffi::lua_pushlstring_(self.l, bytes.as_ptr().cast::<c_char>(), bytes.len()) }
    }

    /// As [`push_bytes`](Stack::push_bytes), for loops that have asked for room.
    ///
    /// # Safety
    ///
    /// There is room for one value.
    #[inline]
    pub(crate) unsafe fn push_bytes_in_room(&mut self, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { ffi::lua_pushlstring_(self.l, bytes.as_ptr().cast::<c_char>(), bytes.len()) }
    }

    /// As [`push_number`](Stack::push_number), for loops that have asked for room.
    ///
    /// # Safety
    ///
    /// There is room for one value.
    #[inline]
    pub(crate) unsafe fn push_number_in_room(&mut self, value: f64) {
        // SAFETY: the caller's promise.
        unsafe { ffi::lua_pushnumber(self.l, value) }
    }

    /// As [`raw_set`](Stack::raw_set), for a table and a key that are known.
    ///
    /// # Safety
    ///
    /// There is a table, and the key is a string.
    #[inline]
    pub(crate) unsafe fn raw_set_known(&mut self, table: c_int) {
        debug_assert!(self.kind(table) == Kind::Table && self.kind(-2) == Kind::String);
        // SAFETY: the caller's promise.
        unsafe { ffi::lua_rawset(self.l, table) }
    }

    /// As [`raw_set_index`](Stack::raw_set_index), for a table that is known.
    ///
    /// # Safety
    ///
    /// There is a table.
    #[inline]
    pub(crate) unsafe fn raw_set_index_known(&mut self, table: c_int, element: c_int) {
        debug_assert_eq!(self.kind(table), Kind::Table);
        // SAFETY: the caller's promise.
        unsafe { ffi::lua_rawseti_(self.l, table, element) }
    }

    /// A copy of the value there.
    pub(crate) fn push_value(&mut self, index: c_int) {
        self.check(index);
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushvalue(self.l, index) }
    }

    /// An address, as a light userdata.
    pub(crate) fn push_address(&mut self, address: *mut c_void) {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushlightuserdata(self.l, address) }
    }

    /// Uninitialised memory that lives as long as the userdata that is pushed; aligned to 8.
    pub(crate) fn push_memory(&mut self, bytes: usize) -> *mut u8 {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_newuserdata(self.l, bytes).cast() }
    }

    /// A function of this room's.
    pub(crate) fn push_native(&mut self, native: impl Native) {
        self.push_closure(native, 0);
    }

    /// A function of this room's, with so many upvalues, which are popped.
    pub(crate) fn push_closure(&mut self, native: impl Native, upvalues: c_int) {
        debug_assert!(upvalues <= self.top());
        self.room(1);
        // SAFETY: there is room, and the upvalues are there.
        unsafe { ffi::lua_pushcclosure(self.l, c_function(native), upvalues) }
    }

    /// A function written in Lua's own way, by errors that jump.
    pub(super) fn push_raw(&mut self, function: ffi::lua_CFunction) {
        self.push_raw_closure(function, 0);
    }

    /// See [`push_raw`](Stack::push_raw); so many upvalues are popped.
    pub(super) fn push_raw_closure(&mut self, function: ffi::lua_CFunction, upvalues: c_int) {
        debug_assert!(upvalues <= self.top());
        self.room(1);
        // SAFETY: there is room, and the upvalues are there.
        unsafe { ffi::lua_pushcclosure(self.l, function, upvalues) }
    }

    /// A function that ends in the host's [`native`](super::Host::native) with this number.
    pub(crate) fn push_host_native(&mut self, number: u16) {
        self.push_number(f64::from(number));
        self.push_closure(host_native, 1);
    }

    /// An empty table with memory for so many list elements and fields.
    pub(crate) fn push_table(&mut self, elements: usize, fields: usize) {
        self.room(1);
        // Beyond it a table grows by itself.
        let size = |n: usize| n.min(1 << 20) as c_int;
        // SAFETY: there is room.
        unsafe { ffi::lua_createtable(self.l, size(elements), size(fields)) }
    }

    /// As [`push_table`](Stack::push_table), for loops that have asked for room.
    ///
    /// # Safety
    ///
    /// There is room for one value.
    #[inline]
    pub(crate) unsafe fn push_table_in_room(&mut self, elements: u16, fields: u16) {
        // SAFETY: the caller's promise.
        unsafe { ffi::lua_createtable(self.l, c_int::from(elements), c_int::from(fields)) }
    }

    /// Replaces the key on top by the table's value, without metamethods.
    pub(crate) fn raw_get(&mut self, table: c_int) {
        self.check_table(table);
        // SAFETY: it is a table.
        unsafe { ffi::lua_rawget_(self.l, table) }
    }

    /// Pushes an element.
    pub(crate) fn raw_get_index(&mut self, table: c_int, element: c_int) {
        self.check_table(table);
        self.room(1);
        // SAFETY: it is a table, and there is room.
        unsafe { ffi::lua_rawgeti_(self.l, table, element) }
    }

    /// Pushes a field.
    pub(crate) fn raw_get_field(&mut self, table: c_int, name: &[u8]) {
        let table = self.absolute(table);
        self.push_bytes(name);
        self.raw_get(table);
    }

    /// Sets the key below the top to the value on top, and pops both.
    pub(crate) fn raw_set(&mut self, table: c_int) {
        self.check_table(table);
        let key = self.kind(-2);
        assert!(key != Kind::Nil && key != Kind::None, "nil as a key");
        if key == Kind::Number {
            assert!(self.number(-2).is_some_and(|n| !n.is_nan()), "NaN as a key");
        }
        // SAFETY: it is a table, and the key is one that may be.
        unsafe { ffi::lua_rawset(self.l, table) }
    }

    /// Sets an element to the value on top, and pops it.
    pub(crate) fn raw_set_index(&mut self, table: c_int, element: c_int) {
        self.check_table(table);
        // SAFETY: it is a table.
        unsafe { ffi::lua_rawseti_(self.l, table, element) }
    }

    /// Sets a field to the value on top, and pops it.
    pub(crate) fn raw_set_field(&mut self, table: c_int, name: &[u8]) {
        let table = self.absolute(table);
        self.check_table(table);
        self.push_bytes(name);
        self.insert(-2);
        // SAFETY: it is a table, and the key is a string.
        unsafe { ffi::lua_rawset(self.l, table) }
    }

    /// Replaces the key on top (nil at first) by the next key and its value; false, with the key gone, at the end. The
    /// key must be as the last call left it, and no key may have been added.
    pub(crate) fn next(&mut self, table: c_int) -> bool {
        self.check_table(table);
        self.room(1);
        // SAFETY: it is a table, and the key is in it.
        unsafe { ffi::lua_next(self.l, table) != 0 }
    }

    /// Pushes the metatable, if there is one.
    pub(crate) fn get_metatable(&mut self, index: c_int) -> bool {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_getmetatable(self.l, index) != 0 }
    }

    /// Makes the table or nil on top the metatable, and pops it. For other than tables and userdata it is that of all
    /// values of the type.
    pub(crate) fn set_metatable(&mut self, index: c_int) {
        self.check(index);
        debug_assert!(matches!(self.kind(-1), Kind::Table | Kind::Nil));
        // SAFETY: it is a table or nil.
        unsafe { ffi::lua_setmetatable(self.l, index) };
    }

    /// Makes the table on top the environment of a Lua function, userdata or thread, and pops it.
    pub(crate) fn set_environment(&mut self, index: c_int) {
        self.check(index);
        debug_assert_eq!(self.kind(-1), Kind::Table);
        // SAFETY: it is a table.
        unsafe { ffi::lua_setfenv(self.l, index) };
    }

    /// Makes the table on top this thread's globals: the environment of chunks loaded from now on. Pops it.
    pub(crate) fn set_globals(&mut self) {
        debug_assert_eq!(self.kind(-1), Kind::Table);
        // SAFETY: it is a table.
        unsafe { ffi::lua_replace(self.l, ffi::LUA_GLOBALSINDEX) }
    }

    /// Pushes this thread's globals.
    pub(crate) fn push_globals(&mut self) {
        self.room(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushvalue(self.l, ffi::LUA_GLOBALSINDEX) }
    }

    pub(crate) fn remove(&mut self, index: c_int) {
        self.check(index);
        // SAFETY: it is there.
        unsafe { ffi::lua_remove(self.l, index) }
    }

    /// Moves the top there.
    pub(crate) fn insert(&mut self, index: c_int) {
        self.check(index);
        // SAFETY: it is there.
        unsafe { ffi::lua_insert(self.l, index) }
    }

    /// Moves the top over the value there.
    pub(crate) fn replace(&mut self, index: c_int) {
        self.check(index);
        // SAFETY: it is there.
        unsafe { ffi::lua_replace(self.l, index) }
    }

    /// The same index counted from 1.
    pub(crate) fn absolute(&self, index: c_int) -> c_int {
        if index > 0 || index <= ffi::LUA_REGISTRYINDEX {
            index
        } else {
            self.top() + index + 1
        }
    }

    fn check_table(&self, index: c_int) {
        self.check(index);
        assert_eq!(self.kind(index), Kind::Table, "a table is wanted");
    }

    /// Keeps the value on top, and pops it.
    pub(crate) fn reference(&mut self) -> Reference {
        self.room(2);
        // SAFETY: there is a value and room.
        Reference(unsafe { ffi::luaL_ref(self.l, ffi::LUA_REGISTRYINDEX) })
    }

    pub(crate) fn push_reference(&mut self, reference: &Reference) {
        self.room(1);
        // SAFETY: the registry is a table, and there is room.
        unsafe { ffi::lua_rawgeti_(self.l, ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    pub(crate) fn unreference(&mut self, reference: Reference) {
        self.room(2);
        // SAFETY: there is room.
        unsafe { ffi::luaL_unref(self.l, ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    /// Calls the function below so many arguments, and replaces all by so many results (-1: as many as there are) or by
    /// the error. The handler, if any, is the function at that index and makes the error.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) fn call(
        &mut self,
        arguments: c_int,
        results: c_int,
        handler: Option<c_int>,
    ) -> Result<(), Failure> {
        debug_assert!(arguments < self.top());
        let handler = handler.map_or(0, |index| self.absolute(index));
        let before = self.top() - arguments - 1;
        self.room((results - arguments).max(1));
        let was_in_lua = self.shared().in_lua.replace(true);
        // SAFETY: the function is there, and errors end there.
        let status = unsafe { ffi::lua_pcall(self.l, arguments, results, handler) };
        self.shared().in_lua.set(was_in_lua);
        debug_assert!(self.top() >= before);
        self.outcome(status)
    }

    /// Compiles a text, and pushes the function or the error. Compiled code is refused as the text that it isn't.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) fn load(&mut self, text: &[u8], name: &CStr) -> Result<(), Failure> {
        // The compiler holds the name without saying so to the collector.
        self.push_bytes(name.to_bytes());
        self.room(2);
        let mut pieces = Pieces {
            // Lua takes what begins with an escape for compiled code.
            spaces: &b" "[..usize::from(text.first() == Some(&ffi::LUA_SIGNATURE[0]))],
            text,
        };
        let was_in_lua = self.shared().in_lua.replace(true);
        // SAFETY: the reader gets what it expects; errors end here.
        let status = unsafe {
            let data = (&raw mut pieces).cast();
            ffi::lua_load(self.l, read_piece, data, name.as_ptr())
        };
        self.shared().in_lua.set(was_in_lua);
        self.remove(-2);
        self.outcome(status)
    }

    fn outcome(&mut self, status: c_int) -> Result<(), Failure> {
        let meter = &self.shared().meter;
        let is_full = meter.used() > meter.limit();
        let is_nearly_full = meter.used() > meter.limit() / 4 * 3;
        if status == ffi::LUA_ERRMEM || is_full || status != ffi::LUA_OK && is_nearly_full {
            // Or each allocation would go on failing before the collector gets a chance.
            self.collect_all();
        }
        match status {
            ffi::LUA_OK => Ok(()),
            ffi::LUA_ERRSYNTAX => Err(Failure::Syntax),
            ffi::LUA_ERRMEM => Err(Failure::Memory),
            ffi::LUA_ERRERR => Err(Failure::Handler),
            _ => Err(Failure::Runtime),
        }
    }

    /// Frees all that is garbage. No Lua code runs by it.
    pub(crate) fn collect_all(&mut self) {
        // SAFETY: no finalizers, and memory is only given back.
        unsafe { ffi::lua_gc(self.l, ffi::LUA_GCCOLLECT, 0) };
    }

    /// Lets a cycle of collection begin when memory has doubled since the last, as Lua does, and not before there is some
    /// garbage: a cycle looks at all that the libraries hold, which would be most of what a short script costs. But
    /// earlier if that would be beyond the limit: garbage alone shall not meet it.
    pub(crate) fn pace_collection(&mut self) {
        const PAUSE_PERCENT: u128 = 200;
        const PAUSE_PERCENT_MIN: u128 = 110;
        const GARBAGE_BYTES: u128 = 2 << 20;
        const STEP_KILOBYTES: c_int = 64;
        let meter = &self.shared().meter;
        let (used, limit) = (meter.used().max(1) as u128, meter.limit() as u128);
        let wanted = PAUSE_PERCENT.max((used + GARBAGE_BYTES) * 100 / used);
        let percent = (limit * 90 / used).clamp(PAUSE_PERCENT_MIN, wanted);
        // SAFETY: sets a number.
        unsafe { ffi::lua_gc(self.l, ffi::LUA_GCSETPAUSE, percent as c_int) };
        if used > limit / 4 * 3 {
            // The pause that the last cycle ended with may be longer than what is left.
            // SAFETY: as for `collect_all`.
            unsafe { ffi::lua_gc(self.l, ffi::LUA_GCSTEP, STEP_KILOBYTES) };
        }
    }

    /// What is known of the function so many levels up (0: the one that runs); `what` as for `lua_getinfo`.
    pub(crate) fn level_info(&self, level: c_int, what: &CStr) -> Option<ffi::lua_Debug> {
        debug_assert!(!what.to_bytes().iter().any(|b| b"fL>".contains(b)));
        let mut info = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: all of it is numbers and pointers, which may be zero.
        unsafe {
            if ffi::lua_getstack(self.l, level, info.as_mut_ptr()) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.l, what.as_ptr(), info.as_mut_ptr());
            Some(info.assume_init())
        }
    }

    pub(super) fn push_raise(&mut self, raise: Raise) {
        // Whoever fills the stack and then fails makes room. Arguments may be more than it is to hold.
        while !self.reserve(1) {
            self.pop(1);
        }
        match raise {
            Raise::Text(text) => self.push_bytes(&text),
            Raise::Value => (),
            Raise::Memory => self.push_bytes(b"not enough memory"),
        }
    }
}

/// What is compiled between two looks at the interrupt.
pub(super) const PIECE_BYTES: usize = 1 << 16;

struct Pieces<'a> {
    spaces: &'a [u8],
    text: &'a [u8],
}

/// # Safety
///
/// `data` are the [`Pieces`].
unsafe extern "C-unwind" fn read_piece(
    l: *mut ffi::lua_State,
    data: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let (pieces, size) = unsafe { (&mut *data.cast::<Pieces<'_>>(), &mut *size) };
    let piece = if pieces.spaces.is_empty() {
        let (piece, rest) = pieces.text.split_at(pieces.text.len().min(PIECE_BYTES));
        if !rest.is_empty() {
            // SAFETY: Lua reads, and no frame has anything to drop.
            unsafe { poll_or_raise(l) };
        }
        pieces.text = rest;
        piece
    } else {
        std::mem::take(&mut pieces.spaces)
    };
    *size = piece.len();
    piece.as_ptr().cast()
}
