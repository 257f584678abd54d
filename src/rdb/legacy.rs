//! Encodings that Redis no longer writes: ziplists (2.2 to 6.2) and zipmaps (before 2.6).
//!
//! Both parsers walk bytes that may be hostile: they end with an error at the first contradiction, and
//! check what Redis's own deep validation checks.

use super::error::Fault;
use super::source::Text;

const ZIPLIST: Fault = Fault::Corrupt("ziplist");
const ZIPMAP: Fault = Fault::Corrupt("zipmap");

/// Bytes, tail offset, count.
const ZIPLIST_HEADER: usize = 10;
const ZIPLIST_END: u8 = 0xff;

/// Calls `f` with every entry of a ziplist, first to last; how many there were.
pub fn ziplist(
    bytes: &[u8],
    mut f: impl FnMut(Text<'_>) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let u32_at = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .ok_or(ZIPLIST)
    };
    let [.., ZIPLIST_END] = bytes else {
        return Err(ZIPLIST);
    };
    if bytes.len() < ZIPLIST_HEADER + 1 || u32_at(0)? != bytes.len() {
        return Err(ZIPLIST);
    }
    let tail = u32_at(4)?;
    let declared = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let last = bytes.len() - 1;
    let mut rest = &bytes[ZIPLIST_HEADER..last];
    let mut count = 0;
    let mut previous = 0;
    let mut entry_at = ZIPLIST_HEADER;
    while !rest.is_empty() {
        entry_at = last - rest.len();
        let (told, after) = previous_length(rest)?;
        if told != previous {
            return Err(ZIPLIST);
        }
        let (entry, after) = entry(after)?;
        f(entry)?;
        previous = rest.len() - after.len();
        rest = after;
        count += 1;
    }
    let tail_is_right = if count == 0 {
        tail <= last
    } else {
        tail == entry_at
    };
    if !tail_is_right || (declared != usize::from(u16::MAX) && declared != count) {
        return Err(ZIPLIST);
    }
    Ok(count)
}

/// The length of the entry before: one byte, or 254 and four.
fn previous_length(bytes: &[u8]) -> Result<(usize, &[u8]), Fault> {
    match bytes {
        [254, a, b, c, d, rest @ ..] => Ok((u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)),
        [254 | 255, ..] | [] => Err(ZIPLIST),
        [length, rest @ ..] => Ok((usize::from(*length), rest)),
    }
}

fn entry(bytes: &[u8]) -> Result<(Text<'_>, &[u8]), Fault> {
    let [encoding, rest @ ..] = bytes else {
        return Err(ZIPLIST);
    };
    let low = usize::from(encoding & 0x3f);
    let (length, rest) = match (encoding >> 6, rest) {
        (0, _) => (low, rest),
        (1, [next, rest @ ..]) => (low << 8 | usize::from(*next), rest),
        (2, [a, b, c, d, rest @ ..]) => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest),
        (3, _) => return integer(*encoding, rest),
        _ => return Err(ZIPLIST),
    };
    let (text, rest) = rest.split_at_checked(length).ok_or(ZIPLIST)?;
    Ok((Text::Bytes(text), rest))
}

fn integer(encoding: u8, bytes: &[u8]) -> Result<(Text<'_>, &[u8]), Fault> {
    let width = match encoding {
        0xc0 => 2,
        0xd0 => 4,
        0xe0 => 8,
        0xf0 => 3,
        0xfe => 1,
        // Zero to twelve in the encoding byte itself.
        0xf1..=0xfd => return Ok((Text::Int(i64::from(encoding - 0xf1)), bytes)),
        _ => return Err(ZIPLIST),
    };
    let (digits, rest) = bytes.split_at_checked(width).ok_or(ZIPLIST)?;
    let mut wide = [0; 8];
    wide[8 - width..].copy_from_slice(digits);
    // Shifting down from the top extends the sign.
    let value = i64::from_le_bytes(wide) >> (64 - 8 * width);
    Ok((Text::Int(value), rest))
}

