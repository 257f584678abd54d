//! One match of a pattern at one place of a text.
//!
//! It tries alternatives by recursion: once for each repetition and capture of the pattern that it is in.

use crate::lua::Raise;

/// Captures of a pattern.
pub(super) const CAPTURES_MAX: usize = 32;

/// Depth of the recursion.
const DEPTH_MAX: usize = 200;

/// Steps between two polls.
const STEPS_PER_POLL: usize = 1 << 16;

const ESCAPE: u8 = b'%';

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// The pattern isn't one.
    Malformed(&'static str),
    /// The interrupt ends the script.
    Raise(Raise),
}

type Found = Result<Option<usize>, Stop>;

/// A part of the text that the pattern asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capture {
    pub(super) start: usize,
    pub(super) extent: Extent,
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Its end hasn't been met.
    Open,
    /// The position alone.
    Position,
    /// So many bytes.
    Bytes(usize),
}

/// A pattern over a text.
pub(super) struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: usize,
    steps: usize,
}

impl<'a> Matcher<'a> {
    /// A pattern ends with its first zero.
    pub(super) fn new(text: &'a [u8], pattern: &'a [u8]) -> Matcher<'a> {
        let end = memchr::memchr(0, pattern).unwrap_or(pattern.len());
        Matcher {
            text,
            pattern: &pattern[..end],
            captures: Vec::new(),
            depth: 0,
            steps: 0,
        }
    }

    pub(super) fn captures(&self) -> &[Capture] {
        &self.captures
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether the pattern, from so far in it on, matches the text from a place on: where the match ends. `poll` is
    /// called from time to time.
    pub(super) fn run(
        &mut self,
        at: usize,
        from: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        self.captures.clear();
        self.depth = 0;
        self.matches(at, from, poll)
    }

    fn byte(&self, at: usize) -> u8 {
        self.pattern.get(at).copied().unwrap_or(0)
    }

    fn count(
        &mut self,
        steps: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Result<(), Stop> {
        self.steps += steps;
        if self.steps < STEPS_PER_POLL {
            return Ok(());
        }
        self.steps = 0;
        poll().map_err(Stop::Raise)
    }

    fn matches(
        &mut self,
        at: usize,
        from: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        if self.depth == DEPTH_MAX {
            return Err(Stop::Malformed("pattern too complex"));
        }
        self.depth += 1;
        let found = self.items(at, from, poll);
        self.depth -= 1;
        found
    }

    /// The items of the pattern one after the other, up to one that has alternatives.
    fn items(
        &mut self,
        mut at: usize,
        mut from: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        loop {
            self.count(1, poll)?;
            match self.byte(from) {
                0 => return Ok(Some(at)),
                b'(' if self.byte(from + 1) == b')' => {
                    return self.open_capture(at, from + 2, Extent::Position, poll);
                }
                b'(' => return self.open_capture(at, from + 1, Extent::Open, poll),
                b')' => return self.close_capture(at, from + 1, poll),
                b'$' if self.byte(from + 1) == 0 => {
                    return Ok((at == self.text.len()).then_some(at));
                }
                ESCAPE if self.byte(from + 1) == b'b' => {
                    let Some(end) = self.balanced(at, from + 2, poll)? else {
                        return Ok(None);
                    };
                    (at, from) = (end, from + 4);
                    continue;
                }
                ESCAPE if self.byte(from + 1) == b'f' => {
                    let Some(end) = self.frontier(at, from + 2)? else {
                        return Ok(None);
                    };
                    from = end;
                    continue;
                }
                ESCAPE if self.byte(from + 1).is_ascii_digit() => {
                    let Some(end) = self.same_as_capture(at, self.byte(from + 1))? else {
                        return Ok(None);
                    };
                    (at, from) = (end, from + 2);
                    continue;
                }
                _ => (),
            }
            let end = self.class_end(from)?;
            let fits = self.fits(at, from, end);
            match self.byte(end) {
                b'?' => {
                    if fits && let Some(found) = self.matches(at + 1, end + 1, poll)? {
                        return Ok(Some(found));
                    }
                    from = end + 1;
                }
                b'*' => return self.longest(at, from, end, poll),
                b'+' if fits => return self.longest(at + 1, from, end, poll),
                b'-' => return self.shortest(at, from, end, poll),
                _ if !fits => return Ok(None),
                _ => (at, from) = (at + 1, end),
            }
        }
    }

    /// As many repetitions as leave the rest a match.
    fn longest(
        &mut self,
        at: usize,
        from: usize,
        end: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        let mut repeated = 0;
        while self.fits(at + repeated, from, end) {
            repeated += 1;
        }
        self.count(repeated, poll)?;
        for repeated in (0..=repeated).rev() {
            if let Some(found) = self.matches(at + repeated, end + 1, poll)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// As few repetitions as leave the rest a match.
    fn shortest(
        &mut self,
        mut at: usize,
        from: usize,
        end: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        loop {
            if let Some(found) = self.matches(at, end + 1, poll)? {
                return Ok(Some(found));
            }
            if !self.fits(at, from, end) {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn open_capture(
        &mut self,
        at: usize,
        from: usize,
        extent: Extent,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        if self.captures.len() == CAPTURES_MAX {
            return Err(Stop::Malformed("too many captures"));
        }
        self.captures.push(Capture { start: at, extent });
        let found = self.matches(at, from, poll)?;
        if found.is_none() {
            self.captures.pop();
        }
        Ok(found)
    }

    fn close_capture(
        &mut self,
        at: usize,
        from: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        let open = self
            .captures()
            .iter()
            .rposition(|capture| capture.extent == Extent::Open)
            .ok_or(Stop::Malformed("invalid pattern capture"))?;
        self.captures[open].extent = Extent::Bytes(at - self.captures[open].start);
        let found = self.matches(at, from, poll)?;
        if found.is_none() {
            self.captures[open].extent = Extent::Open;
        }
        Ok(found)
    }

    /// `%1`: what a capture holds, again.
    fn same_as_capture(&self, at: usize, digit: u8) -> Found {
        let number = usize::from(digit).checked_sub(usize::from(b'1'));
        let capture = number.and_then(|number| self.captures().get(number));
        let Some(capture) = capture.filter(|capture| capture.extent != Extent::Open) else {
            return Err(Stop::Malformed("invalid capture index"));
        };
        let Extent::Bytes(length) = capture.extent else {
            return Ok(None);
        };
        let held = &self.text[capture.start..capture.start + length];
        Ok(self.text[at..].starts_with(held).then_some(at + length))
    }

    /// `%b()`: from one byte to the other that balances it.
    fn balanced(
        &mut self,
        at: usize,
        from: usize,
        poll: &mut dyn FnMut() -> Result<(), Raise>,
    ) -> Found {
        let (begin, end) = (self.byte(from), self.byte(from + 1));
        if begin == 0 || end == 0 {
            return Err(Stop::Malformed("unbalanced pattern"));
        }
        if self.text.get(at) != Some(&begin) {
            return Ok(None);
        }
        let mut open = 1usize;
        let rest = &self.text[at + 1..];
        for (offset, &byte) in rest.iter().enumerate() {
            if byte == end {
                open -= 1;
                if open == 0 {
                    self.count(offset, poll)?;
                    return Ok(Some(at + offset + 2));
                }
            } else if byte == begin {
                open += 1;
            }
        }
        self.count(rest.len(), poll)?;
        Ok(None)
    }

    /// `%f[set]`: where a set begins. The end of the set, if it does there.
    fn frontier(&self, at: usize, from: usize) -> Found {
        if self.byte(from) != b'[' {
            return Err(Stop::Malformed("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(from)?;
        let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
        let here = self.text.get(at).copied().unwrap_or(0);
        let begins = !self.in_set(before, from, end - 1) && self.in_set(here, from, end - 1);
        Ok(begins.then_some(end))
    }

    /// Where a class of one byte ends.
    fn class_end(&self, from: usize) -> Result<usize, Stop> {
        match self.byte(from) {
            ESCAPE if self.byte(from + 1) == 0 => {
                Err(Stop::Malformed("malformed pattern (ends with '%')"))
            }
            ESCAPE => Ok(from + 2),
            b'[' => {
                let mut at = from + 1 + usize::from(self.byte(from + 1) == b'^');
                // A bracket that comes first is one of the set.
                loop {
                    match self.byte(at) {
                        0 => return Err(Stop::Malformed("malformed pattern (missing ']')")),
                        ESCAPE if self.byte(at + 1) != 0 => at += 2,
                        _ => at += 1,
                    }
                    if self.byte(at) == b']' {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(from + 1),
        }
    }

    /// Whether there is a byte, and it is of the class.
    fn fits(&self, at: usize, from: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(at) else {
            return false;
        };
        match self.byte(from) {
            b'.' => true,
            ESCAPE => is_of_class(byte, self.byte(from + 1)),
            b'[' => self.in_set(byte, from, end - 1),
            literal => literal == byte,
        }
    }

    /// Whether a byte is in the set between brackets.
    fn in_set(&self, byte: u8, open: usize, close: usize) -> bool {
        let inverted = self.byte(open + 1) == b'^';
        let mut at = open + 1 + usize::from(inverted);
        while at < close {
            if self.byte(at) == ESCAPE {
                at += 1;
                if is_of_class(byte, self.byte(at)) {
                    return !inverted;
                }
            } else if self.byte(at + 1) == b'-' && at + 2 < close {
                if (self.byte(at)..=self.byte(at + 2)).contains(&byte) {
                    return !inverted;
                }
                at += 2;
            } else if self.byte(at) == byte {
                return !inverted;
            }
            at += 1;
        }
        inverted
    }
}

fn is_of_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        // Rust's has no vertical tab.
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return byte == class,
    };
    is != class.is_ascii_uppercase()
}
