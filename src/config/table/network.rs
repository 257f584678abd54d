//! Sockets and clients.

use super::super::directive::{Directive, NumberField, Range, Shape, Unit, at, number_at};
use super::special;

const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;
const MB: i128 = 1 << 20;
type D = Directive;

const fn octal(name: &'static str, field: NumberField, max: i128, doc: &'static str) -> Directive {
    let mut directive = Directive::number(name, field, 0, max, doc);
    directive.kind = super::super::directive::Kind::Number(
        field,
        Range {
            min: 0,
            max,
            unit: Unit::Octal,
        },
    );
    directive
}

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::special("bind", special::BIND,
        "Addresses to listen at; '*' and '::*' are all of them, a leading '-' tolerates an address that is missing.").many_words(),
    D::number("port", number_at!(port), 0, 65535,
        "TCP port; 0: none."),
    D::optional("unixsocket", at!(unixsocket),
        "Path of a Unix socket to listen at besides.").immutable(),
    octal("unixsocketperm", number_at!(unixsocketperm), 0o777,
        "Mode bits of the Unix socket, octal; 0: what the umask leaves.").immutable(),
    D::yes_no("protected-mode", at!(protected_mode),
        "Without a password, serve only clients of this machine."),
    D::number("tcp-backlog", number_at!(tcp_backlog), 0, I32,
        "Length of the queue of connections not yet accepted.").immutable(),
    D::number("timeout", number_at!(timeout), 0, I32,
        "Seconds of idleness after which a client is closed; 0: never."),
    D::number("tcp-keepalive", number_at!(tcp_keepalive), 0, I32,
        "Seconds between keepalive probes on client sockets; 0: none."),
    D::number("maxclients", number_at!(maxclients), 1, u32::MAX as i128,
        "Clients at the same time."),
    D::special("client-output-buffer-limit", special::OUTPUT_LIMITS,
        "Per class of client (normal, replica, pubsub): hard limit, soft limit, and seconds above the soft one, until it is closed.").many_words(),
    D::memory("client-query-buffer-limit", number_at!(client_query_buffer_limit), MB, I64,
        "Bytes that a client may have sent but not yet run."),
    D::memory("proto-max-bulk-len", number_at!(proto_max_bulk_len), MB, I64,
        "Bytes of the largest argument, and of the largest string."),
    D::optional("bind-source-addr", at!(bind_source_addr),
        "Local address of the connection to our master.").check(special::check_source_address),
    D::kept("socket-mark-id", Shape::Number(Range::plain(0, u32::MAX as i128)), "0",
        "Mark of listening sockets for packet filters.").immutable()
        .only("0", "marking sockets is not there yet"),
];