/// Calls `f` with every field and value of a zipmap; how many pairs there were, at least one.
pub fn zipmap(
    bytes: &[u8],
    mut f: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    const END: u8 = 0xff;
    const MANY: usize = 254;
    let [declared, rest @ .., END] = bytes else {
        return Err(ZIPMAP);
    };
    let mut rest = rest;
    let mut count = 0;
    while !rest.is_empty() {
        let (field_length, after) = zipmap_length(rest)?;
        let (field, after) = after.split_at_checked(field_length).ok_or(ZIPMAP)?;
        let (value_length, after) = zipmap_length(after)?;
        // A value may have unused bytes behind it.
        let [free, after @ ..] = after else {
            return Err(ZIPMAP);
        };
        let (value, after) = after.split_at_checked(value_length).ok_or(ZIPMAP)?;
        let (_, after) = after.split_at_checked(usize::from(*free)).ok_or(ZIPMAP)?;
        f(field, value)?;
        rest = after;
        count += 1;
    }
    let declared = usize::from(*declared);
    if count == 0 || (declared != MANY && declared != count) {
        return Err(ZIPMAP);
    }
    Ok(count)
}

fn zipmap_length(bytes: &[u8]) -> Result<(usize, &[u8]), Fault> {
    match bytes {
        [254, a, b, c, d, rest @ ..] => Ok((u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)),
        [254 | 255, ..] | [] => Err(ZIPMAP),
        [length, rest @ ..] => Ok((usize::from(*length), rest)),
    }
}

