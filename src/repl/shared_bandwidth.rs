//! The bandwidth that all full syncs have together, and who may use it: those who came first.
//!
//! Were it shared evenly, all replicas of a storm would be done at the same time, which is the latest at which
//! any could be: each would stay stale until then, and all of them would then build or read their datasets at
//! once. One after another, half of them are done in half the time, and none later than before. What the first
//! can't take (its link is slow, it is still writing, the snapshot hasn't come so far) goes to the next.
//!
//! A replica on the master's own machine takes a core from it while it loads, a redis-server from its last byte
//! on. While as many as may do so are at it, and there is a bound at all, the others wait for the next acknowledgement; but for one that is
//! silent, or that takes too long, nobody waits (`SILENT_US`, `LOADING_US`).
//!
//! No link goes without a sign of life: a replica that has had nothing for `STARVED_US` goes before all, for one
//! portion. Time is the caller's. Bounded by the number of replicas in a full sync: one asker or loader each, from
//! its first [`SharedBandwidth::ask`] to [`SharedBandwidth::leave`].

use super::Bandwidth;

/// Well below any time in which a silent master is given up, microseconds.
const STARVED_US: u64 = 1_000_000;
/// How long replicas wait that let another go first, microseconds.
const DEFER_US: u64 = 2_000;
/// How long replicas wait that let others load, microseconds.
const DEFER_TO_LOADERS_US: u64 = 20_000;
/// A loader is expected to say something each second, as a redis-server does; past this nobody waits for it,
/// microseconds.
const SILENT_US: u64 = 3_000_000;
/// Nor for longer than this, whatever it says, microseconds.
const LOADING_US: u64 = 60_000_000;
/// An asker that doesn't come back so long after it was to is no longer waited for, microseconds.
const LATE_US: u64 = 20_000;

#[derive(Clone, Copy, Debug)]
struct Asker {
    id: u64,
    /// It waits, and asks again by then at the latest.
    back_us: Option<u64>,
    /// When it last had something, or began.
    served_us: u64,
}

impl Asker {
    fn waits(&self, now_us: u64) -> bool {
        self.back_us.is_some_and(|back| now_us < back + LATE_US)
    }
}

/// One on this machine that has its dump and isn't online yet.
#[derive(Clone, Copy, Debug)]
struct Loader {
    id: u64,
    since_us: u64,
    heard_us: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SharedBandwidth {
    bucket: Bandwidth,
    /// In the order in which they came.
    askers: Vec<Asker>,
    loaders: Vec<Loader>,
    /// How many may load on this machine before others wait; 0: any number.
    loaders_max: usize,
}

impl SharedBandwidth {
    /// Changes the rate, bytes a second; 0: no bound.
    pub(crate) fn set_rate(&mut self, rate: u64, now_us: u64) {
        self.bucket.set_rate(rate, now_us);
    }

    /// Changes how many may load on this machine before others wait; 0: any number.
    pub(crate) fn set_loaders_max(&mut self, loaders_max: usize) {
        self.loaders_max = loaders_max;
    }

    /// How long `id` waits before it sends, microseconds; 0: not at all. Then it asks again.
    pub(crate) fn ask(&mut self, id: u64, now_us: u64) -> u64 {
        let at = self.askers.iter().position(|asker| asker.id == id);
        let at = at.unwrap_or_else(|| {
            self.askers.push(Asker {
                id,
                back_us: None,
                served_us: now_us,
            });
            self.askers.len() - 1
        });
        let wait_us = match self.bucket.wait_us(now_us) {
            0 => match self.first(now_us, at) {
                Some(first) if first == at => 0,
                Some(_) => DEFER_US,
                None => DEFER_TO_LOADERS_US,
            },
            wait_us => wait_us,
        };
        self.askers[at].back_us = (wait_us > 0).then_some(now_us + wait_us);
        wait_us
    }

    /// Which replica goes next, `at` being one of those that ask; None: none, while others load.
    fn first(&self, now_us: u64, at: usize) -> Option<usize> {
        let asking = |&(i, asker): &(usize, &Asker)| i == at || asker.waits(now_us);
        let all = || self.askers.iter().enumerate().filter(asking);
        let starved = all()
            .filter(|(_, asker)| now_us.saturating_sub(asker.served_us) >= STARVED_US)
            .min_by_key(|(_, asker)| asker.served_us);
        let next = starved.or_else(|| all().next().filter(|_| !self.others_load(now_us)));
        next.map(|(i, _)| i)
    }

