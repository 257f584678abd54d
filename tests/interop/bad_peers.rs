//! Peers that break the rules: clients that send nonsense, a master that lies. The answer is a clear error,
//! memory stays bounded, and the data held before is still there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::common::{Make, Server, ServerOptions, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Sends raw bytes and reads until the server closes.
fn send(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout can be set");
    // The server may close before it has taken everything.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn clients_that_break_the_protocol() {
    let server = Server::understudy();
    server.call(&["SET", "kept", "yes"]);
    for (bytes, want) in [
        (&b"*3\r\n$3\r\nSET\r\n+k\r\n"[..], "expected '$', got '+'"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"GET \"a\r\n", "unbalanced quotes in request"),
    ] {
        let reply = send(&server, bytes);
        assert_eq!(reply, format!("-ERR Protocol error: {want}\r\n"));
    }
    let flood = vec![b'x'; 1 << 20];
    assert_eq!(send(&server, &flood), "-ERR Protocol error: too big inline request\r\n");
    // Half a command, then nothing: no reply, no harm.
    let mut half = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    half.write_all(b"*2\r\n$3\r\nGET\r\n$500000000\r\nabc").expect("it is taken");
    assert_eq!(server.call(&["GET", "kept"]).text(), "yes");
    drop(half);
    let used: u64 = server.info("used_memory").parse().expect("a number");
    assert!(used < 100 << 20, "a declared length is not allocated for: {used}");
}

/// A master that answers the handshake and then sends `transfer`, once per connection, and closes.
fn lying_master(transfer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let transfer = transfer.clone();
            std::thread::spawn(move || answer(stream, &transfer));
        }
    });
    port
}

fn answer(mut stream: TcpStream, transfer: &[u8]) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..n]).to_ascii_uppercase();
        let reply = if text.contains("PING") { "+PONG\r\n" } else { "+OK\r\n" };
        // REPLCONF may come several at a time, and PSYNC right behind.
        let lines = text.matches("REPLCONF").count() + text.matches("PING").count();
        for _ in 0..lines {
            let _ = stream.write_all(reply.as_bytes());
        }
        if text.contains("PSYNC") {
            let id = "f".repeat(40);
            let _ = stream.write_all(format!("+FULLRESYNC {id} 0\r\n").as_bytes());
            let _ = stream.write_all(transfer);
            return;
        }
    }
}

#[test]
fn a_master_that_lies_leaves_the_old_data() {
    let good = {
        let source = Server::understudy();
        source.call(&["DEBUG", "POPULATE", "1000", "new", "100"]);
        source.call(&["SAVE"]);
        std::fs::read(source.dir().join("dump.rdb")).expect("the dump")
    };
    let with_length = |declared: u64, body: &[u8]| {
        let mut bytes = format!("${declared}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    };
    let len = good.len();
    let mut flipped = good.clone();
    flipped[len / 2] ^= 0x55;
    let transfers = [
        ("cut short", with_length(len as u64, &good[..len / 2])),
        ("a length that is a lie", with_length(1 << 50, &good)),
        ("a length too small", with_length(20, &good)),
        ("a flipped byte", with_length(len as u64, &flipped)),
        ("no dump at all", with_length(100, &[b'x'; 100])),
        ("a newer version", with_length(9, b"REDIS9999")),
        ("no length", b"hello\r\n".to_vec()),
        ("a negative length", b"$-1\r\n".to_vec()),
    ];
    for (what, transfer) in transfers {
        let replica = Server::understudy();
        replica.call(&["SET", "kept", "yes"]);
        let port = lying_master(transfer).to_string();
        assert_eq!(replica.call(&["REPLICAOF", "127.0.0.1", &port]).text(), "OK");
        wait_for("the transfer was tried", LONG, || replica.log().contains("Full resync from master"));
        wait_for("it failed", LONG, || {
            replica.info("master_sync_in_progress") == "0" && replica.info("master_link_status") == "down"
        });
        assert_eq!(replica.call(&["GET", "kept"]).text(), "yes", "{what}");
        assert_eq!(replica.call(&["DBSIZE"]).int(), Some(1), "{what}");
        let used: u64 = replica.info("used_memory").parse().expect("a number");
        assert!(used < 100 << 20, "{what}: memory is bounded: {used}");
    }
}

#[test]
fn a_broken_dump_file_stops_the_start_with_its_reason() {
    let mut server = ServerOptions::new(Make::Understudy).start();
    server.call(&["DEBUG", "POPULATE", "100"]);
    server.shut_down(true);
    let path = server.dir().join("dump.rdb");
    let bytes = std::fs::read(&path).expect("the dump");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("it can be cut");
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.restart(None)));
    assert!(started.is_err(), "it must not serve half a dataset");
    assert!(server.log().contains("Fatal error loading the DB"), "{}", server.log());
    assert_eq!(std::fs::read(&path).expect("the dump").len(), bytes.len() / 2, "the file is left as it was");
}
