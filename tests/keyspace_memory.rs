//! What a key costs, all in, measured by the allocator that the binary uses.

use tikv_jemalloc_ctl::{epoch, stats};
use understudy::internals::keyspace::{Expiry, Keyspace};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn allocated() -> usize {
    epoch::advance().expect("jemalloc has statistics");
    stats::allocated::read().expect("jemalloc has statistics")
}

/// Bytes per key of `keys` strings of `size` bytes under keys of 16.
fn cost(keys: usize, size: usize, expiry: Expiry) -> f64 {
    let value = vec![b'x'; size];
    let before = allocated();
    let keyspace = Keyspace::new(1, 16, 1);
    let mut entered = keyspace.enter(keyspace.all());
    for n in 0..keys {
        let key = format!("key:{n:012}");
        let hash = keyspace.hash(key.as_bytes());
        let shard = entered.shard_mut(hash);
        shard.dbs[0].set_string(key.as_bytes(), hash, &value, expiry);
    }
    let cost = (allocated() - before) as f64 / keys as f64;
    drop(entered);
    println!("{keys} keys of 16 and {size} bytes, {expiry:?}: {cost:.1} bytes each");
    cost
}

/// One test, since the allocator's figures are the process's. Segments fill up together, so that the cost
/// depends on the number of keys: it is worst just after they have all split.
#[test]
fn a_key_costs_what_it_should() {
    for keys in [250_000, 300_000, 400_000] {
        assert!(cost(keys, 16, Expiry::Clear) <= 72.0);
    }
    assert!(cost(250_000, 16, Expiry::At(1_700_000_000_000)) <= 84.0);
    assert!(cost(250_000, 100, Expiry::Clear) <= 160.0);
}
