//! Clients that send nonsense, and a dump file that is broken: the answer is a clear error, memory stays
//! bounded, and the data held before is still there.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::{LONG, Make, Server, ServerOptions};

/// Sends raw bytes and reads until the server closes.
fn send(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    stream
        .set_read_timeout(Some(LONG))
        .expect("a timeout can be set");
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
    assert_eq!(
        send(&server, &flood),
        "-ERR Protocol error: too big inline request\r\n"
    );
    // Half a command, then nothing: no reply, no harm.
    let mut half = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    half.write_all(b"*2\r\n$3\r\nGET\r\n$500000000\r\nabc")
        .expect("it is taken");
    assert_eq!(server.call(&["GET", "kept"]).text(), "yes");
    drop(half);
    let used: u64 = server.info("used_memory").parse().expect("a number");
    assert!(
        used < 100 << 20,
        "a declared length is not allocated for: {used}"
    );
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
    assert!(
        server.log().contains("Fatal error loading the DB"),
        "{}",
        server.log()
    );
    assert_eq!(
        std::fs::read(&path).expect("the dump").len(),
        bytes.len() / 2,
        "the file is left as it was"
    );
}
