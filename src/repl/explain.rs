//! Replication in words: why full resyncs came about (the last hundred, on either side), and what would
//! happen if a link were cut now.
//!
//! Pure: the words are made of the same state that the decisions are made of.

use std::collections::VecDeque;

use super::backlog::survives_s;
use super::link::LinkState;
use super::psync::{Reason, Request};
use super::replicas::{Replica, ReplicaState};
use super::stream::Stream;
use super::view::{LinkView, ReplicationView};

/// How many are kept.
pub(crate) const KEPT: usize = 100;

/// On which side of the resync we were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A replica of ours resynced.
    Master,
    /// We did, with our master.
    Replica,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Master => "master",
            Side::Replica => "replica",
        }
    }
}

/// A full resync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resync {
    /// Unix ms.
    pub(crate) at_ms: i64,
    /// Which side we were.
    pub(crate) side: Side,
    /// Address and port of the other.
    pub(crate) peer: String,
    pub(crate) reason: String,
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explain {
    resyncs: VecDeque<Resync>,
    /// Resyncs seen in all, forgotten ones included.
    total: u64,
    /// Replicas that we disconnected, and why; until they are back.
    departures: VecDeque<(String, &'static str)>,
}

impl Explain {
    /// Keeps a resync. Its texts may hold what a peer sent, so they are made one line of bounded length.
    pub(crate) fn record(&mut self, mut resync: Resync) {
        for text in [&mut resync.peer, &mut resync.reason] {
            *text = one_line(text);
        }
        if self.resyncs.len() == KEPT {
            self.resyncs.pop_back();
        }
        self.total += 1;
        self.resyncs.push_front(resync);
    }

    /// The newest first.
    pub(crate) fn resyncs(&self) -> impl Iterator<Item = &Resync> {
        self.resyncs.iter()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// We disconnected a replica.
    pub(crate) fn departed(&mut self, name: &str, why: &'static str) {
        self.returned(name);
        if self.departures.len() == KEPT {
            self.departures.pop_front();
        }
        self.departures.push_back((name.to_owned(), why));
    }

    /// It is back; why it had been disconnected, if it was by us.
    pub(crate) fn returned(&mut self, name: &str) -> Option<&'static str> {
        let at = self.departures.iter().position(|(n, _)| n == name)?;
        self.departures.remove(at).map(|(_, why)| why)
    }
}

/// Longest text that is kept, characters.
const TEXT_MAX: usize = 400;

/// A text without line ends and the like, cut if it is long.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(TEXT_MAX).map(plain).collect()
}

/// Why a replica gets a full sync, with the numbers that the decision was made of. `dump_only`: it wants a
/// dump and no stream.
pub(crate) fn in_words(
    stream: &Stream,
    request: &Request,
    reason: &Reason,
    dump_only: bool,
) -> String {
    match reason {
        Reason::Asked if dump_only => "a dump was asked for by hand (REPLCONF rdb-only)".into(),
        Reason::Asked if *request == Request::Sync => {
            "asked for by SYNC: by hand, or by a replica that knows nothing else".into()
        }
        Reason::Asked => "first sync: the replica has no history to resume from".into(),
        // A node that was a master without a stream offers its own id, with nothing after it.
        Reason::UnknownId { .. } if matches!(request, Request::Psync { offset: 1, .. }) => {
            "first sync: the replica was a master of its own, without a stream".into()
        }
        Reason::UnknownId {
            asked,
            ours,
            second,
        } => format!(
            "replid unknown: it asked for {}, ours are {ours} and {second} (it followed another master, or \
             one of us lost its history)",
            one_line(asked)
        ),
        Reason::PastSecond { asked, bound } => format!(
            "its offset {asked} is {} bytes past {bound}, where we left the history that it follows",
            asked.saturating_sub(*bound)
        ),
        Reason::NoBacklog { asked, ahead: true } => format!(
            "offset {asked} is {} bytes ahead of ours: we lost the end of our history",
            asked.saturating_sub(stream.log.end() as i64)
        ),
        Reason::NoBacklog { .. } if !stream.active => "there is no backlog".into(),
        Reason::NoBacklog { asked, .. } => format!(
            "offset {asked} is before the backlog by {} bytes (repl-backlog-size is {})",
            (stream.log.first() as i64 + 1).saturating_sub(*asked),
            stream.log.limit()
        ),
    }
}

