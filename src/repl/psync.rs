//! May a replica resume where it was? The master's decision, as Redis takes it.
//!
//! A replica names a history and the first byte it lacks. It may continue if the history is ours (or our
//! former one, within its bound) and every byte from there on is still in the log. Anything else is a full
//! sync, with the reason as a value, so that the log line and the tests say the same thing.

use std::fmt;

use super::hub::Hub;
use super::replid::ReplId;
use super::stream::Stream;
use crate::text::printable::printable;

/// What a connecting replica asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The old command: a full sync, no offsets, no acks.
    Sync,
    Psync {
        /// As it was sent, fit for a line: a replid, or "?".
        id: String,
        /// First byte wanted, counted from 1; -1 with "?".
        offset: i64,
        /// `PSYNC id offset FAILOVER`: become a master first.
        failover: bool,
    },
}

/// Why a request's arguments were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    Arity,
    Offset,
}

impl Request {
    /// Reads `SYNC` or `PSYNC id offset [FAILOVER]`. A fourth argument that isn't FAILOVER is ignored, as
    /// Redis does.
    pub fn parse(args: &[&[u8]]) -> Result<Request, BadRequest> {
        match args {
            [name] if name.eq_ignore_ascii_case(b"sync") => Ok(Request::Sync),
            [_, id, offset, rest @ ..] => {
                let offset = std::str::from_utf8(offset)
                    .ok()
                    .and_then(|t| t.parse().ok())
                    .ok_or(BadRequest::Offset)?;
                Ok(Request::Psync {
                    id: printable(id),
                    offset,
                    failover: rest
                        .first()
                        .is_some_and(|a| a.eq_ignore_ascii_case(b"failover")),
                })
            }
            _ => Err(BadRequest::Arity),
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send the log from this position on, after [`continue_line`].
    Continue {
        position: u64,
    },
    Full(Reason),
}

/// Why a full sync is needed. `Display` is the line that Redis logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// SYNC, or PSYNC with "?".
    Asked,
    UnknownId {
        asked: String,
        ours: ReplId,
        second: ReplId,
    },
    /// Our former history, but past where we left it.
    PastSecond { asked: i64, bound: i64 },
    /// The bytes are gone, or we never had them.
    NoBacklog { asked: i64, ahead: bool },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Asked => f.write_str("Full resync requested by replica"),
            Reason::UnknownId {
                asked,
                ours,
                second,
            } => write!(
                f,
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', \
                 my replication IDs are '{ours}' and '{second}')"
            ),
            Reason::PastSecond { asked, bound } => write!(
                f,
                "Partial resynchronization not accepted: Requested offset for second ID was {asked}, but I can \
                 reply up to {bound}"
            ),
            Reason::NoBacklog { asked, .. } => write!(
                f,
                "Unable to partial resync with replica for lack of backlog (Replica request was: {asked})."
            ),
        }
    }
}

/// Why a request can't be served at all now: the error reply. Asked when it comes, and again when it is served.
pub(crate) fn refusal(hub: &Hub, request: &Request) -> Option<&'static str> {
    if let Request::Psync {
        id, failover: true, ..
    } = request
    {
        if !hub.is_replica() {
            return Some("ERR PSYNC FAILOVER can't be sent to a master.");
        }
        if !id.eq_ignore_ascii_case(hub.history().id.as_str()) {
            return Some("ERR PSYNC FAILOVER replid must match my replid.");
        }
    }
    if hub.failover().is_on() {
        return Some("NOMASTERLINK Can't SYNC while failing over");
    }
    let takes_over = matches!(request, Request::Psync { failover: true, .. });
    (hub.is_replica() && !hub.link_up() && !takes_over)
        .then_some("NOMASTERLINK Can't SYNC while not connected with my master")
}

/// Decides on a request; a pure function of the stream.
pub(crate) fn decide(stream: &Stream, request: &Request) -> Decision {
    let Request::Psync { id, offset, .. } = request else {
        return Decision::Full(Reason::Asked);
    };
    let history = &stream.history;
    let is = |ours: &ReplId| id.eq_ignore_ascii_case(ours.as_str());
    if !is(&history.id) && (!is(&history.id2) || *offset > history.second_offset) {
        return Decision::Full(if id.starts_with('?') {
            Reason::Asked
        } else if is(&history.id2) {
            Reason::PastSecond {
                asked: *offset,
                bound: history.second_offset,
            }
        } else {
            Reason::UnknownId {
                asked: id.clone(),
                ours: history.id,
                second: history.id2,
            }
        });
    }
    // The first byte wanted is number `offset`, so `offset - 1` bytes are already there.
    let position = u64::try_from(*offset)
        .ok()
        .and_then(|o| o.checked_sub(1))
        .filter(|p| stream.active && stream.log.covers(*p));
    match position {
        Some(position) => Decision::Continue { position },
        None => Decision::Full(Reason::NoBacklog {
            asked: *offset,
            ahead: *offset > stream.log.end() as i64,
        }),
    }
}

/// A refusal as it is sent.
pub(crate) fn refusal_line(error: &str) -> String {
    format!("-{error}\r\n")
}

