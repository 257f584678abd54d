//! How saving stands: changes not yet on disk, the last dumps, the dump being written or loaded. Dispatch
//! counts changes, the snapshot actors say what they do, INFO, LASTSAVE and the write checks read.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Shared by all threads of a node; every field is an atomic of its own.
#[derive(Debug)]
pub struct Persistence {
    /// Changes to the dataset since the node began.
    changes: AtomicU64,
    /// What `changes` was at the cut of the last good save.
    saved_changes: AtomicU64,
    /// Unix seconds of the last good save (at first: of the start).
    last_save_s: AtomicI64,
    /// The last background save went wrong.
    last_save_failed: AtomicBool,
    /// Seconds that the last background save took; -1: there was none.
    last_took_s: AtomicI64,
    /// Monotonic microseconds at which the save in progress began; 0: none is.
    saving_since_us: AtomicU64,
    /// That save is a background one. How another one fails is for its caller alone: it doesn't count as the
    /// last background save.
    saving_in_background: AtomicBool,
    /// A snapshot for replicas' sockets is being made; it shows as a background save, and nothing is on disk.
    pub(crate) sending: AtomicBool,
    /// Such a snapshot may be made, and some replica takes it yet: to INFO that is a save as well.
    pub(crate) streaming: AtomicBool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION: dumps and payloads with a wrong checksum are read all the same.
    pub(crate) unchecked: AtomicBool,
    /// The dump on disk was made for replicas and nothing else; see `rdb-del-sync-files`.
    pub(crate) made_for_sync: AtomicBool,
    /// Unix milliseconds of the last attempt at a background save.
    pub(crate) last_attempt_ms: AtomicI64,
    /// Dumps written since the start.
    pub(crate) saves: AtomicU64,
    /// Entries and bytes of the dump that was loaded at the start.
    pub(crate) loaded_keys: AtomicU64,
    pub(crate) loaded_expired: AtomicU64,
    /// Of the load in progress: unix seconds of its start, bytes in all, bytes read.
    pub(crate) loading_start_s: AtomicI64,
    pub(crate) loading_total_bytes: AtomicU64,
    pub(crate) loading_loaded_bytes: AtomicU64,
    /// A replica is loading beside the data that it serves.
    pub(crate) async_loading: AtomicBool,
    /// Of the save in progress: keys in all and keys done.
    pub(crate) saving_keys_total: AtomicU64,
    pub(crate) saving_keys_done: AtomicU64,
}

impl Persistence {
    pub(crate) fn new(now_s: i64) -> Persistence {
        Persistence {
            changes: AtomicU64::new(0),
            saved_changes: AtomicU64::new(0),
            last_save_s: AtomicI64::new(now_s),
            last_save_failed: AtomicBool::new(false),
            last_took_s: AtomicI64::new(-1),
            saving_since_us: AtomicU64::new(0),
            saving_in_background: AtomicBool::new(false),
            sending: AtomicBool::new(false),
            streaming: AtomicBool::new(false),
            unchecked: AtomicBool::new(false),
            made_for_sync: AtomicBool::new(false),
            last_attempt_ms: AtomicI64::new(0),
            saves: AtomicU64::new(0),
            loaded_keys: AtomicU64::new(0),
            loaded_expired: AtomicU64::new(0),
            loading_start_s: AtomicI64::new(0),
            loading_total_bytes: AtomicU64::new(0),
            loading_loaded_bytes: AtomicU64::new(0),
            async_loading: AtomicBool::new(false),
            saving_keys_total: AtomicU64::new(0),
            saving_keys_done: AtomicU64::new(0),
        }
    }

    /// The dataset changed `n` times outside any shard; what changes inside is counted there.
    pub(crate) fn add_changes(&self, n: u64) {
        self.changes.fetch_add(n, Ordering::Relaxed);
    }

    /// Changes in all, those in the shards (`Keyspace::changes`) included; taken at a snapshot's cut and given
    /// back to [`Persistence::saved`].
    pub(crate) fn changes(&self, inside: u64) -> u64 {
        self.changes.load(Ordering::Relaxed) + inside
    }

    /// `rdb_changes_since_last_save`.
    pub(crate) fn unsaved(&self, inside: u64) -> u64 {
        self.changes(inside)
            .saturating_sub(self.saved_changes.load(Ordering::Relaxed))
    }

