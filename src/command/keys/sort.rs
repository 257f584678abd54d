//! SORT and SORT_RO: lists, sets and sorted sets in an order of their elements, of numbers, or of other
//! keys named after the elements.
//!
//! A pattern that begins a lookup (`Pattern`) is the element itself ("#"), a key with the element in
//! place of its first '*', or a field of a hash so named ("prefix_*->field"). A BY without a '*' means: no
//! sorting. Elements are compared byte-wise where Redis collates, which is what it does in the C locale.

use std::cmp::Ordering;

use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::list::End;
use crate::data::{List, Value, ValueRef};
use crate::keyspace::Expiry;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::parse_double;

pub(crate) const HANDLERS: Handlers = &[("sort", sort), ("sort_ro", sort_ro)];

#[derive(Debug, Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// Start and count as given; a negative count is no limit.
    limit: Option<(i64, i64)>,
    store: Option<&'a [u8]>,
    by: Option<Pattern<'a>>,
    /// BY without a '*'.
    unsorted: bool,
    get: Vec<Pattern<'a>>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a [u8]], may_store: bool) -> CommandResult<Options<'a>> {
        let mut options = Options::default();
        let mut rest = words;
        while let [word, tail @ ..] = rest {
            rest = tail;
            match (*word, tail) {
                (w, _) if is_word(w, "asc") => options.descending = false,
                (w, _) if is_word(w, "desc") => options.descending = true,
                (w, _) if is_word(w, "alpha") => options.alpha = true,
                (w, [start, count, tail @ ..]) if is_word(w, "limit") => {
                    options.limit = Some((int_arg(start)?, int_arg(count)?));
                    rest = tail;
                }
                (w, [key, tail @ ..]) if may_store && is_word(w, "store") => {
                    options.store = Some(key);
                    rest = tail;
                }
                (w, [pattern, tail @ ..]) if is_word(w, "by") => {
                    let pattern = Pattern::parse(pattern);
                    options.unsorted |= !pattern.has_star();
                    options.by = Some(pattern);
                    rest = tail;
                }
                (w, [pattern, tail @ ..]) if is_word(w, "get") => {
                    options.get.push(Pattern::parse(pattern));
                    rest = tail;
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        Ok(options)
    }

    /// The span of the result to give out of `length` elements.
    fn span(&self, length: usize) -> std::ops::Range<usize> {
        let (start, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(start).unwrap_or(0).min(length);
        let end = match usize::try_from(count) {
            Ok(count) => start.saturating_add(count).min(length),
            Err(_) => length,
        };
        start..end
    }
}

/// Where a value is found for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    Element,
    /// No '*': names nothing.
    Constant,
    Key {
        before: &'a [u8],
        after: &'a [u8],
        /// The value is this field of a hash.
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|&b| b == b'*') else {
            return Pattern::Constant;
        };
        let (before, after) = (&text[..star], &text[star + 1..]);
        // An arrow with nothing behind it is part of the key's name.
        let arrow = after
            .windows(2)
            .position(|pair| pair == b"->")
            .filter(|at| at + 2 < after.len());
        let (after, field) = match arrow {
            Some(at) => (&after[..at], Some(&after[at + 2..])),
            None => (after, None),
        };
        Pattern::Key {
            before,
            after,
            field,
        }
    }

    fn has_star(&self) -> bool {
        matches!(self, Pattern::Key { .. })
    }

    /// The value for an element; None if there is none, or it is of another type.
    fn look_up(&self, ctx: &mut Context<'_>, element: &[u8]) -> Option<Vec<u8>> {
        match *self {
            Pattern::Element => Some(element.to_vec()),
            Pattern::Constant => None,
            Pattern::Key {
                before,
                after,
                field,
            } => {
                let key = [before, element, after].concat();
                match (ctx.find(&key)?, field) {
                    (ValueRef::String(value), None) => Some(value.to_vec()),
                    (ValueRef::Hash(hash), Some(field)) => Some(hash.get(field)?.to_vec()),
                    _ => None,
                }
            }
        }
    }
}

/// What an element is sorted by.
#[derive(Debug)]
enum Weight {
    /// The element's own bytes.
    Element,
    Number(f64),
    /// Bytes found by the BY pattern; what lacks them comes first.
    Bytes(Option<Vec<u8>>),
}

fn sort(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    run(ctx, args, true)
}

fn sort_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    run(ctx, args, false)
}

