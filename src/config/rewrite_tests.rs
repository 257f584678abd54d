//! CONFIG REWRITE in both forms: a text that says what is asked for stays as it is, byte for byte, whatever
//! its layout; what changes, changes in its place, and reads as the settings again.

use proptest::prelude::*;

use super::rewrite::{MARK, StartSettings, Target, rewrite};
use super::{Form, Layers, MasterAddress, SavePoint, Settings, load, table};

const NAMES: [(Form, &str); 2] = [(Form::RedisConf, "r.conf"), (Form::Toml, "c.toml")];

/// What the files that tests include hold.
fn included(pattern: &str) -> Result<Vec<(String, String)>, String> {
    match pattern {
        "timeout.conf" => Ok(vec![("timeout.conf".into(), "timeout 9\nhz 20\n".into())]),
        "save.conf" => Ok(vec![(
            "save.conf".into(),
            "save 7 7\nreplicaof h 1\n".into(),
        )]),
        _ => Ok(Vec::new()),
    }
}

fn settings_of(form: Form, text: &[u8]) -> Settings {
    let text = form.decode("file", text).unwrap_or_else(|e| panic!("{e}"));
    let loaded = load(Layers {
        file: Some((form, "file", &text)),
        stdin: None,
        environment: Default::default(),
        flags: "",
        includes: &included,
    });
    loaded.unwrap_or_else(|e| panic!("{e}\n{text}")).settings
}

/// Rewrites a text of a node that began with these settings.
fn rewritten_from(
    form: Form,
    text: &[u8],
    now: &Settings,
    at_start: StartSettings,
) -> Result<Vec<u8>, String> {
    let target = Target {
        form,
        name: NAMES[usize::from(form == Form::Toml)].1,
        includes: &included,
    };
    rewrite(&target, text, now, &at_start)
}

