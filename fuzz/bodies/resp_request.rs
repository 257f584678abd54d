//! Any bytes as a client's requests: parsed at once and in parts, the commands and the verdict are the same.

use understudy::internals::resp::request::{Batch, Limits, Parser};

type Commands = Vec<Vec<Vec<u8>>>;

/// Parses bytes that come in parts of `step`; the commands, and how it ended.
fn parse(input: &[u8], step: usize, limits: &Limits) -> (Commands, Option<String>) {
    let mut parser = Parser::default();
    let mut batch = Batch::default();
    let mut buffer = Vec::new();
    let mut commands = Vec::new();
    for part in input.chunks(step) {
        buffer.extend_from_slice(part);
        loop {
            let verdict = parser.parse(&buffer, limits, &mut batch);
            for index in 0..batch.len() {
                let mut args = Vec::new();
                batch.args(index, &buffer, &mut args);
                commands.push(args.iter().map(|arg| arg.to_vec()).collect());
            }
            let consumed = batch.consumed();
            let more = !batch.wants_bytes();
            buffer.drain(..consumed);
            if let Err(error) = verdict {
                return (commands, Some(error.to_string()));
            }
            if !more || buffer.is_empty() {
                break;
            }
            assert!(consumed > 0, "nothing parsed, and no bytes wanted");
        }
    }
    (commands, None)
}

pub fn run(input: &[u8]) {
    let [choice, body @ ..] = input else {
        return;
    };
    let limits = Limits {
        bulk_bytes_max: 1 << 20,
        authenticated: choice & 1 == 0,
        commands_max: if choice & 2 == 0 { 1024 } else { 2 },
        ..Limits::default()
    };
    let whole = parse(body, body.len().max(1), &limits);
    let step = usize::from(choice >> 2) + 1;
    assert_eq!(parse(body, step, &limits), whole);
    assert_eq!(parse(body, 1, &limits), whole);
}
