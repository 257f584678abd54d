//! What a dump may not be: refused with what is wrong, where, and which key it is about.

use super::error::Fault;
use super::format::{kind, opcode};
use super::reader::{Options, load};
use super::round_trip_tests::{Rows, dump_of, read, read_value};

#[test]
fn refusals_say_what_where_and_which_key() {
    let refuse = |dump: &[u8]| read(dump).err().expect("an error");
    assert!(matches!(refuse(b"").fault, Fault::NotRdb));
    assert!(matches!(refuse(b"REDIS00").fault, Fault::NotRdb));
    assert!(matches!(refuse(b"RADIS0011\xff").fault, Fault::NotRdb));
    assert!(matches!(refuse(b"REDIS00x1\xff").fault, Fault::NotRdb));
    for (digits, version) in [("0000", 0), ("0013", 13), ("9999", 9999)] {
        let error = refuse(format!("REDIS{digits}\u{1}").as_bytes());
        assert!(matches!(error.fault, Fault::Version(v) if v == version));
    }
    let old = refuse(&dump_of(11, &[kind::MODULE_PRE_GA, 2, b'k', b'1', 0]));
    assert_eq!(
        old.to_string(),
        "RDB: type 6, module value (pre-release form), is not supported at offset 13, key \"k1\" of database 0"
    );
    let module = refuse(&dump_of(11, &[kind::MODULE_2, 1, b'm', 0x44, 0x03]));
    assert!(module.to_string().contains("module type \"AAAAAAAAB\""));
    let unknown = refuse(&dump_of(11, &[99, 1, b'k']));
    assert!(unknown.to_string().contains("value type or opcode 99"));
    let refused = refuse(&dump_of(10, &[opcode::SELECT_DB, 16]));
    assert!(refused.to_string().contains("there is no database 16"));
    assert!(refused.key.is_none());

    let good = dump_of(10, &[opcode::SELECT_DB, 2, kind::STRING, 1, b'k', 1, b'v']);
    for at in 9..good.len() - 9 {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        assert!(read(&bad).is_err(), "{at}");
    }
    for cut in 0..good.len() {
        let error = refuse(&good[..cut]);
        assert!(error.offset <= cut as u64);
        if cut == 15 {
            assert_eq!((error.key.as_deref(), error.db), (Some(&b"k"[..]), 2));
        }
    }
    // Checksums may be missing, and may be ignored.
    let mut zero = good.clone();
    let end = zero.len() - 8;
    zero[end..].fill(0);
    assert!(!read(&zero).unwrap().1.checksum_verified);
    zero[end] = 1;
    assert!(matches!(refuse(&zero).fault, Fault::Checksum { .. }));
    let options = Options {
        checksum: false,
        ..Options::default()
    };
    assert!(load(&zero[..], options, &mut Rows::default()).is_ok());
}

#[test]
fn a_declared_count_allocates_nothing() {
    for kind in [
        kind::LIST,
        kind::SET,
        kind::HASH,
        kind::HASH_EXPIRING_PRE_GA,
        kind::ZSET_2,
        kind::LIST_QUICKLIST_2,
        kind::STREAM_LISTPACKS_2,
    ] {
        let mut body = vec![0x81];
        body.extend_from_slice(&u64::MAX.to_be_bytes());
        body.extend_from_slice(b"\x01a");
        let error = read_value(kind, &body).expect_err("an error");
        assert!(!matches!(error.fault, Fault::Empty), "{kind}");
    }
}