    /// Whether as many load on this machine as may.
    fn others_load(&self, now_us: u64) -> bool {
        let loads = |loader: &&Loader| {
            now_us.saturating_sub(loader.heard_us) < SILENT_US
                && now_us.saturating_sub(loader.since_us) < LOADING_US
        };
        let bounded = self.bucket.is_bounded() && self.loaders_max > 0;
        bounded && self.loaders.iter().filter(loads).count() >= self.loaders_max
    }

    /// As [`Bandwidth::portion`].
    pub(crate) fn portion(&self, most: usize) -> usize {
        self.bucket.portion(most)
    }

    /// So many bytes have gone to `id`.
    pub(crate) fn spend(&mut self, id: u64, bytes: u64, now_us: u64) {
        self.bucket.spend(bytes);
        if let Some(asker) = self.askers.iter_mut().find(|asker| asker.id == id) {
            asker.served_us = now_us;
        }
    }

    /// `id` has all of its dump, and loads it on this machine.
    pub(crate) fn loads_here(&mut self, id: u64, now_us: u64) {
        self.leave(id);
        self.loaders.push(Loader {
            id,
            since_us: now_us,
            heard_us: now_us,
        });
    }

    /// `id` said something; `online`: that it has loaded. Of no effect on one that doesn't load here.
    pub(crate) fn heard(&mut self, id: u64, online: bool, now_us: u64) {
        if online {
            self.loaders.retain(|loader| loader.id != id);
        } else if let Some(loader) = self.loaders.iter_mut().find(|loader| loader.id == id) {
            loader.heard_us = now_us;
        }
    }

