//! The link's conversations with masters of all sorts.

use super::*;
use crate::repl::failover::REFUSED;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

struct Bench {
    link: Link,
    env: Env,
    /// Why full syncs came about.
    reasons: Vec<String>,
}

fn config() -> LinkConfig {
    LinkConfig {
        host: "master".into(),
        port: 6379,
        announce_port: 7000,
        timeout_ms: 60_000,
        ..LinkConfig::default()
    }
}

impl Bench {
    fn new(config: LinkConfig, resumable: bool) -> Bench {
        Bench {
            link: Link::new(config, resumable),
            env: Env {
                now_ms: 1000,
                id: ReplId::parse(A.as_bytes()).unwrap(),
                offset: 100,
                random: 7,
            },
            reasons: Vec::new(),
        }
    }

    /// Runs one event; what came out, as text.
    fn run(&mut self, f: impl FnOnce(&mut Link, &Env, &mut Vec<LinkAction>)) -> Vec<String> {
        let mut out = Vec::new();
        f(&mut self.link, &self.env, &mut out);
        out.retain(|action| match action {
            LinkAction::Resync { reason } => {
                self.reasons.push(reason.clone());
                false
            }
            _ => true,
        });
        out.into_iter()
            .map(|a| match a {
                LinkAction::Send(b) => {
                    let text = String::from_utf8(b).unwrap();
                    let words: Vec<&str> = text
                        .split("\r\n")
                        .filter(|w| !w.is_empty() && !w.starts_with(['*', '$']))
                        .collect();
                    format!("send {}", words.join(" "))
                }
                LinkAction::Load(b) => format!("load {}", String::from_utf8_lossy(&b)),
                LinkAction::Apply(b) => format!("apply {}", String::from_utf8_lossy(&b)),
                LinkAction::BeginLoad { id, offset, size } => {
                    format!("begin {} {offset} {size:?}", &id.as_str()[..1])
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn say(&mut self, text: &str) -> Vec<String> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.run(|l, e, o| l.received(e, bytes, o))
    }

    fn tick(&mut self, ms: i64) -> Vec<String> {
        self.env.now_ms += ms;
        self.run(|l, e, o| l.tick(e, o))
    }

    fn up_to_psync(&mut self) -> Vec<String> {
        assert_eq!(self.tick(0), ["Connect"]);
        assert_eq!(self.run(|l, e, o| l.connected(e, o)), ["send PING"]);
        self.say("+PONG\r\n");
        self.say("+OK\r\n");
        self.say("+OK\r\n")
    }
}

#[test]
fn a_fresh_node_asks_for_everything() {
    let mut b = Bench::new(config(), false);
    assert_eq!(b.tick(0), ["Connect"]);
    assert_eq!(b.link.state(), LinkState::Connecting);
    assert_eq!(b.run(|l, e, o| l.connected(e, o)), ["send PING"]);
    assert_eq!(b.link.state(), LinkState::Handshake);
    assert_eq!(
        b.say("+PONG\r\n"),
        [
            "send REPLCONF listening-port 7000 REPLCONF capa eof capa psync2 capa queue-place capa digest"
        ]
    );
    assert_eq!(b.say("+O"), [""; 0]);
    assert_eq!(b.say("K\r\n+OK\r\n"), ["send PSYNC ? -1"]);
    assert_eq!(b.say(&format!("\n\n+FULLRESYNC {B} 7\r\n\n")), [""; 0]);
    assert_eq!(b.link.state(), LinkState::Sync);
    assert_eq!(
        b.say("\n$5\r\nhel"),
        ["begin b 7 Some(5)".to_owned(), "load hel".into()]
    );
    assert_eq!(b.link.progress(), Some((3, Some(5))));
    assert_eq!(b.say("lo*1\r\n"), ["load lo", "FinishLoad"]);
    assert!(!b.link.wants_read());
    assert_eq!(b.tick(100), ["send \n"]);
    assert_eq!(b.tick(100), [""; 0]);
    b.env.offset = 7;
    assert_eq!(
        b.run(|l, e, o| l.loaded(e, o)),
        ["send REPLCONF ACK 7", "apply *1\r\n"]
    );
    assert_eq!(b.say("rest"), ["apply rest"]);
    assert!(b.link.resumable());
    assert_eq!(b.tick(999), [""; 0]);
    b.env.offset = 9;
    assert_eq!(b.tick(1), ["send REPLCONF ACK 9"]);
}

#[test]
fn a_place_in_the_queue_is_taken_note_of() {
    let mut b = Bench::new(config(), false);
    b.up_to_psync();
    assert_eq!(b.say("+QUEUED 3\r\n"), [""; 0]);
    assert_eq!(b.link.queue_place(), 3);
    assert_eq!(b.say("+QUEUED 1\r\n\n"), [""; 0]);
    assert_eq!(b.link.queue_place(), 1);
    assert_eq!(b.say(&format!("+FULLRESYNC {B} 7\r\n")), [""; 0]);
    assert_eq!(b.link.queue_place(), 0);
    let mut b = Bench::new(config(), false);
    b.up_to_psync();
    assert_eq!(b.say("+QUEUED many\r\n"), ["Close"]);
}

#[test]
fn auth_and_address_are_sent_when_set() {
    let mut b = Bench::new(
        LinkConfig {
            user: Some("u".into()),
            password: Some("p".into()),
            announce_ip: Some("1.2.3.4".into()),
            ..config()
        },
        false,
    );
    b.tick(0);
    b.run(|l, e, o| l.connected(e, o));
    assert_eq!(
        b.say("-NOAUTH Authentication required.\r\n"),
        [
            "send AUTH u p REPLCONF listening-port 7000 REPLCONF ip-address 1.2.3.4 \
              REPLCONF capa eof capa psync2 capa queue-place capa digest"
        ]
    );
    // Old masters may not know REPLCONF's options.
    assert_eq!(
        b.say("+OK\r\n-ERR what\r\n-ERR what\r\n-ERR what\r\n"),
        ["send PSYNC ? -1"]
    );
}

#[test]
fn wrong_password_is_a_failure() {
    let mut b = Bench::new(
        LinkConfig {
            password: Some("p".into()),
            ..config()
        },
        false,
    );
    b.tick(0);
    b.run(|l, e, o| l.connected(e, o));
    b.say("-NOAUTH x\r\n");
    assert_eq!(b.say("-WRONGPASS no\r\n"), ["Close"]);
    assert_eq!(b.link.state(), LinkState::Connect);
}

#[test]
fn a_node_with_history_resumes() {
    let mut b = Bench::new(config(), true);
    assert_eq!(b.up_to_psync(), [format!("send PSYNC {A} 101")]);
    assert_eq!(
        b.say("+CONTINUE\r\nxyz"),
        [
            "Continue { new_id: None }",
            "send REPLCONF ACK 100",
            "apply xyz"
        ]
    );
    assert_eq!(b.link.state(), LinkState::Connected);
}

#[test]
fn a_changed_id_is_taken_over() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(
        b.say(&format!("+CONTINUE {B}\r\n"))[0],
        format!(
            "Continue {{ new_id: Some({:?}) }}",
            ReplId::parse(B.as_bytes()).unwrap()
        )
    );
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(
        b.say(&format!("+CONTINUE {A}\r\n"))[0],
        "Continue { new_id: None }"
    );
}

#[test]
fn an_uninvited_continue_is_refused() {
    let mut b = Bench::new(config(), false);
    b.up_to_psync();
    assert_eq!(b.say("+CONTINUE\r\n"), ["Close"]);
}

#[test]
fn a_lost_link_is_tried_at_once_and_then_with_growing_pauses() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    assert_eq!(b.run(|l, e, o| l.closed(e, "eof", o)), ["Close"]);
    assert!(b.link.resumable());
    let mut pauses = Vec::new();
    for random in [0u64, 499, 0, 5, 9, 11, 13] {
        b.env.random = random;
        let mut waited = 0;
        while b.tick(0).is_empty() {
            b.env.now_ms += 50;
            waited += 50;
        }
        pauses.push(waited);
        b.run(|l, e, o| l.closed(e, "refused", o));
    }
    assert_eq!(pauses[0], 0);
    assert!((500..=1000).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.iter().all(|p| *p <= 5050), "{pauses:?}");
    assert!(pauses[6] >= 2500, "{pauses:?}");
}

#[test]
fn transient_refusals_are_retried_and_unknown_psync_falls_back() {
    for refusal in ["-NOMASTERLINK x\r\n", "-LOADING x\r\n"] {
        let mut b = Bench::new(config(), true);
        b.up_to_psync();
        assert_eq!(b.say(refusal), ["Close"]);
        assert!(b.link.resumable());
    }
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(b.say("-ERR unknown command\r\n"), ["send SYNC"]);
    assert_eq!(
        b.say("$2\r\nab"),
        ["begin 0 0 Some(2)", "load ab", "FinishLoad"]
    );
    // No acks for a master of the old protocol, and nothing to resume.
    assert_eq!(b.run(|l, e, o| l.loaded(e, o)), [""; 0]);
    assert_eq!(b.tick(5000), [""; 0]);
    assert!(!b.link.resumable());
}

#[test]
fn broken_transfers_leave_what_was_there() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say(&format!("+FULLRESYNC {B} 7\r\n$5\r\nhe"));
    assert_eq!(
        b.run(|l, e, o| l.closed(e, "eof", o)),
        ["AbortLoad", "Close"]
    );
    // The old history is still what we have, so it is what we ask for.
    assert!(b.link.resumable());
    assert_eq!(b.tick(5000), ["Connect"]);
}

