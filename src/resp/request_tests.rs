//! Tests of the request parser.

use proptest::prelude::*;

use super::*;

fn owned(batch: &Batch, buffer: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut args = Vec::new();
    (0..batch.len())
        .map(|i| {
            batch.args(i, buffer, &mut args);
            args.iter().map(|a| a.to_vec()).collect()
        })
        .collect()
}

fn parse_all(bytes: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    parser.parse(bytes, &Limits::default(), &mut batch)?;
    Ok(owned(&batch, bytes))
}

#[test]
fn a_pipeline_and_an_inline_command() {
    let got = parse_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING \"a\\x41\\n\" 'b\\'c'\r\n*0\r\n\r\n*1\r\n$4\r\nPING\r\n");
    assert_eq!(
        got.unwrap(),
        vec![
            vec![b"GET".to_vec(), b"k".to_vec()],
            vec![b"PING".to_vec(), b"aA\n".to_vec(), b"b'c".to_vec()],
            vec![b"PING".to_vec()]
        ]
    );
}

#[test]
fn breaches_are_named_as_redis_names_them() {
    for (bytes, want) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$999999999999\r\n", "invalid bulk length"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
        (b"SET \"a\"b\r\n", "unbalanced quotes in request"),
    ] {
        assert_eq!(parse_all(bytes).unwrap_err().0, want, "{bytes:?}");
    }
    assert_eq!(
        parse_all(&[b'a'; INLINE_BYTES_MAX + 2]).unwrap_err().0,
        "too big inline request"
    );
    let mut long = b"*".to_vec();
    long.extend_from_slice(&[b'1'; INLINE_BYTES_MAX + 2]);
    assert_eq!(
        parse_all(&long).unwrap_err().0,
        "too big mbulk count string"
    );
}

#[test]
fn strangers_may_send_little() {
    let limits = Limits {
        authenticated: false,
        ..Limits::default()
    };
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let error = parser.parse(b"*11\r\n", &limits, &mut batch).unwrap_err();
    assert_eq!(error.0, "unauthenticated multibulk length");
    parser.reset();
    let error = parser
        .parse(b"*1\r\n$16385\r\n", &limits, &mut batch)
        .unwrap_err();
    assert_eq!(error.0, "unauthenticated bulk length");
}

#[test]
fn commands_before_a_breach_are_kept() {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let bytes = b"*1\r\n$4\r\nPING\r\n*1\r\n!";
    parser
        .parse(bytes, &Limits::default(), &mut batch)
        .unwrap_err();
    assert_eq!(owned(&batch, bytes), vec![vec![b"PING".to_vec()]]);
}

/// Hands `bytes` over in parts that end at `cuts`; the commands, and how it ended.
fn parse_parts(
    bytes: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let (mut buffer, mut commands, mut from) = (Vec::new(), Vec::new(), 0);
    for cut in cuts.into_iter().chain([bytes.len()]) {
        let cut = cut.clamp(from, bytes.len());
        buffer.extend_from_slice(&bytes[from..cut]);
        from = cut;
        loop {
            let verdict = parser.parse(&buffer, limits, &mut batch);
            commands.extend(owned(&batch, &buffer));
            if let Err(error) = verdict {
                return (commands, Some(error.0));
            }
            buffer.drain(..batch.consumed());
            if batch.wants_bytes() || buffer.is_empty() {
                break;
            }
            assert!(!batch.is_empty(), "nothing parsed, and no bytes wanted");
        }
    }
    (commands, None)
}

/// `*count` and so many empty arguments of it.
fn beginning(count: usize, come: usize) -> Vec<u8> {
    let mut bytes = format!("*{count}\r\n").into_bytes();
    bytes.extend_from_slice(&b"$0\r\n\r\n".repeat(come));
    bytes
}

/// What has been checked is overwritten: whoever looks at it again fails.
#[test]
fn a_half_received_command_goes_on_where_it_stopped() {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    for (begun, rest) in [
        (beginning(2_000_000_000, 5000), &b"$0\r\n\r\n"[..]),
        (beginning(900, 800), b"$0\r\n\r\n"),
        (b"*2\r\n$300\r\nabc".to_vec(), b"d"),
        (b"an inline command without an end".to_vec(), b" yet"),
        (b"*00000000000000000000".to_vec(), b"0"),
        (b"*2\r\n$00000000000000000000".to_vec(), b"0"),
    ] {
        parser.reset();
        let mut buffer = begun;
        for _ in 0..100 {
            parser
                .parse(&buffer, &Limits::default(), &mut batch)
                .expect("it has not looked back");
            assert!(batch.is_empty() && batch.wants_bytes());
            assert_eq!(batch.consumed(), 0);
            assert!(batch.spans.capacity() <= 2 * ARGS_AT_ONCE);
            let progress = parser.progress;
            buffer[1..progress.position.max(1)].fill(b'\n');
            let line = buffer.len().min(progress.position + 1);
            buffer[line..line + progress.searched.saturating_sub(1)].fill(b'\n');
            buffer.extend_from_slice(rest);
        }
    }
}

