//! Full syncs that are cut or corrupted anywhere, at full speed: the production link, framing and loader, with
//! no sockets. Whatever is swapped in is the master's data, whole.
//!
//! `BAD_TRANSFERS=100000` tries so many of each kind.

use bytes::Bytes;

use crate::background::loading::{self, LoadedDump};
use crate::command::context::bench::Bench;
use crate::node_core::NodeCore;
use crate::rdb::writer::Preamble;
use crate::repl::link::{Env, Link, LinkAction};
use crate::repl::transfer::Form;
use crate::repl::{LinkConfig, ReplId};
use crate::snapshot::{Options, Snapshot};

const STREAM: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";

fn rounds() -> usize {
    std::env::var("BAD_TRANSFERS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1000)
}

/// A master's data, as a dump.
fn dump() -> Vec<u8> {
    let mut bench = Bench::new();
    for n in 0..60 {
        bench.line(&format!("SET key:{n} value:{n}"));
        bench.line(&format!("RPUSH list:{} a{n} b{n} {n}", n % 4));
        bench.line(&format!("HSET hash:{} field:{n} {n}", n % 3));
        bench.line(&format!("ZADD zset:{} {n} member:{n}", n % 2));
        bench.line(&format!("SADD set:{} {n}", n % 2));
    }
    let node = &bench.node;
    let preamble = Preamble {
        server_version: "7.2.4".into(),
        created_at: 0,
        used_memory_bytes: 0,
        replication: None,
        aof_base: false,
        ..Preamble::default()
    };
    let mut entered = node.keyspace.enter(node.keyspace.all());
    let snapshot = Snapshot::begin(&mut entered, &preamble, Options::default(), 0).unwrap();
    drop(entered);
    let mut chunks: Vec<Bytes> = Vec::new();
    snapshot.run(&node.keyspace, &mut chunks);
    chunks.concat()
}

/// How a transfer ended.
#[derive(Debug)]
enum End {
    Swapped(Box<LoadedDump>),
    /// The load failed, or was given up.
    Kept,
    /// It waits for more.
    Open,
}

/// A link that has just been told +FULLRESYNC is sent `bytes`, in parts, and then cut, if `cut`.
fn receive(
    node: &NodeCore,
    mut bytes: Bytes,
    cut: bool,
    rng: &mut fastrand::Rng,
) -> (End, Vec<u8>) {
    let env = Env {
        now_ms: 1000,
        id: ReplId::ZERO,
        offset: 0,
        random: 0,
    };
    let mut link = Link::new(LinkConfig::default(), false);
    let mut out = Vec::new();
    link.tick(&env, &mut out);
    link.connected(&env, &mut out);
    let id = "0123456789012345678901234567890123456789";
    let hello = format!("+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC {id} 1\r\n");
    link.received(&env, hello.into(), &mut out);
    out.clear();
    let (mut payload, mut applied) = (Vec::new(), Vec::new());
    let mut loaded: Option<Box<LoadedDump>> = None;
    let mut end = End::Open;
    loop {
        let last = bytes.is_empty();
        if !last {
            let part = bytes.split_to(rng.usize(1..=bytes.len().min(700)));
            link.received(&env, part, &mut out);
        } else if cut && matches!(end, End::Open) {
            link.closed(&env, "reset by peer", &mut out);
        }
        let mut at = 0;
        while at < out.len() {
            match &out[at] {
                LinkAction::Load(bytes) => payload.extend_from_slice(bytes),
                LinkAction::Apply(bytes) => applied.extend_from_slice(bytes),
                LinkAction::AbortLoad => end = End::Kept,
                LinkAction::FinishLoad => match loading::read_transfer(node, &payload[..]) {
                    Ok(dump) => {
                        loaded = Some(Box::new(dump));
                        link.loaded(&env, &mut out);
                    }
                    Err(error) => link.load_failed(&env, &error, &mut out),
                },
                LinkAction::Close => end = End::Kept,
                _ => {}
            }
            at += 1;
        }
        out.clear();
        if let Some(dump) = loaded.take() {
            end = End::Swapped(dump);
        }
        if last {
            return (end, applied);
        }
    }
}

fn framed(dump: &[u8], form: &Form) -> Vec<u8> {
    let mark: &[u8] = match form {
        Form::Mark(mark) => mark,
        Form::Length(_) => b"",
    };
    [&form.header(), dump, mark, STREAM].concat()
}

#[test]
fn no_cut_and_no_changed_byte_gets_through() {
    let dump = dump();
    let node = Bench::new().node;
    let keys = 60 + 4 + 3 + 2 + 2;
    let forms = [Form::Length(dump.len() as u64), Form::Mark([b'm'; 40])];
    let mut rng = fastrand::Rng::with_seed(9);
    for form in &forms {
        let good = framed(&dump, form);
        let (end, applied) = receive(&node, good.clone().into(), false, &mut rng);
        assert!(
            matches!(end, End::Swapped(d) if d.summary.keys == keys),
            "{form:?}"
        );
        assert_eq!(applied, STREAM);
        let header = form.header().len();
        let whole = good.len() - STREAM.len();
        for _ in 0..rounds() / 2 {
            let at = rng.usize(0..whole);
            let (end, _) = receive(&node, good[..at].to_vec().into(), true, &mut rng);
            assert!(matches!(end, End::Kept), "{form:?} cut at {at}: {end:?}");
        }
        let mut waiting = 0;
        for _ in 0..rounds() / 2 {
            let mut bad = good.clone();
            let at = rng.usize(0..whole);
            bad[at] ^= rng.u8(1..=255);
            let (end, applied) = receive(&node, bad.into(), false, &mut rng);
            match end {
                End::Kept => {}
                // A length or a mark that was changed may make it wait for what never comes.
                End::Open => waiting += 1,
                // The length's line end is not looked at closely.
                End::Swapped(d) => {
                    assert!(at < header && d.summary.keys == keys, "{form:?} at {at}");
                    assert_eq!(applied, STREAM);
                }
            }
        }
        assert!(waiting < rounds() / 4, "{waiting} wait");
    }
}