#[test]
fn lies_end_the_attempt() {
    for lie in [
        "$-5\r\n",
        "*3\r\n",
        "-ERR no\r\n",
        "$EOF:short\r\n",
        "$1e9\r\n",
    ] {
        let mut b = Bench::new(config(), true);
        b.up_to_psync();
        b.say(&format!("+FULLRESYNC {B} 7\r\n"));
        assert_eq!(b.say(lie), ["Close"], "{lie}");
    }
    for lie in ["+FULLRESYNC\r\n", "+FULLRESYNC abc 7\r\n"] {
        let mut b = Bench::new(config(), true);
        b.up_to_psync();
        assert_eq!(b.say(lie), ["Close"], "{lie}");
    }
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(b.say(&"x".repeat(LINE_MAX + 1)), ["Close"]);
}

#[test]
fn silence_times_out_in_every_state_but_loading() {
    let mut b = Bench::new(config(), true);
    b.tick(0);
    assert_eq!(b.tick(60_001), ["Close"]);
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(b.tick(60_001), ["Close"]);
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    assert_eq!(b.tick(60_001), ["send REPLCONF ACK 100", "Close"]);
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say(&format!("+FULLRESYNC {B} 7\r\n$0\r\n"));
    assert_eq!(b.say("x"), ["load x"; 0]);
    assert_eq!(b.tick(60_001), ["send \n"]);
}

