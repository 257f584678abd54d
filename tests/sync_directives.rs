//! Directives of a master that show only in how it treats its replicas.

mod common;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use common::{LONG, Make, Server, ServerOptions, wait_for};
use socket2::SockRef;
use understudy::{Node, Settings};

fn follow(replica: &Server, port: u16) {
    replica.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
}

/// Without replicas the backlog goes after its time, and with it the history it belonged to.
fn backlog_goes_in_time(make: Make) {
    let master = ServerOptions::new(make).with("repl-backlog-ttl", 1).start();
    let replica = ServerOptions::new(Make::Understudy).start();
    follow(&replica, master.port);
    replica.wait_synced(LONG);
    assert_eq!(master.info("repl_backlog_active"), "1");
    let history = master.info("master_replid");
    // While somebody is there it stays, however long.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(master.info("repl_backlog_active"), "1");
    replica.call(&["REPLICAOF", "NO", "ONE"]);
    wait_for("the backlog is freed", LONG, || {
        master.info("repl_backlog_active") == "0"
    });
    assert_ne!(master.info("master_replid"), history);
    let freed = "Replication backlog freed after 1 seconds without connected replicas.";
    master.log_with(freed);
}

#[test]
fn our_backlog_goes_in_time() {
    backlog_goes_in_time(Make::Understudy);
}

#[test]
fn a_redis_servers_backlog_goes_in_time() {
    backlog_goes_in_time(Make::Redis);
}

/// With a delay that no test outlasts, one replica waits; the one that makes the number full ends the delay.
fn enough_replicas_end_the_delay(make: Make) {
    let master = ServerOptions::new(make)
        .with("repl-diskless-sync", "yes")
        .with("repl-diskless-sync-delay", 3600)
        .with("repl-diskless-sync-max-replicas", 2)
        .start();
    let replicas = [Make::Understudy, Make::Redis].map(|make| ServerOptions::new(make).start());
    follow(&replicas[0], master.port);
    wait_for("the first waits", LONG, || {
        master.info("slave0").contains("state=wait_bgsave")
    });
    // Longer than a cron takes to begin, if it were to.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(master.info("slave0").contains("state=wait_bgsave"));
    follow(&replicas[1], master.port);
    for replica in &replicas {
        replica.wait_synced(LONG);
    }
    assert_eq!(master.info("sync_full"), "2");
    let snapshots = master.log().matches("Starting BGSAVE for SYNC").count();
    assert_eq!(snapshots, 1);
}

#[test]
fn enough_replicas_end_our_delay() {
    enough_replicas_end_the_delay(Make::Understudy);
}

#[test]
fn enough_replicas_end_a_redis_servers_delay() {
    enough_replicas_end_the_delay(Make::Redis);
}

/// Whether this process's connection to the peer at that port sends small packets at once.
fn sends_at_once(peer_port: u16) -> Option<bool> {
    let fds = std::fs::read_dir("/proc/self/fd").expect("Linux");
    fds.flatten().find_map(|entry| {
        let fd = entry.file_name().to_str()?.parse().ok()?;
        // SAFETY: one that was closed meanwhile gives an error to what is asked of it here, and nothing more.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&fd);
        let peer = socket.peer_addr().ok()?.as_socket()?;
        (peer.port() == peer_port).then(|| socket.tcp_nodelay().ok())?
    })
}

#[test]
fn nagles_algorithm_is_left_on_for_replicas_where_told_so() {
    for (directive, at_once) in [(false, true), (true, false)] {
        let settings = Settings {
            port: 0,
            repl_disable_tcp_nodelay: directive,
            repl_diskless_sync_delay: 0,
            save: Vec::new(),
            ..Settings::default()
        };
        let node = Node::start(settings).expect("a free port");
        let replica = ServerOptions::new(Make::Redis).start();
        follow(&replica, node.port().expect("bound"));
        replica.wait_synced(LONG);
        let list = replica.call(&["CLIENT", "LIST", "TYPE", "MASTER"]).text();
        let own = list.split("laddr=").nth(1).expect("a local address");
        let own = own.split(' ').next().and_then(|a| a.rsplit(':').next());
        let port = own.and_then(|p| p.parse().ok()).expect("a port");
        assert_eq!(sends_at_once(port), Some(at_once), "{list}");
    }
}
