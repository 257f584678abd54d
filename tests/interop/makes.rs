//! Everything that replication needs, between this node and one of another make, either way round: what README's table of
//! tested makes says. `TEST_REDIS_SERVER` names the other's program.

use fastrand::Rng;

use crate::common::{
    LONG, Make, Proxy, RespClient, Server, ServerOptions, contents, seed, wait_for,
};

const WRITES: usize = 3000;

fn assert_same(master: &Server, replica: &Server) {
    wait_for("the replica has caught up", LONG, || {
        replica.info("master_link_status") == "up"
            && replica.info("master_repl_offset") == master.info("master_repl_offset")
    });
    contents::assert_same(&contents::of(master), &contents::of(replica), 0);
}

fn write(client: &mut RespClient, rng: &mut Rng) {
    let commands: Vec<_> = (0..WRITES).map(|_| seed::write(rng, 100)).collect();
    seed::send_all(client, &commands);
}

fn partial_resyncs(server: &Server) -> u64 {
    server.info("sync_partial_ok").parse().unwrap()
}

/// The whole life of a pair, the master first: a full sync (by way of the disk or not), the stream, a cut link, a change of
/// roles.
fn live(from: Make, to: Make, diskless: &str) {
    let mut rng = Rng::with_seed(11);
    let options = |make| {
        ServerOptions::new(make)
            .with("repl-diskless-sync", diskless)
            .with("repl-ping-replica-period", 1)
    };
    let master = options(from).start();
    let mut client = master.client();
    seed::fill(&mut client, 5, "k", 2000);
    write(&mut client, &mut rng);
    let proxy = Proxy::new(master.port);
    let replica = options(to).replica_of(proxy.port).start();
    replica.wait_synced(LONG);
    assert_same(&master, &replica);

    write(&mut client, &mut rng);
    assert_same(&master, &replica);

    proxy.refuse(true);
    write(&mut client, &mut rng);
    proxy.refuse(false);
    assert_same(&master, &replica);
    assert_eq!(partial_resyncs(&master), 1);
    assert_eq!(master.info("sync_full"), "1");

    // The replica takes over, and the old master resumes where it stands.
    replica.call(&["REPLICAOF", "NO", "ONE"]);
    write(&mut replica.client(), &mut rng);
    master.call(&["REPLICAOF", "127.0.0.1", &replica.port.to_string()]);
    assert_same(&replica, &master);
    assert_eq!(partial_resyncs(&replica), 1);
    assert_eq!(replica.info("sync_full"), "0");
}

#[test]
fn another_make_is_our_master_and_then_our_replica() {
    for diskless in ["yes", "no"] {
        live(Make::Redis, Make::Understudy, diskless);
    }
}

#[test]
fn another_make_is_our_replica_and_then_our_master() {
    for diskless in ["yes", "no"] {
        live(Make::Understudy, Make::Redis, diskless);
    }
}
