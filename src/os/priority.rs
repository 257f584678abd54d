//! Priorities of threads: making and loading snapshots, and freeing memory, must not delay replies.
//!
//! On a machine whose cores are all busy, the system's scheduler would give such a thread its equal share, in slices
//! of some milliseconds, and a request would wait behind them: during a full sync between two nodes on two cores the
//! serving thread spent 250 ms of each second waiting for a core. A lower priority brought that to 60 ms, and the
//! probing client's p99 from 3 ms to 0.7 ms.
//!
//! How low: where the priority may be raised again (as root, or with CAP_SYS_NICE), to the lowest: the thread runs
//! when a core has nothing else to do (SCHED_IDLE), and its priority is raised for good if it gets next to no time,
//! so that a full sync ends on a machine that is never idle. Where it may not: to a tenth of a share, in the shortest
//! slices (since Linux 6.12; before, the length is ignored). Long slices that others may preempt are no good: a
//! thread that has had its share may not, and waits. With three replicas loading on the master's two cores the
//! probing client's worst was 41 ms with slices of 100 ms, and is 5 ms with 0.1.
//!
//! When: after the thread's first piece. On a machine that is never idle the lowest priority costs seconds until it is
//! noticed, and a dump of a few keys, or of none, is made and loaded before anybody could be delayed by it.
//!
//! A thread whose priority is lowered holds no shard: see [`crate::keyspace::shard_tasks`]. All of this is advice to
//! the system; what it refuses is left.
//!
//! The threads that serve ask for the shortest slices as well, at their full share: with ten replicas loading on
//! the master's two cores, most of a client's waits of over 1.5 ms were a serving thread's behind a loader of
//! another process that went on to the next tick (37 of 51 in one storm), and with short slices next to none (2 of 22).

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Weight of a tenth, about.
const NICE: i32 = 10;
/// About ten shares.
const NICE_FIRST: i32 = -10;
/// The shortest slice that the system grants, nanoseconds.
const SLICE_NS: u64 = 100_000;
/// How often a thread checks whether it gets enough time.
const CHECK_PERIOD: Duration = Duration::from_millis(200);
/// Enough is this part of the time in which it could have run.
const SHARE: u64 = 20;
/// The capability to change priorities, a bit of `CapEff`.
const CAP_SYS_NICE: u64 = 1 << 23;

/// What the thread had run and waited at its last check, nanoseconds.
#[derive(Clone, Copy)]
struct CheckedAt {
    at: Instant,
    ran_ns: u64,
    waited_ns: u64,
}

thread_local! {
    /// Set while the thread has the lowest priority.
    static LOWERED: Cell<Option<CheckedAt>> = const { Cell::new(None) };
    /// Its priority is lowered when it has done a piece.
    static LOWERED_NEXT: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread serves requests: its share stays what it is, in the shortest slices, with which the system lets
/// it preempt the longer ones of others. What the operator chose for the process (a nice value, a policy) is left.
pub(crate) fn serve() {
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut present: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: the call writes at most `size` bytes, what `present` has.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut present, size, 0) };
    if read == 0 && present.sched_policy == libc::SCHED_OTHER as u32 {
        schedule(libc::SCHED_OTHER, present.sched_nice);
    }
}

/// Lowers the calling thread's priority to a tenth of a share.
pub(crate) fn lower_to_a_tenth() {
    schedule(libc::SCHED_BATCH, NICE);
}

/// Has the calling thread's priority lowered when it has done a piece of its work. It calls [`after_piece`] after each.
pub(crate) fn lower_after_first_piece() {
    LOWERED_NEXT.set(true);
}

/// Lowers the calling thread's priority as far as it may be raised again.
fn lower() {
    lower_to_a_tenth();
    if may_raise()
        && let Some((ran_ns, waited_ns)) = times()
        && schedule(libc::SCHED_IDLE, 0)
    {
        LOWERED.set(Some(CheckedAt {
            at: Instant::now(),
            ran_ns,
            waited_ns,
        }));
    }
}

/// Gives the calling thread normal priority again, where that is allowed: its end is waited for.
pub(crate) fn restore() {
    LOWERED_NEXT.set(false);
    LOWERED.set(None);
    schedule(libc::SCHED_OTHER, 0);
}