/// Builds the old encodings for tests.
#[cfg(test)]
pub(crate) mod build {
    /// A ziplist of texts; what spells an integer is stored as one, as Redis did.
    pub(crate) fn ziplist(items: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![0; super::ZIPLIST_HEADER];
        let mut previous = 0usize;
        let mut tail = super::ZIPLIST_HEADER;
        for item in items {
            tail = out.len();
            if previous < 254 {
                out.push(previous as u8);
            } else {
                out.push(254);
                out.extend_from_slice(&(previous as u32).to_le_bytes());
            }
            match crate::text::parse_int(item) {
                Some(n @ 0..=12) => out.push(0xf1 + n as u8),
                Some(n) if n == i64::from(n as i8) => out.extend_from_slice(&[0xfe, n as u8]),
                Some(n) if n == i64::from(n as i16) => {
                    out.push(0xc0);
                    out.extend_from_slice(&(n as i16).to_le_bytes());
                }
                Some(n) if (-(1 << 23)..1 << 23).contains(&n) => {
                    out.push(0xf0);
                    out.extend_from_slice(&n.to_le_bytes()[..3]);
                }
                Some(n) if n == i64::from(n as i32) => {
                    out.push(0xd0);
                    out.extend_from_slice(&(n as i32).to_le_bytes());
                }
                Some(n) => {
                    out.push(0xe0);
                    out.extend_from_slice(&n.to_le_bytes());
                }
                None => {
                    match item.len() {
                        n @ 0..=63 => out.push(n as u8),
                        n @ 64..=16383 => out.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]),
                        n => {
                            out.push(0x80);
                            out.extend_from_slice(&(n as u32).to_be_bytes());
                        }
                    }
                    out.extend_from_slice(item);
                }
            }
            previous = out.len() - tail;
        }
        out.push(super::ZIPLIST_END);
        let length = out.len() as u32;
        out[..4].copy_from_slice(&length.to_le_bytes());
        out[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
        out[8..10].copy_from_slice(&(items.len().min(0xffff) as u16).to_le_bytes());
        out
    }

    /// A zipmap, with `free` unused bytes behind every value.
    pub(crate) fn zipmap(pairs: &[(&[u8], &[u8])], free: u8) -> Vec<u8> {
        fn length(out: &mut Vec<u8>, n: usize) {
            if n < 254 {
                out.push(n as u8);
            } else {
                out.push(254);
                out.extend_from_slice(&(n as u32).to_le_bytes());
            }
        }
        let mut out = vec![pairs.len().min(254) as u8];
        for (field, value) in pairs {
            length(&mut out, field.len());
            out.extend_from_slice(field);
            length(&mut out, value.len());
            out.push(free);
            out.extend_from_slice(value);
            out.extend(std::iter::repeat_n(0xaa, usize::from(free)));
        }
        out.push(0xff);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let mut out = Vec::new();
        ziplist(bytes, |text| {
            out.push(text.with(<[u8]>::to_vec));
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn the_documented_example() {
        let bytes = [
            0x0f, 0, 0, 0, 0x0c, 0, 0, 0, 2, 0, 0x00, 0xf3, 0x02, 0xf6, 0xff,
        ];
        assert_eq!(entries(&bytes).unwrap(), [b"2".to_vec(), b"5".to_vec()]);
    }

    #[test]
    fn every_kind_of_entry() {
        let long = vec![b'x'; 20_000];
        let middling = vec![b'y'; 300];
        let items: Vec<&[u8]> = vec![
            b"",
            b"a",
            &middling,
            &long,
            b"0",
            b"12",
            b"13",
            b"-1",
            b"-128",
            b"128",
            b"-32768",
            b"32768",
            b"-8388608",
            b"8388607",
            b"8388608",
            b"-2147483648",
            b"2147483648",
            b"-9223372036854775808",
            b"9223372036854775807",
            b"007",
        ];
        assert_eq!(entries(&build::ziplist(&items)).unwrap(), items);
        assert_eq!(entries(&build::ziplist(&[])).unwrap(), [] as [&[u8]; 0]);
    }

    #[test]
    fn contradictions_are_found() {
        let good = build::ziplist(&[b"hello", b"1024", b"world"]);
        for (at, byte) in [
            (0, 1),                 // total length
            (4, 10),                // tail
            (8, 7),                 // count
            (10, 1),                // length before the first
            (11, 63),               // text reaches out
            (11, 0xff),             // no such encoding
            (good.len() - 1, 0xfe), // no end
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(entries(&bad).is_err(), "{at}");
        }
        for cut in 0..good.len() {
            assert!(entries(&good[..cut]).is_err());
        }
    }

    #[test]
    fn zipmaps() {
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            zipmap(bytes, |f, v| {
                out.push((f.to_vec(), v.to_vec()));
                Ok(())
            })
            .map(|_| out)
        };
        assert_eq!(
            read(b"\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff").unwrap(),
            [
                (b"foo".to_vec(), b"bar".to_vec()),
                (b"hello".to_vec(), b"world".to_vec())
            ]
        );
        let long = vec![b'v'; 400];
        let good = build::zipmap(&[(b"a", b"1"), (b"", &long), (b"zz", b"")], 3);
        assert_eq!(read(&good).unwrap().len(), 3);
        assert!(read(b"\x00\xff").is_err());
        assert!(read(b"\x05\x01a\x01\x00b\xff").is_err());
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn ziplist_round_trip(items in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                any::<i16>().prop_map(|n| n.to_string().into_bytes()),
            ], 0..30)) {
            let borrowed: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(entries(&build::ziplist(&borrowed)).unwrap(), items);
        }

        #[test]
        fn broken_bytes_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = build::ziplist(&[b"hello", b"1024", b"99999999", b"world"]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = entries(&bytes);
            let _ = zipmap(&noise, |_, _| Ok(()));
            let mut framed = noise.clone();
            framed.push(0xff);
            let _ = zipmap(&framed, |_, _| Ok(()));
            let mut bytes = bytes[..ZIPLIST_HEADER].to_vec();
            bytes.extend_from_slice(&framed);
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            let _ = entries(&bytes);
        }
    }
}
