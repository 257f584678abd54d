//! INFO keyspace.

use super::{Observed, Text};

/// Entries looked at per database for the mean time to live.
const SAMPLES: usize = 32;

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    for db in 0..observed.node.keyspace.databases() {
        let keys = observed.keys.len(db);
        let expires = observed.keys.expires(db);
        if keys > 0 || expires > 0 {
            let ttl_ms = if expires > 0 {
                mean_ttl_ms(observed, db)
            } else {
                0
            };
            let fields = match observed.keys.expiring_hashes(db) {
                0 => String::new(),
                hashes => format!(",subexpiry={hashes}"),
            };
            text.field(
                format_args!("db{db}"),
                format_args!("keys={keys},expires={expires},avg_ttl={ttl_ms}{fields}"),
            );
        }
    }
}

/// An estimate from a few random entries.
fn mean_ttl_ms(observed: &Observed<'_>, db: usize) -> i64 {
    let mut rng = fastrand::Rng::with_seed(observed.node.clock.random());
    let mut sum = 0;
    let mut count = 0;
    let per_shard = SAMPLES.div_ceil(observed.node.keyspace.shards());
    for shard in observed.keys.iter() {
        let db = &shard.dbs[db];
        for _ in 0..if db.expires() > 0 { per_shard } else { 0 } {
            if let Some(at) = db.random(&mut rng).and_then(|entry| entry.expire_at) {
                sum += (at - observed.now_ms).max(0);
                count += 1;
            }
        }
    }
    match count {
        0 => 0,
        count => sum / count,
    }
}