/// As `restore`, where the calling thread stands all the way back: a panic is logged with a backtrace, whose
/// making takes seconds of a thread that runs only when a core is idle.
pub fn raise_to_log() {
    if LOWERED.get().is_some() {
        restore();
    }
}

/// As [`restore`], for another thread of this process, by the system's number.
pub(crate) fn raise_other(thread: i32) {
    schedule_thread(thread, libc::SCHED_OTHER, 0);
}

/// Raises the calling thread's priority over others, where that is allowed: what it has not done yet takes memory.
pub(crate) fn raise() {
    schedule(libc::SCHED_OTHER, NICE_FIRST);
}

/// An arbiter that moves a dump calls this after each chunk. It can't lower its priority as a whole, since it
/// forwards the log as well, but a thread that waits for its core gets it between two chunks, and not after a slice.
/// The threads that free memory and load dumps call it after each piece: what the system grants in slices it takes
/// back at its ticks only.
pub(crate) fn yield_core() {
    std::thread::yield_now();
}

/// Lowers the thread's priority after its first piece, if it has asked for that. Later it asks whether it gets any time
/// at all, and is raised if not. Costs a reading of the clock.
pub(crate) fn after_piece() {
    if LOWERED_NEXT.take() {
        lower();
        return;
    }
    let Some(before) = LOWERED.get() else {
        return;
    };
    if before.at.elapsed() < CHECK_PERIOD {
        return;
    }
    let Some((ran_ns, waited_ns)) = times() else {
        return;
    };
    let (ran, waited) = (ran_ns - before.ran_ns, waited_ns - before.waited_ns);
    if ran * SHARE < ran + waited {
        schedule(libc::SCHED_BATCH, NICE);
        LOWERED.set(None);
    } else {
        LOWERED.set(Some(CheckedAt {
            at: Instant::now(),
            ran_ns,
            waited_ns,
        }));
    }
}

/// What this thread has run and has waited for a core, nanoseconds.
fn times() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut words = text.split(' ').map(str::parse::<u64>);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

fn may_raise() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    held.is_some_and(|held| held & CAP_SYS_NICE != 0)
}

/// Whether the system took it.
fn schedule(policy: libc::c_int, nice: i32) -> bool {
    schedule_thread(0, policy, nice)
}

/// `thread`: by the system's number; 0: the calling one.
fn schedule_thread(thread: i32, policy: libc::c_int, nice: i32) -> bool {
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = size_of::<libc::sched_attr>() as u32;
    wanted.sched_policy = policy as u32;
    wanted.sched_nice = nice;
    wanted.sched_runtime = SLICE_NS;
    // SAFETY: the call reads `wanted`, which lives through it, and changes only how that thread is scheduled.
    unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const wanted, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field "policy" of the thread, and its nice value.
    fn present() -> (i32, i64) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux");
        let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..]
            .split(' ')
            .collect();
        (
            fields[38].parse().expect("a number"),
            fields[16].parse().expect("a number"),
        )
    }

    #[test]
    fn a_thread_is_lowered_and_the_others_are_not() {
        std::thread::spawn(|| {
            lower_after_first_piece();
            assert_eq!(present().0, libc::SCHED_OTHER);
            after_piece();
            let (policy, nice) = present();
            let idle = policy == libc::SCHED_IDLE;
            assert!(idle || (policy == libc::SCHED_BATCH && nice == i64::from(NICE)));
            assert_eq!(idle, may_raise());
            after_piece();
        })
        .join()
        .expect("no panic");
        assert_eq!(present().0, libc::SCHED_OTHER);
    }

    #[test]
    fn a_thread_that_serves_keeps_its_share() {
        std::thread::spawn(|| {
            schedule(libc::SCHED_OTHER, 3);
            serve();
            assert_eq!(present(), (libc::SCHED_OTHER, 3));
            schedule(libc::SCHED_BATCH, 3);
            serve();
            assert_eq!(present(), (libc::SCHED_BATCH, 3));
        })
        .join()
        .expect("no panic");
    }
}
