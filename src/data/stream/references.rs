//! Deleting with an eye on the groups: what they have yet to read or to acknowledge (Redis 8.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entries::{Trim, Trimmed};
use super::{Stream, StreamId};

/// What becomes of entries that groups refer to: that are pending there, or unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum References {
    /// They go, and stay pending.
    #[default]
    Keep,
    /// They go, and are pending no more.
    Delete,
    /// They stay: only what every group has read and acknowledged goes.
    Acked,
}

/// What a deletion has come to.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Entries that went.
    pub(crate) entries: Vec<StreamId>,
    /// What is pending no more, by group.
    pub(crate) references: BTreeMap<Arc<[u8]>, Vec<StreamId>>,
}

impl Stream {
    /// Whether a group has yet to read or to acknowledge an entry.
    pub(crate) fn is_referenced(&self, id: StreamId) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|(_, group)| id > group.last_id || group.pending(id).is_some())
    }

    /// An entry is pending nowhere any more.
    pub(crate) fn drop_references(&mut self, id: StreamId, removed: &mut Removed) {
        let with = self
            .groups
            .iter()
            .filter(|(_, group)| group.pending(id).is_some());
        let with: Vec<Arc<[u8]>> = with.map(|(name, _)| name.clone()).collect();
        for name in with {
            if let Some(group) = self.groups.get_mut(&*name) {
                group.acknowledge(id);
                removed.references.entry(name).or_default().push(id);
            }
        }
    }

    /// Takes the oldest entries away, exactly as many as are to go; but of those that are referenced only as
    /// `references` says, which is not to keep them pending.
    pub(crate) fn trim_referenced(
        &mut self,
        trim: Trim,
        references: References,
        trimmed: &mut Trimmed,
    ) -> Removed {
        let over = match trim {
            Trim::MaxLen(most) => self.len().saturating_sub(most),
            Trim::MinId(_) => u64::MAX,
        };
        let over = usize::try_from(over).unwrap_or(usize::MAX);
        let all = self.entries.range(StreamId::MIN, StreamId::MAX);
        let all = all.map(|entry| entry.id);
        let old = all.take_while(|id| !matches!(trim, Trim::MinId(least) if *id >= least));
        let mut removed = Removed::default();
        if references == References::Acked {
            removed.entries = old
                .filter(|id| !self.is_referenced(*id))
                .take(over)
                .collect();
            for id in &removed.entries {
                self.entries.remove(*id);
            }
            return removed;
        }
        removed.entries = old.take(over).collect();
        self.entries.trim(trim, false, 0, trimmed);
        for at in 0..removed.entries.len() {
            self.drop_references(removed.entries[at], &mut removed);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream::{Group, NodeLimits, Pending};

    /// Entries 1 to 8, read by g up to 6 and by h up to 5; pending 2 and 5 in g, 4 in h.
    fn stream() -> Stream {
        let id = |n| StreamId::new(n, 0);
        let mut stream = Stream::default();
        let limits = NodeLimits {
            bytes: 0,
            entries: 2,
        };
        (1..=8).for_each(|n| stream.entries.append(id(n), &[b"f", b"v"], limits));
        for (name, read, pending) in [(b"g", 6, &[2, 5][..]), (b"h", 5, &[4])] {
            let mut group = Group::new(id(read), None);
            let consumer = group.create_consumer(b"c", 0).unwrap();
            for n in pending {
                let pending = Pending {
                    consumer,
                    delivered_at_ms: 0,
                    deliveries: 1,
                };
                group.assign(id(*n), pending);
            }
            stream.create_group(name, group);
        }
        stream
    }

    /// What is left: entries, pending in g, pending in h.
    fn left(stream: &Stream) -> [Vec<u64>; 3] {
        let entries = stream.entries.range(StreamId::MIN, StreamId::MAX);
        let pending = |name: &[u8]| {
            let pending = stream.group(name).unwrap().pending_from(StreamId::MIN);
            pending.map(|(id, _)| id.ms).collect()
        };
        [
            entries.map(|entry| entry.id.ms).collect(),
            pending(b"g"),
            pending(b"h"),
        ]
    }

    #[test]
    fn trimming_as_redis_8_2_does_it() {
        for (trim, references, entries, g, h) in [
            (
                Trim::MaxLen(2),
                References::Acked,
                vec![2, 4, 5, 6, 7, 8],
                vec![2, 5],
                vec![4],
            ),
            (
                Trim::MaxLen(7),
                References::Acked,
                vec![2, 3, 4, 5, 6, 7, 8],
                vec![2, 5],
                vec![4],
            ),
            (
                Trim::MinId(StreamId::new(3, 0)),
                References::Acked,
                vec![2, 3, 4, 5, 6, 7, 8],
                vec![2, 5],
                vec![4],
            ),
            (
                Trim::MaxLen(3),
                References::Delete,
                vec![6, 7, 8],
                vec![],
                vec![],
            ),
            (
                Trim::MinId(StreamId::new(4, 0)),
                References::Delete,
                vec![4, 5, 6, 7, 8],
                vec![5],
                vec![4],
            ),
        ] {
            let mut stream = stream();
            let gone = stream.trim_referenced(trim, references, &mut Trimmed::default());
            assert_eq!(left(&stream), [entries, g, h], "{trim:?} {references:?}");
            assert_eq!(stream.len() as usize + gone.entries.len(), 8);
            assert!(stream.entries.max_deleted_id.is_zero());
        }
    }
}