/// Rewrites a text of a node that began with what it says, flags aside.
fn rewritten(form: Form, text: &str, now: &Settings) -> String {
    let at_start = StartSettings {
        configured: Settings::default(),
        effective: Settings::default(),
    };
    let new = rewritten_from(form, text.as_bytes(), now, at_start);
    String::from_utf8(new.unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap()
}

/// As far as CONFIG REWRITE has to do with them.
fn same_settings(a: &Settings, b: &Settings) {
    for d in table::all().filter(|d| !d.file_only) {
        assert_eq!(d.get(a), d.get(b), "{}", d.name);
    }
}

#[test]
fn what_is_right_stays_as_it_is() {
    for (form, text) in [
        (
            Form::RedisConf,
            "# head\nport   7000\n\n\n\nsave 3600 1\nsave 300 100\nsave 60 10000\n# tail\nmaxmemory 1048576\ndir /tmp\ninclude timeout.conf",
        ),
        (
            Form::RedisConf,
            "\u{feff}PORT 7000\r\n\r\n  # c\r\n\tslaveof \"h 1\"\r\nlua-replicate-commands yes\r\ntimeout 5\nappendfsync always\n",
        ),
        (
            Form::Toml,
            "# head\r\nport = 7000 # why\r\n\r\n\r\nsave = [\r\n  \"900 1\", # c\r\n  \"5 1\"]\r\ninclude = \"timeout.conf\"\r\nslaveof=\"h 1\"",
        ),
        (Form::Toml, "\u{feff}port = 7_000\nsave = []\n"),
        (Form::RedisConf, "\u{c}"),
        (Form::RedisConf, "\u{b} \u{c}\r\nport 7000\n"),
        (Form::RedisConf, ""),
        (Form::Toml, ""),
    ] {
        let settings = settings_of(form, text.as_bytes());
        assert_eq!(rewritten(form, text, &settings), text);
    }
}

/// Comments of another encoding are bytes like others; a TOML file has none.
#[test]
fn comments_may_have_any_bytes() {
    let text = b"# caf\xe9\r\nport 7000\r\n#\xff\xfe\r\n";
    let mut settings = settings_of(Form::RedisConf, text);
    settings.port = 7001;
    let at_start = StartSettings {
        configured: Settings::default(),
        effective: Settings::default(),
    };
    let new = rewritten_from(Form::RedisConf, text, &settings, at_start.clone());
    assert_eq!(new.unwrap(), b"# caf\xe9\r\nport 7001\r\n#\xff\xfe\r\n");
    let wrong = rewritten_from(Form::Toml, text, &settings, at_start).unwrap_err();
    assert!(
        wrong.starts_with("c.toml, line 1: '# caf\u{fffd}': the line is not UTF-8"),
        "{wrong}"
    );
}

#[test]
fn bytes_that_are_no_text_are_mistakes_with_a_place() {
    let text = b"# \xe9\nport 1\nrequirepass p\xe9\n";
    let wrong = Form::RedisConf
        .decode("r.conf", text)
        .unwrap_err()
        .to_string();
    assert!(
        wrong.starts_with("r.conf, line 3: 'requirepass (hidden)': the value is not UTF-8 text"),
        "{wrong}"
    );
    let wrong = Form::RedisConf
        .decode("r.conf", b"logfile caf\xe9")
        .unwrap_err()
        .to_string();
    assert!(
        wrong.starts_with("r.conf, line 1: 'logfile caf\u{fffd}': "),
        "{wrong}"
    );
    let escaped = super::redis_conf::parse("r.conf", "dbfilename \"caf\\xe9\"", &included);
    let wrong = escaped.map(|_| ()).unwrap_err().to_string();
    assert!(wrong.contains("the value is not UTF-8 text"), "{wrong}");
}

#[test]
fn changes_are_made_in_place_or_appended() {
    let text = "# head\nport 7000\n\n\n  slaveof 1.2.3.4 5\nsave 900 1\n save  300   10\nrename-command a b\n# tail\nhash-max-ziplist-entries 5\nnonsense 1\n";
    let mut settings = settings_of(Form::RedisConf, text.replace("nonsense 1\n", "").as_bytes());
    settings.port = 7001;
    settings.replicaof = None;
    settings.save[0] = SavePoint {
        seconds: 5,
        changes: 1,
    };
    settings.encodings.hash_max_listpack_entries = 6;
    settings.repl_backlog_size = 2 << 20;
    settings.requirepass = Some("a \"b".into());
    settings.client_output_buffer_limit.replica.hard = 1 << 30;
    settings.dir = Some("/tmp".into());
    let new = rewritten(Form::RedisConf, text, &settings);
    assert_eq!(
        new,
        "# head\nport 7001\n\n\nsave 5 1\n save  300   10\nrename-command a b\n# tail\n\
         hash-max-listpack-entries 6\n# ??? nonsense 1\n# Generated by CONFIG REWRITE\n\
         client-output-buffer-limit replica 1gb 64mb 60\ndir \"/tmp\"\nrequirepass \"a \\\"b\"\n\
         repl-backlog-size 2mb\n"
    );
    same_settings(&settings_of(Form::RedisConf, new.as_bytes()), &settings);
    assert_eq!(rewritten(Form::RedisConf, &new, &settings), new);
    settings.replicaof = Some(MasterAddress {
        host: "h".into(),
        port: 1,
    });
    settings.save.clear();
    let new = rewritten(Form::RedisConf, &new, &settings);
    assert!(
        new.contains("\nsave \"\"\n") && new.ends_with("replicaof h 1\n"),
        "{new}"
    );
    assert_eq!(new.matches(MARK).count(), 1);
    same_settings(&settings_of(Form::RedisConf, new.as_bytes()), &settings);
}

#[test]
fn toml_keeps_its_form() {
    let text = "# head\r\nport = 7000 # why\r\n\r\n# ours\r\nslaveof = \"1.2.3.4 5\" # gone\r\nsave = [\r\n  \"900 1\",\r\n]\r\nrepl_timeout = 60\r\nmaxmemory = \"1mb\"\r\ndir = \"/tmp\"";
    let mut settings = settings_of(Form::Toml, text.as_bytes());
    settings.port = 7001;
    settings.replicaof = None;
    settings.repl_timeout = 5;
    settings.save.push(SavePoint {
        seconds: 5,
        changes: 1,
    });
    settings.tcp_keepalive = 7;
    settings.protected_mode = false;
    settings.requirepass = Some("x".into());
    let new = rewritten(Form::Toml, text, &settings);
    assert_eq!(
        new,
        "# head\r\nport = 7001 # why\r\n\r\n# ours\r\nsave = [\"900 1\", \"5 1\"]\r\nrepl_timeout = 5\r\n\
         maxmemory = \"1mb\"\r\ndir = \"/tmp\"\r\n# Generated by CONFIG REWRITE\r\n\
         protected-mode = false\r\ntcp-keepalive = 7\r\nrequirepass = \"x\"\r\n"
    );
    same_settings(&settings_of(Form::Toml, new.as_bytes()), &settings);
    assert_eq!(rewritten(Form::Toml, &new, &settings), new);
    settings.replicaof = Some(MasterAddress {
        host: "h".into(),
        port: 1,
    });
    let new = rewritten(Form::Toml, &new, &settings);
    assert!(new.ends_with("replicaof = \"h 1\"\r\n"), "{new}");
    assert_eq!(new.matches(MARK).count(), 1);
}

/// What the start had to make of a value stays out of the file; what somebody set goes in.
#[test]
fn what_the_start_made_of_a_value_is_no_change() {
    for (form, text) in [
        (Form::RedisConf, "dir data\nmaxclients 50000\n"),
        (Form::Toml, "dir = \"data\"\nmaxclients = 50000\n"),
        (Form::RedisConf, ""),
    ] {
        let configured = settings_of(form, text.as_bytes());
        let effective = Settings {
            dir: Some("/srv/data".into()),
            maxclients: 4064,
            ..configured.clone()
        };
        let at_start = || StartSettings {
            configured: configured.clone(),
            effective: effective.clone(),
        };
        let again = rewritten_from(form, text.as_bytes(), &effective, at_start());
        assert_eq!(again.as_deref(), Ok(text.as_bytes()));
        let now = Settings {
            maxclients: 100,
            ..effective.clone()
        };
        let new = rewritten_from(form, text.as_bytes(), &now, at_start()).unwrap();
        let read = settings_of(form, &new);
        assert_eq!((read.maxclients, &read.dir), (100, &configured.dir));
        // Not the file's but a flag's: that must go in.
        let by_flag = StartSettings {
            configured: Settings {
                maxclients: 60000,
                dir: Some("elsewhere".into()),
                ..configured.clone()
            },
            effective: effective.clone(),
        };
        let new = rewritten_from(form, text.as_bytes(), &effective, by_flag).unwrap();
        same_settings(&settings_of(form, &new), &effective);
    }
}

/// An included file has the last word over what stands before it.
#[test]
fn what_an_included_file_says_is_overruled_behind_it() {
    for (form, text) in [
        (
            Form::RedisConf,
            "# a\ntimeout 3\nsave 1 1\ninclude timeout.conf\ninclude save.conf\n# b\n",
        ),
        (
            Form::Toml,
            "# a\ntimeout = 3\nsave = \"1 1\"\ninclude = [\"timeout.conf\", \"save.conf\"]\n# b\n",
        ),
    ] {
        let mut settings = settings_of(form, text.as_bytes());
        assert_eq!((settings.timeout, settings.hz), (9, 20));
        assert_eq!(rewritten(form, text, &settings), text);
        settings.timeout = 5;
        settings.replicaof = None;
        let new = rewritten(form, text, &settings);
        assert!(
            new.starts_with("# a\nsave") && new.contains("# b\n# Generated"),
            "{new}"
        );
        same_settings(&settings_of(form, new.as_bytes()), &settings);
    }
    let text = "include save.conf\n";
    let mut settings = settings_of(Form::RedisConf, text.as_bytes());
    settings.save = vec![SavePoint {
        seconds: 2,
        changes: 2,
    }];
    let new = rewritten(Form::RedisConf, text, &settings);
    same_settings(&settings_of(Form::RedisConf, new.as_bytes()), &settings);
}

/// A file that somebody broke meanwhile.
#[test]
fn lines_that_no_start_would_take_are_mended() {
    let now = Settings::default();
    let text = "rename-command GET\ntimeout abc\nsave 900\nport \"7\r\n? what\r\nuser x on\nsentinel y\n# kept\n";
    assert_eq!(
        rewritten(Form::RedisConf, text, &now),
        "# ??? rename-command GET\ntimeout 0\nsave 3600 1\n# ??? port \"7\r\n# ??? ? what\r\nuser x on\nsentinel y\n# kept\n\
         # Generated by CONFIG REWRITE\nsave 300 100\nsave 60 10000\n"
    );
    let at_start = StartSettings {
        configured: now.clone(),
        effective: now.clone(),
    };
    let wrong = rewritten_from(Form::Toml, b"port = \n", &now, at_start).unwrap_err();
    assert!(wrong.starts_with("c.toml, line 1: "), "{wrong}");
}

/// Directives with values that differ from their defaults, as redis.conf and as TOML write them in several
/// ways. Each stands once in a text, since one says it all.
const WAYS: &[[&[&str]; 2]] = &[
    [
        &["port 7000", "PORT\t7000 ", "port \"7000\""],
        &["port = 7000", "port=\"7000\" # p"],
    ],
    [
        &["timeout 7", "timeout '7'"],
        &["timeout = 7", "\"timeout\" = 7"],
    ],
    [
        &["repl-timeout 61", "repl_timeout 61"],
        &["repl-timeout = 61", "repl_timeout = \"61\""],
    ],
    [
        &["slaveof 10.0.0.1 6379", "replicaof \"10.0.0.1 6379\""],
        &[
            "slaveof = \"10.0.0.1 6379\"",
            "replicaof = [\"10.0.0.1\", 6379]",
        ],
    ],
    [
        &["maxmemory 1gb", "maxmemory 1073741824", "maxmemory 1024MB"],
        &["maxmemory = \"1gb\"", "maxmemory = 1073741824"],
    ],
    [
        &["protected-mode no", "Protected-Mode NO"],
        &["protected-mode = false", "protected_mode = \"no\""],
    ],
    [
        &["requirepass \"a b\"", "requirepass 'a b'"],
        &["requirepass = \"a b\"", "requirepass = 'a b'"],
    ],
    [
        &["dir ./data", "dir \"./data\""],
        &["dir = \"./data\"", "dir = './data'"],
    ],
    [
        &["bind 127.0.0.1 -::1", "bind \"127.0.0.1 -::1\""],
        &[
            "bind = [\"127.0.0.1\", \"-::1\"]",
            "bind = \"127.0.0.1 -::1\"",
        ],
    ],
    [
        &["save 9 9", "save \"\"", "save 1 1 2 2"],
        &[
            "save = [\"9 9\"]",
            "save = \"\"",
            "save = [\n \"1 1\", # one\n \"2 2\",\n]",
        ],
    ],
    [
        &["client-output-buffer-limit slave 1 2 3"],
        &["client-output-buffer-limit = [[\"replica\", 1, 2, 3]]"],
    ],
    [&["unixsocketperm 700"], &["unixsocketperm = 700"]],
    [
        &["latency-tracking-info-percentiles 50 99"],
        &["latency-tracking-info-percentiles = [50, 99]"],
    ],
    [&["appendfsync always"], &["appendfsync = \"always\""]],
    [
        &["rename-command FLUSHALL \"\""],
        &["rename-command = [\"FLUSHALL x\", \"GET y\"]"],
    ],
    [&["include timeout.conf"], &["include = \"timeout.conf\""]],
    [
        &["notify-keyspace-events Kx", "notify-keyspace-events \"xK\""],
        &["notify-keyspace-events = \"Kx\""],
    ],
    [
        &["replica-priority 100", "slave-priority 100"],
        &["replica-priority = 100"],
    ],
];

/// Lines that say nothing. In TOML comments are text.
const NOTHING: [&[&[u8]]; 2] = [
    &[
        b"",
        b"   ",
        b"\t",
        b"# c",
        b"  # indented ",
        b"#",
        b"# caf\xe9",
        b"#\xff\x00",
        b"# Generated by CONFIG REWRITE",
        b"#port 1",
    ],
    &[
        b"",
        b"   ",
        b"\t",
        b"# c",
        b"  # indented ",
        b"#",
        "# café".as_bytes(),
        b"# Generated by CONFIG REWRITE",
        b"#port = 1",
    ],
];

/// A layout: directives in some order and in one of their ways, with lines that say nothing between them, an
/// end for each line, and whether the last one has one.
#[derive(Clone, Debug)]
struct Layout {
    directives: Vec<(usize, usize)>,
    between: Vec<Vec<usize>>,
    ends: Vec<bool>,
    ended: bool,
    indents: Vec<usize>,
}

impl Layout {
    fn text(&self, form: Form) -> Vec<u8> {
        let form = usize::from(form == Form::Toml);
        let mut ends = self.ends.iter().cycle();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for (index, &(directive, way)) in self.directives.iter().enumerate() {
            for &nothing in &self.between[index] {
                lines.push(NOTHING[form][nothing % NOTHING[form].len()].to_vec());
            }
            let ways = WAYS[directive][form];
            let indent = " ".repeat(self.indents[index]);
            lines.push((indent + ways[way % ways.len()]).into_bytes());
        }
        let mut text = Vec::new();
        let last = lines.len().saturating_sub(1);
        for (index, line) in lines.iter().enumerate() {
            text.extend_from_slice(line);
            let end = if *ends.next().unwrap() { "\r\n" } else { "\n" };
            if index < last || self.ended {
                text.extend_from_slice(end.as_bytes());
            }
        }
        text
    }
}

fn layouts() -> impl Strategy<Value = Layout> {
    let order = Just((0..WAYS.len()).collect::<Vec<_>>()).prop_shuffle();
    let size = 0..=WAYS.len();
    let between = prop::collection::vec(prop::collection::vec(0..16usize, 0..4), WAYS.len());
    (
        order,
        size,
        prop::collection::vec(0..4usize, WAYS.len()),
        between,
        prop::collection::vec(any::<bool>(), 1..7),
        any::<bool>(),
        prop::collection::vec(0..3usize, WAYS.len()),
    )
        .prop_map(
            |(order, size, ways, between, ends, ended, indents)| Layout {
                directives: order.into_iter().take(size).zip(ways).collect(),
                between,
                ends,
                ended,
                indents,
            },
        )
}

/// Changes one setting, and says the directive's name.
const CHANGES: &[fn(&mut Settings) -> &'static str] = &[
    |s| (s.port = 7005, "port").1,
    |s| (s.timeout = 77, "timeout").1,
    |s| (s.replicaof = None, "replicaof").1,
    |s| (s.maxmemory = 5, "maxmemory").1,
    |s| (s.requirepass = None, "requirepass").1,
    |s| (s.dir = Some("/else where".into()), "dir").1,
    |s| (s.bind = vec!["::1".into()], "bind").1,
    |s| (s.save = Vec::new(), "save").1,
    |s| {
        (
            s.save.push(SavePoint {
                seconds: 3,
                changes: 3,
            }),
            "save",
        )
            .1
    },
    |s| {
        (
            s.client_output_buffer_limit.normal.hard = 99,
            "client-output-buffer-limit",
        )
            .1
    },
    |s| (s.tcp_keepalive = 11, "tcp-keepalive").1,
];

/// The text without the lines of one directive and those that CONFIG REWRITE appends.
fn without(form: Form, text: &[u8], directive: &str) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut in_array = false;
    for line in text.split_inclusive(|&b| b == b'\n') {
        let shown = String::from_utf8_lossy(line);
        let name = shown.trim().trim_start_matches('"');
        let name = name.split([' ', '\t', '=', '"']).next().unwrap_or_default();
        let own = table::find(name).is_some_and(|d| d.name == directive);
        // The one value of several lines.
        if own && form == Form::Toml && shown.trim_end().ends_with("= [") {
            in_array = true;
        }
        let part = own || in_array;
        in_array &= !shown.starts_with(']');
        if !part && shown.trim() != MARK {
            rest.extend_from_slice(shown.trim_end().as_bytes());
            rest.push(b'\n');
        }
    }
    rest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_untouched_text_stays_byte_for_byte(layout in layouts()) {
        for (form, _) in NAMES {
            let text = layout.text(form);
            let settings = settings_of(form, &text);
            let at_start = StartSettings { configured: settings.clone(), effective: settings.clone() };
            let new = rewritten_from(form, &text, &settings, at_start);
            prop_assert_eq!(new.as_deref(), Ok(&text[..]), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn a_change_touches_its_own_lines_only(layout in layouts(), change in 0..CHANGES.len()) {
        for (form, _) in NAMES {
            let text = layout.text(form);
            let configured = settings_of(form, &text);
            let mut now = configured.clone();
            let name = CHANGES[change](&mut now);
            let at_start = StartSettings { configured: configured.clone(), effective: configured };
            let new = rewritten_from(form, &text, &now, at_start.clone());
            let new = new.unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&text)));
            same_settings(&settings_of(form, &new), &now);
            let (before, after) = (without(form, &text, name), without(form, &new, name));
            prop_assert_eq!(before.escape_ascii().to_string(), after.escape_ascii().to_string());
            let again = rewritten_from(form, &new, &now, at_start);
            prop_assert_eq!(again, Ok(new));
        }
    }

    /// Whatever was done to the text: no panic, and what a start would take stays.
    #[test]
    fn a_spoilt_text_is_mended_or_refused(
        layout in layouts(),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (form, _) in NAMES {
            let mut text = layout.text(form);
            for (at, byte) in &spoilt {
                if !text.is_empty() {
                    let at = at.index(text.len());
                    text[at] = *byte;
                }
            }
            let understood = form.decode("file", &text).and_then(|text| {
                load(Layers {
                    file: Some((form, "file", &text)),
                    stdin: None,
                    environment: Default::default(),
                    flags: "",
                    includes: &included,
                })
            });
            let defaults = Settings::default();
            let at_start = StartSettings { configured: defaults.clone(), effective: defaults.clone() };
            match understood {
                Ok(loaded) => {
                    let new = rewritten_from(form, &text, &loaded.settings, at_start);
                    prop_assert_eq!(new, Ok(text));
                }
                Err(_) => {
                    let new = rewritten_from(form, &text, &defaults, at_start);
                    if let (Form::RedisConf, Ok(new)) = (form, new) {
                        same_settings(&settings_of(form, &new), &defaults);
                    }
                }
            }
        }
    }
}
