//! What a simulated node does in a failover, and its guard against empty masters: the production state
//! machines, driven as the actors drive them.

use super::dataset::Dataset;
use super::node::{Around, SimNode};
use crate::repl::failover::{FailoverState, Step, Wish};
use crate::repl::{Link, LinkConfig, ReplId, Request, wire};

impl SimNode {
    /// FAILOVER to any replica, with a timeout or none.
    pub fn fail_over(&mut self, timeout_ms: Option<i64>, around: &mut Around<'_>) {
        if self.is_replica() || !self.up || self.failover.is_on() || self.replicas.is_empty() {
            return;
        }
        let wish = Wish {
            timeout_ms,
            ..Wish::default()
        };
        self.stream.quiet = true;
        self.failover.begin(wish, around.now_ms);
        if self.stream.active {
            self.stream.append_raw(wire::GETACK);
        }
    }

    pub(super) fn step_failover(&mut self, around: &mut Around<'_>) {
        let end = self.stream.log.end();
        match self.failover.look(&self.replicas, end, around.now_ms) {
            Step::Wait => {}
            Step::Abort(why) => self.abort_failover(why, around),
            Step::HandOver { host, port, forced } => {
                let target = host.trim_start_matches("node").parse();
                self.failover.hand_over(&host, port, forced);
                if let Ok(target) = target {
                    self.target = target;
                    let config = LinkConfig {
                        failover: true,
                        ..SimNode::config(target)
                    };
                    self.link = Some(Link::new(config, true));
                }
            }
        }
    }

    pub(super) fn failover_accepted(&mut self) {
        self.failover.done();
        self.stream.quiet = false;
        self.failovers += 1;
    }

    /// The failover is off: a node that follows its target already becomes a master again.
    pub fn abort_failover(&mut self, why: &str, around: &mut Around<'_>) {
        let state = self.failover.abort(why);
        self.stream.quiet = false;
        if state == FailoverState::InProgress {
            self.promote(around);
        }
    }

    /// Whether a PSYNC is refused for a failover's sake: ours, or one that asks us in vain. One that may ask
    /// makes us the master.
    pub(super) fn refuses(
        &mut self,
        connection: u64,
        request: &Request,
        around: &mut Around<'_>,
    ) -> Option<&'static str> {
        if let Request::Psync {
            id, failover: true, ..
        } = request
        {
            if !self.is_replica() {
                return Some("-ERR PSYNC FAILOVER can't be sent to a master.\r\n");
            }
            if *id != self.stream.history.id.to_string() {
                return Some("-ERR PSYNC FAILOVER replid must match my replid.\r\n");
            }
            self.promote(around);
            debug_assert!(self.replicas.get(connection).is_none());
        }
        self.failover
            .is_on()
            .then_some("-NOMASTERLINK Can't SYNC while failing over\r\n")
    }

    pub(super) fn guards(&self, new: &Dataset, id: ReplId) -> bool {
        let is_empty = |data: &Dataset| data.databases.iter().all(|db| db.is_empty());
        let history = &self.stream.history;
        is_empty(new) && !is_empty(&self.data) && id != history.id && id != history.id2
    }
}