fn run(ctx: &mut Context<'_>, args: &Args<'_>, may_store: bool) -> CommandResult {
    let mut options = Options::parse(&args[2..], may_store)?;
    let elements = sorted_elements(ctx, args[1], &mut options)?;
    match options.store {
        None => reply_elements(ctx, &elements, &options.get),
        Some(target) => store_elements(ctx, target, &elements, &options.get),
    }
    Ok(())
}

/// The elements of the result, in order and cut by LIMIT.
fn sorted_elements(
    ctx: &mut Context<'_>,
    key: &[u8],
    options: &mut Options<'_>,
) -> CommandResult<Vec<Vec<u8>>> {
    let (descending, in_script) = (options.descending, ctx.in_script);
    let mut elements: Vec<Vec<u8>> = match ctx.find(key) {
        None => Vec::new(),
        Some(ValueRef::Set(set)) => {
            // A set has no order of its own: what is stored, or seen by a script, must not depend on the hash table.
            if options.unsorted && (options.store.is_some() || in_script) {
                options.unsorted = false;
                options.alpha = true;
                options.by = None;
            }
            set.iter().map(|item| item.to_vec()).collect()
        }
        Some(ValueRef::List(list)) if options.unsorted => {
            let span = options.span(list.len());
            let end = if descending { End::Tail } else { End::Head };
            return Ok(list
                .iter_from(end, span.start)
                .take(span.len())
                .map(|item| item.to_vec())
                .collect());
        }
        Some(ValueRef::List(list)) => list.iter().map(|item| item.to_vec()).collect(),
        Some(ValueRef::Zset(zset)) if options.unsorted => {
            let (length, span) = (zset.len(), options.span(zset.len()));
            let span = match descending {
                true => length - span.end..length - span.start,
                false => span,
            };
            return Ok(zset
                .range(span, descending)
                .map(|(item, _)| item.to_vec())
                .collect());
        }
        Some(ValueRef::Zset(zset)) => zset.iter().map(|(item, _)| item.to_vec()).collect(),
        Some(_) => return Err(CommandError::WRONG_TYPE),
    };
    let span = options.span(elements.len());
    if !options.unsorted {
        let mut weighed = weigh(ctx, elements, options)?;
        weighed.sort_by(|a, b| {
            let order = compare(a, b);
            if descending { order.reverse() } else { order }
        });
        elements = weighed.into_iter().map(|(element, _)| element).collect();
    }
    elements.truncate(span.end);
    elements.drain(..span.start);
    Ok(elements)
}

/// Finds each element's weight. Elements whose BY key is missing weigh 0, or come first with ALPHA.
fn weigh(
    ctx: &mut Context<'_>,
    elements: Vec<Vec<u8>>,
    options: &Options<'_>,
) -> CommandResult<Vec<(Vec<u8>, Weight)>> {
    let mut bad_number = false;
    let mut number = |text: &[u8]| {
        let value = parse_number(text);
        bad_number |= value.is_none();
        Weight::Number(value.unwrap_or(0.0))
    };
    let weighed = elements
        .into_iter()
        .map(|element| {
            let weight = match (&options.by, options.alpha) {
                (None, true) => Weight::Element,
                (None, false) => number(&element),
                (Some(by), true) => Weight::Bytes(by.look_up(ctx, &element)),
                (Some(by), false) => match by.look_up(ctx, &element) {
                    Some(text) => number(&text),
                    None => Weight::Number(0.0),
                },
            };
            (element, weight)
        })
        .collect();
    if bad_number {
        return Err(CommandError::fixed(
            "ERR One or more scores can't be converted into double",
        ));
    }
    Ok(weighed)
}

