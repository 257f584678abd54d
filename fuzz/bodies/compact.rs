//! Any bytes as a listpack, an intset, a ziplist or a zipmap: what passes the check can be walked in both
//! directions and edited, and stays valid.

use understudy::internals::data::intset::{self, Intset};
use understudy::internals::data::listpack::{self, Listpack};
use understudy::internals::rdb::{legacy, lzf};

pub fn run(input: &[u8]) {
    let [choice, body @ ..] = input else {
        return;
    };
    if listpack::validate(body).is_ok() {
        let mut pack = Listpack::from_bytes(body).expect("it was valid");
        let forward: Vec<Vec<u8>> = pack.iter().map(|item| item.to_vec()).collect();
        let mut backward: Vec<Vec<u8>> = pack.iter().rev().map(|item| item.to_vec()).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        assert_eq!(forward.len(), pack.len());
        let index = i64::from(*choice);
        if let Some(at) = pack.seek(index) {
            pack.replace(at, b"another");
            pack.insert_after(at, b"12345");
            pack.delete(at);
            assert_eq!(pack.len(), forward.len());
        }
        pack.append(b"tail");
        listpack::validate(pack.as_bytes()).expect("edits keep it valid");
    }
    if intset::validate(body).is_ok() {
        let mut set = Intset::from_bytes(body).expect("it was valid");
        let members: Vec<i64> = set.iter().collect();
        assert!(members.is_sorted());
        for n in members {
            assert!(set.contains(n) && !set.insert(n) && set.remove(n));
        }
        assert!(set.is_empty());
    }
    let _ = legacy::ziplist(body, |_| Ok(()));
    let _ = legacy::zipmap(body, |_, _| Ok(()));
    let mut out = Vec::new();
    let length = body.len() * usize::from(*choice) / 4;
    lzf::decompress(body, length, &mut out);
    assert!(out.len() <= length);
    out.clear();
    let mut packed = Vec::new();
    if lzf::Compressor::new().compress(body, &mut packed, body.len() + 10) {
        assert!(lzf::decompress(&packed, body.len(), &mut out));
        assert_eq!(out, body);
    }
}
