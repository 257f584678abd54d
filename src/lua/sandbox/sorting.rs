//! `table.sort`, which looks at the interrupt: Lua's own compares numbers and texts without running an instruction that
//! the interrupt's count would see.
//!
//! Equal elements, and what an order function that contradicts itself makes of a list, come out as in Lua: it is the
//! same quicksort, of the median of three, the smaller part first.
//!
//! Lua's own way, as in `guarded`: nothing here may own anything.

use std::ffi::c_int;

use mlua_sys as ffi;

use super::super::native::poll_or_raise;
use crate::lua::Stack;

/// Where the list and the order function are on the stack.
const LIST: c_int = 1;
const ORDER: c_int = 2;
/// Comparisons between two looks at the interrupt.
const POLL_EVERY: u32 = 1 << 14;
/// What may be on the stack above both: the smaller part is at most half of the whole, so the recursion is as deep as a
/// list's length has bits, and has nothing on it.
const SLOTS: c_int = 16;

/// Replaces the function in the table on top.
pub(super) fn replace(stack: &mut Stack) {
    stack.push_raw(sort);
    stack.raw_set_field(-2, b"sort");
}

// SAFETY, of all below: called by Lua alone, or by what is, with room for what they push.

unsafe extern "C-unwind" fn sort(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, LIST, ffi::LUA_TTABLE);
        let length = ffi::lua_objlen(l, LIST) as c_int;
        ffi::luaL_checkstack(l, SLOTS, c"".as_ptr());
        if ffi::lua_type(l, ORDER) > ffi::LUA_TNIL {
            ffi::luaL_checktype(l, ORDER, ffi::LUA_TFUNCTION);
        }
        ffi::lua_settop(l, ORDER);
        let mut sort = Sort {
            l,
            has_function: ffi::lua_type(l, ORDER) == ffi::LUA_TFUNCTION,
            compared: 0,
        };
        sort.part(1, length);
        0
    }
}

struct Sort {
    l: *mut ffi::lua_State,
    has_function: bool,
    compared: u32,
}

impl Sort {
    /// Sorts the elements from `first` to `last`.
    unsafe fn part(&mut self, mut first: c_int, mut last: c_int) {
        // SAFETY: see above.
        unsafe {
            while first < last {
                self.put_in_order(first, last);
                if last - first == 1 {
                    return;
                }
                let middle = first + (last - first) / 2;
                if !self.put_in_order(first, middle) {
                    self.put_in_order(middle, last);
                }
                if last - first == 2 {
                    return;
                }
                let pivot = self.split(first, last, middle);
                if pivot - first < last - pivot {
                    self.part(first, pivot - 1);
                    first = pivot + 1;
                } else {
                    self.part(pivot + 1, last);
                    last = pivot - 1;
                }
            }
        }
    }

    /// Exchanges two elements if the later one is less. True: it was.
    unsafe fn put_in_order(&mut self, earlier: c_int, later: c_int) -> bool {
        // SAFETY: see above.
        unsafe {
            self.push(earlier);
            self.push(later);
            let swaps = self.is_less(-1, -2);
            if swaps {
                self.set_two(earlier, later);
            } else {
                ffi::lua_settop(self.l, -3);
            }
            swaps
        }
    }

    /// Moves what is less than the middle element before it, and what isn't behind it; gives where it is then. The first
    /// element is not greater than it, the last one not less.
    unsafe fn split(&mut self, first: c_int, last: c_int, middle: c_int) -> c_int {
        // SAFETY: see above.
        unsafe {
            let l = self.l;
            self.push(middle);
            let pivot = ffi::lua_gettop(l);
            // It waits in the last place but one.
            ffi::lua_pushvalue(l, pivot);
            self.push(last - 1);
            self.set_two(middle, last - 1);
            let (mut low, mut high) = (first, last - 1);
            loop {
                low += 1;
                self.push(low);
                while self.is_less(-1, pivot) {
                    ffi::lua_settop(l, pivot);
                    self.check(low > last);
                    low += 1;
                    self.push(low);
                }
                high -= 1;
                self.push(high);
                while self.is_less(pivot, -1) {
                    ffi::lua_settop(l, pivot + 1);
                    self.check(high < first);
                    high -= 1;
                    self.push(high);
                }
                if high < low {
                    ffi::lua_settop(l, pivot - 1);
                    break;
                }
                self.set_two(low, high);
            }
            self.push(last - 1);
            self.push(low);
            self.set_two(last - 1, low);
            low
        }
    }

    unsafe fn push(&self, element: c_int) {
        // SAFETY: see above.
        unsafe { ffi::lua_rawgeti_(self.l, LIST, element) };
    }

    /// Sets an element to the value on top and another to the one below, and pops both.
    unsafe fn set_two(&self, top: c_int, below: c_int) {
        // SAFETY: see above.
        unsafe {
            ffi::lua_rawseti_(self.l, LIST, top);
            ffi::lua_rawseti_(self.l, LIST, below);
        }
    }

    /// Only an order that contradicts itself leads out of the part.
    unsafe fn check(&self, is_outside: bool) {
        if is_outside {
            // SAFETY: see above.
            unsafe { ffi::luaL_error(self.l, c"invalid order function for sorting".as_ptr()) };
        }
    }

    /// Whether a value on the stack is less than another.
    unsafe fn is_less(&mut self, value: c_int, other: c_int) -> bool {
        // SAFETY: see above.
        unsafe {
            let l = self.l;
            self.compared += 1;
            if self.compared == POLL_EVERY {
                self.compared = 0;
                poll_or_raise(l);
            }
            if !self.has_function {
                return ffi::lua_lessthan(l, value, other) != 0;
            }
            let absolute = |index: c_int| match index {
                0.. => index,
                _ => ffi::lua_gettop(l) + index + 1,
            };
            let (value, other) = (absolute(value), absolute(other));
            ffi::lua_pushvalue(l, ORDER);
            ffi::lua_pushvalue(l, value);
            ffi::lua_pushvalue(l, other);
            ffi::lua_call(l, 2, 1);
            let is_less = ffi::lua_toboolean(l, -1) != 0;
            ffi::lua_settop(l, -2);
            is_less
        }
    }
}