/// Equal numbers order by the elements, so that the result is one; equal BY texts stay as they are.
fn compare((a, weight_a): &(Vec<u8>, Weight), (b, weight_b): &(Vec<u8>, Weight)) -> Ordering {
    match (weight_a, weight_b) {
        (Weight::Number(x), Weight::Number(y)) => {
            x.partial_cmp(y).unwrap_or(Ordering::Equal).then(a.cmp(b))
        }
        (Weight::Bytes(x), Weight::Bytes(y)) => x.cmp(y),
        _ => a.cmp(b),
    }
}

/// A float as C's strtod reads it with nothing left over; None for others, NaN, and out of range.
fn parse_number(text: &[u8]) -> Option<f64> {
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | 9..=13))
        .unwrap_or(text.len());
    let text = text.split(|&b| b == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    parse_double(text.get(start..)?)
}

fn reply_elements(ctx: &mut Context<'_>, elements: &[Vec<u8>], get: &[Pattern<'_>]) {
    ctx.reply.array(elements.len() * get.len().max(1));
    for element in elements {
        if get.is_empty() {
            ctx.reply.bulk(element);
        }
        for pattern in get {
            match pattern.look_up(ctx, element) {
                Some(value) => ctx.reply.bulk(&value),
                None => ctx.reply.null(),
            }
        }
    }
}

/// Stores the result as a list; what GET doesn't find is an empty string. Nothing found deletes the target.
fn store_elements(ctx: &mut Context<'_>, target: &[u8], elements: &[Vec<u8>], get: &[Pattern<'_>]) {
    let encodings = ctx.encodings();
    let mut list = List::new();
    for element in elements {
        if get.is_empty() {
            list.push(End::Tail, element, &encodings);
        }
        for pattern in get {
            let value = pattern.look_up(ctx, element).unwrap_or_default();
            list.push(End::Tail, &value, &encodings);
        }
    }
    let length = list.len();
    if length > 0 {
        ctx.set_value(target, Value::List(Box::new(list)), Expiry::Clear);
        ctx.signal_ready(target);
        ctx.changed(target, EventClass::List, "sortstore");
    } else if ctx.delete(target) {
        ctx.changed(target, EventClass::Generic, "del");
    }
    ctx.reply.int(length as i64);
}

#[cfg(test)]
mod tests {
    use super::{Options, Pattern, parse_number};

    #[test]
    fn patterns() {
        let key =
            |before: &'static str, after: &'static str, field: Option<&'static str>| Pattern::Key {
                before: before.as_bytes(),
                after: after.as_bytes(),
                field: field.map(str::as_bytes),
            };
        for (text, want) in [
            ("#", Pattern::Element),
            ("nosort", Pattern::Constant),
            ("w->f", Pattern::Constant),
            ("weight_*", key("weight_", "", None)),
            ("a*b*c", key("a", "b*c", None)),
            ("h_*->f", key("h_", "", Some("f"))),
            ("h_*x->f->g", key("h_", "x", Some("f->g"))),
            ("h_*->", key("h_", "->", None)),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn limits_clamp() {
        let span = |start, count| {
            let options = Options {
                limit: Some((start, count)),
                ..Options::default()
            };
            options.span(10)
        };
        assert_eq!(span(0, -1), 0..10);
        assert_eq!(span(-5, 3), 0..3);
        assert_eq!(span(8, 100), 8..10);
        assert_eq!(span(3, 0), 3..3);
        assert!(span(10, 5).is_empty() && span(i64::MAX, i64::MAX).is_empty());
    }

    #[test]
    fn numbers() {
        for (text, want) in [
            ("1", Some(1.0)),
            (" -2.5e1", Some(-25.0)),
            ("", Some(0.0)),
            ("inf", Some(f64::INFINITY)),
            ("nan", None),
            ("1x", None),
            ("1 ", None),
            ("1e999", None),
            ("abc", None),
        ] {
            assert_eq!(parse_number(text.as_bytes()), want, "{text:?}");
        }
    }
}