    /// `id` is done, or gone.
    pub(crate) fn leave(&mut self, id: u64) {
        self.askers.retain(|asker| asker.id != id);
        self.loaders.retain(|loader| loader.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takers that ask when they were told to; each takes at most `link` bytes a millisecond of its own.
    struct Taker {
        left: u64,
        link: u64,
        next_us: u64,
        done_us: Option<u64>,
        served_us: Vec<u64>,
    }

    fn run(rate: u64, takers: &mut [Taker]) -> u64 {
        let mut shared = SharedBandwidth::default();
        let mut now_us = 1_000_000;
        shared.set_rate(rate, now_us);
        let begin_us = now_us;
        while takers.iter().any(|taker| taker.done_us.is_none()) {
            for (id, taker) in takers.iter_mut().enumerate() {
                while taker.done_us.is_none() && taker.next_us <= now_us {
                    let wait_us = shared.ask(id as u64, now_us);
                    if wait_us > 0 {
                        taker.next_us = now_us + wait_us;
                        break;
                    }
                    let portion = shared.portion(128 << 10) as u64;
                    let sent = portion.min(taker.left);
                    shared.spend(id as u64, sent, now_us);
                    taker.served_us.push(now_us - begin_us);
                    taker.left -= sent;
                    if taker.left == 0 {
                        taker.done_us = Some(now_us - begin_us);
                        shared.leave(id as u64);
                    }
                    // Its socket takes no more until then.
                    taker.next_us = now_us + sent * 1000 / taker.link;
                }
            }
            now_us += 500;
            assert!(now_us < begin_us + 600_000_000, "it ends");
        }
        assert!(shared.askers.is_empty());
        now_us - begin_us
    }

    fn taker(left: u64, link: u64) -> Taker {
        Taker {
            left,
            link,
            next_us: 0,
            done_us: None,
            served_us: Vec::new(),
        }
    }

    #[test]
    fn who_came_first_is_done_first_and_nobody_later_than_by_even_shares() {
        let mut takers: Vec<Taker> = (0..10).map(|_| taker(30 << 20, 1 << 30)).collect();
        let whole_us = run(60 << 20, &mut takers);
        let done: Vec<u64> = takers.iter().filter_map(|taker| taker.done_us).collect();
        assert!(done.is_sorted(), "{done:?}");
        assert!(done[0] < 800_000, "{done:?}");
        assert!(done[4] < 2_900_000, "{done:?}");
        // 300 MB at 60 MB/s, and what timers lose.
        assert!(whole_us < 5_500_000, "{whole_us}");
    }

    #[test]
    fn nobody_is_left_without_a_sign_of_life() {
        let mut takers: Vec<Taker> = (0..5).map(|_| taker(50 << 20, 1 << 30)).collect();
        run(20 << 20, &mut takers);
        for taker in &takers {
            let gaps = taker.served_us.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(gaps.max() < Some(1_200_000));
        }
    }

    #[test]
    fn what_a_slow_one_leaves_goes_to_the_next() {
        // The first takes a megabyte a second.
        let mut takers = vec![taker(3 << 20, 1 << 10), taker(30 << 20, 1 << 30)];
        run(20 << 20, &mut takers);
        let done: Vec<u64> = takers.iter().filter_map(|taker| taker.done_us).collect();
        assert!(done[1] < 1_900_000, "{done:?}");
    }

    #[test]
    fn one_that_never_comes_back_is_not_waited_for() {
        let mut shared = SharedBandwidth::default();
        shared.set_rate(1000, 0);
        assert!(shared.ask(1, 0) > 0);
        assert_eq!(shared.ask(2, 50_000), 0);
        // But one that is in time is.
        let mut shared = SharedBandwidth::default();
        shared.set_rate(1000, 0);
        assert!(shared.ask(1, 0) > 0);
        assert_eq!(shared.ask(2, 5_000), DEFER_US);
        shared.leave(1);
        assert_eq!(shared.ask(2, 5_000), 0);
    }

    /// The first loads on this machine, since time 0.
    fn one_loads() -> SharedBandwidth {
        let mut shared = SharedBandwidth::default();
        shared.set_rate(1 << 30, 0);
        shared.set_loaders_max(1);
        shared.loads_here(1, 0);
        shared
    }

    #[test]
    fn the_next_waits_while_one_loads_on_this_machine() {
        let mut shared = one_loads();
        assert_eq!(shared.ask(2, 500_000), DEFER_TO_LOADERS_US);
        // A portion now and then, so that its link lives.
        assert_eq!(shared.ask(2, 500_000 + STARVED_US), 0);
        shared.spend(2, 100, 500_000 + STARVED_US);
        assert_eq!(shared.ask(2, 500_000 + STARVED_US), DEFER_TO_LOADERS_US);
        shared.heard(2, true, 1_500_000);
        assert_eq!(shared.ask(2, 1_500_000), DEFER_TO_LOADERS_US);
        shared.heard(1, true, 1_600_000);
        assert_eq!(shared.ask(2, 1_600_000), 0);
        // Where two may, one is no reason to wait; nor is one that has gone.
        shared.loads_here(3, 1_600_000);
        shared.set_loaders_max(2);
        assert_eq!(shared.ask(2, 1_600_000), 0);
        shared.set_loaders_max(1);
        shared.leave(3);
        assert_eq!(shared.ask(2, 1_600_000), 0);
        shared.set_loaders_max(0);
        shared.loads_here(3, 1_600_000);
        assert_eq!(shared.ask(2, 1_600_000), 0);
        // Nor does anybody wait without a bound.
        shared.set_loaders_max(1);
        assert!(shared.ask(2, 1_600_000) > 0);
        shared.set_rate(0, 1_600_000);
        assert_eq!(shared.ask(2, 1_600_000), 0);
    }

    #[test]
    fn nobody_waits_for_a_loader_that_is_silent_or_never_done() {
        let mut shared = one_loads();
        let asks = |shared: &mut SharedBandwidth, now_us| {
            shared.ask(2, now_us - 1);
            shared.spend(2, 1, now_us - 1);
            shared.ask(2, now_us)
        };
        assert!(asks(&mut shared, SILENT_US - 1) > 0);
        assert_eq!(asks(&mut shared, SILENT_US), 0);
        for second in 1..60 {
            let now_us = second * 1_000_000;
            shared.heard(1, false, now_us);
            assert!(asks(&mut shared, now_us) > 0, "{second}");
        }
        shared.heard(1, false, LOADING_US);
        assert_eq!(asks(&mut shared, LOADING_US), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_rate_is_used_and_never_passed(
            rate in 1_000_000u64..100_000_000,
            sizes in prop::collection::vec(1u64..2_000_000, 1..12),
        ) {
            let whole: u64 = sizes.iter().sum();
            let mut takers: Vec<Taker> = sizes.iter().map(|&size| taker(size, 1 << 30)).collect();
            let whole_us = run(rate, &mut takers) as f64;
            let needed_us = whole as f64 * 1e6 / rate as f64;
            // A portion may be overdrawn, a few milliseconds go to waiting.
            let portion_us = 128.0 * 1024.0 * 1e6 / rate as f64;
            prop_assert!(whole_us + portion_us + 1000.0 >= needed_us, "{} of {}", whole_us, needed_us);
            prop_assert!(whole_us <= needed_us * 1.1 + 30_000.0, "{} of {}", whole_us, needed_us);
        }
    }
}