#[test]
fn what_is_large_or_incomplete_waits_for_what_stands_before_it() {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let ping = b"*1\r\n$4\r\nPING\r\n";
    for (tail, left) in [
        (beginning(2000, 2000), true),
        (beginning(2000, 10), true),
        (beginning(1000, 10), false),
    ] {
        let buffer = [&ping[..], &tail].concat();
        parser
            .parse(&buffer, &Limits::default(), &mut batch)
            .expect("well-formed");
        assert_eq!(owned(&batch, &buffer), vec![vec![b"PING".to_vec()]]);
        assert_eq!(batch.consumed(), ping.len());
        assert_eq!(batch.wants_bytes(), !left);
        assert_eq!(parser.progress.count, 0, "no progress behind another");
    }
    // Many commands of some arguments each are not parsed all at once.
    let buffer = beginning(1000, 1000).repeat(100);
    parser
        .parse(&buffer, &Limits::default(), &mut batch)
        .expect("well-formed");
    assert!(batch.len() < 12 && !batch.wants_bytes());
}

#[test]
fn arguments_count_as_what_they_take() {
    let limits = Limits {
        request_bytes_max: 1_000_000,
        ..Limits::default()
    };
    let few = beginning(20_000, 20_000);
    assert_eq!(parse_parts(&few, [], &limits).0.len(), 1);
    for come in [40_000, 30_000] {
        let many = beginning(40_000, come);
        assert!(many.len() < limits.request_bytes_max);
        let refused = (Vec::new(), Some(TOO_LARGE.to_owned()));
        assert_eq!(parse_parts(&many, [], &limits), refused);
        assert_eq!(parse_parts(&many, [7, 5000, 9999], &limits), refused);
    }
}

/// A piece of a stream: mostly a command, in one of the forms.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let arg = prop::collection::vec(any::<u8>(), 0..20);
    let array = prop::collection::vec(arg, 1..6).prop_map(|args| {
        let mut bytes = Vec::new();
        crate::repl::wire::command(&mut bytes, &args);
        bytes
    });
    let many = (1000usize..1100).prop_map(|count| beginning(count, count));
    let inline = "[a-z]{0,8}( ('[ a-z]{0,5}'|\"[ a-z]{0,5}\\\\x41\"|[0-9]{1,4})){0,4}\r?\n"
        .prop_map(String::into_bytes);
    let odd = prop::sample::select(vec![
        &b"*0\r\n"[..],
        b"*-1\r\n",
        b"\r\n",
        b"\n",
        b"*1\r\n$07\r\n",
        b"*01\r\n",
        b"*00000000000000000000001\r\n",
        b"*1\r\n$99999999999999999999\r\n",
        b"*2147483648\r\n",
        b"*1\r\n!",
        b"x\"y\r\n",
    ])
    .prop_map(<[u8]>::to_vec);
    prop_oneof![8 => array, 1 => many, 3 => inline, 1 => odd]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_stream_gives_the_same_commands(
        pieces in prop::collection::vec(piece(), 1..8),
        mut cuts in prop::collection::vec(0usize..4000, 0..40),
        authenticated in any::<bool>(),
        commands_max in 1usize..5,
    ) {
        let stream = pieces.concat();
        let limits = Limits { authenticated, commands_max, ..Limits::default() };
        let whole = parse_parts(&stream, [], &limits);
        cuts.sort_unstable();
        prop_assert_eq!(&parse_parts(&stream, cuts, &limits), &whole);
        prop_assert_eq!(&parse_parts(&stream, 0..stream.len(), &limits), &whole);
        let every = Limits { commands_max: 256, ..limits };
        prop_assert_eq!(&parse_parts(&stream, [], &every), &whole);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = parse_parts(&bytes, [], &Limits::default());
        prop_assert_eq!(parse_parts(&bytes, 0..bytes.len(), &Limits::default()), whole);
    }
}
