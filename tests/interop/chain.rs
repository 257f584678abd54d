//! Chains of any length have one replid and one offset; sub-replicas survive a promotion above them.

use crate::common::{LONG, Make, ServerOptions, seed, wait_for};

#[test]
fn five_levels_speak_of_one_stream() {
    use Make::{Redis, Understudy};
    let mut chain = vec![ServerOptions::new(Understudy).start()];
    for make in [Understudy, Redis, Understudy, Understudy] {
        let above = chain[chain.len() - 1].port;
        let below = ServerOptions::new(make).replica_of(above).start();
        below.wait_synced(LONG);
        chain.push(below);
    }
    seed::fill(&mut chain[0].client(), 5, "chain", 3000);
    let (head, rest) = chain.split_first().expect("five servers");
    wait_for("all have the head's offset", LONG, || {
        rest.iter()
            .all(|s| s.info("master_repl_offset") == head.info("master_repl_offset"))
    });
    for server in rest {
        assert_eq!(server.info("master_replid"), head.info("master_replid"));
        assert_eq!(server.digest(), head.digest());
    }

    // The second is promoted: those below it follow without a full sync.
    let fulls: Vec<_> = rest.iter().map(|s| s.info("sync_full")).collect();
    assert_eq!(rest[0].call(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    rest[0].call(&["SET", "promoted", "yes"]);
    for server in &rest[1..] {
        wait_for("the write came down", LONG, || {
            server.call(&["GET", "promoted"]).text() == "yes"
        });
    }
    let now: Vec<_> = rest.iter().map(|s| s.info("sync_full")).collect();
    assert_eq!(fulls, now);
}
