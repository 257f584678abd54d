//! REPLCONF rdb-only and rdb-filter-only: dumps without what is filtered, of both makes alike.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use understudy::internals::rdb::reader::{LoadResult, Loaded, Loader, Options, load};

use crate::common::{LONG, Make, Server, ServerOptions, wait_for};

/// Counts what a dump holds.
#[derive(Default)]
struct Contents {
    keys: u64,
    has_mark: bool,
}

impl Loader for Contents {
    fn aux(&mut self, name: &[u8], _: &[u8]) -> LoadResult {
        self.has_mark |= name == b"repl-offset";
        Ok(())
    }
    fn select(&mut self, _: u64) -> LoadResult {
        Ok(())
    }
    fn entry(&mut self, _: Loaded<'_>) -> LoadResult {
        self.keys += 1;
        Ok(())
    }
}

/// One that asks to be sent a dump.
struct Asker {
    stream: BufReader<TcpStream>,
}

impl Asker {
    fn new(server: &Server) -> Asker {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("it can be set");
        Asker {
            stream: BufReader::new(stream),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        // Bare line ends only say that the master lives.
        while line.trim().is_empty() {
            line.clear();
            self.stream.read_line(&mut line).expect("a line");
        }
        line.trim().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        let bytes = format!("{line}\r\n");
        self.stream
            .get_mut()
            .write_all(bytes.as_bytes())
            .expect("it is taken");
        self.line()
    }

    /// The dump that comes after `header`, the mark's line or the length's.
    fn dump(&mut self, header: &str) -> Contents {
        let mut bytes = Vec::new();
        match header.strip_prefix("$EOF:") {
            Some(mark) => {
                while !bytes.ends_with(mark.as_bytes()) {
                    let mut byte = [0];
                    self.stream.read_exact(&mut byte).expect("more of the dump");
                    bytes.push(byte[0]);
                }
                bytes.truncate(bytes.len() - mark.len());
            }
            None => {
                let length = header[1..].parse().expect("a length");
                bytes.resize(length, 0);
                self.stream.read_exact(&mut bytes).expect("the dump");
            }
        }
        let mut contents = Contents::default();
        let summary = load(&bytes[..], Options::default(), &mut contents).expect("a dump");
        assert_eq!(summary.bytes, bytes.len() as u64);
        contents
    }
}

fn masters() -> impl Iterator<Item = Server> {
    [Make::Redis, Make::Understudy].into_iter().map(|make| {
        let master = ServerOptions::new(make).start();
        for n in 0..20 {
            master.call(&["SET", &format!("key{n}"), "1"]);
        }
        master
    })
}

#[test]
fn a_filter_leaves_the_keys_out() {
    for master in masters() {
        for (filters, keys) in [
            (&[][..], 20),
            (&["\"\""], 0),
            (&["functions"], 0),
            (&["FUNCTIONS"], 0),
            (&["\"functions functions\""], 0),
            (&["functions", "\"\""], 0),
            // Refused, and it filters all the same.
            (&["keys"], 0),
            (&["\"functions keys\""], 0),
        ] {
            let mut asker = Asker::new(&master);
            assert_eq!(asker.ask("REPLCONF capa eof rdb-only 1"), "+OK");
            for filter in filters {
                let answer = asker.ask(&format!("REPLCONF rdb-filter-only {filter}"));
                let expected = match filter.contains("keys") {
                    true => "-ERR Unsupported rdb-filter-only option: keys",
                    false => "+OK",
                };
                assert_eq!(answer, expected, "{filter} of {:?}", master.options.make);
            }
            let header = asker.ask("SYNC");
            let contents = asker.dump(&header);
            let make = master.options.make;
            assert_eq!(contents.keys, keys, "{filters:?} of {make:?}");
            assert!(contents.has_mark, "{filters:?} of {make:?}");
            // It wanted no stream.
            let mut rest = Vec::new();
            let end = asker.stream.read_to_end(&mut rest);
            assert!(end.is_ok() && rest.is_empty(), "{rest:?}");
        }
    }
}

#[test]
fn what_can_not_be_filtered_is_refused() {
    for master in masters() {
        let mut asker = Asker::new(&master);
        let answer = asker.ask("REPLCONF rdb-filter-only \"'\"");
        assert_eq!(answer, "-ERR Missing rdb-filter-only values");
        for value in ["2", "-1", "x"] {
            let answer = asker.ask(&format!("REPLCONF rdb-only {value}"));
            assert!(answer.starts_with("-ERR value is "), "{answer}");
        }
        assert_eq!(asker.ask("REPLCONF rdb-filter-only \"\""), "+OK");
        for request in ["SYNC", "PSYNC ? -1"] {
            assert_eq!(
                asker.ask(request),
                "-ERR Filtered replica requires EOF capability"
            );
        }
    }
}

#[test]
fn the_stream_goes_on_behind_a_filtered_dump() {
    for master in masters() {
        let mut asker = Asker::new(&master);
        for line in [
            "capa eof",
            "capa psync2",
            "rdb-filter-only \"\"",
            "listening-port 7",
        ] {
            assert_eq!(asker.ask(&format!("REPLCONF {line}")), "+OK");
        }
        let answer = asker.ask("PSYNC ? -1");
        let offset = answer.rsplit(' ').next().expect("an offset").to_owned();
        assert!(answer.starts_with("+FULLRESYNC "), "{answer}");
        let header = asker.line();
        assert_eq!(asker.dump(&header).keys, 0);
        wait_for("it is online", LONG, || {
            master.info("slave0").contains("state=online")
        });
        let ack = format!(
            "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n${}\r\n{offset}\r\n",
            offset.len()
        );
        asker
            .stream
            .get_mut()
            .write_all(ack.as_bytes())
            .expect("it is taken");
        master.call(&["SET", "after", "1"]);
        let mut seen = String::new();
        while !seen.contains("after") {
            seen += &asker.line();
        }
        assert!(seen.contains("SELECT"), "{seen}");
        assert!(!seen.contains("key0"), "{seen}");
    }
}