#[test]
fn empty_dumps_complete() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    assert_eq!(
        b.say(&format!("+FULLRESYNC {B} 7\r\n$0\r\n")),
        ["begin b 7 Some(0)", "FinishLoad"]
    );
}

#[test]
fn the_reason_of_a_full_sync_is_told() {
    let a = A.to_owned();
    for (resumable, id, offset, words) in [
        (false, B, 7, "first sync"),
        (true, B, 7, "does not know our history aaaa"),
        (true, &a, 150, "50 bytes behind"),
        (true, &a, 60, "40 bytes ahead"),
    ] {
        let mut b = Bench::new(config(), resumable);
        b.up_to_psync();
        b.say(&format!("+FULLRESYNC {id} {offset}\r\n"));
        assert!(b.reasons[0].contains(words), "{:?}", b.reasons);
    }
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    b.run(|l, e, o| l.broken(e, "rubbish", o));
    b.up_to_psync();
    b.say(&format!("+FULLRESYNC {B} 7\r\n"));
    assert!(b.reasons[0].contains("(rubbish)"), "{:?}", b.reasons);
}

/// From an answer to PSYNC to a dump that was loaded.
fn load_empty(b: &mut Bench) {
    b.up_to_psync();
    b.say(&format!("+FULLRESYNC {B} 7\r\n$0\r\n"));
}

/// When an idle link tries again.
fn next_try(b: &Bench) -> i64 {
    match b.link.state {
        State::Idle { retry_at_ms } => retry_at_ms,
        _ => panic!("{:?}", b.link.state),
    }
}

