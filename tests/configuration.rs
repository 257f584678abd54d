//! Configuration end to end: files, flags and environment into the binary, CONFIG on a running node.

mod common;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use understudy::Protected;
use understudy::{Node, NodeBuilder, RespValue, Settings};

fn binary(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_understudy"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("UNDERSTUDY_PORT")
        .output()
        .unwrap()
}

/// The binary's word on a configuration that is wrong.
fn complaint(dir: &Path, arguments: &[&str]) -> String {
    let output = binary(dir, arguments);
    assert!(!output.status.success(), "{arguments:?} was taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_committed_file_and_redis_conf_are_right() {
    let dir = tempfile::tempdir().unwrap();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    let output = binary(dir.path(), &["--check-config", ours]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let debian = Path::new("/etc/redis/redis.conf");
    // Its directories belong to another user; everything else in it must load as it stands.
    if let Ok(text) = std::fs::read_to_string(debian) {
        let text = text
            .replace("dir /var/lib/redis", "dir ./")
            .replace("logfile /var/log", "# logfile /var/log");
        let copy = dir.path().join("redis.conf");
        std::fs::write(&copy, text).unwrap();
        let output = binary(dir.path(), &["--check-config", "redis.conf"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A directive that is taken and does nothing must say so: then it has no field among the settings.
#[test]
fn every_setting_is_read_by_something() {
    fn sources(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "config" {
                sources(&path, text);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let settings = std::fs::read_to_string(root.join("config/settings.rs")).unwrap();
    let declared = settings.split("pub struct Settings {").nth(1).unwrap();
    let declared = declared.split("\n}\n").next().unwrap();
    let fields = declared
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    let mut text = String::new();
    sources(&root, &mut text);
    // Some are read through a method of the settings.
    text.push_str(settings.split("\nimpl Settings {").nth(1).unwrap());
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_read = |field: &str| {
        text.match_indices(field).any(|(at, _)| {
            text[..at].ends_with('.') && !text[at + field.len()..].starts_with(in_name)
        })
    };
    // `stored` has the texts of the directives without effect.
    let unread: Vec<&str> = fields
        .filter(|field| *field != "stored" && !is_read(field))
        .collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// The messages that Redis's own suite asks of redis-server's command line.
#[test]
fn flags_that_are_wrong_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (
            &["--invalid"][..],
            &["Bad directive or wrong number of arguments"][..],
        ),
        (&["--port"], &["'port'", "wrong number of arguments"]),
        (
            &["--port", "6380", "--loglevel"],
            &["'loglevel'", "wrong number of arguments"],
        ),
        (
            &["--port", "6379", "6380"],
            &["'port \"6379\" \"6380\"'", "wrong number of arguments"],
        ),
        (
            &["--port", "--loglevel", "verbose"],
            &["'port \"--loglevel\" \"verbose\"'", "wrong number"],
        ),
        (
            &["--port", "--bla", "--loglevel", "verbose"],
            &["'port \"--bla\"'", "couldn't be parsed into an integer"],
        ),
        (
            &["--logfile", "--my--log", "--loglevel", "--bla"],
            &["'loglevel \"--bla\"'", "must be one of the following"],
        ),
        (
            &["--shutdown-on-sigint"],
            &["'shutdown-on-sigint'", "must be one of the following"],
        ),
        (
            &["--replicaof", "127.0.0.1", "abc"],
            &["'replicaof \"127.0.0.1\" \"abc\"'", "Invalid master port"],
        ),
        (
            &["--replicaof", "--127.0.0.1", "--abc"],
            &["'replicaof \"--127.0.0.1\"'", "wrong number of arguments"],
        ),
        (&["none.conf"], &["none.conf", "No such file or directory"]),
        (
            &["--dir", "/no/such/place"],
            &["/no/such/place", "No such file or directory"],
        ),
    ] {
        let complaint = complaint(dir.path(), arguments);
        for word in words {
            assert!(
                complaint.contains(word),
                "{arguments:?}: no {word:?} in {complaint}"
            );
        }
    }
}

/// What would be right, beside what is wrong.
#[test]
fn mistakes_name_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).unwrap();
    at("equals.conf", b"port = 7000\n");
    at("comment.conf", b"timeout 0 # none\n");
    at("quotes.toml", b"dir = /tmp\n");
    at("latin.conf", b"# fine: \xe9\nlogfile caf\xe9\n");
    at("latin.toml", b"port = 1\n# \xe9\n");
    at("secret.conf", b"requirepas \"top secret\n");
    for (arguments, words) in [
        (&["--prot", "1"][..], &["did you mean '--port'?"][..]),
        (&["-port", "1"], &["did you mean '--port'?"]),
        (&["--check-confg"], &["did you mean '--check-config'?"]),
        (&["--port=1"], &["write '--port 1'"]),
        (&["port", "1"], &["No such file", "did you mean '--port'?"]),
        (&["--maxmemory", "1gib"], &["e.g. '--maxmemory 100mb'"]),
        (&["--port", "x"], &["from 0 to 65535; e.g. '--port 6379'"]),
        (&["equals.conf"], &["line 1", "write 'port 7000'"]),
        (&["comment.conf"], &["a comment has a line of its own"]),
        (&["quotes.toml"], &["write 'dir = \"/tmp\"'"]),
        (
            &["latin.conf"],
            &["line 2", "not UTF-8 text", "save the file in UTF-8"],
        ),
        (&["latin.toml"], &["line 2", "not UTF-8 text"]),
        (
            &["secret.conf"],
            &["requirepas (hidden)", "Unbalanced quotes"],
        ),
    ] {
        let complaint = complaint(dir.path(), arguments);
        for word in words {
            assert!(
                complaint.contains(word),
                "{arguments:?}: no {word:?} in {complaint}"
            );
        }
        assert!(!complaint.contains("top secret"), "{complaint}");
    }
}

#[test]
fn options_stand_anywhere_and_a_check_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let conf = b"# caf\xe9\r\nport 7000\r\nlogfile new.log\r\npidfile new.pid\r\n";
    std::fs::write(dir.path().join("redis.conf"), conf).unwrap();
    for arguments in [
        &["--check-config", "redis.conf"][..],
        &["redis.conf", "--check-config"],
        &["redis.conf", "--timeout", "5", "--check-config"],
        &[
            "redis.conf",
            "--check-config",
            "--unixsocket",
            "new.sock",
            "--daemonize",
            "yes",
        ],
    ] {
        let output = binary(dir.path(), arguments);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(told.contains("The configuration is right."), "{told}");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "{arguments:?}"
        );
    }
    let nowhere = complaint(dir.path(), &["--check-config", "--logfile", "none/new.log"]);
    assert!(
        nowhere.contains("Can't open the log file 'none/new.log': No such file"),
        "{nowhere}"
    );
    for (arguments, word) in [
        (
            &["redis.conf", "--port", "1", "--help"][..],
            "Usage: understudy [FILE]",
        ),
        (&["redis.conf", "-h"], "Usage: understudy [FILE]"),
        (&["--port", "1", "--version"], "understudy server v="),
        (&["redis.conf", "-v"], "understudy server v="),
    ] {
        let output = binary(dir.path(), arguments);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains(word),
            "{arguments:?}: {told}"
        );
    }
}

/// The binary's own CONFIG REWRITE of a file that nobody has touched, with what the start makes of settings.
#[test]
fn rewriting_an_untouched_file_leaves_it() {
    let toml = "# caf\u{e9}\r\n\r\n\r\nport = PORT # here\r\ndir = \"data\"\r\nsave = [\r\n \"1 1\",\r\n]\r\ninclude = \"more.conf\"";
    let conf =
        b"# caf\xe9\r\n\r\n\r\n PORT  PORT\r\ndir data\nsave 1  1\n#\ninclude more.conf".to_vec();
    for (name, text) in [("c.toml", toml.as_bytes().to_vec()), ("redis.conf", conf)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(
            dir.path().join("more.conf"),
            "maxclients 1000000\ntimeout 9\n",
        )
        .unwrap();
        let mut server = None;
        for _ in 0..5 {
            let port = free_port();
            let text = replaced(&text, &port.to_string());
            std::fs::write(dir.path().join(name), &text).unwrap();
            let child = Command::new(env!("CARGO_BIN_EXE_understudy"))
                .args([name, "--bind", "127.0.0.1"])
                .current_dir(dir.path())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let mut own = common::server::Spawned { child, port };
            if own.wait_ready() {
                server = Some((own, text));
                break;
            }
        }
        let (server, text) = server.expect("a start in five");
        let mut client = common::RespClient::connect(server.port).unwrap();
        assert_eq!(
            client.call(&["CONFIG", "SET", "bind", "* -::*"]).text(),
            "OK"
        );
        let rewritten = |client: &mut common::RespClient| {
            assert_eq!(client.call(&["CONFIG", "REWRITE"]).text(), "OK");
            std::fs::read(dir.path().join(name)).unwrap()
        };
        assert_eq!(rewritten(&mut client), text, "{name}");
        assert_eq!(client.call(&["CONFIG", "SET", "timeout", "8"]).text(), "OK");
        let new = rewritten(&mut client);
        assert!(new.starts_with(&text), "{}", new.escape_ascii());
        let added = new[text.len()..].escape_ascii().to_string();
        let line = if name == "c.toml" {
            "timeout = 8"
        } else {
            "timeout 8"
        };
        assert_eq!(
            added,
            format!("\\r\\n# Generated by CONFIG REWRITE\\r\\n{line}\\r\\n")
        );
    }
}

/// The text with the second "PORT" or the only one replaced.
fn replaced(text: &[u8], port: &str) -> Vec<u8> {
    let at = text
        .windows(4)
        .rposition(|window| window == b"PORT")
        .unwrap();
    [&text[..at], port.as_bytes(), &text[at + 4..]].concat()
}

fn node(settings: Settings, file: Option<&Path>) -> Node {
    let mut builder = NodeBuilder::new(Settings {
        bind: vec!["127.0.0.1".into()],
        save: Vec::new(),
        ..settings
    });
    if let Some(file) = file {
        builder = builder.config_file(file.to_owned());
    }
    builder.start().unwrap()
}

/// A reply's text; an array's elements with spaces between.
fn text(value: RespValue) -> String {
    match value {
        RespValue::Simple(text) | RespValue::Error(text) => text,
        RespValue::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        RespValue::Array(values) => values.into_iter().map(text).collect::<Vec<_>>().join(" "),
        RespValue::Map(pairs) => {
            let pair = |(k, v)| format!("{} {}", text(k), text(v));
            pairs.into_iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn answers_at(address: &str, port: u16) -> bool {
    TcpStream::connect((address, port)).is_ok()
}

#[test]
fn the_port_and_the_addresses_move() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        port: 0,
        dir: Some(dir.path().display().to_string()),
        enable_protected_configs: Protected::Yes,
        ..Settings::default()
    };
    let node = node(settings, None);
    let first = node.port().unwrap();
    let mut client = node.client();
    let mut call = |words: &[&str]| text(client.call(words));
    assert!(answers_at("127.0.0.1", first));

    let second = free_port();
    assert_eq!(call(&["CONFIG", "SET", "port", &second.to_string()]), "OK");
    assert!(answers_at("127.0.0.1", second));

    // All or nothing: a port that is taken leaves everything as it was.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let refused = call(&["CONFIG", "SET", "timeout", "99", "port", &taken]);
    assert!(refused.contains("CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."), "{refused}");
    assert_eq!(call(&["CONFIG", "GET", "timeout"]), "timeout 0");
    assert!(answers_at("127.0.0.1", second));

    // The wildcard needs the old socket out of its way.
    assert_eq!(call(&["CONFIG", "SET", "bind", "*"]), "OK");
    assert!(answers_at("127.0.0.2", second));
    let refused = call(&["CONFIG", "SET", "bind", "999.999.999.999"]);
    assert!(
        refused.contains("Failed to bind to specified addresses."),
        "{refused}"
    );
    assert!(answers_at("127.0.0.2", second));

    // An address that has been left is free when that is answered. The ports are below those that the system gives
    // out by itself: nobody else takes one meanwhile.
    let begin = 20_000 + (std::process::id() % 10_000) as u16;
    let free = (begin..).filter(|port| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok());
    let ports: Vec<String> = free.take(2).map(|port| port.to_string()).collect();
    for port in ports.iter().cycle().take(40) {
        assert_eq!(call(&["CONFIG", "SET", "port", port]), "OK");
    }
    node.shutdown();
}

#[test]
fn what_waits_for_sockets_holds_up_no_other_change() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        port: 0,
        dir: Some(dir.path().display().to_string()),
        ..Settings::default()
    };
    let node = node(settings, None);
    let (mut slow, mut fast) = (node.client(), node.client());
    let mut timeout = 0;
    std::thread::scope(|scope| {
        let moves = scope.spawn(move || {
            for address in ["127.0.0.1", "*"].iter().cycle().take(40) {
                let reply = slow.call(&["CONFIG", "SET", "bind", address]);
                assert_eq!(text(reply), "OK");
            }
        });
        // Inside a transaction nothing could wait.
        while !moves.is_finished() {
            timeout += 1;
            fast.call(&["MULTI"]);
            fast.call(&["CONFIG", "SET", "timeout", &timeout.to_string()]);
            assert_eq!(text(fast.call(&["EXEC"])), "OK");
        }
    });
    // Neither undoes the other's.
    let mut get = |name| text(fast.call(&["CONFIG", "GET", name]));
    assert_eq!(get("timeout"), format!("timeout {timeout}"));
    assert_eq!(get("bind"), "bind *");
    node.shutdown();
}

#[test]
fn rewrite_keeps_the_file_and_what_was_set() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    std::fs::create_dir(base.join("data")).unwrap();
    for (name, before, hz_line) in [
        ("redis.conf", "# mine\ntimeout 3\n", "\nhz 42\n"),
        ("c.toml", "# mine\ntimeout = 3\n", "\nhz = 42\n"),
    ] {
        let file = base.join(name);
        std::fs::write(&file, before).unwrap();
        let settings = Settings {
            port: 0,
            timeout: 3,
            dir: Some(base.display().to_string()),
            enable_protected_configs: Protected::Yes,
            ..Settings::default()
        };
        let node = node(settings, Some(&file));
        let mut client = node.client();
        let mut call = |words: &[&str]| text(client.call(words));
        assert_eq!(call(&["CONFIG", "SET", "hz", "42", "dir", "data"]), "OK");
        let refused = call(&["CONFIG", "SET", "dir", "nowhere"]);
        assert!(
            refused.contains("'dir') - No such file or directory"),
            "{refused}"
        );
        assert_eq!(call(&["CONFIG", "REWRITE"]), "OK");
        let new = std::fs::read_to_string(&file).unwrap();
        assert!(new.starts_with("# mine\ntimeout"), "{new}");
        assert!(new.contains(hz_line), "{new}");
        assert!(
            new.contains(&format!("\"{}/data\"", base.display())),
            "{new}"
        );
        node.shutdown();
        let output = binary(&base, &["--check-config", name]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_spools_directory_is_protected_and_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    std::fs::create_dir(base.join("spool")).unwrap();
    for protected in [Protected::No, Protected::Yes] {
        let settings = Settings {
            port: 0,
            dir: Some(base.display().to_string()),
            enable_protected_configs: protected,
            ..Settings::default()
        };
        let node = node(settings, None);
        let mut client = node.client();
        let mut set = |value: &str| text(client.call(&["CONFIG", "SET", "repl-spool-dir", value]));
        if protected == Protected::No {
            assert!(set("spool").contains("can't set protected config"));
            assert_eq!(set(""), "OK", "it is so already");
            continue;
        }
        for (value, why) in [
            ("/etc/passwd", "Not a directory"),
            ("none", "No such file or directory"),
        ] {
            let reply = set(value);
            assert!(
                reply.contains(&format!("'repl-spool-dir') - {why}")),
                "{reply}"
            );
        }
        assert_eq!(set("spool"), "OK");
        let shown = text(client.call(&["CONFIG", "GET", "repl-spool-dir"]));
        assert_eq!(shown, format!("repl-spool-dir {}/spool", base.display()));
        node.shutdown();
    }
    let complaint = complaint(&base, &["--port", "0", "--repl-spool-dir", "none"]);
    assert!(
        complaint.contains("Can't use repl-spool-dir: No such file"),
        "{complaint}"
    );
}

/// Passwords given as flags and in the environment are used, and not shown to other users of the machine.
#[cfg(target_os = "linux")]
#[test]
fn the_process_list_shows_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_understudy"))
        .args(["--port", &port.to_string(), "--save", ""])
        .args(["--requirepass", "flag secret", "--masteruser user-secret"])
        .env_clear()
        .env("UNDERSTUDY_MASTERAUTH", "env-secret")
        .env("UNDERSTUDY_HZ", "11")
        .current_dir(dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !answers_at("127.0.0.1", port) {
        assert!(std::time::Instant::now() < until, "it did not start");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let shown = |what: &str| {
        let bytes = std::fs::read(format!("/proc/{}/{what}", server.id())).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let (arguments, environment) = (shown("cmdline"), shown("environ"));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let commands = b"AUTH \"flag secret\"\r\nCONFIG GET master*\r\nCONFIG GET hz\r\nQUIT\r\n";
    std::io::Write::write_all(&mut stream, commands).unwrap();
    let mut reply = String::new();
    std::io::Read::read_to_string(&mut stream, &mut reply).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    for (text, starred) in [
        (&arguments, "--requirepass *********** "),
        (&arguments, "--masteruser *********** "),
        (&environment, "UNDERSTUDY_MASTERAUTH=********** "),
        (&environment, "UNDERSTUDY_HZ=11 "),
    ] {
        assert!(text.contains(starred), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    for value in ["+OK", "user-secret", "env-secret", "11"] {
        assert!(reply.contains(value), "{reply}");
    }
}

#[test]
fn no_line_of_a_clients_gets_into_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    for (name, before) in [("redis.conf", "timeout 3\n"), ("c.toml", "timeout = 3\n")] {
        let file = base.join(name);
        std::fs::write(&file, before).unwrap();
        let settings = Settings {
            port: 0,
            timeout: 3,
            dir: Some(base.display().to_string()),
            enable_protected_configs: Protected::Yes,
            ..Settings::default()
        };
        let node = node(settings, Some(&file));
        let mut client = node.client();
        let mut call = |words: &[&str]| text(client.call(words));
        let evil = "x\nrequirepass pwned\nrequirepass = 'pwned'\n";
        let bind = format!("127.0.0.1 -{}", evil.replace(' ', "\u{a0}"));
        for (directive, value) in [
            ("masteruser", evil),
            ("masterauth", evil),
            ("dbfilename", evil),
            ("replica-announce-ip", evil),
            ("bind-source-addr", evil),
            ("tls-cert-file", evil),
            ("bind", &bind),
        ] {
            call(&["CONFIG", "SET", directive, value]);
        }
        assert!(call(&["REPLICAOF", evil, "6379"]).contains("Invalid master host"));
        assert_eq!(call(&["CONFIG", "REWRITE"]), "OK");
        let new = std::fs::read_to_string(&file).unwrap();
        let is_set = match new.parse::<toml_edit::DocumentMut>() {
            Ok(toml) => toml.contains_key("requirepass"),
            Err(_) => new.lines().any(|line| line.starts_with("requirepass")),
        };
        assert!(!is_set, "{new}");
        node.shutdown();
        let output = binary(&base, &["--check-config", name]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
    }
}
