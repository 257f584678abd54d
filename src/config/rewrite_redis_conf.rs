//! CONFIG REWRITE of the redis.conf form, line by line. Bytes that are no text are nothing unusual in
//! comments, so lines are bytes here.

use super::directive::Directive;
use super::lines::{self, Line, Origin};
use super::rewrite::{Target, append};
use super::{Settings, redis_conf, table, words};

/// A line of the text.
struct Piece<'a> {
    bytes: &'a [u8],
    /// Its words, if it is not a comment, blank, or beyond reading.
    words: Option<Vec<String>>,
    /// What comes in its place, without the line's end.
    replacement: Replacement,
}

enum Replacement {
    Same,
    Nothing,
    Line(Vec<u8>),
}

impl Piece<'_> {
    fn directive(&self) -> Option<&'static Directive> {
        table::find(self.words.as_ref()?.first()?)
    }

    /// The line's end: none (at the text's end), `\n` or `\r\n`.
    fn end(&self) -> &[u8] {
        let end = match self.bytes {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        &self.bytes[self.bytes.len() - end..]
    }

    /// What is before the line's first word.
    fn indent(&self) -> &[u8] {
        &self.bytes[..redis_conf::indent(self.bytes)]
    }

    /// Whether the line gives the directive the same value as this one, which has no name before it.
    fn says(&self, directive: &Directive, wanted: &str) -> bool {
        let meaning = |words: &[String]| {
            let mut settings = Settings::default();
            let all = one_or_many(directive, words);
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            directive.set(&mut settings, &all).ok()?;
            Some(directive.get(&settings))
        };
        let own = self.words.as_deref().and_then(|words| meaning(&words[1..]));
        let other = words::split(wanted).and_then(|words| meaning(&words));
        own.is_some() && own == other
    }
}

/// One word for a directive that takes several is several words in quotes.
fn one_or_many(directive: &Directive, given: &[String]) -> Vec<String> {
    match given {
        [only] if directive.many_words && !only.is_empty() => {
            words::split(only).unwrap_or_default()
        }
        _ => given.to_vec(),
    }
}

/// The lines, each with its end.
fn pieces(text: &[u8]) -> Vec<Piece<'_>> {
    let lines = text.split_inclusive(|&b| b == b'\n');
    lines
        .map(|bytes| Piece {
            bytes,
            words: words_of(bytes),
            replacement: Replacement::Same,
        })
        .collect()
}

/// The words of a line that is read for them.
fn words_of(line: &[u8]) -> Option<Vec<String>> {
    if redis_conf::is_passed_over(line) {
        return None;
    }
    let text = std::str::from_utf8(&line[redis_conf::indent(line)..]).ok()?;
    words::split(text).filter(|words| !words.is_empty())
}

/// The lines of the text that a start would take, and the directives of those that it would refuse.
pub(super) fn read(target: &Target<'_>, text: &[u8]) -> (Vec<Line>, Vec<&'static str>) {
    let (mut lines, mut refused) = (Vec::new(), Vec::new());
    for piece in pieces(text).iter().filter(|piece| piece.words.is_some()) {
        let taken = std::str::from_utf8(piece.bytes).is_ok_and(|line| {
            redis_conf::parse_into(&mut lines, target.name, line, target.includes, 0).is_ok()
        });
        if !taken {
            refused.extend(piece.directive().map(|d| d.name));
        }
    }
    (lines, refused)
}

/// The text with the changed directives' lines in place of their old ones, or appended; lines that no start
/// would take as comments. `in_text`: what the text says.
pub(super) fn change(
    text: &[u8],
    changed: &[&'static Directive],
    now: &Settings,
    in_text: &Settings,
) -> Vec<u8> {
    let mut pieces = pieces(text);
    for piece in &mut pieces {
        comment_out(piece);
    }
    let mut appended = Vec::new();
    for directive in changed {
        replace(&mut pieces, &mut appended, directive, now, in_text);
    }
    let mut new = joined(&pieces);
    append(&mut new, &appended);
    new
}

/// Puts the directive's lines into its places. What finds none is appended, places too many are given up.
fn replace(
    pieces: &mut [Piece<'_>],
    appended: &mut Vec<String>,
    directive: &Directive,
    now: &Settings,
    in_text: &Settings,
) {
    let is_place = |piece: &Piece<'_>| piece.directive().is_some_and(|d| d.name == directive.name);
    let mut places: Vec<usize> = (0..pieces.len())
        .filter(|&at| is_place(&pieces[at]))
        .collect();
    let mut wanted = directive.lines(now);
    wanted.retain(|line| {
        let there = places
            .iter()
            .position(|&at| pieces[at].says(directive, line));
        there.map(|index| places.remove(index)).is_none()
    });
    if directive.name == "client-output-buffer-limit" {
        // Only the classes that differ.
        let already = directive.lines(in_text);
        wanted.retain(|line| !already.contains(line));
    }
    let mut places = places.into_iter();
    for line in wanted {
        let line = format!("{} {line}", directive.name);
        match places.next() {
            Some(at) => {
                let indented = [pieces[at].indent(), line.as_bytes()].concat();
                pieces[at].replacement = Replacement::Line(indented);
            }
            None => appended.push(line),
        }
    }
    for at in places {
        pieces[at].replacement = Replacement::Nothing;
    }
}

/// The text with these directives at its end, where nothing comes after them.
pub(super) fn overrule(text: &[u8], directives: &[&'static Directive], now: &Settings) -> Vec<u8> {
    let mut pieces = pieces(text);
    let mut appended = Vec::new();
    for directive in directives {
        for piece in &mut pieces {
            if piece.directive().is_some_and(|d| d.name == directive.name) {
                piece.replacement = Replacement::Nothing;
            }
        }
        let mut lines = directive.lines(now);
        if lines.is_empty() {
            // What is left out elsewhere must be written here.
            lines.push(match directive.get(now) {
                none if none.is_empty() => "\"\"".to_owned(),
                value => value,
            });
        }
        if directive.name == "save" && lines != ["\"\""] {
            lines.insert(0, "\"\"".to_owned());
        }
        let lines = lines
            .iter()
            .map(|line| format!("{} {line}", directive.name));
        appended.extend(lines);
    }
    let mut new = joined(&pieces);
    append(&mut new, &appended);
    new
}

fn joined(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in pieces {
        match &piece.replacement {
            Replacement::Same => text.extend_from_slice(piece.bytes),
            Replacement::Nothing => {}
            Replacement::Line(line) => {
                text.extend_from_slice(line);
                text.extend_from_slice(piece.end());
            }
        }
    }
    text
}

/// Makes a line that no start would take, and that nothing will replace, a comment.
fn comment_out(piece: &mut Piece<'_>) {
    let stays = match piece.words.as_deref() {
        Some([name, given @ ..]) => match table::find(name) {
            Some(directive) if directive.file_only => {
                lines::line(name, given.to_vec(), Origin::default()).is_ok()
            }
            Some(_) => true,
            None if table::same(name, "include") => given.len() == 1,
            None => is_other(name),
        },
        _ => redis_conf::is_passed_over(piece.bytes),
    };
    if !stays {
        let line = &piece.bytes[redis_conf::indent(piece.bytes)..];
        let line = [piece.indent(), b"# ??? ", line.trim_ascii_end()].concat();
        piece.replacement = Replacement::Line(line);
    }
}

/// Lines of redis.conf that stay though they are no directives of the table.
fn is_other(name: &str) -> bool {
    lines::is_forgotten(name)
        || ["user", "loadmodule", "sentinel"]
            .iter()
            .any(|other| table::same(other, name))
}
