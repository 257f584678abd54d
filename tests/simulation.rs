//! Replication under faults: many seeds of the simulation in `understudy::testing`.
//!
//! `SIM_SEEDS=10000` runs that many; `SIM_SEED=42` runs one again, with the log of its nodes if `SIM_LOG=info` asks for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tracing::level_filters::LevelFilter;
use understudy::internals::testing::{Report, run_seed};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nodes_converge_and_no_continuation_is_wrong() {
    if let Some(seed) = setting("SIM_SEED") {
        // SIM_LOG=info tells what each node said, and when.
        let level = std::env::var("SIM_LOG").ok();
        let level = level.map_or(LevelFilter::OFF, |level| level.parse().expect("a level"));
        let log = tracing_subscriber::fmt().with_max_level(level);
        log.without_time().with_ansi(false).init();
        println!("{:?}", run_seed(seed).unwrap_or_else(|e| panic!("{e}")));
        return;
    }
    let seeds = setting("SIM_SEEDS").unwrap_or(300);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    let work = || {
        let (mut total, mut failures) = (Report::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || failures.len() > 5 {
                return (total, failures);
            }
            match run_seed(seed) {
                Ok(report) => {
                    total.writes += report.writes;
                    total.full_syncs += report.full_syncs;
                    total.partial_syncs += report.partial_syncs;
                    total.refused_partial_syncs += report.refused_partial_syncs;
                    total.snapshots += report.snapshots;
                    total.spilled += report.spilled;
                    total.failovers += report.failovers;
                    total.guarded += report.guarded;
                    total.out_of_place += report.out_of_place;
                    total.deltas += report.deltas;
                    total.verified += report.verified;
                    total.not_verified += report.not_verified;
                    total.repaired += report.repaired;
                    total.discards += report.discards;
                    total.failed += report.failed;
                    total.diverged += report.diverged;
                    total.converged_ms = total.converged_ms.max(report.converged_ms);
                }
                Err(error) => failures.push(error),
            }
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let failures: Vec<_> = results.iter().flat_map(|(_, f)| f).collect();
    assert!(
        failures.is_empty(),
        "run again with SIM_SEED=n: {failures:#?}"
    );
    // A simulation in which nothing happens proves nothing.
    let sum = |f: fn(&Report) -> u64| results.iter().map(|(r, _)| f(r)).sum::<u64>();
    println!("{results:?}");
    assert!(sum(|r| r.failovers) > seeds / 10);
    assert!(sum(|r| r.guarded) > 0);
    assert!(sum(|r| r.deltas) > seeds / 10);
    assert!(sum(|r| r.verified) > seeds / 2);
    assert!(sum(|r| r.not_verified) > seeds / 20);
    assert!(sum(|r| r.repaired) > seeds);
    assert!(sum(|r| r.out_of_place) > seeds / 10);
    assert!(sum(|r| r.discards) > seeds / 4);
    assert!(sum(|r| r.failed) > seeds / 2);
    assert!(sum(|r| r.diverged) > seeds / 8);
    assert!(sum(|r| r.writes) > seeds * 50);
    assert!(sum(|r| r.full_syncs) > seeds);
    assert!(sum(|r| r.partial_syncs) > seeds);
    assert!(sum(|r| r.refused_partial_syncs) > seeds / 4);
    // Snapshots are shared, and the spool is used.
    assert!(sum(|r| r.snapshots) < sum(|r| r.full_syncs));
    assert!(sum(|r| r.spilled) > seeds * 50);
}
