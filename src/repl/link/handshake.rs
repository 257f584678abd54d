//! What a replica and its master say to each other before the stream: who we are, what we have, and what the
//! master makes of it. Each line of the master's is met in the state that expects it (see [`super`]).

use tracing::{info, warn};

use super::{Env, Link, LinkAction, State, send};
use crate::repl::failover::REFUSED;
use crate::repl::replid::ReplId;
use crate::repl::transfer::{Form, Transfer};
use crate::repl::wire;
use crate::text::printable::printable;

/// What a master says to PSYNC FAILOVER.
const ALREADY_MASTER: &str = "-ERR PSYNC FAILOVER can't be sent to a master.";

impl Link {
    pub(super) fn line_received(&mut self, env: &Env, line: &[u8], out: &mut Vec<LinkAction>) {
        let text = printable(line);
        let refused = line[0] == b'-';
        match self.state {
            State::ExpectPong => {
                let accepted = ["+", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
                if !accepted.iter().any(|a| text.starts_with(a)) {
                    warn!("Error reply to PING from master: '{text}'");
                    return self.drop_link(env, format!("the answer to PING was {text}"), out);
                }
                info!("Master replied to PING, replication can continue...");
                self.introduce(env, out);
            }
            State::ExpectAuth => {
                if refused {
                    warn!("Unable to AUTH to MASTER: {text}");
                    return self.drop_link(env, format!("the answer to AUTH was {text}"), out);
                }
                self.state = State::ExpectPort;
            }
            State::ExpectPort => {
                if refused {
                    info!(
                        "(Non critical) Master does not understand REPLCONF listening-port: {text}"
                    );
                }
                self.state = if self.config.announce_ip.is_some() {
                    State::ExpectIp
                } else {
                    State::ExpectCapa
                };
            }
            State::ExpectIp => {
                if refused {
                    info!("(Non critical) Master does not understand REPLCONF ip-address: {text}");
                }
                self.state = State::ExpectCapa;
            }
            State::ExpectCapa => {
                if refused {
                    info!("(Non critical) Master does not understand REPLCONF capa: {text}");
                }
                self.ask(env, out);
            }
            State::ExpectPsync if text.starts_with("-DELTA ") && self.offers_delta(env) => {
                info!("MASTER <-> REPLICA sync: Fetching what differs instead of everything");
                out.push(LinkAction::Delta);
                self.fetching = true;
                self.drop_link(env, "a delta resync is under way", out);
            }
            State::ExpectPsync => self.psync_answered(env, &text, out),
            State::ExpectPayload => self.payload_begins(env, line, &text, out),
            _ => {}
        }
    }

    /// Everything up to capa goes out at once; the replies come back in order.
    fn introduce(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        let config = &self.config;
        let mut bytes = Vec::new();
        self.state = State::ExpectPort;
        if let Some(password) = &config.password {
            match &config.user {
                Some(user) => wire::command(&mut bytes, &["AUTH", user, password]),
                None => wire::command(&mut bytes, &["AUTH", password]),
            }
            self.state = State::ExpectAuth;
        }
        let port = config.announce_port.to_string();
        wire::command(&mut bytes, &["REPLCONF", "listening-port", &port]);
        if let Some(ip) = &config.announce_ip {
            wire::command(&mut bytes, &["REPLCONF", "ip-address", ip]);
        }
        let mut words = vec!["REPLCONF"];
        for capability in ["eof", "psync2", wire::QUEUE_PLACE, wire::DIGEST] {
            words.extend(["capa", capability]);
        }
        if self.offers_delta(env) {
            words.extend(["capa", wire::DELTA]);
        }
        wire::command(&mut bytes, &words);
        out.push(LinkAction::Send(bytes));
    }

    /// Whether a delta resync makes sense: a node that was never part of a stream has nothing to compare.
    fn offers_delta(&self, env: &Env) -> bool {
        self.config.delta && !self.no_delta && !self.config.failover && env.offset > 0
    }

    fn ask(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        let (id, offset) = if self.resumable {
            let next = env.offset + 1;
            info!(
                "Trying a partial resynchronization (request {}:{next}).",
                env.id
            );
            (env.id.to_string(), next.to_string())
        } else {
            info!("Partial resynchronization not possible (no cached master)");
            ("?".to_owned(), "-1".to_owned())
        };
        if self.config.failover {
            send(out, &["PSYNC", &id, &offset, "FAILOVER"]);
        } else {
            send(out, &["PSYNC", &id, &offset]);
        }
        self.state = State::ExpectPsync;
    }

    fn psync_answered(&mut self, env: &Env, text: &str, out: &mut Vec<LinkAction>) {
        let mut words = text.split(' ');
        let first = words.next();
        if first == Some("+QUEUED") {
            return self.queued(env, words.next(), out);
        }
        self.queue_place = 0;
        match first {
            Some("+FULLRESYNC") => {
                let id = words.next().and_then(|w| ReplId::parse(w.as_bytes()));
                let offset = words.next().and_then(|w| w.parse().ok());
                let (Some(id), Some(offset)) = (id, offset) else {
                    warn!("Master replied with wrong +FULLRESYNC syntax.");
                    return self.drop_link(env, format!("the answer to PSYNC was {text}"), out);
                };
                info!("Full resync from master: {id}:{offset}");
                self.failover_accepted(out);
                out.push(LinkAction::Resync {
                    reason: self.why_full(env, id, offset),
                });
                self.incoming = Some((id, offset));
                self.state = State::ExpectPayload;
            }
            Some("+CONTINUE") => {
                if !self.resumable {
                    warn!("Master wants to continue a stream that we did not ask for");
                    return self.drop_link(env, "the master continues what was not asked for", out);
                }
                info!("Successful partial resynchronization with master.");
                let new_id = words
                    .next()
                    .and_then(|w| ReplId::parse(w.as_bytes()))
                    .filter(|id| *id != env.id);
                if let Some(id) = new_id {
                    info!("Master replication ID changed to {id}");
                }
                info!("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
                self.failover_accepted(out);
                self.failures = 0;
                // Another history goes on with something else.
                if self.is_past_obstacle(env) || new_id.is_some() {
                    self.came_up();
                }
                self.state = State::Streaming;
                self.streaming_since_ms = env.now_ms;
                out.push(LinkAction::Continue { new_id });
                self.ack(env, out);
            }
            _ if self.config.failover => {
                if self.failover_unanswered && text.starts_with(ALREADY_MASTER) {
                    // It did take over, and we did not hear of it.
                    self.failover_accepted(out);
                    return self.ask(env, out);
                }
                self.failover_unanswered = false;
                out.push(LinkAction::FailoverRefused(REFUSED));
                self.drop_link(env, format!("the answer to PSYNC FAILOVER was {text}"), out);
            }
            Some("-NOMASTERLINK" | "-LOADING") => {
                info!("Master is currently unable to PSYNC but should be in the future: {text}");
                self.drop_link(env, format!("the answer to PSYNC was {text}"), out);
            }
            _ => {
                if text.starts_with("-ERR") {
                    info!("Master does not support PSYNC or is in error state (reply: {text})");
                } else {
                    warn!("Unexpected reply to PSYNC from master: {text}");
                }
                info!("Retrying with SYNC...");
                self.legacy = true;
                self.incoming = None;
                out.push(LinkAction::Resync {
                    reason: "the master knows only SYNC, which resumes nothing".into(),
                });
                self.state = State::ExpectPayload;
                out.push(LinkAction::Send(b"SYNC\r\n".to_vec()));
            }
        }
    }

    /// A master that serves others first tells our place in its queue now and then (see [`wire::QUEUE_PLACE`]).
    fn queued(&mut self, env: &Env, place: Option<&str>, out: &mut Vec<LinkAction>) {
        let Some(place) = place.and_then(|p| p.parse().ok()) else {
            warn!("Master told a place in its queue that is no number");
            return self.drop_link(env, "a place in the master's queue that is no number", out);
        };
        if std::mem::replace(&mut self.queue_place, place) != place {
            info!(
                "MASTER <-> REPLICA sync: waiting for a transfer, at place {place} of the master's queue"
            );
        }
    }

    fn failover_accepted(&mut self, out: &mut Vec<LinkAction>) {
        if std::mem::take(&mut self.config.failover) {
            self.failover_unanswered = false;
            out.push(LinkAction::FailoverAccepted);
        }
    }

    /// Why a master that was asked to continue wants a full sync, as far as its answer tells.
    fn why_full(&self, env: &Env, id: ReplId, offset: u64) -> String {
        if let Some(why) = &self.forgotten {
            return format!("nothing could be resumed: {why}");
        }
        if !self.resumable {
            return "first sync: nothing to resume from".into();
        }
        if id != env.id && env.offset == 0 {
            return "first sync: we were a master of our own, without a stream".into();
        }
        if id != env.id {
            return format!(
                "the master does not know our history {}: its own is {id}",
                env.id
            );
        }
        match offset.checked_sub(env.offset) {
            Some(behind) => {
                format!(
                    "our offset is {behind} bytes behind the master's, further than its backlog reaches"
                )
            }
            None => format!(
                "our offset is {} bytes ahead of the master's",
                env.offset - offset
            ),
        }
    }

    fn payload_begins(&mut self, env: &Env, line: &[u8], text: &str, out: &mut Vec<LinkAction>) {
        if let Some(error) = text.strip_prefix('-') {
            warn!("MASTER aborted replication with an error: {error}");
            return self.drop_link(
                env,
                format!("the master gave the full sync up: {error}"),
                out,
            );
        }
        let Some(form) = Form::parse(line) else {
            warn!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{text}'), are you sure the \
                 host and port are right?"
            );
            return self.drop_link(env, format!("no dump came, but '{text}'"), out);
        };
        match &form {
            Form::Length(n) => {
                info!("MASTER <-> REPLICA sync: receiving {n} bytes from master to parser");
            }
            Form::Mark(_) => info!(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to parser"
            ),
        }
        info!("MASTER <-> REPLICA sync: Loading DB in memory");
        // After SYNC neither is known; the owner makes up an id that no master will ever recognise.
        let (id, offset) = self.incoming.unwrap_or((ReplId::ZERO, 0));
        self.transfer_since_ms = env.now_ms;
        let transfer = Transfer::new(form);
        out.push(LinkAction::BeginLoad {
            id,
            offset,
            size: transfer.total(),
        });
        self.state = State::Transfer(transfer);
    }
}
