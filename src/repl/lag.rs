//! When which byte of the stream was written: what turns an offset that a replica acked into milliseconds.
//!
//! A mark is kept per millisecond in which something was written, and fewer of old ones: the resolution is
//! about a sixtieth of the time that is looked back to, in bounded memory.

use std::collections::VecDeque;

/// Most marks that are kept.
const MARKS: usize = 2048;
/// How much of its age a mark's neighbours may be apart.
const RESOLUTION: i64 = 64;

/// Marks of the stream's end, rising in both.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    marks: VecDeque<(u64, i64)>,
}

impl Timeline {
    /// The stream ends at `end` now.
    pub(crate) fn note(&mut self, end: u64, now_ms: i64) {
        match self.marks.back_mut() {
            Some((last, _)) if *last > end => self.marks.clear(),
            Some((last, _)) if *last == end => return,
            Some((last, at)) if *at >= now_ms => {
                *last = end;
                return;
            }
            _ => {}
        }
        if self.marks.len() == MARKS {
            self.thin_out(now_ms);
        }
        self.marks.push_back((end, now_ms));
    }

    /// Drops marks that say little: those whose neighbours are near, for their age. What is left grows with
    /// the logarithm of the time looked back to; the oldest goes if that is still too much.
    fn thin_out(&mut self, now_ms: i64) {
        let old = std::mem::take(&mut self.marks);
        let mut kept_ms = i64::MIN / 2;
        for (index, mark) in old.iter().enumerate() {
            let next_ms = old.get(index + 1).map_or(i64::MAX, |(_, ms)| *ms);
            if next_ms.saturating_sub(kept_ms) > (now_ms - mark.1) / RESOLUTION {
                kept_ms = mark.1;
                self.marks.push_back(*mark);
            }
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
    }

    /// How long ago the first byte after `offset` was written, ms; 0: there is none, up to `end`.
    pub(crate) fn lag_ms(&self, offset: u64, end: u64, now_ms: i64) -> u64 {
        if offset >= end {
            return 0;
        }
        let at = self.marks.partition_point(|(mark, _)| *mark <= offset);
        let written = self.marks.get(at).map_or(now_ms, |(_, ms)| *ms);
        u64::try_from(now_ms - written).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_byte_that_lacks_counts() {
        let mut line = Timeline::default();
        line.note(100, 1000);
        line.note(150, 2000);
        line.note(150, 2500);
        line.note(300, 3000);
        assert_eq!(line.lag_ms(300, 300, 9000), 0);
        assert_eq!(line.lag_ms(299, 300, 3500), 500);
        assert_eq!(line.lag_ms(150, 300, 3500), 500);
        assert_eq!(line.lag_ms(149, 300, 3500), 1500);
        assert_eq!(line.lag_ms(0, 300, 3500), 2500);
        // Another history begins.
        line.note(10, 4000);
        assert_eq!(line.lag_ms(5, 10, 4001), 1);
    }

    #[test]
    fn old_marks_thin_out() {
        let mut line = Timeline::default();
        for ms in 0..100_000 {
            line.note(ms as u64 * 10, ms);
        }
        assert!(line.marks.len() <= MARKS);
        let end = 999_990;
        assert_eq!(line.lag_ms(end - 10, end, 100_000), 1);
        let old = line.lag_ms(500_000, end, 100_000);
        assert!((49_000..=50_000).contains(&old), "{old}");
    }
}