/// For how long something stays as it is.
fn within(bytes: u64, bytes_per_second: f64) -> String {
    match survives_s(bytes, bytes_per_second) {
        Some(seconds) => {
            format!("for {bytes} more bytes of writes, about {seconds} s at the present rate")
        }
        None => format!("for {bytes} more bytes of writes, which is any time at the present rate"),
    }
}

/// What would happen if this replica's link were cut now.
pub(crate) fn fate_of_replica(replica: &Replica, view: &ReplicationView) -> String {
    match replica.state {
        ReplicaState::WaitSnapshot => {
            return "full resync: it still waits for its snapshot, and would queue anew".into();
        }
        ReplicaState::SnapshotRunning | ReplicaState::SendingBulk => {
            return "full resync: its dump is not complete, and would begin anew, with the same snapshot if that still takes replicas in".into();
        }
        ReplicaState::Online => {}
    }
    if replica.legacy {
        return "full resync: it came by SYNC, which resumes nothing".into();
    }
    if replica.may_be_loading() {
        return "full resync, if it has not loaded its dump yet; else partial".into();
    }
    if replica.ack_offset > view.offset {
        let ahead = replica.ack_offset - view.offset;
        return format!("full resync: it acked {ahead} bytes more than there are");
    }
    let lacks = replica.behind(view.offset);
    // The first byte that the backlog has is counted from 1.
    let missing = view
        .backlog_first_byte
        .saturating_sub(replica.position() + 1);
    if !view.backlog_active {
        "full resync: there is no backlog".into()
    } else if missing > 0 {
        format!("full resync: it lacks {lacks} bytes, and {missing} of them have left the backlog")
    } else {
        format!(
            "partial resync: the backlog has the {lacks} bytes that it lacks, {}",
            within(view.backlog_size.saturating_sub(lacks), view.write_rate)
        )
    }
}

