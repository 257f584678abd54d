//! Any bytes as what a master says: the link never panics, keeps little, and gives exactly one end to every
//! load that it begins.

use bytes::Bytes;
use understudy::internals::repl::link::{Env, Link, LinkAction, LinkConfig, LinkState};
use understudy::internals::repl::psync::Request;
use understudy::internals::repl::replid::ReplId;

pub fn run(input: &[u8]) {
    let [choice, script @ ..] = input else {
        return;
    };
    let config = LinkConfig {
        host: "master".into(),
        port: 1,
        password: (choice & 1 != 0).then(|| "secret".into()),
        announce_ip: (choice & 2 != 0).then(|| "10.0.0.1".into()),
        timeout_ms: 60_000,
        ..LinkConfig::default()
    };
    let mut link = Link::new(config, choice & 4 != 0);
    let mut env = Env {
        now_ms: 1,
        id: ReplId::default(),
        offset: 100,
        random: 7,
    };
    let mut loading = false;
    let mut out = Vec::new();
    let mut rest = script;
    for _ in 0..10_000 {
        // A step: what happens, and how many bytes come with it.
        let [step, tail @ ..] = rest else {
            break;
        };
        rest = tail;
        out.clear();
        match step {
            0xff => {
                env.now_ms += 2000;
                link.tick(&env, &mut out);
            }
            0xfe => link.closed(&env, "closed", &mut out),
            0xfd => link.connected(&env, &mut out),
            // The loader says how it went, which only counts while there is one.
            0xfc if loading => {
                link.loaded(&env, &mut out);
                loading = link.state() == LinkState::Sync;
            }
            0xfb if loading => link.load_failed(&env, "failed", &mut out),
            length => {
                let length = usize::from(*length).min(rest.len());
                let (bytes, tail) = rest.split_at(length);
                rest = tail;
                if link.wants_read() {
                    link.received(&env, Bytes::copy_from_slice(bytes), &mut out);
                }
            }
        }
        let mut connect = false;
        for action in &out {
            match action {
                LinkAction::BeginLoad { .. } => {
                    assert!(!loading);
                    loading = true;
                }
                LinkAction::Load(bytes) => assert!(loading && !bytes.is_empty()),
                // The load then goes on by itself, until it is said to have ended.
                LinkAction::FinishLoad => assert!(loading),
                LinkAction::AbortLoad => {
                    assert!(loading);
                    loading = false;
                }
                LinkAction::Apply(bytes) => env.offset += bytes.len() as u64,
                LinkAction::Continue { new_id: Some(id) } => env.id = *id,
                LinkAction::Connect => connect = true,
                _ => {}
            }
        }
        if connect {
            out.clear();
            link.connected(&env, &mut out);
        }
    }
    let words: Vec<&[u8]> = script.split(|b| *b == b' ').collect();
    let _ = Request::parse(&words);
}
