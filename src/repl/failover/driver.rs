//! Sees a failover through: looks whether the target has every byte, makes the node its replica, and, if the
//! target refuses, a master again. On the other side, makes a replica that was asked by PSYNC FAILOVER the
//! master.
//!
//! There is no state but that of the [`FailoverCell`](super::FailoverCell) in the hub. Roles change with every
//! shard entered ([`RoleIo`]); a busy one is asked for again soon.

use super::{Answered, FailoverState, Step};
use crate::clock::Clock;
use crate::repl::hub::Hub;
use crate::repl::psync::Request;

/// How long a replica that is to take over waits for bytes that its master says it has sent, ms.
const DRAIN_MS: i64 = 1000;

/// Names a master to follow, when it is asked with every shard entered; or none.
pub(crate) type NameMaster<'a> = dyn FnMut(&Hub, &dyn Clock) -> Option<(String, u16)> + 'a;

/// What a change of role needs of its owner.
pub(crate) trait RoleIo {
    fn hub(&self) -> &Hub;
    fn clock(&self) -> &dyn Clock;
    /// Makes the node a replica of the master that `to` names once every shard is entered, if it names one.
    /// False: a shard is busy, or none was named.
    fn follow(&mut self, to: &mut NameMaster<'_>) -> bool;
    /// Makes the node a master, if every shard can be had at once; `Hub::epoch` after it. None: not now.
    fn promote(&mut self) -> Option<u64>;
    /// Another is the master now: does `then` with every shard entered, and ends what clients wait for here. False:
    /// a shard is busy.
    fn give_up(&mut self, then: &mut dyn FnMut(&Hub)) -> bool;
    /// The failover is over: writes go on, whoever's they are now.
    fn resume_writes(&mut self);
}

/// A failover waits for its target: does what is to be done now. True: look again soon.
pub(crate) fn look(io: &mut impl RoleIo) -> bool {
    if io.hub().failover().state() != FailoverState::WaitingForSync {
        return false;
    }
    match io.hub().look_at_failover(io.clock().unix_ms()) {
        Step::Wait => true,
        Step::Abort(why) => {
            io.hub().failover().abort(why);
            end(io);
            false
        }
        // A write that was let in before the pause may have come since: inside the shards none can.
        Step::HandOver { .. } => !io.follow(&mut |hub, clock| {
            let step = hub.look_at_failover(clock.unix_ms());
            let Step::HandOver { host, port, forced } = step else {
                return None;
            };
            hub.failover().hand_over(&host, port, forced);
            Some((host, port))
        }),
    }
}

/// The target has answered. True: it could not be acted upon yet, and is to be told again soon.
pub(crate) fn answered(answer: Answered, io: &mut impl RoleIo) -> bool {
    if io.hub().failover().state() != FailoverState::InProgress {
        return false;
    }
    match answer {
        // Blocked clients are told only now: a target that refuses leaves us the master, and them alone.
        Answered::Accepted => {
            if !io.give_up(&mut |hub| hub.failover().done()) {
                return true;
            }
        }
        Answered::Refused(why) => {
            if io.promote().is_none() {
                return true;
            }
            io.hub().failover().abort(why);
        }
    }
    end(io);
    false
}

fn end(io: &mut impl RoleIo) {
    io.hub().end_quiet();
    io.resume_writes();
}

/// What becomes of a PSYNC FAILOVER that may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOver {
    /// The request is none.
    NotAsked,
    /// We are not the master yet: it is to be looked at again soon.
    Later,
    /// We are the master now.
    Done,
}

/// Becomes the master if the request is a PSYNC FAILOVER. `since_ms`: when it came.
pub(crate) fn take_over(request: &Request, since_ms: i64, io: &mut impl RoleIo) -> TakeOver {
    let Request::Psync {
        offset,
        failover: true,
        ..
    } = request
    else {
        return TakeOver::NotAsked;
    };
    let (hub, now_ms) = (io.hub(), io.clock().unix_ms());
    // The request may overtake the stream, which comes by another connection.
    let lacks = u64::try_from(*offset).is_ok_and(|next| next > hub.offset() + 1);
    if lacks && hub.link_up() && now_ms - since_ms < DRAIN_MS {
        return TakeOver::Later;
    }
    match io.promote() {
        Some(_) => TakeOver::Done,
        None => TakeOver::Later,
    }
}
