//! A queue from whose middle things are taken out: clients that wait for a key or watch it, in the order in which
//! they came.
//!
//! Entries have rising numbers, by which they are found. One that is taken out leaves an empty place; once half of
//! the places are empty they are closed up. So adding, finding and removing cost at most a binary search, and a queue
//! takes at most twice the space of what stands in it.

use std::collections::VecDeque;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Numbers rise; the first place is never empty.
    places: VecDeque<(u64, Option<T>)>,
    /// How many places are not empty.
    len: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            places: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> Queue<T> {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds at the end. False: `number` is the last one's already. It is never lower than that.
    pub(super) fn push(&mut self, number: u64, item: T) -> bool {
        let last = self.places.back().map(|(last, _)| *last);
        debug_assert!(last <= Some(number), "numbers rise");
        if last == Some(number) {
            return false;
        }
        self.places.push_back((number, Some(item)));
        self.len += 1;
        true
    }

    /// Takes one out, wherever it stands.
    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let at = self
            .places
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        let item = self.places[at].1.take()?;
        self.len -= 1;
        self.close_up();
        Some(item)
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        let at = self
            .places
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        self.places[at].1.as_ref()
    }

    /// The first one behind `number`.
    pub(super) fn after(&self, number: Option<u64>) -> Option<(u64, &T)> {
        let from = number.map_or(0, |number| {
            self.places.partition_point(|(n, _)| *n <= number)
        });
        let rest = self.places.range(from..);
        rest.filter_map(|(n, item)| Some((*n, item.as_ref()?)))
            .next()
    }

    /// Keeps those for which `keep` says so; how many went.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) -> usize {
        let before = self.len;
        for (_, place) in &mut self.places {
            if place.as_mut().is_some_and(|item| !keep(item)) {
                *place = None;
                self.len -= 1;
            }
        }
        self.close_up();
        before - self.len
    }

    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.places.into_iter().filter_map(|(_, item)| item)
    }

    fn close_up(&mut self) {
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        if self.len * 2 < self.places.len() {
            self.places.retain(|(_, item)| item.is_some());
            self.places.shrink_to(self.len * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut queue = Queue::default();
        for n in 0..10_000 {
            assert!(queue.push(n, n));
        }
        assert!(!queue.push(9_999, 0));
        for n in (1..10_000).step_by(2).chain((4..10_000).step_by(2)) {
            assert_eq!(queue.remove(n), Some(n));
            assert_eq!(queue.remove(n), None);
            assert!(queue.places.len() <= queue.len() * 2 + 1);
        }
        assert_eq!(queue.len(), 2);
        assert!(queue.places.capacity() < 100);
        assert_eq!(queue.after(Some(0)), Some((2, &2)));
    }

    proptest! {
        #[test]
        fn it_is_a_map_in_order(steps in prop::collection::vec((0u8..5, 0u64..40), 0..200)) {
            let mut queue = Queue::default();
            let mut model = std::collections::BTreeMap::new();
            let mut next = 0;
            for (what, number) in steps {
                match what {
                    0 | 1 => {
                        next += 1 + number % 3;
                        prop_assert!(queue.push(next, next));
                        model.insert(next, next);
                    }
                    2 | 3 => prop_assert_eq!(queue.remove(number), model.remove(&number)),
                    _ => {
                        let before = model.len();
                        model.retain(|n, _| n % 7 != number % 7);
                        prop_assert_eq!(queue.retain(|n| *n % 7 != number % 7), before - model.len());
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.get(number), model.get(&number));
                let after = model.range(number + 1..).next().map(|(n, item)| (*n, item));
                prop_assert_eq!(queue.after(Some(number)), after);
                prop_assert_eq!(queue.after(None), model.iter().next().map(|(n, item)| (*n, item)));
            }
            prop_assert!(queue.into_items().eq(model.into_values()));
        }
    }
}