/// The master can only send again what can't be applied here, so it is asked for it ever more rarely.
#[test]
fn a_stream_that_can_not_be_applied_is_asked_for_again_ever_more_rarely() {
    let mut b = Bench::new(config(), true);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        b.up_to_psync();
        b.say("+CONTINUE\r\n");
        assert_eq!(b.link.state(), LinkState::Connected);
        // Until the stream is past it, that is what the link suffers from.
        let seen = pauses.last().map(|_| "no such database");
        assert_eq!(b.link.last_error(), seen);
        let ended = b.run(|l, e, o| l.cannot_apply(e, "no such database", Retry::Same, o));
        assert_eq!(ended, ["Close"]);
        assert!(b.link.resumable());
        pauses.push(next_try(&b) - b.env.now_ms);
        b.env.now_ms = next_try(&b);
    }
    assert!((500..=1000).contains(&pauses[0]), "{pauses:?}");
    assert!((30_000..=60_000).contains(&pauses[9]), "{pauses:?}");
    // Once more of the stream was applied, the link is as good as any.
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    b.env.offset += 10;
    b.tick(1000);
    assert_eq!(b.link.last_error(), None);
    b.run(|l, e, o| l.closed(e, "connection lost", o));
    assert_eq!(next_try(&b), b.env.now_ms);
}

/// Each costs the master a full sync: the first at once, as it may help, and then they become rare, also if the failure
/// is another each time.
#[test]
fn full_syncs_because_of_a_stream_that_fails_become_rare() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    let mut pauses = Vec::new();
    for n in 0..10 {
        let why = format!("failed at {n}");
        b.run(|l, e, o| l.cannot_apply(e, &why, Retry::InFull, o));
        assert!(!b.link.resumable());
        pauses.push(next_try(&b) - b.env.now_ms);
        b.env.now_ms = next_try(&b);
        load_empty(&mut b);
        assert_eq!(
            b.reasons.pop().unwrap(),
            format!("nothing could be resumed: {why}")
        );
        b.env.offset += 7;
        b.run(|l, e, o| l.loaded(e, o));
        assert_eq!(b.link.last_error(), None);
    }
    assert_eq!(pauses[0], 0);
    assert!((1000..=2000).contains(&pauses[1]), "{pauses:?}");
    assert!((30_000..=60_000).contains(&pauses[9]), "{pauses:?}");
    // After a good while it counts as the first.
    b.env.now_ms += CALM_MS + 1;
    b.run(|l, e, o| l.cannot_apply(e, "failed", Retry::InFull, o));
    assert_eq!(next_try(&b), b.env.now_ms);
    // Asked for by hand, in the middle of a pause.
    load_empty(&mut b);
    b.run(|l, e, o| l.loaded(e, o));
    b.run(|l, e, o| l.cannot_apply(e, "failed", Retry::Same, o));
    assert!(next_try(&b) > b.env.now_ms && b.link.resumable());
    b.run(|l, e, o| l.resync(e, "by hand", o));
    assert!(next_try(&b) == b.env.now_ms && !b.link.resumable());
}

#[test]
fn a_refused_dump_is_tried_again_ever_more_rarely() {
    let mut b = Bench::new(config(), true);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        load_empty(&mut b);
        assert_eq!(
            b.run(|l, e, o| l.refused(e, "it is empty", o)),
            ["AbortLoad", "Close"]
        );
        assert_eq!(b.link.last_error(), Some("it is empty"));
        assert_eq!(b.link.state(), LinkState::Connect);
        pauses.push(next_try(&b) - b.env.now_ms);
        b.env.now_ms = next_try(&b);
    }
    assert!(pauses[0] <= 1000 && pauses[1] <= 2000, "{pauses:?}");
    assert!((30_000..=60_000).contains(&pauses[9]), "{pauses:?}");
    // It is over with the first good sync.
    load_empty(&mut b);
    b.run(|l, e, o| l.loaded(e, o));
    assert_eq!(b.link.last_error(), None);
}

