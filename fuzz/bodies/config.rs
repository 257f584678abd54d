//! Any bytes as a configuration, in both forms and as flags: settings or a mistake that says where. What is
//! understood and then rewritten unchanged stays byte for byte.

use std::collections::HashMap;

use understudy::Settings;
use understudy::internals::config::layers::{Form, Layers, flags_to_lines, load};
use understudy::internals::config::rewrite::{StartSettings, Target, rewrite};

pub fn run(input: &[u8]) {
    let [choice, body @ ..] = input else {
        return;
    };
    rewrite_unchanged(
        Form::of(if choice & 1 == 0 { "a.conf" } else { "a.toml" }),
        body,
    );
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let flags = match choice & 4 {
        0 => String::new(),
        _ => flags_to_lines(&arguments),
    };
    let form = Form::of(if choice & 1 == 0 { "a.conf" } else { "a.toml" });
    let file = (choice & 4 == 0).then_some((form, "a", text));
    let loaded = load(Layers {
        file,
        stdin: (choice & 2 != 0).then_some(text),
        environment: HashMap::from([("UNDERSTUDY_PORT".to_owned(), text.to_owned())]),
        flags: &flags,
        includes: &|name| Err(format!("no file {name}")),
    });
    if let Err(mistake) = loaded {
        let _ = mistake.to_string();
    }
}

fn rewrite_unchanged(form: Form, bytes: &[u8]) {
    let includes = |name: &str| Err(format!("no file {name}"));
    let understood = form.decode("a", bytes).and_then(|text| {
        load(Layers {
            file: Some((form, "a", &text)),
            stdin: None,
            environment: HashMap::new(),
            flags: "",
            includes: &includes,
        })
    });
    let target = Target {
        form,
        name: "a",
        includes: &includes,
    };
    let at_start = StartSettings {
        configured: Settings::default(),
        effective: Settings::default(),
    };
    match understood {
        Ok(loaded) => {
            let new = rewrite(&target, bytes, &loaded.settings, &at_start);
            assert_eq!(new.as_deref(), Ok(bytes));
        }
        Err(_) => {
            let _ = rewrite(&target, bytes, &Settings::default(), &at_start);
        }
    }
}
