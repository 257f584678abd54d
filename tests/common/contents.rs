//! What a server holds, as commands show it: DEBUG DIGEST differs between Redis's versions.

use std::collections::BTreeMap;

use super::{RawReply, Server};

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    kind: String,
    /// Elements, sorted where their order means nothing.
    elements: Vec<Vec<u8>>,
    /// Unix ms; -1: none.
    expires_ms: i64,
}

/// Every key of database 0.
pub fn of(server: &Server) -> BTreeMap<Vec<u8>, Content> {
    let mut client = server.client();
    let keys = client.call(&["KEYS", "*"]).strings();
    let describe = |key: Vec<u8>| {
        let kind = client.call(&[b"TYPE".as_slice(), &key]).text();
        let read: Vec<&[u8]> = match kind.as_str() {
            "string" => vec![b"GET", &key],
            "list" => vec![b"LRANGE", &key, b"0", b"-1"],
            "set" => vec![b"SMEMBERS", &key],
            "hash" => vec![b"HGETALL", &key],
            "zset" => vec![b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"],
            "stream" => vec![b"XRANGE", &key, b"-", b"+"],
            other => panic!("{other}"),
        };
        let mut value = match client.call(&read) {
            RawReply::Bulk(bytes) => vec![bytes],
            items => items.strings(),
        };
        match kind.as_str() {
            // Entries, and what is pending with whom: a stream without that group says so.
            "stream" => {
                let entries = client.call(&read);
                let pending = client.call(&[b"XPENDING".as_slice(), &key, b"g"]);
                value = vec![format!("{entries:?} {pending:?}").into_bytes()];
            }
            "set" => value.sort(),
            "hash" => {
                let mut pairs: Vec<Vec<u8>> = value.chunks(2).map(|pair| pair.concat()).collect();
                pairs.sort();
                value = pairs;
            }
            // 7.0 spells scores with 17 digits.
            "zset" => value.iter_mut().skip(1).step_by(2).for_each(|score| {
                let number: f64 = std::str::from_utf8(score).unwrap().parse().unwrap();
                *score = number.to_string().into_bytes();
            }),
            _ => {}
        }
        let expiry = client.call(&[b"PEXPIRETIME".as_slice(), &key]);
        let content = Content {
            kind,
            elements: value,
            expires_ms: expiry.int().unwrap(),
        };
        (key, content)
    };
    keys.into_iter().map(describe).collect()
}

/// The same keys with the same values, whose expiries are no further apart than `drift_ms`.
pub fn assert_same(
    left: &BTreeMap<Vec<u8>, Content>,
    right: &BTreeMap<Vec<u8>, Content>,
    drift_ms: i64,
) {
    assert_eq!(left.len(), right.len());
    for (key, content) in left {
        let other = right.get(key).cloned();
        let apart_ms = other
            .as_ref()
            .map(|o| (o.expires_ms - content.expires_ms).abs());
        assert!(
            apart_ms.is_some_and(|ms| ms <= drift_ms),
            "{}: {content:?} {other:?}",
            key.escape_ascii()
        );
        let expires_ms = content.expires_ms;
        let other = other.map(|other| Content {
            expires_ms,
            ..other
        });
        assert_eq!(Some(content), other.as_ref(), "{}", key.escape_ascii());
    }
}