/// Instead of a sign of life, to a replica that waits for a transfer and understands it
/// ([`wire::QUEUE_PLACE`](super::wire::QUEUE_PLACE)): its place, from 1 on.
pub(crate) fn queued_line(place: usize) -> String {
    format!("+QUEUED {place}\r\n")
}

/// The reply to a request that may continue. Replicas of the second protocol are told our present replid.
pub(crate) fn continue_line(id: &ReplId, capa_psync2: bool) -> String {
    if capa_psync2 {
        format!("+CONTINUE {id}\r\n")
    } else {
        "+CONTINUE\r\n".into()
    }
}

/// The reply to PSYNC when a full sync begins: the snapshot is of this history after `offset` bytes.
pub(crate) fn full_line(id: &ReplId, offset: u64) -> String {
    format!("+FULLRESYNC {id} {offset}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::repl::History;
    use crate::repl::failover::FailoverRequest;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn id(text: &str) -> ReplId {
        ReplId::parse(text.as_bytes()).unwrap()
    }

    fn ask(id: &str, offset: i64) -> Request {
        Request::Psync {
            id: id.into(),
            offset,
            failover: false,
        }
    }

    /// A node that was a replica in history B up to byte 100 and then wrote 50 bytes of history A.
    fn promoted() -> Stream {
        let mut stream = Stream::new(ReplId::ZERO, 1000);
        stream.adopt(History::new(id(B)), 90, Some(0));
        stream.append_raw(&[b'x'; 10]);
        stream.history.shift(id(A), stream.log.end());
        stream.append_raw(&[b'y'; 50]);
        stream
    }

    #[test]
    fn own_history_within_the_backlog() {
        let s = promoted();
        assert_eq!(
            decide(&s, &ask(A, 151)),
            Decision::Continue { position: 150 }
        );
        assert_eq!(
            decide(&s, &ask(&A.to_uppercase(), 91)),
            Decision::Continue { position: 90 }
        );
        for (offset, ahead) in [(90, false), (152, true), (0, false), (-1, false)] {
            assert_eq!(
                decide(&s, &ask(A, offset)),
                Decision::Full(Reason::NoBacklog {
                    asked: offset,
                    ahead
                })
            );
        }
    }

    #[test]
    fn former_history_up_to_its_bound() {
        let s = promoted();
        assert_eq!(
            decide(&s, &ask(B, 101)),
            Decision::Continue { position: 100 }
        );
        assert_eq!(
            decide(&s, &ask(B, 102)),
            Decision::Full(Reason::PastSecond {
                asked: 102,
                bound: 101
            })
        );
    }

    #[test]
    fn strangers_and_those_who_ask_for_it_get_everything() {
        let s = promoted();
        assert_eq!(decide(&s, &Request::Sync), Decision::Full(Reason::Asked));
        assert_eq!(decide(&s, &ask("?", -1)), Decision::Full(Reason::Asked));
        assert!(matches!(
            decide(&s, &ask("cc", 101)),
            Decision::Full(Reason::UnknownId { .. })
        ));
        // The id that means "none" is no history, although a fresh node's second id spells it.
        let fresh = Stream::new(id(A), 1000);
        assert!(matches!(
            decide(&fresh, &ask(ReplId::ZERO.as_str(), -1)),
            Decision::Full(_)
        ));
    }

    #[test]
    fn no_backlog_no_continuation() {
        let s = Stream::new(id(A), 1000);
        assert!(matches!(decide(&s, &ask(A, 1)), Decision::Full(_)));
    }

    #[test]
    fn who_can_not_be_served_now_is_refused() {
        let clock = ManualClock::new(0, 1);
        let hub = Hub::new(&*clock, 1000);
        let asks = |id: &str, failover| Request::Psync {
            id: id.into(),
            offset: 1,
            failover,
        };
        let refused = |request: &Request| refusal(&hub, request).unwrap_or("").to_owned();
        let own = hub.history().id.to_string();
        assert_eq!(refused(&Request::Sync), "");
        assert!(refused(&asks(&own, true)).ends_with("can't be sent to a master."));
        hub.follow("master".into(), 6379);
        assert!(refused(&Request::Sync).starts_with("NOMASTERLINK Can't SYNC while not connected"));
        assert_eq!(refused(&asks(&own, true)), "");
        assert!(refused(&asks(A, true)).ends_with("replid must match my replid."));
        hub.publish_link(hub.epoch(), true, |_| {});
        assert_eq!(refused(&asks(A, false)), "");
        hub.failover().begin(FailoverRequest::default(), 0);
        for request in [asks(A, false), asks(&own, true), Request::Sync] {
            assert_eq!(
                refused(&request),
                "NOMASTERLINK Can't SYNC while failing over"
            );
        }
    }

    #[test]
    fn requests_parse() {
        let parse = |text: &str| {
            let args: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            Request::parse(&args)
        };
        assert_eq!(parse("SYNC"), Ok(Request::Sync));
        assert_eq!(parse("psync ? -1"), Ok(ask("?", -1)));
        assert_eq!(
            parse("PSYNC x 7 failover"),
            Ok(Request::Psync {
                id: "x".into(),
                offset: 7,
                failover: true
            })
        );
        assert_eq!(parse("PSYNC x y"), Err(BadRequest::Offset));
        assert_eq!(parse("PSYNC x"), Err(BadRequest::Arity));
    }
}
