//! What a state allocates: counted, and limited while Lua code runs.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::state::Shared;

/// The memory of a state, readable from any thread.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Meter {
    /// A limit of 0 bytes is none.
    pub(crate) fn new(limit: usize) -> Meter {
        let meter = Meter::default();
        meter.set_limit(limit);
        meter
    }

    /// Bytes allocated.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Bytes that Lua code may go up to.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// A limit of 0 bytes is none. One below what is used already makes the next allocation of a script fail.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit
            .store(if limit == 0 { usize::MAX } else { limit }, Relaxed);
    }
}

/// The largest alignment that Lua asks for.
const ALIGNMENT: usize = 8;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, ALIGNMENT).ok()
}

/// The allocation function of a state (`lua_Alloc`).
///
/// # Safety
///
/// `shared` is the state's [`Shared`]; `block` came from here with `old_size` bytes, or is null.
pub(super) unsafe extern "C" fn allocate(
    shared: *mut c_void,
    block: *mut c_void,
    old_size: usize,
    new_size: usize,
) -> *mut c_void {
    // SAFETY: the caller's promise; only shared references to it exist.
    let shared = unsafe { &*shared.cast::<Shared>() };
    let meter = &*shared.meter;
    let old_size = if block.is_null() { 0 } else { old_size };
    let used = meter.used() - old_size;
    if new_size == 0 {
        if old_size > 0 {
            // SAFETY: the block came from here with this size.
            unsafe {
                dealloc(
                    block.cast(),
                    Layout::from_size_align_unchecked(old_size, ALIGNMENT),
                )
            };
        }
        meter.used.store(used, Relaxed);
        return ptr::null_mut();
    }
    let grows = new_size > old_size;
    let may_fail = grows && shared.in_lua.get();
    if may_fail && new_size > meter.limit().saturating_sub(used) {
        return ptr::null_mut();
    }
    let Some(new_layout) = layout(new_size) else {
        // Lua's own checks are below it.
        return ptr::null_mut();
    };
    let new = if old_size == 0 {
        // SAFETY: the size isn't 0.
        unsafe { alloc(new_layout) }
    } else {
        // SAFETY: the block came from here with this size, and the new one isn't 0.
        unsafe {
            let old = Layout::from_size_align_unchecked(old_size, ALIGNMENT);
            realloc(block.cast(), old, new_size)
        }
    };
    if new.is_null() {
        if may_fail {
            return ptr::null_mut();
        }
        handle_alloc_error(new_layout);
    }
    meter.used.store(used + new_size, Relaxed);
    new.cast()
}
