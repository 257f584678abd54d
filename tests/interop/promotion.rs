//! A chain of three; its head is killed and the middle promoted; the old head comes back as a replica.
//! Everything after the first syncs is partial, and what WAIT acknowledged is there at the end.

use std::time::Duration;

use crate::common::{Make, Server, ServerOptions, wait_for};

const LONG: Duration = Duration::from_secs(60);

fn start(make: Make, master: Option<&Server>) -> Server {
    let options = ServerOptions::new(make).with("repl-backlog-size", "16mb");
    match master {
        Some(master) => options.replica_of(master.port).start(),
        None => options.start(),
    }
}

fn promotion(makes: [Make; 3]) {
    let mut head = start(makes[0], None);
    let middle = start(makes[1], Some(&head));
    middle.wait_synced(LONG);
    let tail = start(makes[2], Some(&middle));
    tail.wait_synced(LONG);

    let mut client = head.client();
    let mut acked = 0;
    for n in 0..500 {
        client.call(&["SET", &format!("k{n}"), "v"]);
        if client.call(&["WAIT", "1", "5000"]).int() == Some(1) {
            acked = n + 1;
        }
    }
    assert_eq!(acked, 500, "the replica acks every write");

    // The head saves its place in the stream, and ends.
    head.shut_down(true);
    assert_eq!(middle.call(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    assert_eq!(middle.call(&["SET", "after", "promotion"]).text(), "OK");
    head.restart(Some(vec!["--replicaof".into(), format!("127.0.0.1 {}", middle.port)]));
    head.wait_synced(LONG);
    let mut client = middle.client();
    client.call(&["SET", "again", "1"]);
    wait_for("both replicas ack", LONG, || client.call(&["WAIT", "2", "1000"]).int() >= Some(1));
    wait_for("the tail has it as well", LONG, || tail.call(&["GET", "again"]).text() == "1");
    wait_for("the old head has it as well", LONG, || head.call(&["GET", "again"]).text() == "1");

    let digest = middle.digest();
    assert_eq!(head.digest(), digest);
    assert_eq!(tail.digest(), digest);
    for n in 0..acked {
        assert_eq!(head.call(&["GET", &format!("k{n}")]).text(), "v");
    }
    assert_eq!(middle.info("sync_full"), "1", "only the tail's first sync was full");
    assert_ne!(middle.info("sync_partial_ok"), "0", "the old head resumed");
}

#[test]
fn of_understudies() {
    promotion([Make::Understudy; 3]);
}

#[test]
fn of_both_makes() {
    promotion([Make::Redis, Make::Understudy, Make::Redis]);
    promotion([Make::Understudy, Make::Redis, Make::Understudy]);
}