/// What would happen if the link to our master were cut now.
pub(crate) fn fate_of_link(link: &LinkView, view: &ReplicationView) -> String {
    let asks = format!("PSYNC {} {}", view.history.id, view.offset + 1);
    match link.state {
        LinkState::Connected if link.resumable => format!(
            "{asks}: partial resync as long as the master's backlog has that byte, else full; the data serves on"
        ),
        LinkState::Connected => {
            "full resync: the master came by SYNC, which resumes nothing".into()
        }
        LinkState::Sync => {
            "the full resync would begin anew; the data of before it serves on until it is complete"
                .into()
        }
        _ if link.resumable => format!("it is down; when the master answers: {asks}"),
        _ => "it is down; when the master answers: full resync, there is nothing to resume from"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hub;
    use super::super::replicas::tests::replica;
    use super::super::view::LinkView;
    use super::*;
    use crate::clock::ManualClock;
    use crate::repl::{History, ReplId};

    fn resync(n: i64) -> Resync {
        Resync {
            at_ms: n,
            side: Side::Master,
            peer: "a:1".into(),
            reason: "first sync".into(),
        }
    }

    #[test]
    fn the_last_hundred_are_kept_newest_first() {
        let mut explain = Explain::default();
        for n in 0..150 {
            explain.record(resync(n));
        }
        let kept: Vec<i64> = explain.resyncs().map(|r| r.at_ms).collect();
        assert_eq!((kept.len(), kept[0], kept[99]), (KEPT, 149, 50));
        assert_eq!(explain.total(), 150);
    }

    #[test]
    fn what_a_peer_sent_stays_one_short_line() {
        let mut explain = Explain::default();
        explain.record(Resync {
            peer: "a\r\nrole:slave:1".into(),
            reason: "x".repeat(100_000),
            ..resync(1)
        });
        let kept = explain.resyncs().next().unwrap();
        assert_eq!(kept.peer, "a  role:slave:1");
        assert_eq!(kept.reason.len(), TEXT_MAX);
    }

    #[test]
    fn a_departure_is_told_once_and_memory_of_them_is_bounded() {
        let mut explain = Explain::default();
        explain.departed("a:1", "too slow");
        explain.departed("a:1", "silent");
        assert_eq!(explain.returned("a:1"), Some("silent"));
        assert_eq!(explain.returned("a:1"), None);
        for n in 0..1000 {
            explain.departed(&format!("a:{n}"), "too slow");
        }
        assert_eq!(explain.departures.len(), KEPT);
    }

    /// A master whose backlog of 100 bytes ends at 500, and what it sees.
    fn master() -> (Hub, ReplicationView) {
        let clock = ManualClock::new(0, 1);
        let hub = Hub::new(&*clock, 100);
        hub.stream()
            .adopt(History::new(ReplId::random(&*clock)), 0, Some(0));
        for _ in 0..50 {
            hub.append_raw(&[b'x'; 10]);
        }
        let view = hub.observe();
        (hub, view)
    }

    #[test]
    fn a_resync_is_explained_by_the_numbers_of_its_decision() {
        let (hub, view) = master();
        let stream = hub.stream();
        let asked = |offset: i64, id: &str| {
            let request = Request::Psync {
                id: id.into(),
                offset,
                failover: false,
            };
            match crate::repl::psync::decide(&stream, &request) {
                crate::repl::psync::Decision::Full(reason) => {
                    in_words(&stream, &request, &reason, false)
                }
                other => format!("{other:?}"),
            }
        };
        let id = stream.history.id.to_string();
        let gone = view.backlog_first_byte as i64 - 7;
        assert!(asked(gone, &id).contains("before the backlog by 7 bytes"));
        assert!(asked(511, &id).contains("11 bytes ahead"));
        assert!(asked(2, &"5".repeat(40)).contains("replid unknown: it asked for 5555"));
        assert!(asked(1, &"5".repeat(40)).contains("first sync"));
        assert!(asked(-1, "?").contains("first sync"));
        let by_hand = in_words(&stream, &Request::Sync, &Reason::Asked, false);
        assert!(by_hand.contains("by hand"));
        assert!(in_words(&stream, &Request::Sync, &Reason::Asked, true).contains("dump"));
    }

    #[test]
    fn the_fate_of_a_replica_follows_from_its_place() {
        let (_, mut view) = master();
        let fate = |ack: u64, state: ReplicaState, view: &ReplicationView| {
            let mut r = replica(1, state);
            r.ack_offset = ack;
            fate_of_replica(&r, view)
        };
        let online = ReplicaState::Online;
        view.write_rate = 10.0;
        let words = fate(480, online, &view);
        let left = view.backlog_size - 20;
        assert!(
            words.contains("partial resync: the backlog has the 20 bytes")
                && words.contains(&format!("about {} s", left / 10)),
            "{words}"
        );
        let lost = view.backlog_first_byte - 4;
        let words = fate(lost, online, &view);
        assert!(
            words.contains("full resync") && words.contains("3 of them"),
            "{words}"
        );
        let words = fate(511, online, &view);
        assert!(words.contains("acked 11 bytes more"), "{words}");
        // One that has resumed, and one that was sent a dump, before their first acks.
        let mut r = replica(1, online);
        r.sync.cut = view.offset;
        assert!(
            fate_of_replica(&r, &view).starts_with("partial resync: the backlog has the 0 bytes")
        );
        r.sync.snapshot = 1;
        assert!(fate_of_replica(&r, &view).contains("if it has not loaded its dump yet"));
        r.ack_offset = r.sync.cut;
        assert!(fate_of_replica(&r, &view).starts_with("partial resync"));
        for state in [ReplicaState::WaitSnapshot, ReplicaState::SendingBulk] {
            assert!(fate(0, state, &view).starts_with("full resync"));
        }
        view.backlog_active = false;
        assert!(fate(500, online, &view).contains("no backlog"));
    }

    #[test]
    fn the_fate_of_our_link_follows_from_its_state() {
        let (_, view) = master();
        let fate = |state: LinkState, resumable: bool| {
            let link = LinkView {
                state,
                resumable,
                ..LinkView::default()
            };
            fate_of_link(&link, &view)
        };
        assert!(fate(LinkState::Connected, true).starts_with("PSYNC "));
        assert!(fate(LinkState::Connected, false).starts_with("full resync"));
        assert!(fate(LinkState::Sync, true).contains("begin anew"));
        assert!(fate(LinkState::Connect, true).contains("it is down"));
        assert!(fate(LinkState::Connect, false).contains("nothing to resume"));
    }
}