    /// The dataset is as on disk (after loading a dump, or after FLUSHALL saved an empty one).
    pub(crate) fn nothing_unsaved(&self, inside: u64) {
        self.saved_changes
            .store(self.changes(inside), Ordering::Relaxed);
    }

    /// A save began; false: one is in progress.
    pub(crate) fn begin(&self, monotonic_us: u64, now_ms: i64, background: bool) -> bool {
        self.last_attempt_ms.store(now_ms, Ordering::Relaxed);
        let began = self
            .saving_since_us
            .compare_exchange(0, monotonic_us.max(1), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if began {
            self.saving_in_background
                .store(background, Ordering::Relaxed);
        }
        began
    }

    /// The save that began is on disk; `changes_at_cut` were in it.
    pub(crate) fn saved(&self, changes_at_cut: u64, now_s: i64, monotonic_us: u64) {
        self.saved_changes.store(changes_at_cut, Ordering::Relaxed);
        self.last_save_s.store(now_s, Ordering::Relaxed);
        self.saves.fetch_add(1, Ordering::Relaxed);
        self.end(true, monotonic_us);
    }

    /// The save that began was broken off, and nothing is wrong.
    pub(crate) fn given_up(&self, monotonic_us: u64) {
        self.end(!self.last_save_failed(), monotonic_us);
    }

    /// The save that began failed. Of SAVE, SHUTDOWN and FLUSHALL only the caller hears that, as in Redis.
    pub(crate) fn failed(&self, monotonic_us: u64) {
        let background = self.saving_in_background.load(Ordering::Relaxed);
        self.end(!background && !self.last_save_failed(), monotonic_us);
    }

    fn end(&self, good: bool, monotonic_us: u64) {
        let since = self.saving_since_us.swap(0, Ordering::AcqRel);
        if self.saving_in_background.load(Ordering::Relaxed) {
            let took = monotonic_us.saturating_sub(since) / 1_000_000;
            self.last_took_s.store(took as i64, Ordering::Relaxed);
        }
        self.last_save_failed.store(!good, Ordering::Relaxed);
    }

    pub(crate) fn is_saving(&self) -> bool {
        self.saving_since_us.load(Ordering::Relaxed) != 0
    }

    /// Seconds that the save in progress has run; -1: none is.
    pub(crate) fn saving_for_s(&self, monotonic_us: u64) -> i64 {
        match self.saving_since_us.load(Ordering::Relaxed) {
            0 => -1,
            since => (monotonic_us.saturating_sub(since) / 1_000_000) as i64,
        }
    }

    /// LASTSAVE, unix seconds.
    pub(crate) fn last_save_s(&self) -> i64 {
        self.last_save_s.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn last_save_failed(&self) -> bool {
        self.last_save_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn last_took_s(&self) -> i64 {
        self.last_took_s.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_made_during_a_save_stay_unsaved() {
        let p = Persistence::new(7);
        assert_eq!((p.last_save_s(), p.last_took_s(), p.unsaved(0)), (7, -1, 0));
        p.add_changes(3);
        assert!(p.begin(10, 0, true) && !p.begin(11, 0, true));
        let at_cut = p.changes(0);
        p.add_changes(2);
        assert_eq!(p.saving_for_s(5_000_010), 5);
        p.saved(at_cut, 9, 2_000_010);
        assert_eq!((p.unsaved(0), p.last_save_s(), p.last_took_s()), (2, 9, 2));
        assert!(p.begin(20, 0, true));
        p.failed(30);
        assert!(p.last_save_failed() && !p.is_saving());
        assert!(p.begin(40, 0, true));
        p.given_up(50);
        assert!(p.last_save_failed() && !p.is_saving());
        p.nothing_unsaved(4);
        assert_eq!((p.unsaved(4), p.unsaved(6)), (0, 2));
    }

    #[test]
    fn only_a_background_save_leaves_its_failure_behind() {
        let p = Persistence::new(7);
        assert!(p.begin(10, 0, false));
        p.failed(5_000_010);
        assert!(!p.last_save_failed() && !p.is_saving());
        assert_eq!(p.last_took_s(), -1);
        assert!(p.begin(20, 0, true));
        p.failed(30);
        assert!(p.begin(40, 0, false));
        p.failed(50);
        assert!(p.last_save_failed(), "it stands until a save succeeds");
        assert!(p.begin(60, 0, false));
        p.saved(0, 9, 70);
        assert!(!p.last_save_failed());
    }
}