#[test]
fn whatever_ends_a_link_is_said() {
    let full = format!("+FULLRESYNC {B} 7\r\n");
    let closed = |b: &mut Bench| b.run(|l, e, o| l.closed(e, "connection lost", o));
    type Steps<'a> = &'a dyn Fn(&mut Bench);
    let last_error = |steps: Steps<'_>| {
        let mut b = Bench::new(config(), true);
        steps(&mut b);
        assert_eq!(b.link.state(), LinkState::Connect);
        b.link.last_error().unwrap_or_default().to_owned()
    };
    let cases: &[(Steps<'_>, &str)] = &[
        (
            &|b| {
                b.tick(0);
                closed(b);
            },
            "could not connect: connection lost",
        ),
        (
            &|b| {
                b.tick(0);
                b.run(|l, e, o| l.connected(e, o));
                b.say("-ERR go\u{1b}[2J away\r\n");
            },
            r"the answer to PING was -ERR go\x1b[2J away",
        ),
        (
            &|b| {
                b.up_to_psync();
                closed(b);
            },
            "the link ended in the handshake: connection lost",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say("-NOMASTERLINK Can't SYNC while not connected with my master\r\n");
            },
            "the answer to PSYNC was -NOMASTERLINK Can't SYNC while not connected with my master",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say(&full);
                b.say("-ERR BGSAVE failed, replication can't continue\r\n");
            },
            "the master gave the full sync up: ERR BGSAVE failed, replication can't continue",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say(&full);
                closed(b);
            },
            "the master ended the full sync before its dump: connection lost",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say(&full);
                b.say("$9\r\nhello");
                closed(b);
            },
            "the full sync ended after 5 of 9 bytes of the dump: connection lost",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say(&full);
                b.say("$9\r\nhello");
                b.tick(60_001);
            },
            "the full sync ended after 5 of 9 bytes of the dump: nothing was heard for 60000 ms",
        ),
        (
            &|b| {
                b.up_to_psync();
                b.say("+CONTINUE\r\n");
                closed(b);
            },
            "the link ended: connection lost",
        ),
    ];
    for (steps, expected) in cases {
        assert_eq!(last_error(steps), *expected);
    }
    // It is over with the first good sync.
    let mut b = Bench::new(config(), true);
    b.tick(0);
    closed(&mut b);
    b.env.now_ms += 10_000;
    b.up_to_psync();
    assert!(b.link.last_error().is_some());
    b.say("+CONTINUE\r\n");
    assert_eq!(b.link.last_error(), None);
}

#[test]
fn a_link_that_is_held_makes_no_attempt() {
    let mut b = Bench::new(config(), true);
    b.up_to_psync();
    b.say("+CONTINUE\r\n");
    assert_eq!(b.run(|l, e, o| l.hold(e, "the disk", o)), ["Close"]);
    assert_eq!(b.tick(600_000), [""; 0]);
    assert_eq!(b.link.last_error(), Some("the disk"));
    b.link.release();
    assert_eq!(b.tick(0), ["Connect"]);
}

fn failover() -> LinkConfig {
    LinkConfig {
        failover: true,
        ..config()
    }
}

#[test]
fn a_failover_asks_its_target_to_take_over() {
    let ask = format!("send PSYNC {A} 101 FAILOVER");
    let mut b = Bench::new(failover(), true);
    assert_eq!(b.up_to_psync(), std::slice::from_ref(&ask));
    assert_eq!(b.say(&format!("+CONTINUE {B}\r\n"))[0], "FailoverAccepted");
    assert_eq!(b.link.state(), LinkState::Connected);
    for refusal in [
        "-NOPERM no",
        "-NOMASTERLINK no",
        "-ERR PSYNC FAILOVER can't be sent to a master.",
    ] {
        let mut b = Bench::new(failover(), true);
        assert_eq!(b.up_to_psync(), std::slice::from_ref(&ask));
        let said = b.say(&format!("{refusal}\r\n"));
        assert_eq!(
            said,
            [format!("FailoverRefused({REFUSED:?})"), "Close".into()]
        );
    }
}

#[test]
fn an_answer_that_was_lost_is_no_refusal() {
    let mut b = Bench::new(failover(), true);
    b.up_to_psync();
    assert_eq!(b.run(|l, e, o| l.closed(e, "reset", o)), ["Close"]);
    // Soon, since writes are held up meanwhile.
    b.env.now_ms += RETRY_FAILOVER_MS;
    b.up_to_psync();
    assert_eq!(
        b.say("-ERR PSYNC FAILOVER can't be sent to a master.\r\n"),
        ["FailoverAccepted".to_owned(), format!("send PSYNC {A} 101")]
    );
    assert_eq!(
        b.say(&format!("+CONTINUE {B}\r\n"))[0].split(' ').next(),
        Some("Continue")
    );
}
