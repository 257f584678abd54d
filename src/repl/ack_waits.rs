//! Who waits until replicas have acked an offset (WAIT, WAITAOF), thousands at a time if need be.
//!
//! Waits are kept in the order of what they want and of their deadlines, so that an ack, or a look at the clock, costs
//! as much as it ends, however many wait.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::replicas::Replicas;

/// A wait's name: unique among those that are going on.
pub(crate) type WaitId = usize;

/// One wait.
#[derive(Debug)]
pub(crate) struct AckWait<W> {
    /// Whom to answer.
    pub(crate) waiting: W,
    /// How many replicas are to have acked `offset`.
    pub(crate) replicas: usize,
    pub(crate) offset: u64,
    /// Unix ms; None: never.
    pub(crate) deadline_ms: Option<i64>,
    /// WAITAOF: they are to have it in their append-only files.
    pub(crate) aof: bool,
}

/// What the online replicas have acked: offsets, falling.
#[derive(Debug, Default)]
pub(crate) struct Acked {
    processed: Vec<u64>,
    fsynced: Vec<u64>,
}

impl Acked {
    pub(crate) fn by(replicas: &Replicas) -> Acked {
        let sorted = |mut offsets: Vec<u64>| {
            offsets.sort_unstable_by(|a, b| b.cmp(a));
            offsets
        };
        Acked {
            processed: sorted(replicas.online().map(|r| r.ack_offset).collect()),
            fsynced: sorted(replicas.online().map(|r| r.ack_aof_offset).collect()),
        }
    }

    fn offsets(&self, aof: bool) -> &[u64] {
        if aof { &self.fsynced } else { &self.processed }
    }

    /// How many have acked what a wait is for.
    pub(crate) fn count<W>(&self, wait: &AckWait<W>) -> usize {
        let offsets = self.offsets(wait.aof);
        offsets.partition_point(|acked| *acked >= wait.offset)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct AckWaits<W> {
    waits: HashMap<WaitId, AckWait<W>>,
    /// By `aof`, replicas and offset.
    wanted: BTreeSet<(bool, usize, u64, WaitId)>,
    deadlines: BTreeSet<(i64, WaitId)>,
}

impl<W> Default for AckWaits<W> {
    fn default() -> Self {
        AckWaits {
            waits: HashMap::default(),
            wanted: BTreeSet::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<W> AckWaits<W> {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waits.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    pub(crate) fn add(&mut self, id: WaitId, wait: AckWait<W>) {
        self.wanted
            .insert((wait.aof, wait.replicas, wait.offset, id));
        if let Some(deadline_ms) = wait.deadline_ms {
            self.deadlines.insert((deadline_ms, id));
        }
        self.waits.insert(id, wait);
    }

    pub(crate) fn remove(&mut self, id: WaitId) -> Option<AckWait<W>> {
        let wait = self.waits.remove(&id)?;
        self.wanted
            .remove(&(wait.aof, wait.replicas, wait.offset, id));
        if let Some(deadline_ms) = wait.deadline_ms {
            self.deadlines.remove(&(deadline_ms, id));
        }
        Some(wait)
    }

    /// Takes those out that have what they want.
    pub(crate) fn take_reached(&mut self, acked: &Acked) -> Vec<AckWait<W>> {
        let mut reached = Vec::new();
        for aof in [false, true] {
            let offsets = acked.offsets(aof);
            for replicas in 0..=offsets.len() {
                // So far have as many come as are wanted.
                let until = match replicas {
                    0 => u64::MAX,
                    some => offsets[some - 1],
                };
                let first = (aof, replicas, 0, WaitId::MIN);
                let last = (aof, replicas, until, WaitId::MAX);
                while let Some(&(.., id)) = self.wanted.range(first..=last).next() {
                    reached.extend(self.remove(id));
                }
            }
        }
        reached
    }

    /// Takes those out whose time is up.
    pub(crate) fn take_late(&mut self, now_ms: i64) -> Vec<AckWait<W>> {
        let mut late = Vec::new();
        while let Some(&(deadline_ms, id)) = self.deadlines.first()
            && deadline_ms <= now_ms
        {
            late.extend(self.remove(id));
        }
        late
    }

    /// When the next one's time is up, Unix ms.
    pub(crate) fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(replicas: usize, offset: u64, deadline_ms: Option<i64>, aof: bool) -> AckWait<u64> {
        AckWait {
            waiting: offset,
            replicas,
            offset,
            deadline_ms,
            aof,
        }
    }

    fn names(waits: Vec<AckWait<u64>>) -> Vec<u64> {
        waits.iter().map(|wait| wait.waiting).collect()
    }

    #[test]
    fn who_has_what_it_wants_or_no_time_left_is_taken_out() {
        let mut waits = AckWaits::default();
        let acked = Acked {
            processed: vec![30, 20, 10],
            fsynced: vec![5, 0, 0],
        };
        for (id, wait) in [
            wait(1, 30, None, false),
            wait(1, 31, None, false),
            wait(2, 20, Some(100), false),
            wait(2, 21, Some(100), false),
            wait(3, 9, Some(50), false),
            wait(4, 1, Some(70), false),
            wait(0, 99, None, false),
            wait(1, 4, None, true),
            wait(1, 6, None, true),
        ]
        .into_iter()
        .enumerate()
        {
            waits.add(id, wait);
        }
        assert_eq!(acked.count(&wait(9, 20, None, false)), 2);
        assert_eq!(acked.count(&wait(9, 31, None, false)), 0);
        assert_eq!(names(waits.take_reached(&acked)), [99, 30, 20, 9, 4]);
        assert!(waits.take_reached(&acked).is_empty());
        assert_eq!(waits.next_deadline_ms(), Some(70));
        assert!(waits.take_late(69).is_empty());
        assert_eq!(names(waits.take_late(100)), [1, 21]);
        assert_eq!((waits.len(), waits.next_deadline_ms()), (2, None));
        assert_eq!(waits.remove(1).map(|wait| wait.waiting), Some(31));
        assert!(waits.remove(1).is_none());
        assert_eq!(names(waits.take_reached(&Acked::default())), [0; 0]);
        assert_eq!(waits.remove(8).map(|wait| wait.waiting), Some(6));
        assert!(waits.is_empty() && waits.wanted.is_empty() && waits.deadlines.is_empty());
    }
}
