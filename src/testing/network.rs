//! Connections between simulated nodes: ordered, delayed, stalled by partitions, broken by cuts.

use std::collections::VecDeque;

use bytes::Bytes;

/// A connection, dialled by one node and taken by another.
#[derive(Debug)]
pub(super) struct Connection {
    pub(crate) id: u64,
    /// The two ends: who dialled, who took. A node that restarts has no ends any more.
    pub(crate) ends: [usize; 2],
    /// Bytes on their way to the dialler and to the taker, with the time of arrival.
    pipes: [VecDeque<(i64, Bytes)>; 2],
    /// When the taker's answer to the dialling arrives; None: it arrived.
    pub(crate) established_at_ms: Option<i64>,
    /// When each end learns that the connection is broken.
    pub(crate) broken_at_ms: [Option<i64>; 2],
    /// Which ends still hold it.
    pub(crate) held: [bool; 2],
}

/// All connections and what is wrong with the network.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(crate) connections: Vec<Connection>,
    next_id: u64,
    /// Pairs of nodes that can't reach each other, until when.
    partitions: Vec<(usize, usize, i64)>,
    delay_max_ms: i64,
}

impl Network {
    /// Which node dialled a connection.
    pub(super) fn dialler(&self, id: u64) -> Option<usize> {
        let connection = self.connections.iter().find(|c| c.id == id)?;
        Some(connection.ends[0])
    }

    /// `delay_max_ms`: each message takes up to this long.
    pub(super) fn new(delay_max_ms: i64) -> Network {
        Network {
            delay_max_ms,
            ..Network::default()
        }
    }

    pub(super) fn partition(&mut self, a: usize, b: usize, until_ms: i64) {
        self.partitions.push((a.min(b), a.max(b), until_ms));
    }

    pub(super) fn heal(&mut self) {
        self.partitions.clear();
    }

    pub(super) fn parted(&self, a: usize, b: usize, now_ms: i64) -> bool {
        let pair = (a.min(b), a.max(b));
        self.partitions
            .iter()
            .any(|(x, y, until)| (*x, *y) == pair && now_ms < *until)
    }

    fn delay(&self, rng: &mut fastrand::Rng) -> i64 {
        rng.i64(0..=self.delay_max_ms)
    }

    pub(super) fn dial(
        &mut self,
        from: usize,
        to: usize,
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) -> u64 {
        self.next_id += 1;
        let established_at_ms = Some(now_ms + self.delay(rng));
        self.connections.push(Connection {
            id: self.next_id,
            ends: [from, to],
            pipes: Default::default(),
            established_at_ms,
            broken_at_ms: [None; 2],
            held: [true; 2],
        });
        self.next_id
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.id == id)
    }

    /// Sends from the end `from` (0: dialler) of a connection.
    pub(super) fn send(
        &mut self,
        id: u64,
        from: usize,
        bytes: Bytes,
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) {
        let at = now_ms + self.delay(rng);
        if let Some(c) = self.get_mut(id) {
            let pipe = &mut c.pipes[1 - from];
            let at = at.max(pipe.back().map_or(0, |(t, _)| *t));
            if c.broken_at_ms[from].is_none() {
                pipe.push_back((at, bytes));
            }
        }
    }

    /// One end lets go; the other learns it after what was sent, unless a cut took that.
    pub(super) fn close(&mut self, id: u64, end: usize, now_ms: i64) {
        if let Some(c) = self.get_mut(id) {
            c.held[end] = false;
            let after = c.pipes[1 - end].back().map_or(now_ms, |(t, _)| *t);
            c.broken_at_ms[1 - end].get_or_insert(after.max(now_ms));
        }
        self.connections.retain(|c| c.held != [false; 2]);
    }

    /// Breaks a connection: what is under way is lost, each end learns it at its own time.
    pub(super) fn cut(&mut self, id: u64, now_ms: i64, rng: &mut fastrand::Rng) {
        let delays = [self.delay(rng), self.delay(rng)];
        if let Some(c) = self.get_mut(id) {
            for (end, delay) in delays.into_iter().enumerate() {
                // A part of what was sent may still arrive.
                let kept = rng.usize(0..=c.pipes[end].len());
                c.pipes[end].truncate(kept);
                let after = c.pipes[end].back().map_or(now_ms, |(t, _)| *t);
                c.broken_at_ms[end].get_or_insert(after.max(now_ms + delay));
            }
        }
    }

    /// A node dies: its ends are gone, the others learn it soon.
    pub(super) fn drop_node(&mut self, node: usize, now_ms: i64, rng: &mut fastrand::Rng) {
        let mine: Vec<(u64, usize)> = self
            .connections
            .iter()
            .flat_map(|c| (0..2).map(move |e| (c, e)))
            .filter(|(c, e)| c.ends[*e] == node && c.held[*e])
            .map(|(c, e)| (c.id, e))
            .collect();
        for (id, end) in mine {
            self.cut(id, now_ms, rng);
            self.close(id, end, now_ms);
        }
    }

    /// The next thing that has arrived at the end of a connection, if any.
    pub(super) fn receive(&mut self, id: u64, end: usize, now_ms: i64) -> Option<Arrival> {
        let ends = self.connections.iter().find(|c| c.id == id)?.ends;
        let parted = self.parted(ends[0], ends[1], now_ms);
        let c = self.get_mut(id)?;
        if !c.held[end] {
            return None;
        }
        if !parted
            && c.established_at_ms.is_none()
            && let Some((at, _)) = c.pipes[end].front()
            && *at <= now_ms
        {
            return c.pipes[end].pop_front().map(|(_, b)| Arrival::Bytes(b));
        }
        if c.pipes[end].is_empty() && c.broken_at_ms[end].is_some_and(|t| t <= now_ms) && !parted {
            return Some(Arrival::Broken);
        }
        None
    }
}

/// What a receiving end sees.
#[derive(Debug)]
pub(super) enum Arrival {
    Bytes(Bytes),
    Broken,
}
