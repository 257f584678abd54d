//! Line ends and control sequences in what clients, replicas and masters send: no line of INFO, of CLIENT LIST or
//! of the log begins where they wanted one.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

/// What each of them tries to have stand at the beginning of a line, or seen by the terminal.
const FALSE_LINE: &str = "pwned:1";

/// Each line of INFO is a field or a heading, none is false.
fn check_info(server: &Server) {
    let info = server.call(&["INFO", "everything"]).text();
    for line in info.split("\r\n") {
        let good = line.is_empty() || line.starts_with('#') || line.contains(':');
        assert!(good && !line.starts_with(FALSE_LINE), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

/// Each line of the log begins as the log's lines do.
fn check_log(server: &Server) {
    for line in server.log().lines() {
        let (pid, _) = line.split_once(':').unwrap_or_default();
        let good = pid.parse::<u32>().is_ok() || line.is_empty();
        assert!(good && !line.contains(char::is_control), "{line:?}");
    }
}

/// A replica that tells what it likes and then asks for the stream; the answers to REPLCONF.
fn replica_that_says(
    server: &Server,
    pairs: &[[&str; 2]],
    psync: &[&str],
) -> (RespClient, Vec<String>) {
    let mut client = server.client();
    let told = pairs
        .iter()
        .map(|[option, value]| client.call(&["REPLCONF", option, value]).text())
        .collect();
    client.send(psync);
    client.flush();
    // Until it is attached.
    wait_for("the request is in the log", LONG, || {
        server.log().contains("asks for synchronization")
    });
    (client, told)
}

#[test]
fn a_replica_puts_no_line_into_info_or_the_log() {
    let server = Server::understudy();
    let evil = format!("1.2.3.4\r\n{FALSE_LINE}");
    let (_replica, told) = replica_that_says(
        &server,
        &[
            ["ip-address", &evil],
            ["ip-address", "1.2.3.4,port=1,state=online"],
            ["listening-port", "7777"],
            ["version", &format!("9\r\n{FALSE_LINE}\x1b[2J")],
            ["capa", &evil],
        ],
        &["PSYNC", &evil, "1"],
    );
    let refused = "ERR REPLCONF ip-address is neither a host name nor an address";
    assert_eq!(told, [refused, refused, "OK", "OK", "OK"]);
    wait_for("it is attached", LONG, || {
        server.info("connected_slaves") == "1"
    });
    check_info(&server);
    let explained = server.call(&["REPLICATION", "EXPLAIN"]);
    for line in explained.strings() {
        assert!(!line.iter().any(u8::is_ascii_control), "{explained:?}");
    }
    // What it must not say as a replica ends up in the log as well.
    let mut client = server.client();
    client.call(&["REPLCONF", "listening-port", "7778"]);
    client.send(&["SYNC"]);
    client.send(&["NOSUCH\r\npwned:1", "\x1b[2J\r\npwned:1"]);
    client.flush();
    wait_for("it is cut off", LONG, || {
        server.log().contains("Replica generated a reply")
    });
    server.call(&["DEBUG", "LOG", &evil]);
    check_log(&server);
}

#[test]
fn a_client_puts_no_line_anywhere() {
    let server = Server::understudy();
    let mut client = server.client();
    let evil = format!("x\r\n{FALSE_LINE}");
    for line in [
        &["REPLICAOF", &evil, "6379"][..],
        &["REPLICAOF", "", "6379"],
        &["REPLICAOF", "a b", "6379"],
        &["CLIENT", "SETNAME", &evil],
        &["CLIENT", "SETINFO", "lib-name", &evil],
        &["CLIENT", "SETINFO", "lib-ver", &evil],
        &["HELLO", "3", "SETNAME", &evil],
        &["AUTH", &evil, &evil],
        &["FAILOVER", "TO", &evil, "1"],
        &["CONFIG", "SET", "replica-announce-ip", &evil],
        &["CONFIG", "SET", "bind-source-addr", &evil],
        &["CONFIG", "SET", "bind", &format!("127.0.0.1 -{evil}")],
        &["RESTORE", &evil, "0", "\x00\x01a"],
        &[&evil, &evil],
        &["CONFIG", &evil],
    ] {
        let reply = client.call(line);
        assert!(reply.is_error(), "{line:?}: {reply:?}");
    }
    client.call(&["DEBUG", "ERROR", &format!("ERR{evil} {evil}")]);
    check_info(&server);
    let clients = server.call(&["CLIENT", "LIST"]).text();
    assert!(
        clients.lines().all(|line| line.starts_with("id=")),
        "{clients}"
    );
    check_log(&server);
}

/// A master whose every answer wants to be a line of ours.
fn evil_master(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(answer);
                }
            });
        }
    });
    port
}

#[test]
fn a_master_puts_no_line_into_info_or_the_log() {
    for (answer, shown) in [
        (
            &b"-ERR x\rpwned:1\x1b[2J\x85\n"[..],
            r"-ERR x\rpwned:1\x1b[2J\x85",
        ),
        (
            b"+PONG\r\n+OK\rpwned:1\r\n+OK\r\n-ERR \rpwned:1\x07\r\n",
            "no dump came, but '+PONG'",
        ),
        (
            b"+PONG\r\n+FULLRESYNC \rpwned:1\r\n+FULLRESYNC \rpwned:1\r\n+FULLRESYNC \rpwned:1\r\n",
            r"the answer to PSYNC was +FULLRESYNC \rpwned:1",
        ),
    ] {
        let port = evil_master(answer);
        let server = ServerOptions::new(Make::Understudy)
            .replica_of(port)
            .start();
        wait_for("it failed", LONG, || {
            !server.info("master_sync_last_error").is_empty()
        });
        check_info(&server);
        check_log(&server);
        let why = server.info("master_sync_last_error");
        assert!(why.contains(shown), "{why}");
    }
}
