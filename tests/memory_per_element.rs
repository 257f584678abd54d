//! What elements of large collections, and small collections, cost in memory, all in.
//!
//! An allocator counts what is allocated, each block rounded up as jemalloc (the binary's allocator)
//! rounds it. Costs are taken at many sizes on the way up, since tables are fuller at some than at others.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use understudy::Encodings;
use understudy::internals::data::flat::capacity_for;
use understudy::internals::data::{Hash, Set};

struct Counting;

static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.fetch_add(capacity_for(layout.size()), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(capacity_for(layout.size()), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> usize {
    HELD_BYTES.load(Relaxed)
}

/// Grows a collection to a million elements; the greatest cost per element at any size on the way.
fn dearest<C>(mut collection: C, mut add: impl FnMut(&mut C, usize)) -> f64 {
    let before = held();
    let mut dearest = 0f64;
    let mut checkpoint = 100_000;
    for n in 1..=1_000_000 {
        add(&mut collection, n);
        if n == checkpoint {
            dearest = dearest.max((held() - before) as f64 / n as f64);
            checkpoint += checkpoint / 16;
        }
    }
    let last = (held() - before) as f64 / 1e6;
    println!("{last:.1} bytes at a million, {dearest:.1} at most");
    drop(collection);
    dearest.max(last)
}

// One test, so that nothing else allocates meanwhile.
#[test]
fn targets() {
    let enc = Encodings::default();

    let member = |n: usize| format!("member:{:06}", n % 1_000_000);
    let cost = dearest(Set::new(), |set, n| {
        set.insert(member(n).as_bytes(), &enc);
    });
    assert!(cost <= 32.0, "a set's member costs {cost}");

    let cost = dearest(Hash::new(), |hash, n| {
        let (field, value) = (format!("field:{n}"), format!("value:{n}"));
        hash.insert(field.as_bytes(), value.as_bytes(), &enc);
    });
    assert!(cost <= 48.0, "a hash's pair costs {cost}");

    let before = held();
    let hashes: Vec<Hash> = (0..1000)
        .map(|_| {
            let mut hash = Hash::new();
            for n in 0..10 {
                let (field, value) = (format!("field:{n}"), format!("value:{n}"));
                hash.insert(field.as_bytes(), value.as_bytes(), &enc);
            }
            hash
        })
        .collect();
    let cost = (held() - before) / hashes.len();
    println!("{cost} bytes for a hash of ten");
    // The key's record and its slot in the keyspace come on top.
    assert!(cost <= 220, "a hash of ten small fields costs {cost}");

    // What was removed is given back.
    let before = held();
    let mut set = Set::new();
    for n in 0..200_000 {
        set.insert(member(n).as_bytes(), &enc);
    }
    for n in 0..200_000 {
        set.remove(member(n).as_bytes());
    }
    assert!(held() - before < 10_000, "{} bytes stay", held() - before);
}
