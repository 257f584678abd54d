//! The framing of a full sync's dump: `$<length>` or `$EOF:<mark>`, cut out of the link's bytes.
//!
//! The mark may straddle chunks. Only a chunk's tail that is a beginning of the mark is held back, so nearly
//! every byte passes through without a copy. Bytes after the dump belong to the stream and are handed back.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// Length of the end mark, bytes.
pub(crate) const MARK: usize = 40;

/// How the end of the dump is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Length(u64),
    Mark([u8; MARK]),
}

impl Form {
    /// Reads the header line without its line end; None if it is neither form.
    pub(crate) fn parse(line: &[u8]) -> Option<Form> {
        let rest = line.strip_prefix(b"$")?;
        if let Some(mark) = rest.strip_prefix(b"EOF:") {
            return Some(Form::Mark(mark.get(..MARK)?.try_into().ok()?));
        }
        let text = std::str::from_utf8(rest).ok()?;
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Form::Length)
    }

    /// The header line a master sends.
    pub(crate) fn header(&self) -> Vec<u8> {
        match self {
            Form::Length(n) => format!("${n}\r\n").into_bytes(),
            Form::Mark(mark) => [b"$EOF:".as_slice(), mark, b"\r\n"].concat(),
        }
    }
}

/// A dump on its way in.
#[derive(Debug)]
pub(crate) struct Transfer {
    form: Form,
    /// Bytes of dump handed out so far.
    read: u64,
    held: BytesMut,
}

impl Transfer {
    pub(crate) fn new(form: Form) -> Transfer {
        Transfer {
            form,
            read: 0,
            held: BytesMut::new(),
        }
    }

    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// The dump's size, if it was announced.
    pub(crate) fn total(&self) -> Option<u64> {
        match self.form {
            Form::Length(n) => Some(n),
            Form::Mark(_) => None,
        }
    }

    /// Takes received bytes: the dump's next bytes (may be empty), and, once the dump is complete, what
    /// came after it.
    pub(crate) fn feed(&mut self, mut input: Bytes) -> (Bytes, Option<Bytes>) {
        match &self.form {
            Form::Length(total) => {
                let left = total - self.read;
                let take = left.min(input.len() as u64);
                let payload = input.split_to(take as usize);
                self.read += take;
                let done = self.read == *total;
                (payload, done.then_some(input))
            }
            Form::Mark(mark) => {
                if !self.held.is_empty() {
                    self.held.extend_from_slice(&input);
                    input = self.held.split().freeze();
                }
                let (payload, rest) = if let Some(at) = memmem::find(&input, mark) {
                    let payload = input.split_to(at);
                    (payload, Some(input.split_off(MARK)))
                } else {
                    let longest = (1..MARK.min(input.len() + 1))
                        .rev()
                        .find(|n| input.ends_with(&mark[..*n]))
                        .unwrap_or(0);
                    let tail = input.split_off(input.len() - longest);
                    self.held.extend_from_slice(&tail);
                    (input, None)
                };
                self.read += payload.len() as u64;
                (payload, rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_round_trip_and_lies_are_refused() {
        for form in [Form::Length(0), Form::Length(77), Form::Mark([b'm'; 40])] {
            let line = form.header();
            assert_eq!(Form::parse(&line[..line.len() - 2]), Some(form));
        }
        for bad in [
            "$",
            "$-1",
            "$+1",
            "$1x",
            "$EOF:short",
            "+OK",
            "$99999999999999999999999",
        ] {
            assert_eq!(Form::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_cut_gives_the_dump_and_the_rest(
            // A tiny alphabet, so that beginnings of the mark turn up in the dump.
            dump in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..300),
            after in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..60),
            cuts in prop::collection::vec(1usize..50, 1..60),
            marked: bool,
        ) {
            let mut mark = [b'a'; MARK];
            mark[MARK - 1] = b'c';
            let form = if marked { Form::Mark(mark) } else { Form::Length(dump.len() as u64) };
            let mut all = dump.clone();
            if marked {
                all.extend_from_slice(&mark);
            }
            all.extend_from_slice(&after);
            let mut transfer = Transfer::new(form);
            let mut got = Vec::new();
            let mut rest: Option<Vec<u8>> = None;
            let mut all = Bytes::from(all);
            let mut cuts = cuts.into_iter().cycle();
            if all.is_empty() {
                rest = transfer.feed(Bytes::new()).1.map(|b| b.to_vec());
            }
            while !all.is_empty() {
                let chunk = all.split_to(cuts.next().unwrap_or(1).min(all.len()));
                match &mut rest {
                    Some(rest) => rest.extend_from_slice(&chunk),
                    None => {
                        let (payload, end) = transfer.feed(chunk);
                        got.extend_from_slice(&payload);
                        rest = end.map(|b| b.to_vec());
                    }
                }
            }
            prop_assert_eq!(transfer.read(), dump.len() as u64);
            prop_assert_eq!(got, dump);
            prop_assert_eq!(rest, Some(after));
        }
    }
}
